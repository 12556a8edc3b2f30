"""What stepwell-opentelemetry promises, seen by OpenTelemetry's own exporters in memory."""

from __future__ import annotations

import asyncio
import time

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from stepwell import AsyncMemory, Filter, Memory
from stepwell.errors import InvalidFilter
from stepwell.testing import HashingEmbedder, PolicyContract
from stepwell_opentelemetry import Telemetry

CANARY = "wormwood"


class Seen:
    def __init__(self):
        self.spans = InMemorySpanExporter()
        self.metrics = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.meters = MeterProvider([self.metrics])

    def telemetry(self, **settings):
        return Telemetry(tracer_provider=self.tracers, meter_provider=self.meters, **settings)

    def points(self):
        held = self.metrics.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
        return {metric.name: list(metric.data.data_points) for metric in held}


@pytest.fixture
def seen():
    made = Seen()
    yield made
    made.tracers.shutdown()
    made.meters.shutdown()


class TestPolicy(PolicyContract):
    def open(self):
        return Telemetry()


def test_each_verb_is_a_span_with_its_time_and_its_numbers(seen):
    with Memory.open(":memory:", embedder=None, plugins=[seen.telemetry()]) as memory:
        scope = memory.scope("acme", "ann")
        before = time.time_ns()
        scope.remember_many(["It rains.", "It pours."])
        scope.recall("rain", k=1)
        scope.context("rain", budget=100)
        scope.consolidate()
        scope.forget(where=Filter(level=0))
        scope.erase()
        after = time.time_ns()
    spans = {span.name: span for span in seen.spans.get_finished_spans()}
    assert [*spans] == [
        f"stepwell.{verb}"
        for verb in ("remember", "recall", "context", "consolidate", "forget", "erase")
    ]
    assert spans["stepwell.remember"].attributes["stepwell.stored"] == 2
    assert spans["stepwell.recall"].attributes["stepwell.hits"] == 1
    assert all(before < s.start_time < s.end_time < after for s in spans.values())
    points = seen.points()
    assert sum(point.count for point in points["stepwell.verb.duration"]) == 6
    stored = [p.value for p in points["stepwell.verb.items"] if p.attributes["item"] == "stored"]
    assert stored == [2]


def test_what_fails_is_told_by_the_name_of_its_error(seen):
    with (
        Memory.open(":memory:", embedder=None, plugins=[seen.telemetry()]) as memory,
        pytest.raises(InvalidFilter),
    ):
        memory.scope("ann").forget(where=Filter())
    (span,) = seen.spans.get_finished_spans()
    assert span.attributes["error.type"] == "InvalidFilter"
    assert not span.status.is_ok


def test_a_span_lies_in_the_span_of_its_caller(seen):
    async def main():
        tracer = seen.tracers.get_tracer("host")
        async with AsyncMemory.open(
            ":memory:", embedder=None, plugins=[seen.telemetry()]
        ) as memory:
            scope = memory.scope("ann")
            with tracer.start_as_current_span("one"):
                await scope.remember("It rains.")
            with tracer.start_as_current_span("two"):
                await asyncio.gather(scope.recall("rain"), scope.recall("sun"))

    asyncio.run(main())
    spans = seen.spans.get_finished_spans()
    hosts = {span.name: span.context.span_id for span in spans if span.name in {"one", "two"}}
    inside = [(s.name, s.parent.span_id) for s in spans if s.name.startswith("stepwell.")]
    assert inside == [
        ("stepwell.remember", hosts["one"]),
        ("stepwell.recall", hosts["two"]),
        ("stepwell.recall", hosts["two"]),
    ]


class Traced(HashingEmbedder):
    """Begins a span of its own, as a client over HTTP does."""

    def __init__(self, seen):
        super().__init__(8)
        self._tracer = seen.tracers.get_tracer("client")

    def embed(self, texts, *, query=False):
        with self._tracer.start_as_current_span("embed"):
            return super().embed(texts, query=query)


def test_what_is_begun_inside_of_a_verb_lies_in_its_span(seen):
    tracer = seen.tracers.get_tracer("host")
    with (
        Memory.open(":memory:", embedder=Traced(seen), plugins=[seen.telemetry()]) as memory,
        tracer.start_as_current_span("host"),
    ):
        memory.scope("ann").remember("It rains.")
        memory.scope("ann").recall("rain")
    spans = seen.spans.get_finished_spans()
    by_id = {span.context.span_id: span.name for span in spans}
    lies = [(s.name, by_id[s.parent.span_id]) for s in spans if s.parent is not None]
    assert {("embed", "stepwell.remember"), ("embed", "stepwell.recall")} <= {*lies}
    assert ("stepwell.remember", "host") in lies
    assert ("embed", "host") not in lies


def test_an_async_verb_is_around_what_is_begun_in_its_thread(seen):
    async def main():
        tracer = seen.tracers.get_tracer("host")
        async with AsyncMemory.open(
            ":memory:", embedder=Traced(seen), plugins=[seen.telemetry()]
        ) as memory:
            with tracer.start_as_current_span("host"):
                await asyncio.gather(*(memory.scope(n).remember("It rains.") for n in "ab"))

    asyncio.run(main())
    spans = seen.spans.get_finished_spans()
    (host,) = [span.context.span_id for span in spans if span.name == "host"]
    verbs = {span.context.span_id for span in spans if span.name == "stepwell.remember"}
    assert len(verbs) == 2
    assert {s.parent.span_id for s in spans if s.name == "stepwell.remember"} == {host}
    # An embedding span outside of any verb is that of the opening.
    assert {s.parent.span_id for s in spans if s.name == "embed" and s.parent} == verbs


def test_what_a_verb_raises_is_told_by_its_name_alone(seen):
    class Raises(HashingEmbedder):
        def embed(self, texts, *, query=False):
            raise KeyboardInterrupt(f"{texts}")

    with (
        Memory.open(":memory:", embedder=Raises(8), plugins=[seen.telemetry()]) as memory,
        pytest.raises(KeyboardInterrupt),
    ):
        memory.scope("a").remember(CANARY)
    (span,) = seen.spans.get_finished_spans()
    assert span.attributes["error.type"] == "KeyboardInterrupt"
    assert not span.events
    assert CANARY not in span.to_json()


@pytest.mark.parametrize("scopes", ["hashed", "none"])
def test_nothing_is_told_that_somebody_said_asked_or_is_called(seen, scopes):
    with Memory.open(":memory:", plugins=[seen.telemetry(scopes=scopes)]) as memory:
        scope = memory.scope("acme", CANARY)
        scope.remember(CANARY, actor=CANARY, session=CANARY, id=CANARY)
        scope.recall(CANARY)
        scope.context(CANARY)
        scope.consolidate()
        scope.forget(CANARY)
    told = "".join(span.to_json() for span in seen.spans.get_finished_spans())
    assert told
    assert CANARY not in told + seen.metrics.get_metrics_data().to_json()
    assert ("stepwell.scope" in told) == (scopes == "hashed")


def test_a_path_is_told_as_it_is_where_that_is_asked_for(seen):
    with Memory.open(":memory:", plugins=[seen.telemetry(scopes="plain")]) as memory:
        memory.scope("acme", "desk").remember("x")
    (span,) = seen.spans.get_finished_spans()
    assert span.attributes["stepwell.scope"] == "acme/desk"


def test_by_name_it_goes_to_the_global_providers_or_nowhere():
    with Memory.open(":memory:", embedder=None, plugins=["opentelemetry"]) as memory:
        assert memory.scope("a").remember("x").stored
