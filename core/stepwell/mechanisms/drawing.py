"""Facts drawn from turns, each with the turn it rests on: the first step of many a memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pydantic import JsonValue

from stepwell.contracts import View
from stepwell.models import EdgeKind, Fact, Kind, Record
from stepwell.ops import Add

#: Turns whose facts are asked for at once.
ASKED = 32

Told = Callable[[Fact, Record], Mapping[str, JsonValue]]


def _nothing(_: Fact, __: Record) -> Mapping[str, JsonValue]:
    return {}


def facts_of(
    turns: Sequence[Record], view: View, told: Told = _nothing, *, asked: int = ASKED,
    known: Sequence[str] = (),
) -> list[Add]:  # fmt: skip
    """A fact record for each thing that the turns state; no turn is read twice.

    `known` is what the model is told beside them. `told(fact, turn)` is the payload, an empty one
    unless given. A fact is as trusted as its turn, said by the same one in the same session at the
    same time.
    """
    read = view.links([turn.id for turn in turns], EdgeKind.DERIVED_FROM, into=True)
    fresh = [turn for turn in turns if not read.get(turn.id)]
    made = []
    for start in range(0, len(fresh), asked):
        some = fresh[start : start + asked]
        for fact in view.models.facts([turn.spoken for turn in some], known=known):
            turn = some[fact.source]
            record = Record(
                id="", scope=view.scope, level=1, kind=Kind.FACT, text=fact.text,
                payload=dict(told(fact, turn)), actor=turn.actor, role=turn.role,
                origin=turn.origin, trust=turn.trust, session=turn.session, task=turn.task,
                said_at=turn.said_at, stored_at=view.now,
            )  # fmt: skip
            made.append(Add(record=record, keys=view.keys(record), sources=(turn.id,)))
    return made


def above(names: Sequence[str], view: View) -> list[str]:
    """What contains these records."""
    into = view.links(names, EdgeKind.CONTAINS, into=True)
    return [edge.source for edges in into.values() for edge in edges]
