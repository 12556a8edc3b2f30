"""Facts drawn from turns, each with the turn it rests on: the first step of many a memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pydantic import JsonValue

from stepwell.contracts import View
from stepwell.filters import Filter
from stepwell.models import Edge, EdgeKind, Fact, Kind, Record, Status
from stepwell.ops import ALIAS, Add, Hide, Link, Op, Revise, SetState

#: Turns whose facts are asked for at once.
ASKED = 32
#: Turns that one fact rests on at most, however often it is said.
SOURCES = 32
#: What a policy's mark on a trace says once something was drawn from it.
READ = "read"

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
    drawn = view.links([turn.id for turn in turns], EdgeKind.DERIVED_FROM, into=True)
    fresh = [turn for turn in turns if not drawn.get(turn.id)]
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


def waiting(view: View, mark: str, limit: int) -> list[Record]:
    """Traces, in order of arrival, that nothing was drawn from since they grew last.

    A policy tells by `mark` in their payloads: see `read` and `again`.
    """
    return view.records(Filter(kind=Kind.TRACE) & ~Filter(payload={mark: READ}), limit=limit)


def read(traces: Sequence[Record], mark: str) -> list[SetState]:
    """Ops that say that something was drawn from these."""
    return [SetState(id=trace.id, payload={mark: READ}) for trace in traces]


def again(trace: Record, mark: str) -> list[SetState]:
    """The op by which a trace waits again: `extract` is called for one that has grown."""
    known = trace.payload.get(mark) is not None
    return [SetState(id=trace.id, payload={mark: None})] if known else []


def unsaid(fresh: Sequence[Add], known: Sequence[Record], view: View) -> list[Op]:
    """Facts that nobody has stated before; one that is known word for word gets another source.

    The same words of somebody else are another fact. A fact has some `SOURCES` of its many at most.
    """
    said = {_plain(record): record.id for record in known}
    ops: list[Op] = []
    further: dict[str, list[str]] = {}
    for number, add in enumerate(fresh):
        twin = said.setdefault(_plain(add.record), name := f"@fact-{number}")
        if twin == name:
            ops.append(
                add.model_copy(update={"record": add.record.model_copy(update={"id": name})})
            )
        else:
            further.setdefault(twin, []).extend(add.sources)
    return [*ops, *sourced(further, view)]


def sourced(further: Mapping[str, Sequence[str]], view: View) -> list[Op]:
    """Ops by which facts get further sources, up to `SOURCES` of each."""
    kind = EdgeKind.DERIVED_FROM
    held = view.links([name for name in further if not name.startswith(ALIAS)], kind)
    ops: list[Op] = []
    for name, sources in further.items():
        room = max(0, SOURCES - len(held.get(name, ())))
        edges = [Edge(source=name, kind=kind, target=turn) for turn in dict.fromkeys(sources)]
        ops += [Link(edge=edge) for edge in edges[:room]]
    return ops


def restated(fact: Record, view: View) -> list[Op]:
    """A fact that lost a turn by forgetting, as the turns that are left state it; else hidden.

    What other facts of these turns say already is not said twice.
    """
    kind = EdgeKind.DERIVED_FROM
    names = [edge.target for edge in view.links([fact.id], kind).get(fact.id, ())]
    turns = view.records(Filter(id=names) & Filter(level=0), limit=len(names)) if names else []
    into = view.links([turn.id for turn in turns], kind, into=True)
    others = {edge.source for edges in into.values() for edge in edges} - {fact.id}
    beside = view.records(Filter(id=sorted(others)), limit=len(others)) if others else []
    said = {_plain(record) for record in beside}
    for told in view.models.facts([turn.spoken for turn in turns]) if turns else ():
        made = fact.model_copy(update={"text": told.text, "status": Status.ACTIVE})
        if _plain(made) not in said:
            when = turns[told.source].said_at
            return [Revise(id=fact.id, text=told.text, keys=view.keys(made), said_at=when)]
    return [Hide(id=fact.id)]


def _plain(fact: Record) -> tuple[str | None, str]:
    return fact.actor, " ".join(fact.text.casefold().split())


def above(names: Sequence[str], view: View) -> list[str]:
    """What contains these records."""
    into = view.links(names, EdgeKind.CONTAINS, into=True)
    return [edge.source for edges in into.values() for edge in edges]
