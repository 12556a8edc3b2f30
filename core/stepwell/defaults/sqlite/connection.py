"""Opening a SQLite file safely, and what its errors mean to a user of stepwell."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from stepwell.defaults.sqlite.schema import APPLICATION_ID, MIGRATIONS, VERSION
from stepwell.errors import (
    NotAStore,
    StoreBusy,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreGone,
    StoreReadOnly,
    StoreTooNew,
)  # fmt: skip

MEMORY = ":memory:"
#: Bytes of the smallest database: one page of the smallest size.
SMALLEST = 512
#: How long a writer waits for another process's transaction, in seconds.
PATIENCE = 60.0
#: The class of every connection. Fault-injection tests put their own here.
CONNECTION: type[sqlite3.Connection] = sqlite3.Connection

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
    ({sqlite3.SQLITE_CANTOPEN}, StoreGone, "the file or its folder cannot be opened"),
)


def meaning(error: sqlite3.Error, path: str) -> StoreError:
    """The typed error for what SQLite says. It names the file, and never a bound value."""
    code = getattr(error, "sqlite_errorcode", None)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if code is not None:
        for codes, kind, words in _MEANINGS:
            if code & 0xFF in codes:
                return kind(f"{path}: {words} ({name})")
    if "closed" in str(error):
        return StoreClosed(f"{path}: the store was closed during the call")
    return StoreError(f"{path}: SQLite reports {name}; nothing was changed")


@contextlib.contextmanager
def typed_errors(path: str) -> Iterator[None]:
    """Turns SQLite's errors into typed ones that hold no remembered text."""
    try:
        yield
    except sqlite3.Error as error:
        problem = meaning(error, path)
    else:
        return
    raise problem


def connect(path: str, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode, with everything set that safety rests on.

    The file exists already (see `prepare`). Raises sqlite3.Error.
    """
    if path == MEMORY:
        target, uri = MEMORY, False
    else:
        target, uri = f"file:{quote(path)}?mode={'ro' if read_only else 'rw'}", True
    connection = sqlite3.connect(
        target,
        uri=uri,
        isolation_level=None,
        timeout=PATIENCE,
        check_same_thread=False,
        cached_statements=256,
        factory=CONNECTION,
    )
    try:
        # Neither views nor triggers of a hostile file may call anything.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA cache_size = -32000")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(path: str, *, read_only: bool) -> None:
    """See that the path is a store of ours, creating an empty one if nothing is there.

    Nothing that exists is changed before it is known to be ours. Raises NotAStore, StoreTooNew,
    StoreReadOnly, StoreGone, or StoreDamaged.
    """
    if path == MEMORY:
        return
    file = Path(path)
    try:
        found = file.stat()
    except FileNotFoundError:
        if read_only:
            raise NotAStore(f"{path}: there is no such file to open read-only") from None
        _create(file)
        return
    except (OSError, ValueError) as error:
        raise NotAStore(f"{path}: cannot be opened ({type(error).__name__})") from None
    if not stat.S_ISREG(found.st_mode):
        raise NotAStore(f"{path}: not a regular file")
    if 0 < found.st_size < SMALLEST:
        # SQLite would take it for an empty database, and write over it.
        raise NotAStore(f"{path}: the file is not a stepwell store; nothing was changed")
    with typed_errors(path):
        try:
            _recognise(path, read_only=True)
        except sqlite3.OperationalError as error:
            if read_only or error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
                raise
            # Whoever was killed while the file was made has left a journal, and only a writer may
            # take back what it tells of.
            _recognise(path, read_only=False)


def _create(file: Path) -> None:
    if not file.parent.is_dir():
        raise NotAStore(f"{file}: there is no folder {file.parent}")
    try:
        # New, so that no connection of ours can lose its locks by this descriptor; 0600 from the
        # first moment, and SQLite gives its side files the same mode.
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreReadOnly(f"{file}: cannot be created ({error.strerror})") from None


def _recognise(path: str, *, read_only: bool) -> None:
    # Read-only: closing a writable connection would write a crashed writer's log into the file.
    probe = connect(path, read_only=read_only)
    try:
        ours = probe.execute("PRAGMA application_id").fetchone()[0]
        version = probe.execute("PRAGMA user_version").fetchone()[0]
        if ours != APPLICATION_ID:
            others = probe.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            if ours or version or others:
                raise NotAStore(f"{path}: another program's database; nothing was changed")
        elif version > VERSION:
            raise StoreTooNew(
                f"{path}: written by a newer stepwell (schema {version}, this one knows "
                f"{VERSION}); upgrade stepwell to open it. Nothing was changed"
            )
    finally:
        probe.close()


def migrate(connection: sqlite3.Connection, path: str, *, read_only: bool) -> None:
    """Bring the file to the newest schema, one transaction a step."""
    if read_only:
        if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            raise StoreReadOnly(f"{path}: of an older schema; open it once writable to migrate it")
        return
    if path != MEMORY:
        _use_wal(connection)
    while True:
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version >= VERSION:
                connection.execute("ROLLBACK")
                return
            for statement in MIGRATIONS[version]:
                connection.execute(statement)
            connection.execute(_STAMP)
            connection.execute(_STEPS[version])
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise


# PRAGMA takes no bound values; these are built from constants of ours only.
_STAMP = "PRAGMA application_id = 1400133484"
_STEPS = ("PRAGMA user_version = 1",)
assert int(_STAMP.rsplit("=", 1)[1]) == APPLICATION_ID  # noqa: S101 - both are constants
assert len(_STEPS) == VERSION  # noqa: S101 - both are constants


def _use_wal(connection: sqlite3.Connection) -> None:
    # Two processes that create one file: SQLite's busy handler is not asked for this switch.
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
