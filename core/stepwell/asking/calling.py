"""Calling a language model so that one that does not come back, or fails, harms nobody."""

from __future__ import annotations

import contextvars
import inspect
import os
import secrets
import threading
from collections.abc import Mapping
from typing import Any, Final

from stepwell.contracts import LanguageModel

#: Seconds that a model may take for an answer, unless it has a `deadline` of its own.
DEADLINE: Final = 60.0


class NoAnswer(Exception):
    """A model has not answered. The message is ours and holds nothing of what was asked."""


class Caller:
    """Calls a language model, one call at a time, each in a thread that nobody has to wait for.

    A Memory has one. A model that takes longer than its deadline is left alone: until it has come
    back, nobody is sent after it.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        #: For the words that quoted texts are fenced by, where a scope has no secret yet.
        self.secret = secrets.token_bytes(16)
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._turn = threading.Lock()
        self._away: threading.Thread | None = None

    @property
    def deadline(self) -> float:
        """Seconds that an answer may take."""
        told = getattr(self.model, "deadline", None)
        usable = isinstance(told, (int, float)) and 0 < told <= threading.TIMEOUT_MAX
        return float(told) if usable and told is not None else DEADLINE

    @property
    def away(self) -> bool:
        """Whether an earlier call has not come back yet."""
        return self._away is not None and self._pid == os.getpid() and self._away.is_alive()

    def __call__(self, prompt: str, schema: Mapping[str, Any]) -> str:
        """What the model says. Raises NoAnswer, or whatever the model raises."""
        if self._pid != os.getpid():
            self._begin()  # a fork copies locks, but not the threads that would release them
        deadline = self.deadline
        if not self._turn.acquire(timeout=deadline):
            raise NoAnswer("others are asking")
        try:
            if self.away:
                raise NoAnswer("an earlier call has not come back")
            return self._called(prompt, schema, deadline)
        finally:
            self._turn.release()

    def _called(self, prompt: str, schema: Mapping[str, Any], deadline: float) -> str:
        said: list[object] = []
        raised: list[BaseException] = []

        def call() -> None:
            try:
                said.append(self.model.generate(prompt, schema=schema))
            except BaseException as error:  # noqa: BLE001 - it is raised where the answer is awaited
                raised.append(error)

        run = contextvars.copy_context().run
        thread = threading.Thread(target=run, args=(call,), name="stepwell-asking", daemon=True)
        try:
            thread.start()
            thread.join(deadline)
        finally:
            # Whoever is interrupted while waiting leaves it behind, too.
            self._away = thread if thread.is_alive() else None
        if raised:
            raise raised[0]
        if not said:
            raise NoAnswer(f"no answer within {deadline:g} s")
        return _text(said[0])


def _text(said: object) -> str:
    if inspect.iscoroutine(said):
        said.close()
        raise NoAnswer("a coroutine in place of a text")
    if not isinstance(said, str):
        raise NoAnswer(f"{type(said).__name__} in place of a text")
    if not said.strip():
        raise NoAnswer("an empty answer")
    return said
