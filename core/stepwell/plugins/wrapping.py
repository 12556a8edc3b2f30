"""What plugins put around something: entered before it, left after it, whatever becomes of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, cast

from stepwell.errors import PluginFailed
from stepwell.plugins.implementing import Impl, Unfit, call, marks

_logger = logging.getLogger("stepwell.plugins")


def entered(impls: Sequence[Impl], arguments: Mapping[str, object]) -> ExitStack:
    """All that the implementations give, entered in their order; the stack leaves it.

    One that fails is logged, and the others stand. None is left with an exception: it could tell
    of it, or swallow it.
    """
    with ExitStack() as stack:
        for impl in impls:
            answer = call(impl, arguments, _manager)
            if answer is None or _fails(answer, impl, arguments):
                continue
            manager = cast("AbstractContextManager[Any]", answer)
            if not _fails(_done(impl, manager.__enter__), impl, arguments):
                stack.callback(_leave, impl, manager, arguments)
        return stack.pop_all()


def _leave(
    impl: Impl, manager: AbstractContextManager[Any], arguments: Mapping[str, object]
) -> None:
    _fails(_done(impl, lambda: manager.__exit__(None, None, None)), impl, arguments)


def _done(impl: Impl, step: Any) -> object:
    """Whether a step went well; what it gives is nobody's business."""

    def quietly() -> None:
        step()

    return call(Impl(impl.plugin, impl.hook, quietly, (), impl.module), {})


def _fails(answer: object, impl: Impl, arguments: Mapping[str, object]) -> bool:
    if type(answer) is PluginFailed:
        _logger.error("%s", answer, extra=marks(impl, arguments))
        return True
    return False


def _manager(answer: object) -> object:
    if answer is None or (
        isinstance(answer, AbstractContextManager) and not isinstance(answer, type)
    ):
        return answer
    raise Unfit(f"it returned an object of type {type(answer).__name__}, no context manager")
