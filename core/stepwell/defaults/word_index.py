"""The lexical cache of one scope: which units hold which terms, in memory.

Most of it is one block of arrays, sorted by term: cheap to read, small, dear to change. What is
added goes to a tail, a dict, that is joined to the block when it has grown. Nothing depends on the
way there: after any additions and removals the answers equal those of an index made of what is
left.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt

from stepwell.mechanisms import scoring

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
TermArray = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int32]

#: The tail is joined to the block above this many units, or above an eighth of the block.
TAIL: Final = 2048


@dataclass(frozen=True, slots=True)
class _Block:
    """Postings by term: those of vocabulary[i] are positions[first[i]:first[i+1]], ascending."""

    vocabulary: TermArray
    first: IntArray
    positions: Positions
    counts: FloatArray

    @property
    def nbytes(self) -> int:
        arrays = (self.vocabulary, self.first, self.positions, self.counts)
        return sum(a.nbytes for a in arrays)


_EMPTY: Final = _Block(
    np.empty(0, np.uint64), np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32)
)
_NO_POSTINGS: Final = (_EMPTY.positions, _EMPTY.counts)


class WordIndex:
    """Units and their terms, by *position*: the place of a unit's id among all ids, ascending.

    Not safe for several threads. Arrays that come back are not to be written to, and are those of
    the moment: positions move when units are removed.
    """

    def __init__(self) -> None:
        self._ids = np.empty(0, np.int64)
        self._lengths = np.empty(0, np.int32)
        self._size = 0
        self._block = _EMPTY
        self._joined = 0  # units in the block; the others are in the tail
        # Term to position and count, turn by turn.
        self._tail: dict[int, array[int]] = {}
        self._tail_postings = 0

    def __len__(self) -> int:
        return self._size

    @property
    def ids(self) -> IntArray:
        """The ids of all units, ascending."""
        return self._ids[: self._size]

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        """How many terms each unit has."""
        return self._lengths[: self._size]

    @property
    def nbytes(self) -> int:
        """Roughly how much memory it holds."""
        tail = 180 * len(self._tail) + 18 * self._tail_postings
        return self._ids.nbytes + self._lengths.nbytes + self._block.nbytes + tail

    def add(self, ids: IntArray, bodies: Sequence[TermArray]) -> None:
        """Take in units under new ids. Raises ValueError if an id is known or comes twice."""
        if len(ids) != len(bodies):
            raise ValueError(f"{len(ids)} ids for {len(bodies)} bodies")
        if not len(ids):
            return
        ids = np.asarray(ids, np.int64)
        if len(ids) == 1:
            newest = int(ids[0])
            ascending = not self._size or newest > self._ids[self._size - 1]
        else:
            ascending = bool((np.diff(ids) > 0).all()) and (
                not self._size or bool(ids[0] > self._ids[self._size - 1])
            )
        if not ascending and len(np.unique(np.concatenate([self.ids, ids]))) < self._size + len(
            ids
        ):
            raise ValueError("an id is known already, or comes twice")
        first = self._size
        self._append(ids, np.array([len(body) for body in bodies], np.int32))
        if ascending and len(ids) < TAIL:
            for position, body in enumerate(bodies, first):
                self._add_to_tail(position, body)
            if self._size - self._joined > max(TAIL, self._joined // 8):
                self._join_tail()
            return
        self._join_tail()
        self._block = _joined(self._block, _block_of(bodies, first))
        self._joined = self._size
        if not ascending:
            self._sort()

    def remove(self, ids: IntArray) -> None:
        """Really delete: no later answer or statistic knows these ids. Unknown ids are ignored."""
        gone = np.isin(self.ids, ids)
        if not gone.any():
            return
        self._join_tail()
        keep = ~gone
        place = (np.cumsum(keep) - 1).astype(np.int32)
        self._ids, self._lengths = self.ids[keep], self.lengths[keep]
        self._size = self._joined = len(self._ids)
        block = self._block
        kept = keep[block.positions]
        first = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])[block.first]
        held = np.diff(first) > 0
        self._block = _Block(
            block.vocabulary[held],
            np.append(first[:-1][held], first[-1]),
            place[block.positions[kept]],
            block.counts[kept],
        )

    def postings(self, term: int) -> tuple[Positions, FloatArray]:
        """Positions (ascending) and frequencies of the units that hold a term."""
        block, found = self._block, _NO_POSTINGS
        # A Python int would be compared as a float, which cannot tell large terms apart.
        at = int(block.vocabulary.searchsorted(np.uint64(term)))
        if at < len(block.vocabulary) and int(block.vocabulary[at]) == term:
            begin, end = block.first[at : at + 2].tolist()
            found = block.positions[begin:end], block.counts[begin:end]
        tail = self._tail.get(term)
        if tail is None:
            return found
        pairs = np.array(tail, np.int32).reshape(-1, 2)
        late = pairs[:, 0], pairs[:, 1].astype(np.float32)
        if not len(found[0]):
            return np.ascontiguousarray(late[0]), late[1]
        return np.concatenate([found[0], late[0]]), np.concatenate([found[1], late[1]])

    def search(self, terms: TermArray, limit: int) -> tuple[IntArray, FloatArray]:
        """At most `limit` ids and their raw BM25 scores, best first, ties by id ascending."""
        found = scoring.match(self, np.asarray(terms, np.uint64), most=len(terms))
        scores = scoring.bm25(found)
        best = scoring.top(scores, limit)
        return self.ids[best], scores[best]

    def _append(self, ids: IntArray, lengths: npt.NDArray[np.int32]) -> None:
        size = self._size + len(ids)
        if size > len(self._ids):
            # Views that were handed out keep the old arrays.
            room = max(size, self._size + self._size // 8 + 64)
            self._ids = np.concatenate([self.ids, np.zeros(room - self._size, np.int64)])
            self._lengths = np.concatenate([self.lengths, np.zeros(room - self._size, np.int32)])
        self._ids[self._size : size] = ids
        self._lengths[self._size : size] = lengths
        self._size = size

    def _add_to_tail(self, position: int, body: TermArray) -> None:
        tail = self._tail
        counts: dict[int, int] = {}
        for term in body.tolist():
            counts[term] = counts.get(term, 0) + 1
        for term, count in counts.items():
            held = tail.get(term)
            if held is None:
                tail[term] = array("i", (position, count))
            else:
                held.append(position)
                held.append(count)
        self._tail_postings += len(counts)

    def _join_tail(self) -> None:
        if self._tail:
            vocabulary = np.fromiter(self._tail, np.uint64, len(self._tail))
            order = np.argsort(vocabulary)
            held = list(self._tail.values())
            pairs = np.fromiter(
                chain.from_iterable(held[i] for i in order.tolist()),
                np.int32,
                2 * self._tail_postings,
            ).reshape(-1, 2)
            sizes = np.array([len(held[i]) // 2 for i in order.tolist()], np.int64)
            late = _Block(
                vocabulary[order],
                np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]),
                np.ascontiguousarray(pairs[:, 0]),
                pairs[:, 1].astype(np.float32),
            )
            self._block = _joined(self._block, late)
        self._tail, self._tail_postings, self._joined = {}, 0, self._size

    def _sort(self) -> None:
        """Put units into the order of their ids; all of them are in the block."""
        order = np.argsort(self.ids)
        place = np.empty(self._size, np.int32)
        place[order] = np.arange(self._size, dtype=np.int32)
        block = self._block
        positions = place[block.positions]
        owner = np.repeat(np.arange(len(block.vocabulary)), np.diff(block.first))
        by_term = np.lexsort((positions, owner))
        self._ids, self._lengths = self.ids[order], self.lengths[order]
        self._block = _Block(
            block.vocabulary, block.first, positions[by_term], block.counts[by_term]
        )


def _block_of(bodies: Sequence[TermArray], first: int) -> _Block:
    """The postings of units at positions `first` and up."""
    sizes = np.array([len(body) for body in bodies], np.int64)
    if not sizes.sum():
        return _EMPTY
    terms = np.concatenate(bodies)
    vocabulary = np.unique(terms)
    # A term and a position in one integer, so that one plain sort, much the fastest, does it all.
    # The upper bits of terms nearly always tell them apart; else their places in the vocabulary do.
    bits = np.uint64(len(bodies).bit_length())
    if np.any(np.diff(vocabulary >> bits) == 0):
        terms = np.searchsorted(vocabulary, terms).astype(np.uint64)
    else:
        terms = terms >> bits
    cells = (terms << bits) | np.repeat(np.arange(len(bodies), dtype=np.uint64), sizes)
    cells.sort()
    starts = np.flatnonzero(np.concatenate([[True], cells[1:] != cells[:-1]]))
    counts = np.diff(np.append(starts, len(cells)))
    cells = cells[starts]
    owners = cells >> bits
    firsts = np.flatnonzero(np.concatenate([[True], owners[1:] != owners[:-1]]))
    positions = (cells & np.uint64((1 << int(bits)) - 1)).astype(np.int32) + np.int32(first)
    return _Block(vocabulary, np.append(firsts, len(cells)), positions, counts.astype(np.float32))


def _joined(early: _Block, late: _Block) -> _Block:
    """Two blocks as one; every position of `late` is higher than those of `early`."""
    if not len(early.positions):
        return late
    if not len(late.positions):
        return early
    at = np.searchsorted(early.vocabulary, late.vocabulary)
    known = early.vocabulary[np.minimum(at, len(early.vocabulary) - 1)] == late.vocabulary
    # Behind the postings of the same term, or where those of a new term belong.
    where = np.repeat(early.first[at + known], np.diff(late.first))
    vocabulary = np.insert(early.vocabulary, at[~known], late.vocabulary[~known])
    sizes = np.insert(np.diff(early.first), at[~known], 0)
    sizes[np.searchsorted(vocabulary, late.vocabulary)] += np.diff(late.first)
    return _Block(
        vocabulary,
        np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]),
        np.insert(early.positions, where, late.positions),
        np.insert(early.counts, where, late.counts),
    )
