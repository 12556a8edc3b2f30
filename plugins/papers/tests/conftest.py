"""What the tests of single systems share: vectors that can be worked out by hand."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from stepwell import Edge, EdgeKind, Filter, Kind, Memory, Preset, Turn, View, hookimpl
from stepwell.testing import FakeClock
from stepwell.testing.samples import NOW


class Angles:
    """An embedder of the plane: the last word of a text is its angle in degrees."""

    name = "angles"
    dim = 2

    def embed(self, texts: Sequence[str], *, query: bool = False) -> Any:
        """A unit vector per text; to the east where there is no angle."""
        said = [text.split()[-1].rstrip("?.") if text.split() else "" for text in texts]
        angles = [
            float(last) if last.lstrip("-").replace(".", "").isdigit() else 0 for last in said
        ]
        rad = np.radians(angles)
        return np.stack([np.cos(rad), np.sin(rad)], axis=1).astype(np.float32)


class Bench:
    """A Memory that still stands at NOW, and turns said by the minute."""

    def __init__(self, preset: Preset, embedder: Any, **options: Any) -> None:
        self.clock = FakeClock(NOW, step=timedelta(0))
        made = {"embedder": embedder, "clock": self.clock, "seed": 7, **options}
        self.memory = Memory.open(":memory:", preset=preset, **made)
        self.scope = self.memory.scope("alice")
        self.said = 0

    def say(self, *texts: str, **fields: Any) -> None:
        """Turns t0, t1 ... one a minute, then consolidated."""
        turns = []
        for text in texts:
            at = NOW - timedelta(days=1) + timedelta(minutes=self.said)
            turns.append(Turn(**{"id": f"t{self.said}", "text": text, "at": at, **fields}))
            self.said += 1
        self.scope.remember_many(turns)
        report = self.scope.consolidate()
        assert (report.parked, report.finished) == ((), True)


class Related:
    """Looks on: what each derived record of one kind is related to, when a question was asked."""

    name = "related"

    def __init__(self) -> None:
        self.found: dict[str, tuple[Edge, ...]] = {}

    @hookimpl
    def plan(self, view: View) -> None:
        """No plan."""
        names = [record.id for record in view.records(Filter(kind=Kind.FACT), limit=1000)]
        self.found = view.links(names, EdgeKind.RELATED)

    def of(self, made: Bench) -> dict[str, tuple[Edge, ...]]:
        """The edges of each, as they are now."""
        made.scope.recall("?")
        return self.found


@pytest.fixture
def related() -> Related:
    """To be given as a plugin."""
    return Related()


@pytest.fixture
def bench() -> Any:
    """Makes a Bench of a preset; each is closed, and sound, in the end."""
    made: list[Bench] = []

    def make(preset: Preset, embedder: Any = None, **options: Any) -> Bench:
        made.append(Bench(preset, Angles() if embedder is None else embedder, **options))
        return made[-1]

    yield make
    for each in made:
        assert each.memory.check().ok
        each.memory.close()
