"""What an export holds is stored again: with the ids, times, states and ledger that it had.

A record is stored with all its edges to what was stored before it, in one transaction, or not at
all. What the scope has forgotten, and what rests on that, does not come back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from stepwell.committing.queueing import queue_keys
from stepwell.contracts import EdgeRow, NewRecord, ScopeRow, StoreWriter
from stepwell.errors import InvalidOp
from stepwell.identity import content_hash, gone, keyed, record_id
from stepwell.models import Edge, EdgeKind, Key, Record, Slot, Status, Turn, Usage
from stepwell.ops import RESTING

#: Who the journal names.
IMPORT = "import"
#: Work whose tasks are about many turns that came one after the other.
_SPANNING = "segment"
NO_USAGE = Usage()
#: Why what comes from something is refused.
STAINED = "it comes from a text that is another here"


class Fate(StrEnum):
    """What became of something that was to be stored again.

    DIFFERS is known, too, but not so here: revised, quarantined, or changed by a screening plugin.
    """

    STORED = "stored"
    KNOWN = "known"
    DIFFERS = "differs"
    FORGOTTEN = "forgotten"
    CONFLICT = "conflict"
    REFUSED = "refused"


_OTHER = (Fate.DIFFERS, Fate.CONFLICT, Fate.REFUSED)


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as an export holds it. `sent` is a turn before it was screened.

    `edges` are those out of and into it whose other end came before; both ends are named by turn
    id, or by record id where there is none. `waits` is the work that was queued about it.
    """

    record: Record
    keys: Sequence[Key] = ()
    sent: Turn | None = None
    edges: tuple[Edge, ...] = ()
    usage: Usage = NO_USAGE
    waits: tuple[str, ...] = ()
    degraded: bool = False

    @property
    def name(self) -> str:
        """What edges call it."""
        return self.record.turn or self.record.id


def restore(
    writer: StoreWriter, scope: ScopeRow, batch: Sequence[Kept], other: set[str], *,
    alone: bool, slow: bool,
) -> tuple[list[tuple[Fate, str]], list[NewRecord]]:  # fmt: skip
    """Store what is new of a batch; what became of each, and what was stored.

    `other` are names of what is not here as it is there; they become more.
    """
    if writer.again(scope) is None:
        raise InvalidOp("the scope was erased meanwhile")
    fates: list[tuple[Fate, str]] = []
    new: list[NewRecord] = []
    stored: list[tuple[Kept, NewRecord]] = []
    here: dict[str, Kept] = {}
    taken: set[str] = set()
    for kept in batch:
        if kept.sent is not None:
            fate = _turn(writer, scope, kept, here)
        else:
            fate = _derived(writer, scope, kept, here, other)
        fates.append(fate)
        altered = kept.sent is not None and _said(kept.sent) != _said(kept.record)
        if altered or fate[0] in _OTHER:
            other.add(kept.name)
        if fate[0] is Fate.STORED:
            here[kept.name] = kept
            item = _new(writer, scope, kept, taken)
            taken.add(item.record.id)
            new.append(item)
            stored.append((kept, item))
    if new:
        writer.append(scope, new)
    for kept, item in stored:
        _beside(writer, scope, kept, item, other)
    _queue(writer, scope, stored)
    for kept, became in zip(batch, fates, strict=True):
        if became[0] in (Fate.FORGOTTEN, Fate.REFUSED):
            _instead(writer, scope, kept)
    whole = [item for item in new if item.record.status is not Status.STALE]
    degraded = [item for kept, item in stored if kept.degraded]
    if whole:
        queue_keys(writer, scope, whole, degraded, alone=alone, slow=slow)
    return fates, new


def restore_slot(writer: StoreWriter, scope: ScopeRow, slot: Slot) -> tuple[Fate, str]:
    """Store a slot, unless there is one of that name, or it came from what is not here."""
    held = writer.slot(scope, slot.name)
    if held.version:
        same = (held.text, held.budget) == (slot.text, slot.budget)
        return (Fate.KNOWN if same else Fate.CONFLICT), "the slot has another text here"
    missing = _missing(writer, scope, slot.sources, {})
    if missing is not None:
        return missing
    writer.set_slot(scope, slot, IMPORT, "")
    return Fate.STORED, ""


def _turn(
    writer: StoreWriter, scope: ScopeRow, kept: Kept, here: dict[str, Kept]
) -> tuple[Fate, str]:
    sent, name = kept.sent, kept.name
    assert sent is not None  # noqa: S101 - a turn was sent
    if name in here:
        twin = here[name].sent
        same = twin is not None and _said(twin) == _said(sent)
        return (Fate.KNOWN, "") if same else (Fate.CONFLICT, "another turn has this id")
    known = writer.identity(scope, keyed(scope.secret, "turn", name))
    if known is None:
        return Fate.STORED, ""
    ref, content = known
    if ref is None:
        return Fate.FORGOTTEN, ""
    ((_, record),) = writer.load(scope, [ref])
    quarantined = Status.QUARANTINED in (record.status, kept.record.status)
    if _said(record) == _said(sent) and (not quarantined or record.status is kept.record.status):
        return Fate.KNOWN, ""
    if _said(record) == _said(sent) or content == _content(scope, sent):
        return Fate.DIFFERS, ""
    return Fate.CONFLICT, "another turn has this id"


def _derived(
    writer: StoreWriter, scope: ScopeRow, kept: Kept, here: dict[str, Kept], other: set[str]
) -> tuple[Fate, str]:
    name = kept.name
    if name in here:
        return Fate.CONFLICT, "another record has this id"
    ref = writer.find(scope, [name]).get(name)
    if ref is not None:
        ((_, record),) = writer.load(scope, [ref])
        if (record.kind, record.level, record.turn) != (kept.record.kind, kept.record.level, None):
            return Fate.CONFLICT, "another record has this id"
        return Fate.KNOWN, ""
    if writer.identity(scope, gone(scope.secret, name)) is not None:
        return Fate.FORGOTTEN, ""
    below = [edge.target for edge in kept.edges if edge.kind in RESTING and edge.source == name]
    if not below:
        return Fate.REFUSED, "a derived record needs the records it comes from"
    if not other.isdisjoint(below):
        return Fate.REFUSED, STAINED
    missing = _missing(writer, scope, below, here)
    return missing or (Fate.STORED, "")


def _missing(
    writer: StoreWriter, scope: ScopeRow, names: Sequence[str], here: dict[str, Kept]
) -> tuple[Fate, str] | None:
    """Why what comes from some records cannot be stored; None if all of them are here."""
    found = writer.find(scope, [name for name in names if name not in here])
    for name in names:
        if name not in here and found.get(name) is None:
            lost = name in found or writer.identity(scope, gone(scope.secret, name)) is not None
            return (
                (Fate.FORGOTTEN, "") if lost
                else (Fate.REFUSED, "it comes from a record that is not here")
            )  # fmt: skip
    return None


def _new(writer: StoreWriter, scope: ScopeRow, kept: Kept, taken: set[str]) -> NewRecord:
    record, handle, content = kept.record, None, None
    if kept.sent is not None:
        handle, content = keyed(scope.secret, "turn", kept.name), _content(scope, kept.sent)
        if record.id in taken or writer.find(scope, [record.id]):
            made = record_id(scope.secret, record.stored_at, kept.name)
            record = record.model_copy(update={"id": made})
    record = record.model_copy(update={"scope": scope.path})
    return NewRecord(record, handle, content, kept.keys, who=IMPORT, kept=True)


def _beside(
    writer: StoreWriter, scope: ScopeRow, kept: Kept, item: NewRecord, other: set[str]
) -> None:
    """The edges of a record that was stored just now, and its line in the ledger."""
    for edge in kept.edges:
        ends = writer.find(scope, [edge.source, edge.target])
        source, target = ends.get(edge.source), ends.get(edge.target)
        if source is None or target is None or not other.isdisjoint(edge.sources):
            continue
        if _missing(writer, scope, edge.sources, {}):
            continue  # its other end, or what said it, is not here
        if edge.kind in RESTING and source != item.ref:
            continue  # what was here before does not come to rest on this
        row = EdgeRow(source, edge.kind, target, edge.weight, edge.label, edge.sources)
        writer.link(scope, row)
    if kept.usage != NO_USAGE:
        writer.keep_usage(scope, item.ref, kept.usage)


def _instead(writer: StoreWriter, scope: ScopeRow, kept: Kept) -> None:
    """What a record had superseded holds, where that record does not come in."""
    for edge in kept.edges:
        if edge.kind is not EdgeKind.SUPERSEDES or edge.source != kept.name:
            continue
        ref = writer.find(scope, [edge.target]).get(edge.target)
        if ref is None or writer.links(scope, [ref], EdgeKind.SUPERSEDES, into=True):
            continue
        for _, record in writer.load(scope, [ref]):
            if record.status is Status.SUPERSEDED:
                before = writer.set_state(scope, ref, status=Status.ACTIVE, valid_to=None)
                writer.journal_op(scope, "set_state", ref, who=IMPORT, before=before)


def _queue(writer: StoreWriter, scope: ScopeRow, stored: Iterable[tuple[Kept, NewRecord]]) -> None:
    span: list[int] = []
    for kept, item in stored:
        if item.record.status is Status.STALE:
            writer.enqueue(scope, "derive", item.ref)
        for work in kept.waits:
            if work != _SPANNING:
                writer.enqueue(scope, work, item.ref)
        if _SPANNING in kept.waits:
            span.append(item.ref)
        elif span and kept.sent is not None:
            writer.enqueue(scope, _SPANNING, span[0], span[-1])
            span = []
    if span:
        writer.enqueue(scope, _SPANNING, span[0], span[-1])


def _said(told: Turn | Record) -> tuple[str | None, ...]:
    return told.text, told.role, told.actor, told.session


def _content(scope: ScopeRow, sent: Turn) -> bytes:
    return content_hash(scope.secret, sent.text, sent.role, sent.actor, sent.session)
