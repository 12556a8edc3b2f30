"""Exact inner product over vectors, by FAISS, with real deletes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from stepwell.contracts import FloatArray, IntArray


class VectorIndex:
    """See stepwell.contracts.Index. Bodies are normalised vectors of `dim` float32."""

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))
        self._ids: set[int] = set()

    def add(self, ids: IntArray, bodies: Sequence[npt.NDArray[Any]]) -> None:
        """Take vectors in under new ids. ValueError for another shape, NaN, or a known id."""
        if not len(ids) and not len(bodies):
            return
        matrix = np.ascontiguousarray(np.asarray(bodies, dtype=np.float32))
        if matrix.shape != (len(ids), self._dim) or not np.isfinite(matrix).all():
            raise ValueError("vectors of another shape, or not finite")
        if not self._ids.isdisjoint(ids.tolist()) or len(set(ids.tolist())) != len(ids):
            raise ValueError("an id that is there already")
        if len(ids):
            self._index.add_with_ids(matrix, np.ascontiguousarray(ids, dtype=np.int64))
            self._ids.update(ids.tolist())

    def remove(self, ids: IntArray) -> None:
        """Really delete; unknown ids are ignored."""
        known = self._ids.intersection(ids.tolist())
        if known:
            self._index.remove_ids(faiss.IDSelectorBatch(np.array(sorted(known), np.int64)))
            self._ids -= known

    def search(self, body: npt.NDArray[Any], limit: int) -> tuple[IntArray, FloatArray]:
        """The nearest ids with their inner products, best first, ties by id."""
        size = len(self._ids)
        wanted = min(max(limit, 0), size)
        if not wanted:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        query = np.ascontiguousarray(np.asarray(body, np.float32).reshape(1, -1))
        scores, ids = self._index.search(query, wanted)
        scores, ids = scores[0], ids[0]
        if wanted < size:
            # Ties at the edge: all of them compete, so that the ids decide and not FAISS's order.
            _, more_scores, more_ids = self._index.range_search(
                query, float(np.nextafter(scores[-1], -np.inf, dtype=np.float32))
            )
            scores, ids = more_scores, more_ids
        order = np.lexsort((ids, -scores))[:wanted]
        return ids[order].astype(np.int64), scores[order].astype(np.float32)

    def scores(self, body: npt.NDArray[Any]) -> tuple[IntArray, FloatArray]:
        """Every id, in the order of arrival, with its inner product.

        FAISS finds the nearest few; where all are wanted, one product over its rows is faster than
        a heap of them.
        """
        flat: Any = faiss.downcast_index(self._index.index)
        rows = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * self._dim)
        ids = faiss.rev_swig_ptr(self._index.id_map.data(), flat.ntotal).copy()
        product = rows.reshape(-1, self._dim) @ np.asarray(body, np.float32)
        return ids, product

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def nbytes(self) -> int:
        """Roughly how much memory it holds."""
        return len(self._ids) * (4 * self._dim + 16 + 60)
