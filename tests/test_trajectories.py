"""Trajectories: what mattered of a task, and the patterns in it, by hand."""

from collections.abc import Sequence
from typing import Any

from stepwell import Record, Usage
from stepwell.mechanisms import insights, trajectories
from stepwell.mechanisms.insights import Insight
from stepwell.mechanisms.trajectories import Finding, Trail
from stepwell.testing import FakeClock


def turn(n: int, action: str | None = None, up: Sequence[int] = (), **fields: Any) -> Record:
    return Record(
        id=f"r_{n}", scope=("a",), turn=f"t{n}", text="x", action=action,
        upstream=tuple(f"t{u}" for u in up), stored_at=FakeClock()(), **fields,
    )  # fmt: skip


def test_a_trajectory_is_what_led_to_the_last_action_without_steps_of_no_effect() -> None:
    turns = [
        turn(0), turn(1, up=[0]), turn(2, up=[0]), turn(3, "look", [1]),
        turn(4, "push", [3], observation="Nothing happens."), turn(5, "pull", [4], reward=-1.0),
        turn(6, "open", [5]), turn(7, up=[6]),
    ]  # fmt: skip
    kept = trajectories.sparse("t", turns)
    assert [one.turn for one in kept] == ["t0", "t1", "t3", "t6"]


def test_without_edges_all_actions_are_the_trajectory() -> None:
    turns = [turn(0), turn(1, "a"), turn(2), turn(3, "b")]
    assert [one.turn for one in trajectories.sparse("t", turns)] == ["t1", "t3"]
    assert len(trajectories.sparse("t", [turn(0), turn(1)])) == 2


def test_where_steps_are_told_each_goes_on_from_the_one_before() -> None:
    turns = [turn(0, step=1), turn(1, "a", [0], step=1), turn(2, step=2), turn(3, "b", [2], step=2)]
    assert len(trajectories.sparse("t", turns)) == 4


def test_a_step_is_told_without_numbers_and_without_the_words_of_its_goal() -> None:
    goal = "put a clean soap bar in the bin"
    assert trajectories.short("take soap bar 12 from Shelf 3", goal) == "take … from shelf"
    assert trajectories.short("拿起 杯子 3", "洗 杯子") == "拿起 …"


def trail(name: str, steps: str, good: bool) -> Trail:
    return Trail(name, tuple(steps), tuple(f"{name}{n}" for n in range(len(steps))), good)


def test_lift_is_over_the_running_rate() -> None:
    mine, others = trail("m", "ab", True), [trail("n", "ab", True), trail("o", "cd", False)]
    (found,) = trajectories.frequent(mine, others, 0.5)
    assert (found.sort, found.pattern, found.lift) == ("do", ("a", "b"), 2.0)
    assert trajectories.frequent(mine, others, 0.7) == []  # 1.43 times as often
    assert trajectories.frequent(mine, others[1:], 0.5) == []  # of one task


def test_two_trails_part_where_the_good_one_does_what_the_other_never_did() -> None:
    found = trajectories.parted(trail("m", "axb", True), trail("n", "acd", False))
    assert found is not None
    assert found.pattern == ("a", "x", "c")
    assert trajectories.parted(trail("m", "ab", True), trail("n", "ac", True)) is None
    assert trajectories.parted(trail("m", "abc", True), trail("n", "acb", False)) is None


def test_what_speaks_for_and_against() -> None:
    assert trajectories.speaks("do", ("a", "b"), trail("m", "xab", True)) == 1
    assert trajectories.speaks("do", ("a", "b"), trail("m", "xab", False)) == -1
    assert trajectories.speaks("avoid", ("a", "b"), trail("m", "xab", False)) == 1
    assert trajectories.speaks("do", ("a", "b"), trail("m", "axb", True)) == 0
    assert trajectories.speaks("rather", ("a", "b", "c"), trail("m", "ab", True)) == 1
    assert trajectories.speaks("rather", ("a", "b", "c"), trail("m", "ac", False)) == 1
    assert trajectories.speaks("rather", ("a", "b", "c"), trail("m", "ac", True)) == -1
    told = trajectories.quoted(Finding("do", ("a", "b"), (trail("m", "xab", True),), 1.0))
    assert told == {"m": ("m1", "m2")}


def test_the_papers_constants() -> None:
    one = Insight("i", "do", ("a",), frozenset("abc"), against=frozenset("d"), first=2, edited=1)
    assert insights.score(one, "paper", rate=0.5, many=False) == 2 + 1 + 1 - 1
    assert insights.score(one, "paper", rate=0.5, many=True) == 2 + 1 + 1 - 3
    used = Insight("i", "do", ("a",), frozenset("ab"), first=2, usage=Usage(success=1, failure=1))
    assert insights.score(used, "paper", rate=0.5, many=False) == 2 + 1 - 2
