"""Cosines are told as what stands out, and mean the same in every space."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stepwell.mechanisms.nearness import beside, standing
from stepwell.mechanisms.scoring import lines

cosines = arrays(np.float32, st.integers(0, 20), elements=st.floats(-1, 1, width=32))


@given(cosines, st.data())
def test_scores_lie_between_0_and_1_in_the_order_of_the_cosines(given_cosines, data):
    seen = data.draw(arrays(np.bool_, len(given_cosines)))
    for mask in (None, seen):
        scores = standing(given_cosines, mask)
        shown = scores if mask is None else scores[mask]
        held = given_cosines if mask is None else given_cosines[mask]
        assert ((scores >= 0) & (scores <= 1)).all()
        order = np.argsort(held, kind="stable")
        assert (np.diff(shown[order]) >= 0).all()


@given(cosines, st.data())
def test_what_is_not_seen_moves_nothing_and_gets_nothing(given_cosines, data):
    seen = data.draw(arrays(np.bool_, len(given_cosines)))
    scores = standing(given_cosines, seen)
    assert (scores[~seen] == 0).all()
    np.testing.assert_allclose(scores[seen], standing(given_cosines[seen]), atol=1e-6)


def test_what_is_usual_in_a_space_counts_nothing():
    narrow = standing(np.array([0.6, 0.6, 0.6, 0.6, 0.8], np.float32))
    assert (narrow[:4] == 0).all()
    assert narrow[4] > 0.4


def test_a_text_alone_is_judged_by_its_own_cosine():
    assert standing(np.array([0.7], np.float32))[0] == np.float32(0.7)


def test_a_neighbour_that_is_not_there_counts_as_nothing():
    around = lines(np.array([-1, 0, 1, -1]))
    np.testing.assert_allclose(
        beside(np.array([0.9, 0.3, 0.0, 0.6], np.float32), around), [0.4, 0.4, 0.1, 0.2], atol=1e-6
    )
