"""HEMA (arXiv 2504.16754): a compact summary, and a vector memory that is pruned by age and use.

Faithful: a summary of at most 60 tokens that is carried on with each turn, every 100 turns one of
those turns, turns found by cosine, the last two turns in every context (section 3); every 100
turns the 0.5 % of the lowest weight leave the vector memory, with
w = lambda exp(-gamma (t - i)) + beta delta for an age of t - i turns and delta = 1 for what was
retrieved in the last 100 turns (3.4).

Mended: the paper writes beta (1 - delta), which rewards what nobody asked for, and says the
opposite in words. What is pruned is hidden, not lost: it stays in the file, and a filter for hidden
records finds it. Retrieval is what the caller reports as used; recall itself writes nothing. The
product-quantised index is left out: it is a matter of the store, and the paper's gain of a third in
latency cannot come of half a percent of the vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stepwell import (
    Add,
    EdgeKind,
    Filter,
    Hide,
    Hit,
    Kind,
    Op,
    Packing,
    Plan,
    Preset,
    Query,
    Record,
    Revise,
    Status,
    View,
    hookimpl,
)
from stepwell.mechanisms.packing import pack_flat
from stepwell.mechanisms.rolling import rolled

NAME = "hema"
BLOCKS = Filter(kind=Kind.SUMMARY, level=1)
ALL = 1_000_000
#: What is known before the first block: its last turn, and how many were dropped and seen.
BEGUN: Final[dict[str, Any]] = {"last": None, "dropped": 0.0, "turns": 0}


@dataclass(frozen=True)
class Params:
    """The paper's constants: turns of a block, tokens of a summary, and those of the weight.

    `oldest` is how many of the oldest turns are weighed at a time: no younger one can be lowest.
    """

    block: int = 100
    tokens: int = 60
    decay: float = 1.0
    gamma: float = 0.002
    bonus: float = 0.5
    share: float = 0.005
    last: int = 2
    oldest: int = 512


@dataclass(frozen=True)
class Compact:
    """The compact memory, its summaries of summaries, and the pruning."""

    params: Params = Params()
    name: str = "hema-compact"

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """The next block of turns, if it is full, and what it prunes; or the summary carried on."""
        blocks = view.records(BLOCKS, limit=ALL)
        state = _state(blocks[-1]) if blocks else dict(BEGUN)
        turns = Filter(level=0, status=[Status.ACTIVE, Status.HIDDEN])
        after = None if state["last"] is None else view.get(state["last"])
        fresh = view.records(turns, after=after.id if after else None, limit=self.params.block)
        if state["last"] is not None and after is None:
            fresh = []  # the last turn of the block was forgotten: it is written anew first
        if len(fresh) < self.params.block:
            return rolled(view, NAME, tokens=self.params.tokens)
        count = state["turns"] + len(fresh)
        due = state["dropped"] + self.params.share * (count - int(state["dropped"]))
        pruned = self._pruned(view, count, int(due) - int(state["dropped"]))
        told = {"last": fresh[-1].id, "dropped": due, "turns": count}
        return [self._block(fresh, told, view), *(Hide(id=turn.id) for turn in pruned)]

    @hookimpl
    def organize(self, record: Record, view: View) -> Sequence[Op]:
        """A block of which a turn was forgotten, summed up from the others."""
        if record.status is not Status.STALE or NAME not in record.payload:
            return ()
        edges = view.links([record.id], EdgeKind.CONTAINS)[record.id]
        turns = [turn for edge in edges if (turn := view.get(edge.target)) is not None]
        if not turns:
            return ()
        text = self._text(turns, view)
        fresh = record.model_copy(update={"text": text})
        return [Revise(id=record.id, text=text, keys=view.keys(fresh))]

    def _block(self, turns: Sequence[Record], told: dict[str, Any], view: View) -> Add:
        said = [turn.said_at or turn.stored_at for turn in turns]
        record = Record(
            id="", scope=view.scope, level=1, kind=Kind.SUMMARY, text=self._text(turns, view),
            payload={NAME: told}, said_at=min(said), valid_from=max(said), stored_at=view.now,
            trust=min(turn.trust for turn in turns),
        )  # fmt: skip
        names = tuple(turn.id for turn in turns)
        return Add(record=record, keys=view.keys(record), sources=names, contains=True)

    def _text(self, turns: Sequence[Record], view: View) -> str:
        told = view.models.summarize([turn.spoken for turn in turns], tokens=self.params.tokens)
        return told.text or turns[0].text

    def _pruned(self, view: View, now: int, count: int) -> list[Record]:
        """The turns of the lowest weight."""
        if count <= 0:
            return []
        # Ages are told in turns; those that are hidden count, too.
        oldest = view.records(
            Filter(level=0, status=[Status.ACTIVE, Status.HIDDEN]), limit=self.params.oldest
        )
        used = [view.usage(turn.id).last_used for turn in oldest]
        recent = view.records(Filter(level=0), limit=ALL)[-self.params.block :]
        since = min((turn.stored_at for turn in recent), default=view.now)
        lately = [when is not None and when >= since for when in used]
        weights = self.weights(np.arange(now, now - len(oldest), -1), np.array(lately))
        order = np.argsort(weights, kind="stable")
        active = [oldest[n] for n in order if oldest[n].status is Status.ACTIVE]
        return active[:count]

    def weights(
        self, ages: npt.NDArray[np.int64], lately: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float64]:
        """Lambda exp(-gamma age) + beta delta, of turns of these ages."""
        p = self.params
        made: npt.NDArray[np.float64] = p.decay * np.exp(-p.gamma * ages) + p.bonus * lately
        return made


@dataclass(frozen=True)
class Search:
    """Turns by cosine; the last two and the newest summary in every context."""

    params: Params = Params()
    name: str = "hema-search"

    @hookimpl
    def plan(self, query: Query, view: View) -> Plan:
        """Cosine alone; words where there are no vectors."""
        weights = {"vectors": 1.0, "words": 0.0 if view.models.space else 1.0}
        return Plan(query=query, weights=weights, role=query.role, task=query.task)

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """In a context, the last turns and the newest summary of summaries come before all."""
        if not plan.query.free or plan.query.where is not None:
            return hits
        turns = view.records(Filter(level=0), limit=ALL)[-self.params.last :]
        blocks = view.records(BLOCKS, limit=ALL)[-1:]
        first = [
            Hit(record, 1.0, view.sources(record.id), {"last": 1.0})
            for record in (*turns, *blocks)
            if record.trust >= plan.query.min_trust
        ]
        ids = {hit.record.id for hit in first}
        return [*first, *(replace(h, score=0.99 * h.score) for h in hits if h.record.id not in ids)]

    @hookimpl
    def pack(self, hits: Sequence[Hit], budget: int, view: View) -> Packing:
        """The lowest cosine is left out first."""
        return pack_flat(hits, budget, arrival=view.place)


def _state(block: Record) -> dict[str, Any]:
    held: Any = block.payload[NAME]
    return dict(held)


PRESET = Preset(
    NAME, 1, ("words", "vectors", Compact(), Search(), "channel-vectors", "channel-words")
)
