"""Scores are those of the books, lie in [0, 1], and know nothing of what is not to be seen."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.defaults.word_index import WordIndex
from stepwell.mechanisms import lining, scoring
from stepwell.mechanisms.timespans import NEVER
from stepwell.mechanisms.words import terms

TERMS = [1, 2, 3, 2**64 - 1]
query_terms = st.lists(st.sampled_from([*TERMS, 77]), max_size=6)
#: Units in order of arrival: session, terms, and whether it is seen.
corpora = st.lists(
    st.tuples(
        st.integers(-1, 2), st.lists(st.sampled_from(TERMS), max_size=5), st.sampled_from([1, 1, 0])
    ),
    max_size=30,
)


def array(body: list[int]) -> np.ndarray:
    return np.array(body, np.uint64)


def index_of(bodies: list[list[int]]) -> WordIndex:
    index = WordIndex()
    index.add(np.arange(len(bodies)), [array(body) for body in bodies])
    return index


def preceding(sessions: list[int], seen: list[bool]) -> np.ndarray:
    latest: dict[int, int] = {}
    before = np.full(len(sessions), -1, np.int64)
    for i, session in enumerate(sessions):
        if seen[i]:
            before[i] = latest.get(session, -1)
            latest[session] = i
    return before


def arranged(corpus, masked: bool = False):
    """The parts of a corpus; all seen, unless masked."""
    sessions, bodies = [c[0] for c in corpus], [c[1] for c in corpus]
    seen = [bool(c[2]) or not masked for c in corpus]
    return np.array(sessions, np.int64), bodies, np.array(seen, np.bool_), preceding(sessions, seen)


def brute(documents: list[dict[int, float]], lengths: list[float], query: list[int]) -> list[float]:
    """BM25 as it stands in the books, counts being fractions."""
    mean = sum(lengths) / max(1, len(lengths))
    scores = [0.0] * len(documents)
    for term in query:
        holders = [i for i, counts in enumerate(documents) if counts.get(term)]
        idf = math.log(1 + (len(documents) - len(holders) + 0.5) / (len(holders) + 0.5))
        for i in holders:
            norm = 1.2 * (0.25 + 0.75 * lengths[i] / mean)
            scores[i] += idf * documents[i][term] / (documents[i][term] + norm)
    return scores


def windows(
    bodies: list[list[int]], before: np.ndarray
) -> tuple[list[dict[int, float]], list[float]]:
    """What each unit and its two neighbours on either side hold, weighted."""
    parts: list[dict[int, float]] = [{i: 1.0} for i in range(len(bodies))]
    for i, previous in enumerate(before.tolist()):
        if previous >= 0:
            parts[i][previous], parts[previous][i] = 0.6, 0.4
            if (second := int(before[previous])) >= 0:
                parts[i][second], parts[second][i] = 0.4, 0.2
    documents, lengths = [], []
    for part in parts:
        counts: Counter[int] = Counter()
        for unit, weight in part.items():
            for term in bodies[unit]:
                counts[term] += weight
        documents.append(dict(counts))
        lengths.append(sum(weight * len(bodies[unit]) for unit, weight in part.items()))
    return documents, lengths


def lexical(index: WordIndex, query: list[int], sessions, before, seen=None):
    found = scoring.match(index, array(query), seen)
    return scoring.lexical(found, lining.lines(before), sessions)


# BM25 of units, windows and groups ----------------------------------------------------------------


@given(corpora, query_terms)
def test_a_unit_by_itself_scores_as_in_the_books(corpus, query):
    _, bodies, _, _ = arranged(corpus)
    scores = scoring.bm25(scoring.match(index_of(bodies), array(query)))
    expected = brute([Counter(body) for body in bodies], [len(body) for body in bodies], query)
    assert scores.dtype == np.float32
    assert scores.tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("cells", [1, 64, 1 << 17])
@settings(deadline=None)
@given(corpus=corpora, query=query_terms)
def test_a_window_scores_as_if_it_were_indexed(cells, corpus, query):
    _, bodies, _, before = arranged(corpus)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "_CELLS", cells)
        scores = scoring.bm25_windows(scoring.match(index_of(bodies), array(query)), before)
    assert scores.tolist() == pytest.approx(brute(*windows(bodies, before), query), rel=1e-4)


@given(corpora, query_terms)
def test_a_session_scores_as_one_text(corpus, query):
    sessions, bodies, _, _ = arranged(corpus)
    scores = scoring.bm25_groups(scoring.match(index_of(bodies), array(query)), sessions)
    codes = sorted({s for s in sessions.tolist() if s >= 0})
    joined = [
        [t for s, b in zip(sessions, bodies, strict=True) if s == c for t in b] for c in codes
    ]
    whole = brute([Counter(body) for body in joined], [len(body) for body in joined], query)
    by_code = dict(zip(codes, whole, strict=True)) if len(codes) > 1 else {}
    expected = [by_code.get(session, 0.0) for session in sessions.tolist()]
    assert scores.tolist() == pytest.approx(expected, rel=1e-4)


@given(corpora, query_terms)
def test_a_stretch_is_the_mean_of_seventeen(corpus, query):
    _, bodies, _, before = arranged(corpus)
    scores = scoring.bm25(scoring.match(index_of(bodies), array(query)))
    after = lining.following(before)
    expected = []
    for i in range(len(bodies)):
        near = [float(scores[i])]
        for step in (before, after):
            at = i
            for _ in range(8):
                at = int(step[at]) if at >= 0 else -1
                near.append(float(scores[at]) if at >= 0 else 0.0)
        expected.append(sum(near) / 17)
    found = lining.stretch(scores, lining.lines(before))
    assert found.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-6)


# what is not to be seen ---------------------------------------------------------------------------


@settings(deadline=None)
@given(corpora, query_terms)
def test_what_is_not_seen_changes_nothing(corpus, query):
    sessions, bodies, seen, before = arranged(corpus, masked=True)
    found = lexical(index_of(bodies), query, sessions, before, seen)
    kept = [c for c in corpus if c[2]]
    alone_sessions, alone_bodies, _, alone_before = arranged(kept)
    alone = lexical(index_of(alone_bodies), query, alone_sessions, alone_before)
    for name, scores in found.items():
        assert scores[seen].tolist() == pytest.approx(alone[name].tolist(), rel=1e-5), name
        assert not scores[~seen].any(), name


@given(corpora, query_terms)
def test_a_mask_that_hides_nobody_is_no_mask(corpus, query):
    sessions, bodies, seen, before = arranged(corpus)
    index = index_of(bodies)
    masked = lexical(index, query, sessions, before, seen)
    for name, scores in lexical(index, query, sessions, before).items():
        assert np.array_equal(scores, masked[name])


# features -----------------------------------------------------------------------------------------


@given(corpora, query_terms)
def test_features_lie_in_the_unit_interval_and_are_the_same_again(corpus, query):
    sessions, bodies, _, before = arranged(corpus)
    index = index_of(bodies)
    features = lexical(index, query, sessions, before)
    assert set(features) < set(scoring.WEIGHTS)
    for name, scores in features.items():
        assert scores.dtype == np.float32
        assert scores.shape == (len(bodies),)
        assert ((scores >= 0) & (scores <= 1)).all()
        assert np.array_equal(scores, lexical(index, query, sessions, before)[name])
    fused = scoring.fuse(features)
    assert ((fused >= 0) & (fused <= 1)).all()
    assert np.array_equal(fused, scoring.fuse(dict(reversed(features.items()))))


def test_a_question_whose_words_are_nowhere_finds_nothing():
    index = index_of([[1], [2, 3]])
    before = np.array([-1, 0])
    features = lexical(index, [77, 78], np.array([0, 1]), before)
    assert not any(scores.any() for scores in features.values())
    assert not scoring.telling(index.lengths, features["window"]).any()
    assert not scoring.dated(index, "When?", features["window"]).any()


def test_the_answer_is_found_beside_the_words_of_the_question():
    talk = ["So, which instrument?", "The cello, since school.", "Rain again.", "Oh dear."]
    index = index_of([terms(text).tolist() for text in talk])
    features = lexical(
        index, terms("instrument").tolist(), np.zeros(4, np.int64), np.array([-1, 0, 1, 2])
    )
    fused = scoring.fuse(features)
    assert fused[1] > fused[2] > fused[3]
    assert features["words"][1] == 0


def test_a_better_fit_counts_for_more():
    index = index_of([[1, 2, 3], [1], [9]])
    before = np.array([-1, -1, -1])
    sessions = np.arange(3)
    few, all_of_it = ([1, 77, 78, 79], [1, 2, 3])
    weak = lexical(index, few, sessions, before)["window"].max()
    strong = lexical(index, all_of_it, sessions, before)["window"].max()
    assert 0 < weak < strong <= 1


def test_a_longer_unit_tells_more_up_to_a_point():
    lengths = np.array([0, 1, 10, 25, 400], np.int32)
    feature = scoring.telling(lengths, np.ones(5, np.float32))
    assert feature[0] == 0
    assert feature[1] < feature[2] < feature[3] == feature[4] == 1


def test_words_of_time_count_when_a_time_is_asked_for():
    texts = ["We met on Monday", "We met at the gate", "Yesterday it rained"]
    index = index_of([terms(text).tolist() for text in texts])
    evidence = np.array([0.5, 0.5, 0], np.float32)
    assert scoring.dated(index, "When did you meet?", evidence).tolist() == [1, 0, 0]
    assert scoring.dated(index, "Where did you meet?", evidence).tolist() == [0, 0, 0]


def test_actors_scores_reach_their_units_and_the_unknown_get_none():
    scores = np.array([0.5, 1.0], np.float32)
    assert scoring.by_actor(scores, np.array([1, -1, 0])).tolist() == [1, 0, 0.5]
    assert scoring.by_actor(scores[:0], np.array([-1, -1])).tolist() == [0, 0]


def test_a_long_silence_parts_neighbours():
    hour = 3600 * 1_000_000
    said = np.array([0, hour, 5 * hour, NEVER, 9 * hour, 9 * hour])
    parted = lining.lines(np.array([-1, 0, 1, 2, 3, 4]), said)
    assert parted.before[0].tolist() == [-1, 0, -1, 2, 3, 4]
    assert parted.after[0].tolist() == [1, -1, 3, 4, 5, -1]
    assert parted.before[1].tolist() == [-1, -1, -1, -1, 2, 3]


def test_of_too_many_words_those_that_tell_most_are_asked_for():
    index = index_of([[1, 2], [1, 3], [1]])
    found = scoring.match(index, array([1, 1, 2, 3, 77]), most=2)
    whole = scoring.match(index, array([1, 1, 2, 3, 77]))
    assert found.position.tolist() == [0, 1]
    assert found.full == whole.full
    assert len(whole.weight) == 3


# fusing, records, the best ------------------------------------------------------------------------


def test_fusing_is_the_weighted_sum_over_what_it_could_be():
    one, other = np.array([1, 0.5, 0], np.float32), np.array([0, 1, 0], np.float32)
    fused = scoring.fuse({"a": one, "b": other, "unweighted": one}, {"a": 3, "b": 1, "absent": 1})
    assert fused.tolist() == pytest.approx([3 / 5, 2.5 / 5, 0])
    less = scoring.fuse({"a": one, "b": other}, {"a": 1, "b": -1})
    assert less.tolist() == pytest.approx([1, 0, 0])
    assert scoring.fuse({}, {}).tolist() == []


def test_a_record_is_as_good_as_its_best_unit_and_the_first_of_equals():
    scores = np.array([0.2, 0.9, 0.9, 0.0, 0.4], np.float32)
    best, unit = scoring.by_record(scores, np.array([1, 1, 1, 3, 0]), 4)
    assert best.tolist() == pytest.approx([0.4, 0.9, 0, 0])
    assert unit.tolist() == [4, 1, -1, 3]


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.0, 0.25, 0.5, 1.0])), max_size=20))
def test_by_record_is_the_maximum_over_units(units):
    record = np.array([r for r, _ in units], np.int64)
    scores = np.array([s for _, s in units], np.float32)
    best, unit = scoring.by_record(scores, record, 5)
    for r in range(5):
        own = [i for i in range(len(units)) if record[i] == r]
        assert best[r] == max((scores[i] for i in own), default=0)
        assert unit[r] == min((i for i in own if scores[i] == best[r]), default=-1)


def test_one_unit_a_record_is_passed_through():
    scores = np.array([0.2, 0.9], np.float32)
    best, unit = scoring.by_record(scores, np.arange(2), 2)
    assert (best.tolist(), unit.tolist()) == (scores.tolist(), [0, 1])


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=30), st.integers(-1, 35))
def test_the_best_come_first_and_equals_in_order(values, limit):
    scores = np.array(values, np.float32)
    expected = sorted((i for i in range(len(values)) if values[i]), key=lambda i: (-values[i], i))
    assert scoring.top(scores, limit).tolist() == expected[: max(0, limit)]
