"""The worker that consolidates while nobody asks anything."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from stepwell.errors import StepwellError, StoreBusy, StoreClosed, StoreError
from stepwell.memory.traffic import Traffic
from stepwell.models import Report

log = logging.getLogger("stepwell.memory")

Path = tuple[str, ...]

#: Seconds between two looks at what other processes have stored.
LOOK: Final = 15.0
#: Seconds between two times that a scope is tidied: what is said meanwhile is placed, no more.
TIDY: Final = 5.0
#: Seconds before something that failed is tried again; twice as long each time, up to the second.
AGAIN: Final = (5.0, 600.0)


class Background:
    """Consolidates scopes in a thread of its own, one step at a time, between the calls of others.

    `work` consolidates a scope, asking before every step whether to go on, and tidies it or not;
    `waiting` names the scopes that have work to do.
    """

    def __init__(
        self, work: Callable[[Path, Callable[[], bool], bool], Report],
        waiting: Callable[[], list[Path]], traffic: Traffic,
    ) -> None:  # fmt: skip
        self._work = work
        self._waiting = waiting
        self._traffic = traffic
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[Path, None] = {}
        self._failed: dict[Path, tuple[float, float]] = {}  # when again, and how long after that
        self._tidied: dict[Path, float] = {}
        self._untidy: dict[Path, None] = {}
        self._woken = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, or begin anew in a forked process, whose threads the parent has kept."""
        self._begin()
        self._thread = threading.Thread(target=self._run, name="stepwell-background", daemon=True)
        self._thread.start()

    def wake(self, path: Path) -> None:
        """Tell that a scope has got something to work on."""
        with self._lock:
            self._due[path] = None
        self._woken.set()

    def stop(self) -> None:
        """End after the step that is under way; what is left waits in the queue."""
        self._ended.set()
        self._woken.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self._look()
                self._woken.clear()
                self._round()
                self._woken.wait(TIDY if self._untidy else LOOK)
        except StoreClosed:
            return

    def _look(self) -> None:
        """Take up what this process has not been told of, and what it has put off."""
        now = time.monotonic()
        found = [path for path, (when, _) in self._failed.items() if when <= now]
        found += self._untidy
        self._untidy = {}
        self._tidied = {path: at for path, at in self._tidied.items() if now - at < TIDY}
        try:
            found += self._waiting()
        except StoreClosed:
            raise
        except StoreError as error:
            level = logging.DEBUG if isinstance(error, StoreBusy) else logging.WARNING
            log.log(
                level, "what waits in the store is looked for later: %s", error, extra=_marks(error)
            )
        with self._lock:
            for path in found:
                self._due.setdefault(path)

    def _round(self) -> None:
        while not self._ended.is_set():
            with self._lock:
                path = next(iter(self._due), None)
                if path is None:
                    return
                del self._due[path]
            now = time.monotonic()
            until, pause = self._failed.get(path, (0.0, AGAIN[0]))
            if now < until:
                continue
            tidy = now - self._tidied.get(path, -TIDY) >= TIDY
            if tidy:
                self._tidied[path] = now
            else:
                self._untidy[path] = None
            if self._fine(path, tidy):
                self._failed.pop(path, None)
            else:
                self._failed[path] = (time.monotonic() + pause, min(2 * pause, AGAIN[1]))

    def _fine(self, path: Path, tidy: bool) -> bool:
        try:
            report = self._work(path, self._proceed, tidy)
        except StoreClosed:
            raise
        except Exception as error:  # noqa: BLE001 - a thread that dies tells nobody
            told = error if isinstance(error, StepwellError) else type(error).__name__
            log.warning(
                "a scope was not consolidated, and will be later: %s", told, extra=_marks(error)
            )
            return False
        return not report.parked

    def _proceed(self) -> bool:
        self._traffic.wait(self._ended)
        return not self._ended.is_set()


def _marks(error: Exception) -> dict[str, object]:
    return {"stepwell_verb": "consolidate", "stepwell_error": type(error).__name__}
