"""One cache as a view sees it, with the scores of channels computed once per question."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from stepwell.contracts import BoolArray, Candidates, FloatArray
from stepwell.mechanisms import shortlisting
from stepwell.searching.board import Answer, Board, spans_of
from stepwell.searching.caches import ScopeCache
from stepwell.searching.channels import CHANNELS
from stepwell.searching.dense import VECTORS
from stepwell.searching.short import Narrow, Short


@dataclass(frozen=True, slots=True)
class Side:
    """The records of level 0, or of those above: a cache, who of it is seen, and the board."""

    cache: ScopeCache
    seen: BoolArray | None
    board: Board
    _scored: dict[tuple[str, str], Answer] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.cache)

    def shows(self, ref: int) -> bool:
        """Whether a record is here, and seen."""
        place = self.cache.place(ref)
        return place is not None and (self.seen is None or bool(self.seen[place]))

    def candidates(
        self, channel: str, query: str, limit: int | None = None, narrow: Narrow | None = None
    ) -> Candidates:
        """See ScopeView.candidates. `narrow` lets a shortlist be enough, where there are many."""
        if narrow is not None and self._large(narrow, limit):
            told = self._shortlist(query, narrow).candidates(channel)
            if told is not None:
                return told if limit is None else _first(told, limit)
        key = (channel, query)
        if key not in self._scored:
            compute = CHANNELS.get(channel)
            empty = compute is None or not len(self.cache)
            self._scored[key] = (
                (self.board.nothing(), None) if empty or compute is None
                else compute(self.board, query)
            )  # fmt: skip
        return self._answer(channel, self._scored[key], limit)

    def nearest(self, space: str, vector: FloatArray, limit: int | None = None) -> Candidates:
        """See ScopeView.nearest."""
        scores, unit = self.board.near(space, vector)
        found = unit >= 0 if self.seen is None else (unit >= 0) & self.seen
        places = np.flatnonzero(found)
        if limit is not None:
            places = places[np.argsort(-scores[places], kind="stable")[: max(0, limit)]]
        spans = spans_of(self.board.dense(space).units, unit[places])
        return Candidates(VECTORS, places.astype(np.int64), scores[places], spans)

    def _large(self, narrow: Narrow, limit: int | None) -> bool:
        """Whether there are so many that a shortlist is worth while, and tells enough."""
        many = len(self) >= max(shortlisting.LARGE, 4 * narrow.wanted)
        return many and (limit is None or limit <= narrow.wanted)

    def _shortlist(self, query: str, narrow: Narrow) -> Short:
        made: Short = self.board.once(
            ("short", query, narrow), lambda: Short(self.board, query, narrow)
        )
        return made

    def _answer(self, channel: str, answer: Answer, limit: int | None) -> Candidates:
        scores, spans = answer
        if self.seen is not None:
            scores = np.where(self.seen, scores, np.float32(0))
        places = np.flatnonzero(scores > 0)
        if limit is not None:
            order = np.argsort(-scores[places], kind="stable")[: max(0, limit)]
            places = places[order]
        found = None if spans is None else spans(places)
        return Candidates(channel, places.astype(np.int64), scores[places], found)


def _first(told: Candidates, limit: int) -> Candidates:
    """The best of an answer, best first."""
    order = np.argsort(-told.scores, kind="stable")[: max(0, limit)]
    spans = None if told.spans is None else told.spans[order]
    return Candidates(told.channel, told.places[order], told.scores[order], spans)
