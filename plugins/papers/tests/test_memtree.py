"""MemTree: what is new descends as far as it is like what is there."""

from typing import Any

import numpy as np
import pytest

from stepwell import Node, Preset
from stepwell.testing import ScriptedModel
from stepwell_papers import memtree
from stepwell_papers.memtree import Collapsed, Growing, Params

RAW = Params(calibrated=False)
PRESET = Preset(
    "memtree",
    1,
    tuple(
        {"memtree-growing": Growing(RAW), "memtree-collapsed": Collapsed(RAW)}.get(
            getattr(policy, "name", ""), policy
        )
        for policy in memtree.PRESET.policies
    ),
)
#: Turns as angles. 60 is most like 90 of what is there, 5 like 0, 65 and 62 like 60, 61 like those.
TOLD = ("at 0", "at 90", "at 60", "at 5", "at 65", "at 62", "at 61")


def shape(node: Node) -> Any:
    """The tree as nested lists of angles, in order."""
    if not node.children:
        return float(node.record.text.split()[-1])
    return sorted((shape(child) for child in node.children), key=str)


def test_thresholds_rise_with_depth_by_their_formula() -> None:
    growing = Growing(RAW)
    assert [round(growing.threshold(depth), 4) for depth in range(4)] == [
        0.4, round(0.4 * np.exp(0.5 / 3), 4), round(0.4 * np.exp(1 / 3), 4),
        round(0.4 * np.exp(0.5), 4),
    ]  # fmt: skip
    assert Growing(Params(rate=9.0, calibrated=False)).threshold(3) == 0.9
    # From what is usual, 0.5, two fifths of the way to 1.
    assert Growing().threshold(0, usual=0.5) == pytest.approx(0.7)


@pytest.mark.parametrize("at_once", [1, 3, 7])
def test_a_turn_descends_into_what_it_is_most_like_and_splits_a_leaf(
    bench: Any, at_once: int
) -> None:
    made = bench(PRESET)
    for start in range(0, len(TOLD), at_once):
        made.say(*TOLD[start : start + at_once])
    (root,) = made.scope.tree()
    deepest = [60.0, 61.0, 62.0]
    assert shape(root) == sorted(([0.0, 5.0], [90.0, sorted((65.0, deepest), key=str)]), key=str)
    assert root.record.level == 4
    assert sorted(record.level for record in made.scope.records() if record.level) == [
        1,
        2,
        3,
        3,
        4,
    ]


def test_what_is_like_nothing_stays_a_leaf_of_the_root(bench: Any) -> None:
    made = bench(PRESET)
    # cos 66 = 0.4067 is enough for the root, cos 67 = 0.3907 is not.
    made.say("at 0", "at 67")
    assert shape(made.scope.tree()[0]) == [0.0, 67.0]
    other = bench(PRESET)
    other.say("at 0", "at 66")
    assert shape(other.scope.tree()[0]) == [[0.0, 66.0]]


def test_the_vector_of_a_node_is_the_running_mean_of_its_turns(bench: Any) -> None:
    made = bench(PRESET)
    made.say("at 0", "at 30", "at 60")  # 30 joins 0 in one node, of 15 degrees; 60 splits 30
    with made.memory.scope("alice")._engine.searcher.view(("alice",)) as view:
        nodes = {record.level: record for record in view.records() if record.level}
        vectors = view.vectors([nodes[level].id for level in (2, 3)])
    assert np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0])) == pytest.approx(
        [45.0, 30.0], abs=0.6
    )
    assert [nodes[level].payload["size"] for level in (2, 3, 4)] == [2, 3, 3]


def test_a_question_sees_leaves_and_nodes_alike(bench: Any) -> None:
    made = bench(PRESET)
    made.say(*TOLD)
    hits = {hit.sources[0]: hit.why for hit in made.scope.recall("where is 63", k=5)}

    def cos(angle: float) -> float:
        return float(np.cos(np.radians(angle)))

    assert hits["t5"]["by leaf"] == pytest.approx(cos(1), abs=1e-4)
    # The best five are 62, 65, the node of 60 to 62 and 61, then the node of it and 65.
    assert hits["t2"]["by node"] == pytest.approx((cos(3) + cos(2)) / 2, abs=1e-3)
    assert len(hits) == 5


def test_a_model_writes_the_aggregates(bench: Any) -> None:
    def told(prompt: str, schema: object) -> dict[str, str]:
        return {"summary": "They spoke of angles at 5."}

    made = bench(PRESET, language_model=ScriptedModel(then=told))
    made.say("at 0", "at 5")
    texts = {record.text for record in made.scope.records() if record.level}
    assert texts == {"They spoke of angles at 5."}
