"""The examples run, as a reader would run them."""

import json
import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def test_the_quickstart_runs_and_prints_its_receipt(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / "quickstart.py"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert not list(tmp_path.iterdir()), "the tour leaves nothing behind"
    told = " ".join(done.stdout.split())
    assert "complete True" in told
    assert "recall finds 0 turns" in told
    assert re.search("'Leerdam' stands (once|twice|[0-9]+ times) in the files on disk", told)
    assert "'Leerdam' stands nowhere in the files on disk" in told
    assert "Everything is in order" in told


def test_the_conversation_is_one_turn_a_line_in_order_of_time() -> None:
    lines = (EXAMPLES / "conversation.jsonl").read_text(encoding="utf-8").splitlines()
    turns = [json.loads(line) for line in lines]
    assert all(set(t) == {"id", "session", "at", "actor", "role", "text"} for t in turns)
    assert len({turn["id"] for turn in turns}) == len(turns)
    assert [turn["at"] for turn in turns] == sorted(turn["at"] for turn in turns)
