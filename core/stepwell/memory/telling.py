"""Verbs told to whoever measures: what is done, how long it took, what it came to in numbers.

A verb that the caller calls is told once; what it calls itself on the way is a part of it.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Collection, Mapping
from contextvars import ContextVar
from dataclasses import fields
from typing import Any, Final, TypeVar

from stepwell.models import (
    Context,
    Document,
    Doing,
    Done,
    ErasureReceipt,
    Recall,
    Receipt,
    Record,
    Report,
)  # fmt: skip
from stepwell.plugins import Plugins

R = TypeVar("R")
F = TypeVar("F", bound=type)

#: The verbs that are being told in this context: whose plugins, and the numbers so far.
_under_way: ContextVar[tuple[tuple[Plugins, dict[str, int]], ...]] = ContextVar(
    "stepwell_verbs", default=()
)
#: Verbs that are another one with several at once.
MANY: Final = {"remember_many": "remember", "remember_history": "remember"}


def tells(
    path: Callable[[Any], tuple[str, ...]], *, prefix: str = "", apart: Collection[str] = (),
    named: Mapping[str, str] | None = None,
) -> Callable[[F], F]:  # fmt: skip
    """Dress a class whose public methods are verbs: all of them are told, but those `apart`.

    `path` gives the scope of an instance. `named` are verbs under other names than their method's:
    also special methods, and properties that read the store.
    """
    given = named or {}

    def dress(face: F) -> F:
        for name, made in [*vars(face).items()]:
            verb = given.get(name, prefix + name.rstrip("_"))
            if isinstance(made, property) and name in given:
                assert made.fget is not None  # noqa: S101 - a property that is read
                setattr(face, name, property(_told(made.fget, verb, path)))
            elif inspect.isfunction(made) and (
                name in given or not (name.startswith("_") or name in apart)
            ):
                setattr(face, name, _told(made, verb, path))
        return face

    return dress


def _told(
    method: Callable[..., R], verb: str, path: Callable[[Any], tuple[str, ...]]
) -> Callable[..., R]:
    @functools.wraps(method)
    def call(self: Any, /, *args: Any, **kwargs: Any) -> R:
        plugins: Plugins = self._engine.plugins
        if not plugins.watched:
            return method(self, *args, **kwargs)
        return told(plugins, verb, path(self), lambda: method(self, *args, **kwargs))

    return call


def told(plugins: Plugins, verb: str, path: tuple[str, ...], call: Callable[[], R]) -> R:
    """What a call answers, done inside of what plugins put around it, and told to `on_verb`."""
    outer = _under_way.get()
    if not plugins.watched or any(others is plugins for others, _ in outer):
        return call()
    doing, counts = Doing(verb, path), dict[str, int]()
    token = _under_way.set((*outer, (plugins, counts)))
    try:
        with plugins.around("around_verb", doing=doing):
            failed: str | None = None
            begun = time.perf_counter()
            try:
                answer = call()
                counts.update(counts_of(answer))
                return answer
            except BaseException as error:
                failed = type(error).__name__
                raise
            finally:
                took = time.perf_counter() - begun
                doing.done = Done(verb, path, took, counts, failed)
    finally:
        try:
            if doing.done is not None:
                plugins.tell("on_verb", done=doing.done)
        finally:
            _under_way.reset(token)


def noted(plugins: Plugins, answer: object) -> None:
    """Add an answer in numbers to those of the verb under way, whose part it is."""
    for others, counts in _under_way.get():
        if others is plugins:
            for name, count in counts_of(answer).items():
                counts[name] = counts.get(name, 0) + count


def counts_of(answer: object) -> dict[str, int]:
    """An answer in numbers."""
    told: dict[str, int] = {}
    match answer:
        case Receipt():
            names = ("stored", "merged", "skipped", "degraded")
            told = {name: len(getattr(answer, name)) for name in names}
        case Recall():
            told = {"hits": len(answer), "degraded": len(answer.degraded)}
        case Context():
            told = {
                "hits": len(answer.hits), "left_out": len(answer.left_out),
                "tokens": answer.tokens, "degraded": len(answer.degraded),
            }  # fmt: skip
        case Report():
            told = {**answer.counts, "parked": len(answer.parked)}
        case ErasureReceipt():
            told = {field.name: int(getattr(answer, field.name)) for field in fields(answer)}
        case Record() | Document():
            told = {"found": 1}
        case int():
            told = {"count": int(answer)}
        case list() | tuple():
            told = {"found": len(answer)}
    return told
