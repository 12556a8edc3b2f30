"""Groups as records: the edges to their members, and a vector that is the mean of theirs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from stepwell.contracts import FloatArray, View
from stepwell.models import Edge, EdgeKind, Key, Record
from stepwell.ops import Link, Rekey


def normal(total: FloatArray) -> FloatArray:
    """A vector of length 1 in the same direction; zeros stay zeros."""
    norm = float(np.linalg.norm(total))
    return np.asarray(total / norm if norm > 0 else total, np.float32)


def links(group: str, members: Iterable[str]) -> list[Link]:
    """Ops that put members into a group."""
    return [Link(edge=Edge(source=group, kind=EdgeKind.CONTAINS, target=name)) for name in members]


def keys(view: View, record: Record, mean: FloatArray) -> tuple[Key, ...]:
    """Keys of a group: of its words, and the mean of its members' vectors for that of its text."""
    made, own = view.keys(record), _key(view, mean)
    if own is None or not made:
        return made
    return (*(key for key in made if (key.channel, key.space) != (own.channel, own.space)), own)


def rekeyed(view: View, group: str, mean: FloatArray) -> list[Rekey]:
    """Ops that give a group another mean; none without an embedder."""
    own = _key(view, mean)
    if own is None:
        return []
    return [Rekey(id=group, channel=own.channel, space=own.space, keys=(own,))]


def _key(view: View, mean: FloatArray) -> Key | None:
    space = view.models.space
    if space is None or not np.any(mean):
        return None
    return Key(channel="vectors", space=space, body=mean.astype("<f4").tobytes())
