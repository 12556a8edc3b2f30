"""The same said, seed and clock: the same ids, order and contexts, in whatever process.

    python -m tests.campaigns.same --runs 100

Each run is a process of its own, with another seed of hashes, and one or two threads for whoever
multiplies matrices.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.campaigns.soak import WORDS
from tests.campaigns.telling import progress
from tests.campaigns.verbs import WHEN

from stepwell import Filter, Memory, Scope, Turn
from stepwell.testing import FakeClock

ROOT = Path(__file__).resolve().parents[2]
_TURNS = 120


def answers(scope: Scope) -> list[Any]:
    """What is found, in its order, with its score, and what a model would be shown."""
    draw = random.Random(3)
    told: list[Any] = []
    for _ in range(8):
        asked = " ".join(draw.sample(WORDS, 3))
        for levels in (None, (1, 2, 3)):
            found = scope.recall(asked, k=10, levels=levels)
            told.append([(hit.record.id, hit.score.hex()) for hit in found])
        told.append(scope.context(asked, budget=300).text)
    return told


def story() -> dict[str, str]:
    """A digest of each part of what comes out."""
    draw = random.Random(5)
    parts: dict[str, Any] = {}
    with Memory.open(":memory:", seed=7, clock=FakeClock(WHEN), discover=False) as memory:
        parts["embedder"] = getattr(memory.embedder, "name", None)
        scope = memory.scope("ann")
        stored = scope.remember_many(
            Turn(text=f"{' '.join(draw.choices(WORDS, k=9))}.", session=f"s{n // 12}",
                 actor=draw.choice(("Ann", "Ben")))
            for n in range(_TURNS)
        ).stored  # fmt: skip
        parts["recalled"] = answers(scope)
        scope.consolidate()
        parts["recalled with levels"] = answers(scope)
        scope.forget([stored[n] for n in range(0, _TURNS, 7)])
        scope.feedback(stored[1], 1.0)
        scope.consolidate()
        parts["recalled after forgetting"] = answers(scope)
        every = scope.records(Filter(), limit=10**6)
        parts["records"] = [(r.id, r.level, r.text) for r in every]
    return {
        name: hashlib.sha256(json.dumps(part).encode()).hexdigest()[:16]
        for name, part in parts.items()
    }


def elsewhere(hashes: str, threads: str) -> dict[str, str]:
    """What a process of its own comes to."""
    around = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
    done = subprocess.run(
        [sys.executable, "-m", "tests.campaigns.same", "--one"], cwd=ROOT, check=True,
        env={**os.environ, **around, "PYTHONHASHSEED": hashes}, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def campaign(runs: int, seed: int) -> dict[str, Any]:
    """How many processes told the same, and which part differed in which."""
    draw = random.Random(seed)
    first: dict[str, str] = {}
    wrong = []
    with progress(runs) as step:
        for number in range(runs):
            told = elsewhere(str(draw.randrange(2**32)), str(1 + number % 2))
            first = first or told
            wrong += [{"run": number, "part": name} for name in first if told[name] != first[name]]
            step()
    return {"runs": runs, "parts": len(first), "wrong": wrong, "ok": bool(first) and not wrong}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--one", action="store_true", help="tell what this process comes to")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(story()))
        return 0
    result = campaign(given.runs, given.seed)
    print(json.dumps(result))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
