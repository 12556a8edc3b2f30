"""Every channel of the built-in search: a function from a question to a score for every place.

Scores are in [0, 1]; a channel that has nothing to say gives zeros. What the functions are made of
is in `stepwell.mechanisms`; what they weigh is the ranker's affair, not theirs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stepwell.mechanisms import lining, nearness, scoring
from stepwell.mechanisms.lining import PAUSE
from stepwell.mechanisms.timespans import NEVER, micros, recurring, timespans, within
from stepwell.searching.board import MAX_QUERY, Answer, Board, spans_of

#: So many records ago, what was said is "recent" by a third.
RECENT = 10


def _lexical(name: str) -> Callable[[Board, str], Answer]:
    def channel(board: Board, query: str) -> Answer:
        scores, spans = board.by_place(board.lexical(query)[name])
        # What lies near a passage of a long turn says nothing of which passage it is.
        return scores, spans if name in ("words", "window") else None

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
    return board.by_place(scoring.telling(board.cache.words.lengths, evidence))[0], None


def dated(board: Board, query: str) -> Answer:
    """1 for what has a word of time in it, when the question asks for a time."""
    evidence = board.evidence(query)
    return board.by_place(scoring.dated(board.cache.words, query[:MAX_QUERY], evidence))[0], None


def vectors(board: Board, query: str) -> Answer:
    """How far the nearest vector of each record stands out, of all that are seen."""
    scores, spans = board.nothing(), np.full((len(board.cache), 2), -1, np.int64)
    for space, vector in board.asked(query[:MAX_QUERY]):
        near, unit = board.near(space, vector)
        fresh = (unit >= 0) & (near > scores)
        scores[fresh] = near[fresh]
        spans[fresh] = spans_of(board.dense(space).units, unit[fresh])
    return scores, lambda places: spans[places]


def vector_window(board: Board, query: str) -> Answer:
    """The mean of "vectors" over a record and the ones said before and after it."""
    scores, _ = board.once(("vectors", query), lambda: vectors(board, query))
    return nearness.beside(scores, board.place_lines), None


def vector_stretch(board: Board, query: str) -> Answer:
    """The mean of "vectors" over a record and the eight said before and after it."""
    scores, _ = board.once(("vectors", query), lambda: vectors(board, query))
    return lining.stretch(scores, board.place_lines), None


def recent(board: Board, query: str) -> Answer:  # noqa: ARG001 - every channel is given it
    """1 for the latest record, and less by a factor of e with every ten before it.

    Nothing is recent where the caller says that it is long after the last word.
    """
    size = len(board.cache)
    seen = np.ones(size, np.bool_) if board.seen is None else board.seen
    said = board.cache.columns["said"][seen]
    latest = int(said.max(initial=NEVER))
    if board.told and latest != NEVER and micros(board.now) - latest > PAUSE:
        return board.nothing(), None
    later = np.cumsum(seen[::-1])[::-1] - seen
    return np.exp(-later / np.float32(RECENT)).astype(np.float32), None


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
    "vectors": lambda board, query: board.once(("vectors", query), lambda: vectors(board, query)),
    "vector_window": vector_window,
    "vector_stretch": vector_stretch,
    "recent": recent,
    "order": order,
}  # fmt: skip
