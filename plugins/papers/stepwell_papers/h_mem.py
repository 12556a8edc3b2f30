"""H-MEM: "Hierarchical Memory for High-Efficiency Long-Term Reasoning in LLM Agents".

2025, arXiv 2507.22925.

Faithful: four layers, domain, category, memory trace and episode, each node with pointers to its
children (section 3.1); what is said is put into a domain, a category of it and a trace of that,
each found or made (3.2); a question goes from the top down: of each layer the 10 nearest, and only
what these point to is looked at in the next (3.3); approval raises the weight of an episode,
rebuttal lowers it, and without a word about it a forgetting curve does (3.4).

Mended: a node is found by the name that a language model gives, or by its vector, the mean of what
lies below, where no name is the same: names drift, and each drift would be a domain of its own.
Without a model it is found by its vector alone, by three cuts of likeness, and labelled by what its
words are. The paper has no equation for the weight: it is 1 at first, times 1.3 after approval and
0.5 after rebuttal, at most 2, and fades by e to the power of a hundredth of the days since it was
last asked about, or said. It shifts a cosine by a tenth at most, since a weight that multiplies
the whole would bury all that is old and still true. When a layer has as many as 300 children, the
nearest one is taken.

Left out as decoration: position indices in the vectors, which are pointers and are kept as edges,
and the profile of emotions. The hard way down misses what lies in a domain that is not among the
best: what it does not reach follows by plain ranking. Without vectors the way down goes by the
words of labels and gists, and plain ranking orders the episodes at its end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from stepwell import (
    EdgeKind,
    Event,
    Filter,
    Hit,
    Op,
    Plan,
    Preset,
    Query,
    Record,
    SetState,
    Status,
    View,
    hookimpl,
)  # fmt: skip
from stepwell.mechanisms import nesting, placing
from stepwell.mechanisms.grounding import asked, by_support, cosines, grounded, plainly, vectors_of

NAME = "h-mem"
#: Turns that tell what cosine is usual.
SAMPLE = 48
#: The layers above the episodes, from the top down.
LAYERS = (3, 2, 1)


@dataclass(frozen=True)
class Params:
    """`near`: how far from the usual cosine towards 1 something joins a domain, category, trace.

    Likeness by words alone is lower: `worded` times as far is enough there. `layer`: nodes of each
    layer that a question goes on from. `looked`: turns that words rank.
    `step`: turns put in at once.
    """

    near: tuple[float, float, float] = (0.05, 0.12, 0.2)
    worded: float = 0.5
    children: int = 300
    layer: int = 10
    approved: float = 1.3
    rebutted: float = 0.5
    most: float = 2.0
    fading: float = 0.01
    share: float = 0.1
    looked: int = 128
    tokens: int = 48
    step: int = 128


@dataclass(frozen=True)
class Layers:
    """Puts turns into a trace of a category of a domain."""

    params: Params = Params()
    name: str = "h-mem-layers"

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """The next turns are put in; when all are, nodes that have grown are described anew."""
        tree = nesting.Tree(view, NAME, LAYERS[0])
        turns = tree.waiting(self.params.step)
        if not turns:
            return nesting.retold(view, NAME, tokens=self.params.tokens, headed=True)
        usual = placing.usual(vectors_of(view.records(Filter(level=0), limit=SAMPLE), view))
        far = 1.0 if view.models.space else self.params.worded
        least = [placing.threshold(usual, far * near) for near in self.params.near]
        for turn, vector in zip(turns, vectors_of(turns, view), strict=True):
            path: list[str] = []
            for level, threshold, name in zip(LAYERS, least, _names(turn, view), strict=True):
                inside = path[-1] if path else None
                found = self._found(tree, inside, vector, threshold, name)
                path.append(found or tree.begin(level, inside, turn, name))
            tree.add(turn, vector, path)
        return tree.ops()

    def _found(
        self, tree: nesting.Tree, inside: str | None, vector: npt.NDArray[np.float32],
        least: float, name: str,
    ) -> str | None:  # fmt: skip
        """The child that what is said belongs to, if there is one."""
        children = tree.below(inside)
        for child in children.ids if name else ():
            if tree.nodes[child].name == name:
                return child
        near = children.nearest(vector)
        if near is None or (near[1] < least and len(children) < self.params.children):
            return None
        return near[0]

    @hookimpl
    def organize(self, record: Record, view: View) -> Sequence[Op]:
        """A node of which a turn was forgotten is described anew from what is left."""
        if record.status is not Status.STALE or record.turn is not None:
            return ()
        return nesting.again(view, NAME, record, tokens=self.params.tokens)


@dataclass(frozen=True)
class Weights:
    """What feedback and time make of an episode's weight."""

    params: Params = Params()
    name: str = "h-mem-weights"

    @hookimpl
    def observe(self, event: Event, view: View) -> Sequence[Op]:
        """Approval and rebuttal change the weight; what is neither lets time go on."""
        if event.name != "feedback" or event.outcome is None:
            return ()
        p = self.params
        times = (
            p.approved if event.outcome > 2 / 3 else p.rebutted if event.outcome < 1 / 3 else 1.0
        )
        turns = [record for name in event.record_ids if (record := view.get(name))]
        return [
            SetState(id=turn.id, strength=min(p.most, view.usage(turn.id).strength * times))
            for turn in turns
            if turn.level == 0 and times != 1.0
        ]

    def weight(self, strength: float, since: datetime, now: datetime) -> float:
        """The weight as it is now: a forgetting curve."""
        days = max(0.0, (now - since).total_seconds() / 86_400)
        return strength * math.exp(-self.params.fading * days)

    def weighed(self, turn: Record, cosine: float, view: View) -> float:
        """A cosine, a little higher or lower by the weight of the episode."""
        usage = view.usage(turn.id)
        since = usage.last_used or turn.said_at or turn.stored_at
        return cosine * (1 + self.params.share * (self.weight(usage.strength, since, view.now) - 1))


@dataclass(frozen=True)
class Routing:
    """From the best domains down to episodes."""

    params: Params = Params()
    name: str = "h-mem-routing"

    @hookimpl
    def plan(self, query: Query, view: View) -> Plan:
        """Plain ranking, for what the way down does not reach; by words also for what it does."""
        return plainly(query, look=0 if view.models.space else self.params.looked)

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """The episodes at the end of the way, then all others."""
        question = plan.query.text
        if plan.query.levels != (0,):
            return [by_support(hit, question, view) for hit in hits]
        p = self.params
        wanted = max(plan.query.k, p.layer)
        best = _nearest([n.id for n in nesting.nodes_of(view, NAME, LAYERS[0])], question, view)
        for _ in LAYERS:
            edges = view.links(list(best)[: p.layer], EdgeKind.CONTAINS)
            within = [edge.target for some in edges.values() for edge in some[-p.children :]]
            best = _nearest(within, question, view)
        if view.models.space is None:
            # Words of a turn say more of it by their ranking than by how many are the same.
            best = {hit.record.id: hit.score for hit in hits if hit.record.id in best}
        best = dict(list(best.items())[:wanted])
        turns = view.records(Filter(id=list(best)), limit=wanted) if best else []
        weights = Weights(p)
        support = {
            turn.id: {"episode": weights.weighed(turn, max(0.0, best[turn.id]), view)}
            for turn in turns
        }
        return grounded(support, hits, plan, view)


def _names(turn: Record, view: View) -> tuple[str, str, str]:
    """What a language model calls the domain, the category and the trace; else nothing."""
    if view.models.language_model is None:
        return "", "", ""
    about = view.models.annotate(turn.spoken)
    if not about.domain:
        return "", "", ""
    trace = about.keywords[0] if about.keywords else ""
    domain, category, trace = (
        " ".join(name.casefold().split()) for name in (about.domain, about.category, trace)
    )
    return domain, category, trace


def _nearest(names: Sequence[str], question: str, view: View) -> dict[str, float]:
    """Records of some ids with their cosines, best first; of equals as they came."""
    names = list(dict.fromkeys(names))
    near = cosines(question, names, view)
    if near is None:
        records = view.records(Filter(id=names), limit=len(names)) if names else []
        names = [record.id for record in records]
        near = vectors_of(records, view) @ asked(question, view)
    order = np.argsort(-near, kind="stable")
    return {names[at]: float(near[at]) for at in order}


PRESET = Preset(
    NAME,
    1,
    (
        "words",
        "vectors",
        Layers(),
        Weights(),
        Routing(),
        "channel-vectors",
        "channel-words",
        "channel-order",
        "flat-packer",
    ),
)
