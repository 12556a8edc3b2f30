"""ENGRAM (arXiv 2511.12960): three typed stores, and the best of each together.

Faithful: a router says which of episodic, semantic and procedural knowledge a turn holds, each in a
record of its own, with its time (section 3); nothing is updated, merged or forgotten on writing; a
question takes the 25 nearest of each store of each speaker by cosine, the union without duplicates
is cut at 25 (section 3.3).

Mended: the paper's own ablation, in which one untyped store is worse than any part of it, cannot
be of typing alone; what stays is that each store has a quota before anything is cut. Without a
language model the router is a few rules over sentences. A record leads back to its turn, and turns
of which no store knows anything follow after those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stepwell import Add, Fact, Hit, Kind, Plan, Preset, Query, Record, View, hookimpl
from stepwell.mechanisms.buffering import batches
from stepwell.mechanisms.drawing import facts_of
from stepwell.mechanisms.grounding import by_support, by_way_of, cosines, grounded, led, members

NAME = "engram"


@dataclass(frozen=True)
class Params:
    """The paper's constants: how many of each store, and how many in all.

    `turns` are read at once.
    """

    store: int = 25
    top: int = 25
    turns: int = 16


@dataclass(frozen=True)
class Stores:
    """Typed records of what turns state."""

    params: Params = Params()
    name: str = "engram-stores"

    @hookimpl
    def segment(self, buffer: Sequence[Record]) -> Sequence[int]:
        """Some turns at a time, whatever they are about; they are read one by one."""
        return batches([1] * len(buffer), self.params.turns)[:-1]

    @hookimpl
    def extract(self, trace: Record, view: View) -> Sequence[Add]:
        """A record for each thing that is told, of the sort that it is."""
        return facts_of(members([trace], view)[trace.id], view, _sorted)


@dataclass(frozen=True)
class Search:
    """The nearest of each store, together."""

    params: Params = Params()
    name: str = "engram-search"

    @hookimpl
    def plan(self, query: Query, view: View) -> Plan:
        """Turns, then typed records."""
        weights = {"vectors": 1.0, "words": 0.0 if view.models.space else 1.0}
        return by_way_of(query, [Kind.FACT], weights, look=2 * self.params.top)

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """The turns of the union, then all others."""
        question = plan.query.text
        if not led(plan):
            return [by_support(hit, question, view) for hit in hits]
        found = [hit for hit in hits if hit.record.payload.get(NAME)]
        near = cosines(question, [hit.record.id for hit in found], view)
        scores = [hit.score for hit in found] if near is None else near.tolist()
        support: dict[str, dict[str, float]] = {}
        for place in self.union([hit.record for hit in found], scores):
            store = str(found[place].record.payload[NAME])
            for turn in found[place].sources:
                support.setdefault(turn, {}).setdefault(store, max(0.0, scores[place]))
        return grounded(support, hits, plan, view)

    def union(self, records: Sequence[Record], scores: Sequence[float]) -> list[int]:
        """The places of what is taken, best first: of each store its own quota, then the cut."""
        left: dict[tuple[object, str | None], int] = {}
        said: set[str] = set()
        taken = []
        for place in sorted(range(len(records)), key=lambda place: -scores[place]):
            record = records[place]
            store = (record.payload.get(NAME), record.actor)
            if left.setdefault(store, self.params.store) <= 0:
                continue
            left[store] -= 1
            if record.text not in said:
                said.add(record.text)
                taken.append(place)
        return taken[: self.params.top]


def _sorted(fact: Fact, _: Record) -> dict[str, str]:
    return {NAME: fact.sort.value}


PRESET = Preset(
    NAME,
    1,
    (
        "words",
        "vectors",
        Stores(),
        Search(),
        "channel-vectors",
        "channel-words",
        "channel-order",
        "flat-packer",
    ),
)
