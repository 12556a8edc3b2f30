"""How well changing facts are told: pairs of turns of which the later replaces the earlier, or not.

The cases, in changes.json, were written for this project, half of them as hard negatives. Splits
whose names end in "held" were not looked at while the rules were made; those of "talk", which are
as people write to an assistant, are split by a hash of their names. Where a case has a question,
the turn that says how it is now should be the first hit, among some small talk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from stepwell import EdgeKind, Filter, Memory, Preset, Record, Scope, Status, Turn, View, hookimpl

CASES: Final = Path(__file__).with_name("changes.json")
_SEVERAL: Final = 1000
_LOOKED_AT: Final = 10
#: The policies that are in question.
_POLICIES: Final = ("facts", "current")
_SMALL_TALK: Final = (
    "Morning! Did everybody sleep well?",
    "The train was late again, as usual.",
    "I like the new lamp in the hall.",
    "Could you send me that recipe?",
    "It rained all day, so we played cards.",
    "Now that is a good question.",
    "My favourite part was the ending.",
    "How much longer will the meeting take?",
)


@dataclass(frozen=True, slots=True)
class Case:
    """Some turns, (actor, text, when): whether of a pair the later replaces the earlier."""

    id: str
    split: str
    kind: str
    turns: tuple[tuple[str, str, datetime], ...]
    pair: tuple[int, int]
    replaces: bool
    question: str | None = None


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
            (one["pair"][0], one["pair"][1]), one["replaces"], one.get("question"),
        )
        for one in read
    ]  # fmt: skip


class _Looking:
    """Tells which turn's facts replace which other turn's, by scope, when all is settled."""

    name = "bench-looking"

    def __init__(self) -> None:
        self.pairs: dict[tuple[str, ...], set[tuple[str, str]]] = {}

    @hookimpl
    def maintain(self, view: View) -> None:
        """What has been marked by now."""
        where = Filter(kind="fact", status=[Status.ACTIVE, Status.SUPERSEDED])
        facts = [record.id for record in view.records(where, limit=_SEVERAL)]
        newer = view.links(facts, EdgeKind.SUPERSEDES, into=True)
        turns = {name: self._turns(name, view) for name in facts}
        self.pairs[view.scope] = {
            (early, late)
            for older, edges in newer.items()
            for edge in edges
            for late in turns.get(edge.source, ())
            for early in turns[older]
        }

    def _turns(self, name: str, view: View) -> list[str]:
        edges = view.links([name], EdgeKind.DERIVED_FROM).get(name, ())
        found: list[Record | None] = [view.get(edge.target) for edge in edges]
        return [record.turn for record in found if record is not None and record.turn is not None]


def replaced(some: Sequence[Case]) -> dict[str, bool]:
    """By case, whether the policy says that of the pair the later turn replaces the earlier."""
    looking = _Looking()
    with Memory.open(embedder=None, plugins=[looking], discover=False) as memory:
        for case in some:
            scope = memory.scope("case", case.id)
            _said(scope, case)
            scope.consolidate()
            scope.consolidate()  # the last look is at what the first has left
    pairs = {case.id: looking.pairs.get(("case", case.id), set()) for case in some}
    return {case.id: (_name(case.pair[0]), _name(case.pair[1])) in pairs[case.id] for case in some}


def found_first(some: Sequence[Case], *, facts: bool) -> dict[str, bool]:
    """By case with a question, whether the first hit says how it is now; with the policy or not."""
    with Memory.open(embedder=None) as memory:
        names = tuple(name for name in memory.plugins if facts or name not in _POLICIES)
    first: dict[str, bool] = {}
    preset = Preset("bench-facts" if facts else "bench-no-facts", 1, names)
    with Memory.open(preset=preset, embedder=None, discover=False) as memory:
        for case in some:
            if case.question is None or not case.replaces:
                continue
            scope = memory.scope("case", case.id)
            _said(scope, case)
            scope.remember_many(
                Turn(id=f"s{n}", text=text, actor="Sam", role="user", session="t")
                for n, text in enumerate(_SMALL_TALK)
            )
            scope.consolidate()
            hits = scope.recall(case.question, k=_LOOKED_AT)
            first[case.id] = bool(hits) and hits[0].record.turn == _name(case.pair[1])
    return first


def _name(place: int) -> str:
    return f"t{place}"


def _said(scope: Scope, case: Case) -> None:
    scope.remember_many(
        Turn(id=_name(n), text=text, actor=who, role="user", session="s", at=at)
        for n, (who, text, at) in enumerate(case.turns)
    )


def told(some: Sequence[Case], split: str, answers: Mapping[str, bool]) -> Told:
    """What the policy says of the cases of a split."""
    said = [(case.replaces, answers[case.id]) for case in some if case.split == split]
    return Told(
        split, said.count((True, True)), said.count((False, True)), said.count((True, False)),
        said.count((False, False)),
    )  # fmt: skip
