"""Who comes first: calls that somebody waits for, and work that nobody does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: Seconds after the last call before it is quiet, and that `wait` waits for quiet at most.
QUIET: Final = 0.05
PATIENCE: Final = 0.5
#: Seconds that `give_way` waits at most, and that it then lets the work go on for: where calls
#: never cease, a third of the time is for the work.
WAY: Final = 0.1
ON: Final = 0.05


class Traffic:
    """How many calls are under way that somebody waits for."""

    def __init__(self) -> None:
        self._none = threading.Condition()
        self._inside = 0
        self._last = 0.0
        self._on = 0.0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """A call that somebody waits for."""
        with self._none:
            self._inside += 1
        try:
            yield
        finally:
            with self._none:
                self._inside -= 1
                self._last = time.monotonic()
                if not self._inside:
                    self._none.notify_all()

    @property
    def quiet(self) -> bool:
        """Whether nobody waits, and nobody did a moment ago."""
        return not self._inside and time.monotonic() - self._last >= QUIET

    def wait(self, ended: threading.Event) -> None:
        """Until it is quiet, for as long as patience goes, or it ends."""
        until = time.monotonic() + PATIENCE
        while not self.quiet and time.monotonic() < until and not ended.is_set():
            ended.wait(0.005)

    def give_way(self) -> None:
        """Until no call is under way, within bounds; asked often, in the middle of long work.

        Two threads that compute share one interpreter: each time a call lets go of it, to read from
        the disk, it would get it back only after a whole turn of the other's.
        """
        if not self._inside or time.monotonic() < self._on:
            return
        with self._none:
            if not self._none.wait_for(lambda: not self._inside, WAY):
                self._on = time.monotonic() + ON
