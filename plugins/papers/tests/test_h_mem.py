"""H-MEM: every turn in a trace of a category of a domain, and a question from the top down."""

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from stepwell import Node, Preset
from stepwell.testing import ScriptedModel
from stepwell.testing.samples import NOW
from stepwell_papers.h_mem import Layers, Params, Routing, Weights

#: Of these turns the usual cosine is 0, and so thresholds are cosines: a turn is of a domain up to
#: 72.5 degrees from its middle, of a category up to 45.6, of a trace up to 18.2.
NEAR = Params(near=(0.3, 0.7, 0.95))
TOLD = ("at 0", "at 180", "at 10", "at 30", "at 190", "at 290", "at 70")
PLAIN = ("channel-vectors", "channel-words", "channel-order", "flat-packer")


def preset(params: Params) -> Preset:
    made = (Layers(params), Weights(params), Routing(params))
    return Preset("h-mem", 1, ("words", "vectors", *made, *PLAIN))


def shape(node: Node) -> Any:
    """The tree as nested lists of angles, in order."""
    if not node.children:
        return int(node.record.text.split()[-1])
    return [shape(child) for child in node.children]


@pytest.mark.parametrize("step", [2, 128])
def test_each_layer_is_found_or_made(bench: Any, step: int) -> None:
    made = bench(preset(replace(NEAR, step=step)))
    made.say(*TOLD)
    domains = [shape(node) for node in made.scope.tree()]
    assert domains == [[[[0, 10], [30]], [[70]]], [[[180, 190]]], [[[290]]]]
    levels = [record.level for record in made.scope.records() if record.level]
    assert sorted(levels) == [1] * 5 + [2] * 4 + [3] * 3


def test_a_question_is_led_from_the_best_domain_down(bench: Any) -> None:
    made = bench(preset(replace(NEAR, layer=1)))
    made.say(*TOLD)

    def led(question: str) -> list[str]:
        hits = made.scope.recall(question, k=7)
        assert len(hits) == 7
        found = [hit.record.text for hit in hits if "by episode" in hit.why]
        assert [hit.record.text for hit in hits[: len(found)]] == found
        return found

    assert led("what is at 72") == ["at 70"]
    assert led("what is at 2") == ["at 0", "at 10"]
    # The middle of a domain is nearer at 185 than at 27, and what is at 70 is not looked at.
    assert led("what is at 110") == ["at 180", "at 190"]


def test_approval_and_rebuttal_change_the_weight_and_time_lets_it_fade(bench: Any) -> None:
    made = bench(preset(NEAR))
    made.say(*TOLD)
    scope = made.scope

    def strength(turn: str) -> float:
        with scope._engine.searcher.view(scope.path) as view:
            return float(view.usage(scope.get(turn).id).strength)

    scope.feedback(scope.get("t0").id, 1.0)
    scope.feedback(scope.get("t2").id, 0.0)
    scope.feedback(scope.get("t3").id, 0.5)
    assert [strength(turn) for turn in ("t0", "t2", "t3")] == pytest.approx([1.3, 0.5, 1.0])
    for _ in range(5):
        scope.feedback(scope.get("t0").id, 1.0)
    assert strength("t0") == 2.0
    later = NOW + timedelta(days=100)
    assert Weights().weight(1.3, NOW, later) == pytest.approx(1.3 * math.exp(-1))
    hits = {hit.sources[0]: hit.why for hit in scope.recall("what is at 0", k=7, now=later)}
    assert hits["t0"]["by episode"] == pytest.approx(1 + 0.1 * (2 * math.exp(-1) - 1), abs=1e-4)
    faded = math.cos(math.radians(10)) * (1 + 0.1 * (0.5 * math.exp(-1) - 1))
    assert hits["t2"]["by episode"] == pytest.approx(faded, abs=1e-4)


def test_a_full_layer_takes_no_more_children(bench: Any) -> None:
    made = bench(preset(replace(NEAR, children=2)))
    made.say(*TOLD)
    assert len(made.scope.tree()) == 2
    assert sum(len(node.sources) for node in made.scope.tree()) == len(TOLD)


def test_a_model_names_the_layers_and_what_has_the_name_is_found_by_it(bench: Any) -> None:
    def about(prompt: str, schema: Any) -> dict[str, Any]:
        if "domain" not in str(schema):
            return {"summary": ""}
        return {
            "keywords": ["ridge"], "tags": [], "context": "", "category": " Hiking ",
            "domain": "Leisure",
        }  # fmt: skip

    made = bench(preset(NEAR), language_model=ScriptedModel(then=about))
    made.say("the ridge at 0", "the ridge at 180")
    (domain,) = made.scope.tree()
    assert shape(domain) == [[[0, 180]]]
    assert domain.record.text.splitlines()[0] == "leisure"
    assert domain.children[0].record.text.splitlines()[0] == "hiking"
    made.scope.forget("t0")
    made.scope.consolidate()
    (domain,) = made.scope.tree()
    assert (shape(domain), domain.record.payload["name"]) == ([[[180]]], "")
