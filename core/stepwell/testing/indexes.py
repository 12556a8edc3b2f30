"""The contracts of an Index over vectors and of a Words index: equal to brute force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import strategies as st

from stepwell.contracts import FloatArray, Index, IntArray, TermArray, Words
from stepwell.testing.samples import for_all

#: BM25 in Lucene's form.
K1, B = 1.2, 0.75
DIM = 4
HUGE = 2**31

# Whole numbers have exact inner products, and many ties.
_VECTORS = st.lists(st.integers(-2, 2), min_size=DIM, max_size=DIM)
_IDS = st.integers(0, 30) | st.sampled_from([2**40, 2**62])
_TERMS = st.lists(st.sampled_from([0, 1, 2, 3, 4, 2**53 + 1, 2**53, 2**63, 2**64 - 1]), max_size=8)


def ids_of(*ids: int) -> IntArray:
    """Ids as an index takes them."""
    return np.array(ids, np.int64)


def vectors_of(rows: Sequence[Sequence[float]]) -> list[npt.NDArray[Any]]:
    """Vectors as an index takes them."""
    return [np.array(row, np.float32) for row in rows]


def terms_of(rows: Sequence[Sequence[int]]) -> list[TermArray]:
    """Terms as an index takes them."""
    return [np.array(row, np.uint64) for row in rows]


def _steps(bodies: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What happens to an index: some keys come, some go, something is asked."""
    come = st.tuples(st.just("add"), st.dictionaries(_IDS, bodies, max_size=8))
    go = st.tuples(st.just("remove"), st.lists(_IDS, max_size=8))
    ask = st.tuples(st.just("search"), st.tuples(bodies, st.integers(0, 20)))
    return st.lists(st.one_of(come, go, ask), max_size=14)


class IndexContract:
    """What every index over vectors promises. Its search is exact.

        class TestMine(IndexContract):
            def open(self, dim):
                return MyIndex(dim)

    The vectors of the tests are not all normalised.
    """

    def open(self, dim: int) -> Index:
        """A new, empty index over vectors of `dim` numbers."""
        raise NotImplementedError("a contract is inherited by a class that says how to open")

    @pytest.fixture
    def index(self) -> Index:
        """An empty index."""
        return self.open(DIM)

    def test_an_empty_index_finds_nothing(self, index: Index) -> None:
        """No ids, no scores, in the right types, whatever the limit."""
        assert len(index) == 0
        for limit in (0, 1, HUGE):
            found, scores = index.search(np.ones(DIM, np.float32), limit)
            assert (found.shape, scores.shape) == ((0,), (0,))
            assert found.dtype == np.int64
            assert scores.dtype == np.float32
        index.add(ids_of(), [])
        index.remove(ids_of(1, 2))
        assert len(index) == 0

    def test_search_equals_brute_force(self) -> None:
        """Whatever was added and removed: the same ids in the same order, ties by id."""

        def check(steps: list[tuple[str, Any]]) -> None:
            mine, held = self.open(DIM), dict[int, list[int]]()
            for what, given in steps:
                if what == "add":
                    fresh = {i: row for i, row in given.items() if i not in held}
                    mine.add(ids_of(*fresh), vectors_of(list(fresh.values())))
                    held |= fresh
                elif what == "remove":
                    mine.remove(ids_of(*given))
                    held = {i: row for i, row in held.items() if i not in given}
                else:
                    body, limit = given
                    best = sorted((-float(np.dot(row, body)), i) for i, row in held.items())[:limit]
                    found, scores = mine.search(vectors_of([body])[0], limit)
                    assert found.tolist() == [i for _, i in best]
                    assert scores.tolist() == [-score for score, _ in best]
                assert len(mine) == len(held)

        for_all(check, _steps(_VECTORS), examples=150)

    @pytest.mark.parametrize("dim", [1, 3, 64, 300])
    def test_search_equals_numpy_on_random_vectors(self, dim: int) -> None:
        """Normalised vectors: no better one is left out, and each score is the inner product."""
        random = np.random.default_rng(dim)
        rows = random.standard_normal((700, dim)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        index = self.open(dim)
        ids = random.permutation(5000)[:700].astype(np.int64)
        index.add(ids, list(rows))
        place = {int(i): n for n, i in enumerate(ids)}
        for query in rows[:20]:
            exact = rows @ query
            for limit in (1, 10, 699, 700, 10_000):
                found, scores = index.search(query, limit)
                assert len(found) == len(set(found.tolist())) == min(limit, 700)
                assert (np.diff(scores) <= 0).all()
                told = exact[[place[int(i)] for i in found]]
                np.testing.assert_allclose(scores, told, atol=1e-5)
                np.testing.assert_allclose(scores, -np.sort(-exact)[: len(found)], atol=1e-5)

    def test_all_scores_are_those_of_the_search(self) -> None:
        """Of an index that has `scores`: every id once, whatever was added and removed."""
        if not hasattr(self.open(DIM), "scores"):
            return

        def check(held: dict[int, list[int]], gone: list[int], body: list[int]) -> None:
            index: Any = self.open(DIM)
            asked = vectors_of([body])[0]
            index.add(ids_of(*held), vectors_of(list(held.values())))
            index.remove(ids_of(*gone))
            ids, scores = index.scores(asked)
            assert (ids.dtype, scores.dtype) == (np.int64, np.float32)
            assert len(ids) == len(scores) == len(index)
            found, told = index.search(asked, HUGE)
            order = np.lexsort((ids, -scores))
            assert ids[order].tolist() == found.tolist()
            assert scores[order].tolist() == told.tolist()

        held = st.dictionaries(_IDS, _VECTORS, max_size=8)
        for_all(check, held, st.lists(_IDS, max_size=8), _VECTORS, examples=100)

    def test_ties_are_decided_by_the_id(self) -> None:
        """Of many equals those with the lowest ids come, in order, whatever the limit."""
        random = np.random.default_rng(7)
        index = self.open(8)
        row = random.standard_normal(8).astype(np.float32)
        ids = random.permutation(400).astype(np.int64)
        index.add(ids, [row] * 400)
        for limit in (1, 7, 399, 400):
            assert index.search(row, limit)[0].tolist() == list(range(limit))

    def test_what_is_removed_is_really_gone(self, index: Index) -> None:
        """It is not found, not counted, and its id is free for another vector."""
        index.add(ids_of(1, 2, 3), vectors_of(np.eye(3, DIM).tolist()))
        index.remove(ids_of(2, 2, 99))
        assert len(index) == 2
        assert index.search(vectors_of([[0, 1, 0, 0]])[0], HUGE)[0].tolist() == [1, 3]
        index.add(ids_of(2), vectors_of([[0, 0, 0, 1]]))
        found, scores = index.search(vectors_of([[0, 0, 0, 1]])[0], 1)
        assert (found.tolist(), scores.tolist()) == ([2], [1.0])
        index.remove(ids_of(1, 2, 3))
        assert len(index) == 0
        assert len(index.search(vectors_of([[0, 0, 0, 1]])[0], 5)[0]) == 0

    @pytest.mark.parametrize(("ids", "count"), [((1,), 1), ((5, 5), 2), ((6, 1), 2)])
    def test_an_id_that_is_there_is_refused(
        self, index: Index, ids: tuple[int, ...], count: int
    ) -> None:
        """A key comes once: ValueError, and nothing was taken in."""
        index.add(ids_of(1), vectors_of([[1, 0, 0, 0]]))
        with pytest.raises(ValueError):  # noqa: PT011 - its words are the index's own
            index.add(ids_of(*ids), vectors_of([[0, 1, 0, 0]] * count))
        assert len(index) == 1
        found, scores = index.search(vectors_of([[1, 1, 0, 0]])[0], HUGE)
        assert (found.tolist(), scores.tolist()) == ([1], [1.0])

    @pytest.mark.parametrize(
        "rows", [[[1.0] * (DIM + 1)], [[1.0]], [[np.nan] * DIM], [[np.inf] * DIM], []]
    )
    def test_a_vector_that_is_none_is_refused(self, index: Index, rows: list[list[float]]) -> None:
        """Another dimension, NaN, infinity, too few of them: ValueError, and nothing is kept."""
        with pytest.raises(ValueError):  # noqa: PT011 - its words are the index's own
            index.add(ids_of(1), vectors_of(rows))
        assert len(index) == 0
        index.add(ids_of(1), vectors_of([[1, 0, 0, 0]]))
        assert len(index) == 1

    def test_what_was_handed_in_may_change(self, index: Index) -> None:
        """The index keeps copies: arrays of the caller's are the caller's."""
        row, ids = np.array([1, 0, 0, 0], np.float32), ids_of(1)
        index.add(ids, [row])
        row[:] = 9
        ids[:] = 7
        found, scores = index.search(vectors_of([[1, 0, 0, 0]])[0], 1)
        assert (found.tolist(), scores.tolist()) == ([1], [1.0])

    def test_the_size_is_told(self, index: Index) -> None:
        """`nbytes` is at least what the numbers take, and not less for more."""
        before = index.nbytes
        index.add(np.arange(1000), [np.ones(DIM, np.float32)] * 1000)
        assert index.nbytes >= before + 1000 * DIM * 4


class WordsContract:
    """What every index over words promises: BM25 over what it holds and nothing else.

        class TestMine(WordsContract):
            def open(self):
                return MyWords()

    Terms are any numbers of 64 bits, units may be empty.
    """

    def open(self) -> Words:
        """A new, empty index over words."""
        raise NotImplementedError("a contract is inherited by a class that says how to open")

    def test_an_empty_index_finds_nothing(self) -> None:
        """Nor does one of empty units, or a question without terms."""
        index = self.open()
        for fresh in (ids_of(), ids_of(3, 4)):
            index.add(fresh, terms_of([[]] * len(fresh)))
            for body in terms_of([[], [1], [1, 1, 2]]):
                found, scores = index.search(body, HUGE)
                assert (found.tolist(), scores.tolist()) == ([], [])
                assert found.dtype == np.int64
                assert scores.dtype == np.float32
        assert len(index) == 2

    def test_search_equals_brute_force(self) -> None:
        """Whatever was added and removed, in any order of ids: BM25, best first, ties by id."""

        def check(steps: list[tuple[str, Any]]) -> None:
            index, held = self.open(), dict[int, list[int]]()
            for what, given in steps:
                if what == "add":
                    fresh = {i: row for i, row in given.items() if i not in held}
                    index.add(ids_of(*fresh), terms_of(list(fresh.values())))
                    held |= fresh
                elif what == "remove":
                    index.remove(ids_of(*given))
                    held = {i: row for i, row in held.items() if i not in given}
                else:
                    body, limit = given
                    _is_bm25(index, held, body, limit)
                assert index.ids.tolist() == sorted(held)
                assert index.lengths.tolist() == [len(held[i]) for i in sorted(held)]

        for_all(check, _steps(_TERMS), examples=150)

    def test_large_indexes_equal_brute_force(self) -> None:
        """Also when what was added late has been merged into what was there."""
        random = np.random.default_rng(3)
        held: dict[int, list[int]] = {}
        index = self.open()
        for start in range(0, 6000, 750):
            rows = {start + n: random.zipf(1.3, 6).clip(0, 400).tolist() for n in range(750)}
            index.add(ids_of(*rows), terms_of(list(rows.values())))
            held |= rows
        for one in range(6000, 6030):
            held[one] = [one % 7, 1]
            index.add(ids_of(one), terms_of([held[one]]))
        for body in ([1], [5, 5, 9], [400, 17, 2], [3, 399, 12345]):
            _is_bm25(index, held, body, 20)
        gone = random.permutation(6000)[:2500].tolist()
        index.remove(ids_of(*gone))
        held = {i: row for i, row in held.items() if i not in set(gone)}
        for body in ([1], [5, 5, 9], [400, 17, 2]):
            _is_bm25(index, held, body, HUGE)

    def test_the_removed_leaves_no_trace(self) -> None:
        """After a removal every answer is bit for bit that of an index that never held it."""

        def check(units: dict[int, list[int]], gone: set[int], size: int, query: list[int]) -> None:
            went, never = self.open(), self.open()
            everything = list(units.items())
            for start in range(0, len(everything), size):
                part = dict(everything[start : start + size])
                went.add(ids_of(*part), terms_of(list(part.values())))
            went.remove(ids_of(*sorted(gone)))
            left = {i: row for i, row in units.items() if i not in gone}
            never.add(ids_of(*left), terms_of(list(left.values())))
            assert went.ids.tobytes() == never.ids.tobytes()
            assert went.lengths.tobytes() == never.lengths.tobytes()
            for term in {t for row in units.values() for t in row}:
                for one, other in zip(went.postings(term), never.postings(term), strict=True):
                    assert one.tobytes() == other.tobytes()
            (ids, scores), (others, expected) = (
                index.search(terms_of([query])[0], HUGE) for index in (went, never)
            )
            assert ids.tobytes() == others.tobytes()
            assert scores.tobytes() == expected.tobytes()

        units = st.dictionaries(_IDS, _TERMS, max_size=20)
        for_all(check, units, st.sets(_IDS), st.integers(1, 8), _TERMS, examples=150)

    def test_postings_tell_who_holds_a_term(self) -> None:
        """Positions in `ids`, ascending, with frequencies; nobody for an unknown term."""
        index = self.open()
        index.add(ids_of(30, 10), terms_of([[1, 2, 1], [2]]))
        index.add(ids_of(20), terms_of([[1, 2**64 - 1]]))
        told = {
            term: [part.tolist() for part in index.postings(term)] for term in (1, 2, 2**64 - 1, 9)
        }
        assert index.ids.tolist() == [10, 20, 30]
        assert told == {
            1: [[1, 2], [1.0, 2.0]], 2: [[0, 2], [1.0, 1.0]], 2**64 - 1: [[1], [1.0]], 9: [[], []]
        }  # fmt: skip

    @pytest.mark.parametrize(("ids", "count"), [((1,), 1), ((5, 5), 2), ((6, 1), 2), ((7, 8), 1)])
    def test_an_id_that_is_there_is_refused(self, ids: tuple[int, ...], count: int) -> None:
        """A key comes once, with one body: ValueError, and nothing was taken in."""
        index = self.open()
        index.add(ids_of(1), terms_of([[1]]))
        with pytest.raises(ValueError):  # noqa: PT011 - its words are the index's own
            index.add(ids_of(*ids), terms_of([[1, 2]] * count))
        assert index.ids.tolist() == [1]
        assert [part.tolist() for part in index.postings(2)] == [[], []]

    def test_unknown_ids_are_ignored_in_a_removal(self) -> None:
        """Nothing else is touched by them."""
        index = self.open()
        index.add(ids_of(1, 2), terms_of([[1], [2]]))
        index.remove(ids_of(5, 2, 2))
        assert index.ids.tolist() == [1]
        index.add(ids_of(2), terms_of([[1]]))
        _is_bm25(index, {1: [1], 2: [1]}, [1], 5)

    def test_a_limit_of_nothing_finds_nothing(self) -> None:
        """And a huge one everything that holds a word of the question."""
        index = self.open()
        index.add(ids_of(*range(9)), terms_of([[n % 2] for n in range(9)]))
        assert index.search(terms_of([[1]])[0], 0)[0].tolist() == []
        assert index.search(terms_of([[1]])[0], HUGE)[0].tolist() == [1, 3, 5, 7]


def _is_bm25(index: Words, held: dict[int, list[int]], query: Sequence[int], limit: int) -> None:
    """Whether the index answers as a sum over all units does, in double precision."""
    exact = _bm25(held, query)
    found, scores = index.search(terms_of([query])[0], limit)
    assert set(found.tolist()) <= set(exact)
    assert len(set(found.tolist())) == len(found) == min(limit, len(exact))
    best: FloatArray = np.array(sorted(exact.values(), reverse=True)[: len(found)], np.float32)
    np.testing.assert_allclose(scores, best, rtol=1e-4)
    np.testing.assert_allclose(scores, [exact[i] for i in found.tolist()], rtol=1e-4)
    pairs = list(zip((-scores).tolist(), found.tolist(), strict=True))
    assert pairs == sorted(pairs)


def _bm25(held: dict[int, list[int]], query: Sequence[int]) -> dict[int, float]:
    """The scores of all units that hold a word of the question."""
    mean = sum(map(len, held.values())) / max(1, len(held)) or 1.0
    scores: dict[int, float] = {}
    for term in query:
        holders = [i for i, row in held.items() if term in row]
        idf = np.log1p((len(held) - len(holders) + 0.5) / (len(holders) + 0.5))
        for i in holders:
            count, norm = held[i].count(term), K1 * (1 - B + B * len(held[i]) / mean)
            scores[i] = scores.get(i, 0.0) + float(idf) * count / (count + norm)
    return scores
