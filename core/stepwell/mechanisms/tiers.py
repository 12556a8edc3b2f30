"""Memory in tiers of a limited size: what stays, and what is to go, in which order.

Pure functions over lists in order of arrival, oldest first. They say what leaves a tier; whether
it moves on or is hidden is the caller's affair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

T = TypeVar("T")

#: In which order a full tier loses what it holds.
Eviction = Literal["fifo", "lfu", "heat"]


def ring(items: Sequence[T], capacity: int) -> tuple[Sequence[T], Sequence[T]]:
    """The newest `capacity` items, and those that they push out, oldest first."""
    split = max(0, len(items) - max(0, capacity))
    return items[split:], items[:split]


def least(items: Sequence[T], scores: Sequence[float], capacity: int) -> list[T]:
    """What goes so that `capacity` items stay: lowest scores first, of equals the oldest."""
    surplus = max(0, len(items) - max(0, capacity))
    order = sorted(range(len(items)), key=lambda place: scores[place])
    return [items[place] for place in order[:surplus]]


def evicted(
    items: Sequence[T],
    capacity: int,
    order: Eviction,
    *,
    uses: Sequence[float] = (),
    heats: Sequence[float] = (),
) -> list[T]:
    """What a tier loses: the first come (fifo), the least used (lfu), or the coldest (heat)."""
    if order == "fifo":
        return list(ring(items, capacity)[1])
    return least(items, uses if order == "lfu" else heats, capacity)
