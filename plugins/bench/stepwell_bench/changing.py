"""How well changing facts are told: pairs of turns of which the later replaces the earlier, or not.

The cases, in changes.json, were written for this project, half of them as hard negatives. A split
named "held" was not looked at while the rules were made.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from stepwell import EdgeKind, Filter, Memory, Record, Scope, Status, Turn, View, hookimpl

CASES: Final = Path(__file__).with_name("changes.json")
_SEVERAL: Final = 1000


@dataclass(frozen=True, slots=True)
class Case:
    """Some turns, (actor, text, when): whether of a pair the later replaces the earlier."""

    id: str
    split: str
    kind: str
    turns: tuple[tuple[str, str, datetime], ...]
    pair: tuple[int, int]
    replaces: bool


@dataclass(frozen=True, slots=True)
class Told:
    """Of the cases of one split: how many are told right, and wrong in either way."""

    split: str
    right: int
    wrongly: int
    missed: int
    left_alone: int

    @property
    def precision(self) -> float:
        """Of the replacements that were told, those that are."""
        return self.right / (self.right + self.wrongly) if self.right + self.wrongly else 1.0

    @property
    def recall(self) -> float:
        """Of the replacements that there are, those that were told."""
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0


def cases(path: Path = CASES) -> list[Case]:
    """The labelled cases."""
    read = json.loads(path.read_text(encoding="utf-8"))["cases"]
    return [
        Case(
            one["id"], one["split"], one["kind"],
            tuple((who, text, datetime.fromisoformat(at)) for who, text, at in one["turns"]),
            (one["pair"][0], one["pair"][1]), one["replaces"],
        )
        for one in read
    ]  # fmt: skip


class _Looking:
    """Tells which turn's facts replace which other turn's, when all is settled."""

    name = "bench-looking"

    def __init__(self) -> None:
        self.pairs: set[tuple[str, str]] = set()

    @hookimpl
    def maintain(self, view: View) -> None:
        """What has been marked by now."""
        where = Filter(kind="fact", status=[Status.ACTIVE, Status.SUPERSEDED])
        facts = [record.id for record in view.records(where, limit=_SEVERAL)]
        newer = view.links(facts, EdgeKind.SUPERSEDES, into=True)
        turns = {name: self._turns(name, view) for name in facts}
        for older, edges in newer.items():
            for edge in edges:
                for late in turns.get(edge.source, ()):
                    self.pairs |= {(early, late) for early in turns[older]}

    def _turns(self, name: str, view: View) -> list[str]:
        edges = view.links([name], EdgeKind.DERIVED_FROM).get(name, ())
        found: list[Record | None] = [view.get(edge.target) for edge in edges]
        return [record.turn for record in found if record is not None and record.turn is not None]


def replaced(case: Case) -> bool:
    """Whether the policy says that of the pair the later turn replaces the earlier."""
    looking = _Looking()
    with Memory.open(embedder=None, plugins=[looking], discover=False) as memory:
        scope = memory.scope("case")
        _said(scope, case)
        scope.consolidate()
        scope.consolidate()  # the last look is at what the first has left
    return (f"t{case.pair[0]}", f"t{case.pair[1]}") in looking.pairs


def _said(scope: Scope, case: Case) -> None:
    scope.remember_many(
        Turn(id=f"t{n}", text=text, actor=who, role="user", session="s", at=at)
        for n, (who, text, at) in enumerate(case.turns)
    )


def told(some: Sequence[Case], split: str) -> Told:
    """What the policy says of the cases of a split."""
    said = [(case.replaces, replaced(case)) for case in some if case.split == split]
    return Told(
        split, said.count((True, True)), said.count((False, True)), said.count((True, False)),
        said.count((False, False)),
    )  # fmt: skip
