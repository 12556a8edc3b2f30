"""Another embedder is a walk, not a stop: it may end anywhere, and goes on from there."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stepwell import Memory, Turn, hookimpl
from stepwell.contracts import FORMER, STATUS_CODES
from stepwell.errors import InvalidInput, StepwellError, StoreReadOnly, WrongEmbedder
from stepwell.models import EdgeKind, Status
from stepwell.ops import Hide, Supersede
from stepwell.testing import FakeClock, HashingEmbedder

MANY = 2**62
STALE = STATUS_CODES[Status.STALE]


class Embeds(HashingEmbedder):
    """Another direction for each word by name, so that one's vectors are never another's."""

    def __init__(self, name="a", dim=8):
        super().__init__(dim, name)
        self.calls = 0
        self.before = lambda: None

    def embed(self, texts, *, query=False):
        self.calls += 1
        self.before()
        return super().embed([f"{self.name} {text}" for text in texts], query=query)


class Shop:
    """Opens embedders by name; `shut` ones it does not know any more, `broken` ones fail."""

    name = "shop"

    def __init__(self, shut=(), broken=()):
        self.shut, self.broken = shut, broken

    @hookimpl
    def open_embedder(self, name):
        if name in self.broken:
            raise RuntimeError("its folder is gone")
        return Embeds(name) if name in tuple("abc") and name not in self.shut else None


def opened(path=":memory:", embedder="default", shop=None, **options):
    if embedder != "default" and isinstance(embedder, str):
        embedder = Embeds(embedder)
    plugins = [shop or Shop(), *options.pop("plugins", ())]
    return Memory.open(path, embedder=embedder, plugins=plugins, discover=False, **options)


def filled(path=":memory:", count=300, embedder="a"):
    memory = opened(path, embedder)
    memory.scope("x").remember_many([Turn(id=f"t{i}", text=f"said {i}") for i in range(count)])
    return memory


def fact(memory, name):
    with memory._engine.store.reading() as reader:
        return reader.meta(name)


def spaces(memory):
    """How many vectors of which space the file holds."""
    counts = {}
    with memory._engine.store.reading() as reader:
        for row in reader.scopes(0, 1000):
            for channel, space, count in reader.spaces(row):
                if channel == "vectors":
                    counts[space] = counts.get(space, 0) + count
    return counts


def tasks(memory, kind="keys"):
    with memory._engine.store.reading() as reader:
        return [
            task
            for row in reader.scopes(0, 1000)
            for task in reader.work(row, MANY) + reader.work(row, MANY, parked=True)
            if task.kind == kind
        ]


def true(memory):
    """Every vector in the file is of its record's text as it is now, or of what it groups."""
    with memory._engine.store.reading() as reader:
        for row in reader.scopes(0, 1000):
            refs = reader.select(row, None, 0, MANY, active=False)
            records = dict(reader.load(row, refs))
            for channel, space, _ in reader.spaces(row):
                if channel != "vectors":
                    continue
                name, _, dim = space.rpartition("/")
                for _, ref, _, _, body in reader.keys(row, "vectors", space):
                    held = np.frombuffer(body, "<f4")
                    if reader.targets(row, ref, EdgeKind.CONTAINS):
                        assert np.isclose(np.linalg.norm(held), 1, atol=1e-5)
                        continue
                    made = Embeds(name, int(dim)).embed([records[ref].spoken])[0]
                    assert np.allclose(held, made, atol=1e-6), (space, ref)
    assert memory.check().ok


def arrived(memory, name, dim=8):
    """The walk is at its end: each record has a vector of this embedder, and of no other."""
    space = f"{name}/{dim}"
    true(memory)
    assert (memory.embedder.name, memory.embedder.dim) == (name, dim)
    assert set(spaces(memory)) <= {space}
    with memory._engine.store.reading() as reader:
        for row in reader.scopes(0, 1000):
            without = reader.entries(row, reader.keyless(row, "vectors", space))
            assert [entry for entry in without if entry[4] != STALE] == []
    assert fact(memory, FORMER) is None
    assert fact(memory, "embedder") == space
    assert memory._engine.models.spaces == (space,)
    assert tasks(memory) == []


class Enough(Exception):
    """Raised by a test, for what ends a walk."""


def halfway(memory, embedder, error=KeyboardInterrupt, after=1):
    """Begin a walk, and end it after so many steps."""
    steps = []

    def progress(done, total):
        steps.append((done, total))
        if len(steps) > after:
            raise error

    with pytest.raises(error):
        memory.reembed(Embeds(embedder) if isinstance(embedder, str) else embedder,
                       progress=progress)  # fmt: skip


# the way ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [":memory:", "file"])
def test_every_record_gets_its_vector_of_the_new_embedder_and_loses_the_old_one(place, tmp_path):
    with filled(place if place == ":memory:" else tmp_path / "m.db") as memory:
        memory.scope("y").remember("elsewhere")
        report = memory.reembed(Embeds("b", 16))
        assert (report.ok, report.finished, report.counts) == (True, True, {"keyed": 301})
        arrived(memory, "b", 16)
        assert memory.scope("x").recall("said 77", k=1)[0].record.turn == "t77"


def test_progress_only_goes_up_and_ends_at_the_total():
    with filled(count=300) as memory:
        for i in range(5):
            memory.scope("small", str(i)).remember_many([Turn(text=f"{i} {j}") for j in range(3)])
        steps = []
        report = memory.reembed(Embeds("b"), progress=lambda *step: steps.append(step))
        assert report.counts == {"keyed": 315}
        assert {total for _, total in steps} == {315}
        assert [done for done, _ in steps] == sorted({done for done, _ in steps})
        assert steps[0] == (0, 315)
        assert steps[-1] == (315, 315)
        assert len(steps) > 5


def test_nothing_to_do_is_said_as_such():
    with filled(count=3) as memory:
        steps = []
        report = memory.reembed(memory.embedder, progress=lambda *step: steps.append(step))
        assert (report.counts, report.finished, steps) == ({"keyed": 0}, True, [(0, 0)])
        arrived(memory, "a")


def test_what_is_said_on_the_way_has_the_new_vector_at_once():
    with filled(count=300) as memory:
        memory.reembed(
            Embeds("b"), progress=lambda *_: memory.scope("new").remember("said meanwhile")
        )
        with memory._engine.store.reading() as reader:
            kinds = reader.spaces(reader.scope_of(("new",)))
        assert {space for channel, space, _ in kinds if channel == "vectors"} == {"b/8"}
        arrived(memory, "b")


class Meanings:
    """Words of one meaning are one direction: what words alone never find."""

    dim = 4

    def __init__(self, name):
        self.name = name

    def embed(self, texts, *, query=False):
        rows = np.full((len(texts), 4), 0.01, "f4")
        for row, text in zip(rows, texts, strict=True):
            row[0 if "hound" in text or "dog" in text else 1 + len(text) % 3] = 1
        return rows


def test_until_a_record_has_its_new_vector_the_old_one_is_searched():
    with Memory.open(embedder=Meanings("one")) as memory:
        x = memory.scope("x")
        x.remember_many([Turn(text=f"entry number {i}") for i in range(300)])
        x.remember("my hound sleeps", id="hound")

        def found(*_):
            assert x.recall("dog?", k=1)[0].record.turn == "hound"

        found()
        memory.reembed(Meanings("two"), progress=found)
        found()


# cut short ----------------------------------------------------------------------------------------


def again(memory, path):
    assert memory.reembed("b").finished


def consolidated(memory, path):
    for scope in memory.scopes():
        assert memory.scope(*scope).consolidate().ok


def reopened(memory, path):
    memory.close()
    with opened(path) as fresh:
        consolidated(fresh, path)
        arrived(fresh, "b")


@pytest.mark.parametrize("go_on", [again, consolidated, reopened])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_interrupted_it_goes_on_where_it_was(after, go_on, tmp_path):
    path = tmp_path / "m.db"
    with filled(path) as memory:
        halfway(memory, "b", after=after)
        held = spaces(memory)
        assert held.get("a/8", 0) + held.get("b/8", 0) == 300
        true(memory)
        assert memory.scope("x").recall("said 299", k=1)[0].record.turn == "t299"
        assert not memory.scope("x").recall("said 299").degraded
        go_on(memory, path)
        if go_on is not reopened:
            arrived(memory, "b")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_the_embedder_loses_nothing(error):
    with filled() as memory:
        embedder = Embeds("b")

        def before():
            if embedder.calls == 2:
                raise error

        embedder.before = before
        with pytest.raises(error):
            memory.reembed(embedder)
        assert spaces(memory) == {"a/8": 172, "b/8": 128}
        memory.scope("x").remember("afterwards")
        assert memory.reembed(embedder).finished
        arrived(memory, "b")


def test_an_embedder_that_raises_parks_what_it_was_asked_and_is_asked_again():
    with filled() as memory:
        embedder = Embeds("b")

        def down():
            raise RuntimeError("no network")

        embedder.before = down
        for _ in range(2):
            report = memory.reembed(embedder)
            assert (report.ok, report.finished, report.counts) == (False, False, {"keyed": 0})
            assert len(report.parked) == 3
        assert len(tasks(memory)) == 3
        assert spaces(memory) == {"a/8": 300}
        receipt = memory.scope("x").remember("stored all the same")
        assert receipt.stored
        assert receipt.degraded
        # Words go on, and it is said that vectors did not.
        found = memory.scope("x").recall("said 17", k=1)
        assert found[0].record.turn == "t17"
        embedder.before = lambda: None
        assert memory.reembed(embedder).ok
        arrived(memory, "b")


def test_a_text_that_an_embedder_fails_for_keeps_no_other_text_from_its_vector():
    class Choosy(Embeds):
        def embed(self, texts, *, query=False):
            if any(text.endswith("17") for text in texts):
                raise RuntimeError("no such text")
            return super().embed(texts, query=query)

    with filled() as memory:
        for _ in range(2):
            report = memory.reembed(Choosy("b"))
            assert len(report.parked) == 3
            assert len(tasks(memory)) == 3  # of said 17, 117 and 217
            assert spaces(memory) == {"a/8": 3, "b/8": 297}
            assert memory.scope("x").recall("said 117", k=1)[0].record.turn == "t117"


def test_a_revision_whose_vector_fails_is_found_by_words_and_keyed_later():
    with filled(count=5) as memory:
        x = memory.scope("x")

        def down():
            raise RuntimeError("no network")

        memory.embedder.before = down
        x.revise("t1", "said otherwise")
        assert x.recall("otherwise", k=1)[0].record.turn == "t1"
        memory.embedder.before = lambda: None
        assert x.consolidate().ok
        arrived(memory, "a")


def test_calling_again_and_again_queues_nothing_twice(tmp_path):
    path = tmp_path / "m.db"
    with filled(path) as memory:
        halfway(memory, "b", after=0)
        queued = len(tasks(memory))
        for _ in range(3):
            halfway(memory, "b", after=0)
        assert len(tasks(memory)) == queued == 3
    for _ in range(3):
        with opened(path) as memory:
            assert len(tasks(memory)) == 3
    with opened(path) as memory:
        assert memory.reembed("b").counts == {"keyed": 300}
        arrived(memory, "b")


CHILD = """
import sys, time
from stepwell import Memory
from tests.test_reembed import Embeds, Shop
memory = Memory.open(sys.argv[1], plugins=[Shop()], discover=False)
slow = Embeds("b")
slow.before = lambda: time.sleep(0.01)
print("begun", flush=True)
memory.reembed(slow)
time.sleep(60)
"""


@pytest.mark.parametrize("wait", [0.0, 0.02])
def test_kill_9_on_the_way(wait, tmp_path):
    path = tmp_path / "m.db"
    filled(path, count=1000).close()
    root = str(Path(__file__).parent.parent)
    paths = os.pathsep.join([root, *filter(None, sys.path)])
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": paths}, cwd=root,
    )  # fmt: skip
    assert child.stdout.readline() == "begun\n"
    time.sleep(wait)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with opened(path) as memory:
        true(memory)
        assert sum(spaces(memory).values()) == 1000
        changed = memory.embedder.name == "b"
        consolidated(memory, path)
        arrived(memory, "b" if changed else "a")


class Planted(Exception):
    """The process ends here, as far as the file can tell."""


def test_killed_between_any_two_transactions_the_rest_is_found(tmp_path, monkeypatch):
    """As above, but at each place once: every transaction of a walk is the last one once."""
    for last in range(60):
        path = tmp_path / f"{last}.db"
        memory = filled(path, count=200)
        store, left = memory._engine.store, [last]
        writing = store.writing

        def planted(*args, left=left, writing=writing):
            left[0] -= 1
            if left[0] < 0:
                raise Planted
            return writing(*args)

        ended = False
        with monkeypatch.context() as patch:
            patch.setattr(store, "writing", planted)
            try:
                memory.reembed(Embeds("b"))
                ended = True
            except Planted:
                pass
        store.close()
        with opened(path) as fresh:
            consolidated(fresh, path)
            arrived(fresh, "a" if last == 0 else "b")
        if ended:
            break
    assert ended
    assert last > 5


def test_close_ends_a_walk_in_a_thread_and_opening_goes_on(tmp_path):
    path = tmp_path / "m.db"
    memory = filled(path, count=1000)
    slow = Embeds("b")
    slow.before = lambda: time.sleep(0.01)
    report = memory.reembed(slow, wait=False)
    assert (report.counts, report.finished) == ({"queued": 1000}, False)
    memory.scope("x").recall("said 5")
    memory.close()
    assert not [t for t in threading.enumerate() if t.name == "stepwell-reembed"]
    with opened(path) as memory:
        assert tasks(memory)
        consolidated(memory, path)
        arrived(memory, "b")


def test_a_walk_in_a_thread_comes_to_its_end():
    with filled() as memory:
        steps = []
        memory.reembed(Embeds("b"), wait=False, progress=lambda *step: steps.append(step))
        memory._engine.embedding._worker.join(20)
        arrived(memory, "b")
        assert steps[-1] == (300, 300)


def test_what_progress_raises_in_a_thread_ends_the_walk_and_nothing_else(caplog):
    with filled() as memory:

        def progress(*_):
            raise ValueError("said 7")

        memory.reembed(Embeds("b"), wait=False, progress=progress)
        memory._engine.embedding._worker.join(20)
        assert "said 7" not in caplog.text
        assert "ValueError" in caplog.text
        assert memory.reembed("b").finished
        arrived(memory, "b")


def test_a_walk_may_close_the_memory_it_walks_in():
    memory = filled()
    memory.reembed(Embeds("b"), wait=False, progress=lambda *_: memory.close())
    worker = memory._engine.embedding._worker
    if worker is not None:
        worker.join(20)
    memory.close()


# there and back -----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["aba", "abc", "abca", "abab", "abcb", "abacbc"])
@pytest.mark.parametrize("stops", ["open", "reopened"])
def test_changing_ones_mind_leaves_no_vector_behind(way, stops, tmp_path):
    path = tmp_path / "m.db"
    memory = filled(path, embedder=way[0])
    for embedder in way[1:-1]:
        halfway(memory, embedder)
        memory.scope("x").remember(f"said under {embedder}")
        true(memory)
        # Every record still has a vector that is searched.
        assert set(spaces(memory)) <= set(memory._engine.models.spaces)
        if stops == "reopened":
            memory.close()
            memory = opened(path)
            assert set(spaces(memory)) <= set(memory._engine.models.spaces)
    with memory:
        assert memory.reembed(way[-1]).finished
        arrived(memory, way[-1])


def test_a_file_that_was_opened_without_an_embedder_changes_too(tmp_path):
    path = tmp_path / "m.db"
    filled(path, 200).close()
    with opened(path, None) as memory:
        memory.scope("x").remember("said without a vector")
        assert memory.reembed("b").finished
        arrived(memory, "b")


def test_a_file_of_words_alone_gets_vectors():
    with filled(count=200, embedder=None) as memory:
        assert memory.reembed("b").counts == {"keyed": 200}
        arrived(memory, "b")


def test_consolidating_without_an_embedder_takes_no_vector_away(tmp_path):
    path = tmp_path / "m.db"
    with filled(path) as memory:
        halfway(memory, "b")
    with opened(path, None) as memory:
        memory.scope("x").remember("said without a vector")
        consolidated(memory, path)
        assert sum(spaces(memory).values()) == 300
    with opened(path) as memory:
        consolidated(memory, path)
        arrived(memory, "b")


def test_the_same_name_with_another_dimension_is_another_embedder(tmp_path):
    path = tmp_path / "m.db"
    with filled(path) as memory:
        halfway(memory, Embeds("a", 12))
        assert sorted(spaces(memory)) == ["a/12", "a/8"]
        assert memory.scope("x").recall("said 5", k=1)[0].record.turn == "t5"
    with opened(path, Embeds("a", 12)) as memory:
        assert memory.reembed(Embeds("a", 12)).finished
        arrived(memory, "a", 12)


@pytest.mark.parametrize("shop", [Shop(shut="a"), Shop(broken="a")])
def test_a_former_embedder_that_does_not_open_any_more_is_left_all_the_same(shop, tmp_path):
    path = tmp_path / "m.db"
    with filled(path) as memory:
        halfway(memory, "b")
    with opened(path, shop=shop) as memory:
        assert memory._engine.models.spaces == ("b/8",)
        assert memory.scope("x").recall("said 299", k=1)[0].record.turn == "t299"
        consolidated(memory, path)
        arrived(memory, "b")


def test_a_former_embedder_that_fails_at_a_question_leaves_the_words():
    with filled() as memory:
        former = memory.embedder
        halfway(memory, "b")

        def down():
            raise TimeoutError

        former.before = down
        found = memory.scope("x").recall("said 299", k=1)
        assert found[0].record.turn == "t299"
        assert found.degraded
        assert memory.reembed("b").finished
        assert not memory.scope("x").recall("said 299").degraded


def test_rebuilding_under_another_embedder_is_a_walk_that_can_be_cut_too(tmp_path):
    path = tmp_path / "m.db"
    with filled(path, 1200) as memory, pytest.raises(Enough):
        memory.rebuild(embedder="b", progress=lambda done, _: _ends(done > 600))
    with opened(path) as memory:
        consolidated(memory, path)
        arrived(memory, "b")
    with opened(path, "c", rebuild=True) as memory:
        consolidated(memory, path)
        arrived(memory, "c")


def _ends(now):
    if now:
        raise Enough


def test_a_text_that_returns_in_a_thread_gets_no_vector_of_the_embedder_before():
    with filled(count=2) as memory, ThreadPoolExecutor(1) as thread:
        x = memory.scope("x")
        thread.submit(x.revise, "t0", "said otherwise").result()
        thread.submit(x.revise, "t0", "said 0").result()
        memory.reembed("b")
        thread.submit(x.revise, "t0", "said otherwise").result()
        arrived(memory, "b")


# what cannot be -----------------------------------------------------------------------------------


def test_a_read_only_store_refuses_before_anything_changes(tmp_path):
    path = tmp_path / "m.db"
    filled(path, 3).close()
    with opened(path, read_only=True) as memory:
        for change in (
            lambda: memory.reembed(Embeds("b")), lambda: memory.reembed("b", wait=False),
            lambda: memory.rebuild(embedder="b"), lambda: memory.rebuild("flat"),
        ):  # fmt: skip
            with pytest.raises(StoreReadOnly):
                change()
        assert memory.embedder.name == "a"
        assert memory.preset != "flat"
        assert memory.scope("x").recall("said 1", k=1)[0].record.turn == "t1"
    with opened(path) as memory:
        arrived(memory, "a")


def test_a_read_only_look_at_a_file_on_its_way_searches_both(tmp_path):
    path = tmp_path / "m.db"
    with filled(path) as memory:
        halfway(memory, "b")
    with opened(path, read_only=True) as memory:
        assert memory._engine.models.spaces == ("b/8", "a/8")
        assert not memory.scope("x").recall("said 7").degraded


@pytest.mark.parametrize(
    ("embedder", "error"),
    [(None, InvalidInput), ("nobody-opens-this", WrongEmbedder), (object(), InvalidInput)],
)
def test_what_is_no_embedder_changes_nothing(embedder, error):
    with filled(count=3) as memory:
        with pytest.raises(error):
            memory.reembed(embedder)
        if embedder is not None:
            with pytest.raises(error):
                memory.rebuild("flat", embedder)
            assert memory.preset != "flat"
        arrived(memory, "a")


# all kinds of records -----------------------------------------------------------------------------


class Facts:
    """Derives a record from each trace, which rests on its first turn."""

    name = "telling"

    @hookimpl
    def extract(self, trace, view):
        from stepwell.models import Record
        from stepwell.ops import Add

        turn = view.neighbours(trace.id) or view.records(limit=1)
        fact = Record(id="", scope=trace.scope, level=1, kind="fact", text=f"fact of {trace.text}",
                      stored_at=trace.stored_at)  # fmt: skip
        return [Add(record=fact, sources=(turn[0].id,))]


def test_hidden_superseded_stale_and_derived_records_go_along():
    with opened(embedder="a", plugins=[Facts()]) as memory:
        x = memory.scope("x")
        for i in range(20):
            x.remember(f"said {i}", id=f"t{i}", session=f"s{i % 4}")
        x.consolidate()
        with memory._engine.store.reading() as reader:
            row = reader.scope_of(("x",))
        ids = [x.get(f"t{i}").id for i in range(20)]
        ops = [Hide(id=ids[3]), Supersede(id=ids[5], replaces=ids[4])]
        memory._engine.committer.apply(row, ops, strict=True)
        x.forget("t8")
        steps = []
        report = memory.reembed("b", progress=lambda *step: steps.append(step))
        assert report.ok
        assert report.finished
        assert steps[-1][0] == steps[-1][1] == report.counts["keyed"]
        assert set(spaces(memory)) == {"b/8"}
        assert fact(memory, FORMER) is None
        x.consolidate()
        arrived(memory, "b")


def test_a_task_is_never_about_more_records_than_it_should(monkeypatch):
    with filled(count=0) as memory:
        x, y = memory.scope("x"), memory.scope("y")
        for i in range(150):
            x.remember(f"x {i}")
            y.remember(f"y {i}")
        # Two far apart lack their keys; what lies between does not.
        halfway(memory, "b", after=0)
        sizes = []
        embed = Embeds.embed
        monkeypatch.setattr(
            Embeds, "embed", lambda *args, **kw: sizes.append(len(args[1])) or embed(*args, **kw)
        )
        assert memory.reembed("b").counts == {"keyed": 300}
        assert sizes == [128, 22, 128, 22]
        with memory._engine.store.reading() as reader:
            row = reader.scope_of(("x",))
            refs = reader.select(row, None, 0, MANY)
        with memory._engine.store.writing() as writer:
            for ref in (refs[0], refs[-1]):
                writer.blank_keys(row, ref, "vectors", "b/8")
        assert memory.reembed("b").counts == {"keyed": 2}
        arrived(memory, "b")


# others, meanwhile --------------------------------------------------------------------------------


def test_a_process_that_still_has_the_former_embedder_loses_nothing(tmp_path):
    path = tmp_path / "m.db"
    with filled(path) as old, opened(path) as new:
        halfway(new, "b")
        x = old.scope("x")
        x.remember("said under the old one", id="late")
        x.revise("t5", "said otherwise under the old one")
        assert x.recall("said 200", k=1)[0].record.turn == "t200"
        # What it cannot do it leaves to those who can, and says so.
        queued = [task for task in tasks(new) if task.kind == "keys"]
        report = x.consolidate()
        assert not report.ok
        assert "open it again" in report.parked[0]
        assert [task for task in tasks(new) if task in queued] == queued
        assert new.reembed("b").finished
        arrived(new, "b")
        x.remember("said after the end")
        x.revise("t6", "and revised")
        assert spaces(new)["a/8"] == 2
        assert fact(new, FORMER) is not None
        with opened(path) as third:
            third.scope("x").consolidate()
            arrived(third, "b")
        assert new.scope("x").consolidate().ok
        arrived(new, "b")


def test_two_walks_at_once_end_at_one_of_them():
    with filled(count=1000) as memory:
        reports, errors = [], []

        def walk(name):
            try:
                reports.append(memory.reembed(Embeds(name)))
            except StepwellError as error:
                errors.append(error)

        threads = [threading.Thread(target=walk, args=(name,)) for name in "bc" * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert any(report.finished for report in reports)
        last = memory.embedder.name
        assert fact(memory, "embedder") == f"{last}/8"
        assert memory.reembed(last).finished
        arrived(memory, last)


def often(work, stop, errors):
    """A thread that works again and again until it is told to stop, or something is wrong."""

    def run():
        i = 0
        while not stop.is_set() and not errors:
            try:
                work(i)
            except (StepwellError, AssertionError, ValueError, KeyError, IndexError) as error:
                errors.append(error)
            i += 1

    return threading.Thread(target=run)


@pytest.mark.parametrize("place", [":memory:", "file"])
def test_all_verbs_at_once_with_walks(place, tmp_path):
    with filled(place if place == ":memory:" else tmp_path / "m.db", 200) as memory:
        stop, errors = threading.Event(), []
        x, y = memory.scope("x"), memory.scope("y")

        def recall(_):
            assert not x.recall("said 7").degraded

        def away(i):
            y.remember_many([Turn(text=f"y {i} {j}") for j in range(5)])
            y.erase()

        works = [
            recall, away, lambda i: x.remember(f"new {i}"), lambda _: x.consolidate(),
            lambda i: x.revise(f"t{i % 50}", f"revised {i}"),
            lambda i: x.forget(f"t{100 + i % 100}"),
        ]  # fmt: skip
        threads = [often(work, stop, errors) for work in works]
        for thread in threads:
            thread.start()
        try:
            for name in "bca":
                memory.reembed(Embeds(name))
                time.sleep(0.02)
            memory.reembed(Embeds("c"), wait=False)
            time.sleep(0.02)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert errors == []
        true(memory)
        assert memory.reembed("c").finished
        for scope in (x, y):
            scope.consolidate()
        arrived(memory, "c")


def test_a_forked_child_walks_on(tmp_path):
    with filled(tmp_path / "m.db") as memory:
        slow = Embeds("b")
        slow.before = lambda: time.sleep(0.02)
        memory.reembed(slow, wait=False)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                memory.scope("x").remember("said by the child")
                code = 0 if memory.reembed(Embeds("b")).ok else 2
                memory.close()
            finally:
                os._exit(code)
        memory._engine.embedding._worker.join(20)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert memory.reembed("b").finished
        arrived(memory, "b")


def test_a_backup_on_the_way_goes_on_by_itself(tmp_path):
    with filled(tmp_path / "m.db") as memory:
        halfway(memory, "b")
        memory.backup(tmp_path / "copy.db")
        assert memory.reembed("b").finished
        arrived(memory, "b")
    with opened(tmp_path / "copy.db") as copy:
        assert sorted(spaces(copy)) == ["a/8", "b/8"]
        consolidated(copy, None)
        arrived(copy, "b")


SEARCH = """
import json, pathlib, sys
marks = [bytes.fromhex(mark) for mark in json.load(sys.stdin)]
held = b"".join(pathlib.Path(p).read_bytes() for p in sys.argv[1:] if pathlib.Path(p).exists())
print(json.dumps([mark.hex() for mark in marks if mark in held]))
"""


def test_what_is_forgotten_on_the_way_leaves_no_vector_of_either(tmp_path):
    path = tmp_path / "m.db"
    with filled(path) as memory:
        halfway(memory, "b")
        marks = [
            Embeds(name).embed([text])[0].astype("<f4").tobytes()
            for name in "ab" for text in ("said 3", "said 290", "said 7")
        ]  # fmt: skip
        memory.scope("x").forget(["t3", "t290"])
        memory.scope("x").revise("t7", "another text")
        memory.reembed("b")
        memory.scope("x").forget("t7")
        arrived(memory, "b")
        done = subprocess.run(
            [sys.executable, "-c", SEARCH, str(path), f"{path}-wal"], check=True, text=True,
            input=json.dumps([mark.hex() for mark in marks]), capture_output=True,
        )  # fmt: skip
        assert json.loads(done.stdout) == []


# any order ----------------------------------------------------------------------------------------


class Walks(RuleBasedStateMachine):
    """Two processes' memories of one file, changed, written to, cut and opened in any order."""

    @initialize(embedder=st.sampled_from([*"ab", None]))
    def begin(self, embedder):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "m.db"
        self.clock = FakeClock()
        self.memories = [opened(self.path, embedder, clock=self.clock)]
        self.memories.append(opened(self.path, embedder or "default", clock=self.clock))
        self.texts, self.gone, self.count = {}, set(), 0

    who = st.integers(0, 1)

    @rule(who=who, count=st.integers(1, 140))
    def remember(self, who, count):
        turns = []
        for _ in range(count):
            self.count += 1
            turns.append(Turn(id=f"t{self.count}", text=f"said {self.count}", session="s"))
            self.texts[f"t{self.count}"] = f"said {self.count}"
        self.memories[who].scope("x").remember_many(turns)

    @precondition(lambda self: self.texts)
    @rule(who=who, data=st.data())
    def forget(self, who, data):
        turn = data.draw(st.sampled_from(sorted(self.texts)))
        self.memories[who].scope("x").forget(turn)
        del self.texts[turn]
        self.gone.add(turn)

    @precondition(lambda self: self.texts)
    @rule(who=who, data=st.data())
    def revise(self, who, data):
        turn = data.draw(st.sampled_from(sorted(self.texts)))
        self.count += 1
        self.texts[turn] = f"revised {self.count}"
        self.memories[who].scope("x").revise(turn, self.texts[turn])

    @rule(who=who, embedder=st.sampled_from("abc"))
    def reembed(self, who, embedder):
        report = self.memories[who].reembed(embedder)
        assert report.ok
        assert report.finished
        if self.memories[who].scopes():
            arrived(self.memories[who], embedder)

    @rule(who=who, embedder=st.sampled_from("abc"), after=st.integers(0, 2))
    def cut(self, who, embedder, after):
        steps = []

        def progress(*step):
            steps.append(step)
            if len(steps) > after:
                raise KeyboardInterrupt

        with suppress(KeyboardInterrupt):
            self.memories[who].reembed(embedder, progress=progress)
        assert steps == sorted(steps)

    @rule(who=who)
    def consolidate(self, who):
        self.memories[who].scope("x").consolidate()

    @rule(who=who, alone=st.booleans())
    def reopen(self, who, alone):
        self.memories[who].close()
        embedder = None if alone else "default"
        self.memories[who] = opened(self.path, embedder, clock=self.clock)

    @rule(who=who)
    def ask(self, who):
        found = self.memories[who].scope("x").recall("said 1 revised 2", k=5)
        assert not found.degraded

    @invariant()
    def nothing_is_lost(self):
        true(self.memories[0])
        records = self.memories[1].scope("x").records(limit=10_000)
        assert {r.turn: r.text for r in records if r.turn} == self.texts
        held = spaces(self.memories[0])
        if held:
            known = {fact(self.memories[0], "embedder")}
            known |= set(json.loads(fact(self.memories[0], FORMER) or "{}"))
            assert set(held) <= known

    def teardown(self):
        if not hasattr(self, "folder"):
            return
        for memory in self.memories:
            memory.close()
        with opened(self.path) as memory:
            if memory.embedder is not None:
                memory.scope("x").consolidate()
                if memory.scopes():
                    arrived(memory, memory.embedder.name)
        self.folder.cleanup()


Walks.TestCase.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)
TestWalks = Walks.TestCase
