"""MemTree (arXiv 2410.14052): a tree that turns walk down for as long as it is like them.

Faithful: from the root a turn goes to the most similar child for as long as the similarity reaches
a threshold that grows with depth, theta(d) = theta_0 exp(lambda d), and becomes a child where it
stops; a leaf that it is led to becomes a node with the two below it; every node above tells what
its members say, the more generally the more there are (section 3.1). All nodes are searched alike,
whatever their depth ("collapsed"), and what reaches a cosine of 0.2 counts (3.2).

Mended: depth is a share of the greatest, as with the raw one nothing gets below the second level;
the threshold stops at 0.9. A node is searched by the mean of what lies below it, which moves with
each insertion, where the paper embeds the text anew; texts are written once all turns are in place.
A node counts for the turns below it that the question is near to. Turns that no node leads to
follow after the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from stepwell import (
    Add,
    EdgeKind,
    Filter,
    Hit,
    Key,
    Kind,
    Op,
    Plan,
    Preset,
    Query,
    Record,
    Revise,
    SetState,
    Status,
    Unlink,
    View,
    hookimpl,
)
from stepwell.mechanisms import grouping
from stepwell.mechanisms.grounding import beside, by_support, cosines, grounded, vectors_of
from stepwell.mechanisms.labelling import keywords

NAME = "memtree"
NODES = Filter(kind=Kind.CATEGORY)
ALL = 1_000_000
#: Ids that are asked for at once.
PAGE = 1_000
Row = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Params:
    """The paper's constants; `deepest` is the depth below which nothing is put.

    `step` turns are put in place, `texts` nodes written in one step.
    """

    theta: float = 0.4
    growth: float = 0.5
    deepest: int = 6
    cap: float = 0.9
    retrieve: float = 0.2
    tokens: int = 64
    top: int = 48
    step: int = 128
    texts: int = 128

    def threshold(self, depth: int) -> float:
        """The similarity that leads below a node of a depth; the root's is 0."""
        return min(self.cap, self.theta * math.exp(self.growth * depth / self.deepest))


@dataclass(slots=True)
class Tree:
    """The tree while turns are put in: members by node, "" being the root, sums of vectors below.

    Leaves have a vector and no members. What changed is noted for the ops.
    """

    params: Params
    members: dict[str, list[str]] = field(default_factory=lambda: {"": []})
    sums: dict[str, Row] = field(default_factory=dict)
    depth: dict[str, int] = field(default_factory=lambda: {"": 0})
    made: dict[str, str] = field(default_factory=dict)
    joined: list[tuple[str, str]] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)
    grown: dict[str, None] = field(default_factory=dict)

    def insert(self, leaf: str, vector: Row) -> None:
        """Walk down from the root, and stay where nothing below is similar enough."""
        self.sums[leaf] = vector
        at, path = "", [""]
        while True:
            best, score = self._nearest(at, vector)
            if best is None or score < self.params.threshold(self.depth[at]):
                break
            if best in self.members:
                at = best
                path.append(at)
                continue
            if self.depth[at] + 1 < self.params.deepest:
                at = self._split(at, best)
                path.append(at)
            break
        if at == "":
            at = self._node("")
            path.append(at)
        self.members[at].append(leaf)
        self.joined.append((at, leaf))
        for node in path[1:]:
            known = self.sums.get(node)
            self.sums[node] = vector if known is None else known + vector
            self.grown[node] = None

    def leaves(self, node: str) -> list[str]:
        """What lies below a node, at the bottom."""
        below = self.members.get(node)
        return [node] if below is None else [leaf for each in below for leaf in self.leaves(each)]

    def _nearest(self, node: str, vector: Row) -> tuple[str | None, float]:
        below = self.members[node]
        if not below:
            return None, 0.0
        sums = np.stack([self.sums[name] for name in below])
        norms = np.linalg.norm(sums, axis=1)
        scores = (sums @ vector) / np.where(norms > 0, norms, 1.0)
        best = int(np.argmax(scores))
        return below[best], float(scores[best])

    def _node(self, parent: str) -> str:
        name = f"@{NAME}-{len(self.made)}"
        self.members[name] = []
        self.depth[name] = self.depth[parent] + 1
        self.members[parent].append(name)
        self.made[name] = parent
        return name

    def _split(self, parent: str, leaf: str) -> str:
        """A leaf becomes a node that contains it."""
        node = self._node(parent)
        self.members[parent].remove(leaf)
        if (parent, leaf) in self.joined:
            self.joined.remove((parent, leaf))
        else:
            self.moved.append((parent, leaf))
        self.members[node].append(leaf)
        self.joined.append((node, leaf))
        self.sums[node] = self.sums[leaf]
        return node


@dataclass(frozen=True)
class Grow:
    """Puts turns into the tree, then writes what its nodes tell."""

    params: Params = Params()
    name: str = "memtree-grow"

    @hookimpl
    def organize(self, record: Record, view: View) -> Sequence[Op]:
        """A node that lost a turn by forgetting, written from what is left below it."""
        if record.status is not Status.STALE or NAME not in record.payload:
            return ()
        edges = view.links([record.id], EdgeKind.CONTAINS)[record.id]
        below = [held for edge in edges if (held := view.get(edge.target)) is not None]
        below = [held for held in below if held.status is Status.ACTIVE]
        if not below:
            return ()
        mean = grouping.normal(vectors_of(below, view).sum(axis=0))
        return self._told(record, below, mean, view)

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """The next turns; when all are in place, the texts of what has grown."""
        nodes = view.records(NODES, limit=ALL)
        links = view.links([node.id for node in nodes], EdgeKind.CONTAINS)
        inside = {edge.target for edges in links.values() for edge in edges}
        turns = [turn for turn in view.records(Filter(level=0), limit=ALL) if turn.id not in inside]
        if turns:
            return self._inserted(turns[: self.params.step], nodes, view)
        grown = [node for node in nodes if node.payload.get(NAME) == "grown"][: self.params.texts]
        names = {edge.target for node in grown for edge in links[node.id]}
        known = _records(sorted(names), view)
        ops: list[Op] = []
        for node in grown:
            below = [known[edge.target] for edge in links[node.id] if edge.target in known]
            if below:
                ops += self._told(node, below, view.vectors([node.id])[0], view)
        return ops

    def _inserted(self, turns: Sequence[Record], nodes: Sequence[Record], view: View) -> list[Op]:
        tree = self._tree(nodes, view)
        for turn, vector in zip(turns, vectors_of(turns, view), strict=True):
            tree.insert(turn.id, vector)
        ops: list[Op] = [
            Unlink(source=node, kind=EdgeKind.CONTAINS, target=leaf) for node, leaf in tree.moved
        ]
        # A node is made once what is in it is there.
        deepest = sorted(tree.made, key=lambda name: -tree.depth[name])
        ops += [self._added(name, tree, view) for name in deepest]
        fresh = [pair for pair in tree.joined if pair[0] not in tree.made]
        fresh += [(parent, name) for name, parent in tree.made.items()]
        for node, member in fresh:
            if node and node not in tree.made:
                ops += grouping.links(node, [member])
        for node in tree.grown:
            if node not in tree.made:
                mean = grouping.normal(tree.sums[node])
                ops += grouping.rekeyed(view, node, mean)
                ops.append(SetState(id=node, payload={NAME: "grown"}))
        return ops

    def _tree(self, nodes: Sequence[Record], view: View) -> Tree:
        """The tree as it is, with the sums of vectors below each node."""
        tree = Tree(self.params)
        links = view.links([node.id for node in nodes], EdgeKind.CONTAINS)
        above = {edge.target for edges in links.values() for edge in edges}
        known = {node.id for node in nodes}
        leaves = sorted(above - known)
        records = _records(leaves, view)
        held = [records[name] for name in leaves if name in records]
        vectors = vectors_of(held, view)
        tree.sums = {turn.id: vectors[n] for n, turn in enumerate(held)}
        for node in nodes:
            tree.members[node.id] = [
                e.target for e in links[node.id] if e.target in known or e.target in tree.sums
            ]
            tree.depth[node.id] = self.params.deepest + 1 - node.level
        tree.members[""] = [node.id for node in nodes if node.id not in above]
        for node in sorted(nodes, key=lambda node: -tree.depth[node.id]):
            sums = [tree.sums[name] for name in tree.members[node.id]]
            tree.sums[node.id] = np.sum(sums, axis=0) if sums else np.zeros(0, np.float32)
        for node in nodes:  # nothing is below it any more
            if not len(tree.sums[node.id]):
                for members in tree.members.values():
                    if node.id in members:
                        members.remove(node.id)
        return tree

    def _added(self, name: str, tree: Tree, view: View) -> Add:
        turns = [turn for leaf in tree.leaves(name) if (turn := view.get(leaf)) is not None]
        level = self.params.deepest + 1 - tree.depth[name]
        said = [turn.said_at or turn.stored_at for turn in turns]
        record = Record(
            id=name, scope=view.scope, level=level, kind=Kind.CATEGORY, text=turns[0].text,
            payload={NAME: "grown"}, said_at=min(said), valid_from=max(said), stored_at=view.now,
            trust=min(turn.trust for turn in turns),
        )  # fmt: skip
        keys = grouping.keys(view, record, grouping.normal(tree.sums[name]))
        return Add(record=record, keys=keys, sources=tuple(tree.members[name]), contains=True)

    def _told(self, node: Record, below: Sequence[Record], mean: Row, view: View) -> list[Op]:
        """What its members say, under their key words."""
        texts = [each.spoken for each in below]
        told = view.models.summarize(texts[-64:], tokens=self.params.tokens).text or texts[0]
        head = ", ".join(keywords("\n".join(texts), 3))
        text = f"{head}\n{told}" if head else told
        said = [each.said_at or each.stored_at for each in below]
        fresh = node.model_copy(update={"text": text})
        keys: tuple[Key, ...] = grouping.keys(view, fresh, mean)
        until = max(each.valid_from or each.said_at or each.stored_at for each in below)
        trust = min(each.trust for each in below)
        return [
            Revise(id=node.id, text=text, keys=keys, said_at=min(said)),
            SetState(id=node.id, payload={NAME: "told"}, valid_from=until, trust=trust),
        ]


@dataclass(frozen=True)
class Search:
    """All nodes and turns alike."""

    params: Params = Params()
    name: str = "memtree-search"

    @hookimpl
    def plan(self, query: Query, view: View) -> Plan:
        """Nodes beside turns."""
        weights = {"vectors": 1.0, "words": 0.0 if view.models.space else 1.0}
        plan = beside(query, [Kind.CATEGORY], weights, NAME, look=2 * self.params.top)
        if NAME not in plan.weights:
            return plan
        levels = tuple(range(self.params.deepest + 1))
        where = Filter(level=0) | NODES
        if query.where is not None:
            where = query.where & Filter(level=0) | NODES
        return replace(plan, query=replace(query, levels=levels, where=where))

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """The turns below the best nodes, and the best turns; then all others."""
        question = plan.query.text
        if NAME not in plan.weights:
            return [by_support(hit, question, view) for hit in hits]
        found = {hit.record.id: hit.score for hit in hits}
        near = cosines(question, list(found), view)
        if near is not None:
            found = dict(zip(found, map(float, near.tolist()), strict=True))
        top = sorted(found, key=lambda name: -found[name])[: self.params.top]
        top = [name for name in top if near is None or found[name] >= self.params.retrieve]
        support: dict[str, dict[str, float]] = {}
        for name in top:
            leaves = view.links([name], EdgeKind.CONTAINS).get(name, ())
            for leaf in [edge.target for edge in leaves] or [name]:
                own = found.get(leaf, 0.0)
                score = own if leaf == name else (own + found[name]) / 2
                held = support.setdefault(leaf, {})
                held["tree"] = max(held.get("tree", 0.0), score)
        nodes = {hit.record.id for hit in hits if hit.record.level > 0}
        support = {name: said for name, said in support.items() if name not in nodes}
        return grounded(support, hits, plan, view)


def _records(names: Sequence[str], view: View) -> dict[str, Record]:
    """The active records of some ids."""
    found: dict[str, Record] = {}
    for start in range(0, len(names), PAGE):
        page = Filter(id=list(names[start : start + PAGE]))
        found |= {record.id: record for record in view.records(page, limit=PAGE)}
    return found


PRESET = Preset(
    NAME,
    1,
    ("words", "vectors", Grow(), Search(), "channel-vectors", "channel-words", "flat-packer"),
)
