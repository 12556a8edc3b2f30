"""What cosines tell: scores of vectors that mean the same in every space."""

from __future__ import annotations

import numpy as np

from stepwell.mechanisms import lining
from stepwell.mechanisms.lining import Lines
from stepwell.mechanisms.scoring import BoolArray, FloatArray


def standing(cosines: FloatArray, seen: BoolArray | None = None) -> FloatArray:
    """How far each cosine stands above the mean of those that are seen, in [0, 1].

    0 at the mean and below it, 1 for the very direction of the question. In one embedder's space
    two texts that have nothing in common have a cosine of 0.1, in another's one of 0.6; what stands
    out above what is usual means the same in both, so that they can be weighed alike, and whoever
    has no vector yet counts as the mean. All zero where fewer than two are seen: nothing stands out
    of itself, so there the positive cosines are the answer.
    """
    usual = cosines if seen is None else cosines[seen]
    mean = float(usual.mean(dtype=np.float64)) if len(usual) > 1 else 0.0
    mean = min(max(mean, 0.0), 0.99)
    above = cosines - np.float32(mean)
    above /= np.float32(1 - mean)
    if seen is not None:
        above[~seen] = 0
    return np.clip(above, 0, 1, out=above)


def beside(
    scores: FloatArray, around: Lines, room: tuple[FloatArray, FloatArray] | None = None
) -> FloatArray:
    """The mean score of each and of the one before and after it; where none is, that counts 0."""
    total = lining.smeared(scores, around, (1.0,), (1.0,), room)
    total /= np.float32(3)
    return total
