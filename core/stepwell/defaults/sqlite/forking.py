"""No thread is inside of SQLite while the process forks.

A fork copies SQLite's own locks as they are, but of the threads only the one that forks: what
another one holds at that moment, the child would wait for in vain. So whoever forks waits until
nobody is inside, and nobody goes in meanwhile. Not for ever: a long statement is nearly all of its
time outside of these locks.
"""

from __future__ import annotations

import os
import threading
import time
from threading import get_ident
from typing import Final

#: Seconds that a fork waits for statements under way; and of each nap, on both sides.
_PATIENCE: Final = 1.0
_NAP: Final = 0.0002


class _Inside:
    """Entered around every call of SQLite's: `with inside: ...`."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """After a fork, in the child, where no other thread is."""
        # One statement of Python's sets or takes away a name at once: this needs no lock, which
        # each of the very many calls would have to wait for.
        self._threads: dict[int, int] = {}
        self._forking = False
        self._one = threading.Lock()

    def __enter__(self) -> None:
        me = get_ident()
        if me in self._threads:
            self._threads[me] += 1
            return
        self._threads[me] = 1
        # Told first, looked after: whoever forks says so first, and then looks who is inside.
        while self._forking:
            self._threads.pop(me, None)
            time.sleep(_NAP)
            self._threads[me] = 1

    def __exit__(self, *error: object) -> None:
        me = get_ident()
        if self._threads.get(me, 1) == 1:
            self._threads.pop(me, None)
        else:
            self._threads[me] -= 1

    def wait(self) -> None:
        """Before a fork."""
        self._one.acquire()
        self._forking = True
        until, me = time.monotonic() + _PATIENCE, get_ident()
        while any(thread != me for thread in list(self._threads)) and time.monotonic() < until:
            time.sleep(_NAP)

    def go_on(self) -> None:
        """After it, in the parent."""
        self._forking = False
        self._one.release()


inside: Final = _Inside()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=inside.wait, after_in_parent=inside.go_on, after_in_child=inside.begin_anew
    )
