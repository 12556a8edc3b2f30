"""The only door to the store's write side: validate, apply, journal, notify."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stepwell.contracts import EdgeRow, NewRecord, ScopeRow, Store, StoreWriter
from stepwell.errors import InvalidOp, UnknownRecord, VersionConflict
from stepwell.identity import record_id
from stepwell.models import EdgeKind, Key, Record, Slot, Status
from stepwell.ops import (
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
    precedence,
)  # fmt: skip
from stepwell.plugins import Plugins


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a list of ops."""

    kept: tuple[Op, ...]
    dropped: tuple[tuple[Op, str], ...] = ()
    ids: tuple[str, ...] = ()


class Committer:
    """Applies ops to one store. `recompute` makes the keys of a record whose text changed."""

    def __init__(self, store: Store, plugins: Plugins, clock: Callable[[], datetime]) -> None:
        self.store = store
        self.clock = clock
        self._plugins = plugins

    def tell(self, ops: Sequence[Op]) -> None:
        """Tell who listens what was committed."""
        if ops and self._plugins.has("on_committed"):
            self._plugins.tell("on_committed", ops=tuple(ops))

    def apply(
        self,
        scope: ScopeRow,
        ops: Iterable[Op],
        *,
        task: int | None = None,
        strict: bool = False,
        before: Callable[[StoreWriter], None] | None = None,
    ) -> Applied:
        """Apply ops in one transaction, after their precedence.

        An op that breaks a rule or meets another version is dropped with its reason; with `strict`
        it raises and nothing is applied. `task` is the work item that is done with it.
        """
        kept, beaten = precedence(ops)
        dropped = [(op, "another op about the same record comes first") for op in beaten]
        done: list[Op] = []
        ids: list[str] = []
        with self.store.writing(self.clock()) as writer:
            if before is not None:
                before(writer)
            for op in kept:
                try:
                    made = _apply(writer, scope, op, self.clock())
                except (InvalidOp, UnknownRecord, VersionConflict) as error:
                    if strict:
                        raise
                    dropped.append((op, str(error)))
                else:
                    done.append(op)
                    ids.extend(made)
            if task is not None:
                writer.done(scope, task)
        self.tell(done)
        return Applied(tuple(done), tuple(dropped), tuple(ids))

    def purge(
        self, scope: ScopeRow, select: Callable[[StoreWriter], Sequence[int]]
    ) -> dict[str, int]:
        """Forget what `select` names, and everything that rests on it, in one transaction."""
        with self.store.writing(self.clock()) as writer:
            refs = list(select(writer))
            if not refs:
                return {}
            reach: Cascade[int] = cascade(refs, writer.derived(scope, refs))
            everything = [*refs, *sorted(reach.erased | reach.stale)]
            counts = writer.purge(scope, everything, reach.stale)
        self.store.mark_pending()
        return counts


def ref_of(reader: StoreWriter, scope: ScopeRow, record_id: str) -> int:
    """The ref of a record or turn id. Raises UnknownRecord."""
    ref = reader.find(scope, [record_id]).get(record_id)
    if ref is None:
        raise UnknownRecord("this scope holds no record of that id")
    return ref


def _state(reader: StoreWriter, scope: ScopeRow, record_id: str) -> tuple[int, Record]:
    ref = ref_of(reader, scope, record_id)
    loaded = reader.load(scope, [ref])
    if not loaded:
        raise UnknownRecord("this scope holds no record of that id")
    return loaded[0]


def _apply(writer: StoreWriter, scope: ScopeRow, op: Op, now: datetime) -> list[str]:
    """Apply one op; the ids of the records it made."""
    said: dict[str, Any] = {"who": op.who, "why": op.why, "evidence": op.evidence}
    match op:
        case Add():
            return [_add(writer, scope, op.record, op.keys, op.sources, op.contains, now, said)]
        case Revise():
            ref, record = _state(writer, scope, op.id)
            expect(op, record.version)
            content = writer.new_text(scope, ref, op.text, None)
            writer.blank_keys(scope, ref)
            writer.add_keys(scope, ref, op.keys)
            before = writer.set_state(scope, ref, content=content)
            writer.journal_op(scope, "revise", ref, before=before, **said)
            if not op.keys:
                writer.enqueue(scope, "keys", ref, ref)
        case Supersede():
            _supersede(writer, scope, op, now, said)
        case Merge():
            refs = [_state(writer, scope, i) for i in op.ids]
            if any(r.level == 0 and r.turn is not None for _, r in refs):
                raise InvalidOp("turns never merge")
            made = _add(writer, scope, op.record, op.keys, op.ids, False, now, said)
            for ref, _ in refs:
                before = writer.set_state(scope, ref, status=Status.HIDDEN)
                writer.journal_op(scope, "merge", ref, before=before, **said)
            return [made]
        case Link():
            _link(writer, scope, op, said)
        case Unlink():
            source, target = ref_of(writer, scope, op.source), ref_of(writer, scope, op.target)
            if op.kind in (EdgeKind.DERIVED_FROM, EdgeKind.CONTAINS) and writer.origins(
                scope, source
            ) == [target]:
                raise InvalidOp("a derived record keeps at least one source")
            writer.unlink(scope, source, op.kind, target)
            writer.journal_op(scope, "unlink", source, **said)
        case Rekey():
            ref, _ = _state(writer, scope, op.id)
            writer.blank_keys(scope, ref, op.channel, op.space)
            writer.add_keys(scope, ref, op.keys)
            writer.journal_op(scope, "rekey", ref, **said)
        case Hide():
            ref, record = _state(writer, scope, op.id)
            expect(op, record.version)
            before = writer.set_state(scope, ref, status=Status.HIDDEN)
            writer.journal_op(scope, "hide", ref, before=before, **said)
        case SetState():
            _set_state(writer, scope, op, said)
        case SetSlot():
            slot = Slot(name=op.slot, text=op.text, budget=op.budget, sources=op.sources)
            writer.set_slot(scope, slot, op.who, op.why)
        case _:
            raise InvalidOp(f"{op.name} does not come in by this door")
    return []


def _add(
    writer: StoreWriter, scope: ScopeRow, record: Record, keys: Sequence[Key], sources: Sequence[str],
    contains: bool, now: datetime, said: dict[str, Any],
) -> str:  # fmt: skip
    refs = [ref_of(writer, scope, source) for source in dict.fromkeys(sources)]
    if not refs:
        raise InvalidOp("a derived record needs the records it comes from")
    if not record.text:
        raise InvalidOp("a derived record needs a text")
    made = record_id(scope.secret, now, record.kind, str(record.level), record.text, *sources)
    for twin in range(1000):
        if made not in writer.find(scope, [made]):
            break
        made = record_id(
            scope.secret, now, record.kind, str(record.level), record.text, *sources, str(twin)
        )
    fresh = record.model_copy(update={"id": made, "scope": scope.path, "turn": None, "version": 1})
    new = NewRecord(fresh, None, None, keys, **said)
    writer.append(scope, [new])
    kind = EdgeKind.CONTAINS if contains else EdgeKind.DERIVED_FROM
    writer.link_all(scope, new.ref, kind, refs)
    return made


def _supersede(
    writer: StoreWriter, scope: ScopeRow, op: Supersede, now: datetime, said: dict[str, Any]
) -> None:
    newer, record = _state(writer, scope, op.id)
    older, replaced = _state(writer, scope, op.replaces)
    if newer == older:
        raise InvalidOp("a record cannot supersede itself")
    expect(op, replaced.version)
    until = record.valid_from or record.said_at or now
    before = writer.set_state(scope, older, status=Status.SUPERSEDED, valid_to=until)
    writer.link(scope, EdgeRow(newer, EdgeKind.SUPERSEDES, older, op.confidence))
    writer.journal_op(scope, "supersede", older, before=before, **said)


def _link(writer: StoreWriter, scope: ScopeRow, op: Link, said: dict[str, Any]) -> None:
    edge = op.edge
    source, target = ref_of(writer, scope, edge.source), ref_of(writer, scope, edge.target)
    if edge.kind is EdgeKind.CONTAINS:
        parents: dict[str, list[str]] = {}
        frontier = [source]
        while frontier:
            here = frontier.pop()
            if str(here) not in parents:
                above = [
                    e.source
                    for e in writer.edges(scope, here, EdgeKind.CONTAINS)
                    if e.target == here
                ]
                parents[str(here)] = [str(a) for a in above]
                frontier.extend(above)
        plain = edge.model_copy(update={"source": str(source), "target": str(target)})
        if closes_cycle(plain, parents):
            raise InvalidOp("contains: a record cannot contain what it lies in")
    writer.link(scope, EdgeRow(source, edge.kind, target, edge.weight, edge.label, edge.sources))
    writer.journal_op(scope, "link", source, **said)


def _set_state(writer: StoreWriter, scope: ScopeRow, op: SetState, said: dict[str, Any]) -> None:
    ref, record = _state(writer, scope, op.id)
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
        before = writer.set_state(scope, ref, **changes)
        writer.journal_op(scope, "set_state", ref, before=before, **said)
    if op.shown or op.used or op.success or op.failure or op.strength is not None:
        writer.credit(
            scope, ref, shown=op.shown, used=op.used, success=op.success, failure=op.failure,
            strength=op.strength,
        )  # fmt: skip
