"""Mem0's own rule, against examples worked out by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

from stepwell import Filter, Kind, Record, Relation, Status
from stepwell.testing import ScriptedModel
from stepwell_papers import mem0

SAID = ("I keep my boat in Bergen 10.", "My boat stands in a shed near Bergen 12.")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def fact(text: str, day: int = 0) -> Record:
    """A fact of some day."""
    return Record(
        id=text, scope=("a",), level=1, kind=Kind.FACT, text=text, actor="Ann",
        said_at=NOW + timedelta(days=day), stored_at=NOW,
    )  # fmt: skip


def held(made: Any, **where: Any) -> list[str]:
    """The texts of facts."""
    return [record.text for record in made.scope.records(Filter(kind="fact", **where))]


def test_a_fact_is_added_updates_takes_out_of_force_or_is_known() -> None:
    newer, old, other = fact("I live in Oslo.", 2), fact("I live in Bergen."), fact("I have a cat.")
    nothing = Relation.UNRELATED
    assert mem0.decided(newer, [old, other], [nothing, nothing]) == (None, [])
    for how in (Relation.REFINES, Relation.CONTRADICTS, Relation.RESOLVES):
        assert mem0.decided(newer, [old, other], [how, nothing]) == (None, [old])
    assert mem0.decided(newer, [old, other], [Relation.CONTRADICTS, Relation.SAME]) == (other, [])


def test_what_arrives_late_replaces_nothing_that_was_said_after_it() -> None:
    newer, later = fact("I live in Oslo.", 2), fact("I live in Rome.", 5)
    assert mem0.decided(newer, [later], [Relation.CONTRADICTS]) == (None, [])


def test_another_value_supersedes_and_forgetting_it_brings_the_older_one_back(bench: Any) -> None:
    made = bench(mem0.PRESET)
    made.say("I live in Bergen 10.", actor="Ann", session="s1")
    made.say("I live in Oslo 12.", actor="Ann", session="s2")
    assert held(made) == ["I live in Oslo 12."]
    assert held(made, status=Status.SUPERSEDED) == ["I live in Bergen 10."]
    assert made.scope.count(Filter(level=0)) == 2  # no turn is touched
    assert made.scope.forget("t1").complete
    made.scope.consolidate()
    assert held(made) == ["I live in Bergen 10."]


def test_a_model_judges_what_rules_would_leave(bench: Any) -> None:
    def answer(prompt: str, schema: Any) -> Any:
        asked = set(schema["properties"])
        if "relations" in asked:
            return {"relations": [{"number": 1, "relation": "contradicts"}]}
        if "facts" in asked:
            return {"facts": [{"text": text, "source": 1} for text in SAID if text in prompt][-1:]}
        return {}

    made = bench(mem0.PRESET, language_model=ScriptedModel(then=answer))
    for n, text in enumerate(SAID):
        made.say(text, actor="Ann", session=f"s{n}")
    assert held(made) == [SAID[1]]
    assert held(made, status=Status.SUPERSEDED) == [SAID[0]]


def test_somebody_else_replaces_nothing(bench: Any) -> None:
    made = bench(mem0.PRESET)
    made.say("I live in Bergen 10.", actor="Ann", session="s1")
    made.say("I live in Oslo 12.", actor="Ben", session="s1")
    assert sorted(held(made)) == ["I live in Bergen 10.", "I live in Oslo 12."]


def test_far_from_each_other_nothing_is_weighed(bench: Any) -> None:
    made = bench(mem0.PRESET)
    made.say("I live in Bergen 10.", actor="Ann", session="s1")
    made.say("I live in Oslo 100.", actor="Ann", session="s2")  # cos 90 degrees
    assert len(held(made)) == 2


def test_what_is_known_gets_another_source_and_is_stated_by_it_when_the_first_is_forgotten(
    bench: Any,
) -> None:
    made = bench(mem0.PRESET)
    made.say("I live in Bergen 10.", actor="Ann", session="s1")
    made.say("I live in Bergen 10.", actor="Ann", session="s2")
    assert held(made) == ["I live in Bergen 10."]
    (hit,) = made.scope.recall("Bergen 10", levels=(1,), where=Filter(kind="fact"))
    assert set(hit.sources) == {"t0", "t1"}
    assert made.scope.forget("t0").complete
    made.scope.consolidate()
    (hit,) = made.scope.recall("Bergen 10", levels=(1,), where=Filter(kind="fact"))
    assert (hit.record.text, hit.sources) == ("I live in Bergen 10.", ("t1",))


def test_a_fact_that_is_said_a_hundred_times_rests_on_some_of_them(bench: Any) -> None:
    made = bench(mem0.PRESET)
    made.say(*["I live in Bergen 10."] * 100, actor="Ann", session="s1")
    (hit,) = made.scope.recall("Bergen 10", levels=(1,), where=Filter(kind="fact"))
    assert 1 < len(hit.sources) <= 33
