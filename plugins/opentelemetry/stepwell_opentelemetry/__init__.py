"""Spans and metrics of what stepwell does: `Memory.open(path, plugins=["opentelemetry"])`.

Each verb is a span, in the span that its caller has begun, around those that an embedder or a model
begins inside of it, and counts into metrics. None of it holds remembered text, a question, or a
name: a scope is told by a hash, or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

from opentelemetry import metrics, trace
from opentelemetry.metrics import Counter, Histogram, MeterProvider
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, TracerProvider
from opentelemetry.util.types import AttributeValue

from stepwell import Doing, Done, hookimpl

__all__ = ["Telemetry", "around_verb"]

_NAME: Final = "stepwell"
#: What is counted beside being an attribute of a span.
_COUNTED: Final = ("stored", "hits", "tokens", "turns", "parked", "degraded")

Scopes = Literal["hashed", "plain", "none"]


@dataclass(frozen=True)
class Telemetry:
    """The plugin with settings of one's own: `plugins=[Telemetry(scopes="none")]`.

    - `scopes`: how spans tell a scope: "hashed", the same for the same path; "plain", where a path
      holds nobody's name; or "none". Metrics never tell it: there may be very many.
    - `tracer_provider`, `meter_provider`: others than the global ones.
    """

    scopes: Scopes = "hashed"
    tracer_provider: TracerProvider | None = None
    meter_provider: MeterProvider | None = None
    name: str = "telemetry"
    _tracer: Tracer = field(init=False, repr=False)
    _seconds: Histogram = field(init=False, repr=False)
    _counts: Counter = field(init=False, repr=False)

    def __post_init__(self) -> None:
        tracer = trace.get_tracer(_NAME, tracer_provider=self.tracer_provider)
        meter = metrics.get_meter(_NAME, meter_provider=self.meter_provider)
        seconds = meter.create_histogram(
            "stepwell.verb.duration", "s", "How long a verb took, by its name and its error."
        )
        counts = meter.create_counter(
            "stepwell.verb.items", "{item}", "What verbs came to: turns stored, hits, tokens ..."
        )
        for attribute, made in (("_tracer", tracer), ("_seconds", seconds), ("_counts", counts)):
            object.__setattr__(self, attribute, made)

    @hookimpl
    @contextmanager
    def around_verb(self, doing: Doing) -> Iterator[None]:
        """A span around the verb: what is begun inside, by an embedder or a model, lies in it."""
        attributes: dict[str, AttributeValue] = {"stepwell.verb": doing.verb}
        if self.scopes != "none" and doing.scope:
            attributes["stepwell.scope"] = self._scope(doing.scope)
        with self._tracer.start_as_current_span(
            f"stepwell.{doing.verb}", kind=SpanKind.INTERNAL, attributes=attributes
        ) as span:
            yield
            if doing.done is not None:
                self._tell(doing.done, span)

    def _tell(self, done: Done, span: Span) -> None:
        """The numbers of a verb that is over, while its span is still the one at hand."""
        attributes: dict[str, AttributeValue] = {"stepwell.verb": done.verb}
        if done.error is not None:
            attributes["error.type"] = done.error
            span.set_status(Status(StatusCode.ERROR, done.error))
        span.set_attributes(
            attributes | {f"stepwell.{name}": count for name, count in done.counts.items()}
        )
        self._seconds.record(done.seconds, attributes)
        for name in _COUNTED:
            if done.counts.get(name):
                self._counts.add(done.counts[name], {"stepwell.verb": done.verb, "item": name})

    def _scope(self, path: tuple[str, ...]) -> str:
        told = "/".join(path)
        if self.scopes == "plain":
            return told
        return hashlib.blake2b("\0".join(path).encode(), digest_size=8).hexdigest()


_usual: list[Telemetry] = []


@hookimpl
def around_verb(doing: Doing) -> AbstractContextManager[None]:
    """The plugin with its usual settings. Providers are asked for with the first verb."""
    if not _usual:
        _usual.append(Telemetry())
    return _usual[0].around_verb(doing)
