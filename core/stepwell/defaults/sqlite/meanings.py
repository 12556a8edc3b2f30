"""What SQLite's errors mean to a user of stepwell, said where they happen."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from stepwell.defaults.sqlite.forking import inside
from stepwell.errors import (
    NotAStore,
    StoreBusy,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreGone,
    StoreReadOnly,
)  # fmt: skip

_MEANINGS: tuple[tuple[set[int], type[StoreError], str], ...] = (
    ({sqlite3.SQLITE_FULL}, StoreFull, "the disk or a quota is full; nothing was written"),
    ({sqlite3.SQLITE_READONLY}, StoreReadOnly, "the store is read-only; open a writable copy"),
    (
        {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED},
        StoreBusy,
        "another process held the write lock for too long; try again",
    ),
    ({sqlite3.SQLITE_NOTADB}, NotAStore, "the file is not a stepwell store; nothing was changed"),
    (
        {sqlite3.SQLITE_CORRUPT},
        StoreDamaged,
        "the file is damaged; keep a copy, and restore a backup",
    ),
    (
        {sqlite3.SQLITE_TOOBIG},
        StoreDamaged,
        "a value is larger than any that stepwell stores; run check()",
    ),
    ({sqlite3.SQLITE_CANTOPEN}, StoreGone, "the file or its folder cannot be opened"),
)
#: What of it is about the folder.
_BESIDE = {sqlite3.SQLITE_READONLY_DIRECTORY, sqlite3.SQLITE_READONLY_CANTINIT}
#: What Python makes of SQLite's errors: a MemoryError of SQLITE_NOMEM.
_ERRORS = (sqlite3.Error, MemoryError)


def meaning(error: sqlite3.Error | MemoryError, path: str) -> StoreError:
    """The typed error for what SQLite says. It names the file, and never a bound value."""
    if isinstance(error, MemoryError):
        return StoreError(f"{path}: there is not enough memory; nothing was changed")
    code = getattr(error, "sqlite_errorcode", None)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if code in _BESIDE:
        return StoreReadOnly(
            f"{path}: SQLite has to write beside the file, even to read it, and may not; open a "
            f"copy in another folder ({name})"
        )
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:  # no room for what processes share
        code = sqlite3.SQLITE_FULL
    if code is not None:
        for codes, kind, words in _MEANINGS:
            if code & 0xFF in codes:
                return kind(f"{path}: {words} ({name})")
    if "closed" in str(error):
        return StoreClosed(f"{path}: the store was closed during the call")
    if "decode" in str(error):
        return StoreDamaged(f"{path}: a text is no UTF-8; run check()")
    return StoreError(f"{path}: SQLite reports {name}; nothing was changed")


@contextlib.contextmanager
def typed_errors(path: str) -> Iterator[None]:
    """Turns SQLite's errors into typed ones that hold no remembered text."""
    try:
        yield
    except _ERRORS as error:
        problem = meaning(error, path)
    else:
        return
    raise problem


class Rows(sqlite3.Cursor):
    """Rows whose reading raises typed errors."""

    connection: Connection

    def __del__(self) -> None:
        # Left to Python, the statement would end with the object, outside.
        with inside, contextlib.suppress(sqlite3.Error):
            self.close()

    def _ended(self, error: sqlite3.Error | MemoryError) -> StoreError:
        # Whoever keeps the error keeps these rows; the statement must not keep its locks with them.
        problem = meaning(error, self.connection.path)
        with inside, contextlib.suppress(sqlite3.Error):
            self.close()
        return problem

    def fetchone(self) -> Any:
        try:
            with inside:
                return super().fetchone()
        except _ERRORS as error:
            problem = self._ended(error)
        raise problem

    def fetchall(self) -> list[Any]:
        try:
            with inside:
                return super().fetchall()
        except _ERRORS as error:
            problem = self._ended(error)
        raise problem

    def __next__(self) -> Any:
        try:
            with inside:
                return super().__next__()
        except _ERRORS as error:
            problem = self._ended(error)
        raise problem


class Connection(sqlite3.Connection):
    """A connection whose statements raise typed errors.

    At the statement, and not where the transaction ends: between the two stands whoever asks the
    store on somebody's behalf, a policy say, and would be blamed for what the store fails in.
    """

    path = ""

    def cursor(self, factory: Callable[..., Any] | None = None) -> Any:
        """Rows of ours."""
        return super().cursor(factory or Rows)

    def execute(self, sql: str, bound: Any = (), /) -> sqlite3.Cursor:
        """One statement."""
        try:
            with inside:
                rows = super().execute(sql, bound)
        except _ERRORS as error:
            problem = meaning(error, self.path)
        else:
            return rows
        raise problem

    def executemany(self, sql: str, bound: Any, /) -> sqlite3.Cursor:
        """One statement for many."""
        try:
            with inside:
                rows = super().executemany(sql, bound)
        except _ERRORS as error:
            problem = meaning(error, self.path)
        else:
            return rows
        raise problem

    def close(self) -> None:
        """Close it."""
        with inside:
            super().close()


class Statements(sqlite3.Connection):
    """Runs statements by cursors of its own kind: sqlite3's shortcut makes plain ones."""

    def execute(self, sql: str, bound: Any = (), /) -> sqlite3.Cursor:
        """One statement."""
        rows: sqlite3.Cursor = self.cursor().execute(sql, bound)
        return rows

    def executemany(self, sql: str, bound: Any, /) -> sqlite3.Cursor:
        """One statement for many."""
        rows: sqlite3.Cursor = self.cursor().executemany(sql, bound)
        return rows


class Told(Connection, Statements):
    """A connection as it is where nothing is put beneath it."""
