"""Each preset's own rule, against examples worked out by hand from its publication."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from stepwell import (
    Filter,
    Kind,
    Memory,
    Preset,
    Record,
    Status,
)
from stepwell.testing import FakeClock, HashingEmbedder
from stepwell_papers import engram, hema

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


def opened(preset: Preset, *policies: object) -> Memory:
    """A memory of a preset in which some policies are replaced by those of the same name."""
    names = {getattr(policy, "name", ""): policy for policy in policies}
    made = tuple(names.get(getattr(p, "name", ""), p) for p in preset.policies)
    clock = FakeClock(step=timedelta(0))
    return Memory.open(preset=replace(preset, policies=made), embedder=HashingEmbedder(),
                       clock=clock, seed=3)  # fmt: skip


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
