"""Buffers bounded by tokens, and where a full one is best cut.

A boundary is the place of the last item before it. The hybrid cut is LightMem's (arXiv 2510.18866,
section 3): fine boundaries, where one item has little to do with the next, are kept only near
coarse ones, where a topic ends.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from stepwell.contracts import FloatArray
from stepwell.fencing import count_tokens

#: Fine boundaries lie where a cosine is below a threshold that rises until there is one.
FIRST, STEP, LAST = 0.2, 0.05, 0.5
#: How far from a coarse boundary a fine one may lie.
REACH = 3
#: Items on either side that cohesion is measured over.
WIDTH = 3


def sizes(texts: Sequence[str]) -> list[int]:
    """The tokens of each text."""
    return [count_tokens(text) for text in texts]


def batches(tokens: Sequence[int], limit: int) -> list[int]:
    """Where batches of at most `limit` tokens end; an item above the limit is a batch of its own.

    The last batch, which may still have room, ends with the last item.
    """
    ends: list[int] = []
    held = 0
    for place, size in enumerate(tokens):
        if place and held + size > limit:
            ends.append(place - 1)
            held = 0
        held += size
    return [*ends, len(tokens) - 1] if tokens else []


def exchanges(speakers: Sequence[str | None]) -> list[int]:
    """Where pairs end: a turn and the answer to it, by somebody else, if there is one."""
    ends: list[int] = []
    begin = 0
    for place, speaker in enumerate(speakers):
        if place > begin and speaker != speakers[begin]:
            ends.append(place)
            begin = place + 1
        elif place > begin:
            ends.append(place - 1)
            begin = place
    return ends


def adjacent(vectors: FloatArray) -> FloatArray:
    """The cosine of each normalised vector with the next, (n - 1,)."""
    return np.asarray(np.einsum("ij,ij->i", vectors[:-1], vectors[1:]), np.float32)


def cohesion(vectors: FloatArray, width: int = WIDTH) -> FloatArray:
    """How alike the sums of `width` vectors before and after each gap are, (n - 1,)."""
    gaps = max(0, len(vectors) - 1)
    told = np.zeros(gaps, np.float32)
    for gap in range(gaps):
        before = vectors[max(0, gap + 1 - width) : gap + 1].sum(axis=0)
        after = vectors[gap + 1 : gap + 1 + width].sum(axis=0)
        norm = float(np.linalg.norm(before) * np.linalg.norm(after))
        told[gap] = float(before @ after) / norm if norm else 0.0
    return told


def fine(
    cosines: FloatArray, first: float = FIRST, step: float = STEP, last: float = LAST
) -> list[int]:
    """Where cosines are below the lowest threshold, from `first` to `last`, that any is below."""
    for number in range(round((last - first) / step) + 1):
        below = np.flatnonzero(cosines < first + number * step)
        if len(below):
            return [int(place) for place in below]
    return []


def coarse(told: FloatArray) -> list[int]:
    """Where cohesion has a valley: lower than at the gap before, and not higher than at the next.

    What lies at either end counts as one if it falls off towards it.
    """
    found = []
    for gap in range(len(told)):
        before = told[gap - 1] if gap else np.inf
        after = told[gap + 1] if gap + 1 < len(told) else np.inf
        if told[gap] < before and told[gap] <= after and len(told) > 1:
            found.append(gap)
    return found


def hybrid(fines: Sequence[int], coarses: Collection[int], reach: int = REACH) -> list[int]:
    """The fine boundaries within `reach` of a coarse one; all of them where there is none."""
    near = [gap for gap in fines if any(abs(gap - each) <= reach for each in coarses)]
    return near or list(fines)


def cut(
    vectors: FloatArray,
    reach: int = REACH,
    width: int = WIDTH,
    *,
    thresholds: tuple[float, float, float] = (FIRST, STEP, LAST),
) -> list[int]:
    """Where items of these vectors are best cut, ascending; nowhere if all is of one topic."""
    return hybrid(fine(adjacent(vectors), *thresholds), coarse(cohesion(vectors, width)), reach)
