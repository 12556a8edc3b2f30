"""What the verbs answer with: receipts, hits, contexts, reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Self, overload

from stepwell.models.records import Record


class Noted(str):
    """A turn id with the reason why it stands in a receipt."""

    __slots__ = ("reason",)
    reason: str

    def __new__(cls, turn_id: str, reason: str) -> Self:
        noted = super().__new__(cls, turn_id)
        noted.reason = reason
        return noted

    def __repr__(self) -> str:
        return f"{str(self)!r} ({self.reason})"

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        return type(self), (str(self), self.reason)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What `remember` did: turn ids, given or generated, in the order of the call.

    `skipped` ids carry `.reason`: duplicate, conflict, forgotten, or what a screening plugin said.
    `degraded` ids are stored, but a key is missing until `consolidate`; `.reason` names the plugin.
    `notes` are remarks such as "naive time taken as UTC".
    """

    stored: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    skipped: tuple[Noted, ...] = ()
    degraded: tuple[Noted, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The one turn's id, stored or skipped. ValueError when there is more than one."""
        ids = (*self.stored, *self.skipped)
        if len(ids) != 1:
            raise ValueError(f"the receipt is of {len(ids)} turns")
        return str(ids[0])


@dataclass(frozen=True, slots=True)
class Hit:
    """One recalled record. `why` maps each channel to its share of the score.

    `span` is None when the record is quoted whole, else the characters of its text that were found.
    """

    record: Record
    score: float
    sources: tuple[str, ...]
    why: dict[str, float]
    span: tuple[int, int] | None = None

    @property
    def text(self) -> str:
        """The quoted passage: the whole text, or the found span of a long one."""
        return self.record.text if self.span is None else self.record.text[slice(*self.span)]

    @property
    def excerpt(self) -> bool:
        """Whether `text` is only a part of what was said."""
        return self.span is not None


@dataclass(frozen=True, slots=True, eq=False)
class Recall(Sequence[Hit]):
    """The answer of `recall`: hits, best first. `degraded` names plugins that failed on the way."""

    query: str
    hits: tuple[Hit, ...]
    degraded: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Hit]: ...
    def __getitem__(self, index: int | slice) -> Hit | Sequence[Hit]:
        return self.hits[index]

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    @property
    def shown(self) -> tuple[str, ...]:
        """The record ids that were shown."""
        return tuple(hit.record.id for hit in self.hits)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A hit that the context has no room for, and why."""

    record_id: str
    score: float
    tokens: int
    reason: str


@dataclass(frozen=True, slots=True)
class Context:
    """A text to put before a model: fenced, sourced, in time order, never above its budget."""

    text: str
    tokens: int
    budget: int
    hits: tuple[Hit, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    degraded: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """What `forget` or `erase` took out.

    `complete` is true only when the bytes have left the file and its write-ahead log. Otherwise
    they are blanked in the newest state of the file, and older bytes go at the next verb or at
    close.
    """

    turns: int = 0
    derived: int = 0
    stale: int = 0
    keys: int = 0
    edges: int = 0
    documents: int = 0
    complete: bool = True

    @property
    def pending(self) -> bool:
        """Whether bytes still wait to be taken out of the write-ahead log."""
        return not self.complete


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that `check` found: what, where, and what to do about it."""

    what: str
    where: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a longer work made: counts by name, parked tasks, problems.

    `notes` tell which calls rules have answered in a language model's place, and why.
    """

    counts: dict[str, int] = field(default_factory=dict)
    parked: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    finished: bool = True
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing was parked and no problem was found."""
        return not self.problems and not self.parked


@dataclass(frozen=True, slots=True)
class Stats:
    """What a scope holds, or a whole store: numbers alone, and times of storing.

    `records` counts those that take part by their kind ("episode" are the turns), `levels` the same
    by their level, `aside` those that do not, by their status. `waiting` and `parked` are tasks of
    consolidation, done later or failed; `forgotten` are turn ids that are refused.

    Of a store also: how many `scopes`, the `bytes` of its file and of its write-ahead log, the
    `format` of the file, a number that rises with its versions; and what it is open with: the names
    of the `embedder` (None where recall goes by words alone) and the `preset`, and the active
    `plugins`, each with the version of its distribution, None where that is not known.
    """

    records: dict[str, int] = field(default_factory=dict)
    aside: dict[str, int] = field(default_factory=dict)
    edges: int = 0
    slots: int = 0
    documents: int = 0
    waiting: int = 0
    parked: int = 0
    forgotten: int = 0
    first: datetime | None = None
    last: datetime | None = None
    scopes: int = 1
    bytes: int | None = None
    log_bytes: int | None = None
    levels: dict[int, int] = field(default_factory=dict)
    format: int | None = None
    embedder: str | None = None
    preset: str | None = None
    plugins: dict[str, str | None] = field(default_factory=dict)

    @property
    def turns(self) -> int:
        """How many turns take part."""
        return self.records.get("episode", 0)


@dataclass(frozen=True, slots=True)
class Done:
    """A verb that is over: what it was, where, how many seconds it took, what it came to.

    `scope` is empty for a verb of the whole memory. `counts` are the numbers of its answer: of
    `remember` what was stored and skipped, of `recall` the hits, and so on. `error` is the name of
    what it raised, if it did.
    """

    verb: str
    scope: tuple[str, ...]
    seconds: float
    counts: dict[str, int] = field(default_factory=dict)
    error: str | None = None


@dataclass(slots=True)
class Doing:
    """A verb under way: what it is, and where; `done` once it is over, None till then."""

    verb: str
    scope: tuple[str, ...]
    done: Done | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the journal: who changed a record, how, why, and on which evidence."""

    at: datetime
    op: str
    record_id: str | None
    who: str
    why: str = ""
    evidence: tuple[str, ...] = ()
    before: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Node:
    """A record in the tree of levels, with what it contains and the turns it rests on."""

    record: Record
    children: tuple[Node, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a record was, or was not, recalled for a query.

    `rank` counts from 1 among all records that took part; None when it took no part, and then
    `reason` says why. `above` are the records that stood above it, best first.
    """

    record_id: str
    query: str
    rank: int | None
    score: float
    why: dict[str, float]
    reason: str
    above: tuple[Hit, ...] = ()
    of: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """A keyed JSON value inside one scope.

    `ttl` is what it was given to live, in seconds. `index` says what of it a query is compared
    with: None for all of it, False for nothing, else the paths.
    """

    namespace: tuple[str, ...]
    key: str
    value: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None
    score: float | None = None
    ttl: float | None = None
    index: Literal[False] | tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """A value to be put under a key, in place of what is there; None takes the document away."""

    namespace: Sequence[str]
    key: str
    value: Mapping[str, Any] | None = None
    ttl: float | None = None
    index: Literal[False] | Sequence[str] | None = None
