"""ExpRAG: experiences are appended, and the nearest four are shown, nearest first."""

from collections.abc import Callable
from typing import Any

from stepwell import Filter, Kind, Record, Status
from stepwell.testing import HashingEmbedder
from stepwell_papers import exprag

EXPERIENCES = Filter(kind=Kind.PROCEDURE)
Make = Callable[..., Any]


def told(made: Any, status: Status = Status.ACTIVE) -> list[Record]:
    found: list[Record] = made.scope.records(EXPERIENCES & Filter(status=status), limit=1000)
    return found


def lived(made: Any, goal: str, *steps: str, outcome: float | None = 1.0) -> Any:
    with made.scope.task(goal) as task:
        for step in steps:
            task.remember(step, actor="agent")
        if outcome is not None:
            task.outcome(outcome)
    assert made.scope.consolidate().ok
    return task


def test_a_task_that_ended_is_an_experience_of_goal_trajectory_and_outcome(bench: Make) -> None:
    made = bench(exprag.PRESET)
    task = lived(made, "boil an egg", "fill the pot", "wait", outcome=0.25)
    (experience,) = told(made)
    assert experience.text == "boil an egg\n- agent: fill the pot\n- agent: wait\n= 0.25"
    assert experience.task == task.id


def test_a_task_that_has_not_ended_is_no_experience_yet(bench: Make) -> None:
    made = bench(exprag.PRESET)
    lived(made, "boil an egg", "fill the pot", outcome=None)
    assert all(each.task is None for each in told(made))


def test_four_experiences_are_shown_the_nearest_first(bench: Make) -> None:
    made = bench(exprag.PRESET, HashingEmbedder())
    for n, fruit in enumerate(("apples", "pears", "plums", "figs", "dates", "limes")):
        lived(made, f"sort the {fruit} by size", f"take box {n}", outcome=n % 2)
    shown = [hit for hit in made.scope.recall("sort the figs by size") if hit.record.level]
    assert len(shown) == 4
    assert shown[0].text.startswith("sort the figs")
    assert [hit.score for hit in shown] == sorted((hit.score for hit in shown), reverse=True)


def test_another_outcome_supersedes_what_the_former_one_made(bench: Make) -> None:
    made = bench(exprag.PRESET)
    task = lived(made, "boil an egg", "wait", outcome=0.0)
    task.outcome(1.0)
    made.scope.consolidate()
    assert [each.text[-4:] for each in told(made)] == ["1.00"]
    assert [each.text[-4:] for each in told(made, Status.SUPERSEDED)] == ["0.00"]


def test_an_experience_tells_no_step_that_was_forgotten_and_none_outlives_its_goal(
    bench: Make,
) -> None:
    made = bench(exprag.PRESET)
    with made.scope.task("open the safe") as task:
        task.remember("the code is 4711", id="secret")
        task.remember("turn the knob", id="knob")
        task.outcome(1.0)
    made.scope.consolidate()
    made.scope.forget("secret")
    made.scope.consolidate()
    (experience,) = told(made)
    assert "4711" not in experience.text
    assert "turn the knob" in experience.text
    made.scope.forget(task.id)
    made.scope.consolidate()
    assert not any("open the safe" in each.text for each in told(made))


def test_a_remark_and_its_answer_are_an_experience_where_nobody_opens_tasks(bench: Make) -> None:
    made = bench(exprag.PRESET)
    made.say("Where is the key?", actor="Ann", session="s1")
    made.say("Under the pot.", actor="Ben", session="s1")
    assert [each.text for each in told(made)] == ["Where is the key?\n- Ben: Under the pot."]
