"""Score-level fusion: the weighted sum of what channels found, place by place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stepwell.contracts import BoolArray, Candidates, FloatArray, IntArray, Plan
from stepwell.errors import PluginFailed
from stepwell.searching import ScopeView, Side


@dataclass(slots=True)
class Fused:
    """The scores of one side, place by place, and what each channel gave to them."""

    side: Side
    scores: FloatArray
    shares: dict[str, FloatArray]
    spans: IntArray
    allowed: BoolArray | None


def fuse(side: Side, answers: Sequence[Candidates], plan: Plan, allowed: BoolArray | None) -> Fused:
    """One score in [0, 1] for every place: the weighted sum of all channels, over what it could be.

    `allowed` are the places that the question's filter lets through. A channel's share of the score
    is kept, so that a hit can say why.
    """
    total = np.zeros(len(side), np.float32)
    shares: dict[str, FloatArray] = {}
    spans = np.full((len(side), 2), -1, np.int64)
    strongest = np.zeros(len(side), np.float32)
    weights = {a.channel: float(plan.weights.get(a.channel, 1.0)) for a in answers}
    scale = sum(w for w in weights.values() if w > 0) or 1.0
    for a in answers:
        share = np.float32(weights[a.channel] / scale) * a.scores
        total[a.places] += share
        dense = shares.setdefault(a.channel, np.zeros(len(side), np.float32))
        dense[a.places] += share
        if a.spans is not None:
            better = share > strongest[a.places]
            spans[a.places[better]] = a.spans[better]
            strongest[a.places[better]] = share[better]
    if side.seen is not None:
        total = np.where(side.seen, total, np.float32(0))
    return Fused(side, np.clip(total, 0, 1), shares, spans, allowed)


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


def candidates_of(name: str, answer: object, side: Side, view: ScopeView) -> list[Candidates]:
    """A search policy's answer, checked. Raises PluginFailed."""
    if isinstance(answer, PluginFailed):
        raise answer
    if isinstance(answer, Candidates):
        answer = [answer]
    if isinstance(answer, Mapping):
        answer = list(answer.items())
    wrong = PluginFailed(f"plugin {name!r} failed in hook 'search': no candidates of this scope")
    if not isinstance(answer, (list, tuple)):
        raise wrong
    if answer and all(isinstance(a, Candidates) for a in answer):
        made = [a for a in answer if _sound(a, len(side))]
        if len(made) != len(answer):
            raise wrong
        return made
    places, scores = [], []
    for pair in answer:
        if not (isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], str)):
            raise wrong
        place = view.place_of_id(side, pair[0])
        if place is None or not isinstance(pair[1], (int, float)) or pair[1] != pair[1]:
            raise wrong
        places.append(place)
        scores.append(pair[1])
    found = dict(zip(places, scores, strict=True))
    return [
        Candidates(
            name,
            np.array(list(found), np.int64),
            np.clip(np.array(list(found.values()), np.float32), 0, 1),
        )
    ]


def _sound(c: Candidates, size: int) -> bool:
    places, scores = np.asarray(c.places), np.asarray(c.scores)
    return (
        isinstance(c.channel, str)
        and places.ndim == 1
        and places.shape == scores.shape
        and places.dtype.kind in "iu"
        and (not len(places) or (int(places.min()) >= 0 and int(places.max()) < size))
        and _distinct(places)
        and bool(np.isfinite(scores).all())
        and (not len(scores) or (float(scores.min()) >= 0.0 and float(scores.max()) <= 1.0 + 1e-6))
    )


def _distinct(places: IntArray) -> bool:
    # Ascending, as the view's own answers are: sorting 100,000 places costs more than the search.
    return bool((np.diff(places) > 0).all()) or len(np.unique(places)) == len(places)
