"""Score-level fusion: the weighted sum of what channels found, place by place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stepwell.contracts import BoolArray, Candidates, FloatArray, IntArray, Plan
from stepwell.searching import Side

#: How many places of a list are picked, of how many times as many; and how near is beside.
_HEAD = 20
_POOL = 80
_BESIDE = 2


@dataclass(frozen=True, slots=True)
class Fused:
    """The scores of one side, place by place, and the weighted answers that they are sums of."""

    side: Side
    scores: FloatArray
    parts: tuple[Candidates, ...]
    allowed: BoolArray | None

    def why(self, places: Sequence[int]) -> list[dict[str, float]]:
        """What each channel gave to the score of each of some places."""
        made: list[dict[str, float]] = [{} for _ in places]
        wanted = np.asarray(places, np.int64)
        for part in self.parts:
            if not len(part.places):
                continue
            at = np.minimum(np.searchsorted(part.places, wanted), len(part.places) - 1)
            given = np.where(part.places[at] == wanted, part.scores[at], np.float32(0))
            for row, share in enumerate(given.tolist()):
                if share != 0:
                    made[row][part.channel] = made[row].get(part.channel, 0.0) + share
        return made

    def spans(self, places: Sequence[int]) -> list[tuple[int, int] | None]:
        """The characters that the strongest channel found at each place; None: the whole text."""
        wanted = np.asarray(places, np.int64)
        strongest = np.zeros(len(wanted), np.float32)
        found = np.full((len(wanted), 2), -1, np.int64)
        for part in self.parts:
            if part.spans is None or not len(part.places):
                continue
            at = np.minimum(np.searchsorted(part.places, wanted), len(part.places) - 1)
            better = (part.places[at] == wanted) & (part.scores[at] > strongest)
            strongest[better] = part.scores[at][better]
            found[better] = part.spans[at][better]
        return [(begin, end) if begin >= 0 else None for begin, end in found.tolist()]


def fuse(side: Side, answers: Sequence[Candidates], plan: Plan, allowed: BoolArray | None) -> Fused:
    """One score in [0, 1] for every place: the weighted sum of all channels, over what it could be.

    `allowed` are the places that the question's filter lets through. A channel's share of the score
    is kept, so that a hit can say why.
    """
    total = np.zeros(len(side), np.float32)
    answers = _replaced(answers, plan.instead)
    weights = {a.channel: float(plan.weights.get(a.channel, 1.0)) for a in answers}
    scale = sum(w for w in weights.values() if w > 0) or 1.0
    parts = []
    for a in answers:
        share = np.float32(weights[a.channel] / scale) * a.scores
        total[a.places] += share
        parts.append(Candidates(a.channel, a.places, share, a.spans))
    if side.seen is not None:
        total = np.where(side.seen, total, np.float32(0))
    return Fused(side, np.clip(total, 0, 1, out=total), tuple(parts), allowed)


def _replaced(answers: Sequence[Candidates], instead: Mapping[str, str]) -> Sequence[Candidates]:
    """The answers, with one channel in another's place where a plan says so."""
    for old, new in instead.items():
        olds = [a for a in answers if a.channel == old]
        news = [a for a in answers if a.channel == new]
        if len(olds) == len(news) == 1:
            others = [a for a in answers if a.channel not in (old, new)]
            answers = [*others, _completed(news[0], olds[0])]
    return answers


def _completed(new: Candidates, old: Candidates) -> Candidates:
    """An answer, with another's scores for the places that it does not speak of; by place."""
    left = ~np.isin(old.places, new.places)
    places = np.concatenate([new.places, old.places[left]])
    scores = np.concatenate([new.scores, old.scores[left]])
    whole = np.full((len(places), 2), -1, np.int64)
    if new.spans is not None:
        whole[: len(new.places)] = new.spans
    if old.spans is not None:
        whole[len(new.places) :] = old.spans[left]
    order = np.argsort(places, kind="stable")
    return Candidates(new.channel, places[order], scores[order], whole[order])


def top_places(fused: Fused, k: int, least: float = 0.0) -> IntArray:
    """At most k places with a score above `least`: best first, then latest, then by id."""
    scores = fused.scores
    wanted = scores > least
    if fused.allowed is not None:
        wanted &= fused.allowed
    if fused.side.seen is not None:
        wanted &= fused.side.seen
    places = np.flatnonzero(wanted)
    if k <= 0 or not len(places):
        return places[:0]
    if len(places) > k:
        edge = np.partition(scores[places], len(places) - k)[len(places) - k]
        places = places[scores[places] >= edge]
    cache = fused.side.cache
    ids = np.array([cache.ids[p] for p in places], "S16")
    order = np.lexsort((ids, -cache.columns["said"][places], -scores[places]))
    return np.asarray(places[order][:k])


def spread_places(fused: Fused, k: int, spread: float) -> tuple[IntArray, FloatArray]:
    """As `top_places`, but what was said beside a better place counts less, by `spread`; scores.

    So a list that was told over many sessions is not crowded out by what surrounds one of its
    items. It matters at the head alone: nobody wants a list of more than a few.
    """
    places = top_places(fused, max(k, _POOL))
    left = fused.scores[places].astype(np.float64)
    session = fused.side.cache.columns["session"][places]
    waiting = np.ones(len(places), np.bool_)
    for _ in range(min(_HEAD, len(places)) if spread > 0 else 0):
        best = int(np.argmax(np.where(waiting, left, -1.0)))
        waiting[best] = False
        near = (session == session[best]) & (np.abs(places - places[best]) <= _BESIDE)
        left[near & waiting] *= 1 - min(spread, 1.0)
    order = np.argsort(-left, kind="stable")[: max(k, 0)]
    return np.asarray(places[order]), np.asarray(left[order])
