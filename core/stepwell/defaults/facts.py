"""Facts of what may change: read from turns without a model, the later in place of the earlier.

`Facts` makes a record of each claim, and marks which one took its place: the truth of any time can
be told by it. `Current` prefers, for a question about what is so, the turn that says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from stepwell.contracts import Plan, View
from stepwell.filters import Filter
from stepwell.hookspecs import hookimpl
from stepwell.mechanisms.claiming import claims
from stepwell.mechanisms.claiming.asked import Asked
from stepwell.mechanisms.claiming.claim import BACK, UNNAMED, Claim, resolved, successors
from stepwell.mechanisms.grounding import members
from stepwell.models import EdgeKind, Hit, Kind, Origin, Record, Status, aware
from stepwell.ops import Add, Op, Supersede

_ALL: Final = 1_000_000
#: Ops of one step of maintaining.
_STEP: Final = 500
#: Whose words are claims of their own: an assistant advises, a tool quotes.
_SPEAKERS: Final = frozenset({Origin.USER, Origin.UNKNOWN})
_FIELDS: Final = (
    "subject", "attribute", "value", "holds", "confidence", "exclusive", "changed", "instead", "by",
)  # fmt: skip
_FACTS: Final = Filter(kind=Kind.FACT, status=[Status.ACTIVE, Status.SUPERSEDED])


@dataclass(frozen=True)
class Facts:
    """A fact for each claim in a trace, and marks of which facts hold no more.

    `confidence` is the least that makes a fact, and that supersedes one. Marks are made anew from
    all facts in the order in which they were said, in whatever order they came in.
    """

    confidence: float = 0.5
    name: str = "facts"

    @property
    def params(self) -> dict[str, object]:
        """What the file remembers of it."""
        return {"confidence": self.confidence}

    @hookimpl
    def extract(self, trace: Record, view: View) -> Sequence[Op]:
        """The facts of those turns of a trace that were not read yet."""
        turns = members([trace], view)[trace.id] if trace.level else [trace]
        turns.sort(key=_said)
        read = view.links([turn.id for turn in turns], EdgeKind.DERIVED_FROM, into=True)
        ops: list[Op] = []
        before: dict[str, list[tuple[Claim, str]]] = {}
        for turn in turns:
            if turn.origin not in _SPEAKERS:
                continue
            speaker = turn.actor or turn.role or "somebody"
            found = claims(turn.text, speaker, turn.said_at)
            if not before and any(claim.subject == UNNAMED for claim in found):
                before = _claimed(view.neighbours(turns[0].id, BACK, 0))
            known = before.setdefault(speaker, [])
            for claim, meant in resolved(found, [one for one, _ in known[-BACK:]]):
                if claim.confidence < self.confidence:
                    continue
                if not read.get(turn.id):
                    named = [of for one, of in known if meant is not None and one == meant][-1:]
                    ops.append(_fact(turn, claim, named, view))
                known.append((claim, turn.id))
        return ops

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """Which facts took the place of which, where that is not marked yet."""
        facts = [fact for fact in view.records(_FACTS, limit=_ALL) if _is_ours(fact)]
        facts.sort(key=_said)
        found = successors([claim_of(fact) for fact in facts], self.confidence)
        ops = [
            Supersede(
                id=facts[new].id, replaces=facts[old].id, confidence=sure,
                expects=facts[old].version, why="said later of the same",
                evidence=(facts[new].id, facts[old].id),
            )
            for old, (new, sure) in sorted(found.items())
            if not _marked(facts[old], facts[new])
        ]  # fmt: skip
        return ops[:_STEP]


@dataclass(frozen=True)
class Current:
    """Of what changed, the turn that says how it is now before those that say how it was.

    For a question about something that a superseded fact among the hits tells of, the turn of the
    fact that holds gets its score, and `less` is taken from that of the older one. Questions about
    the past, and what never changed, are left as they are.
    """

    less: float = 0.1
    name: str = "current"

    @property
    def params(self) -> dict[str, object]:
        """What the file remembers of it."""
        return {"less": self.less}

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """The hits, with what holds before what held."""
        asked = Asked.of(plan.query.text)
        if asked.past or not asked.words:
            return hits
        turns = [hit.record.id for hit in hits[: plan.query.k] if hit.record.level == 0]
        facts = view.links(turns, EdgeKind.DERIVED_FROM, into=True)
        changed = {hit.record.id: hit for hit in hits}
        for turn, edges in facts.items():
            for edge in edges:
                last = _last(edge.source, view)
                if last is None or not _is_ours(last) or not asked.about(claim_of(last)):
                    continue
                newer = _turn_of(last, view)
                if newer is None or newer.id == turn or newer.trust < plan.query.min_trust:
                    continue
                self._swapped(changed, turn, newer)
        order = sorted(changed.values(), key=lambda hit: -hit.score)
        return order if any(hit is not old for hit, old in zip(order, hits, strict=False)) else hits

    def _swapped(self, changed: dict[str, Hit], turn: str, newer: Record) -> None:
        """The newer turn is worth what the older one was, and that one less."""
        old = changed[turn]
        held = changed.get(newer.id) or Hit(newer, 0.0, (newer.turn or newer.id,), {})
        if held.score < old.score:
            why = {**held.why, "current": old.score - held.score}
            changed[newer.id] = replace(held, score=old.score, why=why)
        lower = max(0.0, old.score - self.less)
        changed[turn] = replace(old, score=lower, why={**old.why, "current": lower - old.score})


def _claimed(turns: Sequence[Record]) -> dict[str, list[tuple[Claim, str]]]:
    """What each speaker claimed in some turns, and in which of them."""
    made: dict[str, list[tuple[Claim, str]]] = {}
    for turn in turns:
        speaker = turn.actor or turn.role or "somebody"
        found = resolved(claims(turn.text, speaker, turn.said_at), [])
        made.setdefault(speaker, []).extend((claim, turn.id) for claim, _ in found)
    return made


def claim_of(fact: Record) -> Claim:
    """The claim that a fact was made of."""
    said: dict[str, Any] = {name: fact.payload[name] for name in _FIELDS if name in fact.payload}
    return Claim(**said)


def _last(name: str, view: View) -> Record | None:
    """What holds in the place of a fact, as far as this view's moment knows; None if it holds."""
    seen, last = {name}, None
    while True:
        edges = view.links([name], EdgeKind.SUPERSEDES, into=True).get(name, ())
        found = [r for e in edges if (r := view.get(e.source)) is not None and r.id not in seen]
        if not found:
            return last
        last = min(found, key=_said)
        name = last.id
        seen.add(name)


def _turn_of(fact: Record, view: View) -> Record | None:
    """The turn that a fact is read from: of a correction's sources, the last one said."""
    edges = view.links([fact.id], EdgeKind.DERIVED_FROM).get(fact.id, ())
    turns = [turn for edge in edges if (turn := view.get(edge.target)) is not None]
    return max(turns, key=_said, default=None)


def _fact(turn: Record, claim: Claim, named: Sequence[str], view: View) -> Add:
    """A fact. The name that a correction takes from an earlier turn makes that a source too."""
    record = Record(
        id="", scope=turn.scope, level=1, kind=Kind.FACT,
        text=turn.text[slice(*claim.span)].strip() or turn.text, actor=turn.actor, role=turn.role,
        payload={name: getattr(claim, name) for name in _FIELDS}, origin=turn.origin,
        trust=turn.trust, session=turn.session, said_at=turn.said_at, valid_from=turn.said_at,
        stored_at=turn.stored_at,
    )  # fmt: skip
    sources = tuple(dict.fromkeys((turn.id, *named)))
    return Add(record=record, keys=view.keys(record), sources=sources)


def _is_ours(record: Record) -> bool:
    return record.kind is Kind.FACT and all(name in record.payload for name in _FIELDS)


def _said(record: Record) -> datetime:
    return aware(record.said_at or record.stored_at)


def _marked(old: Record, new: Record) -> bool:
    """Whether it is known that the one holds since the other began to."""
    since = new.valid_from or new.said_at or new.stored_at
    return old.status is Status.SUPERSEDED and old.valid_to == since
