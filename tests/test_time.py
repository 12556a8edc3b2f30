"""Both axes of time: when it was said and held, and when the store knew of it."""

from datetime import UTC, datetime, timedelta

from stepwell import Filter, Memory, SetState, Turn
from stepwell.testing.fakes import FakeClock

START = datetime(2026, 1, 1, tzinfo=UTC)


def days(count):
    """So many days after the beginning."""
    return START + timedelta(days=count)


def ids(found):
    """Turn ids of hits or records."""
    return [getattr(f, "record", f).turn for f in found]


def test_the_past_holds_what_was_said_by_then():
    with Memory.open(embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember_many(
            [Turn(id=f"t{i}", text=f"apples on day {i}", session="s", at=days(i)) for i in range(6)]
        )
        past = scope.at(days(3))
        assert ids(past.records()) == ["t0", "t1", "t2", "t3"]
        assert past.count() == 4
        assert set(ids(past.recall("apples", k=9))) == {"t0", "t1", "t2", "t3"}
        assert past.get("t5") is None
        assert past.get("t2").text == "apples on day 2"
        assert "day 5" not in past.context("apples", budget=500).text
        assert past.explain("t5", "apples").rank is None
        assert past.count(Filter(id=["t1", "t5"])) == 1


def test_what_comes_later_leaks_into_no_score_of_the_past():
    def scores(extra):
        with Memory.open(embedder=None, seed=1, clock=FakeClock(days(0))) as memory:
            scope = memory.scope("a")
            said = [
                Turn(id=f"t{i}", text=f"apples and {w}", session="s", at=days(i))
                for i, w in enumerate(("plums", "pears", "figs"))
            ]
            later = [
                Turn(id=f"x{i}", text="apples plums pears", session="s", at=days(50 + i))
                for i in range(extra)
            ]
            scope.remember_many([*said, *later])
            return [(h.record.turn, h.score) for h in scope.at(days(9)).recall("apples pears")]

    assert scores(0) == scores(40)


def test_an_unknown_time_counts_as_the_time_of_storing():
    clock = FakeClock(days(10))
    with Memory.open(embedder=None, clock=clock) as memory:
        scope = memory.scope("a")
        scope.remember("when was this", id="t")
        assert scope.get("t").said_at is None
        assert scope.at(days(9)).get("t") is None
        assert scope.at(days(11)).get("t").text == "when was this"


def test_as_far_as_the_store_knew_at_a_time():
    clock = FakeClock(days(0))
    with Memory.open(embedder=None, clock=clock) as memory:
        scope = memory.scope("a")
        scope.remember("I live in Oslo", id="home", at=days(0))
        clock.set(days(10))
        scope.revise("home", "I live in Bergen")
        clock.set(days(20))
        scope.remember("I like tea", id="tea", at=days(1))
        clock.set(days(30))
        row_before = scope.at(days(40), known=days(5))
        assert row_before.get("home").text == "I live in Oslo"
        assert ids(row_before.recall("Oslo")) == ["home"]
        assert not row_before.recall("Bergen")
        assert row_before.get("tea") is None  # said by then, not known by then
        later = scope.at(days(40), known=days(15))
        assert later.get("home").text == "I live in Bergen"
        assert ids(later.recall("Bergen")) == ["home"]
        assert scope.at(days(40)).get("tea").text == "I like tea"


def test_what_was_hidden_later_was_there_before():
    clock = FakeClock(days(0))
    with Memory.open(embedder=None, clock=clock) as memory:
        scope = memory.scope("a")
        scope.remember("apples", id="t")
        clock.set(days(10))
        engine = scope._engine
        with engine.store.reading() as reader:
            row = reader.scope_of(scope.path)
        op = SetState(id=scope.get("t").id, status="hidden")
        engine.committer.apply(row, [op], strict=True)
        assert not scope.recall("apples")
        assert ids(scope.at(days(20), known=days(5)).recall("apples")) == ["t"]
        assert scope.records() == []
        assert ids(scope.records(Filter(status="hidden"))) == ["t"]


def test_what_is_forgotten_is_gone_from_the_past_too():
    clock = FakeClock(days(0))
    with Memory.open(embedder=None, clock=clock) as memory:
        scope = memory.scope("a")
        scope.remember("apples", id="t")
        scope.remember("pears", id="u")
        clock.set(days(10))
        scope.forget("t")
        past = scope.at(days(5), known=days(5))
        assert past.get("t") is None
        assert ids(past.records()) == ["u"]
