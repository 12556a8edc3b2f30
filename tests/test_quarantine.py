"""A turn in quarantine takes no part, and neither does anything that was derived from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stepwell import Filter, Memory, SetState, Status, Turn, View, hookimpl

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TALK = "On day {day} we talked about the garden: roses, tomatoes and {thing}."
WHAT = ("watering", "pruning", "seeds", "compost", "bees", "a fence")
BAD = "wormwood"


class Guard:
    """Keeps a word in quarantine, or lets it out again."""

    name = "guard"
    word: str | None = BAD

    @hookimpl
    def maintain(self, view: View) -> list[SetState]:
        held = view.records(Filter(level=0, status=Status.QUARANTINED), limit=1_000)
        seen = view.records(Filter(level=0), limit=1_000)
        wrong = [r for r in seen if self.word and self.word in r.text]
        right = [r for r in held if not self.word or self.word not in r.text]
        return [
            *(SetState(id=r.id, status=Status.QUARANTINED) for r in wrong),
            *(SetState(id=r.id, status=Status.ACTIVE) for r in right),
        ]


@pytest.fixture
def guard():
    return Guard()


@pytest.fixture
def scope(guard):
    with Memory.open(":memory:", plugins=[guard]) as memory:
        scope = memory.scope("a")
        for day in range(6):
            at = START + timedelta(days=day)
            scope.remember_many(
                Turn(
                    text=TALK.format(day=day, thing=thing), actor="Ann", session=f"s{day}",
                    at=at + timedelta(minutes=n), id=f"t{day}-{n}",
                )
                for n, thing in enumerate(WHAT)
            )  # fmt: skip
        scope.remember(f"The roses want {BAD}. I live in {BAD}.", id="bad", session="s3", actor="E",
                       at=START + timedelta(days=3, minutes=9))  # fmt: skip
        scope.remember(f"Only {BAD} here.", id="alone", session="alone", at=START)
        yield scope
        assert memory.check().ok


def everything(scope):
    told = [r.text for r in scope.records(limit=1_000)]
    told += [node.record.text for node in scope.tree()]
    for query in (f"What do roses want: {BAD}?", "What did we talk about?", "Where does E live?"):
        told += [hit.text for hit in scope.recall(query, k=100, levels=range(4))]
        told += [scope.context(query, budget=400).text]
        told += [scope.at(START + timedelta(days=9)).context(query, budget=400).text]
    return "\n".join(told)


def test_what_quotes_a_turn_in_quarantine_is_not_told_either(scope):
    scope.consolidate()
    assert BAD not in everything(scope)
    assert [r.turn for r in scope.records(Filter(status=Status.QUARANTINED))] == ["bad", "alone"]


def test_what_rests_on_other_turns_too_is_made_again_of_these(scope, guard):
    guard.word = None
    scope.consolidate()
    (before,) = scope.records(Filter(kind="trace", session="s3"))
    assert BAD in everything(scope)
    guard.word = BAD
    scope.consolidate()
    (after,) = scope.records(Filter(kind="trace", session="s3"))
    assert after.id == before.id
    assert "6 turns" in after.text
    assert scope.records(Filter(kind="trace", session="alone")) == []
    assert BAD not in everything(scope)


def test_a_turn_that_is_let_out_comes_in_again(scope, guard):
    scope.consolidate()
    guard.word = None
    scope.consolidate()
    (trace,) = scope.records(Filter(kind="trace", session="s3"))
    assert "7 turns" in trace.text
    (alone,) = scope.records(Filter(kind="trace", session="alone"))
    assert BAD in alone.text
    assert scope.recall(f"roses {BAD}")[0].record.turn == "bad"


def test_nothing_of_it_is_left_where_it_was_derived(tmp_path, guard):
    """The texts that quoted it are gone from the file; the turn itself waits for a decision."""
    path = tmp_path / "a.db"
    guard.word = None
    with Memory.open(path, plugins=[guard]) as memory:
        scope = memory.scope("a")
        scope.remember(f"I live in {BAD}.", actor="E", session="s1", at=START, id="bad")
        scope.remember("It rains.", actor="E", session="s1", at=START)
        scope.consolidate()
        guard.word = BAD
        scope.consolidate()
        scope.forget("bad")
    assert BAD.encode() not in path.read_bytes()
