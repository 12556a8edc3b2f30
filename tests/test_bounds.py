"""Bounds hide and never destroy; they count what takes part, and keep what is used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stepwell import Bounds, Edge, EdgeKind, Filter, Link, Memory, Status, hookimpl
from stepwell.errors import InvalidInput
from stepwell.testing import FakeClock

START = datetime(2026, 1, 1, tzinfo=UTC)
EVERY = Filter(level=0, status=[Status.ACTIVE, Status.HIDDEN])


def opened(bounds, path=":memory:", **options):
    return Memory.open(path, plugins=[bounds], embedder=None, seed=1, **options)


def tell(scope, many):
    scope.remember_many(
        {"text": f"We walked to mill number {n}.", "id": f"t{n}", "session": f"s{n // 4}",
         "at": START + timedelta(days=n)}
        for n in range(many)
    )  # fmt: skip


def active(scope):
    return {r.turn for r in scope.records(Filter(level=0), limit=10_000)}


def test_of_too_many_the_oldest_are_hidden_and_all_are_kept():
    with opened(Bounds(records=10)) as memory:
        scope = memory.scope("ann")
        tell(scope, 30)
        scope.consolidate()
        assert active(scope) == {f"t{n}" for n in range(20, 30)}
        assert scope.count(EVERY) == 30
        assert scope.get("t3").text == "We walked to mill number 3."
        assert {h.record.turn for h in scope.recall("mill number 3", k=50)} <= active(scope)
        hidden = scope.recall("mill number 3", where=Filter(status=Status.HIDDEN))
        assert hidden[0].record.turn == "t3"
        assert scope.consolidate().counts == {}
        assert memory.check().ok


def test_a_trace_is_hidden_with_the_last_of_its_turns():
    with opened(Bounds(records=10)) as memory:
        scope = memory.scope("ann")
        tell(scope, 28)
        scope.consolidate()
        traces = scope.records(Filter(kind="trace"), limit=100)
        assert traces
        for trace in traces:
            (hit,) = scope.recall("mill", levels=(1,), where=Filter(id=trace.id))
            assert {*hit.sources} & active(scope)


def test_what_is_used_stays_longer():
    with opened(Bounds(records=5), clock=FakeClock(start=START + timedelta(days=60))) as memory:
        scope = memory.scope("ann")
        tell(scope, 5)
        scope.feedback(scope.recall("mill number 0", k=1), 1.0)
        scope.consolidate()
        tell(scope, 9)
        scope.consolidate()
        assert active(scope) == {"t0", "t5", "t6", "t7", "t8"}


@pytest.mark.parametrize("bound", ["age", "unused"])
def test_what_is_older_than_the_bound_is_hidden(bound):
    clock = FakeClock(start=START + timedelta(days=40), step=timedelta(0))
    with opened(Bounds(**{bound: timedelta(days=20)}), clock=clock) as memory:
        scope = memory.scope("ann")
        tell(scope, 40)
        scope.consolidate()
        assert active(scope) == {f"t{n}" for n in range(20, 40)}


def test_a_bound_of_size_counts_what_takes_part():
    with opened(Bounds(size=5_000)) as memory:
        scope = memory.scope("ann")
        tell(scope, 100)
        scope.consolidate()
        assert 15 <= len(active(scope)) <= 25
        assert scope.count(EVERY) == 100


def test_only_retention_forgets_what_was_hidden(tmp_path):
    clock = FakeClock(start=START + timedelta(days=400))
    with opened(Bounds(records=4), tmp_path / "m.db", clock=clock) as memory:
        tell(memory.scope("ann"), 12)
        memory.scope("ann").consolidate()
        assert memory.scope("ann").count(EVERY) == 12
    clock = FakeClock(start=START + timedelta(days=800))
    options = {"clock": clock, "retention": timedelta(days=30)}
    with opened(Bounds(records=4), tmp_path / "m.db", **options) as memory:
        memory.scope("ann").consolidate()
        assert memory.scope("ann").count(EVERY) == 4
        assert memory.check().ok


def test_no_bound_hides_nothing_and_no_bound_is_below_nothing():
    with opened(Bounds()) as memory:
        tell(memory.scope("ann"), 12)
        memory.scope("ann").consolidate()
        assert memory.scope("ann").count(Filter(level=0)) == 12
    for wrong in ({"records": -1}, {"size": -5}, {"age": timedelta(-1)}):
        with pytest.raises(InvalidInput):
            Bounds(**wrong)


def test_a_circle_that_a_plugin_offers_is_refused():
    class Circling:
        name = "circling"

        @hookimpl
        def maintain(self, view):
            upper = view.records(Filter(level=[2, 3]), limit=100)
            inside = view.links([r.id for r in upper], EdgeKind.CONTAINS)
            return [
                Link(edge=Edge(source=e.target, kind=EdgeKind.CONTAINS, target=e.source))
                for edges in inside.values() for e in edges
            ]  # fmt: skip

    with Memory.open(plugins=[Circling()], embedder=None) as memory:
        scope = memory.scope("ann")
        tell(scope, 60)
        report = scope.consolidate()
        assert report.counts["dropped"] > 0
        assert scope.count(Filter(kind="category")) > 0
        assert memory.check().ok
        for node in scope.tree():
            assert len(node.sources) <= 60
