"""What the scores promise."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_bench.metrics import DEPTH, KS, RANKED, packed, quoted, scores

IDS = [f"t{i}" for i in range(120)]
rankings = st.lists(st.sampled_from(IDS), unique=True)
evidences = st.sets(st.sampled_from(IDS), min_size=1, max_size=15)


def test_the_scores_are_those_computed_by_hand():
    made = scores(["x", "a", "y", "b", "z"], ["a", "b", "c"])
    assert made["recall@1"] == 0
    assert made["recall@3"] == made["any@3"] / 3 == pytest.approx(1 / 3)
    assert made["recall@5"] == pytest.approx(2 / 3)
    assert made["all@5"] == 0
    assert made["mrr"] == 1 / 2
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert made["ndcg@10"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)


@given(evidences, st.lists(st.sampled_from(["x", "y", "z"]), unique=True))
def test_a_perfect_ranker_scores_one(evidence, others):
    made = scores([*sorted(evidence), *others], evidence)
    assert made["ndcg@10"] == pytest.approx(1)
    assert made["mrr"] == made["any@1"] == 1
    for k in KS:
        assert made[f"recall@{k}"] == min(1, k / len(evidence))
        assert made[f"all@{k}"] == float(k >= len(evidence))


@given(rankings, evidences)
def test_scores_lie_from_zero_to_one_and_grow_with_k(ranked, evidence):
    made = scores(ranked, evidence)
    assert set(made) == set(RANKED)
    assert all(0 <= value <= 1 + 1e-12 for value in made.values())
    for kind in ("recall", "any", "all"):
        values = [made[f"{kind}@{k}"] for k in KS]
        assert values == sorted(values)
    for k in KS:
        assert made[f"any@{k}"] >= made[f"recall@{k}"] >= made[f"all@{k}"]


@given(rankings, evidences)
def test_what_is_ranked_too_deep_does_not_count(ranked, evidence):
    assert scores(ranked, evidence) == scores(ranked[:DEPTH], evidence)


def test_a_question_without_evidence_has_no_score():
    with pytest.raises(ValueError, match="without evidence"):
        scores(["a"], [])


def test_packing_stops_before_the_turn_that_overflows():
    texts = {"a": "one two", "b": "three four five", "c": "six"}
    assert packed(["a", "b", "c"], texts, ["a", "c"], 2) == 1 / 2
    assert packed(["a", "b", "c"], texts, ["a", "c"], 4) == 1 / 2  # b would not fit: c neither
    assert packed(["a", "b", "c"], texts, ["a", "c"], 6) == 1


def test_only_whole_texts_count_as_quoted_and_the_fence_is_read_over():
    context = "qzwx# Quoted.\nqzwx Ann: first line\nqzwx| \nqzwx| second line\nqzwx Ben: cut o"
    assert quoted(context, ["first line\n\nsecond line"]) == 1
    assert quoted(context, ["first line", "cut off"]) == 1 / 2
