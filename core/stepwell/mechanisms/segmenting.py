"""Where a conversation turns to something else: ends of segments, by vectors, words and silences.

Within a segment what was said before a gap is like what is said after it; where it is least so,
the segment ends (TextTiling: Hearst, "TextTiling: Segmenting Text into Multi-paragraph Subtopic
Passages", 1997). A silence ends a segment whatever was said.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import numpy as np

from stepwell.contracts import FloatArray
from stepwell.mechanisms.words import terms
from stepwell.models import aware

#: Directions of a bag of words.
DIRECTIONS: Final = 256
#: Depths that differ by less are the same.
_SAME: Final = 1e-5


def bags(texts: Sequence[str]) -> FloatArray:
    """Words as vectors, (n, 256), normalised; a row of zeros for a text without words.

    Each word has a direction and a sign of its own, drawn from its hash; twice is 1.4 times once.
    """
    made = np.zeros((len(texts), DIRECTIONS), np.float32)
    for row, text in zip(made, texts, strict=True):
        words, counts = np.unique(terms(text), return_counts=True)
        signs = np.where((words >> np.uint64(32)) & np.uint64(1), 1.0, -1.0)
        np.add.at(row, (words % np.uint64(DIRECTIONS)).astype(np.int64), signs * np.sqrt(counts))
    norms = np.linalg.norm(made, axis=1, keepdims=True)
    return np.asarray(made / np.where(norms > 0, norms, 1.0), np.float32)


def depths(vectors: FloatArray, width: int) -> FloatArray:
    """How unlike the `width` vectors before each gap are to those after it, from 0 to 2; (n - 1,).

    The gap i lies after the vector i. At the ends there are fewer than `width`.
    """
    size = len(vectors)
    sums = np.vstack([np.zeros((1, vectors.shape[1]), np.float32), np.cumsum(vectors, axis=0)])
    gaps = np.arange(1, size)
    before = sums[gaps] - sums[np.maximum(0, gaps - width)]
    after = sums[np.minimum(size, gaps + width)] - sums[gaps]
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    dots = np.einsum("ij,ij->i", before, after)
    return np.asarray(1 - dots / np.where(lengths > 0, lengths, 1.0), np.float32)


def segments(
    vectors: FloatArray, times: Sequence[datetime | None], *, least: int = 2, most: int = 15,
    width: int = 4, silence: timedelta = timedelta(hours=3), sharp: float = 1.0,
) -> list[int]:  # fmt: skip
    """Ends of segments, ascending: the index of the last vector of each.

    A segment has `least` to `most` vectors, but for the last one, and for what lies between two
    silences. The last is open: it ends only when as many as `most + width` are known, so that what
    is asked again with more at the end gives the same ends and more. A silence parts two that were
    both said at a known time.
    """
    ends: list[int] = []
    pauses = [
        at
        for at, (one, other) in enumerate(pairwise(times))
        if one is not None and other is not None and aware(other) - aware(one) > silence
    ]
    begin = 0
    for last in [*pauses, len(vectors) - 1]:
        known = last + 1
        while known - begin >= most + width or (last in pauses and known - begin > most):
            end = begin + _cut(vectors[begin : min(known, begin + most + width)], least, most,
                               width, sharp)  # fmt: skip
            ends.append(end)
            begin = end + 1
        if last in pauses:
            ends.append(last)
            begin = known
    return ends


def _cut(vectors: FloatArray, least: int, most: int, width: int, sharp: float) -> int:
    """Where the first segment of some ends: at the first sharp peak, or else at the highest."""
    depth = depths(vectors, width)[least - 1 : most]
    edge = float(depth.mean() + sharp * depth.std())
    for at, height in enumerate(depth.tolist()):
        beside = depth[max(0, at - 1) : at + 2]
        if height > edge + _SAME and height >= float(beside.max()):
            return least - 1 + at
    # Where nothing tells gaps apart a segment is as long as may be.
    return least - 1 + int(np.flatnonzero(depth >= depth.max() - _SAME)[-1])
