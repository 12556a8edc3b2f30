"""A change of embedder while others read, write, fork and back up."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest
from reembedding import (
    Embeds,
    arrived,
    consolidated,
    fact,
    filled,
    halfway,
    opened,
    spaces,
    tasks,
    true,
)

from stepwell import Turn
from stepwell.contracts import FORMER
from stepwell.errors import StepwellError


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
