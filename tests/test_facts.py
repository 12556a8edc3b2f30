"""Facts that change: both are kept, the later one stands first, and any time is told its truth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell import Filter, Memory, Status
from stepwell.mechanisms.claiming import claims
from stepwell.mechanisms.claiming.claim import successors

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
HOMES = ("I live in Lisbon.", "I moved to Porto last month.", "I have moved to Oslo.")


def opened(path=":memory:", **options):
    return Memory.open(path, embedder=None, seed=1, **options)


def tell(scope, order=(0, 1, 2)):
    for n in order:
        scope.remember(HOMES[n], id=f"t{n}", actor="Ana", role="user", session=f"s{n}",
                       at=START + timedelta(days=30 * n))  # fmt: skip


def facts(scope, status):
    found = scope.records(Filter(kind="fact", status=status))
    return sorted(fact.payload["value"] for fact in found)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
@pytest.mark.parametrize("between", [True, False], ids=["each", "at-once"])
def test_the_last_one_said_holds_in_whatever_order_they_came(order, between):
    with opened() as memory:
        scope = memory.scope("ana")
        for n in order:
            tell(scope, [n])
            if between:
                scope.consolidate()
        scope.consolidate()
        assert facts(scope, Status.ACTIVE) == ["Oslo"]
        assert facts(scope, Status.SUPERSEDED) == ["Lisbon", "Porto"]
        ends = {f.payload["value"]: f.valid_to for f in scope.records(
            Filter(kind="fact", status=Status.SUPERSEDED))}  # fmt: skip
        assert ends == {"Lisbon": START + timedelta(days=30), "Porto": START + timedelta(days=60)}
        assert scope.consolidate().counts == {}
        assert memory.check().ok


def test_all_that_was_said_stays_and_the_current_stands_first():
    with opened() as memory:
        scope = memory.scope("ana")
        tell(scope)
        scope.consolidate()
        hits = scope.recall("Where does Ana live now?")
        assert hits[0].record.turn == "t2"
        assert {hit.record.turn for hit in hits} == {"t0", "t1", "t2"}
        assert "current" in hits[0].why


def test_the_past_is_told_its_own_truth():
    with opened() as memory:
        scope = memory.scope("ana")
        tell(scope)
        scope.consolidate()
        then = scope.at(START + timedelta(days=40))
        assert next(iter(then.recall("Where does Ana live now?"))).record.turn == "t1"
        before = scope.recall("Where did Ana live before?")
        assert all("current" not in hit.why for hit in before)


def test_when_the_newer_is_forgotten_the_older_holds_again():
    with opened() as memory:
        scope = memory.scope("ana")
        tell(scope)
        scope.consolidate()
        scope.forget("t2")
        scope.consolidate()
        assert facts(scope, Status.ACTIVE) == ["Porto"]
        assert facts(scope, Status.SUPERSEDED) == ["Lisbon"]
        scope.forget("t1")
        scope.consolidate()
        assert facts(scope, Status.ACTIVE) == ["Lisbon"]
        assert scope.consolidate().counts == {}


def test_nobody_elses_words_change_what_somebody_is():
    with opened() as memory:
        scope = memory.scope("ana")
        tell(scope, [0])
        scope.remember("I moved to Rome.", id="b", actor="Ben", at=START + timedelta(days=9))
        scope.remember("You should move to Rome!", id="bot", role="assistant",
                       at=START + timedelta(days=10))  # fmt: skip
        scope.consolidate()
        assert facts(scope, Status.SUPERSEDED) == []


@pytest.mark.parametrize(
    "text",
    [
        "Do I live in Oslo?", "If I moved to Oslo, I would ski.", "I might move to Oslo.",
        'He said "I live in Oslo".', "I dreamt that I moved to Oslo.", "I want to move to Oslo.",
        "我想搬到奥斯陆", "def home(): return 'Oslo'", "2026-01-01 ERROR home=Oslo moved", "", "?",
        "```\nI live in Oslo.\n```",
    ],
)  # fmt: skip
def test_what_is_asked_wished_quoted_or_code_claims_nothing(text):
    assert [c for c in claims(text, "ana") if c.attribute == "home"] == []


@given(st.text(max_size=400))
def test_any_text_is_read(text):
    for claim in claims(text, "ana"):
        first, last = claim.span
        assert 0 <= first <= last <= len(text)
        assert 0 <= claim.confidence <= 1


@settings(max_examples=60)
@given(st.lists(st.sampled_from([*HOMES, "I'm 30.", "I turned 31.", "I'm vegan."]), max_size=12))
def test_each_claim_is_replaced_by_one_that_comes_later(said):
    made = [claim for text in said for claim in claims(text, "ana")]
    for old, (new, sure) in successors(made).items():
        assert new > old
        assert made[new].slot == made[old].slot
        assert made[new].value != made[old].value
        assert 0.5 <= sure <= 1


def test_ten_thousand_times_the_same_is_one_thing_that_holds():
    with opened() as memory:
        scope = memory.scope("ana")
        scope.remember_many(
            {"text": HOMES[0], "id": f"t{n}", "actor": "Ana", "session": "s"} for n in range(3_000)
        )
        assert scope.consolidate().ok
        assert facts(scope, Status.SUPERSEDED) == []
        assert {*facts(scope, Status.ACTIVE)} == {"Lisbon"}
