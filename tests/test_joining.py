"""What comes in joins the group it is most like, or begins one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stepwell.mechanisms.joining import Group, jaccards, join, key_words

ONE, OTHER = np.eye(2, dtype=np.float32)
NONE: frozenset[str] = frozenset()
vectors = arrays(np.float32, (12, 3), elements=st.floats(-1, 1, width=32))


def test_likeness_is_cosine_and_jaccard_together():
    half = np.array([0.5, np.sqrt(0.75)], np.float32)
    words = frozenset({"oslo", "rain"})
    alike = frozenset({"oslo", "snow"})  # a Jaccard index of 1/3
    assert join([], np.stack([ONE, half]), [NONE, NONE], 0.6) == [0, 1]
    assert join([], np.stack([ONE, half]), [words, alike], 0.6) == [0, 0]
    assert join([], np.stack([ONE, half]), [words, alike], 0.9) == [0, 1]


def test_the_key_of_a_group_is_the_mean_of_all_its_members():
    groups: list[Group] = []
    join(groups, np.stack([ONE, ONE, OTHER]), [frozenset({"a"})] * 3, 0.6)
    assert len(groups) == 1
    np.testing.assert_allclose(groups[0].mean, np.array([2, 1]) / np.sqrt(5), atol=1e-6)
    assert (groups[0].size, groups[0].counts) == (3, (("a", 3),))


def test_of_equals_the_first_is_joined():
    groups = [Group(ONE.copy(), 1), Group(ONE.copy(), 1)]
    assert join(groups, ONE[None], [NONE], 0.6) == [0]


@given(vectors, st.floats(-1, 2), st.integers(0, 12))
def test_each_has_one_group_whether_they_come_at_once_or_in_two_goes(rows, least, split):
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    words = [frozenset({str(n % 3)}) for n in range(len(rows))]
    once: list[Group] = []
    twice: list[Group] = []
    places = join(once, rows, words, least)
    again = join(twice, rows[:split], words[:split], least)
    again += join(twice, rows[split:], words[split:], least)
    assert places == again
    assert sum(group.size for group in once) == len(rows)
    assert set(places) == set(range(len(once)))


def test_jaccard_of_nothing_is_nothing():
    assert jaccards(NONE, [NONE, frozenset({"a"})]).tolist() == [0, 0]
    assert jaccards(frozenset("ab"), [frozenset("bc"), frozenset("ab")]).tolist() == pytest.approx(
        [1 / 3, 1]
    )


def test_key_words_are_few_and_folded():
    assert key_words(["Oslo", "RAIN"]) == {"oslo", "rain"}
    assert len(key_words([str(n) for n in range(50)])) == 10
