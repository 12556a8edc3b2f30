"""From derived records back to the turns they rest on: for presets that find turns by way of them.

A plan asks for records of one kind beside the turns (`narrowed`); what is found of them becomes
support for turns, and `grounded` gives the turns back, the supported ones first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from stepwell.contracts import FloatArray, Plan, Query, View
from stepwell.filters import Filter
from stepwell.mechanisms.segmenting import bags
from stepwell.models import EdgeKind, Hit, Kind, Record, Status

#: Scores from here on are of turns that something derived supports, scores below of all others.
SUPPORTED = 0.5
#: Plain ranking, of every turn: what nothing speaks for comes last, the latest first.
PLAIN = {"vectors": 1.0, "words": 1.0, "order": 0.001}
#: What the names of those reasons begin with that are supports.
_BY = "by "
#: Ids that are asked for at once.
_PAGE = 1000

#: What supports each turn, by its record id or turn id: scores by the name of what found it.
Support = Mapping[str, Mapping[str, float]]


def narrowed(
    query: Query, kinds: Sequence[Kind], levels: tuple[int, ...], *, freely: bool = False
) -> Query:
    """The question, asked of levels where nothing above the turns but some kinds is looked at.

    Those have to fit the question's filter as turns have to, or not at all (`freely`): a group of
    many sessions fits no filter of one.
    """
    turns, groups = Filter(level=0), Filter(kind=list(kinds))
    if query.where is None:
        where = turns | groups
    else:
        where = query.where & turns | groups if freely else query.where & (turns | groups)
    return replace(query, levels=levels, where=where)


def plainly(query: Query, look: int = 0) -> Plan:
    """A plan of plain ranking; refining policies see `look` turns at least."""
    look = max(look, query.k)
    return Plan(query=query, weights=PLAIN, role=query.role, task=query.task, look=look)


def by_way_of(
    query: Query, kinds: Sequence[Kind], weights: Mapping[str, float], look: int = 0
) -> Plan:
    """Two rounds: the turns by plain ranking, then derived records of some kinds by the weights.

    Refining policies see `look` of these at least, and what `led` says of the plan. A question that
    names levels itself is asked once, of these.
    """
    plan = Plan(query=query, weights=weights, role=query.role, task=query.task)
    if query.levels != (0,):
        return plan
    if query.round == 0:
        return replace(plainly(query), stop=False)
    return replace(plan, query=narrowed(query, kinds, (1,)), look=max(look, query.k))


def led(plan: Plan) -> bool:
    """Whether a plan is of the second round: of what leads to turns."""
    return plan.query.round > 0


def members(groups: Sequence[Record], view: View) -> dict[str, list[Record]]:
    """What each group contains, by its id: the active records, in order of arrival."""
    edges = view.links([group.id for group in groups], EdgeKind.CONTAINS)
    names = list(dict.fromkeys(edge.target for within in edges.values() for edge in within))
    found: dict[str, Record] = {}
    for start in range(0, len(names), _PAGE):
        page = names[start : start + _PAGE]
        found |= {record.id: record for record in view.records(Filter(id=page), limit=_PAGE)}
    return {
        group.id: [found[e.target] for e in edges.get(group.id, ()) if e.target in found]
        for group in groups
    }


def said_in(groups: Sequence[Record], view: View) -> list[str]:
    """What is said in each group, a line a member."""
    inside = members(groups, view)
    return ["\n".join(member.spoken for member in inside[group.id]) for group in groups]


def vectors_of(records: Sequence[Record], view: View) -> FloatArray:
    """The normalised vector of each record; without an embedder, of its words."""
    if view.models.space is None:
        return bags([record.spoken for record in records])
    return view.vectors([record.id for record in records])


def vectors_by_id(record_ids: Sequence[str], view: View) -> FloatArray:
    """The same of records whose ids are known; zeros for one that is not there."""
    if view.models.space is not None:
        return view.vectors(record_ids)
    said: dict[str, str] = {}
    for start in range(0, len(record_ids), _PAGE):
        page = list(record_ids[start : start + _PAGE])
        said |= {record.id: record.spoken for record in view.records(Filter(id=page), limit=_PAGE)}
    return bags([said.get(name, "") for name in record_ids])


def asked(question: str, view: View) -> FloatArray:
    """The vector of a question; without an embedder, of its words."""
    if view.models.space is None:
        return np.asarray(bags([question])[0], np.float32)
    return view.models.embed(question, query=True)


def cosines(question: str, record_ids: Sequence[str], view: View) -> FloatArray | None:
    """The cosine of a question with the mean vector of each record; None without an embedder."""
    if view.models.space is None:
        return None
    made: FloatArray = view.vectors(record_ids) @ view.models.embed(question, query=True)
    return made


def grounded(
    support: Support, hits: Sequence[Hit], plan: Plan, view: View, most: int | None = None
) -> list[Hit]:
    """The turns that have support, best first, then all other turns among the hits.

    A turn counts as much as the best that supports it; turns of one score stay in their order. What
    the question's filter, trust or moment does not let through is left out. Hits of earlier rounds,
    whose reasons say what supported them, may be among the hits. Only the best `most` are supported
    in the end; the rest are as all others.
    """
    turns = {hit.record.id: hit for hit in hits if hit.record.level == 0}
    reasons: dict[str, dict[str, float]] = {}
    for record in _let_through(support, turns, plan, view):
        said = {**support.get(record.turn or "", {}), **support.get(record.id, {})}
        turns.setdefault(record.id, Hit(record, 0.0, (record.turn or record.id,), {}))
        reasons[record.id] = said
    made = []
    for name, hit in turns.items():
        why = {**hit.why, **{_BY + each: score for each, score in reasons.get(name, {}).items()}}
        made.append(replace(hit, score=_score(why), why=why))
    made.sort(key=lambda hit: -hit.score)
    if most is None:
        return made
    beyond = [_unsupported(hit) for hit in made[most:]]
    return made[:most] + sorted(beyond, key=lambda hit: -hit.score)


def _unsupported(hit: Hit) -> Hit:
    why = {name: score for name, score in hit.why.items() if not name.startswith(_BY)}
    return replace(hit, score=_score(why), why=why)


def _score(why: Mapping[str, float]) -> float:
    """What a turn's reasons come to."""
    supports = [score for name, score in why.items() if name.startswith(_BY)]
    if supports:
        return SUPPORTED + (1 - SUPPORTED) * min(1.0, max(0.0, *supports))
    return SUPPORTED * min(0.999, sum(why.values()))


def _let_through(
    support: Support, turns: Mapping[str, Hit], plan: Plan, view: View
) -> list[Record]:
    """The turns that have support and may be shown, in the order of support."""
    found = {hit.record.turn: hit.record for hit in turns.values()}
    found |= {hit.record.id: hit.record for hit in turns.values()}
    left = [view.get(name) for name in support if name not in found]
    named = {record.id: record for record in left if record is not None and record.level == 0}
    if named and plan.query.where is not None:
        where = Filter(id=list(named)) & plan.query.where
        named = {record.id: record for record in view.records(where, limit=len(named))}
    for record in named.values():
        if record.status is Status.ACTIVE and record.trust >= plan.query.min_trust:
            found |= {record.turn: record, record.id: record}
    return list({found[name].id: found[name] for name in support if name in found}.values())


def by_support(hit: Hit, question: str, view: View) -> Hit:
    """A derived record with its turns in the order in which they support it for the question."""
    if len(hit.sources) < 2:
        return hit
    near = cosines(question, hit.sources, view)
    if near is None:
        return hit
    order = sorted(range(len(near)), key=lambda place: -float(near[place]))
    return replace(hit, sources=tuple(hit.sources[place] for place in order))
