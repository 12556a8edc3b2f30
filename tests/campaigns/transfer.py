"""How fast a scope goes into a file and comes out of it, and in how much memory, at several sizes.

    python -m tests.campaigns.transfer --turns 25000 100000

Each step runs in a process of its own, whose peak memory is read at its end. Besides our own format
a ChatGPT export of as many messages is imported.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from stepwell import Memory, Turn

_SAID = "the ferry to Oslo leaves at noon with bread and rain for Alice reading a book"
_WORDS = _SAID.split()


def _text(number: int) -> str:
    return " ".join(_WORDS[(number * step + step) % len(_WORDS)] for step in range(1, 25))


def fill(folder: Path, turns: int) -> None:
    """A store of so many turns, in sessions of fifty, and a ChatGPT export of as many."""
    with Memory.open(folder / "from.db", embedder=None) as memory:
        scope = memory.scope("a")
        for start in range(0, turns, 1000):
            scope.remember_many(
                Turn(text=_text(i), actor="Alice", session=f"s{i // 50}", id=f"t{i}")
                for i in range(start, min(start + 1000, turns))
            )
    with (folder / "chatgpt.json").open("w") as file:
        file.write("[")
        for start in range(0, turns, 50):
            file.write("," * bool(start) + json.dumps(dict(_conversation(start))))
        file.write("]")


def _conversation(start: int) -> Iterator[tuple[str, object]]:
    nodes = {}
    for i in range(start, start + 50):
        role = "assistant" if i % 2 else "user"
        nodes[f"n{i}"] = {
            "id": f"n{i}", "parent": f"n{i - 1}" if i > start else None, "children": [],
            "message": {
                "id": f"n{i}", "author": {"role": role}, "create_time": 1.7e9 + i,
                "content": {"content_type": "text", "parts": [_text(i)]},
            },
        }  # fmt: skip
    yield from {"id": f"c{start}", "mapping": nodes, "current_node": f"n{start + 49}"}.items()


def step(name: str, folder: Path) -> None:
    """One step, and what it took."""
    if name == "fill":
        turns = int((folder / "turns").read_text())
        fill(folder, turns)
        return
    stores = {"export": "from.db", "import": "to.db", "again": "to.db", "chatgpt": "other.db"}
    with Memory.open(folder / stores[name], embedder=None) as memory:
        scope = memory.scope("a")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun = time.perf_counter()
        if name == "export":
            counts = scope.export(folder / "a.jsonl").counts
        elif name == "chatgpt":
            counts = scope.import_(folder / "chatgpt.json").counts
        else:
            counts = scope.import_(folder / "a.jsonl").counts
        seconds = time.perf_counter() - begun
    done = counts["turns"] + counts.get("known", 0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = {
        "turns/s": round(done / seconds),
        "peak MB": peak // 1024,
        "of it": (peak - before) // 1024,
    }
    sys.stdout.write(json.dumps(told) + "\n")


def main() -> None:
    """Run all steps at all sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, nargs="+", default=[25_000, 100_000])
    parser.add_argument("--step")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.step:
        step(given.step, given.folder)
        return
    for turns in given.turns:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "turns").write_text(str(turns))
            # Peaks are inherited: nothing that takes memory runs in this process.
            for name in ("fill", "export", "import", "again", "chatgpt"):
                call = [sys.executable, "-m", "tests.campaigns.transfer", "--step", name]
                done = subprocess.run(
                    [*call, "--folder", folder], check=True, capture_output=True, text=True
                )
                if done.stdout:
                    sys.stdout.write(f"{turns:>8} {name:>8} {done.stdout.strip()}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
