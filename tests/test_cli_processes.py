"""The command as a process: pipes that close, Ctrl-C, the demo, and how soon it is there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from stepwell import Memory, Turn
from stepwell.cli.demo import CONVERSATION

STEPWELL = [sys.executable, "-m", "stepwell"]


def test_the_demo_tells_its_story_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "stepwell", "demo"], cwd=tmp_path, check=False,
        capture_output=True, encoding="utf-8", timeout=120,
        env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert not list(tmp_path.iterdir())
    told = " ".join(done.stdout.split())
    assert "recalls: The bees have moved to the roof of the library." in told
    assert "'Leerdam' stands nowhere in the bytes of the files" in told
    assert "recall finds 0 turns" in told
    assert "Everything is in order." in told
    assert "\x1b" not in told


def test_the_conversation_is_one_turn_a_line_in_order_of_time() -> None:
    turns = [json.loads(line) for line in CONVERSATION.read_text(encoding="utf-8").splitlines()]
    assert all(set(t) == {"id", "session", "at", "actor", "role", "text"} for t in turns)
    assert len({turn["id"] for turn in turns}) == len(turns)
    assert [turn["at"] for turn in turns] == sorted(turn["at"] for turn in turns)


def test_a_pipe_that_closes_ends_a_command_in_silence(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        memory.scope("a").remember_many([Turn(text=f"word {n} " * 50) for n in range(2000)])
    command = [*STEPWELL, "records", "-n", "2000", "--json", "--store", str(tmp_path / "a.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout.read(1) == b"["
        child.stdout.close()
        assert child.wait(60) == 141
        assert child.stderr.read() == b""


def test_ctrl_c_ends_a_command_with_a_line_and_what_was_stored_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    command = [*STEPWELL, "remember", "--lines", "--store", str(path), "--scope", "a"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # What is begun in the background of a shell is deaf to it, and so would its children be.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread of ours holds a lock here
    ) as child:  # fmt: skip
        for n in range(600):  # more than one transaction's worth
            child.stdin.write(json.dumps({"id": f"t{n}", "text": f"said {n}"}).encode() + b"\n")
        child.stdin.flush()
        until = time.monotonic() + 60
        while not path.exists() or not held(path):
            assert time.monotonic() < until
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        wrong = child.stderr.read().decode()
        assert child.wait(60) == 130
    assert wrong.strip().count("\n") == 0
    assert wrong.strip().startswith("stepwell: interrupted")
    with Memory.open(path) as memory:
        assert memory.scope("a").count() == 500
        assert memory.check().ok


def held(path: Path) -> int:
    """How many turns are stored, asked by another process: this one opens no file by itself."""
    line = [*STEPWELL, "scopes", "--json", "--store", str(path)]
    done = subprocess.run(line, check=False, capture_output=True, text=True)
    told = json.loads(done.stdout or "[]")
    return told[0]["turns"] if told else 0


def test_whoever_imports_the_library_does_not_wait_for_the_command_line() -> None:
    asked = "import stepwell, sys; print(sorted({'click', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
