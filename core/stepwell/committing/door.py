"""What each op does to the store, in the transaction that it is applied in."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from stepwell.committing.spaces import outdated, unseen
from stepwell.contracts import EdgeRow, NewRecord, ScopeRow, StoreWriter
from stepwell.errors import InvalidOp, UnknownRecord
from stepwell.identity import record_id
from stepwell.models import EdgeKind, Key, Record, Slot, Status, usable
from stepwell.ops import (
    RESTING,
    Add,
    Cascade,
    Hide,
    Link,
    Merge,
    Op,
    Rekey,
    Revise,
    SetSlot,
    SetState,
    Supersede,
    Unlink,
    cascade,
    closes_cycle,
    expect,
)  # fmt: skip


def ref_of(reader: StoreWriter, scope: ScopeRow, record_id: str) -> int:
    """The ref of a record or turn id. Raises UnknownRecord."""
    ref = reader.find(scope, [record_id]).get(record_id)
    if ref is None:
        raise UnknownRecord("this scope holds no record of that id")
    return ref


def _is_turn(record: Record) -> bool:
    return record.level == 0 and record.turn is not None


@dataclass(frozen=True, slots=True)
class Door:
    """What one op is applied to, and when. `said` is what the journal tells of every op.

    `slow` says that some keys of a new text are made later, `own` that the user asks in person.
    """

    writer: StoreWriter
    scope: ScopeRow
    now: datetime
    said: dict[str, Any]
    slow: bool
    own: bool = False

    def ref(self, record_id: str) -> int:
        return ref_of(self.writer, self.scope, record_id)

    def state(self, record_id: str) -> tuple[int, Record]:
        """A record as it is now, and its ref. Raises UnknownRecord."""
        loaded = self.writer.load(self.scope, [self.ref(record_id)])
        if not loaded:
            raise UnknownRecord("this scope holds no record of that id")
        return loaded[0]

    def check_keys(self, keys: Sequence[Key], text: str) -> None:
        """Refuse keys that no cache could take in. Raises InvalidOp."""
        if not all(usable(key, text) for key in keys):
            raise InvalidOp("a key is of another text, or no key at all")

    def queue_keys(self, ref: int, keys: Sequence[Key]) -> None:
        """Queue the keys that a new text has not got yet."""
        if not keys or outdated(self.writer, keys):
            self.writer.enqueue(self.scope, "keys", ref, ref)
        if self.slow:
            self.writer.enqueue(self.scope, "later", ref, ref)
        else:
            unseen(self.writer)

    def because(self, *ids: str) -> Door:
        """The same door; the reason that the journal tells may speak of these records too."""
        if not self.said["why"]:
            return self
        evidence = tuple(dict.fromkeys((*self.said["evidence"], *ids)))
        return replace(self, said={**self.said, "evidence": evidence})

    def change(self, op: Op, ref: int, **changes: Any) -> None:
        """Change a record's state and tell the journal how it was before."""
        before = self.writer.set_state(self.scope, ref, **changes)
        self.tell(op, ref, before)

    def tell(self, op: Op, ref: int, before: dict[str, Any] | None = None) -> None:
        self.writer.journal_op(self.scope, op.name, ref, before=before, **self.said)


def apply_op(
    writer: StoreWriter, scope: ScopeRow, op: Op, now: datetime, slow: bool, *, own: bool = False
) -> list[str]:
    """Apply one op; the ids of the records it made."""
    apply = _APPLIERS.get(type(op))
    if apply is None:
        raise InvalidOp(f"{op.name} does not come in by this door")
    said = {"who": op.who, "why": op.why, "evidence": op.evidence}
    door = Door(writer, scope, now, said, slow, own)
    for name in op.evidence:
        door.ref(name)  # what was forgotten meanwhile is no reason any more, and may be told in it
    made = apply(door, op)
    return [] if made is None else [made]


def _add(door: Door, op: Add) -> str:
    return _append(door, op.record, op.keys, op.sources, contains=op.contains)


def _revise(door: Door, op: Revise) -> None:
    writer, scope = door.writer, door.scope
    ref, record = door.state(op.id)
    if _is_turn(record) and not door.own:
        raise InvalidOp("what was said stays word for word: a turn is revised by the user alone")
    expect(op, record.version)
    door.check_keys(op.keys, op.text)
    content = writer.new_text(scope, ref, op.text, None)
    writer.blank_keys(scope, ref)
    writer.add_keys(scope, ref, op.keys)
    if op.said_at is None:
        door.change(op, ref, content=content)
    else:
        door.change(op, ref, content=content, said_at=op.said_at)
    door.queue_keys(ref, op.keys)


def _merge(door: Door, op: Merge) -> str:
    merged = [door.state(record_id) for record_id in op.ids]
    if any(_is_turn(record) for _, record in merged):
        raise InvalidOp("turns never merge")
    made = _append(door, op.record, op.keys, op.ids, contains=False)
    door = door.because(made, *op.ids)
    for ref, _ in merged:
        door.change(op, ref, status=Status.HIDDEN)
    return made


def _unlink(door: Door, op: Unlink) -> None:
    source, target = door.ref(op.source), door.ref(op.target)
    if op.kind in RESTING and door.writer.origins(door.scope, source) == [target]:
        raise InvalidOp("a derived record keeps at least one source")
    door.writer.unlink(door.scope, source, op.kind, target)
    door.because(op.target).tell(op, source)


def _rekey(door: Door, op: Rekey) -> None:
    ref, record = door.state(op.id)
    expect(op, record.version)
    door.check_keys(op.keys, record.text)
    door.writer.blank_keys(door.scope, ref, op.channel, op.space)
    door.writer.add_keys(door.scope, ref, op.keys)
    if outdated(door.writer, op.keys):
        door.writer.enqueue(door.scope, "keys", ref, ref)
    door.tell(op, ref)


def _hide(door: Door, op: Hide) -> None:
    ref, record = door.state(op.id)
    expect(op, record.version)
    door.change(op, ref, status=Status.HIDDEN)


def _set_slot(door: Door, op: SetSlot) -> None:
    sources = tuple(dict.fromkeys((*op.sources, *op.evidence)))
    slot = Slot(name=op.slot, text=op.text, budget=op.budget, sources=sources)
    door.writer.set_slot(door.scope, slot, op.who, op.why)


def _append(
    door: Door, record: Record, keys: Sequence[Key], sources: Sequence[str], *, contains: bool
) -> str:
    """Append a derived record, with edges to its sources; its id."""
    writer, scope, now = door.writer, door.scope, door.now
    refs = [door.ref(source) for source in dict.fromkeys(sources)]
    if not refs:
        raise InvalidOp("a derived record needs the records it comes from")
    if not record.text:
        raise InvalidOp("a derived record needs a text")
    door.check_keys(keys, record.text)
    made = record_id(scope.secret, now, record.kind, str(record.level), record.text, *sources)
    for twin in range(1000):
        if made not in writer.find(scope, [made]):
            break
        made = record_id(
            scope.secret, now, record.kind, str(record.level), record.text, *sources, str(twin)
        )
    fresh = record.model_copy(update={"id": made, "scope": scope.path, "turn": None, "version": 1})
    new = NewRecord(fresh, None, None, keys, **door.said)
    writer.append(scope, [new])
    kind = EdgeKind.CONTAINS if contains else EdgeKind.DERIVED_FROM
    writer.link_all(scope, new.ref, kind, refs)
    door.queue_keys(new.ref, keys)
    return made


def _supersede(door: Door, op: Supersede) -> None:
    newer, record = door.state(op.id)
    older, replaced = door.state(op.replaces)
    if newer == older:
        raise InvalidOp("a record cannot supersede itself")
    expect(op, replaced.version)
    until = record.valid_from or record.said_at or record.stored_at
    door.writer.link(door.scope, EdgeRow(newer, EdgeKind.SUPERSEDES, older, op.confidence))
    door.because(op.id).change(op, older, status=Status.SUPERSEDED, valid_to=until)


def _link(door: Door, op: Link) -> None:
    writer, scope, edge = door.writer, door.scope, op.edge
    (source, upper), target = door.state(edge.source), door.ref(edge.target)
    if edge.kind in RESTING:
        if _is_turn(upper):
            raise InvalidOp("a turn rests on nothing")
        above: dict[str, list[str]] = {}
        if writer.origins(scope, target):  # nothing rests on itself by way of what rests on nothing
            for record, below in writer.derived(scope, [source]).items():
                for b in below:
                    above.setdefault(str(b), []).append(str(record))
        plain = edge.model_copy(update={"source": str(source), "target": str(target)})
        if closes_cycle(plain, above):
            raise InvalidOp("a record cannot rest on what rests on it")
    # A label is said by the op, and goes with what the op was proposed from.
    sources = (*edge.sources, *op.evidence) if edge.label else edge.sources
    sources = tuple(dict.fromkeys(sources))
    writer.link(scope, EdgeRow(source, edge.kind, target, edge.weight, edge.label, sources))
    door.because(edge.target, *sources).tell(op, source)


def _set_state(door: Door, op: SetState) -> None:
    writer, scope = door.writer, door.scope
    ref, record = door.state(op.id)
    expect(op, record.version)
    changes: dict[str, Any] = {
        name: getattr(op, name)
        for name in ("status", "trust", "valid_from", "valid_to")
        if getattr(op, name) is not None
    }
    if op.payload:
        merged = json.dumps({**record.payload, **op.payload}, ensure_ascii=False)
        changes["content"] = writer.new_text(scope, ref, None, merged)
    if changes:
        door.change(op, ref, **changes)
    if op.status is Status.QUARANTINED and record.status is not Status.QUARANTINED:
        _withdraw(writer, scope, ref)
    elif op.status is Status.ACTIVE and record.status is Status.QUARANTINED and record.turn:
        writer.enqueue(scope, "segment", ref, ref)  # it comes in again
    if op.shown or op.used or op.success or op.failure or op.strength is not None:
        writer.credit(
            scope, ref, shown=op.shown, used=op.used, success=op.success, failure=op.failure,
            strength=op.strength,
        )  # fmt: skip


def _withdraw(writer: StoreWriter, scope: ScopeRow, ref: int) -> None:
    """What was derived from a record goes; what rests on others too is made again without it."""
    reach: Cascade[int] = cascade([ref], writer.derived(scope, [ref]))
    for kind in RESTING:
        for edge in writer.links(scope, [ref], kind, into=True):
            writer.unlink(scope, edge.source, kind, ref)
    if reach.erased or reach.stale:
        writer.purge(scope, sorted(reach.erased | reach.stale), reach.stale)


#: What applies each kind of op; it returns the id of the record it made, if it made one.
_APPLIERS: dict[type[Op], Callable[[Door, Any], str | None]] = {
    Add: _add,
    Revise: _revise,
    Supersede: _supersede,
    Merge: _merge,
    Link: _link,
    Unlink: _unlink,
    Rekey: _rekey,
    Hide: _hide,
    SetState: _set_state,
    SetSlot: _set_slot,
}
