"""A read-only look at one scope, pinned to one moment: what policies are given.

A cache's lock always comes before the read transaction: then the cache is never newer than what the
transaction sees, and a store in memory, whose transactions take turns, cannot deadlock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Self

import numpy as np

from stepwell.contracts import (
    STATUS_CODES,
    BoolArray,
    Candidates,
    FloatArray,
    ScopeRow,
    Store,
    StoreReader,
)  # fmt: skip
from stepwell.filters import Filter, names_field
from stepwell.identity import id_bytes
from stepwell.mechanisms.timespans import micros, within
from stepwell.models import Edge, EdgeKind, Hit, Key, Record, Slot, Status, Usage
from stepwell.searching.board import Board
from stepwell.searching.caches import NEVER, Caches, Flavour, ScopeCache
from stepwell.searching.dense import VECTORS, Dense
from stepwell.searching.earlier import fill_as_known
from stepwell.searching.models import GuardedModels
from stepwell.searching.relations import linked, mean_vectors, named
from stepwell.searching.short import QUICK, WORDY, Narrow
from stepwell.searching.side import Side

ACTIVE = frozenset({STATUS_CODES[Status.ACTIVE]})
HELD = ACTIVE | {STATUS_CODES[Status.SUPERSEDED]}
ALL = frozenset(STATUS_CODES.values())


@dataclass(frozen=True, slots=True)
class Moment:
    """A time to look back to: what was said by `at` and held then, as far as known at `known`."""

    at: datetime
    known: datetime | None = None


class ScopeView:
    """See stepwell.contracts.View. Opens what it needs on first use, until its block ends.

    `told` says that the caller gave `now`, and did not leave it to the clock. `pause` is called
    before reading, where work that nobody waits for may stand still.
    """

    def __init__(
        self, store: Store, path: tuple[str, ...], caches: Caches, models: GuardedModels,
        now: datetime, *, moment: Moment | None = None, statuses: frozenset[int] | None = None,
        min_trust: float = 0.0, keys_of: Callable[[Record], Sequence[Key]] | None = None,
        told: bool = False, pause: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self.scope = path
        self.now = now
        self.told = told
        self.models = models.pinned(self)
        self.moment = moment
        self.min_trust = min_trust
        self._store = store
        self._caches = caches
        self._keys_of = keys_of
        self._pause = pause
        self.statuses = statuses or (ACTIVE if moment is None else HELD)
        self._locks = ExitStack()
        self._reading = ExitStack()
        self._reader: StoreReader | None = None
        self._row: ScopeRow | None = None
        self._sides: dict[bool, Side] = {}
        self._refs: dict[str, int] = {}  # of hits: they are asked for again and again
        self._focus: bool | None = None  # which side is searched, while one is
        self._narrow: Narrow | None = None
        #: How often the scope had forgotten something when this view began to read it.
        self.purges: int | None = None
        self._overlay: dict[int, dict[str, Any]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        """End the read transaction and let the caches go. The store sees an error, to name it."""
        self._reader = None
        try:
            self._reading.__exit__(kind, error, trace)
        except BaseException as named:
            self._locks.__exit__(type(named), named, named.__traceback__)
            raise
        self._locks.__exit__(kind, error, trace)

    def let_go(self) -> None:
        """End the read transaction and let the caches go: what is read next may be of later.

        Within a search nothing is let go: its answers are places in what the caches hold.
        """
        if self._focus is not None:
            return
        self._reader = None
        self._sides, self._refs = {}, {}
        self._reading.close()
        self._locks.close()

    # what is there ----------------------------------------------------------------------------

    @property
    def reader(self) -> StoreReader:
        """The read transaction, begun on first use."""
        if self._pause is not None and not self._sides:  # a side's lock would keep others waiting
            self._pause()
        if self._reader is None:
            self._reader = self._reading.enter_context(self._store.reading())
            self._row = self._reader.scope_of(self.scope)
            if self._row is not None and self.purges is None:
                self.purges = self._row.purges
        return self._reader

    @property
    def row(self) -> ScopeRow | None:
        """The scope as this moment sees it; None when nothing is stored there."""
        _ = self.reader
        return self._row

    def side(self, episodes: bool = True) -> Side | None:
        """The searchable records of level 0, or of those above; None when nothing is stored."""
        if episodes in self._sides:
            return self._sides[episodes]
        if self.moment is not None and self.moment.known is not None:
            row = self.row
            if row is None:
                return None
            cache = self._as_known(row, self.moment.known, episodes)
        else:
            row = self.row
            if row is None:
                return None
            # The lock before the transaction: what is open ends, and is begun again after it.
            self._reading.close()
            self._reader = None
            flavour = Flavour(self.statuses, episodes)
            cache = self._locks.enter_context(self._caches.use(row.number, flavour))
            row = self.row
            if row is None:
                return None
            cache.catch_up(self.reader, row)
        seen = self._visible(cache)
        board = Board(
            cache, seen, self.now, self.models, partial(self._dense, cache), told=self.told
        )
        side = self._sides[episodes] = Side(cache, seen, board)
        return side

    def _dense(self, cache: ScopeCache, space: str) -> Dense:
        """The vectors of a cache in a space, of this view's moment."""
        row = self.row
        assert row is not None  # noqa: S101 - there is no cache of nothing
        return cache.dense_in(space, self.reader, row)

    def _visible(self, cache: ScopeCache) -> BoolArray | None:
        """Which places take part at all; None for all of them."""
        columns = cache.columns
        seen: BoolArray | None = None
        if self.min_trust > 0:
            seen = np.asarray(columns["trust"] >= np.float32(self.min_trust))
        if self.moment is not None:
            at = micros(self.moment.at)
            said = np.where(columns["said"] == NEVER, columns["stored"], columns["said"])
            held = (columns["valid_to"] == NEVER) | (columns["valid_to"] > at)
            by_then = (said <= at) & (columns["valid_from"] <= at) & held
            seen = by_then if seen is None else seen & by_then
        return None if seen is None or bool(seen.all()) else seen

    def _as_known(self, row: ScopeRow, known: datetime, episodes: bool) -> ScopeCache:
        """A cache of its own, as the store was at an earlier time; what is forgotten stays gone."""
        limit = micros(known)
        self._overlay = self.reader.overlay(row, limit)
        cache = self._caches.fresh(Flavour(HELD, episodes))
        fill_as_known(
            cache, self.reader, row, limit, self._overlay, self._keys_of, self.models.space
        )
        return cache

    # records ----------------------------------------------------------------------------------

    def load(self, refs: Sequence[int]) -> list[tuple[int, Record]]:
        """Records with the text that this view's moment knew."""
        row = self.row
        if row is None:
            return []
        loaded = self.reader.load(row, refs)
        if not self._overlay:
            return loaded
        shown = []
        for ref, record in loaded:
            before = self._overlay.get(ref, {})
            version = (
                self.reader.version(row, ref, before["content"]) if "content" in before else None
            )
            shown.append((ref, version or record))
        return shown

    def get(self, record_or_turn_id: str) -> Record | None:
        """A record as it is at this view's moment; None when it is not there."""
        ref = self._ref(record_or_turn_id)
        loaded = [] if ref is None else self.load(self._shown([ref]))
        return loaded[0][1] if loaded else None

    def _shown(self, refs: list[int]) -> list[int]:
        """Those of some records that this moment, and the trust asked for, let through."""
        if self.moment is None and self.min_trust <= 0:
            return refs
        sides = [side for side in (self.side(True), self.side(False)) if side is not None]
        return [ref for ref in refs if any(side.shows(ref) for side in sides)]

    def records(
        self, where: Filter | None = None, after: str | None = None, limit: int = 100
    ) -> list[Record]:
        """Records in order of arrival, after a record id: active ones, if no status is named."""
        row = self.row
        if row is None:
            return []
        start = 0 if after is None else self._ref(after) or 0
        narrowed = self.moment is not None or self.min_trust > 0
        most = 2**62 if narrowed else limit
        active = not names_field(where, "status")
        refs = self._shown(self.reader.select(row, where, start, most, active=active))
        return [record for _, record in self.load(refs[:limit])]

    def neighbours(self, record_id: str, before: int = 1, after: int = 1) -> list[Record]:
        """The records said around it in its session, in order, itself left out."""
        side, place = self.side(), self.place(record_id)
        if side is None or place is None:
            return []
        session = side.cache.columns["session"]
        same = np.flatnonzero(session == session[place])
        if side.seen is not None:
            same = same[side.seen[same]]
        at = int(np.searchsorted(same, place))
        around = [*same[max(0, at - before) : at], *same[at + 1 : at + 1 + after]]
        return [record for _, record in self.load([int(side.cache.refs[p]) for p in around])]

    def edges(self, record_id: str, kind: EdgeKind | None = None) -> list[Edge]:
        """Edges out of and into a record."""
        row, ref = self.row, self._ref(record_id)
        if row is None or ref is None:
            return []
        found = self.reader.edges(row, ref, kind)
        ends = sorted({e.source for e in found} | {e.target for e in found})
        return named(found, {r: record.id for r, record in self.load(ends)})

    def links(
        self, record_ids: Sequence[str], kind: EdgeKind, *, into: bool = False
    ) -> dict[str, tuple[Edge, ...]]:
        """Edges of one kind out of each of some records, or into them; unknown ids are left out."""
        row, refs = self.row, self._refs
        return {} if row is None else linked(self.reader, row, record_ids, refs, kind, into=into)

    def vectors(self, record_ids: Sequence[str]) -> FloatArray:
        """The normalised mean of each record's vectors in the embedder's space, (n, dim)."""
        row = self.row
        return mean_vectors(self.reader, row, record_ids, self.models.space)

    def keys(self, record: Record) -> tuple[Key, ...]:
        """The keys that the active policies make of a record; none if one of them fails."""
        return () if self._keys_of is None else tuple(self._keys_of(record))

    def sources(self, record_id: str) -> tuple[str, ...]:
        """The turn ids it rests on, transitively; its own for a turn."""
        row, ref = self.row, self._ref(record_id)
        if row is None or ref is None:
            return ()
        roots = self.reader.load(row, self.reader.roots(row, ref))
        return tuple(record.turn for _, record in roots if record.turn is not None)

    def slot(self, name: str) -> Slot:
        """A slot's text as it is now."""
        row = self.row
        return Slot(name=name) if row is None else self.reader.slot(row, name)

    def usage(self, record_id: str) -> Usage:
        """The ledger's line of a record."""
        row, ref = self.row, self._ref(record_id)
        return Usage() if row is None or ref is None else self.reader.usage(row, ref)

    @contextmanager
    def focused(self, episodes: bool, narrow: Narrow | None = None) -> Iterator[None]:
        """Within the block, places and candidates are those of level 0, or of the levels above.

        Where there are very many, candidates are those of a shortlist if `narrow` says so.
        """
        before = self._focus, self._narrow
        self._focus, self._narrow = episodes, narrow
        try:
            yield
        finally:
            self._focus, self._narrow = before

    # searching --------------------------------------------------------------------------------

    def _ref(self, record_id: str) -> int | None:
        """Where a record lies; None where it does not."""
        row, ref = self.row, self._refs.get(record_id)
        if ref is None and row is not None:
            ref = self.reader.find(row, [record_id]).get(record_id)
        return ref

    def place(self, record_id: str) -> int | None:
        """A record's place in this view, as used in Candidates."""
        ref = self._ref(record_id)
        side = self.side(self._focus is not False)
        return None if ref is None or side is None else side.cache.place(ref)

    def candidates(self, channel: str, query: str, limit: int | None = None) -> Candidates:
        """What a channel finds for a text; best first where a limit is given, else by place."""
        side = self.side(self._focus is not False)
        if side is None:
            return Candidates(channel, np.empty(0, np.int64), np.empty(0, np.float32))
        narrow = self._narrow
        if narrow is None and limit is not None and limit <= QUICK.wanted and channel in WORDY:
            narrow = QUICK
        return side.candidates(channel, query, limit, narrow)

    def nearest(self, space: str, vector: FloatArray, limit: int | None = None) -> Candidates:
        """Records by how far their vectors in a space stand out towards a normalised vector."""
        side = self.side(self._focus is not False)
        if side is None or not len(side):
            return Candidates(VECTORS, np.empty(0, np.int64), np.empty(0, np.float32))
        return side.nearest(space, vector, limit)

    def holds(self, space: str) -> bool:
        """Whether any record that may be searched has a vector in a space."""
        side = self.side(self._focus is not False)
        return side is not None and len(side) > 0 and len(side.board.dense(space)) > 0

    def matching(
        self, side: Side, where: Filter | None, levels: Sequence[int],
        spans: Sequence[tuple[datetime, datetime]] = (),
    ) -> BoolArray | None:  # fmt: skip
        """Which places a filter, levels and times of saying let through; None for all."""
        through: BoolArray | None = None
        if spans:
            through = within(side.cache.columns["said"], spans) > 0
        if not side.cache.flavour.episodes:
            fitting = np.isin(side.cache.columns["level"], np.array(list(levels)))
            through = fitting if through is None else through & fitting
        row = self.row
        if where is not None and row is not None:
            refs = self.reader.select(row, where, 0, 2**62, active=self.statuses == ACTIVE)
            named = np.isin(side.cache.refs, np.array(refs, np.int64))
            through = named if through is None else through & named
        return through

    def hits(
        self, side: Side, places: Sequence[int], scores: Sequence[float],
        why: Sequence[dict[str, float]], spans: Sequence[tuple[int, int] | None],
    ) -> list[Hit]:  # fmt: skip
        """Hits with the text as the store holds it now, fetched with the scope in the WHERE."""
        refs = [int(side.cache.refs[p]) for p in places]
        loaded = dict(self.load(refs))
        made = []
        for ref, score, reasons, span in zip(refs, scores, why, spans, strict=True):
            record = loaded.get(ref)
            if record is None:
                continue
            self._refs[record.id] = ref
            sources = (record.turn,) if record.turn is not None else self.sources(record.id)
            within = span is None or span[0] < span[1] <= len(record.text)
            made.append(Hit(record, score, sources, reasons, span if within else None))
        return made

    def place_of_id(self, side: Side, record_id: str) -> int | None:
        """The place of a record id among a side's records, for answers of foreign policies."""
        raw = id_bytes(record_id)
        if raw is None:
            return None
        if "places" not in side.cache.memo:
            side.cache.memo["places"] = {known: i for i, known in enumerate(side.cache.ids)}
        found: int | None = side.cache.memo["places"].get(raw)
        return found
