"""Every channel of the built-in search: a function from a question to a score for every place.

Scores are in [0, 1]; a channel that has nothing to say gives zeros. What the functions are made of
is in `stepwell.mechanisms.scoring`; what they weigh is the ranker's affair, not theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np

from stepwell.contracts import BoolArray, FloatArray, IntArray
from stepwell.mechanisms import scoring
from stepwell.mechanisms.timespans import recurring, timespans, within
from stepwell.mechanisms.words import Actors, question_terms
from stepwell.searching.caches import ScopeCache, preceding
from stepwell.searching.models import GuardedModels

#: A question's words beyond so many characters are not read.
MAX_QUERY = 20_000
#: How many vectors a question is compared with at most, nearest first.
MAX_VECTORS = 2_000
_NOBODY = "\N{OBJECT REPLACEMENT CHARACTER}"

Answer = tuple[FloatArray, IntArray | None]


class Board:
    """What the channels of one question share: the cache, who is seen, and work done once."""

    def __init__(
        self, cache: ScopeCache, seen: BoolArray | None, now: datetime, models: GuardedModels
    ) -> None:
        self.cache = cache
        self.seen = seen
        self.now = now
        self.models = models
        self.memo: dict[Any, Any] = {}
        self.unit_seen = None if seen is None else seen[cache.unit_place]

    def once(self, key: object, make: Callable[[], Any]) -> Any:
        """The value made at the first asking."""
        if key not in self.memo:
            self.memo[key] = make()
        return self.memo[key]

    def lexical(self, query: str) -> dict[str, FloatArray]:
        """What the words of a question find, unit by unit."""
        made: dict[str, FloatArray] = self.once(
            ("lexical", query),
            lambda: scoring.lexical(
                scoring.match(self.cache.words, question_terms(query[:MAX_QUERY]), self.unit_seen),
                self.lines,
                self.cache.unit_session,
            ),
        )
        return made

    def evidence(self, query: str) -> FloatArray:
        """Above zero where any word of the question is near."""
        found = self.lexical(query)
        return found["window"] + found["session"]

    @property
    def lines(self) -> scoring.Lines:
        """Who stands beside whom in a session, among those that are seen."""
        cache = self.cache
        if self.unit_seen is None:
            if "lines" not in cache.memo:
                cache.memo["lines"] = scoring.lines(cache.previous, self._said)
            held: scoring.Lines = cache.memo["lines"]
            return held
        made: scoring.Lines = self.once(
            "lines",
            lambda: scoring.lines(
                preceding(
                    cache.unit_session, cache.units["ref"], cache.units["first"], self.unit_seen
                ),
                self._said,
            ),
        )
        return made

    @property
    def _said(self) -> IntArray:
        said: IntArray = self.cache.columns["said"][self.cache.unit_place]
        return said

    def actors(self) -> Actors:
        """Whom a question can name: those who said something that is seen."""
        cache = self.cache
        known = [name for name in cache.actors if name is not None]
        # One speaker alone tells nobody apart, but being named is still a reason to be recalled.
        if self.seen is None:
            if "actors" not in cache.memo:
                cache.memo["actors"] = Actors([*known, _NOBODY])
            held: Actors = cache.memo["actors"]
            return held
        present = set(np.unique(cache.columns["actor"][self.seen]).tolist())
        names = [name if cache.actors[name] in present else None for name in known]
        made: Actors = self.once("actors", lambda: Actors([*names, _NOBODY]))
        return made

    def by_place(self, scores: FloatArray) -> Answer:
        """The best unit of each record, and its score."""
        return scoring.by_record(scores, self.cache.unit_place, len(self.cache))

    def nothing(self) -> FloatArray:
        """No score for anybody."""
        return np.zeros(len(self.cache), np.float32)


def _lexical(name: str) -> Callable[[Board, str], Answer]:
    def channel(board: Board, query: str) -> Answer:
        return board.by_place(board.lexical(query)[name])

    return channel


def speaker(board: Board, query: str) -> Answer:
    """How much of the speaker's name the question names; "I" means whoever is called user."""
    named = board.actors().named(query[:MAX_QUERY])
    return scoring.by_actor(named, board.cache.columns["actor"]), None


def when(board: Board, query: str) -> Answer:
    """1 for what was said in a time that the question names."""
    asked = query[:MAX_QUERY]
    said = board.cache.columns["said"]
    return within(said, timespans(asked, board.now), recurring(asked)), None


def length(board: Board, query: str) -> Answer:
    """1 for what is long enough to say something, among what the words found."""
    evidence = board.evidence(query)
    return board.by_place(scoring.telling(board.cache.words.lengths, evidence))


def dated(board: Board, query: str) -> Answer:
    """1 for what has a word of time in it, when the question asks for a time."""
    evidence = board.evidence(query)
    return board.by_place(scoring.dated(board.cache.words, query[:MAX_QUERY], evidence))


def vectors(board: Board, query: str) -> Answer:
    """The cosine of the question with each record's nearest vector, as far as it is positive."""
    cache = board.cache
    scores, best = board.nothing(), np.full(len(cache), -1, np.int64)
    if cache.vectors is None or not len(cache.vectors) or board.models.embedder is None:
        return scores, None
    vector = board.models.embed(query[:MAX_QUERY], query=True)
    kids, cosines = cache.vectors.search(vector, MAX_VECTORS)
    units = np.searchsorted(cache.vector_units["kid"], kids)
    places = np.searchsorted(cache.refs, cache.vector_units["ref"][units])
    # Best last, so that of several vectors of a record the nearest one stays.
    scores[places[::-1]] = np.clip(cosines[::-1], 0, 1)
    best[places[::-1]] = units[::-1]
    return scores, best


def order(board: Board, query: str) -> Answer:  # noqa: ARG001 - every channel is given it
    """The later it came, the higher: from just above 0 to 1."""
    size = len(board.cache)
    return (np.arange(1, size + 1) / max(1, size)).astype(np.float32), None


CHANNELS: dict[str, Callable[[Board, str], Answer]] = {
    **{name: _lexical(name) for name in ("words", "window", "stretch", "session")},
    "speaker": speaker,
    "time": when,
    "length": length,
    "when": dated,
    "vectors": vectors,
    "order": order,
}  # fmt: skip
