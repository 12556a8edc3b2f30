"""A change of embedder may end anywhere, and goes on from there."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from reembedding import Embeds, arrived, consolidated, filled, halfway, opened, spaces, tasks, true


def again(memory, path):
    assert memory.reembed("b").finished


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
from reembedding import Embeds, Shop
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
