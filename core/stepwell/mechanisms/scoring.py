"""Scores for the units of one scope: pure functions over arrays, no store and no plugin in sight.

A *unit* is one key of the words channel: a short turn as a whole, or a passage of a long one. Units
have positions 0 … n-1; every array here lines up with them. Each *feature* is one float32 per unit
in [0, 1], and all zero when it has no evidence; `fuse` makes one score of them.

Units that must not be seen are left out through `seen`: they take no part in any count, length,
window or group. `previous` must then skip them (`preceding` units are the visible ones), and None,
the usual case, costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
TermArray = npt.NDArray[np.uint64]

#: BM25 of a unit by itself (Robertson & Zaragoza 2009, in Lucene's form).
K1: Final = 1.2
B: Final = 0.75
#: What the words of the one or two units before count for in a window.
WINDOW: Final = (1.0, 1.0)
#: Cells of the (words, units) table that is worked on at once: what fits a cache, not a memory.
_CELLS: Final = 1 << 21


class Postings(Protocol):
    """The part of a word index that scoring reads."""

    def __len__(self) -> int: ...
    @property
    def lengths(self) -> npt.NDArray[np.int32]: ...
    def postings(self, term: int) -> tuple[npt.NDArray[np.int32], FloatArray]: ...


@dataclass(frozen=True, slots=True)
class Matches:
    """Where the words of a question occur: one entry for each word and unit that holds it.

    `weight` (m,) is how often each distinct word stands in the question; `word`, `position` and
    `count` (e,) are parallel, sorted by word and then position. `units` is how many units there
    are, `visible` how many of them take part, `seen` which.
    """

    weight: FloatArray
    word: IntArray
    position: IntArray
    count: FloatArray
    lengths: FloatArray
    units: int
    visible: int
    seen: BoolArray | None = None


def match(index: Postings, terms: TermArray, seen: BoolArray | None = None) -> Matches:
    """Look the terms of a question up, once for all the features that are made of it."""
    asked: dict[int, int] = {}
    for term in terms.tolist():
        asked[term] = asked.get(term, 0) + 1
    found: list[tuple[npt.NDArray[np.int32], FloatArray]] = []
    weights: list[int] = []
    for term, times in asked.items():
        positions, counts = index.postings(term)
        if seen is not None:
            keep = seen[positions]
            positions, counts = positions[keep], counts[keep]
        if len(positions):
            found.append((positions, counts))
            weights.append(times)
    lengths = index.lengths.astype(np.float32)
    units = visible = len(index)
    if seen is not None:
        lengths *= seen
        visible = int(np.count_nonzero(seen))
    sizes = [len(positions) for positions, _ in found]
    return Matches(
        weight=np.array(weights, np.float32),
        word=np.repeat(np.arange(len(found)), sizes),
        position=np.concatenate([p for p, _ in found]).astype(np.int64) if found else _NONE,
        count=np.concatenate([c for _, c in found]) if found else _NONE.astype(np.float32),
        lengths=lengths,
        units=units,
        visible=visible,
        seen=seen,
    )


_NONE: Final = np.empty(0, np.int64)


def bm25(found: Matches, k1: float = K1, b: float = B) -> FloatArray:
    """BM25 of each unit, raw: at most the sum of `weight * idf` over the words of the question."""
    if not len(found.word):
        return np.zeros(found.units, np.float32)
    idf = found.weight * _idf(np.bincount(found.word, minlength=len(found.weight)), found.visible)
    norm = _norm(found.lengths, found.visible, k1, b)
    share = idf[found.word] * found.count / (found.count + norm[found.position])
    return np.bincount(found.position, share, found.units).astype(np.float32)


def bm25_windows(
    found: Matches,
    previous: IntArray,
    weights: tuple[float, ...] = WINDOW,
    k1: float = K1,
    b: float = B,
) -> FloatArray:
    """BM25 of each unit read together with the units before it, raw.

    `previous` (n,) is the position of the unit before in the same session, -1 for none; the i-th of
    `weights` is what a word of the i-th unit before counts. All statistics are those of windows. No
    second index: a window's counts are sums of its units' counts.
    """
    units = found.units
    total = np.zeros(units, np.float32)
    if not len(found.word):
        return total
    back = _steps(previous, len(weights))
    # One column more, always zero, is where the -1 of `previous` points.
    lengths = _spread(np.append(found.lengths, np.float32(0))[None, :], back, weights)[0]
    if found.seen is not None:
        lengths *= found.seen
    norm = _norm(lengths, found.visible, k1, b)
    rows = max(1, _CELLS // (units + 1))
    words = len(found.weight)
    for first in range(0, words, rows):
        last = min(first + rows, words)
        begin, end = np.searchsorted(found.word, [first, last])
        table = np.zeros((last - first, units + 1), np.float32)
        table[found.word[begin:end] - first, found.position[begin:end]] = found.count[begin:end]
        counts = _spread(table, back, weights)
        if found.seen is not None:
            counts *= found.seen
        idf = found.weight[first:last] * _idf(np.count_nonzero(counts, axis=1), found.visible)
        np.divide(counts, counts + norm, out=counts)
        total += idf @ counts
    return total


def bm25_groups(found: Matches, group: IntArray, k1: float = K1, b: float = B) -> FloatArray:
    """BM25 of each unit's group (its session, say) read as one text, raw, one score per unit.

    `group` (n,) are small codes; units of a negative code belong to no group and get 0.
    """
    groups = int(group.max(initial=-1)) + 1
    member = group >= 0 if found.seen is None else (group >= 0) & found.seen
    if groups < 2 or not len(found.word):
        return np.zeros(found.units, np.float32)
    code = np.where(member, group, groups)  # outsiders share a column that nobody reads
    words = len(found.weight)
    cell = found.word * (groups + 1) + code[found.position]
    table = np.bincount(cell, found.count, words * (groups + 1)).astype(np.float32)
    counts = table.reshape(words, groups + 1)[:, :groups]
    lengths = np.bincount(code, found.lengths, groups + 1)[:groups].astype(np.float32)
    held = int(np.count_nonzero(np.bincount(code, member, groups + 1)[:groups]))
    idf = found.weight * _idf(np.count_nonzero(counts, axis=1), held)
    with np.errstate(invalid="ignore"):
        share = np.nan_to_num(counts / (counts + _norm(lengths, held, k1, b)))
    return np.append(idf @ share, np.float32(0))[code].astype(np.float32)


def _idf(holders: npt.NDArray[np.intp], units: int) -> FloatArray:
    return np.log1p((units - holders + 0.5) / (holders + 0.5)).astype(np.float32)


def _norm(lengths: FloatArray, units: int, k1: float, b: float) -> FloatArray:
    mean = float(lengths.sum(dtype=np.float64)) / max(1, units)
    return np.float32(k1 * (1 - b)) + np.float32(k1 * b / mean if mean else 0) * lengths


def _steps(previous: IntArray, steps: int) -> list[IntArray]:
    """The positions one, two, … units before; -1 for none."""
    padded = np.append(previous, -1)
    back = [previous]
    while len(back) < steps:
        back.append(padded[back[-1]])
    return back[:steps]


def _spread(table: FloatArray, back: list[IntArray], weights: tuple[float, ...]) -> FloatArray:
    """Each column of `table` (its last one, all zero, apart) with its weighted columns before."""
    out = table[:, :-1].copy()
    for positions, weight in zip(back, weights, strict=True):
        step = np.take(table, positions, axis=1, mode="wrap")
        out += step if weight == 1 else np.float32(weight) * step
    return out


def following(previous: IntArray) -> IntArray:
    """The position of the unit after each one in its session; -1 for none."""
    after = np.full(len(previous), -1, np.int64)
    has = np.flatnonzero(previous >= 0)
    after[previous[has]] = has
    return after


def neighbours(scores: FloatArray, toward: IntArray) -> FloatArray:
    """The score of the unit that `toward` (`previous`, or `following` of it) points at, else 0."""
    return np.append(scores, np.float32(0))[toward]


def relative(scores: FloatArray) -> FloatArray:
    """Scores divided by the best of them: [0, 1], all zero if there is none above zero."""
    best = float(scores.max(initial=0.0))
    return scores / np.float32(best) if best > 0 else np.zeros_like(scores)


def fuse(features: Mapping[str, FloatArray], weights: Mapping[str, float]) -> FloatArray:
    """One score in [0, 1] per unit: the weighted sum, over what it could be at most.

    A feature without a weight counts nothing; negative weights take away, never below 0.
    """
    size = next((len(feature) for feature in features.values()), 0)
    total = np.zeros(size, np.float32)
    for name in sorted(features):
        if weight := weights.get(name, 0.0):
            total += np.float32(weight) * features[name]
    most = sum(weight for weight in weights.values() if weight > 0)
    if most:
        total /= np.float32(most)
    return np.clip(total, 0, 1, out=total)


def by_record(scores: FloatArray, record: IntArray, records: int) -> tuple[FloatArray, IntArray]:
    """The best score of each record's units (records,), and the first unit that has it, else -1.

    A record without units, or whose units score 0, gets 0; in the first case its unit is -1.
    """
    best = np.zeros(records, np.float32)
    unit = np.full(records, -1, np.int64)
    if (
        len(record) == records
        and bool((np.diff(record) == 1).all())
        and (not records or record[0] == 0)
    ):
        return scores.astype(np.float32), np.arange(records)
    np.maximum.at(best, record, scores)
    hit = np.flatnonzero(scores >= best[record])[::-1]
    unit[record[hit]] = hit  # of equals the last one written stays: the first, read backwards
    return best, unit


def top(scores: FloatArray, limit: int) -> IntArray:
    """The positions of the best scores above zero, at most `limit`, best first, ties ascending."""
    if limit <= 0:
        return _NONE
    candidates = np.flatnonzero(scores > 0)
    if len(candidates) > limit:
        held = scores[candidates]
        least = np.partition(held, len(held) - limit)[len(held) - limit]
        candidates = candidates[held >= least]
    order = np.argsort(-scores[candidates], kind="stable")
    return candidates[order[:limit]].astype(np.int64)
