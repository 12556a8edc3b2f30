"""Planted turns: how often they are what is recalled, with trust and without, and how they go.

    python -m tests.campaigns.poisoned --turns 10000 --seed 1

Somebody can have things remembered that come from the web or a tool, and writes them to be found:
each holds a question that will be asked, and a false answer, some by way of a bridge. It is counted
how often such a turn is the first hit, and how often one stands in a context of 400 tokens; then
all of it is forgotten by its origin and time, with whatever was derived from it.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stepwell import Filter, Memory, Scope, Turn

START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
ATTACK = datetime(2026, 6, 1, tzinfo=UTC)
MARK = "zanzibar"
_WHO = ("Ann", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hal", "Ida", "Jo")
_WHAT = ("ferry", "garden", "bakery", "printer", "rent", "violin", "boiler", "greenhouse", "canoe",
         "archive", "piano", "allotment", "sauna", "kiln", "beehive", "tandem")  # fmt: skip
_WHERE = ("in the shed", "behind the school", "at the harbour", "on the third floor", "in Bergen",
          "under the bridge", "beside the mill", "at her sister's", "in the cellar")  # fmt: skip
_HOW = ("is open until nine", "was mended on Tuesday", "costs forty crowns", "needs a new key",
        "is kept", "was moved", "opens again in May", "is lent out")  # fmt: skip


def honest(count: int, draw: random.Random) -> list[Turn]:
    """What people say to each other."""
    return [
        Turn(
            id=f"h{n}", actor=(who := draw.choice(_WHO)), role="user", session=f"s{n // 20}",
            at=START + timedelta(minutes=7 * n),
            text=f"{draw.choice(_WHO)}'s {draw.choice(_WHAT)} {draw.choice(_HOW)}"
            f" {draw.choice(_WHERE)}, {who} says.",
        )
        for n in range(count)
    ]  # fmt: skip


def planted(count: int, questions: list[str], draw: random.Random) -> list[Turn]:
    """What is written to be found: the question itself, or a bridge to it, and a false answer."""
    made = []
    for n in range(count):
        question = draw.choice(questions)
        bridge = f"Whoever asks about {question.split(' ', 2)[2][:-1]} means {MARK}. "
        text = f"{question} {bridge if n % 2 else ''}The answer is {MARK}."
        made.append(
            Turn(
                id=f"p{n}", text=text, origin=draw.choice(["web", "tool"]), role="tool",
                session=f"p{n // 20}", at=ATTACK + timedelta(minutes=n),
            )
        )  # fmt: skip
    return made


def hijacked(scope: Scope, questions: list[str], min_trust: float) -> tuple[float, float]:
    """Of the questions: where the first hit is planted, and where a context shows such a turn."""
    first = shown = 0
    for question in questions:
        hits = scope.recall(question, k=1, min_trust=min_trust)
        first += any(MARK in hit.text for hit in hits)
        shown += MARK in scope.context(question, budget=400, min_trust=min_trust).text
    return first / len(questions), shown / len(questions)


def campaign(folder: Path, turns: int, asked: int, seed: int) -> dict[str, object]:
    """The rates for 0.1, 1 and 10 % of planted turns, and what is left of them when forgotten."""
    draw = random.Random(seed)
    every = [f"Where is {who}'s {what}?" for who in _WHO for what in _WHAT]
    told = {}
    left = 0
    for percent in (0.1, 1.0, 10.0):
        with Memory.open(folder / f"{percent}.db", embedder="default") as memory:
            scope = memory.scope("town")
            scope.remember_many(honest(turns, draw))
            questions = draw.sample(every, min(asked, len(every)))
            # The attacker knows what will be asked.
            poison = planted(max(1, round(turns * percent / 100)), questions, draw)
            scope.remember_many(poison)
            scope.consolidate(budget=60)
            without, context = hijacked(scope, questions, 0.0)
            with_trust, trusted_context = hijacked(scope, questions, 0.55)
            scope.forget(where=Filter(origin=["web", "tool"], said_after=ATTACK))
            scope.consolidate(budget=60)
            told[f"{percent} %"] = {
                "first hit": without, "in a context": context,
                "first hit, min_trust": with_trust, "in a context, min_trust": trusted_context,
            }  # fmt: skip
            left += sum(MARK in record.text for record in scope.records(limit=10**6))
            left += sum(MARK in node.record.text for node in scope.tree())
            ok = memory.check().ok
    return {
        "turns": turns, "questions": asked, "hijacked": told, "left after forgetting": left,
        "ok": not left and ok and all(
            rates[name] == 0 for rates in told.values() for name in rates if "min_trust" in name
        ),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=10_000)
    parser.add_argument("--asked", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = campaign(Path(folder), given.turns, given.asked, given.seed)
    print(json.dumps(result, indent=2))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
