"""Confidence intervals: how far a mean could lie off with other conversations of the same kind."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ROUNDS: Final = 2000
LEVEL: Final = 0.95


class Estimate(NamedTuple):
    """A mean and the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def decided(self) -> bool:
        """Whether the interval leaves zero out: of a gain, whether it is more than noise."""
        return self.low > 0 or self.high < 0


class Resamples:
    """A bootstrap that draws whole conversations, and then questions within each of them.

    Questions of one conversation are not independent, so drawing questions alone would promise too
    much. All scores are weighted by the same draws: a difference of two rankers over the same
    questions is paired, and a category is a part of the same samples.
    """

    def __init__(
        self, clusters: Sequence[Hashable], *, seed: int = 0, rounds: int = ROUNDS
    ) -> None:
        """`clusters` names the conversation of each question, in the order of the scores."""
        if not clusters:
            raise ValueError("there is no question to draw from")
        members: dict[Hashable, list[int]] = {}
        for place, cluster in enumerate(clusters):
            members.setdefault(cluster, []).append(place)
        draw = np.random.default_rng(seed)
        count = len(members)
        times = draw.multinomial(count, np.full(count, 1 / count), size=rounds)
        # A conversation that is drawn twice gives twice as many questions, drawn anew each time.
        self._weights = np.zeros((rounds, len(clusters)), np.float32)
        for column, places in enumerate(members.values()):
            size = len(places)
            self._weights[:, places] = draw.multinomial(
                times[:, column] * size, np.full(size, 1 / size)
            )

    def estimate(self, values: Floats, where: npt.NDArray[np.bool_] | None = None) -> Estimate:
        """The mean of one score over its questions, or over those `where`, with its interval."""
        return self.estimates(values[:, None], where)[0]

    def estimates(
        self, values: Floats, where: npt.NDArray[np.bool_] | None = None
    ) -> list[Estimate]:
        """As `estimate`, of each column. ValueError when `where` leaves no question."""
        chosen = slice(None) if where is None else where
        rows, weights = values[chosen], self._weights[:, chosen]
        if not len(rows):
            raise ValueError("there is no question to take a mean of")
        total = weights.sum(axis=1)
        # A sample may hold no question of a category that few conversations have.
        held = total > 0
        means = weights[held].astype(np.float64) @ rows / total[held, None]
        tail = (1 - LEVEL) / 2
        low, high = np.quantile(means, (tail, 1 - tail), axis=0)
        return [
            Estimate(float(m), float(lo), float(hi))
            for m, lo, hi in zip(rows.mean(axis=0), low, high, strict=True)
        ]
