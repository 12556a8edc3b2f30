"""Async verbs that are cancelled at any moment: each is wholly there, or not at all.

python -m tests.campaigns.cancelled --times 2000 --seed 1
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from pathlib import Path

from stepwell import AsyncMemory, Filter, Turn

_BATCH = 7


async def campaign(path: Path, times: int, seed: int) -> dict[str, object]:
    """What was stored of verbs that were cancelled, and whether the rest is as it was."""
    draw = random.Random(seed)
    cancelled = half = lost = back = 0
    async with AsyncMemory.open(path, embedder=None) as memory:
        scope = memory.scope("a")
        sure: set[str] = set()
        gone: set[str] = set()
        maybe: dict[int, set[str]] = {}
        for number in range(times):
            names = [f"{number}-{n}" for n in range(_BATCH)]
            verb = draw.random()
            if verb < 0.6:
                turns = [Turn(id=name, text=f"said {name}", session="s") for name in names]
                call = scope.remember_many(turns)
            elif verb < 0.8 and sure:
                names = draw.sample(sorted(sure), min(3, len(sure)))
                call = scope.forget(names)
            else:
                names = []
                asking = (
                    lambda: scope.recall("said", k=3),
                    lambda: scope.context("said", budget=90),
                    lambda: scope.consolidate(budget=0.01),
                )
                call = draw.choice(asking)()
            task = asyncio.ensure_future(call)
            await asyncio.sleep(draw.choice([0, 0, 0.0001, 0.001, 0.004]))
            task.cancel()
            try:
                await task
                done = True
            except asyncio.CancelledError:
                done, cancelled = False, cancelled + 1
            if verb < 0.6:
                if done:
                    sure |= set(names)
                else:
                    maybe[number] = set(names)
            elif names:
                sure -= set(names)
                if done:
                    gone |= set(names)
        held = {r.turn for r in await scope.records(Filter(level=0), limit=10**6)}
        half = sum(0 < len(names & held) < len(names) for names in maybe.values())
        lost, back = len(sure - held), len(gone & held)
        report = await memory.check()
    return {
        "verbs": times, "cancelled": cancelled, "half done": half, "lost": lost, "back": back,
        "ok": report.ok and not half + lost + back,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(campaign(Path(folder) / "a.db", given.times, given.seed))
    print(json.dumps(result, indent=2))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
