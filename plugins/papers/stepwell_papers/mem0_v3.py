"""Mem0 as it is in 2026 (mem0ai/mem0, third version): facts are only added, entities lead to them.

Faithful: one extraction that knows the ten messages before, facts that are only added, a fact that
is known word for word is not added twice; an entity table made of proper names and quotations,
without a model; a question's score is (semantic + words + entity) over what there is of them, with
words as a share that only ranks what meaning has found, and an entity's boost
0.5 / (1 + 0.001 (n - 1)^2) for n facts that it leads to.

Mended: a fact that is stated again gets its second turn as a source, and is not dropped; entities
are one where they are spelled alike, whatever a vector says of two names. The share of words is
that of the best there is, in place of a sigmoid whose middle and slope depend on the number of
words: both only map an unbounded score to one from 0 to 1. Turns that no fact leads to follow by
plain ranking.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from stepwell import (
    Add,
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
    SetState,
    Status,
    View,
    hookimpl,
)
from stepwell.mechanisms import drawing, grouping
from stepwell.mechanisms.buffering import exchanges
from stepwell.mechanisms.grounding import by_support, by_way_of, cosines, grounded, led, members
from stepwell.mechanisms.questions import read

#: In payloads, whose names have no hyphen.
MARK = "mem0_v3"
NAME = "mem0-v3"
#: Such a weight makes a channel tell its scores without a say in what is found.
FAINT = 1e-6
#: Facts whose names are read in one step.
STEP = 256
ALL = 1_000_000
FACTS = Filter(kind=Kind.FACT)


@dataclass(frozen=True)
class Params:
    """The constants of the code: messages of context, the pool, its least cosine, and the boost.

    `step` exchanges are read at once, or `asked` where there is a language model.
    """

    messages: int = 10
    pool: int = 60
    gate: float = 0.1
    boost: float = 0.5
    spread: float = 0.001
    names: int = 8
    step: int = 128
    asked: int = 8


@dataclass(frozen=True)
class Facts:
    """Facts that are only added, and the names in them."""

    params: Params = Params()
    name: str = "mem0-v3-facts"

    @hookimpl
    def segment(self, buffer: Sequence[Record]) -> Sequence[int]:
        """A remark and its answer."""
        return exchanges([turn.actor or turn.role for turn in buffer])

    @hookimpl
    def extract(self, trace: Record) -> Sequence[Op]:
        """A remark that was answered since is read again."""
        return drawing.again(trace, MARK)

    @hookimpl
    def organize(self, record: Record, view: View) -> Sequence[Op]:
        """What lost a turn by forgetting: facts as others state them, entities entered anew."""
        if record.status is Status.STALE and record.kind is Kind.FACT:
            return drawing.restated(record, view)
        if record.status is Status.STALE and record.kind is Kind.ENTITY:
            facts = members([record], view)[record.id]
            return [Hide(id=record.id), *(SetState(id=f.id, payload={MARK: None}) for f in facts)]
        return ()

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """The facts of some exchanges; what is known word for word gets another source."""
        p, model = self.params, view.models.language_model
        traces = drawing.waiting(view, MARK, p.step if model is None else p.asked)
        if not traces:
            return ()
        inside = list(members(traces, view).values())
        if model is None:
            inside = [[turn for turns in inside for turn in turns]]
        fresh = []
        for turns in inside:
            known: list[str] = []
            if turns and model is not None:
                before = view.neighbours(turns[0].id, before=p.messages, after=0)
                known = [turn.spoken for turn in before]
            fresh += drawing.facts_of(turns, view, known=known)
        facts = view.records(FACTS, limit=ALL)
        return [*drawing.unsaid(fresh, facts, view), *drawing.read(traces, MARK)]


@dataclass(frozen=True)
class Entities:
    """The names in facts."""

    name: str = "mem0-v3-entities"

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """Facts are entered under the names in them."""
        fresh = FACTS & ~Filter(payload={MARK: "named"})
        facts = view.records(fresh, limit=STEP)
        if not facts:
            return ()
        held = {r.text.casefold(): r for r in view.records(Filter(kind=Kind.ENTITY), limit=ALL)}
        named: dict[str, list[Record]] = {}
        spelled: dict[str, str] = {}
        for fact in facts:
            for name in names_in(fact):
                spelled.setdefault(name.casefold(), name)
                named.setdefault(name.casefold(), []).append(fact)
        ops: list[Op] = [SetState(id=fact.id, payload={MARK: "named"}) for fact in facts]
        leads = view.links([held[key].id for key in named if key in held], EdgeKind.CONTAINS)
        for key, its in named.items():
            if key not in held:
                ops.append(_entity(spelled[key], its, view))
                continue
            ids = [fact.id for fact in its]
            linked = {edge.target for edge in leads.get(held[key].id, ())}.union(ids)
            ops += grouping.links(held[key].id, ids)
            ops.append(SetState(id=held[key].id, payload={MARK: len(linked)}))
        return ops


@dataclass(frozen=True)
class Search:
    """Meaning, words and entities, added up."""

    params: Params = Params()
    name: str = "mem0-v3-search"

    @hookimpl
    def plan(self, query: Query, view: View) -> Plan:
        """Turns, then facts by meaning: words only rank what meaning has found."""
        weights = {"vectors": 1.0, "words": FAINT if view.models.space else 1.0}
        look = max(4 * query.k, self.params.pool)
        return by_way_of(query, [Kind.FACT], weights, look)

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """The turns of the best facts, then all others."""
        question = plan.query.text
        if not led(plan):
            return [by_support(hit, question, view) for hit in hits]
        facts = [hit for hit in hits if hit.record.kind is Kind.FACT]
        near = cosines(question, [hit.record.id for hit in facts], view)
        words = [hit.why.get("words", 0.0) for hit in facts]
        most = max(words, default=0.0) or 1.0
        boosts = self._boosts(question, [hit.record.id for hit in facts], view)
        support: dict[str, dict[str, float]] = {}
        for place, hit in enumerate(facts):
            meant = None if near is None else float(near[place])
            if meant is not None and meant < self.params.gate:
                continue
            score = self.score(meant, words[place] / most, boosts.get(hit.record.id))
            for turn in hit.sources:
                known = support.setdefault(turn, {})
                known["facts"] = max(known.get("facts", 0.0), score)
        return grounded(support, hits, plan, view)

    def score(self, meant: float | None, words: float, boost: float | None) -> float:
        """(semantic + words + entity) over the most that those which are there could be."""
        total = (meant or 0.0) + words + (boost or 0.0)
        most = (meant is not None) + 1.0 + (0.5 if boost is not None else 0.0)
        return total / most

    def boost(self, linked: int) -> float:
        """What an entity adds that leads to so many facts."""
        return self.params.boost / (1 + self.params.spread * (linked - 1) ** 2)

    def _boosts(self, question: str, facts: Sequence[str], view: View) -> dict[str, float]:
        """The best boost of each fact by the names in the question."""
        names = {name.casefold() for name in read(question).names[: self.params.names]}
        if not names:
            return {}
        into = view.links(facts, EdgeKind.CONTAINS, into=True)
        above = sorted({edge.source for edges in into.values() for edge in edges})
        entities = view.records(Filter(id=above), limit=len(above)) if above else []
        linked = {
            entity.id: many
            for entity in entities
            if entity.text.casefold() in names and isinstance(many := entity.payload.get(MARK), int)
        }
        boosts: dict[str, float] = {}
        for fact, edges in into.items():
            found = [self.boost(linked[edge.source]) for edge in edges if edge.source in linked]
            if found:
                boosts[fact] = max(found)
        return boosts


def names_in(fact: Record) -> list[str]:
    """Who said it, and the names and quotations in it; not "I'm", which only looks like a name."""
    names = [*read(fact.text).names, fact.actor or ""]
    names = [name for name in names if name and re.split("['’]", name)[0] != "I"]
    return list({name.casefold(): name for name in reversed(names)}.values())


def _entity(name: str, facts: Sequence[Record], view: View) -> Add:
    record = Record(
        id="", scope=view.scope, level=2, kind=Kind.ENTITY, text=name, payload={MARK: len(facts)},
        stored_at=view.now, said_at=min((f.said_at for f in facts if f.said_at), default=None),
        valid_from=max(f.said_at or f.stored_at for f in facts),
        trust=min(fact.trust for fact in facts),
    )  # fmt: skip
    names = tuple(fact.id for fact in facts)
    return Add(record=record, keys=view.keys(record), sources=names, contains=True)


PRESET = Preset(
    NAME,
    1,
    (
        "words",
        "vectors",
        Facts(),
        Entities(),
        Search(),
        "channel-vectors",
        "channel-words",
        "channel-order",
        "flat-packer",
    ),
)
