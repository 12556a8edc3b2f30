"""Numbers of several scopes, as numbers of their store."""

from __future__ import annotations

from collections import Counter

from stepwell.models import Stats


def summed(one: Stats, other: Stats) -> Stats:
    """Both together."""
    times = [when for when in (one.first, one.last, other.first, other.last) if when is not None]
    return Stats(
        records=dict(Counter(one.records) + Counter(other.records)),
        aside=dict(Counter(one.aside) + Counter(other.aside)),
        edges=one.edges + other.edges, slots=one.slots + other.slots,
        documents=one.documents + other.documents, waiting=one.waiting + other.waiting,
        parked=one.parked + other.parked, forgotten=one.forgotten + other.forgotten,
        first=min(times, default=None), last=max(times, default=None),
        levels=dict(sorted((Counter(one.levels) + Counter(other.levels)).items())),
        scopes=one.scopes + other.scopes,
    )  # fmt: skip
