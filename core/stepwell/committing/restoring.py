"""What an export holds is stored again: with the ids, times, states and ledger that it had.

A record is stored with all its edges to what was stored before it, in one transaction, or not at
all. What the scope has forgotten, and what rests on that, does not come back.
"""

from __future__ import annotations

from collections.abc import Sequence
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


#: A fate, and why.
Fated = tuple[Fate, str]
_STORED, _KNOWN, _FORGOTTEN = (Fate.STORED, ""), (Fate.KNOWN, ""), (Fate.FORGOTTEN, "")
_TAKEN = (Fate.CONFLICT, "another record has this id")
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


class Restoring:
    """One transaction. `other` are names of what is not here as it is there; they become more."""

    def __init__(self, writer: StoreWriter, scope: ScopeRow, other: set[str]) -> None:
        if writer.again(scope) is None:
            raise InvalidOp("the scope was erased meanwhile")
        self._writer = writer
        self._scope = scope
        self._other = other
        self._here: dict[str, Kept] = {}
        self._taken: set[str] = set()
        self.new: list[NewRecord] = []

    def store(self, batch: Sequence[Kept], *, alone: bool, slow: bool) -> list[Fated]:
        """Store what is new of a batch; what became of each. `new` is what was stored."""
        fates = [self._judged(kept) for kept in batch]
        pairs = list(zip(self._here.values(), self.new, strict=True))
        if self.new:
            self._writer.append(self._scope, self.new)
        for kept, item in pairs:
            self._beside(kept, item)
        self._queue(pairs)
        for kept, (became, _) in zip(batch, fates, strict=True):
            if became in (Fate.FORGOTTEN, Fate.REFUSED):
                self._instead(kept)
        whole = [item for item in self.new if item.record.status is not Status.STALE]
        if whole:
            degraded = [item for kept, item in pairs if kept.degraded]
            queue_keys(self._writer, self._scope, whole, degraded, alone=alone, slow=slow)
        return fates

    def slot(self, slot: Slot) -> Fated:
        """Store a slot, unless there is one of that name, or it came from what is not here."""
        held = self._writer.slot(self._scope, slot.name)
        if held.version:
            same = (held.text, held.budget) == (slot.text, slot.budget)
            return _KNOWN if same else (Fate.CONFLICT, "the slot has another text here")
        missing = self._missing(slot.sources)
        if missing is None:
            self._writer.set_slot(self._scope, slot, IMPORT, "")
        return missing or _STORED

    # what becomes of what ---------------------------------------------------------------------

    def _judged(self, kept: Kept) -> Fated:
        fate = self._derived(kept) if kept.sent is None else self._turn(kept, kept.sent)
        if fate[0] is Fate.STORED:
            item = self._new(kept)
            self._here[kept.name] = kept
            self._taken.add(item.record.id)
            self.new.append(item)
        altered = kept.sent is not None and _said(kept.sent) != _said(kept.record)
        if altered or fate[0] in _OTHER:
            self._other.add(kept.name)
        return fate

    def _turn(self, kept: Kept, sent: Turn) -> Fated:
        twin = self._here.get(kept.name)
        if twin is not None:
            same = twin.sent is not None and _said(twin.sent) == _said(sent)
            return _KNOWN if same else _TAKEN
        known = self._writer.identity(self._scope, keyed(self._scope.secret, "turn", kept.name))
        if known is None:
            return _STORED
        ref, content = known
        if ref is None:
            return _FORGOTTEN
        ((_, record),) = self._writer.load(self._scope, [ref])
        if _said(record) != _said(sent):
            return (Fate.DIFFERS, "") if content == self._content(sent) else _TAKEN
        states = {record.status, kept.record.status}
        return (Fate.DIFFERS, "") if len(states) > 1 and Status.QUARANTINED in states else _KNOWN

    def _derived(self, kept: Kept) -> Fated:
        name = kept.name
        ref = self._writer.find(self._scope, [name]).get(name)
        if ref is not None or name in self._here:
            loaded = [] if ref is None else self._writer.load(self._scope, [ref])
            mine = (kept.record.kind, kept.record.level, None)
            same = any((r.kind, r.level, r.turn) == mine for _, r in loaded)
            return _KNOWN if same else _TAKEN
        if self._gone(name):
            return _FORGOTTEN
        below = [edge.target for edge in kept.edges if edge.kind in RESTING and edge.source == name]
        if not below:
            return Fate.REFUSED, "a derived record needs the records it comes from"
        if not self._other.isdisjoint(below):
            return Fate.REFUSED, STAINED
        return self._missing(below) or _STORED

    def _missing(self, names: Sequence[str]) -> Fated | None:
        """Why what comes from some records cannot be stored; None if all of them are here."""
        away = [name for name in names if name not in self._here]
        found = self._writer.find(self._scope, away)
        for name in away:
            if found.get(name) is None:
                lost = name in found or self._gone(name)
                why = "it comes from a record that is not here"
                return _FORGOTTEN if lost else (Fate.REFUSED, why)
        return None

    def _gone(self, name: str) -> bool:
        handle = gone(self._scope.secret, name)
        return self._writer.identity(self._scope, handle) is not None

    # what is written --------------------------------------------------------------------------

    def _new(self, kept: Kept) -> NewRecord:
        record, handle, content = kept.record, None, None
        if kept.sent is not None:
            handle = keyed(self._scope.secret, "turn", kept.name)
            content = self._content(kept.sent)
            if record.id in self._taken or self._writer.find(self._scope, [record.id]):
                made = record_id(self._scope.secret, record.stored_at, kept.name)
                record = record.model_copy(update={"id": made})
        record = record.model_copy(update={"scope": self._scope.path})
        return NewRecord(record, handle, content, kept.keys, who=IMPORT, kept=True)

    def _content(self, sent: Turn) -> bytes:
        return content_hash(self._scope.secret, sent.text, sent.role, sent.actor, sent.session)

    def _beside(self, kept: Kept, item: NewRecord) -> None:
        """The edges of a record that was stored just now, and its line in the ledger."""
        for edge in kept.edges:
            ends = self._writer.find(self._scope, [edge.source, edge.target])
            source, target = ends.get(edge.source), ends.get(edge.target)
            if source is None or target is None or not self._other.isdisjoint(edge.sources):
                continue  # its other end, or what said it, is not here
            if self._missing(edge.sources) or (edge.kind in RESTING and source != item.ref):
                continue  # what was here before does not come to rest on this
            row = EdgeRow(source, edge.kind, target, edge.weight, edge.label, edge.sources)
            self._writer.link(self._scope, row)
        if kept.usage != NO_USAGE:
            self._writer.keep_usage(self._scope, item.ref, kept.usage)

    def _instead(self, kept: Kept) -> None:
        """What a record had superseded holds, where that record does not come in."""
        writer, scope = self._writer, self._scope
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

    def _queue(self, stored: Sequence[tuple[Kept, NewRecord]]) -> None:
        """The work that was queued about what was stored."""
        spans: list[list[int]] = [[]]
        for kept, item in stored:
            if item.record.status is Status.STALE:
                self._writer.enqueue(self._scope, "derive", item.ref)
            for work in kept.waits:
                if work != _SPANNING:
                    self._writer.enqueue(self._scope, work, item.ref)
            if _SPANNING in kept.waits:
                spans[-1].append(item.ref)
            elif kept.sent is not None:
                spans.append([])
        for span in filter(None, spans):
            self._writer.enqueue(self._scope, _SPANNING, span[0], span[-1])


def _said(told: Turn | Record) -> tuple[str | None, ...]:
    return told.text, told.role, told.actor, told.session
