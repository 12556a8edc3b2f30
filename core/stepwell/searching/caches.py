"""Caches over the store: one scope's columns and indexes, in memory, droppable at any time.

A cache is stamped with its scope's highest journal position. Whoever uses it reads that position in
the same transaction as the records of the answer, and catches up when it differs; so what another
process wrote or forgot is there, or gone, with the next verb.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from stepwell.contracts import (
    BoolArray,
    Index,
    IndexSpec,
    IntArray,
    ScopeRow,
    StoreReader,
    Words,
)  # fmt: skip
from stepwell.mechanisms.lining import extended, longer
from stepwell.mechanisms.shortlisting import Bench
from stepwell.searching.dense import UNITS, VECTORS, Dense, added, removed

#: "Unknown" among times in microseconds.
NEVER = np.iinfo(np.int64).min
WORDS = "words"
#: How many sessions may go on at once before it is cheaper to put everything into order anew.
_FEW = 32


@dataclass(frozen=True, slots=True)
class Flavour:
    """Which records a cache holds: of some statuses (codes), of level 0 or of those above it."""

    statuses: frozenset[int]
    episodes: bool = True


class ScopeCache:
    """Columns over records, by *place* (ascending by ref), and indexes over their keys.

    A *unit* is one key of the words channel: a passage of a record, in most cases the whole of it.
    """

    def __init__(
        self, flavour: Flavour, open_index: Callable[[IndexSpec], Index], words: str
    ) -> None:
        self.flavour = flavour
        self.stamp = -1
        self.purges = -1
        self.words_space = words
        self._open_index = open_index
        index = open_index(IndexSpec(WORDS, words))
        self.words: Words = index  # type: ignore[assignment]  # the contract of this kind of index
        #: The vectors by space. A space is read when somebody first asks for it.
        self.dense: dict[str, Dense] = {}
        #: Records whose keys in the store are not those of the text that is seen here.
        self.rewritten: frozenset[int] = frozenset()
        self.refs: IntArray = np.empty(0, np.int64)
        self.ids: list[bytes] = []
        self.columns: dict[str, Any] = {name: np.empty(0, kind) for name, kind in _COLUMNS.items()}
        self.sessions: dict[str | None, int] = {None: -1}
        self.actors: dict[str | None, int] = {None: -1}
        self.units: dict[str, IntArray] = {n: np.empty(0, np.int64) for n in UNITS}
        self.previous: IntArray = np.empty(0, np.int64)
        self.memo: dict[Any, Any] = {}
        self.bench = Bench()

    def __len__(self) -> int:
        return len(self.refs)

    @property
    def nbytes(self) -> int:
        """Roughly how much memory it holds."""
        arrays = (self.refs, self.previous, *self.columns.values(), *self.units.values())
        held: int = sum(array.nbytes for array in arrays)
        dense = sum(vectors.nbytes for vectors in self.dense.values())
        return held + 80 * len(self.ids) + self.words.nbytes + dense + self.bench.nbytes

    def place(self, ref: int) -> int | None:
        """The place of a ref; None when it is not here."""
        at = int(np.searchsorted(self.refs, ref))
        return at if at < len(self.refs) and self.refs[at] == ref else None

    def dense_in(self, space: str, reader: StoreReader, scope: ScopeRow) -> Dense:
        """The vectors in a space, as of the moment this cache stands at. Raises BadVectors."""
        held = self.dense.get(space)
        if held is None:
            held = Dense(space, self._open_index)
            held.add(self._ours(reader.keys(scope, VECTORS, space)))
            self.dense[space] = held
        return held

    def _ours(self, keys: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Rows of keys whose records are here, with the text that the keys were made of."""
        here = set(self.refs.tolist()) - self.rewritten
        return [key for key in keys if key[1] in here]

    # catching up ------------------------------------------------------------------------------

    def catch_up(self, reader: StoreReader, scope: ScopeRow) -> None:
        """Bring everything to the moment of `reader`."""
        if self.stamp == scope.head and self.purges == scope.purges:
            return
        if self.stamp < 0:
            self._take(reader, scope, None)
        else:
            touched = reader.changed(scope, self.stamp)
            newest = int(self.refs[-1]) if len(self.refs) else 0
            if touched and touched[0] <= newest:
                self._drop([ref for ref in touched if ref <= newest])
            self._take(reader, scope, touched)
        self.stamp, self.purges = scope.head, scope.purges

    def _take(self, reader: StoreReader, scope: ScopeRow, refs: Sequence[int] | None) -> None:
        rows = [row for row in reader.entries(scope, refs) if self._wanted(row)]
        if not rows:
            return
        keep = None if refs is None else [row[0] for row in rows]
        words = reader.keys(scope, WORDS, self.words_space, keep)
        vectors = {space: reader.keys(scope, VECTORS, space, keep) for space in self.dense}
        self.load(rows, words, vectors)

    def _wanted(self, row: tuple[Any, ...]) -> bool:
        return (row[2] == 0) is self.flavour.episodes and row[4] in self.flavour.statuses

    def load(
        self,
        rows: list[tuple[Any, ...]],
        words: Sequence[tuple[Any, ...]],
        vectors: Mapping[str, Sequence[tuple[Any, ...]]],
    ) -> None:
        """Take in rows of entries and of keys, vectors by space (see StoreReader)."""
        fresh = list(zip(*rows, strict=True))
        refs = np.array(fresh[0], np.int64)
        appended = not len(self.refs) or int(refs[0]) > int(self.refs[-1])
        new: dict[str, Any] = {
            "level": np.array(fresh[2], np.int16),
            "trust": np.array(fresh[5], np.float32),
            "said": _times(fresh[6]),
            "stored": np.array(fresh[7], np.int64),
            "valid_from": _times(fresh[8]),
            "valid_to": _times(fresh[9]),
            "session": _codes(fresh[10], self.sessions),
            "actor": _codes(fresh[11], self.actors),
        }
        places, units = len(self.refs), len(self.units["kid"])
        self.refs = extended(self.refs, refs)
        self.ids += fresh[1]
        for name, column in new.items():
            self.columns[name] = extended(self.columns[name], column)
        if not appended:
            order = np.argsort(self.refs, kind="stable")
            self.refs = self.refs[order]
            self.ids = [self.ids[i] for i in order]
            self.columns = {name: column[order] for name, column in self.columns.items()}
        here = set(fresh[0])
        held = [key for key in words if key[1] in here]
        newest = int(self.units["kid"][-1]) if units else -1
        self.units = added(self.words, self.units, held, np.dtype("<u8"))
        appended &= all(key[0] > newest for key in held)
        for space, keys in vectors.items():
            if space not in self.dense:
                self.dense[space] = Dense(space, self._open_index)
            self.dense[space].add([key for key in keys if key[1] in here])
        if not (appended and places and self._append(places, units)):
            self._order()

    def _drop(self, refs: Sequence[int]) -> None:
        gone = np.array(refs, np.int64)
        self.units = removed(self.words, self.units, gone)
        for vectors in self.dense.values():
            vectors.remove(gone)
        keep = ~np.isin(self.refs, gone)
        self.refs = self.refs[keep]
        self.ids = [raw for raw, kept in zip(self.ids, keep, strict=True) if kept]
        self.columns = {name: column[keep] for name, column in self.columns.items()}
        self._order()

    def _order(self) -> None:
        """Which unit comes before which: by arrival within each session."""
        units = self.units
        self.unit_place: IntArray = np.searchsorted(self.refs, units["ref"]).astype(np.int64)
        self.unit_session: IntArray = self.columns["session"][self.unit_place].astype(np.int64)
        self.previous = preceding(self.unit_session, units["ref"], units["first"])
        self.memo = {}

    def _append(self, places: int, units: int) -> bool:
        """As `_order`, where all that was there stays as it is; False if that is not worth while.

        Who comes last in an order pays for oneself: a turn more of very many costs next to nothing.
        """
        session, ref, first = self.columns["session"], self.units["ref"], self.units["first"]
        fresh = session[places:]
        if len(np.unique(fresh)) > _FEW:
            return False
        at = np.searchsorted(self.refs, ref[units:]).astype(np.int64)
        self.unit_place = extended(self.unit_place, at)
        self.unit_session = extended(self.unit_session, session[at].astype(np.int64))
        late = _behind(self.unit_session, ref, first, units)
        self.previous = extended(self.previous, late)
        memo, self.memo = self.memo, {}
        if "lines" in memo:
            said = self.columns["said"][self.unit_place]
            self.memo["lines"] = longer(memo["lines"], late, said)
        if "place lines" in memo:
            late = _behind(session, self.refs, np.zeros_like(self.refs), places)
            self.memo["place lines"] = longer(memo["place lines"], late, self.columns["said"])
        return True


_COLUMNS: dict[str, Any] = {
    "level": np.int16, "trust": np.float32, "said": np.int64, "stored": np.int64,
    "valid_from": np.int64, "valid_to": np.int64, "session": np.int64, "actor": np.int64,
}  # fmt: skip


def preceding(
    session: IntArray, ref: IntArray, first: IntArray, seen: BoolArray | None = None
) -> IntArray:
    """The position of the unit before each one in its session; -1 for none; `seen` ones only."""
    before = np.full(len(ref), -1, np.int64)
    order = np.lexsort((first, ref, session))
    if seen is not None:
        order = order[seen[order]]
    if len(order) > 1:
        same = session[order[1:]] == session[order[:-1]]
        before[order[1:][same]] = order[:-1][same]
    return before


def _behind(session: IntArray, ref: IntArray, first: IntArray, size: int) -> IntArray:
    """As `preceding`, for those from `size` on alone, all of which come after those before it."""
    before = preceding(session[size:], ref[size:], first[size:])
    heads = np.flatnonzero(before < 0)
    before[before >= 0] += size
    for head in heads.tolist():
        same = np.flatnonzero(session[:size] == session[size + head])
        if len(same):
            before[head] = same[np.lexsort((first[same], ref[same]))[-1]]
    return before


def _times(values: Sequence[int | None]) -> IntArray:
    if None in values:
        return np.array([NEVER if v is None else v for v in values], np.int64)
    return np.array(values, np.int64)


def _codes(names: Sequence[str | None], known: dict[str | None, int]) -> IntArray:
    codes = np.empty(len(names), np.int64)
    for i, name in enumerate(names):
        code = known.get(name)
        if code is None:
            code = known[name] = len(known) - 1
        codes[i] = code
    return codes


class Caches:
    """The caches of one Memory, least recently used out first when above `limit` bytes."""

    def __init__(
        self, open_index: Callable[[IndexSpec], Index], words: str, limit: int = 512 * 1024 * 1024
    ) -> None:
        self._open_index = open_index
        self._words = words
        self._limit = limit
        self._held: OrderedDict[tuple[int, Flavour], ScopeCache] = OrderedDict()
        self._sizes: dict[tuple[int, Flavour], int] = {}
        self._total = 0
        self._lock = threading.Lock()
        # One lock for all caches of a scope: whoever holds one of them may ask for another.
        # Locks that nobody uses go: there may be very many scopes.
        self._scopes: WeakValueDictionary[int, threading.RLock] = WeakValueDictionary()

    def fresh(self, flavour: Flavour) -> ScopeCache:
        """An empty cache that is not held: for views of another time."""
        return ScopeCache(flavour, self._open_index, self._words)

    @contextmanager
    def use(self, scope: int, flavour: Flavour) -> Iterator[ScopeCache]:
        """A scope's cache, locked. The caller catches it up in its own read transaction."""
        with self._lock:
            cache = self._held.get((scope, flavour))
            if cache is None:
                cache = self._held[scope, flavour] = self.fresh(flavour)
            self._held.move_to_end((scope, flavour))
            lock = self._scopes.get(scope)
            if lock is None:
                lock = self._scopes[scope] = threading.RLock()
        try:
            with lock:
                yield cache
        except BaseException:
            # Half caught up is worth nothing; the store has it all.
            self.drop(scope)
            raise
        self._bound((scope, flavour))

    def _bound(self, used: tuple[int, Flavour]) -> None:
        with self._lock:
            cache = self._held.get(used)
            if cache is None:
                return
            size = cache.nbytes
            self._total += size - self._sizes.get(used, 0)
            self._sizes[used] = size
            while self._total > self._limit and len(self._held) > 1:
                self._drop(next(iter(self._held)))

    def _drop(self, key: tuple[int, Flavour]) -> None:
        self._held.pop(key, None)
        self._total -= self._sizes.pop(key, 0)

    def renew(self) -> None:
        """Begin anew in a forked process, without touching the parent's locks."""
        self._held = OrderedDict()
        self._sizes, self._total = {}, 0
        self._lock = threading.Lock()
        self._scopes = WeakValueDictionary()

    def drop(self, scope: int | None = None) -> None:
        """Drop the caches of one scope, or all of them."""
        with self._lock:
            for key in [key for key in self._held if scope is None or key[0] == scope]:
                self._drop(key)

    @property
    def nbytes(self) -> int:
        """Roughly how much memory all caches hold."""
        with self._lock:
            return self._total
