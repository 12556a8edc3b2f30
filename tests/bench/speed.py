"""How fast it is, on this machine: figures to compare within one run.

python -m tests.bench.speed [--data DIR] [--sizes 600,10000,100000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.texts import Texts

from stepwell import Memory

_IMPORT = "import time; t = time.perf_counter(); import stepwell; print(time.perf_counter() - t)"
_OPEN = """
import sys, time
from stepwell import Memory
begun = time.perf_counter()
memory = Memory.open(sys.argv[1], embedder=None)
memory.scope(sys.argv[2]).recall(sys.argv[3])
print(time.perf_counter() - begun)
"""


def one_at_a_time(folder: Path, texts: Texts, count: int = 1500) -> dict[str, float]:
    """`remember` beside a bare commit of the same bytes, turn by turn in one run."""
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute("CREATE TABLE turns (id INTEGER PRIMARY KEY, text TEXT)")
    ours: list[float] = []
    theirs: list[float] = []
    with Memory.open(folder / "ours.db", embedder=None) as memory:
        scope = memory.scope("bench")
        for turn in texts.turns(count):
            begun = time.perf_counter()
            bare.execute("BEGIN IMMEDIATE")
            bare.execute("INSERT INTO turns (text) VALUES (?)", (turn.text,))
            bare.execute("COMMIT")
            between = time.perf_counter()
            scope.remember(turn)
            ours.append(time.perf_counter() - between)
            theirs.append(between - begun)
    bare.close()
    return {
        "remember_p50_ms": 1e3 * statistics.median(ours),
        "remember_p95_ms": 1e3 * statistics.quantiles(ours, n=20)[18],
        "bare_commit_p50_ms": 1e3 * statistics.median(theirs),
        "ratio_of_medians": statistics.median(ours) / statistics.median(theirs),
    }


def in_batches(folder: Path, texts: Texts) -> dict[str, float]:
    """`remember_many`, turns a second."""
    rates = {}
    with Memory.open(folder / "batches.db", embedder=None) as memory:
        for size, total in ((1000, 20_000), (10_000, 20_000)):
            scope = memory.scope(f"by {size}")
            taken = 0.0
            for start in range(0, total, size):
                turns = texts.turns(size, start)
                begun = time.perf_counter()
                scope.remember_many(turns)
                taken += time.perf_counter() - begun
            rates[f"remember_many_{size}_turns_per_s"] = total / taken
    return rates


def recalling(folder: Path, texts: Texts, sizes: list[int]) -> dict[str, float]:
    """`recall` with k = 10 over scopes of several sizes in one file; opening anew beside them."""
    figures: dict[str, float] = {}
    path = folder / "recall.db"
    with Memory.open(path, embedder=None) as memory:
        for size in sizes:
            scope = memory.scope(f"of {size}")
            for start in range(0, size, 5000):
                scope.remember_many(texts.turns(min(5000, size - start), start))
            scope.recall(texts.questions[0])
            taken = []
            for question in texts.questions[:100]:
                begun = time.perf_counter()
                scope.recall(question, k=10)
                taken.append(time.perf_counter() - begun)
            figures[f"recall_{size}_p50_ms"] = 1e3 * statistics.median(taken)
            figures[f"recall_{size}_p95_ms"] = 1e3 * statistics.quantiles(taken, n=20)[18]
        memory.scope("tiny").remember_many(texts.turns(10))
    figures["bytes_a_turn"] = path.stat().st_size / (sum(sizes) + 10)
    question = texts.questions[0]
    for name, scope_name in (("open_to_first_answer", f"of {sizes[-1]}"), ("open_tiny", "tiny")):
        figures[f"{name}_s"] = min(fresh(_OPEN, str(path), scope_name, question) for _ in range(3))
    with Memory.open(path, embedder=None) as memory:
        begun = time.perf_counter()
        memory.scope("tiny").recall(question)
        figures["tiny_scope_first_recall_ms"] = 1e3 * (time.perf_counter() - begun)
    return figures


def fresh(code: str, *arguments: str) -> float:
    """What a fresh interpreter measures."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--sizes", default="600,10000,100000")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    texts = Texts(options.data)
    print("texts:", "real" if texts.real else "made up", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        figures = one_at_a_time(Path(folder), texts)
        figures |= in_batches(Path(folder), texts)
        figures |= recalling(Path(folder), texts, [int(s) for s in options.sizes.split(",")])
    figures["import_s"] = min(fresh(_IMPORT) for _ in range(5))
    figures["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for name, value in figures.items():
        print(f"{name:36} {value:12,.3f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
