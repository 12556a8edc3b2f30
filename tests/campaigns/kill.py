"""kill -9 at random moments: nothing acknowledged is lost, nothing forgotten comes back.

    python -m tests.campaigns.kill --kills 1000 --processes 4 --seed 1

One to four processes work on one file by all verbs that write, and say through pipes what they
begin and what was acknowledged; the parent kills them, each at a moment of its own, and another
process looks at what is left. All lives share the file. With `--grown 100000` it holds so many
turns more, in another scope, and opening it after a kill is timed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.campaigns.killing import Expected, Life, acknowledged, look, opened
from tests.campaigns.points import elsewhere
from tests.campaigns.telling import progress

from stepwell import Turn

_SEARCH = """
import pathlib, sys
found = set()
marks = sys.stdin.read().split()
for path in sys.argv[1:]:
    held = pathlib.Path(path).read_bytes() if pathlib.Path(path).exists() else b""
    found.update(mark for mark in marks if mark.encode() in held)
print(len(found), *sorted(found)[:5])
"""


def begun(path: str, number: str, seed: int, expected: Expected) -> tuple[int, int]:
    """A process that lives until it is killed, and the pipe through which it speaks."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            Life(path, writing, seed, number, expected).run()
        except BaseException as error:  # noqa: BLE001 - told to the parent
            said = json.dumps(["failed", type(error).__name__, str(error)])
            os.write(writing, f"{said}\n".encode())
        os._exit(1)
    os.close(writing)
    return child, reading


def one_round(
    path: str, expected: Expected, processes: int, draw: random.Random
) -> tuple[list[str], Expected, float]:
    """Some processes, a kill for each of them, and one look."""
    seed = draw.randrange(10**9)
    children = [begun(path, str(n), seed, expected) for n in range(processes)]
    said = {pipe: b"" for _, pipe in children}
    for child, _ in draw.sample(children, processes):
        until = time.monotonic() + draw.uniform(0.01, 0.2)
        while time.monotonic() < until:
            # Pipes are short: who is not listened to would stand still.
            for each in said:
                os.set_blocking(each, False)
                said[each] += _heard(each)
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    doing: list[list[Any]] = []
    wrong: list[str] = []
    for _, pipe in children:
        os.set_blocking(pipe, True)
        with os.fdopen(pipe, "rb") as rest:
            lines = (said[pipe] + rest.read()).decode().split("\n")[:-1]
        unfinished, failed = acknowledged(lines, expected)
        doing, wrong = doing + unfinished, wrong + failed

    # In a process of its own: this one forks, and must hold no connection then.
    def looked() -> Any:
        found, now, taken = look(path, expected, doing, draw)
        return found, {**asdict(now), "gone": sorted(now.gone)}, taken

    _, told = elsewhere(looked)
    if isinstance(told, dict):
        return [*wrong, f"looking failed: {told['failed']}"], expected, 0.0
    found, now, taken = told
    return wrong + found, Expected(**{**now, "gone": set(now["gone"])}), taken


def _heard(pipe: int) -> bytes:
    try:
        return os.read(pipe, 1 << 16)
    except BlockingIOError:
        return b""


def grown(path: str, turns: int) -> None:
    """So many turns in another scope."""
    with opened(path) as memory:
        for first in range(0, turns, 1000):
            memory.scope("grown").remember_many(
                Turn(id=f"g{n}", text=f"the {n}th turn of many", session=f"s{n // 50}")
                for n in range(first, first + 1000)
            )


def forgotten_bytes(path: str, expected: Expected) -> list[str]:
    """Marks of forgotten turns that a child process still finds in the files."""
    marks = "\n".join(f"mark-{i}-end" for i in sorted(expected.gone))
    files = [path, path + "-wal", path + "-shm"]
    done = subprocess.run(
        [sys.executable, "-c", _SEARCH, *files],
        input=marks, text=True, capture_output=True, check=True,
    )  # fmt: skip
    count, *some = done.stdout.split()
    return [f"{count} forgotten marks are in the files: {some}"] if count != "0" else []


def campaign(
    kills: int, seed: int, folder: str, *, processes: int = 1, turns: int = 0, shown: bool = False
) -> dict[str, Any]:
    """The whole campaign; `wrong` is empty when every promise held."""
    draw, began = random.Random(seed), time.monotonic()
    expected, slowest, done = Expected(), 0.0, 0
    path = str(Path(folder) / "kill.db")
    wrong: list[str] = []
    if turns:
        elsewhere(lambda: grown(path, turns))
    # What was found by then is told.
    with contextlib.suppress(KeyboardInterrupt), progress(kills, shown) as step:
        while done < kills and not wrong:
            number = draw.randint(1, processes)
            wrong, expected, taken = one_round(path, expected, number, draw)
            slowest = max(slowest, taken)
            done += number
            step(number, f"{len(expected.there)} turns")
    if not wrong:
        # Whoever was killed while forgetting left that to the next who opens the file.
        elsewhere(lambda: opened(path).close())
        wrong = forgotten_bytes(path, expected)
    return {
        "kills": done, "processes": processes, "turns": len(expected.there),
        "forgotten": len(expected.gone), "slowest opening and first recall, ms": round(slowest),
        "turns beside": turns, "seconds": round(time.monotonic() - began, 1), "wrong": wrong,
    }  # fmt: skip


def main() -> int:
    """The command."""
    # Also in the background of a shell: whoever has enough of it is told what was found.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--grown", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = campaign(
            options.kills, options.seed, folder, processes=options.processes, turns=options.grown,
            shown=True,
        )  # fmt: skip
    print(json.dumps(result))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
