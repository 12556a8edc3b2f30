"""Opening a SQLite file safely."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
import time
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from stepwell.defaults.sqlite.forking import inside
from stepwell.defaults.sqlite.meanings import Connection, Statements, Told, typed_errors
from stepwell.defaults.sqlite.schema import APPLICATION_ID, MIGRATIONS, VERSION
from stepwell.defaults.sqlite.shapes import strangers
from stepwell.errors import (
    NotAStore,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreTooNew,
)  # fmt: skip

C = TypeVar("C", bound=sqlite3.Connection)

MEMORY = ":memory:"
#: Bytes of the smallest database: one page of the smallest size.
SMALLEST = 512
#: How long a writer waits for another process's transaction, in seconds.
PATIENCE = 60.0
#: Bytes of what SQLite keeps room by, and how much of it is to be left on a disk of less.
_BLOCK, _ROOM = 4096, 256 * 1024
#: What every connection is of, beneath ours. Fault-injection tests put their own here.
CONNECTION: type[sqlite3.Connection] = sqlite3.Connection
#: Bytes of the largest value or row that is read or written: far more than any of ours takes.
LARGEST = 32 * 1024 * 1024

#: SQLite's numbers: no tampering with the schema, no triggers, no views.
_DEFENSIVE, _TRIGGERS, _VIEWS = 1010, 1003, 1015
_HARDENED = ((_DEFENSIVE, True), (_TRIGGERS, False), (_VIEWS, False))


def connect(path: str, *, read_only: bool = False) -> Connection:
    """A connection in autocommit mode, with everything set that safety rests on.

    The file exists already (see `prepare`). Raises the StoreError family.
    """
    with typed_errors(path):
        return _connect(path, Connection, read_only=read_only)


def connect_damaged(path: str) -> Connection:
    """A connection to read what can be read of a damaged store, also where it is cut off.

    Raises the StoreError family; NotAStore, StoreDamaged where not even the tables can be told.
    """
    with typed_errors(path):
        connection = _connect(path, Connection, read_only=True, damaged=True)
        try:
            _recognised(connection, path)
            connection.execute("PRAGMA cell_size_check = OFF")  # a bad cell spoils no good one
        except BaseException:
            connection.close()
            raise
        return connection


def _connect(path: str, kind: type[C], *, read_only: bool, damaged: bool = False) -> C:
    """As `connect`, of any kind. Raises sqlite3.Error."""
    if path == MEMORY:
        target, uri = MEMORY, False
    else:
        # Where nobody can write, nothing is needed beside the file to read it by.
        mode = "rw" if not read_only else "ro&immutable=1" if _fixed(path) else "ro"
        target, uri = f"file:{quote(path)}?mode={mode}", True
    with inside:
        connection = sqlite3.connect(
            target, uri=uri, isolation_level=None, timeout=PATIENCE, check_same_thread=False,
            cached_statements=256, factory=_upon(kind),
        )  # fmt: skip
    assert isinstance(connection, kind)  # noqa: S101 - made by its factory
    if isinstance(connection, Connection):
        connection.path = path
    try:
        # Neither views nor triggers of a hostile file may call anything; see also `strangers`.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST)
        harden: Any = getattr(connection, "setconfig", None)  # from Python 3.12 on
        for setting, on in _HARDENED if harden is not None else ():
            harden(setting, on and not damaged)
        if damaged:  # or SQLite reads nothing of a file that is shorter than it says
            connection.execute("PRAGMA writable_schema = ON")
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


def _fixed(path: str) -> bool:
    """Whether a file lies on a read-only file system."""
    return hasattr(os, "statvfs") and bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def crowded(path: str) -> bool:
    """Whether a disk of small blocks is nearly full.

    SQLite keeps room for what its processes share by the page. Where blocks are smaller than that,
    the room may be missing when it is needed, and the system ends the process for it.
    """
    if path == MEMORY or not hasattr(os, "statvfs"):
        return False
    disk = os.statvfs(os.path.dirname(path))  # noqa: PTH120 - as the path of a store is made
    return disk.f_frsize < _BLOCK and disk.f_bavail * disk.f_frsize < _ROOM


def _upon(kind: type[C]) -> type[sqlite3.Connection]:
    """A kind of connection, upon what tests have put beneath it."""
    if issubclass(CONNECTION, kind):
        return CONNECTION
    if CONNECTION is sqlite3.Connection:
        return Told
    return type("Both", (kind, CONNECTION, Statements), {})


def prepare(path: str, *, read_only: bool) -> None:
    """See that the path is a store of ours, creating an empty one if nothing is there.

    Nothing that exists is changed before it is known to be ours. Raises NotAStore, StoreTooNew,
    StoreReadOnly, StoreGone, or StoreDamaged.
    """
    if not exists(path, read_only=read_only):
        return
    with typed_errors(path):
        try:
            _recognise(path, read_only=True)
        except sqlite3.OperationalError as error:
            if read_only or error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
                raise
            # Whoever was killed while the file was made has left a journal, and only a writer may
            # take back what it tells of.
            _recognise(path, read_only=False)


def exists(path: str, *, read_only: bool) -> bool:
    """See that the path may be a store; whether there was anything to look at.

    Raises NotAStore, StoreReadOnly, StoreGone.
    """
    if path == MEMORY:
        return False
    file = Path(path)
    try:
        found = file.stat()
    except FileNotFoundError:
        if read_only:
            raise NotAStore(f"{path}: there is no such file to open read-only") from None
        _create(file)
        return False
    except (OSError, ValueError) as error:
        raise NotAStore(f"{path}: cannot be opened ({type(error).__name__})") from None
    if not stat.S_ISREG(found.st_mode):
        raise NotAStore(f"{path}: not a regular file")
    if _fixed(path):
        _take_as_it_is(path, read_only=read_only)
    if 0 < found.st_size < SMALLEST:
        # SQLite would take it for an empty database, and write over it.
        raise NotAStore(f"{path}: the file is not a stepwell store; nothing was changed")
    return True


def _take_as_it_is(path: str, *, read_only: bool) -> None:
    """See that a file on a read-only file system can be read by itself."""
    if not read_only:
        raise StoreReadOnly(f"{path}: lies on a read-only file system; open it by read_only=True")
    logs = [Path(path + end) for end in ("-wal", "-journal")]
    if any(log.exists() and log.stat().st_size for log in logs):
        raise StoreReadOnly(
            f"{path}: lies on a read-only file system with a log that is to be worked in first; "
            "open a copy of both in another folder"
        )


def _create(file: Path) -> None:
    if not file.parent.is_dir():
        raise NotAStore(f"{file}: there is no folder {file.parent}")
    try:
        # New, so that no connection of ours can lose its locks by this descriptor; 0600 from the
        # first moment, and SQLite gives its side files the same mode.
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        if file.is_symlink() and not file.exists():
            raise NotAStore(f"{file}: a link that leads nowhere") from None
    except OSError as error:
        kind = StoreFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreReadOnly
        raise kind(f"{file}: cannot be created ({error.strerror})") from None


def _recognise(path: str, *, read_only: bool) -> None:
    # Read-only: closing a writable connection would write a crashed writer's log into the file.
    with inside:
        probe = _connect(path, sqlite3.Connection, read_only=read_only)
        try:
            _recognised(probe, path)
        finally:
            probe.close()


def _recognised(probe: sqlite3.Connection, path: str) -> None:
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
    elif version < 0 or strangers(probe, version):
        raise StoreDamaged(
            f"{path}: its tables are not as stepwell makes them, or hold triggers or views; "
            "nothing was changed"
        )


def migrate(connection: Connection, path: str, *, read_only: bool) -> None:
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
            with contextlib.suppress(StoreError):
                connection.execute("ROLLBACK")
            raise


# PRAGMA takes no bound values; these are built from constants of ours only.
_STAMP = "PRAGMA application_id = 1400133484"
_STEPS = ("PRAGMA user_version = 1",)
assert int(_STAMP.rsplit("=", 1)[1]) == APPLICATION_ID  # noqa: S101 - both are constants
assert len(_STEPS) == VERSION  # noqa: S101 - both are constants


def _use_wal(connection: Connection) -> None:
    # Two processes that create one file: SQLite's busy handler is not asked for this switch.
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except StoreBusy:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
