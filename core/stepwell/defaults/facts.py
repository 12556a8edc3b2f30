"""Facts of what may change: read from the wording of turns, the later in place of the earlier.

Where there is a language model, it is asked for more of them; what replaces what is not.

`Facts` makes a record of each claim, and marks which one took its place: the truth of any time can
be told by it. `Current` prefers, for a question about what is so, the turn that says it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from pydantic import JsonValue

from stepwell.contracts import Plan, View
from stepwell.filters import Filter
from stepwell.hookspecs import hookimpl
from stepwell.mechanisms.claiming import claims
from stepwell.mechanisms.claiming.asked import Asked
from stepwell.mechanisms.claiming.claim import (
    BACK,
    UNNAMED,
    Claim,
    bare,
    repeats,
    resolved,
    successors,
)
from stepwell.mechanisms.claiming.told import told
from stepwell.mechanisms.drawing import ASKED
from stepwell.mechanisms.grounding import members
from stepwell.mechanisms.passages import passages
from stepwell.models import EdgeKind, Hit, Kind, Origin, Record, Status, aware
from stepwell.ops import Add, Op, SetState, Supersede

_ALL: Final = 1_000_000
#: Ops of one step of maintaining.
_STEP: Final = 500
#: Whose words are claims of their own: an assistant advises, a tool quotes.
_SPEAKERS: Final = frozenset({Origin.USER, Origin.UNKNOWN})
_FIELDS: Final = (
    "subject", "attribute", "value", "holds", "confidence", "exclusive", "changed", "instead", "by",
)  # fmt: skip
#: In the payload of a fact that says again what holds still.
_AGAIN: Final = "again"
_FACTS: Final = Filter(kind=Kind.FACT, status=[Status.ACTIVE, Status.SUPERSEDED, Status.HIDDEN])


@dataclass(frozen=True)
class Facts:
    """A fact for each claim in a trace, and marks of which facts hold no more.

    `confidence` is the least that makes a fact, and that supersedes one. Marks are made anew from
    all facts in the order in which they were said, in whatever order they came in. What says again
    what holds still is hidden, until what it repeats is forgotten.
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
        turns = sorted((turn for turn in turns if turn.origin in _SPEAKERS), key=_said)
        found_in = {turn.id: claims(turn.text, _speaker(turn), turn.said_at) for turn in turns}
        asks = view.models.language_model is not None
        if not asks and not any(found_in.values()):
            return ()
        read = _read([turn.id for turn in turns if asks or found_in[turn.id]], view)
        before: dict[str, list[tuple[Claim, str]]] = {}
        if any(claim.subject == UNNAMED for found in found_in.values() for claim in found):
            before = _claimed(view.neighbours(turns[0].id, BACK, 0))
        if asks:
            fresh = [turn for turn in turns if turn.id not in read]
            for name, claim in _told(fresh, view):
                if all(claim.slot != other.slot for other in found_in[name]):
                    found_in[name] = (*found_in[name], claim)
        ops: list[Op] = []
        said: set[Claim] = set()
        for turn in turns:
            found = found_in[turn.id]
            known = before.setdefault(_speaker(turn), [])
            for claim, meant in resolved(found, [one for one, _ in known[-BACK:]]):
                if claim.confidence < self.confidence:
                    continue
                alike = bare(claim)
                if turn.id not in read:
                    named = [of for one, of in known if meant is not None and one == meant][-1:]
                    ops.append(_fact(turn, claim, named, view, again=alike in said))
                known.append((claim, turn.id))
                said.add(alike)
        return ops

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """Which facts took the place of which, and which only repeat one, if not marked yet."""
        facts = [fact for fact in view.records(_FACTS, limit=_ALL) if _takes_part(fact)]
        facts.sort(key=_said)
        found = [claim_of(fact) for fact in facts]
        replaced = successors(found, self.confidence)
        again = repeats(found, replaced)
        ops: list[Op] = []
        for place, fact in enumerate(facts):
            if place in replaced:
                newer, sure = facts[replaced[place][0]], replaced[place][1]
                if not _marked(fact, newer):
                    ops.append(_replaced(fact, newer, sure))
            elif (place in again) != (fact.status is Status.HIDDEN):
                ops.append(_shown(fact, not_again=place not in again))
            if len(ops) >= _STEP:
                break
        return ops


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
        asked = Asked.of(plan.query.text, plan.query.now)
        if asked.past or asked.dated or plan.spans or not asked.words:
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
                if newer is None or newer.id == turn:
                    continue
                held = changed.get(newer.id) or _found(newer, plan, view)
                if held is not None:
                    self._swapped(changed, changed[turn], held, last)
        order = sorted(changed.values(), key=lambda hit: -hit.score)
        return order if any(hit is not old for hit, old in zip(order, hits, strict=False)) else hits

    def _swapped(self, changed: dict[str, Hit], old: Hit, held: Hit, fact: Record) -> None:
        """The newer turn is worth what the older one was, and that one less."""
        if held.score < old.score:
            why = {**held.why, "current": old.score - held.score}
            span = _passage(held.record.text, fact.text)
            changed[held.record.id] = replace(held, score=old.score, why=why, span=span)
        lower = max(0.0, old.score - self.less)
        why = {**old.why, "current": lower - old.score}
        changed[old.record.id] = replace(old, score=lower, why=why)


def _found(turn: Record, plan: Plan, view: View) -> Hit | None:
    """A turn beyond the hits, if the question lets it through."""
    where = Filter(id=turn.id)
    where = where if plan.query.where is None else where & plan.query.where
    if turn.trust < plan.query.min_trust or not view.records(where, limit=1):
        return None
    return Hit(turn, 0.0, (turn.turn or turn.id,), {})


def _passage(text: str, said: str) -> tuple[int, int] | None:
    """The passage of a long text in which something is said; None of a short one."""
    spans, at = passages(text), max(0, text.find(said))
    return next(span for span in reversed(spans) if span[0] <= at) if len(spans) > 1 else None


def _speaker(turn: Record) -> str:
    return turn.actor or turn.role or "somebody"


def _read(turns: Sequence[str], view: View) -> set[str]:
    """The turns that there are facts of."""
    facts = view.links(turns, EdgeKind.DERIVED_FROM, into=True)
    drawn = {turn: [view.get(edge.source) for edge in edges] for turn, edges in facts.items()}
    return {turn for turn, some in drawn.items() if any(fact and _is_ours(fact) for fact in some)}


def _told(turns: Sequence[Record], view: View) -> Iterator[tuple[str, Claim]]:
    """What a language model tells of turns, with the turn of each claim."""
    for start in range(0, len(turns), ASKED):
        some = turns[start : start + ASKED]
        for fact in view.models.facts([turn.spoken for turn in some]):
            claim = told(fact, _speaker(some[fact.source]))
            if claim is not None:
                yield some[fact.source].id, claim


def _claimed(turns: Sequence[Record]) -> dict[str, list[tuple[Claim, str]]]:
    """What each speaker claimed in some turns, and in which of them."""
    made: dict[str, list[tuple[Claim, str]]] = {}
    for turn in turns:
        speaker = _speaker(turn)
        found = resolved(claims(turn.text, speaker, turn.said_at), [])
        made.setdefault(speaker, []).extend((claim, turn.id) for claim, _ in found)
    return made


def claim_of(fact: Record) -> Claim:
    """The claim that a fact was made of."""
    said: dict[str, Any] = {name: fact.payload[name] for name in _FIELDS if name in fact.payload}
    return Claim(**said)


def _last(name: str, view: View) -> Record | None:
    """What holds in the place of a fact, as far as this view's moment knows; None if it holds."""
    seen, fresh = {name}, [name]
    found: list[Record] = []
    while fresh:
        edges = view.links(fresh, EdgeKind.SUPERSEDES, into=True)
        newer = {edge.source for into in edges.values() for edge in into}
        fresh = sorted(newer - seen)
        seen |= newer
        # Of a chain, what did not hold any more at that moment, or not yet, is passed over.
        found += [fact for each in fresh if (fact := view.get(each)) is not None]
    return max(found, key=_said, default=None)


def _turn_of(fact: Record, view: View) -> Record | None:
    """The turn that a fact is read from: of a correction's sources, the last one said."""
    edges = view.links([fact.id], EdgeKind.DERIVED_FROM).get(fact.id, ())
    turns = [turn for edge in edges if (turn := view.get(edge.target)) is not None]
    return max(turns, key=_said, default=None)


def _fact(turn: Record, claim: Claim, named: Sequence[str], view: View, *, again: bool) -> Add:
    """A fact. The name that a correction takes from an earlier turn makes that a source too."""
    said: dict[str, JsonValue] = {name: getattr(claim, name) for name in _FIELDS}
    record = Record(
        id="", scope=turn.scope, level=1, kind=Kind.FACT,
        text=turn.text[slice(*claim.span)].strip() or turn.text, actor=turn.actor, role=turn.role,
        payload={**said, _AGAIN: True} if again else said, origin=turn.origin,
        trust=turn.trust, session=turn.session, said_at=turn.said_at, valid_from=turn.said_at,
        stored_at=turn.stored_at, status=Status.HIDDEN if again else Status.ACTIVE,
    )  # fmt: skip
    sources = tuple(dict.fromkeys((turn.id, *named)))
    return Add(record=record, keys=view.keys(record), sources=sources)


def _is_ours(record: Record) -> bool:
    return record.kind is Kind.FACT and all(name in record.payload for name in _FIELDS)


def _takes_part(fact: Record) -> bool:
    """Whether it is of this policy, and nobody else has hidden it."""
    hidden = fact.status is Status.HIDDEN
    return _is_ours(fact) and (not hidden or fact.payload.get(_AGAIN) is True)


def _replaced(old: Record, new: Record, sure: float) -> Op:
    return Supersede(
        id=new.id, replaces=old.id, confidence=sure, expects=old.version,
        why="said later of the same", evidence=(new.id, old.id),
    )  # fmt: skip


def _shown(fact: Record, *, not_again: bool) -> Op:
    """A fact that says something new, or again what holds still."""
    status = Status.ACTIVE if not_again else Status.HIDDEN
    return SetState(
        id=fact.id, status=status, payload={_AGAIN: not not_again}, expects=fact.version
    )


def _said(record: Record) -> datetime:
    return aware(record.said_at or record.stored_at)


def _marked(old: Record, new: Record) -> bool:
    """Whether it is known that the one holds since the other began to."""
    since = new.valid_from or new.said_at or new.stored_at
    return old.status is Status.SUPERSEDED and old.valid_to == since
