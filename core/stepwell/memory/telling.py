"""What a verb came to, for whoever measures: how long it took, and what it did, in numbers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields

from stepwell.models import Context, Done, ErasureReceipt, Recall, Receipt, Report
from stepwell.plugins import Plugins

Answer = Receipt | Recall | Context | ErasureReceipt | Report


class Outcome:
    """Where a verb leaves its answer, to be told of it in numbers."""

    answer: Answer | None = None


@contextmanager
def told(plugins: Plugins, verb: str, path: tuple[str, ...]) -> Iterator[Outcome]:
    """Tell `on_verb` of what is done inside, also where it fails."""
    outcome = Outcome()
    if not plugins.has("on_verb"):
        yield outcome
        return
    begun = time.perf_counter()
    failed: str | None = None
    try:
        yield outcome
    except BaseException as error:
        failed = type(error).__name__
        raise
    finally:
        took = time.perf_counter() - begun
        done = Done(verb, path, took, counts_of(outcome.answer), failed)
        plugins.tell("on_verb", done=done)


def counts_of(answer: Answer | None) -> dict[str, int]:
    """An answer in numbers."""
    match answer:
        case Receipt():
            names = ("stored", "merged", "skipped", "degraded")
            return {name: len(getattr(answer, name)) for name in names}
        case Recall():
            return {"hits": len(answer), "degraded": len(answer.degraded)}
        case Context():
            return {
                "hits": len(answer.hits), "left_out": len(answer.left_out),
                "tokens": answer.tokens, "degraded": len(answer.degraded),
            }  # fmt: skip
        case Report():
            return {**answer.counts, "parked": len(answer.parked)}
        case ErasureReceipt():
            return {field.name: int(getattr(answer, field.name)) for field in fields(answer)}
        case None:
            return {}
