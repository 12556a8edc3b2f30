"""The Store: the only truth, behind a Protocol, so that PostgreSQL can be a second one.

A `ref` is a store's own number for a record of one scope, ascending in order of arrival and never
used twice. Refs, scope numbers and journal positions never reach a caller of stepwell.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from stepwell.filters import Filter
from stepwell.models import (
    Change,
    Document,
    EdgeKind,
    Key,
    Problem,
    Record,
    Slot,
    Stats,
    Status,
    Usage,
)  # fmt: skip

#: How entries name a status. From 2 on: SQLite stores 0 and 1 in no bytes at all.
STATUS_CODES: dict[Status, int] = {status: i + 2 for i, status in enumerate(Status)}

#: Facts about a file. `EMBEDDER` is the space of its vectors. `FORMER` are the spaces that vectors
#: may be left of, each with how often some came late; `PAST` are all that it ever had before.
EMBEDDER, FORMER, PAST = "embedder", "embedder_former", "embedder_past"
#: Records may lack keys that no task is about; the spaces of the plugins that key later.
DUE, SLOW = "keys_due", "later_keys"

#: How many records `later_keys` is given at once at most.
LATER = 64


@dataclass(frozen=True, slots=True)
class ScopeRow:
    """A scope as the store knows it; one that is not there yet has the number 0.

    `head` is its highest journal position.
    """

    number: int
    path: tuple[str, ...]
    secret: bytes
    head: int
    purges: int


@dataclass(slots=True)
class NewRecord:
    """A record to be written, with what is written beside it. `handle` finds it again.

    `kept` says that it keeps its `stored_at`: it was stored elsewhere before, and is now.
    """

    record: Record
    handle: bytes | None
    content: bytes | None
    keys: Sequence[Key]
    who: str = "user"
    why: str = ""
    evidence: tuple[str, ...] = ()
    missing: bool = False
    kept: bool = False
    ref: int = 0


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as stored. `first` and `last` are None when it stands for the whole text."""

    kid: int
    ref: int
    channel: str
    space: str
    first: int | None
    last: int | None
    body: bytes


@dataclass(frozen=True, slots=True)
class EdgeRow:
    """An edge as stored, by refs."""

    source: int
    kind: EdgeKind
    target: int
    weight: float
    label: str | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """What the caches know of a record beside its keys. Times are microseconds since 1970.

    Whoever has no name goes by the role: `actor` is the role where there is no actor.
    """

    ref: int
    id: bytes
    level: int
    kind: int
    status: int
    trust: float
    said_at: int | None
    stored_at: int
    valid_from: int | None
    valid_to: int | None
    session: str | None
    actor: str | None


@dataclass(frozen=True, slots=True)
class Work:
    """A task of the durable queue. `ref` to `until` are the records it is about.

    `number` is never used twice in a scope: whoever is late to finish a task finishes no other.
    """

    number: int
    kind: str
    ref: int | None
    until: int | None
    tries: int
    error: str | None


class StoreReader(Protocol):
    """Reads of one moment. Every method that takes a scope answers for that scope alone."""

    def meta(self, name: str) -> str | None: ...
    def scope_of(self, path: tuple[str, ...]) -> ScopeRow | None: ...
    def scopes(self, after: int = 0, limit: int = 100, *, waiting: bool = False) -> list[ScopeRow]:
        """Scopes in order of their numbers, after one; `waiting`: those with tasks to be done."""
        ...

    def find(self, scope: ScopeRow, ids: Sequence[str]) -> dict[str, int | None]:
        """Refs by record or turn id. A forgotten turn's is None; unknown ids are left out."""
        ...

    def load(self, scope: ScopeRow, refs: Sequence[int]) -> list[tuple[int, Record]]:
        """Records in the order of `refs`; those that are not there are left out."""
        ...

    def select(
        self, scope: ScopeRow, where: Filter | None, after: int, limit: int, active: bool = True
    ) -> list[int]:
        """Refs above `after`, ascending."""
        ...

    def count(self, scope: ScopeRow, where: Filter | None, active: bool = True) -> int: ...
    def entries(self, scope: ScopeRow, refs: Sequence[int] | None = None) -> list[tuple[Any, ...]]:
        """Rows in the shape of `Entry`, ascending by ref; all records, or those of `refs`."""
        ...

    def keys(
        self, scope: ScopeRow, channel: str, space: str, refs: Sequence[int] | None = None
    ) -> list[tuple[Any, ...]]:
        """Rows (kid, ref, first, last, body) of live keys, ascending by kid."""
        ...

    def changed(self, scope: ScopeRow, after: int) -> list[int]:
        """Refs that the journal names after a position."""
        ...

    def edges(self, scope: ScopeRow, ref: int, kind: EdgeKind | None = None) -> list[EdgeRow]: ...
    def links(
        self, scope: ScopeRow, refs: Sequence[int], kind: EdgeKind, *, into: bool = False
    ) -> list[EdgeRow]:
        """Edges of one kind out of some records, or into them, by ref in the order given."""
        ...

    def derived(self, scope: ScopeRow, refs: Sequence[int]) -> dict[int, list[int]]:
        """All records that rest on any of `refs`, transitively, each with its direct sources."""
        ...

    def usage(self, scope: ScopeRow, ref: int) -> Usage: ...
    def slot(self, scope: ScopeRow, name: str) -> Slot: ...

    def again(self, scope: ScopeRow) -> ScopeRow | None:
        """The same scope as it is now; None when it was erased meanwhile."""
        ...

    def identity(self, scope: ScopeRow, handle: bytes) -> tuple[int | None, bytes | None] | None:
        """What is known under a handle: (ref, content hash); (None, None) if it was forgotten."""
        ...

    def version(self, scope: ScopeRow, ref: int, content: int) -> Record | None:
        """A record with the text that it had in an earlier version."""
        ...

    def spaces(self, scope: ScopeRow) -> list[tuple[str, str, int]]:
        """(channel, space, count) of live keys."""
        ...

    def keyless(self, scope: ScopeRow, channel: str, space: str) -> list[int]:
        """Refs of records without a live key in a channel and space, ascending."""
        ...

    def targets(self, scope: ScopeRow, source: int, kind: EdgeKind) -> list[int]: ...
    def origins(self, scope: ScopeRow, ref: int) -> list[int]: ...
    def roots(self, scope: ScopeRow, ref: int, limit: int = 100_000) -> list[int]:
        """The level-0 refs that a record rests on, transitively; itself if it rests on none."""
        ...

    def journal(
        self, scope: ScopeRow, ref: int | None = None, after: int = 0, limit: int = 1000
    ) -> list[tuple[int, Change, dict[str, Any]]]:
        """(position, change, body) in order; of one record, or of the whole scope."""
        ...

    def overlay(self, scope: ScopeRow, known: int) -> dict[int, dict[str, Any]]:
        """How records that changed after a moment were before."""
        ...

    def slots(self, scope: ScopeRow) -> list[Slot]: ...
    def stats(self, scope: ScopeRow) -> Stats:
        """What a scope holds, in numbers; `bytes` are not known here."""
        ...

    def work(self, scope: ScopeRow, limit: int = 100, parked: bool = False) -> list[Work]: ...


class StoreWriter(StoreReader, Protocol):
    """A write transaction: all of it is committed, or none of it."""

    def set_meta(self, name: str, value: str | None) -> None: ...
    def open_scope(self, path: tuple[str, ...], secret: bytes) -> ScopeRow: ...
    def append(self, scope: ScopeRow, new: Sequence[NewRecord]) -> None:
        """Append records with handles, keys and journal entries. Sets `ref` of each."""
        ...

    def journal_op(
        self, scope: ScopeRow, op: str, ref: int | None = None, *, who: str = "user", why: str = "",
        evidence: Sequence[str] = (), before: dict[str, Any] | None = None, body: int | None = None,
    ) -> None: ...  # fmt: skip
    def add_keys(self, scope: ScopeRow, ref: int, keys: Iterable[Key]) -> None: ...
    def blank_keys(
        self, scope: ScopeRow, ref: int, channel: str | None = None, space: str | None = None
    ) -> int: ...
    def set_state(self, scope: ScopeRow, ref: int, **changes: Any) -> dict[str, Any]:
        """Change a record's state; how it was before, for the journal."""
        ...

    def new_text(self, scope: ScopeRow, ref: int, text: str | None, payload: str | None) -> int:
        """Append another version of a record's content; its row. None keeps what is there."""
        ...

    def link(self, scope: ScopeRow, edge: EdgeRow) -> None: ...
    def link_all(
        self, scope: ScopeRow, source: int, kind: EdgeKind, targets: Iterable[int]
    ) -> None: ...
    def unlink(self, scope: ScopeRow, source: int, kind: EdgeKind, target: int) -> None: ...
    def credit(
        self, scope: ScopeRow, ref: int, *, shown: int, used: int, success: float, failure: float,
        strength: float | None,
    ) -> None: ...  # fmt: skip
    def keep_usage(self, scope: ScopeRow, ref: int, usage: Usage) -> None:
        """The ledger's line of a record, as it was elsewhere."""
        ...

    def set_slot(self, scope: ScopeRow, slot: Slot, who: str, why: str) -> Slot:
        """Another text for a slot. One with a version and a time, from elsewhere, keeps them."""
        ...

    def enqueue(
        self, scope: ScopeRow, kind: str, ref: int | None = None, until: int | None = None
    ) -> None: ...
    def done(self, scope: ScopeRow, task: int) -> bool:
        """Take a task off the queue; whether it was there."""
        ...

    def park(self, scope: ScopeRow, task: int, error: str | None) -> None: ...
    def purge(self, scope: ScopeRow, refs: Iterable[int], stale: Collection[int]) -> dict[str, int]:
        """Forget records; those in `stale` keep id and place. Counts of what went.

        Labels, keys, slots and reasons that name one of either, by record or turn id, go too.
        """
        ...

    def blank_orphans(self, scope: ScopeRow) -> int:
        """Blank live keys of records that are not there; how many."""
        ...

    def forget_unknown(self, scope: ScopeRow, turn: str) -> None: ...
    def erase(self, scope: ScopeRow) -> dict[str, int]: ...


@runtime_checkable
class Store(Protocol):
    """Where everything is kept: the only truth. Raises the StoreError family."""

    @property
    def path(self) -> str: ...
    @property
    def read_only(self) -> bool: ...
    @property
    def concurrent(self) -> bool:
        """Whether reads go on beside each other and beside a write; else they take turns."""
        ...

    @property
    def pending(self) -> bool:
        """Whether forgotten bytes may still lie in a log."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Bytes of the store, and of the log beside it."""
        ...

    @property
    def format(self) -> int:
        """The version of the format that the store is in, from 1 on."""
        ...

    def reading(self) -> AbstractContextManager[StoreReader]: ...
    def writing(self, now: datetime | None = None) -> AbstractContextManager[StoreWriter]: ...

    # Documents have an order: namespaces by when they came to hold a document, and in a namespace
    # documents by when they came. What is replaced keeps its place; what has expired has none.

    def document(
        self, reader: Any, scope: ScopeRow, namespace: tuple[str, ...], key: str
    ) -> Document | None: ...
    def documents(
        self, reader: Any, scope: ScopeRow, namespace: tuple[str, ...] | None = None, *,
        under: tuple[str, ...] = (), at: datetime | None = None,
    ) -> Iterator[Document]:  # fmt: skip
        """In their order: all of one exact namespace, all `under` one, or all of the scope.

        `at` leaves out what has expired by then.
        """
        ...

    def namespaces(
        self, reader: Any, scope: ScopeRow, *, at: datetime | None = None
    ) -> list[tuple[str, ...]]:
        """The namespaces that hold a document, in any order."""
        ...

    def put_document(self, writer: Any, scope: ScopeRow, document: Document) -> Document:
        """Store a document, at its `updated_at`; as stored, with the time of its first making."""
        ...

    def touch_document(
        self, writer: Any, scope: ScopeRow, namespace: tuple[str, ...], key: str, now: datetime
    ) -> bool:
        """Let a time to live that is not over begin anew; whether there was one."""
        ...

    def delete_document(
        self, writer: Any, scope: ScopeRow, namespace: tuple[str, ...], key: str
    ) -> bool: ...
    def sweep_documents(self, writer: Any, scope: ScopeRow, now: datetime) -> int:
        """Take what has expired away; how many."""
        ...

    def mark_pending(self) -> None: ...
    def settle(self, patience: float = 0.2) -> bool:
        """Take forgotten bytes out of the log; whether none are left. It raises nothing for it."""
        ...

    def check(self) -> list[Problem]: ...
    def compact(self) -> int: ...
    def backup(self, target: str, progress: Callable[[int, int], None] | None = None) -> None: ...
    def close(self) -> None: ...
