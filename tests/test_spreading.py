"""Places for a list are told once each, the best first; who has no cosine is near nothing."""

from types import SimpleNamespace

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from stepwell.recalling.fusing import Fused, spread_places, top_places
from stepwell.searching.dense import Dense

places = st.lists(
    st.tuples(st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]), st.integers(-1, 2), st.booleans()),
    max_size=40,
)


def fused(given_places) -> Fused:
    size = len(given_places)
    columns = {
        "said": np.arange(size), "session": np.array([p[1] for p in given_places], np.int64)
    }  # fmt: skip
    cache = SimpleNamespace(columns=columns, ids=[i.to_bytes(16, "big") for i in range(size)])
    seen = np.array([p[2] for p in given_places], np.bool_)
    scores = np.array([p[0] for p in given_places], np.float32)
    return Fused(SimpleNamespace(cache=cache, seen=seen), scores, (), None)


@example([(1.0, 0, True)] * 3, 2, 3.0)
@given(places, st.integers(0, 50), st.sampled_from([0.0, 0.2, 0.5, 1.0, 3.0]))
def test_spread_places_are_as_many_as_the_best_each_once_and_the_best_is_first(some, k, spread):
    made = fused(some)
    spread_out, scores = spread_places(made, k, spread)
    found, best = spread_out.tolist(), top_places(made, k).tolist()
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
    assert all(score <= some[place][0] for place, score in zip(found, scores, strict=True))
    assert len(found) == len(set(found)) == len(best) <= k
    assert found[:1] == best[:1]
    assert all(some[place][0] > 0 and some[place][2] for place in found)


@given(places, st.integers(0, 50))
def test_no_spread_gives_the_best(some, k):
    made = fused(some)
    assert spread_places(made, k, 0.0)[0].tolist() == top_places(made, k).tolist()


class Few:
    """An index that tells the nearest few only."""

    nbytes = 0

    def __init__(self, told):
        self.told = told

    def add(self, ids, bodies):
        self.ids = ids

    def search(self, body, limit):
        return self.ids[: self.told], np.array([0.9, 0.4], np.float32)[: self.told]


def cosines(told: int) -> list[float]:
    dense = Dense("few/2", lambda spec: Few(told))
    body = np.array([1, 0], "<f4").tobytes()
    dense.add([(kid, kid, None, None, body) for kid in (1, 2, 3)])
    return [round(c, 3) for c in dense.cosines(np.array([1, 0], np.float32)).tolist()]


def test_who_is_not_told_of_counts_as_far_as_the_farthest_that_is():
    assert cosines(2) == [0.9, 0.4, 0.4]


def test_where_nobody_is_told_of_nobody_is_near():
    assert cosines(0) == [0, 0, 0]
