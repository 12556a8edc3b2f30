"""A copy of a store in a file of its own, which is whole or not there at all."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from stepwell.defaults.sqlite.connection import connect
from stepwell.defaults.sqlite.forking import inside
from stepwell.defaults.sqlite.meanings import Connection, typed_errors
from stepwell.errors import StoreError, StoreFull

#: Pages that are copied at once.
_STEP = 2048


@contextlib.contextmanager
def new_file(path: str) -> Iterator[None]:
    """An empty file, which is taken away again if the block fails. StoreError if it exists."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        kind = StoreFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreError
        raise kind(f"{path}: cannot be created ({error.strerror})") from None
    try:
        yield
    except BaseException:
        for side in ("", "-journal", "-wal", "-shm"):
            Path(path + side).unlink(missing_ok=True)
        raise


def copy(source: Connection, path: str, progress: Callable[[int, int], None] | None) -> None:
    """Copy what a connection reads, as it is at one moment, into an empty file."""

    def told(_status: int, left: int, total: int) -> None:
        if progress is not None:
            progress(total - left, total)

    # In a transaction, from here on of one moment: or whoever writes makes it begin again.
    source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    target = connect(path)
    try:
        # A journal that a power cut brought back would take the copy back with it.
        target.execute("PRAGMA synchronous = EXTRA")
        with typed_errors(path), inside:
            source.backup(target, pages=_STEP, progress=told)
    finally:
        target.close()
