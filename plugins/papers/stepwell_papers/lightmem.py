"""LightMem (arXiv 2510.18866, 2025): memory in three stages, as human memory is pictured.

Faithful: a sensory buffer of 512 tokens that is cut where fine boundaries (turns that have little
to do with the next) lie near coarse ones (section 3.1); a short-term buffer whose topic segments go
to one extraction when they exceed 512 tokens (3.2); facts that are added online without a look at
what is there, and an update at sleep: each fact's candidates are the 20 nearest before it, of which
10 are kept, and at a score of 0.9 the newer one decides what becomes of the older (3.3); a plain
dense search over the facts.

Mended: an update never rewrites or deletes a fact: the newer one supersedes it, and keeps keys of
its own (the original edits the text and keeps the old vector). Without a language model it is only
flagged, and the newer one stands first where both are found: the authors report that wrong
judgements lower accuracy. What is updated is read anew for each step, not from a copy that is stale
by then. Turns of assistants are read as those of users are, as in the paper and unlike in its code.
Turns that no fact leads to follow by plain ranking.

In place of a compressor's attention, coarse boundaries are valleys of cohesion; texts are not
compressed: they are kept word for word anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stepwell import (
    Add,
    Edge,
    EdgeKind,
    Filter,
    Hit,
    Kind,
    Link,
    Plan,
    Preset,
    Query,
    Record,
    Relation,
    SetState,
    Supersede,
    View,
    hookimpl,
)
from stepwell.mechanisms import scoring
from stepwell.mechanisms.buffering import FIRST, LAST, REACH, STEP, batches, cut, sizes
from stepwell.mechanisms.drawing import READ, again, facts_of, read
from stepwell.mechanisms.grounding import (
    by_support,
    by_way_of,
    grounded,
    led,
    members,
    vectors_of,
)

NAME = "lightmem"
#: What a flag between two facts says: the newer one may be an update of the older.
UPDATE = "update"
Ops = list[Add | Link | SetState | Supersede]
Row = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Params:
    """The paper's constants. `force` extracts what waits in the short-term buffer at the end, too.

    `step` is how many topic segments, of how many `turns` together, are worked on at once.
    """

    sensory_tokens: int = 512
    stm_tokens: int = 512
    reach: int = REACH
    first_threshold: float = FIRST
    threshold_step: float = STEP
    last_threshold: float = LAST
    candidates: int = 20
    keep: int = 10
    update_score: float = 0.9
    top: int = 60
    force: bool = True
    step: int = 64
    turns: int = 320


@dataclass(frozen=True)
class Buffers:
    """The sensory buffer, cut by topics, and the short-term buffer, read by batches."""

    params: Params = Params()
    name: str = "lightmem-buffers"

    @hookimpl
    def segment(self, buffer: Sequence[Record], view: View) -> Sequence[int]:
        """Where the sensory buffer was cut each time that it was full; the rest waits in it."""
        tokens = sizes([turn.spoken for turn in buffer])
        vectors = vectors_of(buffer, view)
        ends: list[int] = []
        begin = held = 0
        for place, size in enumerate(tokens):
            while place > begin and held + size > self.params.sensory_tokens:
                gaps = self._cut(vectors[begin:place])
                ends += [begin + gap for gap in gaps] or [place - 1]
                begin = ends[-1] + 1
                held = sum(tokens[begin:place])
            held += size
        return ends

    def _cut(self, vectors: Row) -> list[int]:
        p = self.params
        thresholds = (p.first_threshold, p.threshold_step, p.last_threshold)
        return cut(vectors, p.reach, thresholds=thresholds)

    @hookimpl
    def extract(self, trace: Record) -> Sequence[SetState]:
        """A topic segment that has grown since it was read waits in the short-term buffer again."""
        return again(trace, NAME)

    @hookimpl
    def maintain(self, view: View) -> Sequence[Add | Link | SetState | Supersede]:
        """Facts of what waits, a batch of topic segments at a time, each with its turn."""
        waiting = Filter(kind=Kind.TRACE) & ~Filter(payload={NAME: [READ, "settled"]})
        every = view.records(waiting, limit=self.params.step)
        traces, turns = some(every, self.params.turns, view)
        tokens = [sum(sizes([turn.spoken for turn in turns[trace.id]])) for trace in traces]
        ends = batches(tokens, self.params.stm_tokens)
        if not self.params.force and len(traces) == len(every) < self.params.step:
            ends = ends[:-1]
        ops: Ops = []
        for last, end in pairwise([-1, *ends]):
            batch = traces[last + 1 : end + 1]
            said = [turn for trace in batch for turn in turns[trace.id]]
            # Soft insert: facts are added, nothing is looked up.
            ops += facts_of(said, view, asked=len(said))
            ops += read(batch, NAME)
        return ops


@dataclass(frozen=True)
class Sleep:
    """The update at sleep: newer facts decide about older ones that are nearly the same."""

    params: Params = Params()
    name: str = "lightmem-sleep"

    @hookimpl
    def maintain(self, view: View) -> Sequence[Add | Link | SetState | Supersede]:
        """The update queue of the facts of some topic segments."""
        where = Filter(kind=Kind.TRACE, payload={NAME: READ})
        traces, inside = some(view.records(where, limit=self.params.step), self.params.turns, view)
        if not traces:
            return ()
        turns = [turn.id for within in inside.values() for turn in within]
        into = view.links(turns, EdgeKind.DERIVED_FROM, into=True)
        fresh = {edge.source for edges in into.values() for edge in edges}
        facts = sorted(view.records(Filter(kind=Kind.FACT), limit=1_000_000), key=_when)
        vectors = vectors_of(facts, view)
        places = [place for place, fact in enumerate(facts) if fact.id in fresh]
        ops: Ops = []
        for place, scores in zip(places, vectors[places] @ vectors.T, strict=True):
            older = [facts[n] for n in self.queue(scores[:place])]
            ops += self._decided(facts[place], older, view)
        return [*ops, *(SetState(id=trace.id, payload={NAME: "settled"}) for trace in traces)]

    def queue(self, scores: Row) -> list[int]:
        """The places of those facts before this one that it may update, by their cosines."""
        order = scoring.top(scores, self.params.candidates).tolist()[: self.params.keep]
        return [place for place in order if scores[place] >= self.params.update_score]

    def _decided(self, newer: Record, queue: Sequence[Record], view: View) -> Ops:
        older = [fact for fact in queue if fact.text != newer.text]
        judged = view.models.relate(newer.text, [fact.text for fact in older]) if older else ()
        said = (Relation.REFINES, Relation.CONTRADICTS, Relation.RESOLVES)
        found = [fact for fact, relation in zip(older, judged, strict=True) if relation in said]
        if view.models.language_model is not None:
            return [Supersede(id=newer.id, replaces=fact.id) for fact in found]
        kind = EdgeKind.RELATED
        edges = [Edge(source=newer.id, kind=kind, target=f.id, label=UPDATE) for f in found]
        return [Link(edge=edge) for edge in edges]


@dataclass(frozen=True)
class Search:
    """Facts by a plain dense search, and the turns they lead to."""

    params: Params = Params()
    name: str = "lightmem-search"

    @hookimpl
    def plan(self, query: Query, view: View) -> Plan:
        """First the turns themselves, for what has no facts; then the facts."""
        near = {"vectors": 1.0, "words": 0.0} if view.models.space else {"words": 1.0}
        return by_way_of(query, [Kind.FACT], near, self.params.top)

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """The turns of the nearest facts, then all others."""
        if not led(plan):
            return [by_support(hit, plan.query.text, view) for hit in hits]
        facts = [hit for hit in hits if hit.record.kind is Kind.FACT][: self.params.top]
        support: dict[str, dict[str, float]] = {}
        for hit in sorted(self._updated(facts, view), key=lambda hit: -hit.score):
            for turn in hit.sources:
                support.setdefault(turn, {}).setdefault("facts", hit.score)
        return grounded(support, hits, plan, view)

    def _updated(self, facts: Sequence[Hit], view: View) -> list[Hit]:
        """Of two facts of which one may update the other, the newer has the better score."""
        found = {hit.record.id: hit for hit in facts}
        flags = view.links(list(found), EdgeKind.RELATED)
        for edge in (edge for edges in flags.values() for edge in edges if edge.label == UPDATE):
            newer, older = found.get(edge.source), found.get(edge.target)
            if newer and older and newer.score < older.score:
                found[edge.source] = replace(newer, score=older.score)
                found[edge.target] = replace(older, score=newer.score)
        return list(found.values())


def some(
    traces: Sequence[Record], most: int, view: View
) -> tuple[list[Record], dict[str, list[Record]]]:
    """The first of some traces, until they have so many turns together, and these turns."""
    turns = members(traces, view)
    held = 0
    taken: list[Record] = []
    for trace in traces:
        held += len(turns[trace.id])
        if taken and held > most:
            break
        taken.append(trace)
    return taken, turns


def _when(fact: Record) -> datetime:
    return fact.said_at or fact.stored_at


PRESET = Preset(
    NAME,
    1,
    (
        "words",
        "vectors",
        Buffers(),
        Sleep(),
        Search(),
        "channel-vectors",
        "channel-words",
        "channel-order",
        "flat-packer",
    ),
)
