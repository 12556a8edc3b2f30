"""MemTree: "From Isolated Conversations to Hierarchical Schemas" (2024, arXiv 2410.14052).

Faithful: what is new descends from the root into the child that it is most like, as long as that
cosine reaches a threshold that rises with depth, theta(d) = theta0 exp(lambda d); where it does
not, it becomes a leaf there; a leaf that it would descend into becomes a node of both (section
3.1). What a node tells is an aggregate of what lies below, made anew for all of the path (3.2). A
question sees the tree as one flat set: every node above a threshold, the best first (3.3).

Mended: as it is written the threshold passes 1 at the third level, so that no tree is deeper: depth
counts as a share of the greatest one, and the threshold stays below 0.9. It is measured from the
cosine that is usual in the space: strangers are at 0.1 in one and at 0.7 in another. The tree is as
deep as the ladder of levels; where no deeper node may be, a leaf gets a sister. Vectors of nodes
are running means of the turns below, so that no wording of an aggregate moves them. The aggregates
of a path are written once for all that came: the tree, which depends on vectors alone, is the same.

A node that is found leads to its turns, by both its cosine and theirs; turns that nothing leads to
follow by plain ranking. Of the nodes those above the nearest turns are looked at: another one could
only be found by what none of its turns says. Without vectors turns are as near as plain ranking
says, and a node is as near as its turns are on average.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stepwell import EdgeKind, Filter, Hit, Op, Plan, Preset, Query, Record, Status, View, hookimpl
from stepwell.mechanisms import nesting, placing
from stepwell.mechanisms.drawing import above
from stepwell.mechanisms.grounding import by_support, cosines, grounded, plainly, vectors_of

NAME = "memtree"
#: Turns that tell what cosine is usual.
SAMPLE = 48


@dataclass(frozen=True)
class Params:
    """Thresholds of growing and of finding. `step` is how many turns are put in at once.

    `calibrated` thresholds count from the usual cosine towards 1; else they are cosines.
    """

    theta: float = 0.4
    rate: float = 0.5
    most: float = 0.9
    depth: int = 3
    calibrated: bool = True
    found: float = 0.2
    look: int = 64
    tokens: int = 64
    step: int = 128


@dataclass(frozen=True)
class Growing:
    """Puts turns into the tree."""

    params: Params = Params()
    name: str = "memtree-growing"

    def threshold(self, depth: int, usual: float = 0.0) -> float:
        """The cosine from which on what is new descends from a node of this depth."""
        p = self.params
        theta = min(p.most, p.theta * math.exp(p.rate * depth / p.depth))
        return placing.threshold(usual, theta) if p.calibrated else theta

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """The next turns are put in; when all are, nodes that have grown are written anew."""
        tree = nesting.Tree(view, NAME, self.params.depth + 1)
        turns = tree.waiting(self.params.step)
        if not turns:
            return nesting.retold(view, NAME, tokens=self.params.tokens, headed=False)
        usual = placing.usual(vectors_of(view.records(Filter(level=0), limit=SAMPLE), view))
        least = [self.threshold(depth, usual) for depth in range(self.params.depth)]
        for turn, vector in zip(turns, vectors_of(turns, view), strict=True):
            roots = tree.below(None).ids
            path = [roots[0] if roots else tree.begin(self.params.depth + 1, None, turn)]
            for depth, threshold in enumerate(least):
                near = tree.below(path[-1]).nearest(vector)
                if near is None or near[1] < threshold:
                    break
                if near[0] in tree.nodes:
                    path.append(near[0])
                    continue
                path.append(tree.split(near[0], path[-1], self.params.depth - depth))
                break
            tree.add(turn, vector, path)
        return tree.ops()

    @hookimpl
    def organize(self, record: Record, view: View) -> Sequence[Op]:
        """A node of which a turn was forgotten is made again of what is left."""
        if record.status is not Status.STALE or record.turn is not None:
            return ()
        return nesting.again(view, NAME, record, tokens=self.params.tokens)


@dataclass(frozen=True)
class Collapsed:
    """Every node by its cosine, whatever its depth."""

    params: Params = Params()
    name: str = "memtree-collapsed"

    @hookimpl
    def plan(self, query: Query) -> Plan:
        """The nearest turns; the nodes are those above them."""
        return plainly(query, look=self.params.look)

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """The turns of the best nodes, then all others."""
        question = plan.query.text
        if plan.query.levels != (0,):
            return [by_support(hit, question, view) for hit in hits]
        return grounded(self._support(question, hits, plan.query.k, view), hits, plan, view)

    def _support(
        self, question: str, hits: Sequence[Hit], k: int, view: View
    ) -> dict[str, dict[str, float]]:
        """Turns that are among the best nodes, and those that one of the best contains."""
        turns = {hit.record.id: hit.record for hit in hits}
        nodes = self._above(list(turns), view)
        near = self._near(question, hits, nodes, view)
        found = [name for name in near if near[name] >= self.params.found]
        best = sorted(found, key=lambda name: -near[name])[:k]
        support = {name: {"leaf": near[name]} for name in best if name in turns}
        edges = view.links([name for name in best if name in nodes], EdgeKind.CONTAINS)
        for name, within in edges.items():
            for turn in (edge.target for edge in within if edge.target in turns):
                known = support.setdefault(turn, {})
                both = (near[turn] + near[name]) / 2
                known["node"] = max(known.get("node", 0.0), both)
        return support

    def _near(
        self, question: str, hits: Sequence[Hit], nodes: Mapping[str, Record], view: View
    ) -> dict[str, float]:
        """How near turns and nodes are; by words a node is as near as its turns on average."""
        near = cosines(question, [*nodes, *(hit.record.id for hit in hits)], view)
        if near is not None:
            return dict(zip([*nodes, *(hit.record.id for hit in hits)], near.tolist(), strict=True))
        told = {hit.record.id: hit.score for hit in hits}
        for name, within in view.links(list(nodes), EdgeKind.CONTAINS).items():
            scores = [told[edge.target] for edge in within if edge.target in told]
            told[name] = sum(scores) / len(scores) if scores else 0.0
        return told

    def _above(self, names: Sequence[str], view: View) -> dict[str, Record]:
        """The nodes above some turns, but for the root, which is none of its own."""
        found: dict[str, None] = {}
        for _ in range(self.params.depth):
            names = list(dict.fromkeys(above(names, view)))
            found |= dict.fromkeys(names)
        nodes = view.records(Filter(id=list(found)), limit=len(found)) if found else []
        return {node.id: node for node in nodes if 0 < node.level <= self.params.depth}


PRESET = Preset(
    NAME,
    1,
    (
        "words",
        "vectors",
        Growing(),
        Collapsed(),
        "channel-vectors",
        "channel-words",
        "channel-order",
        "flat-packer",
    ),
)
