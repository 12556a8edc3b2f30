"""Insights: what was learnt from tasks, who speaks for it and against it, and what it is worth.

An insight rests on the tasks that speak for it, and on the turns it is told from; an edge `related`
of weight -1 leads to each task that speaks against it. So there are no counts that could be wrong:
who forgets a task takes its word away, and a task that is learnt from twice speaks once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from stepwell.contracts import Plan, View
from stepwell.filters import Filter
from stepwell.mechanisms.trajectories import Pattern
from stepwell.models import Edge, EdgeKind, Hit, Kind, Record, Usage
from stepwell.ops import Hide, Link, Op, SetState, Supersede

#: The weight of an edge to a task that speaks against an insight.
AGAINST: Final = -1.0
#: Tasks that speak for an insight, or against it, at most.
MOST: Final = 32
#: A worth that differs by less is not noted again.
SAME: Final = 0.05
_PAGE: Final = 1000

Scoring = Literal["rate", "paper"]


@dataclass(frozen=True, slots=True)
class Insight:
    """An insight as a policy works with it. `first` tasks have made it, others have agreed since.

    `told` are the turns that its text quotes from.
    """

    id: str
    sort: str
    pattern: Pattern
    tasks: frozenset[str]
    told: frozenset[str] = frozenset()
    against: frozenset[str] = frozenset()
    first: int = 0
    edited: int = 0
    roles: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)

    def payload(self) -> dict[str, object]:
        """What a record keeps of it, beside its edges."""
        return {
            "sort": self.sort, "pattern": list(self.pattern), "first": self.first,
            "edited": self.edited, "roles": list(self.roles),
        }  # fmt: skip


def of_records(
    records: Sequence[Record], mark: str, tasks: frozenset[str], view: View
) -> list[Insight]:
    """The insights that a policy's mark tells of. `tasks` are all records that are tasks."""
    made: list[Insight] = []
    names = [record.id for record in records]
    below = view.links(names, EdgeKind.DERIVED_FROM)
    beside = view.links(names, EdgeKind.RELATED)
    for record in records:
        said = record.payload.get(mark)
        if not isinstance(said, dict):
            continue
        rests = {edge.target for edge in below.get(record.id, ())}
        against = {e.target for e in beside.get(record.id, ()) if e.weight < 0}
        pattern, roles = said.get("pattern"), said.get("roles")
        made.append(
            Insight(
                record.id, str(said.get("sort", "")),
                tuple(map(str, pattern)) if isinstance(pattern, list) else (),
                frozenset(rests & tasks), frozenset(rests - tasks), frozenset(against & tasks),
                _whole(said.get("first")), _whole(said.get("edited")),
                tuple(map(str, roles)) if isinstance(roles, list) else (), view.usage(record.id),
            )
        )  # fmt: skip
    return made


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def score(one: Insight, scoring: Scoring, *, rate: float, many: bool, prior: float = 2.0) -> float:
    """What an insight is worth.

    "rate": how much more often than usual (`rate`) tasks ended well that were shown it, from -1 to
    1, where `prior` tasks at the usual rate are taken for granted, and a little for who agrees.
    "paper": 2 at first, 1 more for each agreement, edit and good end, 2 less for each bad one, 1
    less for each task that speaks against it, 3 less where there are `many`.
    """
    agreed, against = max(0, len(one.tasks) - one.first), len(one.against)
    use = one.usage
    if scoring == "paper":
        less = 3 if many else 1
        return 2 + agreed + one.edited - less * against + use.success - 2 * use.failure
    seen = use.success + use.failure
    gain = (use.success + prior * rate) / (seen + prior) - rate
    return gain + 0.1 * (agreed - 2 * against) / (1 + agreed + 2 * against)


def pruned(one: Insight, worth: float, scoring: Scoring, *, seen: int = 3) -> bool:
    """Whether it is better not to show it any more.

    By "paper", from 0 on. By "rate", where after `seen` tasks it has only harmed, or where more
    tasks speak against it than for it.
    """
    if scoring == "paper":
        return worth <= 0
    judged = one.usage.success + one.usage.failure >= seen
    return (judged and worth < 0) or len(one.against) > len(one.tasks)


def use_of(worth: float, scoring: Scoring) -> float:
    """A worth as a number from 0 to 1, whatever it is counted in."""
    return 0.5 + 0.5 * math.tanh(worth / 4 if scoring == "paper" else 2 * worth)


def agree(one: Insight, task: str) -> tuple[Insight, list[Op]]:
    """A task speaks for an insight; of `MOST` no further one is noted."""
    if task in one.tasks or len(one.tasks) >= MOST:
        return one, []
    edge = Edge(source=one.id, kind=EdgeKind.DERIVED_FROM, target=task)
    return replace(one, tasks=one.tasks | {task}), [Link(edge=edge)]


def oppose(one: Insight, task: str) -> tuple[Insight, list[Op]]:
    """A task speaks against an insight."""
    if task in one.against or len(one.against) >= MOST:
        return one, []
    edge = Edge(source=one.id, kind=EdgeKind.RELATED, target=task, weight=AGAINST)
    return replace(one, against=one.against | {task}), [Link(edge=edge)]


def noted(one: Insight, worth: float) -> list[Op]:
    """What an insight is worth, as its strength in the ledger, where recall reads it."""
    if abs(one.usage.strength - worth) < SAME:
        return []
    return [SetState(id=one.id, strength=worth)]


def merge(best: Insight, other: Insight) -> list[Op]:
    """One insight for two that say the same: it keeps its id and what it has earned.

    It rests on the tasks of both; the other one is superseded, and stays.
    """
    room = max(0, MOST - len(best.tasks))
    ops: list[Op] = [
        Link(edge=Edge(source=best.id, kind=EdgeKind.DERIVED_FROM, target=name))
        for name in sorted(other.tasks - best.tasks)[:room]
    ]
    return [*ops, Supersede(id=best.id, replaces=other.id)]


def undone(record_ids: Sequence[str], mark: str, view: View) -> list[Op]:
    """Insights are hidden, and the tasks that they rest on are to be learnt from anew."""
    below = view.links(record_ids, EdgeKind.DERIVED_FROM)
    names = sorted({edge.target for edges in below.values() for edge in edges})
    tasks = [r for r in found(names, Filter(kind=Kind.TASK), view) if r.payload.get(mark)]
    ops: list[Op] = [Hide(id=name) for name in record_ids]
    return [*ops, *(SetState(id=task.id, payload={mark: None}) for task in tasks)]


def found(record_ids: Sequence[str], where: Filter, view: View) -> list[Record]:
    """The active records of some ids that fit, in the order of the ids."""
    held: dict[str, Record] = {}
    for start in range(0, len(record_ids), _PAGE):
        page = list(record_ids[start : start + _PAGE])
        held |= {r.id: r for r in view.records(Filter(id=page) & where, limit=_PAGE)}
    return [held[name] for name in dict.fromkeys(record_ids) if name in held]


def targets(edges: Mapping[str, Sequence[Edge]], names: Sequence[str]) -> list[str]:
    """Where edges out of some records lead, in their order, each once."""
    return list(dict.fromkeys(edge.target for name in names for edge in edges.get(name, ())))


def origins(edges: Mapping[str, Sequence[Edge]], names: Sequence[str]) -> list[str]:
    """Where edges into some records come from, in their order, each once."""
    return list(dict.fromkeys(edge.source for name in names for edge in edges.get(name, ())))


def joined(hits: Sequence[Hit], names: Sequence[str], plan: Plan, view: View) -> list[Hit]:
    """Hits, and other turns as far as the question's filter and trust let them through."""
    known = {hit.record.id for hit in hits}
    where = Filter(level=0) if plan.query.where is None else Filter(level=0) & plan.query.where
    fresh = found([name for name in names if name not in known], where, view)
    more = [turn for turn in fresh if turn.trust >= plan.query.min_trust]
    return [*hits, *(Hit(turn, 0.0, (turn.turn or turn.id,), {}) for turn in more)]
