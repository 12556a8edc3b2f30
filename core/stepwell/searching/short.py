"""Recall among very many: a shortlist of places by cheap scores of all, and their exact scores.

Below `shortlisting.LARGE` records nothing of this is used. Above it a question is answered in two
steps. First every record gets a rough score, made of what is cheap to know of all: its words, those
beside it, its session, its vector and those beside it. Then the channels tell of the best few
thousand alone, by the same rules as of all. A filter, and who is seen, hold from the first step on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stepwell.contracts import BoolArray, Candidates, FloatArray, IntArray
from stepwell.mechanisms import lining, nearness, scoring, shortlisting
from stepwell.mechanisms.timespans import recurring, timespans, within
from stepwell.mechanisms.words import asks_when
from stepwell.searching.board import MAX_QUERY, Board, spans_of

#: How many places the rough scores bring into a shortlist, and each channel by its own best.
WANTED = 2_000
BY_CHANNEL = 256
#: The latest are looked at too: more of them than "recent" can tell apart.
LATEST = 100
#: What the vectors' channels count for in the rough scores; the others as in scoring.WEIGHTS.
DENSE = 0.4

WORDY = ("words", "window", "stretch", "session", "length", "when")
VECTORS = ("vectors", "vector_window", "vector_stretch")


@dataclass(frozen=True, slots=True, eq=False)
class Narrow:
    """What a search is narrowed to: how many places at least, and those that are let through.

    Without `vectors` a shortlist is made by words alone.
    """

    wanted: int = WANTED
    allowed: BoolArray | None = None
    vectors: bool = True


#: For who asks the words for their best few.
QUICK = Narrow(BY_CHANNEL, vectors=False)


class Short:
    """The shortlist of one question, and what each channel tells of it."""

    def __init__(self, board: Board, query: str, narrow: Narrow) -> None:
        cache = board.cache
        self._board = board
        self._asked = query[:MAX_QUERY]
        self._found = board.found(query)
        self._known = board.statistics()
        # Rough scores. Those of words are exact already, but for the windows.
        words = shortlisting.words(self._found, self._known, self._units_of("words"))
        self._rough = {
            "words": words,
            "window": lining.smeared(
                words, board.lines, scoring.BEFORE, scoring.AFTER,
                (self._units_of("window"), self._units_of("spare")),
            ),
            "stretch": shortlisting.coarse(words, self._units_of("stretch")),
            "session": shortlisting.sessions(
                self._found, self._known, self._units_of("session")
            ),
        }  # fmt: skip
        #: By space, how far each vector stands out; and by channel, what that makes of each place.
        self._standing: dict[str, FloatArray] = {}
        self._vectors: dict[str, FloatArray] = {}
        if narrow.vectors:
            self._look_near()
        named = board.actors().named(self._asked)
        self._named = named if named.any() else None
        self._spans = timespans(self._asked, board.now), recurring(self._asked)
        self.places = self._chosen(narrow)
        self._units, self._owner = _of_places(cache.unit_place, self.places, len(cache))
        self._lexical = self._of_words()
        # The bench is the next one's: what is told later has to be taken from it now.
        self._dense = self._of_vectors()

    def candidates(self, channel: str) -> Candidates | None:
        """What a channel tells of the shortlist; None for one that has no way of its own here."""
        if channel in self._lexical:
            scores, unit = scoring.by_record(self._lexical[channel], self._owner, len(self.places))
            spans = None
            if channel in ("words", "window"):
                units = np.append(self._units, -1)[unit]
                spans = spans_of(self._board.cache.units, units)
        elif channel in VECTORS:
            scores, spans = self._dense.get(channel, (np.zeros(len(self.places), np.float32), None))
        elif channel == "speaker":
            scores, spans = self._speaker(self.places), None
        elif channel == "time":
            scores, spans = self._time(self.places), None
        else:
            return None
        told = np.flatnonzero(scores > 0)
        return Candidates(
            channel, self.places[told], scores[told], None if spans is None else spans[told]
        )

    # who is looked at -------------------------------------------------------------------------

    def _chosen(self, narrow: Narrow) -> IntArray:
        """The places that are looked at closely, ascending."""
        board, cache = self._board, self._board.cache
        may = board.seen
        if narrow.allowed is not None:
            may = narrow.allowed if may is None else may & narrow.allowed
        place = cache.unit_place
        chosen = np.zeros(len(cache), np.bool_)
        # Whatever a filter says: the best of words, of windows and of stretches are what the others
        # are relative to. Of a session all are alike: who of it is looked at tells of the rest.
        for name in ("words", "window", "stretch"):
            chosen[place[shortlisting.best(self._rough[name], BY_CHANNEL)]] = True
        if may is not None and int(np.count_nonzero(may)) <= narrow.wanted:
            return np.flatnonzero(chosen | may)
        mixed = self._mixed()
        for near in self._vectors.values():
            held = near
            if may is not None:
                held = np.multiply(near, may, out=self._places_of("spare places"))
            chosen[shortlisting.best(held, BY_CHANNEL)] = True
        if may is not None:
            mixed *= may[place]
        chosen[place[shortlisting.best(mixed, narrow.wanted)]] = True
        if may is None:
            chosen[-LATEST:] = True
        else:
            chosen[np.flatnonzero(may)[-LATEST:]] = True
        return np.flatnonzero(chosen)

    def _mixed(self) -> FloatArray:
        """A rough score of every unit."""
        cache, weights, rough = self._board.cache, scoring.WEIGHTS, self._rough
        mixed, spare = self._units_of("mixed"), self._units_of("spare")
        mixed[:] = 0
        fit = scoring.strength(self._found, rough["window"])
        for name, scores in rough.items():
            most = float(scores.max(initial=0.0))
            if most > 0:
                mixed += np.multiply(scores, np.float32(weights[name] * fit / most), out=spare)
        np.multiply(self._known.grown, mixed > 0, out=spare)
        spare *= np.float32(weights["length"])
        mixed += spare
        if asks_when(self._asked):
            dated = scoring.dated(cache.words, self._asked, mixed)
            mixed += np.multiply(dated, np.float32(weights["when"]), out=spare)
        beside = self._places_of("beside")
        beside[:] = 0
        for near in self._vectors.values():
            beside += near
        beside *= np.float32(DENSE)
        if self._named is not None:
            beside += self._speaker(slice(None)) * np.float32(weights["speaker"])
        if self._spans[0] or self._spans[1]:
            beside += self._time(slice(None)) * np.float32(weights["time"])
        np.take(beside, cache.unit_place, out=spare, mode="clip")
        mixed += spare
        return mixed

    # what is told of them ---------------------------------------------------------------------

    def _of_words(self) -> dict[str, FloatArray]:
        """The channels of words of the units that are looked at: see scoring.lexical."""
        board, cache, at, found = self._board, self._board.cache, self._units, self._found
        windows = shortlisting.windows_at(found, board.lines, self._known, at, board.bench)
        fit = scoring.strength(found, windows)
        told = {
            "window": scoring.relative(windows, fit),
            "stretch": scoring.relative(
                lining.stretch_at(self._rough["words"], board.lines, at), fit
            ),
        }
        for name in ("words", "session"):
            most = float(self._rough[name].max(initial=0.0))
            told[name] = self._rough[name][at] * np.float32(fit / most if most > 0 else 0)
        evidence = told["window"] + told["session"]
        told["length"] = scoring.telling(cache.words.lengths[at], evidence)
        told["when"] = np.zeros(len(at), np.float32)
        if asks_when(self._asked):
            every = np.zeros(len(cache.unit_place), np.float32)
            every[at] = evidence
            told["when"] = scoring.dated(cache.words, self._asked, every)[at]
        return told

    def _look_near(self) -> None:
        """How near each record is, in the space where it is nearest, and who is beside it."""
        board = self._board
        lines = board.place_lines
        near: FloatArray | None = None
        for space, vector in board.asked(self._asked):
            self._standing[space] = board.standing(space, vector)
            owners = board.owners(space)
            best = self._places_of("vectors" if near is None else "spare places")
            board.best_of(self._standing[space], owners, best)
            near = best if near is None else np.maximum(near, best, out=near)
        if near is None:
            return
        spare = self._places_of("spare places")
        self._vectors = {
            "vectors": near,
            "vector_window": nearness.beside(
                near, lines, (self._places_of("vector window"), spare)
            ),
            "vector_stretch": shortlisting.coarse(near, self._places_of("vector stretch")),
        }  # fmt: skip

    def _of_vectors(self) -> dict[str, tuple[FloatArray, IntArray | None]]:
        """The vectors' channels; which characters were found is told of the vectors alone."""
        board, places = self._board, self.places
        told: dict[str, tuple[FloatArray, IntArray | None]] = {
            name: (scores[places], None) for name, scores in self._vectors.items()
        }
        if not told:
            return told
        near = self._vectors["vectors"]
        told["vector_stretch"] = lining.stretch_at(near, board.place_lines, places), None
        spans = np.full((len(places), 2), -1, np.int64)
        best = np.zeros(len(places), np.float32)
        for space, standing in self._standing.items():
            units, owner = _of_places(board.owners(space), places, len(board.cache))
            each, unit = scoring.by_record(standing[units], owner, len(places))
            fresh = (unit >= 0) & (each > best)
            best[fresh] = each[fresh]
            spans[fresh] = spans_of(board.dense(space).units, units[unit[fresh]])
        told["vectors"] = told["vectors"][0], spans
        self._standing = {}
        return told

    def _speaker(self, at: IntArray | slice) -> FloatArray:
        actor = self._board.cache.columns["actor"][at]
        if self._named is None:
            return np.zeros(len(actor), np.float32)
        return scoring.by_actor(self._named, actor)

    def _time(self, at: IntArray | slice) -> FloatArray:
        return within(self._board.cache.columns["said"][at], *self._spans)

    def _units_of(self, name: str) -> FloatArray:
        return self._board.bench.floats(name, len(self._board.cache.unit_place))

    def _places_of(self, name: str) -> FloatArray:
        return self._board.bench.floats(name, len(self._board.cache))


def _of_places(owner: IntArray, places: IntArray, size: int) -> tuple[IntArray, IntArray]:
    """The units of some places, ascending, and which of the places each one is of."""
    mark = np.zeros(size, np.bool_)
    mark[places] = True
    units = np.flatnonzero(mark[owner])
    return units, np.searchsorted(places, owner[units])
