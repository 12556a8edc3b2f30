"""Short forms of the campaigns; `python -m tests.campaigns.kill --kills 1000` is a long one."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.campaigns import crowd, kill, points, torn

from stepwell import Memory, Turn
from stepwell.errors import StoreReadOnly


def test_kill_9_takes_nothing_back_and_brings_nothing_back(tmp_path):
    result = kill.campaign(kills=16, seed=3, folder=str(tmp_path), processes=3)
    assert result["wrong"] == []


def test_killed_before_a_statement_a_file_is_as_before_or_as_after(tmp_path):
    result = points.campaign(tmp_path, points=1, seed=3)
    assert result["wrong"] == []
    assert result["kills"] >= 20


def test_a_torn_log_opens_as_a_clean_prefix(tmp_path):
    result = torn.campaign(cuts=15, seed=3, folder=str(tmp_path))
    assert result["wrong"] == []


def test_two_processes_with_threads_lose_nothing_and_see_no_lock(tmp_path):
    result = crowd.campaign(processes=2, threads=2, seconds=2, folder=str(tmp_path))
    assert result["wrong"] == []


def test_parent_and_forked_child_go_on_with_one_memory(tmp_path):
    with Memory.open(tmp_path / "fork.db", embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember("said before the fork", id="before")
        assert scope.recall("fork")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                scope.remember("said by the child", id="child")
                found = scope.recall("child", k=1)
                code = 0 if scope.get("before") and found[0].record.turn == "child" else 2
                memory.close()
            finally:
                os._exit(code)
        scope.remember("said by the parent", id="parent")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert scope.recall("child", k=1)[0].record.turn == "child"
        assert scope.count() == 3
        assert memory.check().ok


def test_a_process_forks_at_any_moment_of_its_threads(tmp_path):
    """Of SQLite's own locks, too, a child must find none held."""
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember_many([Turn(text=f"turn {n} of the ferry", session="s") for n in range(50)])
        over = threading.Event()

        def work(verb):
            while not over.is_set():
                verb()

        verbs = (
            lambda: scope.remember("said meanwhile"), lambda: scope.recall("ferry", k=3),
            scope.stats, lambda: Memory.open(tmp_path / "b.db", embedder=None).close(),
        )  # fmt: skip
        threads = [threading.Thread(target=work, args=(verb,)) for verb in verbs]
        for thread in threads:
            thread.start()
        try:
            for _ in range(40):
                child = os.fork()
                if child == 0:
                    signal.alarm(20)  # whoever waits in vain is ended
                    try:
                        os._exit(0 if scope.count() >= 50 else 1)
                    finally:
                        os._exit(2)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        finally:
            over.set()
            for thread in threads:
                thread.join()
        assert memory.check().ok


INTERRUPTED = """
import os, sqlite3, sys
made = sqlite3.connect(sys.argv[1], isolation_level=None)
made.execute("PRAGMA cache_size = 1")
made.execute("BEGIN IMMEDIATE")
made.execute("CREATE TABLE half (text)")
made.executemany("INSERT INTO half VALUES (?)", [("x" * 3000,)] * 300)
os._exit(9)  # the journal lies beside the file, and half of the change is in it
"""


@pytest.mark.parametrize("made", [True, False])
def test_a_file_whose_making_was_killed_opens(tmp_path, made):
    path = tmp_path / "a.db"
    if made:
        with Memory.open(path) as memory:
            memory.scope("ann").remember("I moved to Oslo.")
        with sqlite3.connect(path) as plain:
            plain.execute("PRAGMA journal_mode = DELETE")
        plain.close()
    subprocess.run([sys.executable, "-c", INTERRUPTED, str(path)], check=False)
    assert Path(f"{path}-journal").exists()
    with pytest.raises(StoreReadOnly):
        Memory.open(path, read_only=True)
    with Memory.open(path) as memory:
        assert memory.scope("ann").count() == made
        assert memory.check().ok
