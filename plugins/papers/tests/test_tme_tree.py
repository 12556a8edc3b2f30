"""The tree that tme keeps of a task, whatever is said in it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell import Memory, Record, Status, Turn
from stepwell.mechanisms.forest import Forest, intent
from stepwell.testing import FakeClock
from stepwell.testing.samples import NOW


def opened() -> Memory:
    return Memory.open(preset="tme", embedder=None, clock=FakeClock(step=timedelta(0)), seed=7)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Actually, make it Friday", "change"), ("No, the red one", "change"),
        ("不对，是红色的", "change"), ("Cancel the hotel", "change"),
        ("the train instead", "change"), ("Undo", "back"), ("Please go back to the hotel", "back"),
        ("回到酒店", "back"), ("redo it", "again"), ("Book a hotel", None), ("", None),
        ("Nothing else", None), ("nothing happens", None), ("No problem at all", None),
    ],
)  # fmt: skip
def test_what_corrects_is_told_from_what_goes_on(text: str, what: str | None) -> None:
    found = intent(text)
    assert (found[0] if found else None) == what


# the tree itself ------------------------------------------------------------------------------

WORDS = st.sampled_from(["flight", "hotel", "pasta", "museum", "train", "HAT045", "order 7781"])
SAID = st.one_of(
    WORDS.map(lambda word: {"text": f"Find me the {word}", "role": "user"}),
    WORDS.map(lambda word: {"text": f"Actually, change the {word}", "role": "user"}),
    WORDS.map(lambda word: {"text": f"Go back to the {word}", "role": "user"}),
    st.sampled_from(["undo", "redo", "no, instead"]).map(lambda t: {"text": t, "role": "user"}),
    WORDS.map(lambda word: {"text": "", "action": f"search {word}", "observation": f"a {word}"}),
    st.lists(WORDS, min_size=1, max_size=3).map(
        lambda path: {"text": "on with it", "payload": {"subtask": path}}
    ),
    WORDS.map(lambda word: {"text": "then", "action": "go", "payload": {"depends_on": word}}),
)


def grown(said: Sequence[dict[str, Any]]) -> Forest:
    forest = Forest()
    for n, fields in enumerate(said):
        forest.take(Record(id=f"r{n:04}", scope=("a",), stored_at=NOW, turn=f"t{n}", **fields))
    return forest


@settings(deadline=None)
@given(st.lists(SAID, max_size=40))
def test_what_holds_is_a_tree_and_depends_on_nothing_that_was_begun_later(
    said: list[dict[str, Any]],
) -> None:
    forest = grown(said)
    held = forest.held()
    assert all(part.parent is None or part.parent in held for part in held)
    assert forest.now is None or set(forest.now.path()) <= set(held)
    assert all(one.first < part.first for part in held for one in part.depends.values())
    for part in forest.parts.values():
        assert part.turns
        gave = forest.instead(part)
        assert (gave is None) == (part in held)
    within = [turn.id for part in forest.parts.values() for turn in part.turns]
    assert {f"r{n:04}" for n in range(len(said))} == set(within)


@settings(deadline=None)
@given(st.lists(SAID, max_size=30), WORDS)
def test_undo_then_redo_leaves_what_a_change_has_made(
    said: list[dict[str, Any]], word: str
) -> None:
    change = {"text": f"Actually, change the {word}", "role": "user"}
    before, after = grown(said), grown([*said, change])
    if len(after.swaps) == len(before.swaps):
        return  # there was nothing to change
    undo, redo = ({"text": text, "role": "user"} for text in ("undo", "redo"))
    back, again = grown([*said, change, undo]), grown([*said, change, undo, redo])
    assert [part.key for part in back.held()] == [part.key for part in before.held()]
    assert [part.key for part in again.held()] == [part.key for part in after.held()]
    assert again.now is not None
    assert after.now is not None
    assert again.now.key == after.now.key


@settings(deadline=None, max_examples=40)
@given(st.lists(SAID, max_size=12), st.integers(20, 300))
def test_nothing_that_holds_no_more_is_packed(said: list[dict[str, Any]], budget: int) -> None:
    with opened() as memory:
        scope = memory.scope("a")
        with scope.task("Reach it", id="g") as task:
            task.remember_many(Turn(id=f"t{n}", **fields) for n, fields in enumerate(said))
            for _ in range(2):
                forest = grown(said)
                held = {turn.turn for part in forest.held() for turn in part.turns}
                hits = task.recall("Find me the flight", k=50)
                assert hits.degraded == ()
                assert {h.record.turn for h in hits if h.record.turn} <= held | {"g"}
                packed = task.context("flight", budget=budget, levels=(0, 1))
                assert packed.tokens <= budget
                assert {h.record.turn for h in packed.hits if h.record.turn} <= held | {"g"}
                assert all(h.record.status is Status.ACTIVE for h in packed.hits)
                report = scope.consolidate()
                assert (report.parked, report.finished) == ((), True)
