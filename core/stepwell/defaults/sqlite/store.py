"""The embedded store: connections, transactions, forks, threads."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from stepwell.defaults.sqlite.blaming import damage_told
from stepwell.defaults.sqlite.checking import found
from stepwell.defaults.sqlite.connection import MEMORY, connect, crowded, migrate, prepare
from stepwell.defaults.sqlite.copying import copy, new_file
from stepwell.defaults.sqlite.documents import DocumentKeeper
from stepwell.defaults.sqlite.meanings import Connection
from stepwell.defaults.sqlite.purging import Purger
from stepwell.defaults.sqlite.reading import Reader
from stepwell.defaults.sqlite.schema import VERSION
from stepwell.defaults.sqlite.shapes import is_secret
from stepwell.errors import (
    StoreBusy,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreFull,
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
#: Looking after forgotten bytes, where it fails, takes at most one part in so many of the time.
_AGAIN = 50.0


class _Open:
    """Everything that belongs to one process: left behind after a fork."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self.writer: Connection | None = None
        self.idle: list[Connection] = []
        self.reads = 0
        self.gate = threading.Condition()
        self.closed = False
        self.pending = False
        #: When forgotten bytes are looked after again, where that has failed.
        self.again = 0.0
        #: Whether the writer waits for others as long as usual.
        self.patient = True


class SqliteStore(DocumentKeeper):
    """A Store in one SQLite file, or in memory under the path ":memory:".

    One connection writes (`BEGIN IMMEDIATE` always), and every read has one of its own. A store in
    memory has one connection, and calls take turns. Raises the StoreError family.
    """

    def __init__(self, path: str, *, read_only: bool = False) -> None:
        super().__init__()
        self.path = path if path == MEMORY else absolute(path)
        self.read_only = read_only
        self._closed = False
        self._open = _Open()
        self._room()
        prepare(self.path, read_only=read_only)
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

    def _file_secret(self, db: Connection) -> bytes:
        row = db.execute("SELECT value FROM meta WHERE name = 'secret'").fetchone()
        if row is None and not self.read_only:
            fresh = secrets.token_bytes(32).hex()
            db.execute("INSERT OR IGNORE INTO meta VALUES ('secret', ?)", (fresh,))
            row = db.execute("SELECT value FROM meta WHERE name = 'secret'").fetchone()
        if row is None or not is_secret(row[0]):
            raise StoreDamaged(f"{self.path}: the file has no readable secret")
        return bytes.fromhex(row[0])

    @staticmethod
    def _is_erasing(db: Connection) -> bool:
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

    def _room(self, live: _Open | None = None) -> None:
        """See that a process does not die of a full disk. Raises StoreFull."""
        try:
            if crowded(self.path):
                if live is not None:
                    self._shorten(live)
                if crowded(self.path):
                    raise StoreFull(f"{self.path}: the disk is full; nothing was written")
        except OSError:
            return  # there is no such folder, which is told by whoever opens the file

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

    def _writer(self, live: _Open) -> Connection:
        if live.writer is None:
            live.writer, live.patient = connect(self.path, read_only=self.read_only), True
        if not live.patient:
            live.writer.execute(_USUAL)
            live.patient = True
        return live.writer

    @contextlib.contextmanager
    def _reader(self, live: _Open) -> Iterator[Connection]:
        """A connection that nobody else reads through meanwhile, in a transaction of its own."""
        with live.gate:
            if live.closed:
                raise StoreClosed(f"{self.path}: the store is closed")
            live.reads += 1
            db = live.idle.pop() if live.idle else None
        try:
            if db is None:
                db = connect(self.path, read_only=True)
            try:
                db.execute("BEGIN")
                yield db
            finally:
                with contextlib.suppress(StoreError):
                    db.execute("ROLLBACK")
        finally:
            self._read(live, db)

    @staticmethod
    def _read(live: _Open, db: Connection | None) -> None:
        """A read is over: its connection waits for the next, or is closed if it is of no use."""
        with live.gate:
            live.reads -= 1
            keep = not live.closed and len(live.idle) < _IDLE and not (db and db.in_transaction)
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
    def _look(self) -> Iterator[Connection]:
        """What can be read by, as it is at one moment. In memory, calls take turns."""
        live = self._live()
        if self.path == MEMORY:
            with live.lock:
                yield self._writer(live)
        else:
            with self._reader(live) as db:
                yield db

    @contextlib.contextmanager
    def reading(self) -> Iterator[Reader]:
        """A read transaction: everything read in it is of one moment."""
        with damage_told(self.path, self._look), self._look() as db:
            yield Reader(db, self.path, self._secret)

    @contextlib.contextmanager
    def writing(self, now: datetime | None = None) -> Iterator[Purger]:
        """A write transaction: all of it is committed when the block ends, or none of it."""
        live = self._live()
        if self.read_only:
            raise StoreReadOnly(f"{self.path}: opened read-only")
        with live.lock, damage_told(self.path, self._look):
            self._room(live)
            db = self._writer(live)
            writer = Purger(db, self.path, self._secret)
            try:
                db.execute("BEGIN IMMEDIATE")
                writer.start(now or datetime.now(UTC))
                yield writer
                writer.finish()
                db.execute("COMMIT")
            except BaseException as error:
                self._undo(live, db)
                if isinstance(error, StoreFull):
                    self._shorten(live)
                raise
            finally:
                if writer.erasing:
                    live.pending = True

    def _undo(self, live: _Open, db: Connection) -> None:
        """Leave no transaction open, whatever has happened."""
        try:
            if db.in_transaction:
                db.execute("ROLLBACK")
        except StoreError:
            pass  # what failed before is what is told
        finally:
            if db.in_transaction and self.path != MEMORY:
                live.writer = None
                db.close()

    def _shorten(self, live: _Open) -> None:
        """Empty the log, if it can be: it may hold the room that was missing."""
        if self.path == MEMORY:
            return
        with contextlib.suppress(StoreError):
            db = self._writer(live)
            live.patient = False
            db.execute(_NOW)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    # upkeep -----------------------------------------------------------------------------------

    @property
    def format(self) -> int:
        """The version of the file's format: any other was brought to it, or refused."""
        return VERSION

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
    def concurrent(self) -> bool:
        """Whether reads go on beside each other: in a file, by a connection for each."""
        return self.path != MEMORY

    @property
    def pending(self) -> bool:
        """Whether forgotten bytes may still lie in the write-ahead log."""
        return self._open.pending

    def settle(self, patience: float = 0.2) -> bool:
        """Take forgotten bytes out of the write-ahead log; whether none are left.

        Another process that is reading an older moment can make this impossible for a while, and so
        can a disk that is full. That is no error: nobody asked for more than to forget.
        """
        live = self._live()
        if self.read_only:
            return not live.pending
        if patience <= 0 and time.monotonic() < live.again:
            return False
        # Without patience, not even for a writer of this process: readers ask on their way.
        if not live.lock.acquire(blocking=patience > 0):
            return False
        begun = time.monotonic()
        try:
            live.pending = not self._settled(live, self._writer(live), patience)
        except StoreBusy:
            live.pending = True
        except StoreError:
            live.pending = True
            # Every verb would wait for it otherwise, and a full disk stays full for long.
            live.again = time.monotonic() + _AGAIN * (time.monotonic() - begun)
        finally:
            live.lock.release()
        return not live.pending

    def _settled(self, live: _Open, db: Connection, patience: float) -> bool:
        erasing = db.execute("SELECT value FROM meta WHERE name = 'erasing'").fetchone()
        if db.execute("SELECT 1 FROM meta WHERE name = 'rebuilding'").fetchone() is not None:
            self._rebuild(live)  # a compaction was cut short
        if self.path != MEMORY:
            live.patient = False
            db.execute(_NOW if patience <= 0 else _SHORT if patience < 1 else _LONG)
            if db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                return False
        # Only what was there before: another process may have begun to erase since.
        if erasing is not None:
            db.execute("DELETE FROM meta WHERE name = 'erasing' AND value = ?", erasing)
        return True

    def mark_pending(self) -> None:
        """Remember that forgotten bytes wait in the write-ahead log."""
        self._open.pending = True

    def check(self) -> list[Problem]:
        """Everything that is wrong inside of the file; empty when all is well."""
        with self._look() as db:
            return list(found(db))

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
        live.pending = True
        self._room(live)
        db = self._writer(live)
        db.execute("VACUUM")
        db.execute("DELETE FROM meta WHERE name = 'rebuilding'")

    def backup(self, target: str, progress: Callable[[int, int], None] | None = None) -> None:
        """A consistent copy in a new file, while others go on writing. StoreError if it exists."""
        destination = absolute(target)
        self._live()
        with new_file(destination), self._look() as source:
            copy(source, destination, progress)


def absolute(path: str) -> str:
    """The whole path of a file, links in it left as they are."""
    return os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links, absolute() keeps ".."


_NOW = "PRAGMA busy_timeout = 0"
_SHORT = "PRAGMA busy_timeout = 200"
_LONG = "PRAGMA busy_timeout = 5000"
_USUAL = "PRAGMA busy_timeout = 60000"
