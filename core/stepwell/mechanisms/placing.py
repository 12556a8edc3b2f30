"""Which group something belongs to: by cosine, beside what is usual in the space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stepwell.contracts import FloatArray

#: How far towards 1, from the usual cosine, something must be near a group to belong to it.
NEAR: Final = 0.45
#: The cosine from which on two belong together in any space.
SURE: Final = 0.95
#: A second group is taken if it is about as near as the first.
TIED: Final = 0.97


def usual(vectors: FloatArray) -> float:
    """The median cosine of different rows; 0 where there are fewer than three."""
    if len(vectors) < 3 or not vectors.shape[1]:
        return 0.0
    rows, columns = np.triu_indices(len(vectors), 1)
    return max(0.0, float(np.median((vectors @ vectors.T)[rows, columns])))


def threshold(usual_cosine: float, near: float = NEAR) -> float:
    """The cosine from which on two belong together."""
    return min(usual_cosine + (1 - usual_cosine) * near, SURE)


def groups_of(
    vector: FloatArray, centres: FloatArray, least: float, *, most: int = 2, tied: float = TIED
) -> list[int]:
    """The rows of `centres` that a vector belongs to, nearest first: none, one, or some as near."""
    if not len(centres) or not np.any(vector):
        return []
    cosines = centres @ vector
    order = np.argsort(-cosines, kind="stable")[:most]
    best = float(cosines[order[0]])
    return [int(at) for at in order if cosines[at] >= max(least, tied * best)]


@dataclass(frozen=True, slots=True)
class Grown:
    """Groups after something was placed: their averages, and who came to which of them."""

    centres: FloatArray
    rows: dict[int, list[int]]


def grown(
    centres: FloatArray, counts: Sequence[int], vectors: FloatArray, least: float
) -> Grown:  # fmt: skip
    """Place rows one after the other: each in the groups it belongs to, or in one of its own.

    `centres`, (g, dim), are the averages of groups of `counts` vectors, not normalised: so a cosine
    with one is the mean of those with its members, and a group does not draw the more the larger
    it is. What comes moves them, and the next row sees where they are. Groups that are begun follow
    those that were there.
    """
    size = len(centres)
    room = np.zeros((size + len(vectors), vectors.shape[1]), np.float32)
    room[:size] = centres
    held = [*counts, *[0] * len(vectors)]
    rows: dict[int, list[int]] = {}
    for row, vector in enumerate(vectors):
        found = groups_of(vector, room[:size], least)
        if not found:
            found, size = [size], size + 1
        for at in found:
            room[at] += (vector - room[at]) / (held[at] + 1)
            held[at] += 1
            rows.setdefault(at, []).append(row)
    return Grown(room[:size], rows)


def halves(vectors: FloatArray, rounds: int = 10) -> tuple[list[int], list[int]]:
    """Two groups of at least one each, the larger one first: 2-means, begun from two far apart.

    The same for the same rows in the same order. Rows that are all alike are cut in the middle.
    """
    size = len(vectors)
    mean = vectors.mean(axis=0)
    one = int(np.argmin(vectors @ mean))
    other = int(np.argmin(vectors @ vectors[one]))
    left = np.zeros(size, np.bool_)
    left[: size // 2] = True
    if one != other and float(vectors[one] @ vectors[other]) < 1 - 1e-6:
        centres = vectors[[one, other]]
        for _ in range(rounds):
            cosines = vectors @ centres.T
            near = cosines[:, 0] >= cosines[:, 1]
            if near.all() or not near.any():
                break
            if np.array_equal(near, left):
                break
            left = near
            centres = np.stack([vectors[left].sum(axis=0), vectors[~left].sum(axis=0)])
            centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-9)
    first, second = np.flatnonzero(left).tolist(), np.flatnonzero(~left).tolist()
    return (first, second) if len(first) >= len(second) else (second, first)


def parts(vectors: FloatArray, most: int) -> list[list[int]]:
    """Groups of at most `most` rows each, the largest first: halved as often as it takes."""
    done: list[list[int]] = []
    waiting = [list(range(len(vectors)))]
    while waiting:
        rows = waiting.pop()
        if len(rows) <= most:
            done.append(rows)
            continue
        waiting += [[rows[at] for at in half] for half in halves(vectors[rows])]
    return sorted(done, key=lambda rows: (-len(rows), rows[0]))


def alike(means: FloatArray, least: float) -> Sequence[tuple[int, int]]:
    """Pairs of rows at least so near, nearest first, each row in one pair at most."""
    if len(means) < 2:
        return []
    cosines = np.triu(means @ means.T, 1)
    rows, columns = np.nonzero(cosines >= least)
    order = np.argsort(-cosines[rows, columns], kind="stable")
    taken: set[int] = set()
    pairs: list[tuple[int, int]] = []
    for at in order.tolist():
        one, other = int(rows[at]), int(columns[at])
        if one not in taken and other not in taken:
            pairs.append((one, other))
            taken |= {one, other}
    return pairs
