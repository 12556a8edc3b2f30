"""How fast it is on this machine. Figures of one run compare; those of two machines do not."""

from __future__ import annotations

import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from stepwell import Memory, Scope
from stepwell_bench.documents import peak_rss_mb
from stepwell_bench.texts import Texts

SIZES: Final = (600, 10_000, 100_000)

_IMPORT: Final = (
    "import time; t = time.perf_counter(); import stepwell; print(time.perf_counter() - t)"
)
_OPEN: Final = """
import sys, time
from stepwell import Memory
begun = time.perf_counter()
memory = Memory.open(sys.argv[1])
memory.scope(sys.argv[2]).recall(sys.argv[3])
print(time.perf_counter() - begun)
"""

#: Called with what is measured next.
Step = Callable[[str], None]


def measure(
    texts: Texts, sizes: Sequence[int] = SIZES, step: Step | None = None, *,
    embedder: str | None = "default",
) -> dict[str, float]:  # fmt: skip
    """All figures of speed, by names that end in their unit. Without an embedder: words alone.

    `ratio_of_medians` is `remember`, one turn a call, over a bare SQLite commit of the same text,
    turn by turn in the same run: what the disk gives both of them is the same.
    """
    tell = step or (lambda _: None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tell("one turn a call")
        figures = one_at_a_time(folder, texts, embedder)
        tell("many turns a call")
        figures |= in_batches(folder, texts, embedder)
        figures |= recalling(folder, texts, sizes, tell, embedder)
    tell("importing")
    figures["import_s"] = min(_fresh(_IMPORT) for _ in range(5))
    figures["peak_rss_mb"] = peak_rss_mb()
    return figures


def one_at_a_time(
    folder: Path, texts: Texts, embedder: str | None, count: int = 1500
) -> dict[str, float]:
    """`remember` beside a bare commit of the same text."""
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute("CREATE TABLE turns (id INTEGER PRIMARY KEY, text TEXT)")
    ours: list[float] = []
    theirs: list[float] = []
    with Memory.open(folder / "ours.db", embedder=embedder) as memory:
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


def in_batches(
    folder: Path, texts: Texts, embedder: str | None, total: int = 20_000
) -> dict[str, float]:
    """`remember_many`, turns a second."""
    rates = {}
    with Memory.open(folder / "batches.db", embedder=embedder) as memory:
        for size in (1_000, 10_000):
            taken = _fill(memory.scope(f"by {size}"), texts, total, size)
            rates[f"remember_many_{size}_turns_per_s"] = total / taken
    return rates


def recalling(
    folder: Path,
    texts: Texts,
    sizes: Sequence[int],
    tell: Step,
    embedder: str | None,
    asked: int = 100,
) -> dict[str, float]:
    """`recall` with k = 10 over scopes of several sizes in one file; opening anew beside them."""
    figures: dict[str, float] = {}
    path = folder / "recall.db"
    questions = texts.questions[:asked]
    with Memory.open(path, embedder=embedder) as memory:
        for size in sizes:
            tell(f"a question among {size:,} turns")
            scope = memory.scope(f"of {size}")
            _fill(scope, texts, size, 5_000)
            scope.recall(questions[0])
            taken = []
            for question in questions:
                begun = time.perf_counter()
                scope.recall(question, k=10)
                taken.append(time.perf_counter() - begun)
            figures[f"recall_{size}_p50_ms"] = 1e3 * statistics.median(taken)
            figures[f"recall_{size}_p95_ms"] = 1e3 * statistics.quantiles(taken, n=20)[18]
    # Closed, so that nothing of it waits in a write-ahead log.
    figures["bytes_per_turn"] = path.stat().st_size / sum(sizes)
    tell("opening")
    figures["open_to_first_answer_s"] = min(
        _fresh(_OPEN, str(path), f"of {sizes[-1]}", questions[0]) for _ in range(3)
    )
    return figures


def _fill(scope: Scope, texts: Texts, total: int, batch: int) -> float:
    """Seconds that remembering so many turns took, in batches; making them is not counted."""
    taken = 0.0
    for start in range(0, total, batch):
        turns = texts.turns(min(batch, total - start), start)
        begun = time.perf_counter()
        scope.remember_many(turns)
        taken += time.perf_counter() - begun
    return taken


def _fresh(code: str, *arguments: str) -> float:
    """What a fresh interpreter measures, in seconds."""
    done = subprocess.run(  # noqa: S603 - this interpreter, and a program of ours
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return float(done.stdout)
