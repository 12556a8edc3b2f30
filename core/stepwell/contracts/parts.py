"""The parts that a Memory is built from: clock, models, indexes.

Array conventions: ids, positions and times are int64, scores and vectors float32, terms uint64.
Scores are higher-is-better in [0, 1]; cosines in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
TermArray = npt.NDArray[np.uint64]
BoolArray = npt.NDArray[np.bool_]

#: Text to its number of tokens.
Counter = Callable[[str], int]


@runtime_checkable
class Clock(Protocol):
    """Where the time of storing comes from."""

    def now(self) -> datetime:
        """The present moment, timezone-aware."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """Text to vectors. `name` identifies the vector space; another space needs another name."""

    @property
    def name(self) -> str: ...
    @property
    def dim(self) -> int: ...
    def embed(self, texts: Sequence[str], *, query: bool = False) -> FloatArray:
        """One finite row per text, shape (len(texts), dim). Core normalises the rows."""
        ...


@runtime_checkable
class LanguageModel(Protocol):
    """A language model, synchronous. Optional everywhere in stepwell."""

    @property
    def name(self) -> str: ...
    def generate(self, prompt: str, *, schema: Mapping[str, Any] | None = None) -> str:
        """The model's answer; JSON that fits `schema` where one is given."""
        ...


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """What kind of index is wanted: "vectors" of `dim`, or "words"."""

    kind: str
    space: str
    dim: int = 0


@runtime_checkable
class Index(Protocol):
    """A cache over keys of one scope, in memory only. Calls are serialised by core.

    One over vectors may also have `scores(body)`: every id, in any order, with its raw score. It is
    then asked in place of `search`, which tells a question the nearest only.
    """

    def add(self, ids: IntArray, bodies: Sequence[npt.NDArray[Any]]) -> None:
        """Take in keys under new ids. `bodies` are vectors, or arrays of terms."""
        ...

    def remove(self, ids: IntArray) -> None:
        """Really delete: no later answer or statistic knows these ids. Unknown ids are ignored."""
        ...

    def search(self, body: npt.NDArray[Any], limit: int) -> tuple[IntArray, FloatArray]:
        """At most `limit` ids with raw scores, best first, ties by id ascending."""
        ...

    def __len__(self) -> int: ...
    @property
    def nbytes(self) -> int:
        """Roughly how much memory it holds."""
        ...


class Words(Index, Protocol):
    """A lexical index. Positions are places in `ids`, which ascends."""

    @property
    def ids(self) -> IntArray: ...
    @property
    def lengths(self) -> npt.NDArray[np.int32]: ...
    def postings(self, term: int) -> tuple[npt.NDArray[np.int32], FloatArray]:
        """Positions (ascending) and frequencies of the units that hold a term."""
        ...
