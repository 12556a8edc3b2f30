"""A-MEM's own rule, against examples worked out by hand."""

import json
import math
from typing import Any

import numpy as np
import pytest

from stepwell import Edge, EdgeKind, Filter
from stepwell.testing import ScriptedModel
from stepwell_papers import a_mem


def test_a_note_is_linked_with_those_of_its_five_nearest_that_are_near_enough() -> None:
    notes = a_mem.Links()
    degrees = [50, 10, 20, 5, 15, 25, 12]
    scores = np.array([math.cos(math.radians(each)) for each in degrees], np.float32)
    assert notes.linked(scores, least=0.96) == [3, 1, 6, 4]  # cos 16 degrees is .961
    assert notes.linked(scores, least=0.5) == [3, 1, 6, 4, 2]  # five, though all are near enough


def test_what_is_found_brings_as_many_linked_notes_again() -> None:
    edges = {
        "a": [Edge(source="a", kind=EdgeKind.RELATED, target=t) for t in ("b", "x", "y")],
        "b": [Edge(source="b", kind=EdgeKind.RELATED, target=t) for t in ("z", "w")],
    }
    chosen = a_mem.Search().expanded({"a": 0.9, "b": 0.8, "c": 0.1, "z": 0.05}, edges, k=2)
    assert list(chosen) == ["a", "b", "x", "y"]
    assert chosen["x"] == pytest.approx(0.81)


def test_a_note_holds_what_was_said_and_what_it_is_about_and_links_name_notes(
    bench: Any, related: Any
) -> None:
    made = bench(a_mem.PRESET, plugins=[related])
    made.say("The violin is out of tune 10", "The harbour is closed 80", actor="Ann", session="s1")
    made.say("A violin lesson costs forty 12", actor="Ann", session="s1")
    first, second, third = made.scope.records(Filter(kind="fact"))
    assert first.text.startswith("The violin is out of tune 10")
    assert "violin" in first.payload["keywords"]
    links = related.of(made)
    named = {edge.target for edges in links.values() for edge in edges}
    assert named <= {first.id, second.id, third.id}
    assert not links[first.id]  # links lead to what was there before


def test_labels_that_only_a_model_sees_are_searched_too(bench: Any) -> None:
    told = {"keywords": ["violin"], "tags": ["music"], "context": "", "category": "", "domain": ""}
    made = bench(a_mem.PRESET, language_model=ScriptedModel(then=json.dumps(told)))
    made.say("The violin is out of tune", actor="Ann", session="s1")
    (note,) = made.scope.records(Filter(kind="fact"))
    assert note.text == "The violin is out of tune\nmusic"
