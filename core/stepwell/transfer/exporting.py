"""A scope is written to a file, line by line, as it is at one moment."""

from __future__ import annotations

import contextlib
import heapq
import os
import secrets
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from stepwell.contracts import EdgeRow, ScopeRow, Store, StoreReader
from stepwell.errors import ExportFailed
from stepwell.filters import Filter, names_field
from stepwell.models import Record, Report, Usage, storable
from stepwell.transfer.lines import (
    WAITS,
    EdgeLine,
    document_told,
    header,
    slot_told,
    told,
    written,
)
from stepwell.transfer.pages import Page, plain

_PAGE = 500
_MANY = 2**62
#: Names of records that are kept at hand.
_KNOWN = 20_000

Progress = Callable[[int, int], None]


class Target(Protocol):
    """What an export is written to."""

    def write(self, text: str, /) -> Any: ...


class Exporter:
    """Writes scopes of one store."""

    def __init__(
        self, store: Store, clock: Callable[[], datetime], preset: Callable[[], str]
    ) -> None:
        self._store = store
        self._clock = clock
        self._preset = preset

    def lines(
        self, path: tuple[str, ...], to: Target, where: Filter | None, progress: Progress | None
    ) -> Report:
        """Everything of a scope; with a filter its turns, and what rests on nothing else."""
        counts = dict.fromkeys(("turns", "derived", "slots", "documents"), 0)
        to.write(written(header(path, self._preset())))
        with self._store.reading() as reader:
            row = reader.scope_of(path)
            if row is not None:
                for name, line in self._told(reader, row, where, progress):
                    to.write(line)
                    counts[name] += 1
        to.write(written({"end": counts}))
        return Report(counts)

    def markdown(
        self, path: tuple[str, ...], to: Target, where: Filter | None, progress: Progress | None
    ) -> Report:
        """The scope as a page to be read: what was made of the turns, then the turns."""
        counts = {"turns": 0}
        to.write(f"# {plain(' / '.join(path))}\n\n")
        with self._store.reading() as reader:
            row = reader.scope_of(path)
            if row is not None:
                page = Page(reader, row, where)
                for text in page.derived():
                    to.write(text)
                for text, done, total in page.sessions():
                    to.write(text)
                    counts["turns"] = done
                    if progress is not None and (done % _PAGE == 0 or done == total):
                        progress(done, total)
        return Report(counts)

    def _told(
        self, reader: StoreReader, row: ScopeRow, where: Filter | None, progress: Progress | None
    ) -> Iterator[tuple[str, str]]:
        walk = _Walk(reader, row, where)
        total = walk.total
        for done, (record, edges, usage, waits) in enumerate(walk.records(), 1):
            yield "turns" if record.turn else "derived", written(told(record, edges, usage, waits))
            if progress is not None and (done % _PAGE == 0 or done == total):
                progress(done, total)
        if where is not None:
            return
        for slot in reader.slots(row):
            yield "slots", written(slot_told(slot))
        for document in self._store.documents(reader, row, at=self._clock()):
            yield "documents", written(document_told(document))


class _Walk:
    """The records of a scope in the order of the file: as they came.

    But what rests on something that came later stands after that.
    """

    def __init__(self, reader: StoreReader, row: ScopeRow, where: Filter | None) -> None:
        self._reader = reader
        self._row = row
        self._where = where
        self._active = where is not None and not names_field(where, "status")
        self._names: dict[int, str] = {}
        self._chosen: set[int] | None = None if where is None else set()
        self._held: dict[int, Record] = {}
        self._last = 0
        self._waits = _spans(reader, row)
        self.total = reader.count(row, where, active=self._active)

    def records(self) -> Iterator[tuple[Record, list[EdgeLine], Usage, list[str]]]:
        """Records, each with its edges to those before it, its ledger's line, and its work."""
        waiting: dict[int, list[int]] = {}
        left: dict[int, int] = {}
        after = 0
        while refs := self._reader.select(self._row, None, after, _PAGE, False):
            self._choose(refs)
            for ref, record in self._reader.load(self._row, refs):
                if not self._may(ref, record):
                    continue
                self._last, self._held[ref] = ref, record
                self._name(ref, record)
                below = {b for b in self._below(ref, record) if b > ref or b in self._held}
                if below:
                    left[ref] = len(below)
                    for b in below:
                        waiting.setdefault(b, []).append(ref)
                    continue
                ready = [ref]
                while ready:
                    now = heapq.heappop(ready)
                    one = self._held.pop(now)
                    yield one, self._edges(now), self._usage(now), self._works(now, one)
                    for above in waiting.pop(now, ()):
                        left[above] -= 1
                        if not left[above]:
                            heapq.heappush(ready, above)
            after = refs[-1]

    def _choose(self, refs: Sequence[int]) -> None:
        """Note which turns of a page the filter picks."""
        if self._chosen is not None and self._where is not None:
            turns = self._where & Filter(level=0)
            first, last = refs[0], refs[-1]
            found = self._reader.select(self._row, turns, first - 1, len(refs), self._active)
            self._chosen.update(ref for ref in found if ref <= last)

    def _may(self, ref: int, record: Record) -> bool:
        """Whether a record is chosen: a turn by itself, another if all is that it rests on."""
        if self._chosen is None:
            return True
        if record.turn is None:
            self._chosen.discard(ref)
            if not self._chosen.issuperset(self._below(ref, record)):
                return False
            self._chosen.add(ref)
        return ref in self._chosen

    def _below(self, ref: int, record: Record) -> list[int]:
        return [] if record.turn is not None else self._reader.origins(self._row, ref)

    def _edges(self, ref: int) -> list[EdgeLine]:
        """Edges to what stands before a record in the file, and to itself."""
        found: list[EdgeLine] = []
        for edge in self._reader.edges(self._row, ref):
            other = edge.target if edge.source == ref else edge.source
            chosen = self._chosen is None or other in self._chosen
            if chosen and other <= self._last and other not in self._held:
                found.append(_line(edge, ref, self._known(other)))
        return sorted(found, key=lambda e: (e.kind, e.to is None, e.to or e.of or ""))

    def _usage(self, ref: int) -> Usage:
        return self._reader.usage(self._row, ref)

    def _works(self, ref: int, record: Record) -> list[str]:
        return [
            kind for kind, spans in self._waits.items()
            if _within(spans, ref) and (kind != "segment" or record.turn is not None)
        ]  # fmt: skip

    def _known(self, ref: int) -> str:
        """A record's name in edges."""
        known = self._names.get(ref)
        if known is None:
            ((_, record),) = self._reader.load(self._row, [ref])
            known = self._name(ref, record)
        return known

    def _name(self, ref: int, record: Record) -> str:
        if len(self._names) >= _KNOWN:
            self._names.clear()
        known = self._names[ref] = record.turn or record.id
        return known


def _line(edge: EdgeRow, ref: int, other: str) -> EdgeLine:
    out = edge.source == ref
    return EdgeLine(
        kind=edge.kind, to=other if out else None, of=None if out else other, weight=edge.weight,
        label=edge.label, sources=edge.sources,
    )  # fmt: skip


def _spans(reader: StoreReader, row: ScopeRow) -> dict[str, list[tuple[int, int]]]:
    """The records about which work is queued, by its kind, as spans that do not overlap."""
    found: dict[str, list[tuple[int, int]]] = {kind: [] for kind in WAITS}
    for parked in (False, True):
        for work in reader.work(row, _MANY, parked):
            if work.kind in found and work.ref is not None:
                found[work.kind].append((work.ref, work.until or work.ref))
    for kind, spans in found.items():
        joined: list[tuple[int, int]] = []
        for first, last in sorted(spans):
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(joined[-1][1], last))
            else:
                joined.append((first, last))
        found[kind] = joined
    return found


def _within(spans: Sequence[tuple[int, int]], ref: int) -> bool:
    place = bisect_right(spans, (ref, _MANY))
    return place > 0 and spans[place - 1][1] >= ref


@contextlib.contextmanager
def opened(to: object) -> Iterator[Target]:
    """What to write to: a new file, whole or not there at all, or what is written to already."""
    if not isinstance(to, (str, os.PathLike)):
        if not hasattr(to, "write"):
            raise ExportFailed("export takes a path, or a file that is open for text")
        yield to
        return
    target: Any = os.fspath(to)
    try:
        storable(target)
    except (TypeError, ValueError):
        raise ExportFailed("export takes a path as text that UTF-8 can hold") from None
    # Nobody else is to read it, or to know before what it is called.
    place, part = Path(target), Path(f"{target}.{secrets.token_hex(6)}.part")
    try:
        if place.exists():
            raise ExportFailed(f"{target}: there is a file already; an export never overwrites")
        handle = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with open(handle, "w", encoding="utf-8", newline="\n") as file:  # noqa: PTH123 - a handle
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.rename(place)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ExportFailed(f"{target}: cannot be written ({error.strerror})") from None
