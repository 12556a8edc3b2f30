"""How hot something is: how often it was asked for, how much it holds, how lately it was visited.

Heat is worked out anew whenever it is read, from counts and from the time of the last visit: a
heat that was stored is that of a moment which has passed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: Seconds after which a visit counts for a factor of e less: a day.
TAU = 86_400.0


def recency(age: npt.ArrayLike, tau: float = TAU) -> FloatArray:
    """exp(-age / tau) of ages in seconds: 1 for now and for what is still to come, 0 for never.

    Never is an age of infinity.
    """
    return np.exp(-np.maximum(np.asarray(age, np.float64), 0.0) / tau)


def heat(
    visits: npt.ArrayLike,
    length: npt.ArrayLike,
    age: npt.ArrayLike,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    gamma: float = 1.0,
    tau: float = TAU,
) -> FloatArray:
    """The sum alpha visits + beta length + gamma exp(-age / tau), of one thing or of many."""
    counted = alpha * np.asarray(visits, np.float64) + beta * np.asarray(length, np.float64)
    return np.asarray(counted + gamma * recency(age, tau))
