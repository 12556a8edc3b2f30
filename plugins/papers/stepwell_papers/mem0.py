"""Mem0 (arXiv 2504.19413, 2025): facts, each weighed against the ten most like it when it comes.

Faithful: a remark and its answer are read together, beside a running summary and the ten messages
before (section 2.1); each fact meets its ten nearest and is added, updates one of them, takes one
out of force, or is dropped as known; facts are found by cosine alone.

Mended: UPDATE and DELETE supersede: the older fact stays, with its time, and no turn is touched
(the original overwrites and deletes, which is where independent runs lose answers). A fact that is
known gets another source in place of being dropped. Only two facts of one speaker can say the same
or contradict each other, and what was said earlier replaces nothing. Facts have the time at which
they were said, not that of writing. What is recalled is never read again as something new. Turns
that no fact leads to follow by plain ranking.

Without a language model facts are sentences that state something, and only those that lie well
above the usual cosine are held against each other, by rules of wording.

Left out: the graph variant. It costs twice the tokens for a point and a half, and independently
measured it loses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from stepwell import (
    EdgeKind,
    Filter,
    Hide,
    Hit,
    Kind,
    Op,
    Plan,
    Preset,
    Query,
    Record,
    Relation,
    SetState,
    Status,
    Supersede,
    View,
    hookimpl,
)  # fmt: skip
from stepwell.mechanisms import drawing, grounding, placing, scoring
from stepwell.mechanisms.buffering import exchanges
from stepwell.mechanisms.relating import relation
from stepwell.mechanisms.rolling import rolled

NAME = "mem0"
FACTS = Filter(kind=Kind.FACT)
ALL = 1_000_000
#: What the newer of two facts does to the older one.
REPLACES = (Relation.REFINES, Relation.CONTRADICTS, Relation.RESOLVES)


@dataclass(frozen=True)
class Params:
    """The paper's constants: similar facts that are looked at, messages of context, the summary.

    `near` is how far towards 1, from the usual cosine, of a fact that rules look at. `step` is how
    many exchanges are read, and `weighed` how many facts are weighed, at once; `asked` is either
    where there is a language model.
    """

    similar: int = 10
    messages: int = 10
    summary_tokens: int = 200
    top: int = 60
    near: float = 0.2
    step: int = 128
    weighed: int = 256
    asked: int = 8


@dataclass(frozen=True)
class Facts:
    """What is stated."""

    params: Params = Params()
    name: str = "mem0-facts"

    @hookimpl
    def segment(self, buffer: Sequence[Record]) -> Sequence[int]:
        """A remark and its answer."""
        return exchanges([turn.actor or turn.role for turn in buffer])

    @hookimpl
    def extract(self, trace: Record) -> Sequence[Op]:
        """A remark that was answered since is read again."""
        return drawing.again(trace, NAME)

    @hookimpl
    def organize(self, record: Record, view: View) -> Sequence[Op]:
        """A fact of which a turn was forgotten, as the others state it."""
        stale = record.status is Status.STALE and record.kind is Kind.FACT
        return drawing.restated(record, view) if stale else ()

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """The facts of some exchanges, and the running summary."""
        p, model = self.params, view.models.language_model
        summary = rolled(view, NAME, tokens=p.summary_tokens)
        traces = drawing.waiting(view, NAME, p.step if model is None else p.asked)
        if not traces:
            return summary
        inside = list(grounding.members(traces, view).values())
        if model is None:
            inside = [[turn for turns in inside for turn in turns]]
        fresh = []
        for turns in inside:
            known: list[str] = []
            if turns and model is not None:
                before = view.neighbours(turns[0].id, before=p.messages, after=0)
                known = [view.slot(NAME).text, *(turn.spoken for turn in before)]
            told = [text for text in known if text]
            fresh += drawing.facts_of(turns, view, lambda _, __: {NAME: "new"}, known=told)
        known_facts = view.records(FACTS, limit=ALL)
        return [*summary, *drawing.unsaid(fresh, known_facts, view), *drawing.read(traces, NAME)]


@dataclass(frozen=True)
class Weighing:
    """What becomes of a fact, and of those that were stated before."""

    params: Params = Params()
    name: str = "mem0-weighing"

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """Decide about facts that are new, in order of arrival."""
        p, model = self.params, view.models.language_model
        limit = p.weighed if model is None else p.asked
        fresh = view.records(FACTS & Filter(payload={NAME: "new"}), limit=limit)
        if not fresh:
            return ()
        facts = view.records(FACTS, limit=ALL)
        vectors = grounding.vectors_of(facts, view)
        least = 0.0
        if model is None:
            least = placing.threshold(placing.usual(vectors[:48]), p.near)
        place = {fact.id: at for at, fact in enumerate(facts)}
        places = [place[fact.id] for fact in fresh]
        cosines = vectors[places] @ vectors.T
        people: dict[str | None, int] = {}
        said_by = np.array([people.setdefault(fact.actor, len(people)) for fact in facts])
        active = np.ones(len(facts), np.bool_)
        ops: list[Op] = []
        further: dict[str, list[str]] = {}
        sources = view.links([fact.id for fact in fresh], EdgeKind.DERIVED_FROM)
        for row, (at, fact) in enumerate(zip(places, fresh, strict=True)):
            ops.append(SetState(id=fact.id, payload={NAME: "weighed"}))
            may = active & (said_by == said_by[at])
            may[at:] = False
            score = np.where(may & (cosines[row] >= least), cosines[row], 0)
            near = scoring.top(score, p.similar).tolist()
            older = [facts[other] for other in near]
            if model is None:
                each = zip(older, score[near].tolist(), strict=True)
                told = [relation(fact.text, other.text, cosine) for other, cosine in each]
            else:
                told = list(view.models.relate(fact.text, [other.text for other in older]))
            twin, replaced = decided(fact, older, told)
            if twin is not None:
                active[at] = False
                ops.append(Hide(id=fact.id))
                further.setdefault(twin.id, []).extend(e.target for e in sources[fact.id])
            for other in replaced:
                active[place[other.id]] = False
                ops.append(Supersede(id=fact.id, replaces=other.id))
        return [*ops, *drawing.sourced(further, view)]


def decided(
    fact: Record, older: Sequence[Record], relations: Sequence[Relation]
) -> tuple[Record | None, list[Record]]:
    """NOOP: the fact that says the same already. UPDATE, DELETE: those that it replaces. Else ADD.

    What arrives late replaces nothing that was said after it.
    """
    for record, how in zip(older, relations, strict=True):
        if how is Relation.SAME:
            return record, []
    return None, [
        record
        for record, how in zip(older, relations, strict=True)
        if how in REPLACES and _when(record) <= _when(fact)
    ]


@dataclass(frozen=True)
class Search:
    """Facts by a plain dense search, and the turns they lead to."""

    params: Params = Params()
    name: str = "mem0-search"

    @hookimpl
    def plan(self, query: Query, view: View) -> Plan:
        """Turns, then facts."""
        near = {"vectors": 1.0, "words": 0.0} if view.models.space else {"words": 1.0}
        return grounding.by_way_of(query, [Kind.FACT], near, self.params.top)

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """The turns of the nearest facts, then all others."""
        question = plan.query.text
        if not grounding.led(plan):
            return [grounding.by_support(hit, question, view) for hit in hits]
        facts = [hit for hit in hits if hit.record.kind is Kind.FACT][: self.params.top]
        support: dict[str, dict[str, float]] = {}
        for fact in facts:
            for turn in fact.sources:
                support.setdefault(turn, {}).setdefault("facts", fact.score)
        return grounding.grounded(support, hits, plan, view)


def _when(fact: Record) -> datetime:
    return fact.said_at or fact.stored_at


PRESET = Preset(
    NAME,
    1,
    (
        "words",
        "vectors",
        Facts(),
        Weighing(),
        Search(),
        "channel-vectors",
        "channel-words",
        "channel-order",
        "flat-packer",
    ),
)
