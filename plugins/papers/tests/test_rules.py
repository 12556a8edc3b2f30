"""Each preset's own rule, against examples worked out by hand from its publication."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stepwell import (
    Add,
    Edge,
    EdgeKind,
    Filter,
    Kind,
    Memory,
    Preset,
    Record,
    Relation,
    Skip,
    Status,
    Supersede,
    Turn,
)
from stepwell.testing import FakeClock, HashingEmbedder
from stepwell_papers import a_mem, engram, hema, lightmem, mem0, mem0_v3, memoryos

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def unit(*angles: float) -> np.ndarray:
    """Rows of two directions, by their angles in degrees: cosines are those of the differences."""
    rows = [[math.cos(math.radians(a)), math.sin(math.radians(a))] for a in angles]
    return np.array(rows, np.float32)


def fact(text: str, day: int = 0, actor: str = "Ann", **said: Any) -> Record:
    return Record(
        id=said.pop("id", text), scope=("a",), level=1, kind=Kind.FACT, text=text, actor=actor,
        said_at=NOW + timedelta(days=day), stored_at=NOW, **said,
    )  # fmt: skip


# LightMem ---------------------------------------------------------------------------------------


def test_lightmem_updates_from_the_ten_nearest_of_those_before_at_a_score_of_nine_tenths():
    sleep = lightmem.Sleep()
    near = unit(*range(1, 41))  # cos 25 degrees is .906, cos 26 is .899
    queue = sleep.queue(near, unit(0)[0])
    assert queue == list(range(10))
    few = unit(24, 60, 25, 26)
    assert sleep.queue(few, unit(0)[0]) == [0, 2]


# MemoryOS ---------------------------------------------------------------------------------------


def opened(preset: Preset, *policies: object) -> Memory:
    """A memory of a preset in which some policies are replaced by those of the same name."""
    names = {getattr(policy, "name", ""): policy for policy in policies}
    made = tuple(names.get(getattr(p, "name", ""), p) for p in preset.policies)
    clock = FakeClock(step=timedelta(0))
    return Memory.open(preset=replace(preset, policies=made), embedder=HashingEmbedder(),
                       clock=clock, seed=3)  # fmt: skip


def test_memoryos_heat_is_visits_and_length_and_an_e_th_for_each_day():
    states = [
        {"visits": 3, "length": 2, "last": NOW.isoformat()},
        {"visits": 3, "length": 2, "last": (NOW - timedelta(days=1)).isoformat()},
    ]
    segments = [fact("s", payload={memoryos.NAME: state}) for state in states]
    heats = memoryos.Heat().heats(segments, NOW)
    assert heats.tolist() == pytest.approx([6.0, 5 + 1 / math.e])


def test_memoryos_promotes_what_is_hot_and_counts_from_nothing_again():
    turns = [
        Turn(id=f"t{n}", text=f"My boat is called Nordlys and it is red, number {n}.",
             actor=("Ann", "Bot")[n % 2], role=("user", "assistant")[n % 2], session="s")
        for n in range(40)
    ]  # fmt: skip
    with opened(memoryos.PRESET) as memory:
        scope = memory.scope("a")
        scope.remember_many(turns)
        scope.consolidate()
        # Twenty pages: ten wait in the ring, ten have joined one segment, whose length of ten
        # alone is above the threshold of five.
        (segment,) = scope.records(Filter(kind="category"))
        state = segment.payload[memoryos.NAME]
        assert (state["pages"], state["length"]) == (10, 0)
        assert scope.count(Filter(kind="fact")) > 0
        assert scope.slots()[0].name == "profile"


def test_memoryos_knowledge_loses_the_oldest_first():
    heat = memoryos.Heat(memoryos.Params(knowledge=3))
    turns = [
        Turn(id=f"t{n}", text=f"I own boat number {n}.", actor=("Ann", "Bot")[n % 2],
             role="user", session="s", at=NOW + timedelta(minutes=n))
        for n in range(40)
    ]  # fmt: skip
    with opened(memoryos.PRESET, heat) as memory:
        scope = memory.scope("a")
        scope.remember_many(turns)
        scope.consolidate()
        kept = scope.records(Filter(kind="fact", payload={memoryos.NAME: "user"}))
        gone = scope.records(Filter(kind="fact", status=Status.HIDDEN))
        assert len(kept) == 3
        assert all(a.said_at < b.said_at for a in gone for b in kept)


# A-MEM ------------------------------------------------------------------------------------------


def test_a_mem_links_a_note_with_those_of_its_five_nearest_that_are_near_enough():
    notes = a_mem.Notes()
    before = [50, 10, 20, 5, 15, 25, 12]
    assert notes.linked(unit(*before, 0), least=0.96) == [3, 1, 6, 4]  # cos 16 degrees is .961
    assert notes.linked(unit(*before, 0), least=0.5) == [3, 1, 6, 4, 2]


def test_a_mem_brings_as_many_linked_notes_again_as_were_found():
    edges = {
        "a": [Edge(source="a", kind=EdgeKind.RELATED, target=t) for t in ("b", "x", "y")],
        "b": [Edge(source="b", kind=EdgeKind.RELATED, target=t) for t in ("z", "w")],
    }
    chosen = a_mem.Search().expanded({"a": 0.9, "b": 0.8, "c": 0.1, "z": 0.05}, edges, k=2)
    assert list(chosen) == ["a", "b", "x", "y"]
    assert chosen["x"] == pytest.approx(0.81)


# ENGRAM -----------------------------------------------------------------------------------------


def test_engram_takes_of_each_store_its_own_and_says_nothing_twice():
    search = engram.Search(engram.Params(store=2, top=5))
    sorts = ["episodic"] * 4 + ["semantic"] * 3 + ["procedural"]
    texts = ["e1", "e2", "e3", "e4", "s1", "s1", "s2", "p1"]
    records = [
        fact(text, id=str(n), payload={engram.NAME: sort})
        for n, (text, sort) in enumerate(zip(texts, sorts, strict=True))
    ]
    scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]
    assert search.union(records, scores) == [0, 1, 4, 7]
    other = [fact(r.text, id=r.id, actor="Ben", payload=r.payload) for r in records[:1]]
    search = engram.Search(engram.Params(store=2, top=3))
    assert search.union([*records, *other], [*scores, 1.0]) == [8, 1, 4]


# Mem0 -------------------------------------------------------------------------------------------


@dataclass
class Judge:
    """A view whose model says how a fact stands to those before it."""

    relations: tuple[Relation, ...]

    @property
    def models(self) -> Any:
        return SimpleNamespace(relate=lambda _, older: self.relations[: len(older)])


def decided(relations: tuple[Relation, ...], older: list[Record], newer: Record) -> Any:
    return mem0.Facts().reconcile(Add(record=newer), older, Judge(relations))  # type: ignore[arg-type]


def test_mem0_adds_updates_takes_out_of_force_and_leaves_what_is_known():
    newer = fact("Ann lives in Oslo.", day=2)
    old, other = fact("Ann lives in Bergen.", id="old"), fact("Ann has a cat.", id="cat")
    added = decided((Relation.UNRELATED, Relation.UNRELATED), [old, other], newer)
    assert [type(op) for op in added] == [Add]
    for relation in (Relation.REFINES, Relation.CONTRADICTS):
        ops = decided((relation, Relation.UNRELATED), [old, other], newer)
        assert ops[1:] == [Supersede(id="@fact", replaces="old")]
    assert isinstance(decided((Relation.SAME,), [old], newer), Skip)
    assert isinstance(decided((), [fact("ann lives in  oslo.", id="o")], newer), Skip)


def test_mem0_lets_nothing_replace_what_was_said_later_or_by_somebody_else():
    newer = fact("Ann lives in Oslo.", day=2)
    later, bens = fact("Ann lives in Rome.", day=5, id="l"), fact("I live in Rome.", actor="Ben")
    ops = decided((Relation.CONTRADICTS,) * 2, [later, bens], newer)
    assert [type(op) for op in ops] == [Add]


def test_mem0_v3_adds_up_what_there_is_and_divides_by_what_there_could_be():
    search = mem0_v3.Search()
    assert search.score(0.6, 0.4, None) == pytest.approx(1.0 / 2)
    assert search.score(0.6, 0.4, 0.5) == pytest.approx(1.5 / 2.5)
    assert search.score(None, 0.4, None) == pytest.approx(0.4)
    assert search.boost(1) == 0.5
    assert search.boost(11) == pytest.approx(0.5 / 1.1)


def test_mem0_v3_gives_what_is_said_again_a_second_source():
    with opened(mem0_v3.PRESET) as memory:
        scope = memory.scope("a")
        for n in range(2):
            scope.remember("I moved to Oslo in May.", id=f"t{n}", actor="Ann", session=str(n))
            scope.consolidate()
        (known,) = scope.records(Filter(kind="fact"))
        hits = scope.recall("Oslo", levels=(1,), where=Filter(kind="fact"))
        assert [hit.record.id for hit in hits] == [known.id]
        assert set(hits[0].sources) == {"t0", "t1"}
        assert {r.text for r in scope.records(Filter(kind="entity"))} >= {"Ann", "Oslo"}


# HEMA -------------------------------------------------------------------------------------------


def test_hema_weighs_by_age_in_turns_and_by_whether_it_was_used_lately():
    weights = hema.Compact().weights(np.array([0, 100, 100]), np.array([False, False, True]))
    assert weights.tolist() == pytest.approx([1.0, math.exp(-0.2), math.exp(-0.2) + 0.5])


def test_hema_hides_half_a_percent_of_the_oldest_unused_each_hundred_turns():
    with opened(hema.PRESET) as memory:
        scope = memory.scope("a")
        scope.remember_many({"text": f"We spoke of boat {n}.", "id": f"t{n}"} for n in range(399))
        scope.feedback(scope.recall("We spoke of boat 0.", k=1), 1.0)
        scope.consolidate()
        # .5 after 100, 1.5 after 200, and .005 of the 299 that are left more after 300: 2.995.
        gone = scope.records(Filter(level=0, status=Status.HIDDEN))
        assert [r.turn for r in gone] == ["t1", "t2"]  # the first was used
        scope.remember("We spoke of boat 399.", id="t399")
        scope.consolidate()
        assert scope.count(Filter(level=0, status=Status.HIDDEN)) == 4
        assert scope.count(Filter(kind="summary")) == 4
