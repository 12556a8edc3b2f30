"""What policies make of traces and turns: candidates, their reconciling, parents and edges."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from stepwell.consolidating.answers import ops_of, sound_ops
from stepwell.consolidating.tracing import Tracer
from stepwell.contracts import Event, ScopeRow, Skip
from stepwell.errors import PluginFailed
from stepwell.models import EdgeKind, Kind, Record, Status
from stepwell.ops import Add, Op, Revise, SetState
from stepwell.plugins import Plugins
from stepwell.searching import VECTORS, WORDS, ScopeView

_NEAR = 10


class Deriver:
    """Asks the policies of the work path."""

    def __init__(self, plugins: Plugins, tracer: Tracer) -> None:
        self._plugins = plugins
        self._tracer = tracer

    @property
    def wanted(self) -> tuple[str, ...]:
        """Which of its tasks any policy takes part in, the first to be done first."""
        return tuple(hook for hook in ("extract", "organize") if self._plugins.has(hook))

    def extract(self, view: ScopeView, trace: Record) -> list[Op]:
        """Candidates from a trace or a turn, as they were reconciled."""
        settled: list[Op] = []
        for candidate in ops_of(
            self._plugins.collect("extract", sound_ops, trace=trace, view=view)
        ):
            settled += self._reconciled(candidate, view)
        return settled

    def organize(self, view: ScopeView, record: Record) -> list[Op]:
        """Parents and edges of a record; a stale one that was written anew is active again."""
        ops = ops_of(self._plugins.collect("organize", sound_ops, record=record, view=view))
        if record.status is not Status.STALE:
            return ops
        revised = any(isinstance(op, Revise) and op.id == record.id for op in ops)
        if not revised:
            return ops
        return [*ops, SetState(id=record.id, status=Status.ACTIVE, who="organize")]

    def stale(self, view: ScopeView, row: ScopeRow, ref: int) -> list[Op]:
        """What lost a source: a trace is made again, others by the policy whose they are."""
        for _, record in view.reader.load(row, [ref]):
            if record.status is not Status.STALE:
                break
            if record.kind is not Kind.TRACE:
                return self.organize(view, record)
            members = view.reader.targets(row, ref, EdgeKind.CONTAINS)
            left = [m for _, m in view.load(members) if m.status is Status.ACTIVE]
            if left:
                return self._tracer.again(view, record, left)
        return []

    def tick(self, view: ScopeView) -> list[Op]:
        """What policies make of the time that has passed."""
        event = Event("tick", at=view.now)
        return ops_of(self._plugins.collect("observe", sound_ops, event=event, view=view))

    def maintain(self, view: ScopeView, budget: float | None) -> tuple[list[Op], list[str]]:
        """What maintaining policies propose; what failed."""
        ops: list[Op] = []
        failed: list[str] = []
        for answer in self._plugins.collect(
            "maintain", sound_ops, trigger="consolidate", budget=budget, view=view
        ):
            try:
                ops += ops_of([answer])
            except PluginFailed as error:
                failed.append(f"maintain: {error}")
        return ops, failed

    def _reconciled(self, candidate: Op, view: ScopeView) -> Sequence[Op]:
        if not isinstance(candidate, Add):
            return [candidate]
        if _known(candidate, view):
            return []  # a trace that grew is read again; what is there already stays as it is
        if not self._plugins.has("reconcile"):
            return [candidate]
        answer, name = self._plugins.first(
            "reconcile", _settled, candidate=candidate, neighbours=_near(candidate, view),
            view=view,
        )  # fmt: skip
        return [candidate] if answer is None else ops_of([(name or "", answer)])


def _settled(answer: object) -> list[Op]:
    """What becomes of a candidate. Raises Unfit."""
    return [] if isinstance(answer, Skip) else sound_ops(answer)


def _known(candidate: Add, view: ScopeView) -> bool:
    """Whether the same was derived from the same before, whatever has become of it."""
    fresh = candidate.record
    kind = EdgeKind.CONTAINS if candidate.contains else EdgeKind.DERIVED_FROM
    edges = view.links(candidate.sources[:1], kind, into=True)
    twins = (view.get(edge.source) for into in edges.values() for edge in into)
    return any(
        twin is not None and twin.kind is fresh.kind and twin.text == fresh.text for twin in twins
    )


def _near(candidate: Add, view: ScopeView) -> tuple[Record, ...]:
    """Derived records like a candidate: in turn the nearest by vector and by words.

    Not a fusion of ranks, which would drop the one that is first by vector alone.
    """
    side = view.side(episodes=False)
    if side is None or not len(side):
        return ()
    channels = (VECTORS, WORDS) if view.models.space is not None else (WORDS,)
    found = [side.candidates(name, candidate.record.text, _NEAR).places for name in channels]
    order = [int(place) for pair in zip_longest(*found) for place in pair if place is not None]
    refs = [int(side.cache.refs[place]) for place in dict.fromkeys(order)]
    return tuple(record for _, record in view.load(refs[:_NEAR]))
