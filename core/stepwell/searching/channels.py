"""Every channel of the built-in search: a function from a question to a score for every place.

Scores are in [0, 1]; a channel that has nothing to say gives zeros. What the functions are made of
is in `stepwell.mechanisms.scoring`; what they weigh is the ranker's affair, not theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from stepwell.contracts import BoolArray, FloatArray, IntArray
from stepwell.mechanisms import scoring
from stepwell.mechanisms.timespans import recurring, timespans
from stepwell.mechanisms.words import name_words, terms
from stepwell.searching.caches import NEVER, ScopeCache, preceding
from stepwell.searching.models import GuardedModels

#: A question's words beyond so many characters are not read.
MAX_QUERY = 20_000
#: How many vectors a question is compared with at most, nearest first.
MAX_VECTORS = 2_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

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

    def found(self, query: str) -> scoring.Matches:
        """Where the words of a question occur."""
        made: scoring.Matches = self.once(
            ("found", query),
            lambda: scoring.match(self.cache.words, terms(query[:MAX_QUERY]), self.unit_seen),
        )
        return made

    @property
    def previous(self) -> IntArray:
        """The unit before each one in its session, among those that are seen."""
        if self.unit_seen is None:
            return self.cache.previous
        units = self.cache.units
        made: IntArray = self.once(
            "previous",
            lambda: preceding(
                self.cache.unit_session, units["ref"], units["first"], self.unit_seen
            ),
        )
        return made

    def by_place(self, scores: FloatArray) -> Answer:
        """The best unit of each record, and its score."""
        return scoring.by_record(scores, self.cache.unit_place, len(self.cache))

    def nothing(self) -> FloatArray:
        """No score for anybody."""
        return np.zeros(len(self.cache), np.float32)


def words(board: Board, query: str) -> Answer:
    """BM25 over each unit by itself, relative to the best."""
    return board.by_place(
        board.once(("words", query), lambda: scoring.relative(scoring.bm25(board.found(query))))
    )


def window(board: Board, query: str) -> Answer:
    """BM25 over each unit read together with the two before it in its session."""
    raw = board.once(
        ("window", query), lambda: scoring.bm25_windows(board.found(query), board.previous)
    )
    return board.by_place(scoring.relative(raw))


def session(board: Board, query: str) -> Answer:
    """BM25 over each unit's session as one text."""
    groups = scoring.bm25_groups(board.found(query), board.cache.unit_session)
    return board.by_place(scoring.relative(groups))[0], None


def following(board: Board, query: str) -> Answer:
    """How well the next unit fits: a question stands before its answer."""
    words(board, query)
    after = board.once("following", lambda: scoring.following(board.previous))
    return board.by_place(scoring.neighbours(board.memo["words", query], after))[0], None


def speaker(board: Board, query: str) -> Answer:
    """1 for what somebody said whom the question names, as long as others spoke too."""
    asked = set(name_words(query[:MAX_QUERY]))
    names = [(name, code) for name, code in board.cache.actors.items() if name is not None]
    meant = [code for name, code in names if asked.intersection(name_words(name))]
    scores = board.nothing()
    if meant and len(names) > len(meant):
        scores[np.isin(board.cache.columns["actor"], meant)] = 1.0
    return scores, None


def when(board: Board, query: str) -> Answer:
    """1 for what was said in a time that the question names."""
    said = board.cache.columns["said"]
    known = said != NEVER
    scores = board.nothing()
    if not known.any():
        return scores, None
    for begin, end in timespans(query, board.now):
        first, last = (_micros(begin), _micros(end))
        scores[known & (said >= first) & (said < last)] = 1.0
    named = recurring(query)
    if named:
        moments = said[known].astype("datetime64[us]")
        months = moments.astype("datetime64[M]").astype(np.int64) % 12 + 1
        days = (moments.astype("datetime64[D]") - moments.astype("datetime64[M]")).astype(
            np.int64
        ) + 1
        for month, day in named:
            hit = (months == month) & (True if day is None else days == day)
            scores[np.flatnonzero(known)[hit]] = 1.0
    return scores, None


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


def order(board: Board, query: str) -> Answer:
    """The later it came, the higher: from just above 0 to 1."""
    size = len(board.cache)
    return (np.arange(1, size + 1) / max(1, size)).astype(np.float32), None


CHANNELS: dict[str, Callable[[Board, str], Answer]] = {
    "words": words, "window": window, "session": session, "following": following,
    "speaker": speaker, "time": when, "vectors": vectors, "order": order,
}  # fmt: skip


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
