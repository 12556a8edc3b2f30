"""A disk as it is after a power cut: from the log of what a process did to its files.

What was synchronised is there. Of what came after that, anything may be there or not: each sector
of a write by itself, a change of size, a name in a folder. See `power.c` for the log.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_HEAD = struct.Struct("<ciqI")
#: What a disk writes at once.
SECTOR = 512


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log: an operation, a file descriptor, a number, and bytes."""

    what: str
    fd: int
    number: int
    held: bytes


def read_log(path: Path) -> list[Entry]:
    """All entries, in order."""
    data, at, entries = path.read_bytes(), 0, []
    while at < len(data):
        what, fd, number, count = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        entries.append(Entry(what.decode(), fd, number, data[at : at + count]))
        at += count
    return entries


def mark(entry: Entry) -> list[Any]:
    """What the process said itself."""
    said: list[Any] = json.loads(entry.held)
    return said


@dataclass(slots=True)
class _File:
    """What is surely on the disk of a file, and what was done to it since."""

    sure: bytearray = field(default_factory=bytearray)
    since: list[Entry] = field(default_factory=list)

    def sync(self) -> None:
        for entry in self.since:
            _do(self.sure, entry.what, entry.number, entry.held)
        self.since.clear()


def _do(held: bytearray, what: str, number: int, data: bytes) -> None:
    if what == "W":
        if number > len(held):
            held.extend(bytes(number - len(held)))
        held[number : number + len(data)] = data
    elif number < len(held):
        del held[number:]
    else:
        held.extend(bytes(number - len(held)))


class Disk:
    """The files of one folder, entry by entry."""

    def __init__(self) -> None:
        self._sure: dict[str, _File] = {}
        self._now: dict[str, _File] = {}
        self._since: list[tuple[str, str, _File]] = []
        self._open: dict[int, _File | None] = {}

    @property
    def unsure(self) -> int:
        """How much may be there or not."""
        return len(self._since) + sum(len(each.since) for each in self._now.values())

    def step(self, entry: Entry) -> None:
        """What one entry of the log does."""
        name = entry.held.decode() if entry.what in "OU" else ""
        if entry.what == "O":
            if entry.number:
                self._now[name] = _File()
                self._since.append(("made", name, self._now[name]))
            self._open[entry.fd] = self._now[name] if name else None
        elif entry.what == "X":
            del self._open[entry.fd]
        elif entry.what == "U":
            self._since.append(("gone", name, self._now.pop(name)))
        elif entry.what == "R":
            was, now = entry.held.decode().split("\0")
            self._now[now] = self._now.pop(was)
            self._since += [("made", now, self._now[now]), ("gone", was, self._now[now])]
        elif entry.what in "WTS":
            file = self._open[entry.fd]
            if entry.what != "S":
                assert file is not None
                file.since.append(entry)
            elif file is not None:
                file.sync()
            else:
                self._sure = dict(self._now)
                self._since.clear()

    def cut(self, draw: random.Random) -> dict[str, bytes]:
        """The files after a power cut now."""
        names = dict(self._sure)
        likely = _likely(draw)
        for what, name, file in self._since:
            if draw.random() >= likely:
                continue
            if what == "made":
                names[name] = file
            else:
                names.pop(name, None)
        return {name: _after(file, draw) for name, file in names.items()}


def _likely(draw: random.Random) -> float:
    """How much of what is not sure is there."""
    return draw.choice((0.0, 0.05, 0.5, 0.5, 0.95, 1.0))


def _after(file: _File, draw: random.Random) -> bytes:
    held, likely, torn = bytearray(file.sure), _likely(draw), draw.random() < 0.5
    for entry in file.since:
        if entry.what == "W" and torn:
            _tear(held, entry, likely, draw)
        elif draw.random() < likely:
            _do(held, entry.what, entry.number, entry.held)
    return bytes(held)


def _tear(held: bytearray, entry: Entry, likely: float, draw: random.Random) -> None:
    """Some of the sectors of a write."""
    at = 0
    while at < len(entry.held):
        end = min(len(entry.held), at + SECTOR - (entry.number + at) % SECTOR)
        if draw.random() < likely:
            _do(held, "W", entry.number + at, entry.held[at:end])
        at = end


def places(entries: Sequence[Entry], count: int, draw: random.Random) -> list[int]:
    """So many places to cut the power at, ascending; half of them where something was just said.

    A place is the number of entries that had been done by then.
    """
    said = [at + 1 for at, entry in enumerate(entries) if entry.what == "M"]
    early = [at for at in range(len(entries)) if at < 60]  # the file is being made
    chosen = []
    for _ in range(count):
        chance = draw.random()
        if chance < 0.5:
            # At once, or some entries later: what was promised must be there all the same.
            chosen.append(min(len(entries), draw.choice(said) + draw.choice((0, 0, 1, 5, 30))))
        elif chance < 0.55:
            chosen.append(draw.choice(early))
        else:
            chosen.append(draw.randrange(len(entries) + 1))
    return sorted(chosen)
