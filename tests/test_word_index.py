"""A word index forgets for real: its answers are those of an index made of what is left."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.contracts import Index
from stepwell.defaults import word_index
from stepwell.defaults.word_index import WordIndex

# Large ones too: as floats, the last ones would be one and the same.
TERMS = [0, 1, 5, 2**53, 2**64 - 1, 2**64 - 2, 2**64 - 3]
bodies = st.lists(st.sampled_from(TERMS), max_size=6)


def array(body: list[int]) -> np.ndarray:
    return np.array(body, np.uint64)


def made_of(units: dict[int, list[int]]) -> WordIndex:
    index = WordIndex()
    index.add(np.array(sorted(units), np.int64), [array(units[i]) for i in sorted(units)])
    return index


def same(one: WordIndex, other: WordIndex) -> bool:
    def equal(a, b):
        return a.dtype == b.dtype and np.array_equal(a, b)

    return (
        len(one) == len(other)
        and equal(one.ids, other.ids)
        and equal(one.lengths, other.lengths)
        and all(all(map(equal, one.postings(t), other.postings(t))) for t in [*TERMS, 77])
        and all(
            all(map(equal, one.search(array(q), 3), other.search(array(q), 3)))
            for q in ([0], [1, 5, 1], [2**64 - 1, 2**53], [77], [])
        )
    )


def brute(units: dict[int, list[int]], query: list[int], k1=1.2, b=0.75) -> dict[int, float]:
    """BM25 as it stands in the books."""
    counts = {i: Counter(body) for i, body in units.items()}
    mean = sum(map(len, units.values())) / max(1, len(units))
    scores: dict[int, float] = {}
    for term in query:
        holders = [i for i in units if counts[i][term]]
        idf = math.log(1 + (len(units) - len(holders) + 0.5) / (len(holders) + 0.5))
        for i in holders:
            norm = k1 * (1 - b + b * len(units[i]) / mean)
            scores[i] = scores.get(i, 0) + idf * counts[i][term] / (counts[i][term] + norm)
    return scores


changes = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(st.tuples(st.integers(0, 40), bodies), max_size=6)),
        st.tuples(st.just("remove"), st.lists(st.integers(0, 40), max_size=6)),
    ),
    max_size=12,
)


@pytest.mark.parametrize("tail", [0, 3, 2048])
@settings(max_examples=60, deadline=None)
@given(changes=changes)
def test_any_history_of_changes_leaves_what_a_new_index_of_the_rest_is(tail, changes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word_index, "TAIL", tail)
        index, units = WordIndex(), {}
        for what, payload in changes:
            if what == "add":
                fresh = {i: body for i, body in payload if i not in units}
                index.add(np.array(list(fresh), np.int64), [array(b) for b in fresh.values()])
                units |= fresh
            else:
                index.remove(np.array(payload, np.int64))
                units = {i: body for i, body in units.items() if i not in payload}
        assert same(index, made_of(units))


@given(st.lists(bodies, max_size=12), st.lists(st.sampled_from([*TERMS, 77]), max_size=5))
def test_scores_are_those_of_the_books(texts, query):
    units = {3 * i + 7: body for i, body in enumerate(texts)}
    ids, scores = made_of(units).search(array(query), 100)
    expected = brute(units, query)
    assert dict(zip(ids.tolist(), scores.tolist(), strict=True)) == pytest.approx(expected, 1e-5)
    order = [(-score, i) for i, score in zip(ids.tolist(), scores.tolist(), strict=True)]
    assert order == sorted(order)


@given(st.lists(bodies, max_size=12))
def test_postings_say_who_holds_a_term_and_how_often(texts):
    index = made_of(dict(enumerate(texts)))
    assert index.lengths.tolist() == [len(body) for body in texts]
    for term in [*TERMS, 77]:
        positions, counts = index.postings(term)
        assert (positions.dtype, counts.dtype) == (np.int32, np.float32)
        expected = {i: body.count(term) for i, body in enumerate(texts) if term in body}
        assert dict(zip(positions.tolist(), counts.tolist(), strict=True)) == expected
        assert positions.tolist() == sorted(positions.tolist())


def test_equal_scores_come_by_id_and_a_limit_keeps_the_first():
    index = made_of({i: [1, 2] for i in range(50)})
    assert index.search(array([1]), 5)[0].tolist() == [0, 1, 2, 3, 4]
    assert index.search(array([1]), 0)[0].tolist() == []
    assert index.search(array([1]), -1)[0].tolist() == []


def test_a_removed_unit_is_known_to_no_statistic():
    index = made_of({1: [5], 2: [5, 5, 6], 3: [6]})
    index.remove(np.array([2, 99]))
    assert index.ids.tolist() == [1, 3]
    assert index.postings(5)[0].tolist() == [0]
    assert same(index, made_of({1: [5], 3: [6]}))
    index.remove(np.array([1, 3]))
    assert len(index) == 0
    assert index.search(array([5]), 10)[0].tolist() == []


def test_an_id_may_come_once():
    index = made_of({1: [5]})
    with pytest.raises(ValueError, match="known already"):
        index.add(np.array([1]), [array([6])])
    with pytest.raises(ValueError, match="comes twice"):
        index.add(np.array([4, 4]), [array([6]), array([6])])
    with pytest.raises(ValueError, match="2 ids for 1 bodies"):
        index.add(np.array([7, 8]), [array([6])])
    assert same(index, made_of({1: [5]}))


def test_arrays_handed_out_do_not_change_under_the_reader():
    index = made_of({1: [5], 2: [5]})
    ids, (positions, counts) = index.ids, index.postings(5)
    index.add(np.array([3]), [array([5])])
    index.remove(np.array([1]))
    index.add(np.array([9]), [array([5])])
    assert ids.tolist() == [1, 2]
    assert (positions.tolist(), counts.tolist()) == ([0, 1], [1, 1])


def test_a_unit_without_terms_takes_a_position():
    index = made_of({1: [], 2: [5]})
    assert index.postings(5)[0].tolist() == [1]
    assert index.lengths.tolist() == [0, 1]


def test_it_knows_about_how_much_memory_it_holds():
    small = made_of({1: [5]}).nbytes
    large = made_of({i: [5, i + 10, i + 1000] for i in range(5_000)}).nbytes
    assert 0 < small < 2_000
    assert 100_000 < large < 2_000_000
    tail = WordIndex()
    for i in range(1_000):
        tail.add(np.array([i]), [array([5, i + 10])])
    assert 20_000 < tail.nbytes < 1_000_000


def test_it_is_an_index_as_the_contract_says():
    assert isinstance(WordIndex(), Index)
