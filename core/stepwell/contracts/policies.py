"""What policies are given and what they answer with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from stepwell.contracts.parts import Embedder, FloatArray, IntArray, LanguageModel
from stepwell.filters import Filter
from stepwell.models import (
    Annotation,
    Edge,
    EdgeKind,
    Fact,
    Hit,
    Key,
    LeftOut,
    Parsed,
    Record,
    Relation,
    Slot,
    Summary,
    Turn,
    Usage,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Query:
    """A question, and what may answer it. `found` are the hits of earlier rounds.

    `budget` are the tokens of the context that is asked for, None for a recall. `free` says that
    any level may answer: a context for which the caller has named none. Records that rest on the
    turns of `without` alone are left out: their reader sees these already.
    """

    text: str
    k: int = 10
    now: datetime | None = None
    where: Filter | None = None
    levels: tuple[int, ...] = (0,)
    min_trust: float = 0.0
    min_score: float = 0.0
    role: str | None = None
    task: str | None = None
    round: int = 0
    found: tuple[Hit, ...] = ()
    budget: int | None = None
    free: bool = False
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Plan:
    """How to search: the weight of each channel, and what the question says beyond its words.

    A channel without a weight is weighed as 1. Where there are `spans`, only what was said in one
    of them is found. The built-in channels search for `queries` in place of the question, where
    there are any, and count the best; `parts`, what the question is made of, are searched beside it
    and count less. `stop` ends the search after this round; `enough`, from the
    second round on, before it: what was found is the answer. `spread`, from 0 to 1, is how much
    less counts what was said beside a hit: for questions that want a list. Refining policies see
    `look` hits at least, more where the plan does not say how many. `instead` names channels
    that take the place of others: {"vectors": "sentences"} means that where a record has a score of
    "sentences", be it 0, that of "vectors" is not counted, and elsewhere counts as if it were one.
    """

    query: Query
    weights: Mapping[str, float] = field(default_factory=dict)
    spans: tuple[tuple[datetime, datetime], ...] = ()
    queries: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    role: str | None = None
    task: str | None = None
    stop: bool = True
    enough: bool = False
    spread: float = 0.0
    look: int | None = None
    instead: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidates:
    """What one channel found: places of records in the view, and their scores in [0, 1].

    `spans` (n, 2) are the characters of each record's text that were found; -1 means the whole.
    """

    channel: str
    places: IntArray
    scores: FloatArray
    spans: IntArray | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of a context: a hit, and the text to show for it when that is not the hit's own."""

    hit: Hit
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Packing:
    """A context before it is written out: blocks in the order of showing, and what was left out."""

    blocks: tuple[Block, ...]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """A screening plugin's polite no to a turn. `reason` must not quote the turn."""

    turn: Turn
    reason: str


@dataclass(frozen=True, slots=True)
class Skip:
    """A reconciling plugin's no to a candidate op."""

    reason: str


@dataclass(frozen=True, slots=True)
class Event:
    """What `observe` is told: shown, cited, feedback, outcome or tick, and of which records.

    An outcome is that of the `task` of this record id, in which the records were shown. If it takes
    the place of one that was said of them before, that is `was`; they are not told of twice.
    """

    name: str
    record_ids: tuple[str, ...] = ()
    outcome: float | None = None
    at: datetime | None = None
    task: str | None = None
    was: float | None = None


class Models(Protocol):
    """The only way from a policy to an embedder or a language model."""

    @property
    def embedder(self) -> Embedder | None: ...
    @property
    def language_model(self) -> LanguageModel | None: ...
    @property
    def space(self) -> str | None:
        """The name of the vector space, or None without an embedder."""
        ...

    def embed(self, text: str, *, query: bool = False) -> FloatArray:
        """One normalised vector. Texts of one call to `remember_many` are embedded together.

        Raises BadVectors, or whatever the embedder raises; there must be an embedder.
        """
        ...

    # Typed calls. Each has an answer without a language model, made of words and vectors, which is
    # also the answer when the model fails, times out, or says what is no such answer twice. Texts
    # are quoted to the model as data. While it thinks, the view lets go of what it read: what is
    # read after it may be of a later moment.

    def facts(self, texts: Sequence[str], *, known: Sequence[str] = ()) -> tuple[Fact, ...]:
        """Statements that stand by themselves, in order of their texts. `known` is context."""
        ...

    def annotate(self, text: str) -> Annotation:
        """What a text is about."""
        ...

    def summarize(self, texts: Sequence[str], *, tokens: int = 64, before: str = "") -> Summary:
        """The texts in at most `tokens` tokens, going on from an earlier summary where given."""
        ...

    def relate(self, newer: str, older: Sequence[str]) -> tuple[Relation, ...]:
        """How a statement stands to each of several older ones, in their order."""
        ...

    def same_topic(self, one: str, other: str) -> bool:
        """Whether two texts go on about the same thing."""
        ...

    def parse_query(self, text: str) -> Parsed:
        """What a question asks for."""
        ...

    def next_query(self, question: str, found: Sequence[str]) -> str | None:
        """What to search for next, given what was found; None when that is enough."""
        ...

    def merge_profile(self, profile: str, facts: Sequence[str], *, tokens: int = 256) -> str:
        """A profile brought up to date with newer facts, in at most `tokens` tokens."""
        ...


class View(Protocol):
    """A read-only look at one scope, pinned to one moment. Policies see nothing else."""

    @property
    def scope(self) -> tuple[str, ...]: ...
    @property
    def now(self) -> datetime: ...
    @property
    def models(self) -> Models: ...
    def get(self, record_or_turn_id: str) -> Record | None:
        """A record as it is now; None when unknown, forgotten or of another scope."""
        ...

    def records(
        self, where: Filter | None = None, after: str | None = None, limit: int = 100
    ) -> list[Record]:
        """Records in order of arrival, after a record id: active ones, if no status is named."""
        ...

    def neighbours(self, record_id: str, before: int = 1, after: int = 1) -> list[Record]:
        """The records said around it in its session, in order, itself left out."""
        ...

    def edges(self, record_id: str, kind: EdgeKind | None = None) -> list[Edge]:
        """Edges out of and into a record."""
        ...

    def links(
        self, record_ids: Sequence[str], kind: EdgeKind, *, into: bool = False
    ) -> dict[str, tuple[Edge, ...]]:
        """Edges of one kind out of each of some records, or into them; unknown ids are left out.

        `links(ids, EdgeKind.CONTAINS)` are the members of groups, with `into` the groups of
        members. Edges from and to hidden or stale records are told of, too.
        """
        ...

    def vectors(self, record_ids: Sequence[str]) -> FloatArray:
        """The normalised mean of each record's vectors in the embedder's space, (n, dim).

        A row of zeros for a record that has none; shape (n, 0) without an embedder.
        """
        ...

    def keys(self, record: Record) -> tuple[Key, ...]:
        """The keys that the active policies make of a record, such as one about to be added."""
        ...

    def sources(self, record_id: str) -> tuple[str, ...]:
        """The turn ids it rests on, transitively; its own for a turn."""
        ...

    def slot(self, name: str) -> Slot: ...
    def usage(self, record_id: str) -> Usage: ...
    def candidates(self, channel: str, query: str, limit: int | None = None) -> Candidates:
        """What a channel finds for a text, best first. Unknown channels find nothing."""
        ...

    def nearest(self, space: str, vector: FloatArray, limit: int | None = None) -> Candidates:
        """Records by their vectors in a space, such as a second embedder's; `vector` is normalised.

        A score is how far the cosine stands above the mean of all, in [0, 1]. All records with a
        vector there are told of, those at the mean and below it with 0. Raises BadVectors for a
        vector of another dimension.
        """
        ...

    def holds(self, space: str) -> bool:
        """Whether any record has a vector in a space: if not, there is no need for a question's."""
        ...

    def place(self, record_id: str) -> int | None:
        """A record's place in this view, as used in Candidates."""
        ...
