"""Exact inner product over vectors, with real deletes, in blocks of rows.

A product of a block with a question is memory read once from end to end: below a few hundred
thousand vectors nothing that is built to avoid it is faster by more than it loses. Blocks keep what
is dear about large arrays small: one vector more writes one row, one less moves one block.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stepwell.contracts import FloatArray, IntArray
from stepwell.mechanisms.products import products

#: Rows of a block. The first blocks are made as large as what comes in.
ROWS: Final = 32_768
_LEAST: Final = 64


class VectorIndex:
    """See stepwell.contracts.Index. Bodies are normalised vectors of `dim` float32."""

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._blocks: list[FloatArray] = []
        self._sizes: list[int] = []
        self._ids: list[IntArray] = []  # of each block, in the order of its rows
        self._known: set[int] = set()
        self._all: IntArray | None = None

    def add(self, ids: IntArray, bodies: Sequence[npt.NDArray[Any]]) -> None:
        """Take vectors in under new ids. ValueError for another shape, NaN, or a known id."""
        if not len(ids) and not len(bodies):
            return
        matrix = np.asarray(bodies, dtype=np.float32)
        if matrix.shape != (len(ids), self._dim) or not np.isfinite(matrix).all():
            raise ValueError("vectors of another shape, or not finite")
        fresh = set(ids.tolist())
        if not self._known.isdisjoint(fresh) or len(fresh) != len(ids):
            raise ValueError("an id that is there already")
        self._known |= fresh
        self._all = None
        taken = 0
        while taken < len(ids):
            at, room = self._room(len(ids) - taken)
            size, many = self._sizes[at], min(room, len(ids) - taken)
            self._blocks[at][size : size + many] = matrix[taken : taken + many]
            self._ids[at][size : size + many] = ids[taken : taken + many]
            self._sizes[at] += many
            taken += many

    def _room(self, wanted: int) -> tuple[int, int]:
        """The last block, and how many more rows it takes; grown, or a new one, if it is full."""
        if self._blocks and self._sizes[-1] < len(self._ids[-1]):
            return len(self._blocks) - 1, len(self._ids[-1]) - self._sizes[-1]
        if self._blocks and self._sizes[-1] < ROWS:
            size = self._sizes[-1]
            rows = min(ROWS, size + max(wanted, size, _LEAST))
            self._resize(len(self._blocks) - 1, np.arange(size), rows)
            return len(self._blocks) - 1, rows - size
        rows = min(ROWS, max(wanted, _LEAST))
        self._blocks.append(np.empty((rows, self._dim), np.float32))
        self._ids.append(np.empty(rows, np.int64))
        self._sizes.append(0)
        return len(self._blocks) - 1, rows

    def _resize(self, at: int, kept: IntArray, rows: int) -> None:
        """A block with some of its rows, and with room for so many."""
        block, ids = np.empty((rows, self._dim), np.float32), np.empty(rows, np.int64)
        block[: len(kept)] = self._blocks[at][kept]
        ids[: len(kept)] = self._ids[at][kept]
        self._blocks[at], self._ids[at], self._sizes[at] = block, ids, len(kept)

    def remove(self, ids: IntArray) -> None:
        """Really delete; unknown ids are ignored."""
        gone = self._known.intersection(ids.tolist())
        if not gone:
            return
        self._known -= gone
        self._all = None
        out = np.array(sorted(gone), np.int64)
        for at in reversed(range(len(self._blocks))):
            size = self._sizes[at]
            keep = ~np.isin(self._ids[at][:size], out)
            if keep.all():
                continue
            kept = np.flatnonzero(keep)
            if len(kept):
                self._resize(at, kept, len(kept))
            else:
                del self._blocks[at], self._ids[at], self._sizes[at]
        self._join()

    def _join(self) -> None:
        """Put blocks together that have room in one, so that few are left of what was many."""
        at = 1
        while at < len(self._blocks):
            one, other = self._sizes[at - 1], self._sizes[at]
            if one + other > ROWS // 2:
                at += 1
                continue
            self._resize(at - 1, np.arange(one), one + other)
            self._blocks[at - 1][one:] = self._blocks[at][:other]
            self._ids[at - 1][one:] = self._ids[at][:other]
            self._sizes[at - 1] += other
            del self._blocks[at], self._ids[at], self._sizes[at]

    def search(self, body: npt.NDArray[Any], limit: int) -> tuple[IntArray, FloatArray]:
        """The nearest ids with their inner products, best first, ties by id."""
        ids, scores = self.scores(body)
        wanted = min(max(limit, 0), len(ids))
        if not wanted:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if wanted < len(ids):
            # Ties at the edge: all of them compete, and the ids decide.
            edge = np.partition(scores, len(ids) - wanted)[len(ids) - wanted]
            near = scores >= edge
            ids, scores = ids[near], scores[near]
        order = np.lexsort((ids, -scores))[:wanted]
        return ids[order], scores[order]

    def scores(self, body: npt.NDArray[Any]) -> tuple[IntArray, FloatArray]:
        """Every id, in the order of arrival, with its inner product. The ids are not to change."""
        asked = np.asarray(body, np.float32)
        if self._all is None:
            held = [ids[:size] for ids, size in zip(self._ids, self._sizes, strict=True)]
            self._all = np.concatenate([np.empty(0, np.int64), *held])
            self._all.flags.writeable = False
        scores = np.empty(len(self._all), np.float32)
        begin = 0
        for block, size in zip(self._blocks, self._sizes, strict=True):
            products(block[:size], asked, scores[begin : begin + size])
            begin += size
        return self._all, scores

    def __len__(self) -> int:
        return len(self._known)

    @property
    def nbytes(self) -> int:
        """Roughly how much memory it holds."""
        return sum(block.nbytes for block in self._blocks) + len(self._known) * (16 + 60)
