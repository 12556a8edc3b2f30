"""Which few of very many are worth a closer look: cheap scores of all, exact ones of the few.

Every score is made by the rules of `scoring` over all that is there, counts and lengths included;
only whom it is made for is cut down. What may differ is a score that is relative to the best of
all, when that best is missed.

Fresh memory for numbers of hundreds of thousands of units costs more than working with them: what
is worked on lies in a `Bench`, which is kept from one question to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stepwell.mechanisms import lining, scoring
from stepwell.mechanisms.lining import FloatArray, IntArray, Lines
from stepwell.mechanisms.products import weighed
from stepwell.mechanisms.scoring import BoolArray, Matches, Postings

#: From so many records on a search looks closely at a shortlist only; below, nothing is left out.
LARGE = 50_000
#: How many scores are looked at to guess where the best few begin.
_SAMPLE: Final = 8192
_LEAST: Final = 32
_BLOCK: Final = 8
_TABLE: Final = 1 << 20
#: Units that hold a word, of which it is told how many windows hold it.
_TELLING: Final = 4_096
_NEIGHBOURS: Final = (*scoring.BEFORE, *scoring.AFTER)


class Bench:
    """Arrays to work on, by name. What is in them is of the last who asked."""

    def __init__(self) -> None:
        self._held: dict[str, npt.NDArray[Any]] = {}

    @property
    def nbytes(self) -> int:
        """How much memory it holds."""
        return sum(array.nbytes for array in self._held.values())

    def floats(self, name: str, size: int) -> FloatArray:
        """Room for so many numbers, with anything in it."""
        return self._room(name, size, 0.0, np.float32)

    def flags(self, size: int) -> BoolArray:
        """So many flags, none of them set. Whoever sets some has to take them back."""
        return self._room("flags", size, False, np.bool_)

    def slots(self, size: int) -> IntArray:
        """So many numbers, -1 each. As for flags."""
        return self._room("slots", size, -1, np.int64)

    def _room(self, name: str, size: int, value: float, kind: Any) -> npt.NDArray[Any]:
        held = self._held.get(name)
        if held is None or not size <= len(held) <= 2 * size + _LEAST:
            held = self._held[name] = np.full(size + size // 8, value, kind)
        return held[:size]


class Statistics:
    """What BM25 knows of all units, whatever is asked. Worth keeping while the units stay."""

    def __init__(
        self, index: Postings, around: Lines, group: IntArray, seen: BoolArray | None
    ) -> None:
        self.seen = seen
        lengths = index.lengths.astype(np.float32)
        if seen is not None:
            lengths *= seen
        self.visible = len(lengths) if seen is None else int(np.count_nonzero(seen))
        self.norm = scoring.length_norm(lengths, self.visible)
        windows = lining.smeared(lengths, around, scoring.BEFORE, scoring.AFTER)
        if seen is not None:
            windows *= seen
        self.window_norm = scoring.length_norm(windows, self.visible)
        self.grown = scoring.grown(index.lengths)
        self.groups = int(group.max(initial=-1)) + 1
        member = group >= 0 if seen is None else (group >= 0) & seen
        self.code = np.where(member, group, self.groups)
        held = np.bincount(self.code, minlength=self.groups + 1)[: self.groups] > 0
        self.held_groups = int(np.count_nonzero(held))
        long = np.bincount(self.code, lengths, self.groups + 1)[: self.groups]
        self.group_norm = scoring.length_norm(long.astype(np.float32), self.held_groups)
        self.group_norm[~held] = 1


def words(found: Matches, known: Statistics, out: FloatArray) -> FloatArray:
    """`scoring.bm25` of each unit."""
    out[:] = 0
    ends = _ends(found)
    telling = found.weight * found.idf
    for word, (first, last) in enumerate(pairwise(ends)):
        position, count = found.position[first:last], found.count[first:last]
        share = known.norm[position]
        share += count
        np.divide(count, share, out=share)
        share *= telling[word]
        out[position] += share
    return out


def sessions(found: Matches, known: Statistics, out: FloatArray) -> FloatArray:
    """`scoring.bm25_groups` of each unit."""
    groups, many = known.groups, known.held_groups
    if many < 2 or not len(found.word):
        out[:] = 0
        return out
    cell = found.word * (groups + 1) + known.code[found.position]
    table = np.bincount(cell, found.count, len(found.weight) * (groups + 1)).astype(np.float32)
    counts = table.reshape(-1, groups + 1)[:, :groups]
    idf = found.weight * scoring.rarity(np.count_nonzero(counts, axis=1), many)
    scores = np.append(weighed(idf, counts / (counts + known.group_norm)), np.float32(0))
    np.take(scores.astype(np.float32), known.code, out=out, mode="clip")
    return out


def coarse(scores: FloatArray, out: FloatArray) -> FloatArray:
    """About what `stretch` gives, with no regard to sessions: means of eight and eight."""
    blocks = len(scores) // _BLOCK
    sums = np.zeros(blocks + 3, np.float32)
    whole = blocks * _BLOCK
    np.sum(scores[:whole].reshape(blocks, _BLOCK), axis=1, out=sums[1 : blocks + 1])
    sums[blocks + 1] = scores[whole:].sum()
    means = (sums[:-2] + sums[1:-1] + sums[2:]) / np.float32(3 * _BLOCK)
    out[:whole].reshape(blocks, _BLOCK)[:] = means[:blocks, None]
    out[whole:] = means[blocks]
    return out


def windows_at(
    found: Matches, around: Lines, known: Statistics, at: IntArray, bench: Bench
) -> FloatArray:
    """What `scoring.bm25_windows` gives the units `at`."""
    total = np.zeros(len(at), np.float32)
    if not len(found.word) or not len(at):
        return total
    norm = known.window_norm[at]
    steps = (*around.before[:2], *around.after[:2])
    # A place for each unit that has a part in one of these windows; the last one for nobody's.
    slot, flags = bench.slots(found.units + 1), bench.flags(found.units + 1)
    for units in (at, *(step[at] for step in steps)):
        flags[units] = True
    flags[-1] = False
    needed = np.flatnonzero(flags)
    flags[needed] = False
    slot[needed] = np.arange(len(needed))
    mine = slot[at]
    beside = [slot[step[at]] for step in steps]
    holders = _window_holders(found, steps, flags)
    ends = _ends(found)
    rows = max(1, _TABLE // (len(needed) + 1))
    for first in range(0, len(found.weight), rows):
        last = min(first + rows, len(found.weight))
        part = slice(ends[first], ends[last])
        where = slot[found.position[part]]
        kept = where >= 0
        table = np.zeros((last - first, len(needed) + 1), np.float32)
        table[found.word[part][kept] - first, where[kept]] = found.count[part][kept]
        counts = table[:, mine]
        for positions, weight in zip(beside, _NEIGHBOURS, strict=True):
            counts += np.float32(weight) * table[:, positions]
        idf = found.weight[first:last] * scoring.rarity(holders[first:last], found.visible)
        counts /= counts + norm
        total += weighed(idf, counts)
    slot[needed] = -1
    return total


def _window_holders(found: Matches, steps: Sequence[IntArray], flags: BoolArray) -> IntArray:
    """How many windows hold each word: those of its units, and of the units beside them.

    Of a word that very many units hold, some that follow each other tell for all: it is rare by a
    logarithm, which a few in a hundred more or less do not move.
    """
    ends = _ends(found)
    counted = np.empty(len(found.weight), np.int64)
    for word, (first, last) in enumerate(pairwise(ends)):
        some = min(last - first, _TELLING)
        begin = first + (last - first - some) // 2
        position = found.position[begin : begin + some]
        held = np.concatenate([position, *(step[position] for step in steps)])
        flags[held] = True
        flags[-1] = False
        windows = np.count_nonzero(flags)
        counted[word] = windows if some == last - first else windows * (last - first) // some
        flags[held] = False
    return counted


def _ends(found: Matches) -> list[int]:
    ends: list[int] = np.searchsorted(found.word, np.arange(len(found.weight) + 1)).tolist()
    return ends


def best(scores: FloatArray, wanted: int) -> IntArray:
    """Positions, ascending, of about the `wanted` best scores above 0; of equals the last.

    At least so many where there are so many, and at most twice.
    """
    size = len(scores)
    step = (size // _SAMPLE) | 1
    sample = scores[::step]
    rank = int(1.3 * wanted / step) + _LEAST
    least = 0.0
    if size > wanted and rank < len(sample):
        least = float(np.partition(sample, len(sample) - rank)[len(sample) - rank])
    found = np.flatnonzero(scores >= least) if least > 0 else np.flatnonzero(scores > 0)
    if len(found) < wanted and least > 0:
        found = np.flatnonzero(scores > 0)
    return found if len(found) <= 2 * wanted else _cut(scores, found, wanted)


def _cut(scores: FloatArray, found: IntArray, wanted: int) -> IntArray:
    """The `wanted` best of `found`, ascending."""
    held = scores[found]
    edge = np.partition(held, len(held) - wanted)[len(held) - wanted]
    above, equal = found[held > edge], found[held == edge]
    return np.sort(np.concatenate([above, equal[len(equal) - (wanted - len(above)) :]]))
