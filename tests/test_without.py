"""What a reader sees already is not told again: not as a turn, and not as what is made of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell import Memory
from stepwell.errors import InvalidQuery

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def scope():
    with Memory.open(":memory:", seed=1) as memory:
        scope = memory.scope("ann")
        scope.remember_many(
            {
                "id": f"t{n}", "text": f"The boat number {n} needs paint and a new sail.",
                "session": f"s{n // 10}", "at": START + timedelta(days=n // 10, minutes=n % 10),
            }
            for n in range(60)
        )  # fmt: skip
        scope.consolidate()
        yield scope


QUESTIONS = ("Which boat needs paint?", "What did we talk about?", "boat number 17")


@given(st.sets(st.integers(0, 59)), st.sampled_from(QUESTIONS), st.sampled_from([200, 800, 9000]))
@settings(max_examples=40, deadline=None)
def test_no_hit_rests_on_what_is_seen_alone(scope, seen, question, budget):
    without = {f"t{n}" for n in seen}
    for hits in (
        scope.recall(question, k=60, without=without),
        scope.recall(question, k=60, levels=(0, 1, 2, 3), without=without),
        scope.context(question, budget=budget, without=without).hits,
    ):
        assert all(set(hit.sources) - without for hit in hits)


def test_what_is_seen_takes_no_place(scope):
    seen = [hit.record.turn for hit in scope.recall(QUESTIONS[0], k=50)]
    assert len(scope.recall(QUESTIONS[0], k=10, without=seen)) == 10


def test_a_context_of_what_is_all_seen_is_empty(scope):
    every = [f"t{n}" for n in range(60)]
    for question in QUESTIONS:
        context = scope.context(question, without=every)
        assert (context.text, context.tokens, context.hits) == ("", 0, ())


def test_ids_that_nobody_knows_change_nothing(scope):
    plain = scope.recall(QUESTIONS[0])
    assert scope.recall(QUESTIONS[0], without=["nobody", "r_" + "0" * 32]).hits == plain.hits


@pytest.mark.parametrize("without", ["t1", 7, [7], ["\ud800"]])
def test_anything_but_ids_is_refused(scope, without):
    with pytest.raises(InvalidQuery):
        scope.recall("boat", without=without)
