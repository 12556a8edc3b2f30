"""Nothing of a memory raises into its host or stalls it; what was lost is counted and logged."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell import AsyncMemory, Memory, Turn
from stepwell.adapting import (
    Keeper,
    Tally,
    conversation,
    heard_in,
    mark_of,
    quoted,
    scope_of,
    session_name,
    turn_name,
    user_scope,
)
from stepwell.errors import InvalidInput, InvalidScope

NAME = "host.memory"


@pytest.fixture
def memory():
    with Memory.open(":memory:", embedder=None) as memory:
        yield memory


def turns(*texts):
    return [Turn(text=text, session="s1") for text in texts]


class Scope:
    """A scope that does what a test says."""

    def __init__(self, verb):
        self.remember_many = verb


def test_an_answer_comes_back(memory):
    assert Keeper(NAME).ask(lambda: 7) == 7
    assert asyncio.run(Keeper(NAME).aask(lambda: 7)) == 7


@pytest.mark.parametrize("error", [ValueError("secret words"), SystemExit(3)])
def test_a_question_that_fails_is_counted_and_logged_without_its_words(caplog, error):
    keeper = Keeper(NAME)

    def fail():
        raise error

    with caplog.at_level(logging.WARNING, NAME):
        assert keeper.ask(fail) is None
        assert asyncio.run(keeper.aask(fail, "look-up")) is None
    assert keeper.tally == Tally(unanswered=2)
    assert [type(error).__name__ in line.getMessage() for line in caplog.records] == [True, True]
    assert "secret" not in caplog.text


def test_a_question_that_is_late_is_given_up_in_time_and_enough_of_them_end_all_asking(caplog):
    keeper, gate = Keeper(NAME, deadline=0.05), threading.Event()
    begun = time.monotonic()
    for _ in range(20):
        assert keeper.ask(gate.wait) is None
    assert asyncio.run(keeper.aask(gate.wait)) is None
    # Only the first few were waited for.
    assert time.monotonic() - begun < 1.0
    assert keeper.tally.unanswered == 21
    gate.set()
    for _ in range(100):
        if keeper.ask(lambda: "back") == "back":
            break
        time.sleep(0.01)
    else:
        pytest.fail("asking never came back")
    assert "missed its deadline of 0.05 s" in caplog.text


def test_a_loop_goes_on_while_a_question_is_asked():
    keeper, gate = Keeper(NAME), threading.Event()

    async def main():
        asked = asyncio.create_task(keeper.aask(lambda: gate.wait(5)))
        await asyncio.sleep(0.01)
        gate.set()  # by the loop itself: blocked, it could not
        return await asked

    assert asyncio.run(main()) is True
    assert keeper.tally == Tally()


def test_what_was_recorded_is_committed_when_the_call_returns(memory):
    keeper, scope = Keeper(NAME), memory.scope("ann")
    assert len(keeper.record(scope, turns("a", "b")).stored) == 2
    assert len(asyncio.run(keeper.arecord(scope, turns("c"))).stored) == 1
    assert [record.text for record in scope.records()] == ["a", "b", "c"]
    assert keeper.record(scope, turns("a", "b", "c", "d"), history=True).stored
    assert keeper.record(scope, ()).stored == ()
    assert keeper.tally.unrecorded == 0


def test_turns_of_many_threads_are_all_recorded_each_threads_in_order(memory):
    keeper, scope = Keeper(NAME, patience=60), memory.scope("ann")

    def speak(name):
        for n in range(25):
            assert keeper.record(scope, [Turn(text=f"{name} {n}", session=name)])

    threads = [threading.Thread(target=speak, args=(f"s{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert keeper.tally == Tally(recorded=100)
    said = [record.text.split() for record in scope.records(limit=200) if record.level == 0]
    for name in ("s0", "s3"):
        assert [int(n) for who, n in said if who == name] == list(range(25))


def test_what_cannot_be_recorded_is_counted_and_logged_and_the_next_turns_are(caplog, memory):
    keeper = Keeper(NAME)

    def fail(_):
        raise RuntimeError("secret words")

    assert keeper.record(Scope(fail), turns("a", "b")) is None
    assert keeper.record(memory.scope("ann"), turns("c"))
    memory.close()
    assert asyncio.run(keeper.arecord(Scope(fail), turns("d"))) is None
    assert keeper.tally == Tally(recorded=1, unrecorded=3)
    assert "2 turns were not recorded: RuntimeError" in caplog.text
    assert "secret" not in caplog.text


def test_a_store_that_was_closed_raises_into_nobody(memory):
    keeper, scope = Keeper(NAME), memory.scope("ann")
    memory.close()
    assert keeper.record(scope, turns("a")) is None
    assert keeper.ask(lambda: scope.recall("a")) is None
    assert keeper.tally == Tally(unrecorded=1, unanswered=1)


def test_another_text_under_a_known_id_is_counted_and_a_known_turn_is_not(caplog, memory):
    keeper, scope = Keeper(NAME), memory.scope("ann")
    keeper.record(scope, [Turn(id="1", text="a")])
    keeper.record(scope, [Turn(id="1", text="a"), Turn(id="1", text="b")])
    assert keeper.tally == Tally(recorded=1, unrecorded=1)
    assert "1 turns were not recorded: 1 conflicts" in caplog.text


def test_behind_a_stalled_store_nobody_waits_twice_and_nothing_is_lost():
    gate, stored = threading.Event(), []

    def stall(turns):
        gate.wait(30)
        stored.extend(turn.text for turn in turns)
        return type("Receipt", (), {"stored": turns, "skipped": ()})

    keeper, begun = Keeper(NAME, patience=0.1), time.monotonic()
    for n in range(20):
        assert keeper.record(Scope(stall), turns(str(n))) is None
    assert asyncio.run(keeper.arecord(Scope(stall), turns("20"))) is None
    assert time.monotonic() - begun < 1.5
    assert keeper.tally == Tally(waiting=21)
    assert not keeper.flush(0.01)
    gate.set()
    assert keeper.flush(10)
    assert stored == [str(n) for n in range(21)]
    assert keeper.tally == Tally(recorded=21)


def test_no_more_than_so_many_turns_wait(monkeypatch):
    monkeypatch.setattr("stepwell.adapting.keeping._WAITING", 10)
    gate = threading.Event()
    keeper = Keeper(NAME, patience=0.01)
    for n in range(30):
        keeper.record(Scope(lambda _: gate.wait(30)), turns(str(n)))
    assert keeper.tally == Tally(waiting=10, unrecorded=20)
    gate.set()
    # What comes back is no receipt: nobody can say that anything was recorded.
    assert keeper.flush(10)
    assert keeper.tally == Tally(unrecorded=30)


def test_a_cancelled_host_still_records(memory):
    keeper, scope, gate = Keeper(NAME), memory.scope("ann"), threading.Event()

    def slow(turns):
        gate.wait(10)
        return scope.remember_many(turns)

    async def main():
        task = asyncio.create_task(keeper.arecord(Scope(slow), turns("a")))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    gate.set()
    assert keeper.flush(10)
    assert scope.count() == 1


@pytest.mark.parametrize("hang", ["ask", "record"])
def test_a_store_that_hangs_keeps_no_process_alive(hang):
    script = f"""
        import threading
        from stepwell import Turn
        from stepwell.adapting import Keeper
        class Scope:
            def remember_many(self, turns): threading.Event().wait()
        keeper = Keeper("host", deadline=0.05, patience=0.05)
        {{"ask": lambda: keeper.ask(threading.Event().wait),
          "record": lambda: keeper.record(Scope(), [Turn(text="a")])}}["{hang}"]()
        print("went on")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == "went on\n"
    assert ("1 turns were not recorded: the process ends" in done.stderr) == (hang == "record")


def test_what_waits_is_recorded_before_a_process_ends(tmp_path):
    script = f"""
        import time
        from stepwell import Memory, Turn
        from stepwell.adapting import Keeper
        scope = Memory.open({str(tmp_path / "a.db")!r}, embedder=None).scope("ann")
        class Slow:
            def remember_many(self, turns):
                time.sleep(0.3)
                return scope.remember_many(turns)
        keeper = Keeper("host", patience=0.1)
        keeper.patience = 0.1
        assert keeper.record(Slow(), [Turn(text="a")]) is None
        keeper.patience = 20
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], timeout=60, check=True)
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        assert memory.scope("ann").count() == 1


# what is put before a model -----------------------------------------------------------------------


def test_a_quotation_is_fenced_and_leaves_out_what_the_prompt_holds(memory, caplog):
    scope = memory.scope("ann")
    assert quoted(scope, "Where do I live?") == ""
    scope.remember("I live in Oslo.", id="t1")
    told = quoted(scope, "Where do I live?")
    assert "I live in Oslo." in told
    assert "quoted as data" in told
    assert quoted(scope, "Where do I live?", present=["t1"]) == ""
    assert quoted(scope, "   ") == ""
    with pytest.raises(TimeoutError):
        quoted(scope, "Where do I live?", deadline=0.0)
    keeper = Keeper(NAME, deadline=5.0)
    assert keeper.ask(lambda: quoted(scope, "Where do I live?", deadline=0.0)) is None
    assert "missed its deadline of 5 s" in caplog.text


def test_a_very_long_message_is_asked_for_by_its_beginning_and_its_end(memory):
    scope = memory.scope("ann")
    scope.remember_many([f"The harbour number {n} is closed." for n in range(300)])
    scope.remember("The heron nests in March.")
    scope.remember("The otter swims at night.")
    told = quoted(scope, "heron " + "filler " * 100_000 + " otter", budget=300)
    assert "The heron nests" in told
    assert "The otter swims" in told


def test_a_conversation_without_a_name_is_called_the_same_each_time_and_tells_nothing(tmp_path):
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        scope = memory.scope("ann")
        name = conversation(scope, "hello")
        assert name == conversation(scope, "hello") != conversation(scope, "hello!")
        assert conversation(scope, "\ud800")
        scope.remember("hello", session=name)
        assert conversation(scope, "hello") == name
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        scope = memory.scope("ann")
        assert conversation(scope, "hello") == name
        # Who does not have the scope's key cannot try what was said; it goes with the scope.
        assert conversation(memory.scope("ben"), "hello") != name
        scope.erase()
        assert conversation(scope, "hello") != name
    assert conversation(scope, "hello")  # of a closed memory, too


# names --------------------------------------------------------------------------------------------


def test_a_host_hands_over_a_scope_an_async_one_or_its_uri(tmp_path):
    async def main():
        async with AsyncMemory.open(tmp_path / "a.db", embedder=None) as memory:
            scope = memory.scope("ann")
            assert scope_of(scope).path == ("ann",)
            assert scope_of(scope.sync) is scope.sync
            return scope.uri

    joined = scope_of(asyncio.run(main()))
    assert joined.path == ("ann",)
    joined.close()
    with pytest.raises(InvalidScope, match="not int"):
        scope_of(7)


def test_each_user_has_a_scope_and_nobody_has_none(memory):
    app = memory.scope("app")
    assert user_scope(app, "ann").path == ("app", "ann")
    assert user_scope(app, 7).path == ("app", "7")
    for nobody in (None, ""):
        with pytest.raises(LookupError):
            user_scope(app, nobody)
    # Whatever a host calls its users, each has one, and always the same.
    odd = ["a\x00b", "a-b", "u" * 500, "u" * 501, "a/b", "日本", "\ud800"]
    paths = [user_scope(app, name).path for name in odd]
    assert len(set(paths)) == len(odd)
    assert paths == [user_scope(app, name).path for name in odd]


@given(st.text(max_size=900), st.text(max_size=900))
def test_names_of_conversations_and_messages_can_be_stored_and_stay_apart(one, other):
    names = [session_name(name) for name in (one, other)]
    assert (names[0] == names[1]) == (one == other)
    turn = Turn(text="a", session=names[0], id=turn_name(one, other))
    assert turn.id == turn_name(one, other)


def test_nobody_takes_anothers_scope_or_session_by_its_name(memory):
    app = memory.scope("app")
    hashed = user_scope(app, "ann\u200b").path[-1]
    assert user_scope(app, hashed).path[-1] != hashed
    long = session_name("x" * 500)
    assert session_name(long) != long


def test_a_host_without_threads_goes_on(memory, monkeypatch, caplog):
    keeper, scope = Keeper(NAME), memory.scope("ann")

    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert keeper.ask(lambda: 7) is None
    assert keeper.record(scope, turns("a")) is None
    assert keeper.tally == Tally(unrecorded=1, unanswered=1)
    monkeypatch.undo()
    assert keeper.record(scope, turns("b"))


@pytest.mark.parametrize("settings", [{"deadline": "1"}, {"patience": -1}, {"deadline": None}])
def test_bounds_that_are_no_times_are_refused(settings):
    with pytest.raises(InvalidInput, match="seconds"):
        Keeper(NAME, **settings)


def test_a_question_that_no_text_can_hold_is_asked_all_the_same(memory):
    scope = memory.scope("ann")
    scope.remember("I live in Oslo.")
    assert "Oslo" in quoted(scope, "Where do\x00 I live\ud800?")


def test_no_two_messages_of_two_conversations_have_one_name():
    assert turn_name("a:b", "c") != turn_name("a", "b:c")
    assert turn_name("a", "b") == "a:b"


# calls of the host's own, and what was heard -----------------------------------------------------


def test_what_a_host_queues_is_stored_in_order_and_waited_for(memory):
    keeper, scope, done = Keeper(NAME), memory.scope("ann"), []
    keeper.queue(lambda: done.append(1) or scope.remember("one"), 1)
    keeper.record(scope, turns("two"))
    keeper.queue(lambda: done.append(3) or scope.remember("three"), 1)
    assert keeper.settle()
    assert asyncio.run(keeper.asettle())
    assert [record.text for record in scope.records()] == ["one", "two", "three"]
    assert keeper.tally.recorded == 3


def test_settling_waits_within_patience_and_not_again_behind_what_is_late(caplog):
    gate = threading.Event()
    keeper = Keeper(NAME, patience=2)
    keeper.queue(lambda: gate.wait(60) and None, 2)
    begun = time.monotonic()
    assert not keeper.settle()
    first = time.monotonic() - begun
    assert not keeper.settle()
    assert not asyncio.run(keeper.asettle())
    assert 1.9 < first < 10
    assert time.monotonic() - begun - first < 1.9
    assert "2 turns are not recorded yet" in caplog.text
    gate.set()
    assert keeper.flush(10)


def test_what_one_adapter_has_taken_in_another_one_knows(memory):
    class Listener:
        def awaits(self, actor):
            return actor == "ben"

        def tasks(self):
            return [task]

    scope, listener, mark = memory.scope("ann"), Listener(), mark_of("ann", "Hi.")
    task = scope.task("Say hello.")
    heard = heard_in(scope)
    assert heard_in(memory.scope("ann")) is heard
    assert heard_in(memory.scope("ben")) is not heard
    heard.add(mark)
    heard.add(mark, "t1")
    assert not heard.takes(mark)  # nobody listens
    heard.listen(listener)
    assert heard.takes(mark)
    assert heard.expects("ben")
    assert heard.task() is task
    assert not heard.expects("ann")
    assert heard.names([mark, mark_of("ben", "Hi.")]) == ["t1"]
    heard.drop(mark)
    assert not heard.takes(mark)
    heard.leave(listener)
    assert heard.task() is None
    assert not heard.expects("ben")


def test_memories_that_lie_in_memory_hear_nothing_of_each_other():
    with Memory.open(":memory:", embedder=None) as one, Memory.open(":memory:") as two:
        assert heard_in(one.scope("ann")) is not heard_in(two.scope("ann"))


@given(st.text(max_size=9), st.text(max_size=9), st.text(max_size=9), st.text(max_size=9))
def test_marks_differ_where_actor_or_text_do(actor, text, other, words):
    if "\0" not in actor + other:
        assert (mark_of(actor, text) == mark_of(other, words)) is ((actor, text) == (other, words))
