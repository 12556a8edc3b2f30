"""The embedder that every install has: a static table of word pieces, and no model to run.

A text's vector is the mean of its pieces' rows. How the table was made, from what and under which
licences is told by `table/ABOUT.md`; the script is core/distilling/distil.py in the repository.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.resources import files
from io import BytesIO

import numpy as np
import numpy.typing as npt

from stepwell.contracts import Embedder, FloatArray
from stepwell.hookspecs import hookimpl
from stepwell.mechanisms.wordpieces import WordPieces

#: Another table needs another name: vectors of two tables never meet.
NAME = "stepwell-table-1"
DIM = 256
#: Rows that are summed up at once, also of one long text: 32 MB.
_ROWS = 1 << 15


class Table:
    """See stepwell.contracts.Embedder. The table is read from the package at the first text."""

    name = NAME
    dim = DIM

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: tuple[WordPieces, npt.NDArray[np.int8], FloatArray] | None = None

    def embed(self, texts: Sequence[str], *, query: bool = False) -> FloatArray:  # noqa: ARG002 - questions and turns are read alike
        """The mean of each text's rows, shape (len(texts), 256); zeros for a text without any."""
        pieces, rows, scales = self._parts()
        numbers = [pieces.numbers(text) for text in texts]
        made = np.zeros((len(texts), DIM), np.float32)
        begin = 0
        while begin < len(texts):
            end, held = begin + 1, len(numbers[begin])
            while end < len(texts) and held + len(numbers[end]) <= _ROWS:
                held += len(numbers[end])
                end += 1
            if held > _ROWS:
                made[begin] = _mean(numbers[begin], rows, scales)
            else:
                _means(made[begin:end], numbers[begin:end], rows, scales)
            begin = end
        return made

    def _parts(self) -> tuple[WordPieces, npt.NDArray[np.int8], FloatArray]:
        with self._lock:
            if self._read is None:
                folder = files("stepwell.defaults") / "table"
                words = (folder / "pieces.txt").read_text("utf-8").split("\n")
                rows = np.load(BytesIO((folder / "rows.npy").read_bytes()), allow_pickle=False)
                scales = np.load(BytesIO((folder / "scales.npy").read_bytes()), allow_pickle=False)
                self._read = WordPieces(words), rows, scales.astype(np.float32)
            return self._read


def _mean(
    numbers: Sequence[int], rows: npt.NDArray[np.int8], scales: FloatArray
) -> npt.NDArray[np.float64]:
    """The mean of more rows than are summed up at once."""
    total = np.zeros(DIM, np.float64)
    for begin in range(0, len(numbers), _ROWS):
        some = np.array(numbers[begin : begin + _ROWS], np.int64)
        total += (rows[some] * scales[some, None]).sum(axis=0)
    return total / len(numbers)


def _means(
    made: FloatArray, numbers: Sequence[Sequence[int]], rows: npt.NDArray[np.int8],
    scales: FloatArray,
) -> None:  # fmt: skip
    sizes = np.array([len(some) for some in numbers])
    flat = np.fromiter((n for some in numbers for n in some), np.int64, int(sizes.sum()))
    if not len(flat):
        return
    held = rows[flat].astype(np.float32)
    held *= scales[flat, None]
    some = np.flatnonzero(sizes)
    starts = np.concatenate([[0], np.cumsum(sizes[some])[:-1]])
    made[some] = np.add.reduceat(held, starts, axis=0) / sizes[some, None].astype(np.float32)


class Tables:
    """Opens the table: as "default", and by its name."""

    name = "tables"

    def __init__(self) -> None:
        self._table = Table()

    @hookimpl
    def open_embedder(self, name: str) -> Embedder | None:
        """One for all, since it does not change."""
        return self._table if name in ("default", NAME) else None
