"""Turns that somebody has pinned, by `payload={"pinned": True}`, take part in every recall."""

from stepwell import Filter, Kind, Plan, View, hookimpl

name = "pinned"
PINNED = Filter(payload={"pinned": True}, kind=Kind.EPISODE)


@hookimpl
def search(plan: Plan, view: View) -> list[tuple[str, float]]:
    """A channel of recall: the pinned turns, the latest first, each with a score from 0 to 1."""
    turns = view.records(PINNED, limit=1_000)
    return [(turn.id, 1 / place) for place, turn in enumerate(reversed(turns), 1)]
