"""The op algebra: the only way anything changes, and the pure rules of applying it.

Nothing here reads or writes a store. `committing` reads what a rule needs and asks it here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, Field, JsonValue

from stepwell.errors import InvalidOp, VersionConflict
from stepwell.models import (
    MAX_PAYLOAD_BYTES,
    MAX_TEXT_BYTES,
    Edge,
    EdgeKind,
    Finite,
    Frozen,
    Key,
    Name,
    Payload,
    Record,
    Status,
    Text,
    Unit,
    When,
    aware,
    storable,
    storable_json,
)  # fmt: skip

H = TypeVar("H", bound=Hashable)


def _writable(record: Record) -> Record:
    record = Record.model_validate(dict(record))  # `model_copy` and `model_construct` check nothing
    for said in (record.text, record.actor, record.role, record.session, record.task):
        storable(said or "")
    storable_json([record.action, record.observation, *record.upstream])
    if len(json.dumps(storable_json(record.payload)).encode()) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"more than {MAX_PAYLOAD_BYTES} bytes of payload")
    if len(record.text.encode()) > MAX_TEXT_BYTES:
        raise ValueError(f"more than {MAX_TEXT_BYTES} bytes of text")
    if not 0 <= record.level <= 100 or not 0 <= record.trust <= 1:
        raise ValueError("a level is from 0 to 100, a trust from 0 to 1")
    times = {name: getattr(record, name) for name in ("said_at", "valid_from", "valid_to")}
    naive = {name: aware(when) for name, when in times.items() if when and not when.tzinfo}
    return record.model_copy(update=naive) if naive else record


#: A record that a store can hold: a Record itself may come from anywhere.
NewlyMade = Annotated[Record, AfterValidator(_writable)]


class Op(Frozen):
    """One proposed change: who proposes it, why, and from which records (by id).

    An op whose evidence is not there, or not any more, is not applied. When evidence is forgotten,
    so is what the journal tells of why, a label that the op gave, and a slot that it set.
    """

    who: str = "user"
    why: Text = ""
    evidence: tuple[Text, ...] = ()

    @property
    def name(self) -> str:
        """The op's name in the journal."""
        return _NAMES[type(self)]


class Add(Op):
    """A new derived record.

    `sources` are the record ids it comes from, by edges `derived_from`, or `contains` where it
    groups them. The record gets an id of its own; until then later ops of the same answer may name
    it by the one that it was proposed with, if that begins with "@".
    """

    record: NewlyMade
    keys: tuple[Key, ...] = ()
    sources: tuple[Text, ...] = ()
    contains: bool = False


class Revise(Op):
    """Another text for a record. The old version stays in its history. A turn's: the user's alone.

    `said_at` is for derived records, whose time is that of what they rest on now.
    """

    id: Text
    text: Text
    keys: tuple[Key, ...] = ()
    said_at: When | None = None
    expects: int | None = None


class Supersede(Op):
    """`id` holds now in place of `replaces`; both stay."""

    id: Text
    replaces: Text
    confidence: Unit = 1.0
    expects: int | None = None


class Merge(Op):
    """A derived record in place of several derived ones, which are hidden. Turns never merge."""

    ids: tuple[Text, ...] = Field(min_length=2)
    record: NewlyMade
    keys: tuple[Key, ...] = ()


class Link(Op):
    """A new or re-weighted edge."""

    edge: Edge


class Unlink(Op):
    """An edge taken away."""

    source: Text
    kind: EdgeKind
    target: Text


class Rekey(Op):
    """Keys of a record in one channel and space, in place of those it has there."""

    id: Text
    channel: Name
    space: Name
    keys: tuple[Key, ...]
    expects: int | None = None


class Hide(Op):
    """A record takes no part any more, but stays."""

    id: Text
    expects: int | None = None


class SetState(Op):
    """Another status, trust, validity or payload entry; and what the ledger adds up."""

    id: Text
    status: Status | None = None
    trust: Unit | None = None
    valid_from: When | None = None
    valid_to: When | None = None
    payload: Payload = Field(default_factory=dict)
    shown: int = Field(default=0, ge=0)
    used: int = Field(default=0, ge=0)
    success: Finite = 0.0
    failure: Finite = 0.0
    strength: Finite | None = None
    expects: int | None = None


class SetSlot(Op):
    """Another text for a slot. Its sources are turn ids."""

    slot: Name
    text: Text
    budget: int = Field(default=256, ge=1, le=100_000)
    sources: tuple[Text, ...] = ()


class Purge(Op):
    """Forget records for good. The user's alone: policies may not return it.

    Listeners are told of it without ids: what is forgotten is named no more.
    """

    ids: tuple[str, ...]


class PutDocument(Op):
    """A keyed JSON value."""

    namespace: tuple[Name, ...]
    key: Name
    value: dict[str, JsonValue]
    ttl: float | None = None


class DeleteDocument(Op):
    """A document taken away to the byte."""

    namespace: tuple[Name, ...]
    key: Name


_NAMES: dict[type[Op], str] = {
    Add: "add", Revise: "revise", Supersede: "supersede", Merge: "merge", Link: "link",
    Unlink: "unlink", Rekey: "rekey", Hide: "hide", SetState: "set_state", SetSlot: "set_slot",
    Purge: "purge", PutDocument: "put_document", DeleteDocument: "delete_document",
}  # fmt: skip

#: What a policy may return. Purging, turns and documents are the user's.
POLICY_OPS = (Add, Revise, Supersede, Merge, Link, Unlink, Rekey, Hide, SetState, SetSlot)

#: The edges to what a record rests on: it does not outlive all of it.
RESTING = (EdgeKind.DERIVED_FROM, EdgeKind.CONTAINS)

#: What an id begins with that stands for a record made earlier in the same answer.
ALIAS = "@"

_RANK = {Supersede: 0, Revise: 1, Merge: 2, Add: 3}


def aliases(ops: Iterable[Op]) -> list[str]:
    """The ids in an answer that stand for records made in it."""
    made = (op.record.id for op in ops if isinstance(op, (Add, Merge)))
    return [name for name in made if name.startswith(ALIAS)]


def renamed(op: Op, names: Mapping[str, str]) -> Op:
    """The op with other ids in place of some."""
    if not names:
        return op
    changes: dict[str, object] = {}
    for field in ("id", "replaces", "source", "target"):
        held = getattr(op, field, None)
        if isinstance(held, str) and held in names:
            changes[field] = names[held]
    for field in ("ids", "sources", "evidence"):
        several = getattr(op, field, ())
        if any(name in names for name in several):
            changes[field] = tuple(names.get(name, name) for name in several)
    if isinstance(op, Link) and not names.keys().isdisjoint((op.edge.source, op.edge.target)):
        ends = {"source": op.edge.source, "target": op.edge.target}
        ends = {end: names.get(name, name) for end, name in ends.items()}
        changes["edge"] = op.edge.model_copy(update=ends)
    if isinstance(op, (Add, Merge)) and op.record.id in names:
        changes["record"] = op.record.model_copy(update={"id": names[op.record.id]})
    return op.model_copy(update=changes) if changes else op


def touches(op: Op) -> tuple[str, ...]:
    """The ids of the records that an op changes."""
    match op:
        case Add():
            # Without an id it is nobody yet, and competes with nobody.
            return (op.record.id,) if op.record.id else ()
        case Supersede():
            return (op.replaces,)
        case Merge():
            return op.ids
        case Revise() | Rekey() | Hide() | SetState():
            return (op.id,)
        case Purge():
            return op.ids
    return ()


def precedence(ops: Iterable[Op]) -> tuple[list[Op], list[Op]]:
    """Kept and dropped ops when several policies speak about one record.

    supersede > revise > merge > add; among equals the first one stands. Ops of other kinds do not
    compete. The order of the kept ones is theirs. Idempotent: precedence of what was kept keeps
    all.
    """
    ops = list(ops)
    taken: dict[str, int] = {}
    dropped: set[int] = set()
    order = sorted(range(len(ops)), key=lambda i: (_RANK.get(type(ops[i]), 9), i))
    for i in order:
        if type(ops[i]) not in _RANK:
            continue
        ids = touches(ops[i])
        if any(record_id in taken for record_id in ids):
            dropped.add(i)
        else:
            taken.update(dict.fromkeys(ids, i))
    kept = [op for i, op in enumerate(ops) if i not in dropped]
    return kept, [ops[i] for i in sorted(dropped)]


def expect(op: Op, version: int) -> None:
    """Check an op against the version that the store holds now. Raises VersionConflict."""
    expected = getattr(op, "expects", None)
    if expected is not None and expected != version:
        raise VersionConflict(f"{op.name}: version {version} is stored, {expected} was expected")


def allowed(op: object) -> Op:
    """An op that a policy returned, with every field checked anew. Raises InvalidOp."""
    if not isinstance(op, Op):
        raise InvalidOp(f"it returned {type(op).__name__} instead of an op")
    kind = type(op)
    if kind not in POLICY_OPS:
        raise InvalidOp(f"it may not return {_NAMES.get(kind, kind.__name__)}")
    try:  # what was copied with other fields, or made by `model_construct`, has been asked nothing
        op = kind.model_validate(op.model_dump(warnings=False))
    except (ValueError, TypeError, RecursionError):
        raise InvalidOp(f"it returned {_NAMES[kind]} with a field that cannot be") from None
    if isinstance(op, Add) and not op.sources:
        raise InvalidOp("a derived record needs the records it comes from")
    if isinstance(op, (Add, Merge)) and op.record.level == 0 and op.record.turn is not None:
        raise InvalidOp("turns come in by remember alone")
    return op


@dataclass(frozen=True, slots=True)
class Cascade(Generic[H]):
    """What a forgetting reaches beyond the turns themselves.

    `erased` derived records have no source left and go wholly; `stale` ones keep their id and lose
    every text and key until they are derived again from the sources that remain.
    """

    erased: frozenset[H]
    stale: frozenset[H]


def cascade(forgotten: Collection[H], derived: Mapping[H, Collection[H]]) -> Cascade[H]:
    """The forget cascade, from reads.

    `derived` maps each derived record to the records it directly comes from, and must hold every
    record that reaches a forgotten one. An id that is neither in `derived` nor forgotten counts as
    a source that remains. A derived record that is itself forgotten reaches what was derived from
    it.
    """
    gone = set(forgotten)
    reached: set[H] = set()
    children: dict[H, set[H]] = defaultdict(set)
    for record, sources in derived.items():
        for source in sources:
            children[source].add(record)
    frontier = list(gone)
    while frontier:
        for child in children.get(frontier.pop(), ()):
            if child not in reached and child not in gone:
                reached.add(child)
                frontier.append(child)
    # A reached record lives on if some chain of sources ends at a turn that is not forgotten.
    rooted = {
        record
        for record in reached
        if any(s not in gone and s not in reached for s in derived.get(record, ()))
    }
    frontier = list(rooted)
    while frontier:
        for child in children.get(frontier.pop(), ()):
            if child in reached and child not in rooted:
                rooted.add(child)
                frontier.append(child)
    return Cascade(erased=frozenset(reached - rooted), stale=frozenset(rooted))


def closes_cycle(edge: Edge, above: Mapping[str, Sequence[str]]) -> bool:
    """Whether an edge would make a record rest on itself. `above` maps one to what rests on it."""
    if edge.kind not in RESTING:
        return False
    seen, frontier = set(), [edge.source]
    while frontier:
        record = frontier.pop()
        if record == edge.target:
            return True
        if record not in seen:
            seen.add(record)
            frontier.extend(above.get(record, ()))
    return False
