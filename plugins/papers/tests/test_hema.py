"""HEMA: a compact memory beside all turns, of which the lightest are dropped."""

import math
from datetime import timedelta
from typing import Any

import pytest

from stepwell import Kind, Preset
from stepwell.fencing import count_tokens
from stepwell.testing import HashingEmbedder, ScriptedModel
from stepwell_papers.hema import Forgetting, Params, Prompting, Summaries

SMALL = Params(block=10, dropped=0.1, prompt=150)
CHANNELS = ("channel-vectors", "channel-words", "channel-order")


def preset(params: Params) -> Preset:
    made = (Summaries(params), Forgetting(params), Prompting(params))
    return Preset("hema", 1, ("words", "vectors", *made, *CHANNELS))


def told(first: int, last: int) -> list[str]:
    return [
        f"In year {n} the keeper of the lighthouse painted room {n}." for n in range(first, last)
    ]


def dropped(made: Any) -> list[str]:
    """The turns of the lowest weights, by their numbers."""
    with made.scope._engine.searcher.view(made.scope.path) as view:
        turns = [record for record in view.records(limit=1000) if record.turn]
        return [turn.turn for turn in turns if view.usage(turn.id).strength == 0]


def test_a_weight_falls_with_age_and_has_a_bonus_where_it_was_retrieved() -> None:
    weights = Forgetting()
    assert weights.weight(0, retrieved=False) == 1.0
    assert weights.weight(100, retrieved=False) == pytest.approx(math.exp(-0.2))
    assert weights.weight(346, retrieved=True) == pytest.approx(math.exp(-0.692) + 0.5)
    # A turn of 346 turns ago that was retrieved weighs as much as a new one that was not.
    assert weights.weight(346, retrieved=True) > weights.weight(1, retrieved=False)


def test_every_block_the_lowest_share_is_dropped(bench: Any) -> None:
    made = bench(preset(SMALL), HashingEmbedder())
    made.say(*told(0, 10))  # a tenth of 10: the oldest
    assert dropped(made) == ["t0"]
    made.scope.feedback(made.scope.get("t1").id, 1.0)
    made.say(*told(10, 20))  # a tenth of the 19 that are left: t1 was retrieved, so t2
    assert dropped(made) == ["t0", "t2"]
    made.clock.advance(timedelta(days=1))
    made.say(*told(20, 30))  # a tenth of 28, and t1 was not retrieved since
    assert dropped(made) == ["t0", "t1", "t2", "t3"]


def test_all_at_once_comes_to_the_same(bench: Any) -> None:
    made = bench(preset(SMALL), HashingEmbedder())
    made.say(*told(0, 30))
    assert dropped(made) == ["t0", "t1", "t2", "t3"]


def test_what_is_dropped_comes_last_and_comes_back_when_it_is_asked_about(bench: Any) -> None:
    made = bench(preset(SMALL), HashingEmbedder())
    made.say(*told(0, 12))
    hits = made.scope.recall("room 0", k=12)
    assert [hit.sources[0] for hit in hits][-1] == "t0"
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    made.scope.feedback(made.scope.get("t0").id, 1.0)
    assert made.scope.recall("room 0", k=12)[0].sources == ("t0",)


def test_blocks_are_summed_up_and_their_summaries_once_more(bench: Any) -> None:
    made = bench(preset(SMALL), HashingEmbedder())
    made.say(*told(0, 25))
    summaries = [record for record in made.scope.records() if record.kind is Kind.SUMMARY]
    roots = {node.record.payload.get("hema"): node for node in made.scope.tree()}
    assert [record.level for record in summaries] == [1, 1, 2, 2]
    assert all(count_tokens(record.text) <= 60 for record in summaries)
    assert [len(node.children) for node in roots["overall"].children] == [10, 10]
    assert len(roots["overall"].sources) == 20
    assert made.scope.slot("hema").text == roots["compact"].record.text
    assert set(made.scope.slot("hema").sources) == set(roots["compact"].sources)
    assert "t24" in roots["compact"].sources


def test_the_compact_memory_goes_on_from_what_it_was(bench: Any) -> None:
    model = ScriptedModel(then={"summary": "The keeper paints."})
    made = bench(preset(SMALL), HashingEmbedder(), language_model=model)
    made.say(*told(0, 3))
    asked = len(model.prompts)
    made.say(*told(3, 5))
    assert "The keeper paints." in model.prompts[asked]
    assert "room 3" in model.prompts[asked]
    assert "room 2" not in model.prompts[asked]


def test_a_prompt_holds_the_compact_memory_the_last_turns_and_the_nearest(bench: Any) -> None:
    made = bench(preset(SMALL), HashingEmbedder())
    made.say(*told(0, 60))
    context = made.scope.context("room 33", budget=400)
    assert context.tokens <= SMALL.prompt
    shown = [hit.record for hit in context.hits]
    assert {"t58", "t59", "t33"} <= {record.turn for record in shown}
    assert [record.payload["hema"] for record in shown if record.level] == ["compact"]
    narrow = made.scope.context("room 33", budget=60)
    assert narrow.tokens <= 60
