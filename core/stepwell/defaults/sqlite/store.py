"""The embedded store: connections, transactions, forks, threads."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from stepwell.defaults.sqlite.checking import problems
from stepwell.defaults.sqlite.connection import MEMORY, connect, migrate, prepare, typed_errors
from stepwell.defaults.sqlite.documents import DocumentKeeper
from stepwell.defaults.sqlite.purging import Purger
from stepwell.defaults.sqlite.reading import Reader
from stepwell.errors import (
    StoreBusy,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreGone,
    StoreReadOnly,
)
from stepwell.models import Problem

# Connections that a forked child inherited. Closing one there could disturb the parent's file.
_inherited: list[object] = []


#: Idle connections that are kept for the next reader.
_IDLE = 16
#: How long closing waits for reads under way, in seconds.
_LAST_READS = 10.0


class _Open:
    """Everything that belongs to one process: left behind after a fork."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self.writer: sqlite3.Connection | None = None
        self.idle: list[sqlite3.Connection] = []
        self.reads = 0
        self.gate = threading.Condition()
        self.closed = False
        self.pending = False


class SqliteStore(DocumentKeeper):
    """A Store in one SQLite file, or in memory under the path ":memory:".

    One connection writes (`BEGIN IMMEDIATE` always), and every read has one of its own. A store in
    memory has one connection, and calls take turns. Raises the StoreError family.
    """

    def __init__(self, path: str, *, read_only: bool = False) -> None:
        super().__init__()
        self.path = path if path == MEMORY else _absolute(path)
        self.read_only = read_only
        self._closed = False
        self._open = _Open()
        prepare(self.path, read_only=read_only)
        with typed_errors(self.path):
            first = connect(self.path, read_only=read_only)
            try:
                migrate(first, self.path, read_only=read_only)
                self._secret = self._file_secret(first)
                self._open.pending = self._is_erasing(first)
            except BaseException:
                first.close()
                raise
        self._open.writer = first
        self._identity = self._stat()

    def _file_secret(self, db: sqlite3.Connection) -> bytes:
        row = db.execute("SELECT value FROM meta WHERE name = 'secret'").fetchone()
        if row is None and not self.read_only:
            fresh = secrets.token_bytes(32).hex()
            db.execute("INSERT OR IGNORE INTO meta VALUES ('secret', ?)", (fresh,))
            row = db.execute("SELECT value FROM meta WHERE name = 'secret'").fetchone()
        try:
            return bytes.fromhex(row[0])
        except (TypeError, ValueError):
            raise StoreDamaged(f"{self.path}: the file has no readable secret") from None

    @staticmethod
    def _is_erasing(db: sqlite3.Connection) -> bool:
        return (
            db.execute("SELECT 1 FROM meta WHERE name IN ('erasing', 'rebuilding')").fetchone()
            is not None
        )

    # life -------------------------------------------------------------------------------------

    def _stat(self) -> tuple[int, int] | None:
        if self.path == MEMORY:
            return None
        try:
            found = Path(self.path).stat()
        except OSError:
            raise StoreGone(f"{self.path}: the file was removed or cannot be reached") from None
        return found.st_dev, found.st_ino

    def _live(self) -> _Open:
        """This process's connections, new ones after a fork, if the file is still ours."""
        if self._closed:
            raise StoreClosed(f"{self.path}: the store is closed")
        live = self._open
        if live.pid != os.getpid():
            if self.path == MEMORY:
                raise StoreClosed(":memory: does not survive a fork; use a file")
            _inherited.append(live)
            live = self._open = _Open()
            live.pending = True
        if self._stat() != self._identity:
            raise StoreGone(f"{self.path}: the file was replaced while it was open; open it again")
        return live

    def _writer(self, live: _Open) -> sqlite3.Connection:
        if live.writer is None:
            live.writer = connect(self.path, read_only=self.read_only)
        return live.writer

    @contextlib.contextmanager
    def _reader(self, live: _Open) -> Iterator[sqlite3.Connection]:
        """A connection that nobody else reads through meanwhile, in a transaction of its own."""
        with live.gate:
            if live.closed:
                raise StoreClosed(f"{self.path}: the store is closed")
            live.reads += 1
            db = live.idle.pop() if live.idle else None
        try:
            if db is None:
                db = connect(self.path, read_only=True)
            db.execute("BEGIN")
            try:
                yield db
            finally:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
        finally:
            self._read(live, db)

    @staticmethod
    def _read(live: _Open, db: sqlite3.Connection | None) -> None:
        """A read is over: its connection, if it had one, waits for the next, or is closed."""
        with live.gate:
            live.reads -= 1
            keep = not live.closed and len(live.idle) < _IDLE
            if db is not None and keep:
                live.idle.append(db)
            live.gate.notify_all()
        if db is not None and not keep:
            db.close()

    def close(self) -> None:
        """Close every connection of this process, after the reads and writes under way."""
        if self._closed:
            return
        live = self._open
        if live.pid != os.getpid():
            _inherited.append(live)
            self._closed = True
            return
        with contextlib.suppress(StoreError):
            self.settle()
        self._closed = True
        with live.gate:
            live.closed = True
            live.gate.wait_for(lambda: not live.reads, _LAST_READS)
            for db in live.idle:
                db.close()
            live.idle.clear()
        with live.lock:
            if live.writer is not None:
                live.writer.close()

    # transactions -----------------------------------------------------------------------------

    @contextlib.contextmanager
    def reading(self) -> Iterator[Reader]:
        """A read transaction: everything read in it is of one moment."""
        live = self._live()
        if self.path == MEMORY:
            with live.lock, typed_errors(self.path):
                yield Reader(self._writer(live), self.path, self._secret)
            return
        with typed_errors(self.path), self._reader(live) as db:
            yield Reader(db, self.path, self._secret)

    @contextlib.contextmanager
    def writing(self, now: datetime | None = None) -> Iterator[Purger]:
        """A write transaction: all of it is committed when the block ends, or none of it."""
        live = self._live()
        if self.read_only:
            raise StoreReadOnly(f"{self.path}: opened read-only")
        with live.lock, typed_errors(self.path):
            db = self._writer(live)
            db.execute("BEGIN IMMEDIATE")
            try:
                writer = Purger(db, self.path, self._secret)
                writer.start(now or datetime.now(UTC))
                yield writer
                writer.finish()
                db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise

    # upkeep -----------------------------------------------------------------------------------

    @property
    def size(self) -> tuple[int, int]:
        """Bytes of the file, and of its write-ahead log."""
        with self.reading() as reader:
            db = reader.connection
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            each = db.execute("PRAGMA page_size").fetchone()[0]
        log = 0
        if self.path != MEMORY:
            with contextlib.suppress(OSError):
                log = Path(f"{self.path}-wal").stat().st_size
        return pages * each, log

    @property
    def pending(self) -> bool:
        """Whether forgotten bytes may still lie in the write-ahead log."""
        return self._open.pending

    def settle(self, patience: float = 0.2) -> bool:
        """Take forgotten bytes out of the write-ahead log; whether none are left.

        Another process that is reading an older moment can make this impossible for a while.
        """
        live = self._live()
        if self.read_only:
            return not live.pending
        # Without patience, not even for a writer of this process: readers ask on their way.
        if not live.lock.acquire(blocking=patience > 0):
            return False
        try:
            with typed_errors(self.path):
                live.pending = not self._settled(live, self._writer(live), patience)
        except StoreBusy:
            live.pending = True
        finally:
            live.lock.release()
        return not live.pending

    def _settled(self, live: _Open, db: sqlite3.Connection, patience: float) -> bool:
        erasing = db.execute("SELECT value FROM meta WHERE name = 'erasing'").fetchone()
        if db.execute("SELECT 1 FROM meta WHERE name = 'rebuilding'").fetchone() is not None:
            self._rebuild(live)  # a compaction was cut short
        if self.path != MEMORY:
            db.execute(_NOW if patience <= 0 else _SHORT if patience < 1 else _LONG)
        try:
            if self.path != MEMORY and db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                return False
            # Only what was there before: another process may have begun to erase since.
            if erasing is not None:
                db.execute("DELETE FROM meta WHERE name = 'erasing' AND value = ?", erasing)
        finally:
            db.execute(_USUAL)
        return True

    def mark_pending(self) -> None:
        """Remember that forgotten bytes wait in the write-ahead log."""
        self._open.pending = True

    def check(self) -> list[Problem]:
        """Everything that is wrong inside of the file; empty when all is well."""
        live = self._live()
        if self.path == MEMORY:
            with live.lock, typed_errors(self.path):
                return list(problems(self._writer(live)))
        with typed_errors(self.path), self._reader(live) as db:
            return list(problems(db))

    def compact(self) -> int:
        """Drop blanked rows and rebuild the file; how many rows went. Blocks writers meanwhile."""
        live = self._live()
        with live.lock:
            with self.writing() as writer:
                swept = writer.sweep()
                # Sweeping moves rows; until the file is rebuilt, copies of them may lie about.
                writer.set_meta("rebuilding", "1")
            self._rebuild(live)
        self.settle(patience=5)
        return swept

    def _rebuild(self, live: _Open) -> None:
        with typed_errors(self.path):
            db = self._writer(live)
            db.execute("VACUUM")
            db.execute("DELETE FROM meta WHERE name = 'rebuilding'")
            live.pending = True

    def backup(self, target: str, progress: Callable[[int, int], None] | None = None) -> None:
        """A consistent copy in a new file, while others go on writing. StoreError if it exists."""
        destination = _absolute(target)
        try:
            os.close(os.open(destination, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except OSError as error:
            raise StoreError(f"{destination}: cannot be created ({error.strerror})") from None
        try:
            with typed_errors(destination):
                self._copy(destination, progress)
        except BaseException:
            Path(destination).unlink()
            raise

    def _copy(self, destination: str, progress: Callable[[int, int], None] | None) -> None:
        def told(_status: int, left: int, total: int) -> None:
            if progress is not None:
                progress(total - left, total)

        live = self._live()
        copy = connect(destination)
        try:
            if self.path == MEMORY:
                with live.lock:
                    self._writer(live).backup(copy, pages=2048, progress=told)
            else:
                with self._reader(live) as source:
                    source.backup(copy, pages=2048, progress=told)
        finally:
            copy.close()


def _absolute(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links, absolute() keeps ".."


_NOW = "PRAGMA busy_timeout = 0"
_SHORT = "PRAGMA busy_timeout = 200"
_LONG = "PRAGMA busy_timeout = 5000"
_USUAL = "PRAGMA busy_timeout = 60000"
