"""The vector of what groups others: the mean of theirs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stepwell.models import EdgeKind, Key, Record
from stepwell.searching.dense import VECTORS
from stepwell.searching.view import ScopeView


def averaged(view: ScopeView, keys: Sequence[Key], members: Sequence[str]) -> tuple[Key, ...]:
    """The keys, but the vector of what groups others is the mean of theirs."""
    space = view.models.space
    if space is None or not members or not keys:
        return tuple(keys)
    mean = view.vectors(members).sum(axis=0)
    norm = float(np.linalg.norm(mean))
    if norm == 0:
        return tuple(keys)
    kept = [key for key in keys if (key.channel, key.space) != (VECTORS, space)]
    return (*kept, Key(channel=VECTORS, space=space, body=(mean / norm).astype("<f4").tobytes()))


def members_of(view: ScopeView, record: Record) -> list[str]:
    """The ids of the records that one groups."""
    if record.level == 0:
        return []
    edges = view.links([record.id], EdgeKind.CONTAINS).get(record.id, ())
    return [edge.target for edge in edges]
