"""The policy that lets a group speak for its members: soft scores of group times member."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stepwell.contracts import Plan, View
from stepwell.hookspecs import hookimpl
from stepwell.mechanisms.questions import read
from stepwell.models import EdgeKind, Hit


@dataclass(frozen=True)
class Together:
    """A turn is lifted towards the best turn of its trace, by a `share` of what it is behind.

    A trace is one topic: where one of its turns answers, the next best one often says more of it.
    Nothing is cut off that way, as it would be by choosing groups first. The rule is that of
    weighing members by their group (HCAM, arXiv 2105.14039, section 3; H-MEM routes hard instead),
    with the best member for the group's own score.

    In a context, which is offered many hits, only the `near` best are lifted: further down, what
    stands beside a weak hit says nothing.
    """

    share: float = 1 / 6
    near: int = 30
    name: str = "together"

    @property
    def params(self) -> dict[str, object]:
        """What the file remembers of it."""
        return {"share": self.share, "near": self.near}

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """The hits, those of one trace nearer to each other."""
        if not read(plan.query.text).plain:
            return hits  # what answers a line stands right before it; a remark is about one turn
        if plan.query.budget is None:
            return self._together(hits, view)
        lifted = self._together(hits[: self.near], view)
        return [*lifted, *hits[self.near :]]

    def _together(self, hits: Sequence[Hit], view: View) -> Sequence[Hit]:
        turns = [hit.record.id for hit in hits if hit.record.level == 0]
        if len(turns) < 2:
            return hits
        above = view.links(turns, EdgeKind.CONTAINS, into=True)
        best: dict[str, float] = {}
        for hit in hits:
            for edge in above.get(hit.record.id, ()):
                best[edge.source] = max(best.get(edge.source, 0.0), hit.score)
        made = []
        for hit in hits:
            most = max((best[e.source] for e in above.get(hit.record.id, ())), default=0.0)
            made.append(self._lifted(hit, most) if most > hit.score else hit)
        # Sorting is stable: what scores the same stays in its order.
        return sorted(made, key=lambda hit: -hit.score)

    def _lifted(self, hit: Hit, most: float) -> Hit:
        lift = self.share * (most - hit.score)
        return replace(hit, score=hit.score + lift, why={**hit.why, "trace": lift})
