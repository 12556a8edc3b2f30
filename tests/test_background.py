"""Work aside: a thread consolidates between the calls of others, and nothing depends on it."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from stepwell import Filter, Hide, Memory, hookimpl
from stepwell.errors import InvalidInput
from stepwell.memory import background
from stepwell.memory.traffic import ON, WAY, Traffic

DAY = timedelta(days=1)
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(background, "LOOK", 0.05)
    monkeypatch.setattr(background, "TIDY", 0.05)
    monkeypatch.setattr(background, "AGAIN", (0.05, 0.1))


def until(true, seconds=20.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def held(scope, trace):
    """The turns of a trace."""
    waiting = list(scope.tree())
    while waiting:
        node = waiting.pop()
        if node.record.id == trace.id:
            return node.sources
        waiting += node.children
    return ()


def traces(scope):
    return scope.count(Filter(kind="trace"))


def test_what_was_remembered_is_consolidated_without_being_asked(tmp_path):
    with Memory.open(tmp_path / "a.db", embedder=None, background=True) as memory:
        scope = memory.scope("alice")
        scope.remember("We walked to the old mill.", session="one")
        until(lambda: traces(scope) == 1)
        assert scope.consolidate().counts == {}


def test_what_another_process_left_in_the_queue_is_taken_up(tmp_path):
    path = tmp_path / "a.db"
    with Memory.open(path, embedder=None) as memory:
        memory.scope("alice").remember("We walked to the old mill.", session="one")
    with Memory.open(path, embedder=None, background=True) as memory:
        until(lambda: traces(memory.scope("alice")) == 1)
        with Memory.open(path, embedder=None) as other:
            other.scope("bob").remember("Nothing is here yet.", session="two")
        until(lambda: traces(memory.scope("bob")) == 1)


class Slow:
    """Segments at leisure, and tells when it began."""

    name = "slow"

    def __init__(self):
        self.begun = threading.Event()
        self.go_on = threading.Event()

    @hookimpl
    def segment(self, buffer):
        self.begun.set()
        assert self.go_on.wait(20)
        return [len(buffer) - 1]


def test_readers_and_writers_never_wait_for_a_step_under_way(tmp_path):
    slow = Slow()
    with Memory.open(tmp_path / "a.db", embedder=None, background=True, plugins=[slow]) as memory:
        scope = memory.scope("alice")
        scope.remember("We walked to the old mill.", session="one")
        assert slow.begun.wait(20)
        scope.remember("And then along the river.", session="one")
        assert len(scope.recall("river")) == 2
        slow.go_on.set()
        until(lambda: [len(node.children) for node in scope.tree()] == [2])


def test_closing_waits_for_no_more_than_the_step_under_way(tmp_path):
    with Memory.open(tmp_path / "a.db", embedder=None, background=True) as memory:
        for n in range(30):
            memory.scope("s", str(n)).remember("a turn", session="one")
    assert threading.active_count() < 30
    assert not [t for t in threading.enumerate() if t.name == "stepwell-background"]
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        for n in range(30):
            memory.scope("s", str(n)).consolidate()
            assert traces(memory.scope("s", str(n))) == 1


class Failing:
    """Fails as often as it is told to."""

    name = "failing"

    def __init__(self, times):
        self.left = times

    @hookimpl
    def segment(self, buffer):
        if self.left:
            self.left -= 1
            raise RuntimeError("not now")
        return [len(buffer) - 1]


def test_what_failed_is_tried_again_later(tmp_path):
    plugin = Failing(2)
    with Memory.open(tmp_path / "a.db", embedder=None, background=True, plugins=[plugin]) as memory:
        scope = memory.scope("alice")
        scope.remember("We walked to the old mill.", session="one")
        until(lambda: traces(scope) == 1)
        assert plugin.left == 0


def test_a_forked_child_has_a_worker_of_its_own(tmp_path):
    with Memory.open(tmp_path / "a.db", embedder=None, background=True) as memory:
        memory.scope("parent").remember("said before the fork", session="one")
        child = os.fork()
        if not child:  # pragma: no cover - another process
            code = 1
            try:
                scope = memory.scope("child")
                scope.remember("said after it", session="two")
                until(lambda: traces(scope) == 1)
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        until(lambda: traces(memory.scope("parent")) == 1)


def test_a_read_only_memory_works_on_nothing(tmp_path):
    path = tmp_path / "a.db"
    with Memory.open(path, embedder=None) as memory:
        memory.scope("alice").remember("one", session="one")
    with Memory.open(path, embedder=None, read_only=True, background=True) as memory:
        time.sleep(0.2)
        assert traces(memory.scope("alice")) == 0


# two at once ------------------------------------------------------------------------------------


def test_two_that_consolidate_at_once_make_everything_once(tmp_path):
    path = tmp_path / "a.db"
    with Memory.open(path, embedder=None) as memory:
        for n in range(40):
            memory.scope("alice").remember(f"turn {n}", session=f"s{n % 8}", id=f"t{n}")
    start = threading.Barrier(4)

    def work():
        with Memory.open(path, embedder=None) as mine:
            start.wait()
            mine.scope("alice").consolidate()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Memory.open(path, embedder=None) as memory:
        scope = memory.scope("alice")
        found = scope.records(Filter(kind="trace"), limit=1000)
        assert len(found) == 8
        members = [turn for trace in found for turn in held(scope, trace)]
        assert sorted(members) == sorted(f"t{n}" for n in range(40))
        assert memory.check().ok


class Forgetter:
    """Forgets a turn while a trace of it is being made."""

    name = "forgetter"

    def __init__(self):
        self.scope = None
        self.forgot = False

    @hookimpl
    def segment(self, buffer):
        if self.scope is not None and not self.forgot:
            self.forgot = True
            self.scope.forget("t1")
        return [len(buffer) - 1]


def test_a_turn_forgotten_while_its_trace_is_made_takes_nothing_else_with_it(tmp_path):
    plugin = Forgetter()
    with Memory.open(tmp_path / "a.db", embedder=None, plugins=[plugin]) as memory:
        scope = memory.scope("alice")
        for n in range(3):
            scope.remember(f"turn number {n}", session="one", id=f"t{n}")
        plugin.scope = scope
        report = scope.consolidate()
        assert report.ok
        assert report.finished
        (node,) = scope.tree()
        assert [child.record.turn for child in node.children] == ["t0", "t2"]


def test_many_turns_at_once_are_cut_step_by_step_and_all_of_them(tmp_path):
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        scope = memory.scope("alice")
        scope.remember_many(
            {"text": f"turn {n}", "session": f"s{n // 10}", "id": f"t{n}"} for n in range(1300)
        )
        first = scope.consolidate(budget=0.0)
        assert not first.finished
        assert traces(scope) == 0
        while not scope.consolidate(budget=0.01).finished:
            pass
        assert traces(scope) == 130
        found = scope.records(Filter(kind="trace"), limit=1000)
        assert sum(len(held(scope, trace)) for trace in found) == 1300


# retention --------------------------------------------------------------------------------------


class Hiding:
    """Hides what it is told to."""

    name = "hiding"

    @hookimpl
    def maintain(self, view):
        return [
            Hide(id=record.id)
            for record in view.records(Filter(level=0))
            if "old news" in record.text
        ]


def hidden(scope):
    return scope.count(Filter(level=0, status="hidden"))


@pytest.mark.parametrize("kept", [None, timedelta(days=30)])
def test_what_is_hidden_stays_unless_the_caller_has_said_for_how_long(tmp_path, kept):
    path, now = tmp_path / "a.db", [NOW]
    options = {"embedder": None, "clock": lambda: now[0], "plugins": [Hiding()]}
    with Memory.open(path, **options, retention=kept) as memory:
        scope = memory.scope("alice")
        scope.remember("the old news from Carthage", id="old", session="one")
        scope.remember("the fresh bread", id="new", session="one")
        assert "forgotten" not in scope.consolidate().counts
        assert hidden(scope) == 1
        now[0] = NOW + 31 * DAY
        report = scope.consolidate()
        assert report.counts.get("forgotten", 0) == (0 if kept is None else 1)
        assert hidden(scope) == (1 if kept is None else 0)
        assert scope.get("new") is not None
    held = b"Carthage" in path.read_bytes()
    assert held is (kept is None)


@pytest.mark.parametrize("said", [-DAY, 30, "a month"])
def test_a_retention_that_is_no_time_is_refused_before_anything_is_opened(tmp_path, said):
    with pytest.raises(InvalidInput, match="retention"):
        Memory.open(tmp_path / "a.db", retention=said)
    assert list(tmp_path.iterdir()) == []


def test_work_gives_way_to_calls_and_goes_on_where_they_never_cease():
    traffic = Traffic()
    begun = time.monotonic()
    traffic.give_way()
    assert time.monotonic() - begun < WAY / 2  # nobody is there
    inside, leave = threading.Event(), threading.Event()

    def call():
        with traffic():
            inside.set()
            leave.wait()

    caller = threading.Thread(target=call)
    caller.start()
    inside.wait()
    begun = time.monotonic()
    traffic.give_way()
    assert time.monotonic() - begun >= WAY
    waited = time.monotonic()
    while time.monotonic() < waited + ON / 2:
        traffic.give_way()  # it has waited in vain, and works for a while
    assert time.monotonic() - waited < WAY
    time.sleep(ON)
    threading.Timer(0.01, leave.set).start()
    traffic.give_way()
    caller.join()
    assert not traffic._inside


@pytest.mark.parametrize(("where", "asked"), [("a.db", True), (":memory:", False)])
def test_consolidating_gives_way_where_reads_do_not_take_turns(tmp_path, monkeypatch, where, asked):
    times = []
    monkeypatch.setattr(Traffic, "give_way", lambda self: times.append(1))
    with Memory.open(where if where == ":memory:" else tmp_path / where, embedder=None) as memory:
        scope = memory.scope("alice")
        scope.remember("We walked to the old mill.", session="one")
        scope.recall("mill")
        assert not times  # who is waited for waits for nobody
        scope.consolidate()
    assert bool(times) is asked
