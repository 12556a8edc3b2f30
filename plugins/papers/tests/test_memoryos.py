"""MemoryOS's own rule, against examples worked out by hand."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stepwell import Filter, Kind, Preset, Record, Status
from stepwell_papers import memoryos

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def with_params(**params: Any) -> Preset:
    """The preset with other constants."""
    made = memoryos.Params(**params)
    policies = tuple(
        replace(policy, params=made) if hasattr(policy, "params") else policy
        for policy in memoryos.PRESET.policies
    )
    return replace(memoryos.PRESET, policies=policies)


def states(made: Any) -> list[dict[str, Any]]:
    """What each segment's payload tells."""
    found = made.scope.records(Filter(kind="category"))
    return [memoryos.state_of(record) for record in found]


def test_heat_is_visits_and_length_and_an_e_th_for_each_day() -> None:
    told = [
        {"visits": 3, "length": 2, "last": NOW.isoformat()},
        {"visits": 3, "length": 2, "last": (NOW - timedelta(days=1)).isoformat()},
    ]
    found = [
        Record(
            id=str(n), scope=("a",), level=2, kind=Kind.CATEGORY, text="s", stored_at=NOW,
            payload={memoryos.NAME: state},
        )
        for n, state in enumerate(told)
    ]  # fmt: skip
    heats = memoryos.Heat().heats(found, NOW)
    assert heats.tolist() == pytest.approx([6.0, 5 + 1 / math.e])


def test_a_page_is_a_remark_and_its_answer() -> None:
    tiers = memoryos.Tiers()
    turns = [
        Record(id=str(n), scope=("a",), level=0, kind=Kind.EPISODE, text="x", actor=who,
               stored_at=NOW)
        for n, who in enumerate("ABAABB")
    ]  # fmt: skip
    assert tiers.segment(turns) == [1, 2, 4]  # AB, A, AB, and B is open


def test_the_ring_pushes_pages_into_the_segment_with_the_best_f(bench: Any) -> None:
    made = bench(with_params(stm_pages=1))
    # No words in common: 0 and 40 degrees have a cosine of .77, and join. 80 degrees are 60 from
    # their mean at 20, a cosine of .5: another segment. The last page waits in the ring.
    made.say("alpha 0", "beta 40", "gamma 80", "delta 200", actor="Ann", session="s1")
    assert [state["pages"] for state in states(made)] == [2, 1]
    assert [state["length"] for state in states(made)] == [2, 1]


def test_key_words_in_common_make_up_for_a_cosine(bench: Any) -> None:
    made = bench(with_params(stm_pages=1))
    # 60 degrees again, .5; but half of the key words are the same.
    made.say("violin 20", "violin 80", "delta 200", actor="Ann", session="s1")
    assert [state["pages"] for state in states(made)] == [2]


def test_what_is_hot_is_promoted_once_and_counts_from_nothing_again(bench: Any) -> None:
    made = bench(memoryos.PRESET)
    made.say(
        *(f"My boat is called Nordlys and has {n} sails, 10." for n in range(14)),
        actor="Ann", role="user", session="s1",
    )  # fmt: skip
    # Four pages have left the ring of ten: a heat of at most 4 + 1, and at the age of a day less.
    assert [(state["pages"], state["length"]) for state in states(made)] == [(4, 4)]
    assert made.scope.count(Filter(kind="fact")) == 0
    made.say("My boat is old, 10.", actor="Ann", role="user", session="s1")
    assert [(state["pages"], state["length"]) for state in states(made)] == [(5, 0)]
    facts = made.scope.records(Filter(kind="fact"))
    assert facts
    assert {fact.payload[memoryos.NAME] for fact in facts} == {"user"}
    assert "Nordlys" in made.scope.slot("profile").text


def test_knowledge_loses_the_oldest_first(bench: Any) -> None:
    made = bench(with_params(knowledge=3, stm_pages=2))
    made.say(
        *(f"I own boat number {n}, 10." for n in range(20)), actor="Ann", role="user", session="s"
    )
    kept = made.scope.records(Filter(kind="fact"))
    gone = made.scope.records(Filter(kind="fact", status=Status.HIDDEN))
    assert len(kept) == 3
    assert all(a.said_at and b.said_at and a.said_at < b.said_at for a in gone for b in kept)


@pytest.mark.parametrize("order", ["heat", "lfu"])
def test_a_visit_keeps_a_segment_from_being_evicted(bench: Any, order: str) -> None:
    made = bench(with_params(stm_pages=1, mtm_segments=2, evict=order))
    made.say("alpha 0", "beta 120", "delta 240", actor="Ann", session="s1")
    assert made.scope.count(Filter(kind="category")) == 2
    made.scope.feedback(made.scope.recall("alpha 0", k=1), 1.0)
    made.scope.consolidate()
    assert [state["visits"] for state in states(made)] == [1, 0]
    made.say("omega 0", actor="Ann", session="s1")  # pushes delta out: a third segment
    kept = made.scope.records(Filter(kind="category"))
    assert len(kept) == 2
    assert memoryos.state_of(kept[0])["visits"] == 1
    assert made.scope.count(Filter(level=0)) == 4  # turns stay, whatever becomes of segments


def test_a_question_visits_the_best_segments_and_there_the_best_pages(bench: Any) -> None:
    made = bench(with_params(stm_pages=1, top_segments=1, top_pages=2))
    made.say("alpha 0", "beta 10", "gamma 20", "delta 120", "last 240", actor="Ann", session="s1")
    hits = made.scope.recall("what 8", k=5)
    paged = [hit.sources[0] for hit in hits if "by pages" in hit.why]
    assert paged == ["t1", "t0"]  # 2 and 8 degrees away; t2 is 12 away
    assert {hit.sources[0] for hit in hits} == {"t0", "t1", "t2", "t3", "t4"}
