"""Questions while another thread, or another process, consolidates: how long they take.

    python -m tests.campaigns.asking --turns 100000

Users ask, with a short pause after each answer; first nobody else does anything, then a thread of
the same process consolidates what was stored, then another process does.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.campaigns.soak import WORDS

from stepwell import Memory, Scope, Turn

_PAUSE = 0.01
_CONSOLIDATE = """
import sys
from stepwell import Memory
with Memory.open(sys.argv[1]) as memory:
    memory.scope("a").consolidate(float(sys.argv[2]))
"""


def stored(path: Path, turns: int, draw: random.Random) -> None:
    """A file with so many turns, in sessions of fifty, and nothing made of them yet."""
    with Memory.open(path) as memory:
        for first in range(0, turns, 1000):
            memory.scope("a").remember_many(
                Turn(
                    id=f"t{n}", session=f"s{n // 50}",
                    text=" ".join(draw.choices(WORDS, k=12)) + f" {n}",
                )
                for n in range(first, min(turns, first + 1000))
            )  # fmt: skip


def asked(scope: Scope, draw: random.Random, goes_on: Callable[[int], bool]) -> dict[str, float]:
    """How long questions take, in milliseconds."""
    taken: list[float] = []
    while goes_on(len(taken)):
        begun = time.perf_counter()
        scope.recall(" ".join(draw.sample(WORDS, 3)), k=10)
        taken.append(1000 * (time.perf_counter() - begun))
        time.sleep(_PAUSE)
    taken.sort()
    count = len(taken)
    figures = {q: round(taken[int(count * share)], 1)
               for q, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))}  # fmt: skip
    return {"asked": count, **figures}


def campaign(folder: Path, turns: int, seconds: float, seed: int) -> dict[str, Any]:
    """The figures, and how many times as long the slowest of a hundred takes."""
    draw = random.Random(seed)
    path = folder / "a.db"
    stored(path, turns, draw)
    figures: dict[str, dict[str, float]] = {}
    with Memory.open(path) as memory:
        scope = memory.scope("a")
        scope.recall("ferry")
        figures["nobody else"] = asked(scope, draw, lambda count: count < 300)
        thread = threading.Thread(target=scope.consolidate, args=(seconds,))
        thread.start()
        figures["a thread consolidates"] = asked(scope, draw, lambda _: thread.is_alive())
        thread.join()
        figures["nobody else, after"] = asked(scope, draw, lambda count: count < 300)
        process = subprocess.Popen(
            [sys.executable, "-c", _CONSOLIDATE, str(path), str(seconds)],
        )
        figures["a process consolidates"] = asked(scope, draw, lambda _: process.poll() is None)
        ok = memory.check().ok and process.returncode == 0
    idle = max(figures[name]["p99"] for name in ("nobody else", "nobody else, after"))
    times = {name: round(figures[f"a {name} consolidates"]["p99"] / idle, 2)
             for name in ("thread", "process")}  # fmt: skip
    return {"turns": turns, "ms": figures, "p99 to idle": times, "ok": ok}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = campaign(Path(folder), given.turns, given.seconds, given.seed)
    print(json.dumps(result))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
