"""Load: turns come and go for long, and neither memory, file nor times grow with it.

    python -m tests.campaigns.soak --turns 1000000 --live 100000

A scope is kept at so many live turns: with each batch that comes the oldest are forgotten. Peak
memory, the file, and the slowest of a hundred questions are looked at after a tenth and in the end;
the questions are also asked while another thread consolidates.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from stepwell import Filter, Memory, Scope, Turn

_WORDS = ("ferry", "garden", "bakery", "printer", "rent", "violin", "boiler", "canoe", "archive",
          "piano", "sauna", "kiln", "beehive", "tandem", "harbour", "mill", "bridge")  # fmt: skip
_BATCH = 1_000
#: Bytes that a forgotten turn leaves at most: that its id is refused, and that it was there.
_TOMB = 160


def asked(scope: Scope, draw: random.Random, times: int = 100) -> dict[str, float]:
    """How long a question takes, in milliseconds."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        scope.recall(" ".join(draw.sample(_WORDS, 3)), k=10)
        taken.append(1000 * (time.perf_counter() - begun))
    taken.sort()
    return {"p50": round(taken[times // 2], 1), "p99": round(taken[int(times * 0.99) - 1], 1)}


def campaign(path: Path, turns: int, live: int, seed: int) -> dict[str, Any]:
    """The figures after a tenth of the turns, and after all of them."""
    draw = random.Random(seed)
    figures: list[dict[str, Any]] = []
    begun = time.monotonic()
    with Memory.open(path, embedder=None, cache_bytes=64 * 1024 * 1024) as memory:
        scope = memory.scope("a")
        for first in range(0, turns, _BATCH):
            scope.remember_many(
                Turn(
                    id=f"t{n}", session=f"s{n // _BATCH}",
                    text=" ".join(draw.choices(_WORDS, k=12)) + f" {n}",
                )
                for n in range(first, first + _BATCH)
            )  # fmt: skip
            if first >= live:
                scope.forget(where=Filter(session=f"s{(first - live) // _BATCH}", level=0))
            if first + _BATCH in (max(live, turns // 10), turns):
                memory.compact()
                figures.append(
                    {
                        "turns": first + _BATCH, "live": scope.count(Filter(level=0)),
                        "recall ms": asked(scope, draw), "bytes": memory.stats().bytes,
                        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                    }
                )  # fmt: skip
            if sys.stderr.isatty():
                print(f"\r{first + _BATCH}/{turns} turns", end="", file=sys.stderr)
        seconds = time.monotonic() - begun
        idle = asked(scope, draw)
        worker = threading.Thread(target=scope.consolidate, args=(20.0,))
        worker.start()
        busy = asked(scope, draw)
        worker.join()
        ok = memory.check().ok
    early, late = figures[0], figures[-1]
    tombs = _TOMB * (late["turns"] - late["live"])
    return {
        "figures": figures, "turns a second": round(turns / seconds),
        "bytes a forgotten turn leaves": round(
            (late["bytes"] - early["bytes"]) / max(1, late["turns"] - late["live"])
        ),
        "recall ms, idle": idle, "recall ms, consolidating": busy,
        "ok": ok and late["live"] <= live + _BATCH and late["bytes"] < 1.5 * early["bytes"] + tombs
        and late["peak MB"] < 1.25 * early["peak MB"] + 64,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=1_000_000)
    parser.add_argument("--live", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = campaign(Path(folder) / "a.db", given.turns, given.live, given.seed)
    print(json.dumps(result))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
