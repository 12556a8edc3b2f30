"""What the intervals promise."""

import numpy as np
import pytest

from stepwell_bench.bootstrap import Resamples

CLUSTERS = [f"c{i % 8}" for i in range(200)]
VALUES = np.random.default_rng(3).random(200)


def test_an_interval_holds_the_mean_and_stays_among_the_values():
    made = Resamples(CLUSTERS).estimate(VALUES)
    assert made.mean == pytest.approx(VALUES.mean())
    assert VALUES.min() <= made.low < made.mean < made.high <= VALUES.max()


def test_the_same_seed_gives_the_same_interval():
    assert Resamples(CLUSTERS, seed=7).estimate(VALUES) == Resamples(CLUSTERS, seed=7).estimate(
        VALUES
    )
    assert Resamples(CLUSTERS, seed=7).estimate(VALUES) != Resamples(CLUSTERS, seed=8).estimate(
        VALUES
    )


def test_conversations_that_differ_widen_the_interval():
    by_cluster = np.array([float(name[1:]) for name in CLUSTERS])
    whole = Resamples(CLUSTERS).estimate(by_cluster)
    alone = Resamples(range(200)).estimate(by_cluster)
    assert whole.high - whole.low > 2 * (alone.high - alone.low)


def test_a_ranker_has_no_gain_over_itself():
    made = Resamples(CLUSTERS).estimate(VALUES - VALUES)
    assert made == (0, 0, 0)
    assert not made.decided


def test_equal_rankers_with_noise_are_not_told_apart_and_unequal_ones_are():
    samples = Resamples(CLUSTERS)
    noise = np.random.default_rng(4).normal(size=200)
    assert not samples.estimate(noise - noise.mean()).decided
    assert samples.estimate(noise + 2).decided


def test_a_part_of_the_questions_has_its_own_mean():
    where = np.array([name == "c3" for name in CLUSTERS])
    made = Resamples(CLUSTERS).estimate(VALUES, where)
    assert made.mean == pytest.approx(VALUES[where].mean())
    assert made.low < made.mean < made.high


def test_nothing_has_no_mean():
    with pytest.raises(ValueError, match="no question"):
        Resamples([])
    with pytest.raises(ValueError, match="no question"):
        Resamples(["a"]).estimate(np.ones(1), np.zeros(1, bool))
