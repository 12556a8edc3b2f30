"""Heat is a sum of counts and of how lately something was visited."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.mechanisms.heat import TAU, heat, recency

ages = st.floats(0, 1e12)


def test_heat_is_the_published_sum():
    assert heat(2, 3, 0.0) == 6.0
    assert heat(2, 3, TAU) == pytest.approx(5 + math.exp(-1))
    assert heat(2, 3, TAU, alpha=0.8, beta=0.5, gamma=10) == pytest.approx(3.1 + 10 / math.e)
    assert heat(0, 5, math.inf) == 5.0


def test_many_are_worked_out_at_once():
    told = heat(np.array([0, 1]), np.array([4, 0]), np.array([0.0, math.inf]))
    assert told.tolist() == [5.0, 1.0]


@given(ages, ages)
def test_what_was_visited_later_is_no_colder(one, other):
    younger, older = sorted((one, other))
    assert recency(younger) >= recency(older)
    assert 0 <= recency(older) <= 1


def test_a_visit_that_is_still_to_come_counts_as_one_of_now():
    assert recency(-5.0) == 1.0
