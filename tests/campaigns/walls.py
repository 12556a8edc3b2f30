"""The wall between scopes: whatever is done in fifty of them, none tells anything of another.

    python -m tests.campaigns.walls --steps 10000 --seed 1

Each scope has a word of its own in all it holds, and a path that is easily taken for another's.
Every verb is used with ids, filters and questions of any scope.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from stepwell import Filter, Memory, Scope
from stepwell.errors import StepwellError

_NAMES = ("a", "A", "a.b", "ab", "a/b", "..", "%", "_", "*", "ａ", "а", "a ", "a\u200b", "' OR 1=1")
_WORD = re.compile(r"canary\d+x")


def told(value: object) -> set[str]:
    """The words of scopes that stand anywhere in an answer."""
    return set(_WORD.findall(repr(value)))


def campaign(folder: Path, steps: int, scopes: int, seed: int) -> dict[str, Any]:
    """How many answers told of another scope."""
    draw = random.Random(seed)
    leaks: list[str] = []
    with Memory.open(folder / "a.db", embedder=None) as memory:
        paths: list[tuple[str, ...]] = []
        while len(paths) < scopes:
            path = tuple(draw.choice(_NAMES) for _ in range(draw.randint(1, 3)))
            if path not in paths:
                paths.append(path)
        held = {path: memory.scope(*path) for path in paths}
        words = {path: f"canary{number}x" for number, path in enumerate(paths)}
        ids: list[str] = ["t0"]
        for step in range(steps):
            path = draw.choice(paths)
            scope, word = held[path], words[path]
            other = words[draw.choice(paths)]
            verb, answer = _step(draw, scope, word, other, step, ids)
            if told(answer) - {word, *(told(other) if verb == "asked" else ())}:
                leaks.append(f"{verb} in scope {paths.index(path)}")
        ok = memory.check().ok
    return {"scopes": scopes, "verbs": steps, "leaks": len(leaks), "first": leaks[:5],
            "ok": ok and not leaks}  # fmt: skip


def _step(
    draw: random.Random, scope: Scope, word: str, other: str, step: int, ids: list[str]
) -> tuple[str, object]:
    """One verb, with whatever is at hand of any scope; what it answered or raised."""
    some = draw.choice(ids)
    where = Filter(session=draw.choice(["s1", "s2"]), level=0)
    verbs = {
        "remember": lambda: scope.remember(
            f"I keep {word} in town {step}.", id=f"t{step % 200}", session=f"s{step % 3}",
            actor=word, payload={"w": word},
        ),
        "recall": lambda: [
            (hit.record, hit.sources, hit.why)
            for hit in scope.recall(f"Where is {other}?", k=50, levels=range(4))
        ],
        "context": lambda: scope.context("Where do I keep it?", budget=500).text,
        "explain": lambda: _explained(scope, some, other),
        "get": lambda: scope.get(some),
        "records": lambda: scope.records(limit=10_000),
        "tree": scope.tree,
        "history": lambda: scope.history(some),
        "revise": lambda: scope.revise(some, f"I keep {word} elsewhere, {step}."),
        "slot": lambda: (scope.set_slot("profile", word), scope.slots()),
        "documents": lambda: (
            scope.documents.put(("n",), "k", {"w": word}), list(scope.documents.search(("n",))),
        ),
        "feedback": lambda: scope.feedback(some),
        "stats": scope.stats,
        "at": lambda: [hit.record for hit in scope.at(scope.now).recall("keep town", k=20)],
        "tasks": lambda: [(task.id, task.goal) for task in scope.tasks()],
        "task": lambda: _worked(scope, word, step),
        "consolidate": scope.consolidate,
        "forget": lambda: scope.forget(some),
        "forget where": lambda: scope.forget(where=where),
        "erase": lambda: scope.erase() if draw.random() < 0.1 else None,
    }  # fmt: skip
    name = draw.choice([*verbs, "remember", "remember", "remember", "recall"])
    try:
        answer: object = verbs[name]()
    except StepwellError as error:
        answer = str(error)
    ids += [f"t{step % 200}"]
    if name == "records" and isinstance(answer, list) and answer:
        ids += [draw.choice(answer).id]
    return name, answer


def _explained(scope: Scope, some: str, other: str) -> object:
    made = scope.explain(some, f"Where is {other}?")
    return (made.record_id, made.why, made.reason, made.above)


def _worked(scope: Scope, word: str, step: int) -> None:
    with scope.task(f"find {word} {step}") as task:
        task.recall("keep town")
        task.outcome(1.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--scopes", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = campaign(Path(folder), given.steps, given.scopes, given.seed)
    print(json.dumps(result, indent=2))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
