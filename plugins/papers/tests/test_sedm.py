"""SEDM: what is remembered has to be admitted, and keeps its weight."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stepwell import Filter, Kind, Record, Usage
from stepwell.mechanisms.replaying import gain, general
from stepwell.testing import HashingEmbedder
from stepwell_papers import sedm

Make = Callable[..., Any]
PLAIN = sedm.Params()


def told(made: Any) -> list[Record]:
    found: list[Record] = made.scope.records(Filter(kind=Kind.PROCEDURE), limit=1000)
    return found


def lived(made: Any, goal: str, *steps: str, outcome: float = 1.0) -> None:
    with made.scope.task(goal) as task:
        for step in steps:
            task.remember(step, actor="agent")
        task.outcome(outcome)
    assert made.scope.consolidate().ok


def unit(*angles: float) -> Any:
    rad = np.radians(np.array(angles, np.float32))
    return np.stack([np.cos(rad), np.sin(rad)], axis=1).astype(np.float32)


@given(first=st.floats(0, 5), used=st.integers(0, 10**6), won=st.floats(0, 1))
def test_weights_stay_within_their_bounds_and_success_never_lowers_one(
    first: float, used: int, won: float
) -> None:
    usage = Usage(used=used, success=won * used, failure=(1 - won) * used)
    better = Usage(used=used, success=won * used + 1, failure=(1 - won) * used)
    now = sedm.weight(first, usage, PLAIN)
    assert PLAIN.least <= now <= PLAIN.most
    assert sedm.weight(first, better, PLAIN) >= now


@given(st.text(max_size=200))
def test_what_is_general_is_not_made_more_general(text: str) -> None:
    assert general(general(text)) == general(text)


def test_placeholders_stand_for_what_is_of_one_case() -> None:
    said = 'ask Alice to send "the bill" of 12.50 to https://example.org/a and /var/log/x'
    assert general(said) == "ask <name> to send <quoted> of <number> to <link> and <path>"


@given(st.lists(st.floats(0, 360), min_size=1, max_size=6), st.floats(0, 360))
def test_what_is_known_already_gains_nothing(goals: list[float], angle: float) -> None:
    (candidate,) = unit(angle)
    found = gain(candidate, unit(angle), unit(*goals), 0.5)
    assert found is None or found < 1e-6


def test_what_lies_nearer_to_a_logged_goal_gains_the_difference() -> None:
    (candidate,) = unit(0)
    found = gain(candidate, unit(60), unit(0), 0.5)
    assert found is not None
    assert abs(found - 0.5) < 1e-6
    assert gain(candidate, unit(60), unit(90), 0.5) is None


def test_a_goal_lived_through_again_is_not_admitted_twice(bench: Make) -> None:
    made = bench(sedm.PRESET)
    for goal in ("boil an egg 10", "paint the fence 95", "boil two eggs 10"):
        lived(made, goal, "wait")
    kept = [each.text.split("\n")[0] for each in told(made) if not each.payload.get("general")]
    assert kept == ["boil an egg 10", "paint the fence 95"]


def test_an_experience_that_brought_more_weighs_more(bench: Make) -> None:
    made = bench(sedm.PRESET)
    lived(made, "boil an egg 10", "wait")
    first = next(each for each in told(made) if not each.payload.get("general"))
    before = {hit.record.id: hit.why for hit in made.scope.recall("boil 10")}
    for _ in range(3):
        made.scope.feedback(first.id, outcome=1.0)
    made.scope.consolidate()
    after = {hit.record.id: hit.why for hit in made.scope.recall("boil 10")}
    assert after[first.id]["weight"] > before[first.id]["weight"]


def test_nothing_is_learnt_from_the_first_task_if_it_has_failed(bench: Make) -> None:
    made = bench(sedm.PRESET, HashingEmbedder())
    lived(made, "put the red cup on the shelf", "take the cup", "drop it", outcome=0.0)
    assert told(made) == []
    lived(made, "wash the pan in the sink", "take the pan", "wash it", outcome=1.0)
    assert told(made)
