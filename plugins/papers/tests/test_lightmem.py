"""LightMem's own rule, against examples worked out by hand."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from stepwell import Filter, Status
from stepwell.testing import ScriptedModel
from stepwell_papers import lightmem

SAID = ("I keep my boat in Bergen 10.", "My boat stands in a shed near Bergen 12.")


def cosines(*degrees: float) -> Any:
    """Cosines of angles."""
    return np.array([math.cos(math.radians(each)) for each in degrees], np.float32)


def test_a_fact_updates_those_before_it_that_are_nearest_from_a_score_of_nine_tenths() -> None:
    sleep = lightmem.Sleep()
    assert sleep.queue(cosines(*range(1, 41))) == list(range(10))  # of 20 candidates 10 are kept
    assert sleep.queue(cosines(24, 60, 25, 26)) == [0, 2]  # cos 25 degrees is .906, cos 26 .899
    assert sleep.queue(cosines()) == []


def test_a_full_sensory_buffer_is_cut_where_the_topic_ends_and_else_where_it_is_full(
    bench: Any,
) -> None:
    small = lightmem.Buffers(lightmem.Params(sensory_tokens=60))
    policies = tuple(
        small if isinstance(policy, lightmem.Buffers) else policy
        for policy in lightmem.PRESET.policies
    )
    made = bench(replace(lightmem.PRESET, policies=policies))
    # Ten tokens each. The seventh finds the buffer full: it is cut between 0 and 90 degrees. The
    # tenth finds six of one topic in it, which end as they are; three wait.
    made.say(*(f"w w w w w w w w w {0 if n < 3 else 90}" for n in range(12)), session="s1")
    cuts = [sorted(node.sources) for node in made.scope.tree() if node.record.kind == "trace"]
    names = [f"t{n}" for n in range(12)]
    assert sorted(cuts) == sorted([sorted(names[:3]), sorted(names[3:9]), sorted(names[9:])])


def test_without_a_model_an_update_is_only_flagged_and_the_newer_one_comes_first(
    bench: Any, related: Any
) -> None:
    made = bench(lightmem.PRESET, plugins=[related])
    made.say("My boat is called Nordlys 10.", actor="Ann", session="s1")
    made.say("My boat is called Hurtig 12.", actor="Ann", session="s1")
    made.say("My house is called Solbakken 80.", actor="Ann", session="s1")
    facts = made.scope.records(Filter(kind="fact"))
    assert [fact.status for fact in facts] == ["active"] * 3
    links = related.of(made)
    assert [[edge.target for edge in links[fact.id]] for fact in facts] == [[], [facts[0].id], []]
    assert links[facts[1].id][0].label == lightmem.UPDATE
    # The question is nearer to the older one, which the newer one may have updated.
    assert [hit.sources[0] for hit in made.scope.recall("boat 9", k=3)] == ["t1", "t0", "t2"]


def test_a_model_decides_and_what_it_takes_out_of_force_stays(bench: Any) -> None:
    def answer(prompt: str, schema: Any) -> Any:
        if "relations" in schema["properties"]:
            return {"relations": [{"number": 1, "relation": "contradicts"}]}
        if "facts" in schema["properties"]:
            return {"facts": [{"text": text, "source": 1} for text in SAID if text in prompt][-1:]}
        return {}

    made = bench(lightmem.PRESET, language_model=ScriptedModel(then=answer))
    for n, text in enumerate(SAID):
        made.say(text, actor="Ann", session=f"s{n}")
    (kept,) = made.scope.records(Filter(kind="fact"))
    (gone,) = made.scope.records(Filter(kind="fact", status=Status.SUPERSEDED))
    assert (kept.text, gone.text) == (SAID[1], SAID[0])


def test_what_is_said_again_word_for_word_is_no_update(bench: Any, related: Any) -> None:
    made = bench(lightmem.PRESET, plugins=[related])
    made.say(*["My boat is called Nordlys 10."] * 3, actor="Ann", session="s1")
    assert made.scope.count(Filter(kind="fact")) == 3
    assert not any(related.of(made).values())
