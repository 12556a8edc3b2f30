"""What a team says, and who has heard it: the bookkeeping behind a recording; nothing is stored."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from stepwell import Context, Recall, Task

#: Of what reached a speaker since it last spoke, so many messages are named, the latest ones.
_UPSTREAM: Final = 1_000


@dataclass(slots=True, eq=False)
class Said:
    """Something that was said. Its id is known when it is stored."""

    run: Run
    id: str | None = None


@dataclass(slots=True, eq=False)
class Run:
    """One run of a team: a task, if it was given one, and a session. `goal` are a turn's fields."""

    goal: Mapping[str, Any]
    team: str
    session: str
    root: Line
    task: Task | None = None
    steps: int = 0
    over: bool = False
    shown: deque[Recall | Context] = field(default_factory=deque)

    @property
    def id(self) -> str | None:
        """The id of its task, as soon as that is stored."""
        return None if self.task is None else self.task.id

    def showed(self, found: Recall | Context) -> None:
        """A member was shown this: the task is credited with it, as soon as it is stored."""
        self.shown.append(found)
        self.credit()

    def credit(self) -> None:
        """Tell the task what was shown before it was stored."""
        while self.task is not None and self.shown:
            with suppress(IndexError):  # another thread was faster
                self.task.showed(self.shown.popleft())

    def step(self) -> int:
        """The number of the next utterance."""
        self.steps += 1
        return self.steps - 1


@dataclass(slots=True, eq=False)
class _Heard:
    """Something said in a group: by which of its members, and whether all were sent it."""

    speaker: str
    said: Said
    to_all: bool


@dataclass(slots=True, eq=False)
class Line:
    """One team: what was said in it, in order, and how far each member had read when last asked."""

    team: str | None = None
    manager: str | None = None
    run: Run | None = None
    people: set[str] = field(default_factory=set)
    _log: list[_Heard] = field(default_factory=list)
    _read: dict[str, int] = field(default_factory=dict)
    _asked: dict[str, list[Said]] = field(default_factory=dict)
    _within: dict[str, Line] = field(default_factory=dict)

    def within(self, name: str) -> Line:
        """A member that is a team, and is not heard itself."""
        line = self._within.setdefault(name, Line(name))
        line.run = self.run
        return line

    def say(self, speaker: str, said: Said, *, to_all: bool = True) -> None:
        """It is sent to the members of the team, or to its manager alone."""
        self._log.append(_Heard(speaker, said, to_all))

    def tell_all(self, said: list[Said]) -> None:
        """What the manager alone had been sent goes to all."""
        wanted = set(map(id, said))
        for heard in reversed(self._log):
            if not wanted:
                break
            if id(heard.said) in wanted:
                wanted.discard(id(heard.said))
                heard.to_all = True

    def ask(self, name: str) -> None:
        """It is a member's turn, with what it has been sent until now."""
        # One that failed, or was cancelled, still has what it was sent before.
        self._asked.setdefault(name, []).extend(self._since(name, everything=False))

    def asked(self, name: str) -> bool:
        """Whether it is that member's turn."""
        return name in self._asked

    def upstream(self, name: str) -> list[Said]:
        """What had reached a member when it began to speak. The manager hears everything."""
        if name in self._asked:
            return self._asked.pop(name)[-_UPSTREAM:]
        return self._since(name, everything=True)[-_UPSTREAM:]

    def clear(self, name: str) -> None:
        """A member forgets what it was sent."""
        self._asked.pop(name, None)
        self._read[name] = len(self._log)

    def _since(self, name: str, *, everything: bool) -> list[Said]:
        start = self._read.get(name, 0)
        self._read[name] = len(self._log)
        return [
            heard.said
            for heard in self._log[start:]
            if heard.speaker != name and (everything or heard.to_all)
        ]
