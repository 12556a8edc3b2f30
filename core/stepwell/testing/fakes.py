"""Parts that behave the same on every machine: a clock, an embedder, a model, a broken plugin."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from stepwell.contracts import FloatArray
from stepwell.hookspecs import hookimpl
from stepwell.mechanisms.words import terms
from stepwell.models import aware

#: An answer that is cut off in the middle, as models are.
BROKEN_JSON: Final = '{"facts": [{"text": "Alice li'


class FakeClock:
    """A Clock that goes on by `step` with each call, so that no two ids are of one moment.

    `step=timedelta(0)` stands still.
    """

    def __init__(
        self,
        start: datetime = datetime(2024, 5, 4, 12, tzinfo=UTC),
        step: timedelta = timedelta(milliseconds=1),
    ) -> None:
        self._time = aware(start)
        self._step = step
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The time, which then goes on by a step."""
        with self._lock:
            told, self._time = self._time, self._time + self._step
            return told

    __call__ = now

    @property
    def time(self) -> datetime:
        """What the next call will tell."""
        return self._time

    def set(self, when: datetime) -> None:
        """Go to a moment, earlier ones too; a naive one is taken as UTC."""
        with self._lock:
            self._time = aware(when)

    def advance(self, by: timedelta | float) -> None:
        """Go on by a while; a number is of seconds."""
        with self._lock:
            self._time += by if isinstance(by, timedelta) else timedelta(seconds=by)


class HashingEmbedder:
    """An Embedder without a model: each word has a pseudo-random direction, a text is their sum.

    Texts that share words are near, others about orthogonal. The same on every machine, whatever
    the order of words, texts and calls.
    """

    def __init__(self, dim: int = 64, name: str = "hashing") -> None:
        if dim < 1:
            raise ValueError("a vector has at least one dimension")
        self.dim = dim
        self.name = name
        self._directions: dict[bytes, np.ndarray[Any, np.dtype[np.int64]]] = {}

    def embed(self, texts: Sequence[str], *, query: bool = False) -> FloatArray:  # noqa: ARG002 - questions are embedded as answers are
        """One row of length 1 per text."""
        rows = np.empty((len(texts), self.dim), np.float32)
        for i, text in enumerate(texts):
            words = [term.tobytes() for term in terms(text)] or [text.encode("utf-8", "replace")]
            # Whole numbers, so that the order of words leaves no trace in the last bit.
            total = np.sum([self._direction(word) for word in words], axis=0, dtype=np.int64)
            rows[i] = total / np.linalg.norm(total)
        return rows

    def _direction(self, word: bytes) -> np.ndarray[Any, np.dtype[np.int64]]:
        known = self._directions.get(word)
        if known is None:
            raw = hashlib.shake_128(word).digest(self.dim)
            # Odd numbers: no sum of an odd number of them is the zero vector.
            known = self._directions[word] = 2 * np.frombuffer(raw, np.uint8).astype(np.int64) - 255
        return known


class ScriptedModel:
    """A LanguageModel that says what stands in its script, and keeps the prompts.

    Each call gives the next answer: a text, or a dict or list that is said as JSON, or an exception
    that is raised (`TimeoutError()`), or a function of prompt and schema. `BROKEN_JSON` is a text
    that no parser takes. When the script is at its end, `then` is said, or LookupError is raised
    without it. Each call takes `delay` seconds.
    """

    def __init__(
        self,
        script: Sequence[Any] = (),
        *,
        then: Any = None,
        delay: float = 0.0,
        name: str = "scripted",
    ) -> None:
        self.name = name
        self.prompts: list[str] = []
        self.schemas: list[Mapping[str, Any] | None] = []
        self._script = list(script)
        self._then = then
        self._delay = delay

    def generate(self, prompt: str, *, schema: Mapping[str, Any] | None = None) -> str:
        """The next answer of the script."""
        at = len(self.prompts)
        self.prompts.append(prompt)
        self.schemas.append(schema)
        if self._delay:
            time.sleep(self._delay)
        answer = self._script[at] if at < len(self._script) else self._then
        if callable(answer) and not isinstance(answer, type):
            answer = answer(prompt, schema)
        if isinstance(answer, BaseException):
            raise answer
        if answer is None:
            raise LookupError(f"call {at + 1} of a script of {len(self._script)} answers")
        return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


class BrokenPlugin:
    """A plugin that fails in one hook: it raises `error`, or, where that is None, returns `answer`.

        Memory.open(plugins=[BrokenPlugin("search", RuntimeError("down"))])
        Memory.open(plugins=[BrokenPlugin("pack", answer="no packing at all")])

    `calls` counts how often it was asked.
    """

    def __init__(
        self,
        hook: str,
        error: BaseException | None = None,
        *,
        answer: Any = None,
        name: str = "broken",
    ) -> None:
        self.name = name
        self.calls = 0

        def fail() -> Any:
            self.calls += 1
            if error is not None:
                raise error
            return answer

        marked: Callable[[], Any] = hookimpl(specname=hook)(fail)
        # A hook names only those of its arguments that it uses: this one none.
        self.__dict__[hook] = marked
