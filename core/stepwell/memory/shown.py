"""Which records tasks have shown. It waits in memory for the next write: recall never writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import datetime

from stepwell.contracts import Store
from stepwell.models import SHOWN

_Waiting = dict[tuple[str, ...], dict[str, dict[str, None]]]


class Shown:
    """What tasks have shown since the last write, by scope and task."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._waiting: _Waiting = {}
        self._lock = threading.Lock()

    def renew(self) -> None:
        """Forget what a parent process had shown, whose lock nobody may ever release."""
        self._waiting, self._lock = {}, threading.Lock()

    def note(self, path: tuple[str, ...], task: str, record_ids: Iterable[str]) -> None:
        """Remember that a task has shown records, to be stored with the next write."""
        with self._lock:
            self._waiting.setdefault(path, {}).setdefault(task, {}).update(
                dict.fromkeys(record_ids)
            )

    def store(self, *paths: tuple[str, ...]) -> None:
        """Store what waits for some scopes, or for all. What was forgotten since is left out."""
        if not self._waiting:
            return
        with self._lock:
            taken = {path: self._waiting.pop(path, {}) for path in paths or [*self._waiting]}
        try:
            while taken:
                path, tasks = next(iter(taken.items()))
                self._link(path, tasks)
                del taken[path]
        finally:
            for path, tasks in taken.items():  # those that failed wait for the next time
                for task, names in tasks.items():
                    self.note(path, task, names)

    def _link(self, path: tuple[str, ...], tasks: dict[str, dict[str, None]]) -> None:
        if not tasks:
            return
        with self._store.reading() as reader:
            row = reader.scope_of(path)
        if row is None:
            return
        with self._store.writing(self._clock()) as writer:
            if writer.again(row) is None:
                return
            for task, names in tasks.items():
                found = writer.find(row, [task, *names])
                source = found.pop(task, None)  # forgotten with its goal, perhaps
                if source is not None:
                    refs = [ref for ref in found.values() if ref is not None]
                    writer.link_all(row, source, SHOWN, refs)
