"""Traces: where a session is cut, and what is written on each piece.

The last trace of a session stays open: it is offered to the segmenting policy again, with what has
been said since. All before it are closed, so that a long session is never read as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from stepwell.consolidating.keying import Keyer
from stepwell.contracts import ScopeRow
from stepwell.filters import Filter
from stepwell.models import Edge, EdgeKind, Kind, Record, Status, aware
from stepwell.ops import Add, Hide, Link, Op, Revise, SetState, Unlink
from stepwell.plugins import Plugins, Unfit
from stepwell.searching import ScopeView

WHO = "segment"
_MANY = 2**62
#: Tokens of a trace's gist, and turns that it is made of at most.
_GIST = 64
_READ = 64
#: How far back, in records, the turn is looked for that was said before one without a session.
_BACK = 4096
_PAGE = 256


@dataclass(slots=True)
class Cut:
    """What became of some sessions: ops for traces, and turns that lie in none."""

    ops: list[Op] = field(default_factory=list)
    loose: list[int] = field(default_factory=list)


class Tracer:
    """Cuts the sessions of a scope into traces."""

    def __init__(self, plugins: Plugins, keyer: Keyer) -> None:
        self._plugins = plugins
        self._keyer = keyer

    def cut(self, view: ScopeView, row: ScopeRow, fresh: Sequence[int]) -> Cut:
        """Ops for the traces of all sessions that got new turns; `fresh` are their refs."""
        made = Cut()
        if not self._plugins.has("segment"):
            made.loose = list(fresh)
            return made
        sessions: dict[str | None, list[int]] = {}
        for entry in view.reader.entries(row, fresh):
            sessions.setdefault(entry[10], []).append(entry[0])
        for session, refs in sessions.items():
            self._session(view, row, session, refs, made)
        return made

    def _session(
        self, view: ScopeView, row: ScopeRow, session: str | None, fresh: list[int], made: Cut
    ) -> None:
        loaded = view.load(_open(view, row, session, fresh))
        buffer = [record for _, record in loaded]
        ends, _ = self._plugins.first(
            "segment", lambda answer: _ends(answer, len(buffer)), buffer=tuple(buffer), view=view
        )
        if ends is None:
            made.loose += fresh
            return
        held = _held(view, row, [ref for ref, _ in loaded])
        used: set[str] = set()
        for first, last in pairwise([-1, *ends]):
            members = loaded[first + 1 : last + 1]
            trace = next((t for t in held.get(members[0][0], ()) if t.id not in used), None)
            if trace is None:
                made.ops.append(self.fresh(view, row, [record for _, record in members]))
                continue
            used.add(trace.id)
            made.ops += self._fitted(view, row, trace, members, {ref for ref, _ in loaded})
        left = {t.id: t for traces in held.values() for t in traces if t.id not in used}
        made.ops += [Hide(id=name, who=WHO, expects=left[name].version) for name in sorted(left)]

    def fresh(self, view: ScopeView, row: ScopeRow, members: Sequence[Record]) -> Op:
        """A new trace."""
        record = Record(
            id="", scope=row.path, level=1, kind=Kind.TRACE, text=told(members, view),
            session=members[0].session, said_at=_began(members), valid_from=_ended(members),
            stored_at=members[-1].stored_at, trust=min(m.trust for m in members),
        )  # fmt: skip
        sources = tuple(m.id for m in members)
        keys = self._keyer.group_keys(record, sources, view)
        return Add(record=record, keys=keys, sources=sources, contains=True, who=WHO)

    def again(self, view: ScopeView, trace: Record, members: Sequence[Record]) -> list[Op]:
        """A trace written anew, of the members that it has now."""
        text = told(members, view)
        named = trace.model_copy(update={"text": text})
        # A turn that is forgotten meanwhile bumps the version: its words must not return.
        held = trace.version
        keys = self._keyer.group_keys(named, [m.id for m in members], view)
        revise = Revise(
            id=trace.id, text=text, keys=keys, said_at=_began(members), who=WHO, expects=held
        )
        status = None
        if trace.status is Status.STALE:
            replaced = view.links([trace.id], EdgeKind.SUPERSEDES, into=True)[trace.id]
            status = Status.SUPERSEDED if replaced else Status.ACTIVE
        until = _ended(members)
        return [
            revise,
            SetState(id=trace.id, status=status, valid_from=until, who=WHO, expects=held + 1),
        ]

    def _fitted(
        self, view: ScopeView, row: ScopeRow, trace: Record, members: list[tuple[int, Record]],
        offered: set[int],
    ) -> list[Op]:  # fmt: skip
        """Ops by which a trace that is there gets these members."""
        ref = view.reader.find(row, [trace.id])[trace.id] or 0
        known = set(view.reader.targets(row, ref, EdgeKind.CONTAINS))
        here = {ref for ref, _ in members}
        ops: list[Op] = [
            Link(edge=Edge(source=trace.id, kind=EdgeKind.CONTAINS, target=m.id), who=WHO)
            for r, m in members
            if r not in known
        ]
        for _, left in view.load(sorted((known & offered) - here)):
            ops.append(Unlink(source=trace.id, kind=EdgeKind.CONTAINS, target=left.id, who=WHO))
        if ops or trace.status is Status.STALE:
            ops += self.again(view, trace, [record for _, record in members])
        return ops


def _open(view: ScopeView, row: ScopeRow, session: str | None, fresh: list[int]) -> list[int]:
    """The turns that may be cut anew: from the beginning of the trace that is still open."""
    first, last = min(fresh), max(fresh)
    if session is None:
        later = view.reader.select(row, Filter(level=0), first - 1, last - first + 1)
        later = [e[0] for e in view.reader.entries(row, later) if e[10] is None and e[0] <= last]
        before = _last_without(view, row, first)
    else:
        every = view.reader.select(row, Filter(session=session, level=0), 0, _MANY)
        later = [ref for ref in every if first <= ref <= last]
        before = next((ref for ref in reversed(every) if ref < first), None)
    if before is None:
        return later
    begun = {before}
    for trace in _held(view, row, [before]).get(before, ()):
        ref = view.reader.find(row, [trace.id])[trace.id] or 0
        begun |= set(view.reader.targets(row, ref, EdgeKind.CONTAINS))
    held = view.load(sorted(begun))
    return [ref for ref, m in held if m.status is Status.ACTIVE and ref < first] + later


def _last_without(view: ScopeView, row: ScopeRow, first: int) -> int | None:
    """The last active turn without a session before a ref."""
    for last in range(first - 1, max(0, first - _BACK), -_PAGE):
        page = list(range(max(1, last - _PAGE + 1), last + 1))
        held = [e[0] for e in view.reader.entries(row, page) if e[2] == 0 and e[10] is None]
        active = [ref for ref, m in view.load(held) if m.status is Status.ACTIVE]
        if active:
            return active[-1]
    return None


def _held(view: ScopeView, row: ScopeRow, refs: Sequence[int]) -> dict[int, list[Record]]:
    """The traces, active or stale, that each turn lies in."""
    edges = view.reader.links(row, refs, EdgeKind.CONTAINS, into=True)
    groups = dict(view.reader.load(row, sorted({e.source for e in edges})))
    held: dict[int, list[Record]] = {}
    for edge in edges:
        trace = groups[edge.source]
        if trace.kind is Kind.TRACE and trace.status in (Status.ACTIVE, Status.STALE):
            held.setdefault(edge.target, []).append(trace)
    return held


def _ends(answer: object, size: int) -> list[int]:
    """Where traces end: ascending, within the buffer; the rest is a trace of its own."""
    sound = isinstance(answer, (list, tuple)) and all(
        isinstance(end, int) and 0 <= end < size for end in answer
    )
    if not sound or not isinstance(answer, (list, tuple)) or sorted(set(answer)) != list(answer):
        raise Unfit("it returned what are no ascending places of the buffer")
    ends = list(answer)
    return ends if ends and ends[-1] == size - 1 else [*ends, size - 1]


def _began(members: Sequence[Record]) -> datetime | None:
    return min((m.said_at for m in members if m.said_at), default=None)


def _ended(members: Sequence[Record]) -> datetime:
    """From when on all of it had been said: an earlier look at the scope must not show it."""
    return max(aware(m.said_at or m.stored_at) for m in members)


def told(members: Sequence[Record], view: ScopeView) -> str:
    """What a trace says: what is sure of it, and on the next lines what was talked about."""
    head = heading(members)
    summary = view.models.summarize([member.text for member in members[:_READ]], tokens=_GIST)
    return f"{head}\n{summary.text}" if summary.text else head


def heading(members: Sequence[Record]) -> str:
    """What a trace is, in words that are sure: its session, speakers, length and days."""
    actors = sorted({m.actor for m in members if m.actor})
    days = sorted({m.said_at.date().isoformat() for m in members if m.said_at})
    session = members[0].session
    parts = [] if session is None else [f"{session}:"]
    parts.append(f"{len(members)} turn{'s' if len(members) > 1 else ''}")
    if actors:
        parts.append("by " + ", ".join(actors[:8]))
    if days:
        parts.append(f"on {days[0]}" if len(days) == 1 else f"from {days[0]} to {days[-1]}")
    return " ".join(parts)
