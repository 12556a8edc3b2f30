"""The policy of overviews: what was talked about at all, or in a time, from the upper levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from functools import cache

import numpy as np

from stepwell.contracts import Plan, Query, View
from stepwell.filters import Filter
from stepwell.hookspecs import hookimpl
from stepwell.mechanisms import questions
from stepwell.mechanisms.packing import cost_of
from stepwell.mechanisms.timespans import micros, recurring, timespans, within
from stepwell.mechanisms.zooming import zoom
from stepwell.models import EdgeKind, Hit, Record, Status, aware

_ALL = 1_000_000
#: What the fence takes of a budget, and the line that tells the time of a record, about.
_FRAME = 32
_HEADER = 14
#: Turns said since the last trace that are looked at.
_FRESH = 64
#: How much more what is newest counts than what is oldest, when there is room for a closer look.
_NEWER = 2.0


@dataclass(slots=True)
class _Grown:
    """The groups of a scope: who contains whom, and on how many turns each rests."""

    groups: dict[str, Record]
    members: dict[str, tuple[str, ...]]
    #: Turns that are in none yet.
    loose: dict[str, Record]
    turns: dict[str, int] = field(default_factory=dict)

    def size(self, name: str) -> int:
        """On how many turns a group rests."""
        if name in self.loose:
            return 1
        if name not in self.turns:
            # A group is entered before its members are asked: a cycle would end here.
            self.turns[name] = 0
            self.turns[name] = sum(
                self.size(part) if part in self.groups else 1 for part in self.members[name]
            )
        return self.turns[name]


@dataclass(frozen=True)
class Overview:
    """Answers what nobody can find by a word, "What did we talk about in May?", from above.

    A context shows the whole of it as closely as its budget allows: domains first, taken apart into
    categories, traces and turns while there is room, what is newer sooner. A recall that names
    levels gets the groups that rest on most turns. Any other question is left as it is.
    """

    name: str = "overview"

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """Groups in place of hits, where an overview is asked for and there are any."""
        query = plan.query
        above = all(level > 0 for level in query.levels)
        if query.where is not None or not (query.free or above):
            return hits
        if not questions.read(query.text).overall:
            return hits
        grown = _grown(view)
        spoken = _spoken(grown, query)
        if above:
            groups = grown.groups
            chosen = [n for n in spoken if n in groups and groups[n].level in query.levels]
            chosen = sorted(chosen, key=lambda name: -grown.size(name))[: query.k]
        else:
            chosen = _zoomed(view, grown, query, spoken)
        if not chosen:
            return hits
        return _hits(view, grown, chosen)


def _grown(view: View) -> _Grown:
    """All groups but those that are stale, with what they contain."""
    known = view.records(Filter(level=[1, 2, 3]), limit=_ALL)
    links = view.links([record.id for record in known], EdgeKind.CONTAINS)
    groups = {r.id: r for r in known if links.get(r.id) and r.status is Status.ACTIVE}
    members = {name: tuple(edge.target for edge in links[name]) for name in groups}
    placed = (turn for r in groups.values() if r.level == 1 for turn in members[r.id])
    last = max(placed, default=None)  # ids come in order of arrival
    fresh = view.records(Filter(level=0), after=last, limit=_FRESH) if last else []
    return _Grown(groups, members, {record.id: record for record in fresh})


def _spoken(grown: _Grown, query: Query) -> list[str]:
    """The groups of the time that the question names; all where it names none."""
    spans, months = timespans(query.text, query.now), recurring(query.text)
    known = {**grown.groups, **grown.loose}
    names = list(known)
    if not spans and not months:
        return names
    when = np.array([_said(known[name]) for name in names], np.int64)
    inside = within(when, spans, months)
    # What is above a trace may tell of other times, too.
    return [
        name
        for name, fits in zip(names, inside.tolist(), strict=True)
        if fits and known[name].level <= 1
    ]


def _said(record: Record) -> int:
    """When it was said, else stored, in microseconds."""
    return micros(aware(record.said_at or record.stored_at).astimezone(UTC))


def _zoomed(view: View, grown: _Grown, query: Query, spoken: Sequence[str]) -> list[str]:
    """What a context shows: records of any level, each part of what was said once."""
    inside = set(spoken)
    held = {part for name in inside for part in grown.members.get(name, ())}
    known = {**grown.groups, **grown.loose}
    roots = [name for name in spoken if name not in held]
    times = {name: _said(known[name]) for name in spoken}
    first = min(times.values(), default=0)
    length = max(times.values(), default=0) - first

    @cache
    def turn(name: str) -> Record | None:
        record = view.get(name)
        return record if record is not None and record.status is Status.ACTIVE else None

    def cost(name: str) -> int:
        record = known.get(name) or turn(name)
        return 0 if record is None else cost_of(record) + _HEADER

    def size(name: str) -> float:
        if name not in times:
            return 0.0
        newer = (times[name] - first) / length if length else 1.0
        return grown.size(name) * (1 + (_NEWER - 1) * newer)

    def members(name: str) -> Sequence[str]:
        return [part for part in grown.members.get(name, ()) if part in known or turn(part)]

    return zoom(roots, members, size, cost, (query.budget or 0) - _FRAME)


def _hits(view: View, grown: _Grown, chosen: Sequence[str]) -> list[Hit]:
    """Hits for records, scored by the share of all turns that they rest on."""
    records: Mapping[str, Record] = {**grown.groups, **grown.loose}
    whole = max(1, max((grown.size(name) for name in chosen if name in records), default=1))
    made = []
    for name in chosen:
        record = records.get(name) or view.get(name)
        if record is None:
            continue
        share = min(1.0, (grown.size(name) if name in records else 1) / whole)
        made.append(Hit(record, share, view.sources(name), {"overview": share}))
    return sorted(made, key=lambda hit: -hit.score)
