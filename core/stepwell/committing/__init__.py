"""The only door to the store's write side: validate, apply, journal, notify."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from stepwell.committing.door import apply_op, ref_of
from stepwell.committing.queueing import queue_keys
from stepwell.committing.restoring import IMPORT, NO_USAGE, STAINED, Fate, Kept, Restoring
from stepwell.committing.screening import label, screened, sized
from stepwell.committing.spaces import left_spaces, listed, noted, outdated, unkeyed, unseen
from stepwell.contracts import ScopeRow, Store, StoreWriter
from stepwell.errors import InvalidOp, UnknownRecord, VersionConflict
from stepwell.models import Slot, Status
from stepwell.ops import (
    Add,
    Cascade,
    Op,
    Purge,
    SetState,
    aliases,
    cascade,
    precedence,
    renamed,
)  # fmt: skip
from stepwell.plugins import Plugins

__all__ = [
    "NO_USAGE", "STAINED", "Applied", "Committer", "Fate", "Kept", "Seen", "label", "left_spaces",
    "listed", "noted", "outdated", "queue_keys", "ref_of", "screened", "sized", "unkeyed", "unseen",
]  # fmt: skip

log = logging.getLogger("stepwell.committing")

Then = Callable[[StoreWriter, Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a list of ops. `outrun`: others were faster, and nothing was applied."""

    kept: tuple[Op, ...]
    dropped: tuple[tuple[Op, str], ...] = ()
    ids: tuple[str, ...] = ()
    outrun: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What work was proposed from: a scope that had forgotten so often.

    With `head`, a journal position, no derived record has changed since then either.
    """

    purges: int
    head: int | None = None


class _Outrun(Exception):
    """What work rests on has changed meanwhile. It never leaves this file."""


class Committer:
    """Applies ops to one store."""

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
        tasks: Sequence[int] = (),
        seen: Seen | None = None,
        strict: bool = False,
        then: Then | None = None,
    ) -> Applied:
        """Apply ops in one transaction, after their precedence.

        An op that breaks a rule or meets another version is dropped with its reason, which is
        logged; with `strict` it raises and nothing is applied. `tasks` are the work items done with
        it: where another has done one of them meanwhile, or something of what was `seen` changed,
        nothing is applied. `then` writes something more in the same transaction, given the ids of
        the records that were made.
        """
        try:
            applied = self._applied(scope, ops, tasks, seen, then, strict=strict)
        except _Outrun:
            return Applied((), outrun=True)
        for op, reason in applied.dropped:  # reasons are ours, and hold nothing remembered
            said = {"stepwell_op": op.name, "stepwell_plugin": op.who}
            log.info("%s by %r was dropped: %s", op.name, op.who, reason, extra=said)
        self.tell(applied.kept)
        if any(isinstance(op, SetState) and op.status is Status.QUARANTINED for op in applied.kept):
            self.forgotten()  # what was derived from it
        return applied

    def _applied(
        self, scope: ScopeRow, ops: Iterable[Op], tasks: Sequence[int], seen: Seen | None,
        then: Then | None, *, strict: bool,
    ) -> Applied:  # fmt: skip
        kept, beaten = precedence(ops)
        dropped = [(op, "another op about the same record comes first") for op in beaten]
        done: list[Op] = []
        ids: list[str] = []
        slow = self._plugins.has("later_keys")
        with self.store.writing(self.clock()) as writer:
            if not scope.number:
                scope = writer.open_scope(scope.path, scope.secret)
            there = [writer.done(scope, task) for task in tasks]
            if not (all(there) and _holds(writer, scope, seen)):
                raise _Outrun
            names: dict[str, str] = {}
            for proposed in kept:
                op = renamed(proposed, names)
                try:
                    made = apply_op(writer, scope, op, self.clock(), slow, own=strict)
                except (InvalidOp, UnknownRecord, VersionConflict) as error:
                    if strict:
                        raise
                    dropped.append((op, str(error)))
                else:
                    done.append(op)
                    ids.extend(made)
                    names.update(zip(aliases([op]), made, strict=False))
            if then is not None:
                then(writer, ids)
        return Applied(tuple(done), tuple(dropped), tuple(ids))

    def restore(
        self, scope: ScopeRow, batch: Sequence[Kept], other: set[str], *, alone: bool
    ) -> list[tuple[Fate, str]]:
        """Store records as an export holds them, in one transaction; what became of each.

        `other` are the names of those that are not here as they are there; names are added to it.
        What comes from one of them is refused.
        Raises InvalidOp when the scope was erased meanwhile.
        """
        with self.store.writing(self.clock()) as writer:
            restoring = Restoring(writer, scope, other)
            slow = self._plugins.has("later_keys")
            fates = restoring.store(batch, alone=alone, slow=slow)
        new = restoring.new
        self.tell([Add(record=item.record, keys=tuple(item.keys), who=IMPORT) for item in new])
        return fates

    def restore_slot(self, scope: ScopeRow, slot: Slot) -> tuple[Fate, str]:
        """Store a slot as an export holds it, unless there is one of that name."""
        with self.store.writing(self.clock()) as writer:
            return Restoring(writer, scope, set()).slot(slot)

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
        self.forgotten()
        return counts

    def forgotten(self) -> None:
        """Tell the store that bytes are left to take out, and listeners that something is gone."""
        self.store.mark_pending()
        self.tell([Purge(ids=())])


def _holds(writer: StoreWriter, scope: ScopeRow, seen: Seen | None) -> bool:
    """Whether what was seen is still so."""
    if seen is None:
        return True
    row = writer.scope_of(scope.path)
    if row is None or row.purges != seen.purges:
        return False
    if seen.head is None or row.head == seen.head:
        return True
    touched = writer.changed(scope, seen.head)
    return not any(entry[2] > 0 for entry in writer.entries(scope, touched))
