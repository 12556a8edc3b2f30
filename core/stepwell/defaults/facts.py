"""Facts of what may change: read from turns without a model, the later in place of the earlier.

`Facts` makes a record of each claim, and marks which one took its place: the truth of any time can
be told by it. `Current` prefers, for a question about what is so, the turn that says it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stepwell.contracts import Plan, View
from stepwell.filters import Filter
from stepwell.hookspecs import hookimpl
from stepwell.mechanisms.changing import claims
from stepwell.mechanisms.asking import Asked
from stepwell.mechanisms.claims import BACK, Claim, resolved, successors
from stepwell.models import EdgeKind, Kind, Origin, Record, Status
from stepwell.ops import Add, Op, Supersede

_PAGE: Final = 1000
#: Whose words are claims of their own: an assistant advises, a tool quotes.
_SPEAKERS: Final = frozenset({Origin.USER, Origin.UNKNOWN})
_HELD: Final = [Status.ACTIVE.value, Status.SUPERSEDED.value]
_FIELDS: Final = (
    "subject", "attribute", "value", "holds", "confidence", "exclusive", "changed", "instead", "by",
)  # fmt: skip


@dataclass(frozen=True)
class Current:
    """Turns whose facts hold, before those whose facts were superseded, where one is asked for.

    A turn of the fact that holds counts 1; one of a superseded fact 0.5, or nothing where the
    question says that it is about now. Of what was before, and of what never changed, this channel
    says nothing. All is multiplied by `weight`.
    """

    weight: float = 0.3
    name: str = "current"

    @property
    def params(self) -> dict[str, object]:
        """What the file remembers of it."""
        return {"weight": self.weight}

    @hookimpl
    def search(self, plan: Plan, view: View) -> Sequence[tuple[str, float]] | None:
        """Turns of what is asked for, with how current they are."""
        asked = Asked.of(plan.query.text)
        if asked.past or not asked.words:
            return None
        scores: dict[str, float] = {}
        for fact in _facts(view, [Status.SUPERSEDED.value]):
            if asked.about(claim_of(fact)):
                last = _last(fact, view)
                old = 1.0 if last is fact else 0.0 if asked.now else 0.5
                for record, score in ((fact, old), (last, 1.0)):
                    for turn in _turns(record, view):
                        scores[turn] = max(scores.get(turn, 0.0), score * self.weight)
        return sorted((turn, score) for turn, score in scores.items() if score) or None


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
        """The facts of the turns of a trace that were not read yet."""
        if trace.kind is not Kind.TRACE or trace.session is None:
            return []
        ops: list[Op] = []
        before: dict[str, list[tuple[Claim, str]]] = {}
        for turn in _members(trace, view):
            if turn.origin not in _SPEAKERS:
                continue
            speaker = turn.actor or turn.role or "somebody"
            found = claims(turn.text, speaker, turn.said_at)
            if not found:
                continue
            known = before.setdefault(speaker, [])
            fresh = not _was_read(turn, view)
            for claim, meant in resolved(found, [one for one, _ in known[-BACK:]]):
                if claim.confidence < self.confidence:
                    continue
                if fresh:
                    named = [of for one, of in known if meant is not None and one == meant][-1:]
                    ops.append(_fact(turn, claim, named))
                known.append((claim, turn.id))
        return ops

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """Which facts took the place of which, where that is not marked yet."""
        facts = sorted(_facts(view, _HELD), key=lambda fact: fact.said_at or fact.stored_at)
        found = successors([claim_of(fact) for fact in facts], self.confidence)
        return [
            Supersede(
                id=facts[new].id, replaces=facts[old].id, confidence=sure,
                expects=facts[old].version, why="said later of the same",
                evidence=(facts[new].id, facts[old].id),
            )
            for old, (new, sure) in sorted(found.items())
            if not _marked(facts[old], facts[new], view)
        ]  # fmt: skip


def _last(fact: Record, view: View) -> Record:
    """What holds in the place of a fact, as far as this view's moment knows; itself if nothing."""
    seen = {fact.id}
    while True:
        newer = [e.source for e in view.edges(fact.id, EdgeKind.SUPERSEDES) if e.target == fact.id]
        found = [r for r in map(view.get, sorted(newer)) if r is not None and r.id not in seen]
        if not found:
            return fact
        fact = min(found, key=lambda r: (r.said_at or r.stored_at, r.id))
        seen.add(fact.id)


def _turns(fact: Record, view: View) -> list[str]:
    """The turn that a fact is read from: of a correction's sources, the last one said."""
    edges = view.edges(fact.id, EdgeKind.DERIVED_FROM)
    turns = [view.get(edge.target) for edge in edges if edge.source == fact.id]
    said = [turn for turn in turns if turn is not None and turn.said_at == fact.said_at]
    return [turn.id for turn in said]


def claim_of(fact: Record) -> Claim:
    """The claim that a fact was made of."""
    said: dict[str, Any] = {name: fact.payload[name] for name in _FIELDS if name in fact.payload}
    return Claim(**said)


def _fact(turn: Record, claim: Claim, named: Sequence[str]) -> Add:
    """A fact. The name that a correction takes from an earlier turn makes that a source too."""
    record = Record(
        id="", scope=turn.scope, level=1, kind=Kind.FACT,
        text=turn.text[slice(*claim.span)].strip() or turn.text, actor=turn.actor, role=turn.role,
        payload={name: getattr(claim, name) for name in _FIELDS}, origin=turn.origin,
        trust=turn.trust, session=turn.session, said_at=turn.said_at, valid_from=turn.said_at,
        stored_at=turn.stored_at,
    )  # fmt: skip
    return Add(record=record, sources=tuple(dict.fromkeys((turn.id, *named))))


def _paged(view: View, where: Filter) -> Iterator[Record]:
    after: str | None = None
    while page := view.records(where, after, _PAGE):
        yield from page
        after = page[-1].id


def _members(trace: Record, view: View) -> list[Record]:
    """The turns of a trace, in the order in which they were said."""
    edges = view.edges(trace.id, EdgeKind.CONTAINS)
    inside = {edge.target for edge in edges if edge.source == trace.id}
    session = _paged(view, Filter(session=trace.session, level=0))
    members = [turn for turn in session if turn.id in inside]
    return sorted(members, key=lambda turn: turn.said_at or turn.stored_at)


def _facts(view: View, statuses: list[str]) -> list[Record]:
    """The facts of this policy's form."""
    every = _paged(view, Filter(kind=Kind.FACT.value, status=statuses))
    return [fact for fact in every if _is_ours(fact)]


def _is_ours(record: Record) -> bool:
    return record.kind is Kind.FACT and all(name in record.payload for name in _FIELDS)


def _was_read(turn: Record, view: View) -> bool:
    for edge in view.edges(turn.id, EdgeKind.DERIVED_FROM):
        fact = view.get(edge.source) if edge.target == turn.id else None
        if fact is not None and _is_ours(fact):
            return True
    return False


def _marked(old: Record, new: Record, view: View) -> bool:
    if old.status is not Status.SUPERSEDED:
        return False
    since = new.valid_from or new.said_at
    if since is not None:
        return old.valid_to == since
    return any(edge.source == new.id for edge in view.edges(old.id, EdgeKind.SUPERSEDES))
