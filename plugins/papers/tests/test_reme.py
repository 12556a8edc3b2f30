"""ReMe: experiences are known by their goals, and have to prove themselves."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stepwell import Filter, Kind, Record, Usage
from stepwell.mechanisms.experiencing import judged
from stepwell.testing import HashingEmbedder
from stepwell_papers import reme

Make = Callable[..., Any]
PLAIN = reme.Params()


def told(made: Any) -> list[Record]:
    found: list[Record] = made.scope.records(Filter(kind=Kind.PROCEDURE), limit=1000)
    return found


def lived(made: Any, goal: str, *steps: str, outcome: float = 1.0) -> None:
    with made.scope.task(goal) as task:
        for step in steps:
            task.remember(step, actor="agent")
        task.outcome(outcome)
    assert made.scope.consolidate().ok


@given(used=st.integers(0, 40), share=st.floats(0, 1))
def test_an_experience_goes_exactly_when_it_was_tried_five_times_and_helped_half_of_them_at_most(
    used: int, share: float
) -> None:
    usage = Usage(used=used, success=share * used)
    expected = used >= 5 and min(1.0, usage.success / used) <= 0.5
    assert reme.useless(usage, PLAIN) == expected


@given(used=st.integers(1, 200), share=st.floats(0, 1), z=st.floats(0, 4))
def test_the_bounds_enclose_the_share_and_close_in_as_it_is_tried_more(
    used: int, share: float, z: float
) -> None:
    low, high = judged(share * used, used, z)
    assert 0 <= low <= high <= 1
    assert low - 1e-9 <= share <= high + 1e-9
    closer = judged(share * used * 4, used * 4, z)
    assert closer[1] - closer[0] <= high - low + 1e-9


@given(used=st.integers(0, 40), success=st.floats(0, 40))
def test_the_upper_bound_spares_and_the_lower_bound_takes_more_than_the_share(
    used: int, success: float
) -> None:
    usage = Usage(used=used, success=min(success, used))
    upper, mean, lower = (
        reme.useless(usage, replace(PLAIN, bound=bound)) for bound in ("upper", "mean", "lower")
    )
    assert upper <= mean <= lower


def test_an_experience_is_found_by_its_goal_and_not_by_its_steps(bench: Make) -> None:
    made = bench(reme.PRESET, HashingEmbedder())
    lived(made, "water the roses", "violin violin violin")
    lived(made, "tune the violin", "roses roses roses")
    best = made.scope.recall("the violin must be tuned")[0]
    assert best.text.startswith("tune the violin")


def test_what_did_not_help_five_times_is_hidden_and_what_helped_stays(bench: Make) -> None:
    for outcome, left in ((0.0, 0), (1.0, 1)):
        made = bench(reme.PRESET)
        lived(made, "boil an egg 10", "wait")
        (first,) = told(made)
        for _ in range(5):
            made.scope.feedback(first.id, outcome=outcome)
        made.scope.consolidate()
        assert len([each for each in told(made) if each.id == first.id]) == left


def test_tasks_credit_the_experiences_they_were_shown(bench: Make) -> None:
    made = bench(reme.PRESET)
    lived(made, "boil an egg 10", "wait")
    (first,) = told(made)
    for n in range(5):
        assert first in told(made), n
        with made.scope.task("boil an egg 10") as task:
            assert first.id in {hit.record.id for hit in task.recall("boil an egg 10")}
            task.outcome(0.0)
        made.scope.consolidate()
    assert first not in told(made)


def test_a_goal_known_already_makes_no_second_experience(bench: Make) -> None:
    made = bench(reme.PRESET)
    for goal in ("boil an egg 10", "boil two eggs 10", "paint the fence 90"):
        lived(made, goal, "wait")
    assert [each.text.split("\n")[0] for each in told(made)] == [
        "boil an egg 10",
        "paint the fence 90",
    ]


def test_what_a_failing_run_taught_is_kept_for_the_retry_alone(bench: Make) -> None:
    for retry, left in ((1.0, ["1.00"]), (0.0, ["0.00"])):
        made = bench(reme.PRESET)
        lived(made, "boil an egg 10", "wait", outcome=0.0)
        (lesson,) = told(made)
        lived(made, "boil an egg 10", "wait longer", outcome=retry)
        assert lesson not in told(made)
        assert [each.text[-4:] for each in told(made)] == left
