"""What can still be read of a damaged file, row by row."""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from stepwell.errors import StoreError

Row = tuple[Any, ...]

#: Higher than any number of a row.
_TOP: Final = 2**40
#: A span that cannot be read is halved; so often at most in one table.
_HALVED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Table:
    """How the rows of a table are read from one number to another, and put into another file.

    `at` is the column whose value tells how far reading has come; `hashed` says that it is a hash,
    whose first four bytes are the number; `scoped` that one scope is read after the other.
    """

    read: str
    write: str
    at: int
    scoped: bool = True
    hashed: bool = False


#: In the order in which they are read; scopes are known first.
TABLES: Final[dict[str, Table]] = {
    "scopes": Table(
        "SELECT * FROM scopes WHERE scope >= ? AND scope < ? ORDER BY scope",
        "INSERT OR IGNORE INTO scopes VALUES (?, ?, ?, ?, ?)", 0, scoped=False,
    ),
    "bodies": Table(
        "SELECT * FROM bodies WHERE body >= ? AND body < ? ORDER BY body",
        "INSERT OR IGNORE INTO bodies VALUES (?, ?, ?)", 0, scoped=False,
    ),
    "contents": Table(
        "SELECT * FROM contents WHERE ref >= ? AND ref < ? ORDER BY ref",
        "INSERT OR IGNORE INTO contents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", 0, scoped=False,
    ),
    "keys": Table(
        "SELECT * FROM keys WHERE kid >= ? AND kid < ? ORDER BY kid",
        "INSERT OR IGNORE INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", 0, scoped=False,
    ),
    "records": Table(
        "SELECT * FROM records WHERE ref >= ? AND ref < ? AND scope = ? ORDER BY ref",
        "INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", 1,
    ),
    "handles": Table(
        "SELECT * FROM handles WHERE handle >= ? AND handle < ? AND scope = ? ORDER BY handle",
        "INSERT OR IGNORE INTO handles VALUES (?, ?, ?, ?)", 1, hashed=True,
    ),
    "edges": Table(
        "SELECT * FROM edges NOT INDEXED WHERE source >= ? AND source < ? AND scope = ? "
        "ORDER BY source",
        "INSERT OR IGNORE INTO edges VALUES (?, ?, ?, ?, ?, ?)", 1,
    ),
    "journal": Table(
        "SELECT * FROM journal NOT INDEXED WHERE pos >= ? AND pos < ? AND scope = ? ORDER BY pos",
        "INSERT OR IGNORE INTO journal VALUES (?, ?, ?, ?, ?, ?, ?)", 1,
    ),
    "work": Table(
        "SELECT * FROM work WHERE wid >= ? AND wid < ? AND scope = ? ORDER BY wid",
        "INSERT OR IGNORE INTO work VALUES (?, ?, ?, ?, ?, ?, ?)", 1,
    ),
    "slots": Table(
        "SELECT * FROM slots WHERE mac >= ? AND mac < ? AND scope = ? ORDER BY mac",
        "INSERT OR IGNORE INTO slots VALUES (?, ?, ?, ?)", 1, hashed=True,
    ),
    "usage": Table(
        "SELECT * FROM usage WHERE ref >= ? AND ref < ? AND scope = ? ORDER BY ref",
        "INSERT OR IGNORE INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?)", 1,
    ),
    "documents": Table(
        "SELECT * FROM documents WHERE space >= ? AND space < ? AND scope = ? ORDER BY space",
        "INSERT OR IGNORE INTO documents VALUES (?, ?, ?, ?, ?, ?, ?)", 1, hashed=True,
    ),
}  # fmt: skip


#: Facts that are written as JSON.
_JSON = ("preset", "screens")


class Salvage:
    """Reads a file that may be damaged. `unread` are tables of which something was not read."""

    def __init__(self, source: sqlite3.Connection) -> None:
        self._source = source
        self.unread: set[str] = set()

    def facts(self) -> dict[str, str]:
        """What the file says of itself, as far as it can be understood."""
        told = {}
        for name, value in self._all("meta", "SELECT name, value FROM meta"):
            try:
                told[str(name)] = str(value)
                if name in _JSON:
                    json.loads(value)
            except (TypeError, ValueError, RecursionError):
                self.unread.add("meta")
                del told[str(name)]
        return told

    def numbers(self) -> dict[str, int]:
        """The last number that was given out of each table."""
        return dict(self._all("numbers", "SELECT name, seq FROM sqlite_sequence"))

    def _all(self, name: str, sql: str) -> Iterator[Row]:
        try:
            yield from self._source.execute(sql)
        except StoreError:
            self.unread.add(name)

    def rows(self, name: str, scopes: range) -> Iterator[Row]:
        """The rows of a table that can be read; some of them perhaps twice."""
        table = TABLES[name]
        if not table.scoped:
            yield from self._spans(name, table, ())
            return
        for scope in scopes:
            yield from self._spans(name, table, (scope,))

    def _spans(self, name: str, table: Table, bound: Row) -> Iterator[Row]:
        # Breadth first: what is sound is read before the budget is spent on what is not.
        waiting = deque([(0, 2**32 if table.hashed else _TOP)])
        number: Callable[[Any], int] = _first if table.hashed else int
        edge: Callable[[int], Any] = _edge if table.hashed else int
        halved = 0
        while waiting:
            low, high = waiting.popleft()
            try:
                for row in self._source.execute(table.read, (edge(low), edge(high), *bound)):
                    low = max(low, number(row[table.at]))
                    yield row
            except (StoreError, TypeError, ValueError):
                self.unread.add(name)
                halved += 1
                if high - low > 1 and halved <= _HALVED:
                    middle = (low + high) // 2
                    waiting += [(low, middle), (middle, high)]


def _first(hashed: bytes) -> int:
    return int.from_bytes(hashed[:4].ljust(4, b"\x00"), "big")


def _edge(number: int) -> bytes:
    return b"\xff" * 32 if number >= 2**32 else number.to_bytes(4, "big")
