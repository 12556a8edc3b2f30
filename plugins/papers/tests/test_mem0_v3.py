"""The third version of Mem0: its own rule, against examples worked out by hand."""

from typing import Any

import pytest

from stepwell import Filter
from stepwell_papers import mem0_v3


def entities(made: Any) -> dict[str, int]:
    """How many facts each entity leads to."""
    return {
        record.text: record.payload[mem0_v3.MARK]
        for record in made.scope.records(Filter(kind="entity"))
    }


def test_a_score_is_what_there_is_over_what_there_could_be() -> None:
    search = mem0_v3.Search()
    assert search.score(0.6, 0.4, None) == pytest.approx(1.0 / 2)
    assert search.score(0.6, 0.4, 0.5) == pytest.approx(1.5 / 2.5)
    assert search.score(None, 0.4, None) == pytest.approx(0.4)


def test_an_entity_helps_less_the_more_facts_it_leads_to() -> None:
    search = mem0_v3.Search()
    assert search.boost(1) == 0.5
    assert search.boost(11) == pytest.approx(0.5 / 1.1)
    assert search.boost(101) == pytest.approx(0.5 / 11)


def test_facts_are_only_added_and_what_is_said_again_gets_another_source(bench: Any) -> None:
    made = bench(mem0_v3.PRESET)
    made.say("I live in Bergen 10.", "I live in Oslo 12.", actor="Ann", session="s1")
    made.say("I live in Oslo 12.", actor="Ann", session="s2")
    made.say("I live in Oslo 12.", actor="Ben", session="s2")
    facts = made.scope.records(Filter(kind="fact"))
    said = [(fact.actor, fact.text) for fact in facts]
    assert said == [
        ("Ann", "I live in Bergen 10."), ("Ann", "I live in Oslo 12."),
        ("Ben", "I live in Oslo 12."),
    ]  # fmt: skip
    hits = made.scope.recall("Oslo 12", levels=(1,), where=Filter(kind="fact"))
    assert {hit.record.id: set(hit.sources) for hit in hits}[facts[1].id] == {"t1", "t2"}


def test_facts_are_entered_under_their_names_and_entered_anew_when_one_is_forgotten(
    bench: Any,
) -> None:
    made = bench(mem0_v3.PRESET)
    made.say("I'm living in Oslo now 10.", "My aunt moved to Oslo 20.", actor="Ann", session="s1")
    made.say("My uncle moved to Rome 30.", actor="Ben", session="s2")
    assert entities(made) == {"Ann": 2, "Oslo": 2, "Ben": 1, "Rome": 1}
    made.say("My sister moved to Oslo 40.", actor="Ben", session="s2")
    assert entities(made) == {"Ann": 2, "Oslo": 3, "Ben": 2, "Rome": 1}
    assert made.scope.forget("t0").complete
    made.scope.consolidate()
    assert entities(made) == {"Ann": 1, "Oslo": 2, "Ben": 2, "Rome": 1}


def test_the_name_in_a_question_decides_between_facts_that_mean_the_same(bench: Any) -> None:
    made = bench(mem0_v3.PRESET)
    texts = ["My uncle moved to Rome 10.", "My uncle moved to Oslo 10."]
    made.say(
        *texts, *(f"My {n} boats are red {90 + n}." for n in range(8)), actor="Ann", session="s"
    )
    hits = made.scope.recall("Who moved to Oslo 10", k=2)
    assert [hit.sources[0] for hit in hits] == ["t1", "t0"]


def test_words_alone_add_nothing_to_what_meaning_has_found(bench: Any) -> None:
    made = bench(mem0_v3.PRESET)
    made.say("My violin teacher lives here 10.", "I play the tuba 80.", actor="Ann", session="s1")
    (first, *_) = made.scope.recall("the violin teacher 80", k=2)
    assert first.sources == ("t1",)  # below the gate of a cosine of .1 words count nothing
    assert "by facts" in first.why
