"""A tier of limited size keeps what its rule says, and names what goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.mechanisms.tiers import evicted, least, ring

scored = st.lists(st.tuples(st.integers(), st.integers(-3, 3)), max_size=30)


@given(st.lists(st.integers()), st.integers(-2, 40))
def test_a_ring_keeps_the_newest_and_loses_nothing(items, capacity):
    kept, out = ring(items, capacity)
    assert [*out, *kept] == items
    assert len(kept) == min(len(items), max(0, capacity))


@given(scored, st.integers(0, 30))
def test_what_goes_has_the_least_and_is_no_more_than_the_surplus(pairs, capacity):
    places = list(range(len(pairs)))
    scores = [score for _, score in pairs]
    gone = least(places, scores, capacity)
    assert len(gone) == max(0, len(places) - capacity)
    left = set(places) - set(gone)
    if gone and left:
        assert max(scores[place] for place in gone) <= min(scores[place] for place in left)
    assert gone == sorted(gone, key=lambda place: (scores[place], place))


@pytest.mark.parametrize(
    ("order", "gone"), [("fifo", ["a", "b"]), ("lfu", ["d", "b"]), ("heat", ["c", "a"])]
)
def test_each_order_of_eviction_is_its_own(order, gone):
    uses, heats = [5.0, 1.0, 2.0, 0.0], [2.0, 9.0, 1.0, 3.0]
    assert evicted("abcd", 2, order, uses=uses, heats=heats) == gone


def test_of_equals_the_oldest_goes():
    assert evicted("abc", 1, "lfu", uses=[0.0, 0.0, 0.0]) == ["a", "b"]
