"""From the states of tokens to vectors and scores: plain functions over arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Positions in groups of like length, longest first; empty ones are left out.

    A group counts at most `budget` tokens, padded to its longest, or is one position.
    """
    order = sorted((i for i, n in enumerate(lengths) if n > 0), key=lambda i: (-lengths[i], i))
    at = 0
    while at < len(order):
        count = max(1, budget // lengths[order[at]])
        yield order[at : at + count]
        at += count


def pool(states: FloatArray, mask: npt.NDArray[np.bool_], mode: str) -> FloatArray:
    """One vector for each text: (texts, longest, dim) and (texts, longest) to (texts, dim).

    `mode` is "cls" (the first token), "mean" or "max", of the tokens that the mask lets through; of
    none, the vector is zero.
    """
    if mode == "cls":
        made = states[:, 0] * mask[:, :1]
    elif mode == "mean":
        total = (states * mask[:, :, None]).sum(axis=1)
        made = total / np.maximum(mask.sum(axis=1, keepdims=True), 1)
    elif mode == "max":
        least = np.where(mask[:, :, None], states, -np.inf).max(axis=1)
        made = np.where(mask.any(axis=1, keepdims=True), least, 0.0)
    else:
        raise ValueError(f"pooling is cls, mean or max, not {mode!r}")
    return made.astype(np.float32)


def unit(rows: FloatArray) -> FloatArray:
    """The rows at length 1; a row of zeros stays."""
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.where(norms > 0, norms, 1.0), np.float32)


def maxsim(question: npt.NDArray[np.floating], states: npt.NDArray[np.floating]) -> float | None:
    """How well the tokens of a text cover those of a question, from -1 to 1; None without tokens.

    Both are rows of length 1, (tokens, dim): the mean over the question's tokens of the greatest
    cosine with any of the text's. After Khattab and Zaharia (2020), ColBERT, who add up instead of
    taking the mean.
    """
    if not len(question) or not len(states):
        return None
    # Some BLAS kernels set the flag for lanes of a register that nobody reads.
    with np.errstate(invalid="ignore"):
        cosines = question.astype(np.float32) @ states.astype(np.float32).T
    return float(np.clip(cosines.max(axis=1).mean(), -1.0, 1.0))
