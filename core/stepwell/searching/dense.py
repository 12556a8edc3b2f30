"""The vectors of one scope in one space: an index, and what each vector stands for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from stepwell.contracts import FloatArray, Index, IndexSpec, IntArray
from stepwell.errors import BadVectors
from stepwell.mechanisms.lining import extended

VECTORS = "vectors"
#: How many vectors an index that cannot tell all cosines is asked for, nearest first.
MAX_VECTORS = 2_000
#: What a unit is: its key, its record, and the characters of the record's text; -1 for all of them.
UNITS = ("kid", "ref", "first", "last")


def dim_of(space: str) -> int:
    """The dimension of a space's vectors, which its name ends with. Raises BadVectors."""
    dim = space.rpartition("/")[2]
    if not dim.isdecimal() or not int(dim):
        raise BadVectors("a vector space is named 'name/dimension'")
    return int(dim)


class Dense:
    """Vectors of one space. A *unit* is one vector: of a record, or of one passage of it."""

    def __init__(self, space: str, open_index: Callable[[IndexSpec], Index]) -> None:
        self.dim = dim_of(space)
        self.index = open_index(IndexSpec(VECTORS, space, self.dim))
        self.units: dict[str, IntArray] = {name: np.empty(0, np.int64) for name in UNITS}
        self._order: IntArray | None = None  # ids as they came last, if by key

    def __len__(self) -> int:
        return len(self.units["kid"])

    @property
    def nbytes(self) -> int:
        """Roughly how much memory it holds."""
        return self.index.nbytes + sum(column.nbytes for column in self.units.values())

    def add(self, keys: Sequence[tuple[Any, ...]]) -> None:
        """Take rows of keys in (see StoreReader.keys)."""
        self._order = None
        self.units = added(self.index, self.units, keys, np.dtype("<f4"))

    def remove(self, gone: IntArray) -> None:
        """Drop the vectors of some records."""
        self._order = None
        self.units = removed(self.index, self.units, gone)

    def cosines(self, vector: FloatArray) -> FloatArray:
        """The cosine of each unit with a normalised vector.

        An approximate index tells the nearest only; all others count as far as the farthest of
        these. Raises BadVectors for a vector of another shape.
        """
        if vector.shape != (self.dim,):
            raise BadVectors(f"a vector of shape {vector.shape} in a space of {self.dim}")
        every = getattr(self.index, "scores", None)
        ids, scores = every(vector) if every else self.index.search(vector, MAX_VECTORS)
        if ids is self._order or np.array_equal(ids, self.units["kid"]):
            self._order = ids
            return scores
        cosines = np.full(len(self), scores.min() if len(scores) else 0, np.float32)
        cosines[np.searchsorted(self.units["kid"], ids)] = scores
        return cosines


def added(
    index: Index, units: dict[str, IntArray], keys: Sequence[tuple[Any, ...]], kind: np.dtype[Any]
) -> dict[str, IntArray]:
    """Put rows of keys into an index; the units with these, ascending by key."""
    if not keys:
        return units
    kids = np.array([key[0] for key in keys], np.int64)
    index.add(kids, [np.frombuffer(key[4], kind) for key in keys])
    fresh = {
        "kid": kids,
        "ref": np.array([key[1] for key in keys], np.int64),
        "first": np.array([-1 if key[2] is None else key[2] for key in keys], np.int64),
        "last": np.array([-1 if key[3] is None else key[3] for key in keys], np.int64),
    }
    known = units["kid"]
    last = int(known[-1]) if len(known) else -1
    units = {name: extended(units[name], fresh[name]) for name in UNITS}
    if kids.min() < last or (np.diff(kids) < 0).any():
        order = np.argsort(units["kid"], kind="stable")
        units = {name: column[order] for name, column in units.items()}
    return units


def removed(index: Index, units: dict[str, IntArray], gone: IntArray) -> dict[str, IntArray]:
    """Take the keys of some records out of an index; the units that are left."""
    out = np.isin(units["ref"], gone)
    if not out.any():
        return units
    index.remove(units["kid"][out])
    return {name: column[~out] for name, column in units.items()}
