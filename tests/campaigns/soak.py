"""Load: people come, talk, ask, have things forgotten, and go; nothing grows but what is kept.

    python -m tests.campaigns.soak --turns 1000000

Twenty people at once, each with a scope, say some turns and ask as many questions; a fifth of what
they said is forgotten, and what is left is consolidated. Who has said a thousand turns makes room
for somebody new. After each tenth the file is compacted, and memory, file and times are looked at;
the first tenth warms up. A fixed piece of computing is timed beside, as the measure of what the
machine had left for this.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stepwell import Filter, Memory, Scope

WORDS = ("ferry", "garden", "bakery", "printer", "rent", "violin", "boiler", "canoe", "archive",
         "piano", "sauna", "kiln", "beehive", "tandem", "harbour", "mill", "bridge")  # fmt: skip
_PEOPLE = 20
_LIFE = 1_000
_VISIT = 50
_FORGOTTEN = 10


def resident() -> int:
    """Megabytes of memory that this process holds now; at most, where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return pages * resource.getpagesize() // 2**20


def yardstick() -> float:
    """Milliseconds that a fixed piece of computing takes: the best of five."""
    taken = []
    for _ in range(5):
        begun = time.perf_counter()
        sum(len(str(n)) for n in range(50_000))
        taken.append(1000 * (time.perf_counter() - begun))
    return round(min(taken), 2)


class Taken:
    """How long the calls of each verb took."""

    def __init__(self) -> None:
        self._taken: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def __call__(self, verb: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self._taken[verb].append(1000 * (time.perf_counter() - begun))

    def figures(self) -> dict[str, dict[str, float]]:
        """Milliseconds of each verb; it begins anew."""
        told = {}
        for verb, taken in self._taken.items():
            taken.sort()
            told[verb] = {"p50": round(taken[len(taken) // 2], 2),
                          "p99": round(taken[int(len(taken) * 0.99)], 2)}  # fmt: skip
        self._taken.clear()
        return told


def visit(scope: Scope, said: int, draw: random.Random, took: Taken) -> None:
    """What one person does before the next one's turn."""
    session = f"s{said}"
    for number in range(said, said + _VISIT):
        with took("remember"):
            text = " ".join(draw.choices(WORDS, k=12))
            scope.remember(f"{text} {number}", id=f"t{number}", session=session)
        with took("recall"):
            scope.recall(" ".join(draw.sample(WORDS, 3)), k=10)
    for number in draw.sample(range(said, said + _VISIT), _FORGOTTEN):
        with took("forget"):
            scope.forget(f"t{number}")
    with took("consolidate"):
        scope.consolidate()


def campaign(path: Path, turns: int, seed: int, progress: bool = False) -> dict[str, Any]:
    """The figures of each tenth."""
    draw = random.Random(seed)
    took = Taken()
    tenths: list[dict[str, Any]] = []
    begun, done, come = time.monotonic(), 0, _PEOPLE
    with Memory.open(path, cache_bytes=64 * 1024 * 1024) as memory:
        here = [(memory.scope(f"person {n}"), 0) for n in range(_PEOPLE)]
        while done < turns:
            at = draw.randrange(_PEOPLE)
            scope, said = here[at]
            visit(scope, said, draw, took)
            here[at] = scope, said + _VISIT
            if said + _VISIT >= _LIFE:
                here[at] = memory.scope(f"person {come}"), 0
                come += 1
            done += _VISIT
            if done * 10 // turns > len(tenths):
                memory.compact()
                gc.collect()
                stats = memory.stats()
                paths = memory.scopes()
                live = sum(memory.scope(*p).count(Filter(level=0)) for p in paths)
                tenths.append({
                    "turns": done, "live": live, "MB": resident(),
                    "bytes a live turn": round(stats.bytes / live), "ms": took.figures(),
                    "yardstick ms": yardstick(),
                })  # fmt: skip
                if progress:
                    print(json.dumps(tenths[-1]), file=sys.stderr, flush=True)
        ok = memory.check().ok and live == done - done // _VISIT * _FORGOTTEN
    warm, late = tenths[1], tenths[-1]
    grown = {
        "memory": round(late["MB"] / warm["MB"], 2),
        "bytes a live turn": round(late["bytes a live turn"] / warm["bytes a live turn"], 2),
        **{f"{verb} p99": round(late["ms"][verb]["p99"] / warm["ms"][verb]["p99"], 2)
           for verb in ("remember", "recall")},
        "yardstick": round(late["yardstick ms"] / warm["yardstick ms"], 2),
    }  # fmt: skip
    flat = grown["memory"] <= 1.05 or late["MB"] - warm["MB"] <= 16
    return {
        "turns": done, "people": come, "forgotten": done // _VISIT * _FORGOTTEN,
        "minutes": round((time.monotonic() - begun) / 60, 1), "grown": grown,
        "tenths": [warm, late], "ok": ok and flat and grown["bytes a live turn"] <= 1.5,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = campaign(Path(folder) / "a.db", given.turns, given.seed, progress=True)
    print(json.dumps(result))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
