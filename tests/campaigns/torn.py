"""Torn write-ahead logs: cut at any byte, or with flipped bits, what opens is a clean prefix.

    python -m tests.campaigns.torn --cuts 200 --seed 1

A writer is killed before its log is written back; copies of file and log are damaged, and opened.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from stepwell import Memory
from stepwell.errors import StoreError

TURNS = 120


def write_and_die(path: str) -> None:
    """A store whose last turns stand in the log alone."""
    child = os.fork()
    if child == 0:
        memory = Memory.open(path, embedder=None)
        scope = memory.scope("torn")
        for i in range(TURNS):
            scope.remember(f"turn number {i} of the log", id=f"t{i}", session="s")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def damage(log: Path, draw: random.Random) -> str:
    """Cut the log, or flip up to eight bits of it; what was done."""
    held = bytearray(log.read_bytes())
    if draw.random() < 0.5:
        at = draw.randrange(len(held))
        log.write_bytes(held[:at])
        return f"cut at {at} of {len(held)}"
    places = [draw.randrange(len(held)) for _ in range(draw.randrange(1, 9))]
    for place in places:
        held[place] ^= 1 << draw.randrange(8)
    log.write_bytes(held)
    return f"bits flipped at {places}"


def look(path: str) -> list[str]:
    """What is wrong with what opens."""
    try:
        with Memory.open(path, embedder=None) as memory:
            scope = memory.scope("torn")
            held = [scope.get(f"t{i}") for i in range(TURNS)]
            there = [i for i, record in enumerate(held) if record is not None]
            wrong = [] if there == list(range(len(there))) else ["a turn is missing in the middle"]
            wrong += [
                f"turn {i} has another text"
                for i, record in enumerate(held)
                if record is not None and record.text != f"turn number {i} of the log"
            ]
            wrong += [f"check: {p.what}" for p in memory.check().problems]
            scope.remember("life goes on", id="next")
            if scope.get("next") is None:
                wrong.append("nothing can be stored any more")
            return wrong
    except StoreError:
        return []  # a clear word is an answer too


def campaign(cuts: int, seed: int, folder: str, progress: bool = False) -> dict[str, object]:
    """The whole campaign; `wrong` is empty when every promise held."""
    draw = random.Random(seed)
    source = Path(folder) / "source.db"
    write_and_die(str(source))
    wrong: list[str] = []
    for number in range(cuts):
        path = Path(folder) / f"torn{number}.db"
        shutil.copy(source, path)
        shutil.copy(f"{source}-wal", f"{path}-wal")
        what = damage(Path(f"{path}-wal"), draw)
        child = os.fork()
        if child == 0:
            try:
                found = look(str(path))
            except BaseException as error:  # noqa: BLE001 - told to the parent
                found = [f"{type(error).__name__}: {error}"]
            Path(f"{path}.wrong").write_text(json.dumps(found))
            os._exit(0)
        os.waitpid(child, 0)
        wrong += [f"{what}: {w}" for w in json.loads(Path(f"{path}.wrong").read_text())]
        for left in Path(folder).glob(f"torn{number}.db*"):
            left.unlink()
        if progress:
            print(f"\r{number + 1}/{cuts} logs", end="", file=sys.stderr)
    return {"cuts": cuts, "wrong": wrong}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = campaign(options.cuts, options.seed, folder, progress=True)
    print(file=sys.stderr)
    print(json.dumps(result))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
