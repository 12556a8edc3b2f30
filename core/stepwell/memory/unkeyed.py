"""The records that lack keys: who they are, and the tasks of the queue that are about them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from stepwell.committing import left_spaces
from stepwell.contracts import ScopeRow, Store, StoreReader, Work
from stepwell.filters import Filter
from stepwell.models import Status
from stepwell.searching import VECTORS

_MANY = 2**62

Lacking = Callable[[StoreReader, ScopeRow], list[int]]


class Unkeyed:
    """Looks through the scopes of a file for records that lack keys, and queues them."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def pages(self, after: int = 0) -> Iterator[list[ScopeRow]]:
        while True:
            with self._store.reading() as reader:
                page = reader.scopes(after, 100)
            if not page:
                return
            yield page
            after = page[-1].number

    def queue(self, kind: str, size: int, lacking: Lacking) -> None:
        """Queue what lacks keys and is in no task yet, in tasks of at most so many records."""
        for page in self.pages():
            short: list[tuple[ScopeRow, list[tuple[int, int]]]] = []
            for row in page:
                with self._store.reading() as reader:
                    refs = lacking(reader, row)
                    refs = _beside(refs, [t for t in tasks(reader, row) if t.kind == kind])
                    every = reader.select(row, None, 0, _MANY, active=False) if refs else []
                short.append((row, _spans(refs, every, size)))
            if not any(spans for _, spans in short):
                continue
            with self._store.writing(self._clock()) as writer:
                for row, spans in short:
                    for first, last in spans if writer.again(row) is not None else ():
                        writer.enqueue(row, kind, first, last)

    def waiting(self) -> int:
        """How many records the queued keys are about."""
        waiting = 0
        for page in self.pages():
            for row in page:
                with self._store.reading() as reader:
                    queued = [task for task in tasks(reader, row) if task.kind == "keys"]
                    refs = reader.select(row, None, 0, _MANY, active=False) if queued else []
                    silent = stale(reader, row) if queued else set()
                refs = [ref for ref in refs if ref not in silent]
                for task in queued:
                    first, last = task.ref or 0, task.until or 0
                    waiting += bisect_right(refs, last) - bisect_left(refs, first)
        return waiting


def tasks(reader: StoreReader, row: ScopeRow) -> list[Work]:
    """All tasks of a scope, parked ones too."""
    return reader.work(row, _MANY) + reader.work(row, _MANY, parked=True)


def stale(reader: StoreReader, row: ScopeRow) -> set[int]:
    """Records without a text to make keys of."""
    return set(reader.select(row, Filter(status=Status.STALE), 0, _MANY, active=False))


def holders(reader: StoreReader, row: ScopeRow) -> list[int]:
    """Records that hold a vector of an embedder that the file has left."""
    left = left_spaces(reader).intersection(space for _, space, _ in reader.spaces(row))
    if not left:
        return []
    every = set(reader.select(row, None, 0, _MANY, active=False))
    return sorted({ref for s in left for ref in every - set(reader.keyless(row, VECTORS, s))})


def _beside(refs: Sequence[int], tasks: Sequence[Work]) -> list[int]:
    """Those that no task is about."""
    found: list[int] = []
    spans = sorted((task.ref or 0, task.until or 0) for task in tasks)
    reached, at = -1, 0
    for ref in refs:
        while at < len(spans) and spans[at][0] <= ref:
            reached, at = max(reached, spans[at][1]), at + 1
        if ref > reached:
            found.append(ref)
    return found


def _spans(refs: Sequence[int], every: Sequence[int], size: int) -> list[tuple[int, int]]:
    """First and last of runs of `refs`; at most `size` of `every` lie in each. Both ascend."""
    spans: list[tuple[int, int]] = []
    begun = -size
    for ref in refs:
        place = bisect_left(every, ref)
        if place - begun < size:
            spans[-1] = (spans[-1][0], ref)
        else:
            spans.append((ref, ref))
            begun = place
    return spans
