"""Buffers are bounded by tokens; a full one is cut where both fine and coarse signs agree."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stepwell.mechanisms.buffering import (
    adjacent,
    batches,
    coarse,
    cohesion,
    cut,
    fine,
    hybrid,
    sizes,
)

gaps = st.lists(st.integers(0, 30), max_size=12, unique=True).map(sorted)


@given(st.lists(st.integers(0, 50)), st.integers(1, 60))
def test_batches_hold_everything_within_their_limit(tokens, limit):
    ends = batches(tokens, limit)
    begin = 0
    for end in ends:
        batch = tokens[begin : end + 1]
        assert sum(batch) <= limit or len(batch) == 1 or sum(batch[1:]) == 0
        if end + 1 < len(tokens):
            assert sum(batch) + tokens[end + 1] > limit
        begin = end + 1
    assert begin == len(tokens)


def test_texts_are_measured_in_tokens():
    assert sizes(["", "one, two"]) == [0, 3]


def test_the_threshold_rises_until_a_boundary_is_found():
    told = np.array([0.9, 0.33, 0.31, 0.9], np.float32)
    assert fine(told) == [1, 2]  # none below .20, .25, .30; both below .35
    assert fine(np.array([0.1, 0.33], np.float32)) == [0]
    assert fine(np.array([0.51, 0.6], np.float32)) == []
    assert fine(np.empty(0, np.float32)) == []


def test_a_valley_of_cohesion_is_a_coarse_boundary():
    assert coarse(np.array([0.9, 0.2, 0.8, 0.8, 0.5, 0.6], np.float32)) == [1, 4]
    assert coarse(np.array([0.4], np.float32)) == []


def test_fine_boundaries_are_kept_near_coarse_ones():
    assert hybrid([1, 6, 12], [9]) == [6, 12]
    assert hybrid([1, 6, 12], [9], reach=2) == [1, 6, 12]
    assert hybrid([1, 6], []) == [1, 6]


@given(gaps, gaps, st.integers(0, 5))
def test_no_boundary_is_made_up_and_some_is_always_left(fines, coarses, reach):
    kept = hybrid(fines, coarses, reach)
    assert set(kept) <= set(fines)
    assert bool(kept) == bool(fines)


def test_two_topics_are_cut_between():
    one, other = np.eye(2, dtype=np.float32)
    assert cut(np.stack([one] * 4 + [other] * 4)) == [3]
    assert cut(np.stack([one] * 5)) == []
    assert cut(np.stack([one])) == []


def test_cohesion_looks_further_than_the_next_item():
    one, other = np.eye(2, dtype=np.float32)
    vectors = np.stack([one, one, other, one, one, other, other, other])
    assert adjacent(vectors).tolist() == [1, 0, 0, 1, 0, 1, 1]
    assert int(np.argmin(cohesion(vectors, width=3))) == 4
