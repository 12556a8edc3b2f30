"""Mem0 (arXiv 2504.19413): facts, each weighed against the ten most like it when it comes.

Faithful: a remark and its answer are read together, beside a running summary and the ten messages
before (section 2.1); each fact meets its ten nearest and is added, updates one of them, takes one
out of force, or is dropped as known; facts are found by cosine alone.

Mended: UPDATE and DELETE supersede: the older fact stays, with its time, and no turn is touched
(the original overwrites and deletes, which is where independent runs lose answers). Only two facts
of one speaker about one subject can contradict each other. Facts have the time at which they were
said, not that of writing. What is recalled is never read again as something new. The graph variant
is left out: it costs twice the tokens for a point and a half, and independently measured it loses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stepwell import (
    Add,
    Hit,
    Kind,
    Op,
    Plan,
    Preset,
    Query,
    Record,
    Relation,
    SetSlot,
    Skip,
    Supersede,
    View,
    hookimpl,
)
from stepwell.mechanisms.buffering import exchanges
from stepwell.mechanisms.drawing import facts_of
from stepwell.mechanisms.grounding import beside, by_support, cosines, grounded, members
from stepwell.mechanisms.rolling import rolled

NAME = "mem0"
#: What the newer of two facts does to the older one.
REPLACES = (Relation.REFINES, Relation.CONTRADICTS, Relation.RESOLVES)


@dataclass(frozen=True)
class Params:
    """The paper's constants: similar facts that are looked at, messages of context, the summary."""

    similar: int = 10
    messages: int = 10
    summary_tokens: int = 200
    top: int = 60


@dataclass(frozen=True)
class Facts:
    """What is stated, and what becomes of what was stated before."""

    params: Params = Params()
    name: str = "mem0-facts"

    @hookimpl
    def segment(self, buffer: Sequence[Record]) -> Sequence[int]:
        """A remark and its answer."""
        return exchanges([turn.actor or turn.role for turn in buffer])

    @hookimpl
    def extract(self, trace: Record, view: View) -> Sequence[Add]:
        """The facts of the two."""
        turns = members([trace], view)[trace.id]
        known: list[str] = []
        if turns and view.models.language_model is not None:
            before = view.neighbours(turns[0].id, before=self.params.messages, after=0)
            known = [view.slot(NAME).text, *(turn.spoken for turn in before)]
        return facts_of(turns, view, known=[text for text in known if text])

    @hookimpl
    def reconcile(
        self, candidate: Add, neighbours: Sequence[Record], view: View
    ) -> Sequence[Op] | Skip:
        """Add it, let it take the place of what it brings up to date, or leave it."""
        older = [r for r in neighbours if r.kind is Kind.FACT][: self.params.similar]
        fact = candidate.record
        if any(_said(record) == _said(fact) for record in older):
            return Skip("it is known")
        relations = view.models.relate(fact.text, [record.text for record in older])
        if Relation.SAME in relations:
            return Skip("it is known")
        fresh = candidate.model_copy(update={"record": fact.model_copy(update={"id": "@fact"})})
        replaced = [
            record.id
            for record, relation in zip(older, relations, strict=True)
            if relation in REPLACES and record.actor == fact.actor and _earlier(record, fact)
        ]
        return [fresh, *(Supersede(id="@fact", replaces=name) for name in replaced)]

    @hookimpl
    def maintain(self, view: View) -> Sequence[SetSlot]:
        """The running summary."""
        return rolled(view, NAME, tokens=self.params.summary_tokens)


@dataclass(frozen=True)
class Search:
    """Facts by a plain dense search, and the turns they lead to."""

    params: Params = Params()
    name: str = "mem0-search"

    @hookimpl
    def plan(self, query: Query, view: View) -> Plan:
        """Facts beside turns."""
        weights = {"vectors": 1.0, "words": 0.0 if view.models.space else 1.0}
        return beside(query, [Kind.FACT], weights, NAME, look=2 * self.params.top)

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """The turns of the nearest facts, then all others."""
        question = plan.query.text
        if NAME not in plan.weights:
            return [by_support(hit, question, view) for hit in hits]
        facts = [hit for hit in hits if hit.record.kind is Kind.FACT]
        near = cosines(question, [hit.record.id for hit in facts], view)
        scores = [hit.score for hit in facts] if near is None else near.tolist()
        order = sorted(range(len(facts)), key=lambda place: -scores[place])[: self.params.top]
        support: dict[str, dict[str, float]] = {}
        for place in order:
            for turn in facts[place].sources:
                support.setdefault(turn, {}).setdefault("facts", max(0.0, scores[place]))
        return grounded(support, hits, plan, view)


def _said(record: Record) -> tuple[str | None, str]:
    return record.actor, " ".join(record.text.casefold().split())


def _earlier(older: Record, newer: Record) -> bool:
    """Whether one was said no later than the other: what arrives late replaces nothing newer."""
    return (older.said_at or older.stored_at) <= (newer.said_at or newer.stored_at)


PRESET = Preset(
    NAME,
    1,
    ("words", "vectors", Facts(), Search(), "channel-vectors", "channel-words", "flat-packer"),
)
