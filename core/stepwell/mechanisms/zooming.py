"""How closely to look at each part of a hierarchy, so that all of it fits a budget."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence


def zoom(
    roots: Iterable[str],
    members: Callable[[str], Sequence[str]],
    size: Callable[[str], float],
    cost: Callable[[str], int],
    budget: int,
) -> list[str]:
    """What to show: the roots, each taken apart into its members for as long as there is room.

    The largest by `size` come first, both to be shown and to be taken apart; equal ones in the
    order given. What belongs to several is shown once. A part whose members do not all fit is
    shown itself, and beside it the largest of them. Takes n log n steps for n names that are shown
    or tried.
    """
    shown: dict[str, None] = {}
    spent = 0
    number = 0
    heap: list[tuple[float, int, str]] = []
    for name in sorted(dict.fromkeys(roots), key=lambda name: -size(name)):
        price = cost(name)
        if spent + price <= budget:
            shown[name] = None
            spent += price
            heapq.heappush(heap, (-size(name), number, name))
            number += 1
    seen = set(shown)
    while heap:
        _, _, name = heapq.heappop(heap)
        parts = [part for part in members(name) if part not in seen]
        if not parts:
            continue
        prices = {part: cost(part) for part in parts}
        room = budget - spent
        if sum(prices.values()) - cost(name) <= room:
            del shown[name]
            spent -= cost(name)
        else:
            # Not all of it: its whole, and beside it what it has most of.
            parts = _fitting(sorted(parts, key=lambda part: -size(part)), prices, room)
        for part in parts:
            spent += prices[part]
            shown[part] = None
            seen.add(part)
            heapq.heappush(heap, (-size(part), number, part))
            number += 1
    return list(shown)


def _fitting(parts: Sequence[str], prices: Mapping[str, int], room: int) -> list[str]:
    """Those that fit, in order: up to the first that does not."""
    taken: list[str] = []
    for part in parts:
        room -= prices[part]
        if room < 0:
            break
        taken.append(part)
    return taken
