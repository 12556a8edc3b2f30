"""What adapters of one process have just taken in: so that two of them store no turn twice."""

from __future__ import annotations

import hashlib
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from stepwell.memory import Scope
from stepwell.models import Context, Recall

#: Turns of a scope that are kept in mind.
_AT_HAND: Final = 20_000


class Working(Protocol):
    """A task that is being worked on, as `Task` is one; its id may not be known yet."""

    @property
    def id(self) -> str | None:
        """The task's id."""

    def showed(self, found: Recall | Context, /) -> None:
        """This was shown on the way."""


class Listener(Protocol):
    """Stores all that is said somewhere."""

    def awaits(self, actor: str) -> bool:
        """Whether it is that actor's turn to speak."""

    def tasks(self) -> Sequence[Working]:
        """The tasks that are being worked on."""


class Heard:
    """Who said what in a scope of late, and under which ids: those are known when it is stored.

    An adapter that hears a whole team and one that sees what a single agent is sent meet here.
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope  # so that no other memory takes its place while this is in use
        self._listening: weakref.WeakSet[Listener] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._said: OrderedDict[bytes, list[str]] = OrderedDict()

    def listen(self, listener: Listener) -> None:
        """Somebody stores all that is said here, from now on."""
        self._listening.add(listener)

    def leave(self, listener: Listener) -> None:
        """… and does so no more."""
        self._listening.discard(listener)

    def takes(self, mark: bytes) -> bool:
        """Whether somebody who listens here has stored this, or is about to."""
        return bool(self._listening) and mark in self

    def expects(self, actor: str) -> bool:
        """Whether somebody who listens here will hear that actor's next words."""
        return any(listener.awaits(actor) for listener in list(self._listening))

    def task(self) -> Working | None:
        """The task that is being worked on here, if that is one."""
        tasks = [task for listener in list(self._listening) for task in listener.tasks()]
        return tasks[0] if len(tasks) == 1 else None

    def add(self, mark: bytes, name: str | None = None) -> None:
        """It was said; stored under this id, if that is known by now."""
        with self._lock:
            names = self._said.setdefault(mark, [])
            self._said.move_to_end(mark)
            if name is not None and name not in names:
                names.append(name)
            while len(self._said) > _AT_HAND:
                self._said.popitem(last=False)

    def drop(self, mark: bytes) -> None:
        """It was not stored after all."""
        with self._lock:
            self._said.pop(mark, None)

    def __contains__(self, mark: object) -> bool:
        with self._lock:
            return mark in self._said

    def names(self, marks: Iterable[bytes]) -> list[str]:
        """The ids under which any of it is stored."""
        with self._lock:
            return [name for mark in marks for name in self._said.get(mark, ())]


def mark_of(actor: str | None, text: str) -> bytes:
    """What stands for something that somebody said, without its words."""
    told = f"{actor or ''}\0{text}".encode("utf-8", "backslashreplace")
    return hashlib.blake2b(told, digest_size=16).digest()


def heard_in(scope: Scope) -> Heard:
    """What was heard in a scope: the same for all adapters of this process that hold on to it."""
    engine = scope._engine  # noqa: SLF001 - tells stores in memory apart
    place = id(engine) if engine.store.path == ":memory:" else engine.store.path
    with _lock:
        return _heard.setdefault((place, scope.path), Heard(scope))


_lock = threading.Lock()
_heard: weakref.WeakValueDictionary[tuple[object, tuple[str, ...]], Heard] = (
    weakref.WeakValueDictionary()
)
