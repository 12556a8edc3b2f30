"""Who stands beside whom: lines of units, said one after the other in one session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stepwell.mechanisms.timespans import NEVER

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

#: A silence, in microseconds, after which people speak of something else: three hours.
PAUSE: Final = 3 * 3600 * 1_000_000
#: How far away the neighbours are that lines tell of.
STEPS: Final = (1, 2, 4)
#: What share of neighbours may stand elsewhere for sums by what is usual to be faster; of few any.
_ELSEWHERE: Final = 0.1
_ALWAYS: Final = 1000


@dataclass(frozen=True, slots=True)
class Beside:
    """The neighbours so far before, told by what is usual: that they are the next in order.

    `mask` is 1.0 for each whose neighbour stands right there, else 0.0; `at` are those whose
    neighbour stands elsewhere, and `of` where.
    """

    mask: FloatArray
    at: IntArray
    of: IntArray


@dataclass(frozen=True, slots=True)
class Lines:
    """Who stands how far from whom in its session: positions (n,), -1 for none; see `lines`.

    `before` and `after` are 1, 2 and 4 units away. Where most neighbours are also the next in
    order, as in sessions that come one after the other, `beside` tells the same in a way that is
    much faster to sum by, to the same bits.
    """

    before: tuple[IntArray, IntArray, IntArray]
    after: tuple[IntArray, IntArray, IntArray]
    beside: tuple[Beside, Beside, Beside] | None = None


def lines(previous: IntArray, said: IntArray | None = None) -> Lines:
    """Lines of units, from each one's preceding unit. Worth keeping while the units stay.

    `said` (n,) are times in microseconds, NEVER where unknown: units with more than PAUSE between
    them do not belong together, though one session may hold them.
    """
    if said is not None:
        previous = _parted(said, previous, said)
    before = _doubled(previous)
    return Lines(before, _doubled(following(previous)), _beside(before))


def _beside(before: Sequence[IntArray], start: int = 0) -> tuple[Beside, Beside, Beside] | None:
    """The neighbours of those from `start` on; None where too many stand elsewhere."""
    made = []
    for far, step in zip(STEPS, before, strict=True):
        late = step[start:]
        there = late == np.arange(start - far, start - far + len(late))
        there &= late >= 0
        at = np.flatnonzero(~there & (late >= 0))
        if len(at) > _ELSEWHERE * max(len(late), _ALWAYS):
            return None
        made.append(Beside(there.astype(np.float32), at + start, late[at]))
    return made[0], made[1], made[2]


def longer(held: Lines, previous: IntArray, said: IntArray | None = None) -> Lines:
    """The lines of what was there and of what came behind it; `held` is no longer to be used.

    `previous` are those of the newcomers alone, `said` the times of all.
    """
    size = len(held.before[0])
    fresh = np.arange(size, size + len(previous))
    if said is not None:
        previous = _parted(said[size:], previous, said)
    one = extended(held.before[0], previous)
    before, after = [one], []
    for step in held.before[1:]:
        half = before[-1]
        middle = half[size:]
        before.append(extended(step, np.where(middle < 0, -1, half[middle])))
    for steps, step in zip(before, held.after, strict=True):
        longer_step = extended(step, np.full(len(previous), -1, np.int64))
        has = steps[size:] >= 0
        longer_step[steps[size:][has]] = fresh[has]
        after.append(longer_step)
    beside = None
    more = None if held.beside is None else _beside(before, size)
    if held.beside is not None and more is not None:
        known = [
            Beside(
                extended(old.mask, new.mask),
                np.concatenate([old.at, new.at]),
                np.concatenate([old.of, new.of]),
            )
            for old, new in zip(held.beside, more, strict=True)
        ]
        if all(len(one.at) <= _ELSEWHERE * max(len(one.mask), _ALWAYS) for one in known):
            beside = known[0], known[1], known[2]
    return Lines((before[0], before[1], before[2]), (after[0], after[1], after[2]), beside)


def extended(held: npt.NDArray[Any], fresh: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An array with more behind it, mostly without copying: it leaves room for the next ones.

    To be asked once only of an array that is whole, not a part of one that somebody still reads;
    what was handed out before stays as it was.
    """
    size, whole = len(held), len(held) + len(fresh)
    room = held.base
    if room is None or room.dtype != held.dtype or len(room) < whole:
        room = np.empty(whole + whole // 8 + 64, held.dtype)
        room[:size] = held
    room[size:whole] = fresh
    grown: npt.NDArray[Any] = room[:whole]
    return grown


def following(previous: IntArray) -> IntArray:
    """The position of the unit after each one in its session; -1 for none."""
    after = np.full(len(previous), -1, np.int64)
    has = np.flatnonzero(previous >= 0)
    after[previous[has]] = has
    return after


def stretch(scores: FloatArray, around: Lines) -> FloatArray:
    """The mean of the scores of a unit and of the eight before and after it; none count as 0."""
    total, turn, spare = (np.empty_like(scores) for _ in range(3))
    total[:] = scores
    for back in (True, False):
        turn[:] = scores
        for step in range(len(STEPS)):
            _add(turn, turn, around, step, spare, back=back)
        _add(total, turn, around, 0, spare, back=back)
    total /= np.float32(17)
    return total


def stretch_at(scores: FloatArray, around: Lines, at: IntArray) -> FloatArray:
    """What `stretch` gives those `at`."""
    total = scores[at]
    for one, _, four in (around.before, around.after):
        for begin in (at, np.where(at < 0, -1, four[at])):
            step = begin
            for _ in range(4):
                step = np.where(step < 0, -1, one[step])
                total += np.where(step < 0, np.float32(0), scores[step])
    return total / np.float32(17)


def smeared(
    scores: FloatArray, around: Lines, before: Sequence[float], after: Sequence[float],
    room: tuple[FloatArray, FloatArray] | None = None,
) -> FloatArray:  # fmt: skip
    """Scores with those of the one and two `before` and `after`, weighed.

    `room` is where it is worked, and what it then lies in is the first of it.
    """
    total, spare = room or tuple(np.empty_like(scores) for _ in range(2))
    total[:] = scores
    for back, weights in ((True, before), (False, after)):
        for step, weight in enumerate(weights):
            _add(total, scores, around, step, spare, back=back, weight=weight)
    return total


def _add(
    to: FloatArray, scores: FloatArray, around: Lines, step: int, spare: FloatArray, *,
    back: bool, weight: float = 1.0,
) -> None:  # fmt: skip
    """Add to each the weighed score of the one that is a step before or after it in its line."""
    far = STEPS[step]
    if around.beside is None:
        neighbour = (around.before if back else around.after)[step]
        beside_each = np.append(scores, np.float32(0))[neighbour]
        to += beside_each if weight == 1 else beside_each * np.float32(weight)
        return
    beside = around.beside[step]
    one, other = (beside.at, beside.of) if back else (beside.of, beside.at)
    # Taken before anything is added: `to` and `scores` may be the same.
    elsewhere = scores[other] * np.float32(weight)
    if len(to) > far:
        early, late, shared = slice(None, -far), slice(far, None), spare[far:]
        np.multiply(scores[early if back else late], beside.mask[late], out=shared)
        if weight != 1:
            shared *= np.float32(weight)
        to[late if back else early] += shared
    to[one] += elsewhere


def _parted(mine: IntArray, previous: IntArray, said: IntArray) -> IntArray:
    """Each one's preceding unit, but none where a pause lies between `mine` and what it said."""
    known = (previous >= 0) & (mine != NEVER) & (said[previous] != NEVER)
    apart = known & (np.abs(mine - said[previous]) > PAUSE)
    return np.where(apart, -1, previous) if apart.any() else previous


def _doubled(step: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    two = np.append(step, -1)[step]
    return step, two, np.append(two, -1)[two]
