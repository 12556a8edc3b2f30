"""A scope as a page to be read: insights and tasks first, then each session, day by day."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime

from stepwell.contracts import ScopeRow, StoreReader
from stepwell.filters import Filter
from stepwell.models import Kind, Record, Status

_PAGE = 500
_MANY = 2**62
_RUN = re.compile("`+")
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_MARKS = re.compile(r"([\\`*_{}\[\]<>()#+!|~-])")


class Page:
    """Tells a scope in Markdown. What was said stands in fences that it cannot close."""

    def __init__(self, reader: StoreReader, row: ScopeRow, where: Filter | None) -> None:
        self._reader = reader
        self._row = row
        self._where = where

    def derived(self) -> Iterator[str]:
        """Everything active that was made of the turns, most abstract first; tasks after it."""
        above = ~Filter(level=0) if self._where is None else self._where & ~Filter(level=0)
        tasks = Filter(kind=Kind.TASK, level=1)
        yield from self._list("Insights", above & ~tasks, lambda r: f"{r.kind}, level {r.level}")
        yield from self._list("Tasks", above & tasks, _outcome)

    def _list(self, title: str, where: Filter, about: Callable[[Record], str]) -> Iterator[str]:
        found = self._reader.select(self._row, where, 0, _MANY)
        levels = {entry[0]: entry[2] for entry in self._reader.entries(self._row, found)}
        for place, ref in enumerate(sorted(found, key=lambda ref: (-levels[ref], ref))):
            if not place:
                yield f"## {title}\n\n"
            for _, record in self._reader.load(self._row, [ref]):
                yield f"**{about(record)}** ({_when(record.said_at)})\n\n{fenced(record.text)}\n"

    def sessions(self) -> Iterator[tuple[str, int, int]]:
        """The turns by session and day: (text, turns told so far, turns in all)."""
        wanted = Filter(level=0) if self._where is None else self._where & Filter(level=0)
        sessions: dict[str | None, list[tuple[int, int]]] = {}
        refs = self._reader.select(self._row, wanted, 0, _MANY)
        for start in range(0, len(refs), _PAGE):
            for entry in self._reader.entries(self._row, refs[start : start + _PAGE]):
                said = entry[6] if entry[6] is not None else entry[7]
                sessions.setdefault(entry[10], []).append((said, entry[0]))
        done, total = 0, len(refs)
        for session, turns in sessions.items():
            title = "Without a session" if session is None else plain(session)
            yield f"## {title}\n\n", done, total
            day: str | None = None
            for _, ref in sorted(turns):
                done += 1
                for _, record in self._reader.load(self._row, [ref]):
                    heading = ""
                    if _day(record.said_at) != day:
                        day = _day(record.said_at)
                        heading = f"### {day}\n\n"
                    yield heading + _turn(record), done, total


def fenced(text: str) -> str:
    """A text in a fence longer than any run of such marks in it."""
    longest = max((len(run) for run in _RUN.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}\n"


def plain(text: str) -> str:
    """A name on one line, in which no mark of Markdown means anything."""
    return _MARKS.sub(r"\\\1", _ODD.sub(" ", text[:500]))


def _turn(record: Record) -> str:
    who = plain(record.actor or record.role or "unknown")
    status = "" if record.status is Status.ACTIVE else f", {record.status}"
    parts = [f"**{who}** ({_when(record.said_at)}{status})\n\n"]
    if record.text:
        parts.append(fenced(record.text))
    for name, said in (("action", record.action), ("observation", record.observation)):
        if said:
            parts.append(f"{name}:\n\n{fenced(said)}")
    parts += [f"attached: {plain(a.ref)} {plain(a.caption)}\n" for a in record.attachments]
    return "".join(parts) + "\n"


def _outcome(record: Record) -> str:
    outcome = record.payload.get("outcome")
    return f"outcome {outcome}" if isinstance(outcome, int | float) else "open"


def _when(when: datetime | None) -> str:
    return "time unknown" if when is None else f"{when:%Y-%m-%d %H:%M} UTC"


def _day(when: datetime | None) -> str:
    return "Day unknown" if when is None else f"{when:%Y-%m-%d}"
