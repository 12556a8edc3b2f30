"""Scores for the units of one scope: pure functions over arrays, no store and no plugin in sight.

A *unit* is one key of the words channel: a short turn as a whole, or a passage of a long one. Units
have positions 0 … n-1; every array here lines up with them. A *feature* is one float32 per unit in
[0, 1], and all zero when it has no evidence; `fuse` makes one score of several.

Units that must not be seen are left out through `seen`: they take no part in any count, length,
window or group. `previous` must then skip them too. Without a mask (None) nothing is paid for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from stepwell.mechanisms.lining import Lines, lines, stretch
from stepwell.mechanisms.products import weighed
from stepwell.mechanisms.words import TIME_TERMS, asks_when

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
TermArray = npt.NDArray[np.uint64]

#: What each feature counts for: round figures, the same for every kind of data. Those above 0.2,
#: but for "time", were chosen on meetings, chat streams, agents' logs and assistants' sessions;
#: halving one, or half as much again, moves recall by a point or two. The rest are small by choice:
#: that data has hardly a question of a time.
WEIGHTS: Final[Mapping[str, float]] = {
    "window": 1.0,  # carries most: the answer stands beside the question's words, not among them
    "words": 0.3,  # which of a window's units it is
    "stretch": 0.4,  # a topic lasts: finds the many turns of one
    "session": 0.3,
    "speaker": 0.25,
    "time": 0.3,  # as much as being named: a question that gives a date means it
    "length": 0.15,
    "when": 0.15,
}
#: BM25's constants (Robertson & Zaragoza 2009, in Lucene's form). They hardly matter here.
K1: Final = 1.2
B: Final = 0.75
#: What the words of units nearby count for in a window: one and two before, one and two after.
BEFORE: Final = (0.6, 0.4)
AFTER: Final = (0.4, 0.2)
#: From so many terms on a unit is long enough to say something.
TELLING: Final = 25
#: Distinct words of a question that are looked at.
MOST_WORDS: Final = 128
#: Cells of the (words, units) table that is worked on at once: what a processor's cache holds.
_CELLS: Final = 1 << 17
_NONE: Final = np.empty(0, np.int64)


class Postings(Protocol):
    """The part of a word index that scoring reads."""

    def __len__(self) -> int: ...
    @property
    def lengths(self) -> npt.NDArray[np.int32]: ...
    def postings(self, term: int) -> tuple[npt.NDArray[np.int32], FloatArray]: ...


@dataclass(frozen=True, slots=True)
class Matches:
    """Where the words of a question occur: one entry for each word and unit that holds it.

    `weight` and `idf` (m,) are of the distinct words found, `weight` being how often the question
    has them; `word`, `position` and `count` (e,) are parallel, sorted by word, then position.
    `full` is what a unit would score that had nothing but all the words of the question, words that
    are nowhere included; `visible` how many units take part.
    """

    weight: FloatArray
    idf: FloatArray
    word: IntArray
    position: IntArray
    count: FloatArray
    lengths: FloatArray
    units: int
    visible: int
    full: float
    seen: BoolArray | None = None


def match(
    index: Postings, terms: TermArray, seen: BoolArray | None = None, most: int = MOST_WORDS
) -> Matches:
    """Look the terms of a question up, once for all the features that are made of it.

    Of more than `most` distinct words that occur, those that tell most are kept: a page that is
    pasted as a question is not to cost a second.
    """
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
    sizes = np.array([len(positions) for positions, _ in found], np.int64)
    weight = np.array(weights, np.float32)
    idf = rarity(sizes, visible)
    nowhere = len(terms) - sum(weights)
    full = float(weight @ idf) + nowhere * float(rarity(np.zeros(1, np.int64), visible)[0])
    if len(found) > most:
        kept = np.sort(np.argsort(-weight * idf, kind="stable")[:most])
        found = [found[i] for i in kept.tolist()]
        sizes, weight, idf = sizes[kept], weight[kept], idf[kept]
    return Matches(
        weight=weight,
        idf=idf,
        word=np.repeat(np.arange(len(found)), sizes),
        position=np.concatenate([p for p, _ in found]).astype(np.int64) if found else _NONE,
        count=np.concatenate([c for _, c in found]) if found else _NONE.astype(np.float32),
        lengths=lengths,
        units=units,
        visible=visible,
        full=full,
        seen=seen,
    )


def lexical(found: Matches, around: Lines, session: IntArray) -> dict[str, FloatArray]:
    """The features "words", "window", "stretch" and "session".

    Each is relative to its best unit, so that the weights mean the same for short and for long
    questions, and then all are scaled by how well the best window fits: where hardly a word of the
    question occurs, what is known besides the words decides.
    """
    words = bm25(found)
    windows = bm25_windows(found, around)
    fit = strength(found, windows)
    return {
        "words": relative(words, fit),
        "window": relative(windows, fit),
        "stretch": relative(stretch(words, around), fit),
        "session": relative(bm25_groups(found, session), fit),
    }


def strength(found: Matches, scores: FloatArray) -> float:
    """How well the best of raw scores fits the question, in [0, 1]; 0 for nothing at all.

    Half of what a question's words weigh is as good as all of it: nobody repeats a question.
    """
    return min(1.0, 2 * float(scores.max(initial=0.0)) / found.full) if found.full else 0.0


def relative(scores: FloatArray, most: float = 1.0) -> FloatArray:
    """Scores divided by the best of them, times `most`; all zero if there is none above zero."""
    best = float(scores.max(initial=0.0))
    return scores * np.float32(most / best) if best > 0 else np.zeros_like(scores)


def bm25(found: Matches, k1: float = K1, b: float = B) -> FloatArray:
    """BM25 of each unit by itself, raw: at most `found.full`."""
    if not len(found.word):
        return np.zeros(found.units, np.float32)
    norm = length_norm(found.lengths, found.visible, k1, b)
    share = found.count / (found.count + norm[found.position])
    share *= (found.weight * found.idf)[found.word]
    return np.bincount(found.position, share, found.units).astype(np.float32)


def bm25_windows(
    found: Matches,
    previous: Lines | IntArray,
    before: tuple[float, float] = BEFORE,
    after: tuple[float, float] = AFTER,
    k1: float = K1,
    b: float = B,
) -> FloatArray:
    """BM25 of each unit read together with the two units before and the two after it, raw.

    `previous` is, or is made from, the position of the unit before in the same session, -1 for
    none; `before` and `after` say what a word there counts. All statistics are those of windows.
    There is no second index: a window's counts are weighted sums of its units' counts.
    """
    total = np.zeros(found.units, np.float32)
    if not len(found.word):
        return total
    around = previous if isinstance(previous, Lines) else lines(previous)
    steps = (*zip(around.before, before, strict=False), *zip(around.after, after, strict=False))
    # One column more, always zero, is where the -1 of "none" points.
    lengths = _spread(np.append(found.lengths, np.float32(0))[None, :], steps)[0]
    if found.seen is not None:
        lengths *= found.seen
    norm = length_norm(lengths, found.visible, k1, b)
    rows = max(1, _CELLS // (found.units + 1))
    for first in range(0, len(found.weight), rows):
        last = min(first + rows, len(found.weight))
        begin, end = np.searchsorted(found.word, [first, last])
        table = np.zeros((last - first, found.units + 1), np.float32)
        table[found.word[begin:end] - first, found.position[begin:end]] = found.count[begin:end]
        counts = _spread(table, steps)
        if found.seen is not None:
            counts *= found.seen
        idf = found.weight[first:last] * rarity(np.count_nonzero(counts, axis=1), found.visible)
        counts /= counts + norm
        total += weighed(idf, counts)
    return total


def bm25_groups(found: Matches, group: IntArray, k1: float = K1, b: float = B) -> FloatArray:
    """BM25 of each unit's group (its session, say) read as one text, raw, one score per unit.

    `group` (n,) are small codes; units of a negative code belong to no group and get 0, and so does
    everybody where there is but one group.
    """
    groups = int(group.max(initial=-1)) + 1
    if groups < 2 or not len(found.word):
        return np.zeros(found.units, np.float32)
    member = group >= 0 if found.seen is None else (group >= 0) & found.seen
    code = np.where(member, group, groups)  # outsiders share a column that nobody reads
    held = np.bincount(code, minlength=groups + 1)[:groups] > 0
    many = int(np.count_nonzero(held))
    if many < 2:
        return np.zeros(found.units, np.float32)
    cell = found.word * (groups + 1) + code[found.position]
    table = np.bincount(cell, found.count, len(found.weight) * (groups + 1)).astype(np.float32)
    counts = table.reshape(-1, groups + 1)[:, :groups]
    lengths = np.bincount(code, found.lengths, groups + 1)[:groups].astype(np.float32)
    norm = length_norm(lengths, many, k1, b)
    norm[~held] = 1  # nobody's group: no division by zero
    idf = found.weight * rarity(np.count_nonzero(counts, axis=1), many)
    scores = weighed(idf, counts / (counts + norm))
    return np.append(scores, np.float32(0))[code].astype(np.float32)


def rarity(holders: npt.NDArray[np.intp], units: int) -> FloatArray:
    """What a word tells that so many of the units hold: its inverse document frequency."""
    return np.log1p((units - holders + 0.5) / (holders + 0.5)).astype(np.float32)


def length_norm(lengths: FloatArray, units: int, k1: float = K1, b: float = B) -> FloatArray:
    """What counts are held against in BM25: more for what is longer than the mean."""
    mean = float(lengths.sum(dtype=np.float64)) / max(1, units)
    return np.float32(k1 * (1 - b)) + np.float32(k1 * b / mean if mean else 0) * lengths


def _spread(table: FloatArray, steps: Sequence[tuple[IntArray, float]]) -> FloatArray:
    """Each column of `table`, but for the last one, with its weighted neighbours added."""
    out = table[:, :-1].copy()
    for positions, weight in steps:
        # "wrap" lets -1 mean the last column, and saves a pass that looks for other mistakes.
        beside = np.take(table, positions, axis=1, mode="wrap")
        beside *= np.float32(weight)
        out += beside
    return out


def by_actor(scores: FloatArray, actor: IntArray) -> FloatArray:
    """The feature "speaker": scores of actors (see words.Actors), unit by unit.

    `actor` (n,) are places in `scores`; a negative one is unknown and gets 0.
    """
    return np.append(scores, np.float32(0))[np.where(actor < 0, len(scores), actor)]


def telling(lengths: npt.NDArray[np.int32], evidence: FloatArray) -> FloatArray:
    """The feature "length": 1 from 25 terms on, less the shorter, 0 where there is no evidence."""
    return np.where(evidence > 0, grown(lengths), np.float32(0)).astype(np.float32)


def grown(lengths: npt.NDArray[np.int32]) -> FloatArray:
    """How far from nothing to long enough to say something, in [0, 1]."""
    by_length = np.log1p(np.arange(TELLING + 1, dtype=np.float32)) / np.float32(np.log1p(TELLING))
    return np.asarray(by_length[np.minimum(lengths, TELLING)])


def dated(index: Postings, question: str, evidence: FloatArray) -> FloatArray:
    """The feature "when": 1 for what has a word of time in it, if the question asks for a time."""
    has = np.zeros(len(evidence), np.float32)
    if asks_when(question):
        for term in TIME_TERMS:
            has[index.postings(term)[0]] = 1
        has[evidence <= 0] = 0
    return has


def fuse(features: Mapping[str, FloatArray], weights: Mapping[str, float] = WEIGHTS) -> FloatArray:
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
    """The best score of each record's units (records,), and the first unit that has it.

    A record without units gets 0 and the unit -1.
    """
    if len(record) == records and bool((record == np.arange(records)).all()):
        return scores.astype(np.float32), np.arange(records)
    best = np.zeros(records, np.float32)
    unit = np.full(records, -1, np.int64)
    if len(record) and bool((record[1:] >= record[:-1]).all()):
        # One after the other: a pass over runs, many times as fast as the general way.
        first = np.flatnonzero(np.append(True, record[1:] != record[:-1]))
        best[record[first]] = np.maximum(np.maximum.reduceat(scores, first), np.float32(0))
    else:
        np.maximum.at(best, record, scores)
    hit = np.flatnonzero(scores >= best[record])[::-1]
    unit[record[hit]] = hit  # of equals the last one written stays: the first, read backwards
    return best, unit


def top(scores: FloatArray, limit: int) -> IntArray:
    """The positions of the best scores above zero, at most `limit`, best first, ties ascending."""
    candidates = np.flatnonzero(scores > 0)
    if limit <= 0 or not len(candidates):
        return _NONE
    if len(candidates) > limit:
        held = scores[candidates]
        least = np.partition(held, len(held) - limit)[len(held) - limit]
        candidates = candidates[held >= least]
    order = np.argsort(-scores[candidates], kind="stable")
    return candidates[order[:limit]].astype(np.int64)
