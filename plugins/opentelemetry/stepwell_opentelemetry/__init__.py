"""Spans and metrics of what stepwell does: `Memory.open(path, plugins=["opentelemetry"])`.

Each verb is a span, in the span that its caller has begun, and counts into metrics. None of it
holds remembered text, a question, or a name: a scope is told by a hash, or not at all.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import Final, Literal

from opentelemetry import metrics, trace
from opentelemetry.metrics import Counter, Histogram, MeterProvider
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, TracerProvider
from opentelemetry.util.types import AttributeValue

from stepwell import Done, hookimpl

__all__ = ["Telemetry", "on_verb"]

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
    def on_verb(self, done: Done) -> None:
        """A span that has just ended, and its numbers."""
        end = time.time_ns()
        attributes: dict[str, AttributeValue] = {"stepwell.verb": done.verb}
        if done.error is not None:
            attributes["error.type"] = done.error
        self._seconds.record(done.seconds, attributes)
        for name in _COUNTED:
            if done.counts.get(name):
                self._counts.add(done.counts[name], {"stepwell.verb": done.verb, "item": name})
        if self.scopes != "none":
            attributes["stepwell.scope"] = self._scope(done.scope)
        attributes |= {f"stepwell.{name}": count for name, count in done.counts.items()}
        span = self._tracer.start_span(
            f"stepwell.{done.verb}", kind=SpanKind.INTERNAL, attributes=attributes,
            start_time=end - round(1e9 * done.seconds),
        )  # fmt: skip
        if done.error is not None:
            span.set_status(Status(StatusCode.ERROR, done.error))
        span.end(end)

    def _scope(self, path: tuple[str, ...]) -> str:
        told = "/".join(path)
        if self.scopes == "plain":
            return told
        return hashlib.blake2b("\0".join(path).encode(), digest_size=8).hexdigest()


_usual: list[Telemetry] = []


@hookimpl
def on_verb(done: Done) -> None:
    """The plugin with its usual settings. Providers are asked for with the first verb."""
    if not _usual:
        _usual.append(Telemetry())
    _usual[0].on_verb(done)
