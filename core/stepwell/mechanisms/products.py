"""Products of a matrix and a vector, by one core.

A library that shares one product between the cores waits for the slowest of them. Where these have
something else to do, a tenth of a millisecond of work takes ten; and one core reads the memory
nearly as fast as two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

#: Cells of a matrix that OpenBLAS, which numpy comes with, multiplies without sharing them.
_CELLS = 2**18


def products(
    rows: npt.NDArray[Any], vector: FloatArray, out: FloatArray | None = None
) -> FloatArray:
    """The inner product of each row (n, dim) with a vector (dim,): n numbers."""
    made = np.empty(len(rows), np.float32) if out is None else out
    step = max(1, _CELLS // max(1, len(vector)))
    for begin in range(0, len(rows), step):
        np.dot(rows[begin : begin + step], vector, out=made[begin : begin + step])
    return made


def weighed(weights: FloatArray, columns: FloatArray) -> FloatArray:
    """The weighed sum of the rows of a matrix (m, n) with m weights: n numbers."""
    return products(columns.T, weights)
