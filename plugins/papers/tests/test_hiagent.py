"""HiAgent: finished subgoals in short, the one in hand word for word."""

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stepwell import Record
from stepwell.mechanisms.subgoals import subgoal_ends, subgoal_of
from stepwell.testing import HashingEmbedder
from stepwell.testing.samples import NOW
from stepwell_papers import hiagent

Make = Callable[..., Any]


def worked(bench: Make) -> Any:
    made = bench(hiagent.PRESET, HashingEmbedder())
    made.say(
        "Subgoal: find the key", "look under the pot", "the key is under the pot",
        "Subgoal: open the door", "turn the key in the lock", "the key is stuck in the lock",
        session="s1", actor="agent",
    )  # fmt: skip
    return made


def test_a_finished_subgoal_is_one_hit_and_the_one_in_hand_is_shown_word_for_word(
    bench: Make,
) -> None:
    hits = worked(bench).scope.recall("Where is it under the pot, and what of the lock?", k=10)
    above = [hit for hit in hits if hit.record.level]
    assert [set(hit.sources) for hit in above] == [{"t0", "t1", "t2"}]
    assert {hit.record.turn for hit in hits if not hit.record.level} <= {"t3", "t4", "t5"}


def test_a_finished_subgoal_is_shown_word_for_word_when_it_is_named(bench: Make) -> None:
    hits = worked(bench).scope.recall("How did we find the key, under the pot?", k=10)
    assert not any(hit.record.level for hit in hits)
    assert {"t0", "t1", "t2"} <= {hit.record.turn for hit in hits}


@given(st.lists(st.sampled_from([None, "a goal", "another"]), max_size=12))
def test_every_subgoal_lies_in_one_piece_and_the_next_one_ends_it(said: list[str | None]) -> None:
    turns = [
        Record(id=f"r{n}", scope=("a",), text="go", stored_at=NOW,
               payload={} if name is None else {"subgoal": name})
        for n, name in enumerate(said)
    ]  # fmt: skip
    ends = subgoal_ends(turns)
    assert (ends is None) == (not any(said))
    starts = [0, *(end + 1 for end in ends or [])]
    for start, end in zip(starts, [*(ends or []), len(turns) - 1], strict=True):
        named = {subgoal_of(turn) for turn in turns[start : end + 1]} - {None}
        assert len(named) <= 1
