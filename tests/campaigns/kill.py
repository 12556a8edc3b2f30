"""kill -9 at random points: nothing acknowledged is lost, nothing forgotten comes back.

    python -m tests.campaigns.kill --kills 1000 --seed 1

A child works on one file and says through a pipe what it begins and what was acknowledged; the
parent kills it after a random time, and a second child looks at what is left. All lives share the
file.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from stepwell import Filter, Memory, Turn

_SEARCH = """
import pathlib, sys
found = set()
marks = sys.stdin.read().split()
for path in sys.argv[1:]:
    held = pathlib.Path(path).read_bytes() if pathlib.Path(path).exists() else b""
    found.update(mark for mark in marks if mark.encode() in held)
print(len(found), *sorted(found)[:5])
"""


@dataclass
class Expected:
    """What must be there and what must not, kept outside of the processes that are killed."""

    there: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)


def text_of(turn_id: str) -> str:
    """What was said in a turn: a mark that stands nowhere else."""
    return f"this was said in mark-{turn_id}-end"


def live(path: str, pipe: int, seed: int, there: set[str]) -> None:
    """Work until killed. Settings and sizes are drawn anew in each life."""
    draw = random.Random(seed)
    mine = sorted(there)
    largest = draw.choice((3, 40, 400))

    def say(*words: object) -> None:
        os.write(pipe, (json.dumps(words) + "\n").encode())

    memory = Memory.open(path, embedder=None)
    scope = memory.scope("campaign")
    count = 0
    while True:
        count += 1
        chance = draw.random()
        session = f"s{draw.randrange(9)}"
        if chance < 0.5 or not mine:
            ids = [f"{seed}-{count}"]
            say("begin", "add", ids)
            receipt = scope.remember(text_of(ids[0]), id=ids[0], session=session)
            assert receipt.stored == (ids[0],)
            say("done")
            mine += ids
        elif chance < 0.7:
            ids = [f"{seed}-{count}-{i}" for i in range(draw.randrange(2, largest))]
            say("begin", "add", ids)
            scope.remember_many([Turn(id=i, text=text_of(i), session=session) for i in ids])
            say("done")
            mine += ids
        elif chance < 0.9:
            ids = [mine.pop(draw.randrange(len(mine)))]
            say("begin", "forget", ids)
            scope.forget(ids[0])
            say("done")
        elif chance < 0.95:
            scope.consolidate()
        else:
            memory.close()
            memory = Memory.open(path, embedder=None)
            scope = memory.scope("campaign")


def look(
    path: str, expected: Expected, doing: list[object] | None, draw: random.Random
) -> list[str]:
    """What is wrong after a life; `doing` is what was begun and not acknowledged."""
    wrong = []
    with Memory.open(path, embedder=None) as memory:
        scope = memory.scope("campaign")
        verb, ids = (doing[1], set(doing[2])) if doing else (None, set())  # type: ignore[call-overload]  # from JSON
        half = {i for i in ids if scope.get(i) is not None}
        if verb == "add" and half not in (set(), ids):
            wrong.append("half a batch is there")
        there = (expected.there - ids) | half
        held = scope.count(Filter(level=0))
        if held != len(there):
            wrong.append(f"{held} turns are there instead of {len(there)}")
        for i in draw.sample(sorted(there), min(len(there), 50)):
            record = scope.get(i)
            if record is None or record.text != text_of(i):
                wrong.append(f"turn {i} is lost or changed")
        gone = expected.gone | (ids - half if verb == "forget" else set())
        for i in draw.sample(sorted(gone), min(len(gone), 20)):
            if scope.get(i) is not None or scope.recall(f"mark-{i}-end", k=1, where=Filter(id=i)):
                wrong.append(f"forgotten turn {i} is back")
            if scope.remember("again", id=i).stored:
                wrong.append(f"forgotten turn {i} could be sent again")
        report = memory.check()
        wrong += [f"check: {p.what}: {p.where}" for p in report.problems]
    Path(path + ".state").write_text(json.dumps([sorted(there), sorted(gone)]))
    return wrong


def acknowledged(lines: list[str], expected: Expected) -> tuple[list[object] | None, list[str]]:
    """Take in what a child said; what it had begun without an end, and what is wrong."""
    doing: list[object] | None = None
    wrong: list[str] = []
    for line in lines:
        said = json.loads(line)
        if said[0] == "failed":
            wrong.append(f"the child failed: {said[1:]}")
        elif said[0] == "begin":
            doing = said
        elif doing is not None:
            ids = set(doing[2])  # type: ignore[call-overload]  # from JSON
            if doing[1] == "add":
                expected.there |= ids
            else:
                expected.there -= ids
                expected.gone |= ids
            doing = None
    return doing, wrong


def one_life(path: str, expected: Expected, draw: random.Random) -> list[str]:
    """One child, one kill, one look."""
    seed = draw.randrange(10**9)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            live(path, writing, seed, expected.there)
        except BaseException as error:  # noqa: BLE001 - told to the parent
            os.write(
                writing, (json.dumps(["failed", type(error).__name__, str(error)]) + "\n").encode()
            )
        os._exit(1)
    os.close(writing)
    time.sleep(draw.uniform(0.002, 0.08))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        lines = pipe.read().decode().split("\n")[:-1]
    doing, wrong = acknowledged(lines, expected)
    # In a process of its own: this one forks, and must hold no connection then.
    child = os.fork()
    if child == 0:
        try:
            found = look(path, expected, doing, draw)
        except BaseException as error:  # noqa: BLE001 - told to the parent
            found = [f"looking failed: {type(error).__name__}: {error}"]
        Path(path + ".wrong").write_text(json.dumps(found))
        os._exit(0)
    os.waitpid(child, 0)
    wrong += json.loads(Path(path + ".wrong").read_text())
    if not wrong:
        there, gone = json.loads(Path(path + ".state").read_text())
        expected.there, expected.gone = set(there), set(gone)
    return wrong


def forgotten_bytes(path: str, expected: Expected) -> list[str]:
    """Marks of forgotten turns that a child process still finds in the files."""
    marks = "\n".join(f"mark-{i}-end" for i in sorted(expected.gone))
    files = [path, path + "-wal", path + "-shm"]
    done = subprocess.run(
        [sys.executable, "-c", _SEARCH, *files],
        input=marks,
        text=True,
        capture_output=True,
        check=True,
    )
    count, *some = done.stdout.split()
    return [f"{count} forgotten marks are in the files: {some}"] if count != "0" else []


def campaign(kills: int, seed: int, folder: str, progress: bool = False) -> dict[str, object]:
    """The whole campaign; `wrong` is empty when every promise held."""
    draw = random.Random(seed)
    expected = Expected()
    path = str(Path(folder) / "kill.db")
    wrong: list[str] = []
    begun = time.monotonic()
    for number in range(1, kills + 1):
        wrong = one_life(path, expected, draw)
        if progress:
            print(f"\r{number}/{kills} kills, {len(expected.there)} turns", end="", file=sys.stderr)
        if wrong:
            break
    if not wrong:
        child = os.fork()
        if child == 0:
            Memory.open(path, embedder=None).close()
            os._exit(0)
        os.waitpid(child, 0)
        wrong = forgotten_bytes(path, expected)
    return {
        "kills": number, "turns": len(expected.there), "forgotten": len(expected.gone),
        "seconds": round(time.monotonic() - begun, 1), "wrong": wrong,
    }  # fmt: skip


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = campaign(options.kills, options.seed, folder, progress=True)
    print(file=sys.stderr)
    print(json.dumps(result))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
