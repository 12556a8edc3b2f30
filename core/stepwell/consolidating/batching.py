"""Which tasks of the queue are worked on together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from stepwell.contracts import LATER, Work

#: Turns that are cut into traces in one transaction, about.
STEP = 512
#: Tasks about one record each, of which many come to nothing.
ONE_BY_ONE = frozenset({"extract", "organize"})


def batches(tasks: Sequence[Work]) -> Iterator[list[Work]]:
    """What is best done together: segmenting, so that a session is read once; slow keys."""
    yield from _full([task for task in tasks if task.kind == "segment"], STEP)
    for kind, some in groupby(tasks, key=lambda task: task.kind):
        if kind in ONE_BY_ONE:
            yield list(some)
        elif kind not in ("segment", "later"):
            yield from ([task] for task in some)
    yield from _full([task for task in tasks if task.kind == "later"], LATER)


def _full(tasks: Sequence[Work], most: int) -> Iterator[list[Work]]:
    """Batches that are about so many records at most, or of one task."""
    together: list[Work] = []
    for task in tasks:
        if together and _size([*together, task]) > most:
            yield together
            together = []
        together.append(task)
    if together:
        yield together


def _size(tasks: Sequence[Work]) -> int:
    """How many records tasks are about at most."""
    return sum((task.until or 0) - (task.ref or 0) + 1 for task in tasks)
