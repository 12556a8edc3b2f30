"""What the channels of one question share: the cache, who is seen, and work that is done once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np

from stepwell.contracts import BoolArray, FloatArray, IntArray
from stepwell.mechanisms import lining, nearness, scoring, shortlisting
from stepwell.mechanisms.words import Actors, question_terms
from stepwell.searching.caches import ScopeCache, preceding
from stepwell.searching.dense import Dense
from stepwell.searching.models import GuardedModels

#: A question's words beyond so many characters are not read.
MAX_QUERY = 20_000
_NOBODY = "\N{OBJECT REPLACEMENT CHARACTER}"

#: Scores by place, and what tells the characters (n, 2) that were found of some places.
Spans = Callable[[IntArray], IntArray]
Answer = tuple[FloatArray, Spans | None]


class Board:
    """One question over one cache. `dense` reads the vectors of a space."""

    def __init__(
        self, cache: ScopeCache, seen: BoolArray | None, now: datetime, models: GuardedModels,
        dense: Callable[[str], Dense], *, told: bool = False,
    ) -> None:  # fmt: skip
        self.cache = cache
        self.seen = seen
        self.now = now
        self.models = models
        self.dense = dense
        self.told = told
        self.memo: dict[Any, Any] = {}
        self.unit_seen = None if seen is None else seen[cache.unit_place]

    def once(self, key: object, make: Callable[[], Any]) -> Any:
        """The value made at the first asking."""
        if key not in self.memo:
            self.memo[key] = make()
        return self.memo[key]

    @property
    def bench(self) -> shortlisting.Bench:
        """Where questions are worked on, one at a time."""
        return self.cache.bench

    def kept(self, key: object, make: Callable[[], Any]) -> Any:
        """As `once`, for all questions until the cache changes."""
        memo = self.cache.memo
        if key not in memo:
            memo[key] = make()
        return memo[key]

    def found(self, query: str) -> scoring.Matches:
        """Where the words of a question occur."""
        made: scoring.Matches = self.once(
            ("found", query),
            lambda: scoring.match(
                self.cache.words, question_terms(query[:MAX_QUERY]), self.unit_seen
            ),
        )
        return made

    def statistics(self) -> shortlisting.Statistics:
        """What is known of all units, whatever is asked."""
        keep = self.kept if self.unit_seen is None else self.once
        made: shortlisting.Statistics = keep(
            "statistics",
            lambda: shortlisting.Statistics(
                self.cache.words, self.lines, self.cache.unit_session, self.unit_seen
            ),
        )
        return made

    def lexical(self, query: str) -> dict[str, FloatArray]:
        """What the words of a question find, unit by unit."""
        made: dict[str, FloatArray] = self.once(
            ("lexical", query),
            lambda: scoring.lexical(self.found(query), self.lines, self.cache.unit_session),
        )
        return made

    def evidence(self, query: str) -> FloatArray:
        """Above zero where any word of the question is near."""
        found = self.lexical(query)
        return found["window"] + found["session"]

    @property
    def lines(self) -> lining.Lines:
        """Who stands beside whom in a session, among those that are seen."""
        cache = self.cache
        if self.unit_seen is None:
            if "lines" not in cache.memo:
                cache.memo["lines"] = lining.lines(cache.previous, self._said)
            held: lining.Lines = cache.memo["lines"]
            return held
        made: lining.Lines = self.once(
            "lines",
            lambda: lining.lines(
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

    @property
    def place_lines(self) -> lining.Lines:
        """As `lines`, of whole records."""

        def make() -> lining.Lines:
            columns, refs = self.cache.columns, self.cache.refs
            before = preceding(columns["session"], refs, np.zeros_like(refs), self.seen)
            return lining.lines(before, columns["said"])

        if self.seen is not None:
            seen: lining.Lines = self.once("place lines", make)
            return seen
        if "place lines" not in self.cache.memo:
            self.cache.memo["place lines"] = make()
        held: lining.Lines = self.cache.memo["place lines"]
        return held

    def by_place(self, scores: FloatArray) -> Answer:
        """The best unit of each record, and its score."""
        best, unit = scoring.by_record(scores, self.cache.unit_place, len(self.cache))
        return best, lambda places: spans_of(self.cache.units, unit[places])

    def near(self, space: str, vector: FloatArray) -> tuple[FloatArray, IntArray]:
        """How near each record's nearest vector in a space is, in [0, 1], and which unit it is.

        A record without a vector there has score 0 and unit -1.
        """
        dense = self.dense(space)
        if not len(dense):
            return self.nothing(), np.full(len(self.cache), -1, np.int64)

        made: tuple[FloatArray, IntArray] = self.once(
            ("near", space, vector.tobytes()),
            lambda: scoring.by_record(
                self.standing(space, vector), self.owners(space), len(self.cache)
            ),
        )
        return made

    def standing(self, space: str, vector: FloatArray) -> FloatArray:
        """How far each vector of a space stands out towards one."""
        seen = None if self.seen is None else self.seen[self.owners(space)]
        return nearness.standing(self.dense(space).cosines(vector), seen)

    def best_of(self, scores: FloatArray, owners: IntArray, out: FloatArray) -> None:
        """The best score of each record, into `out`: scoring.by_record, without the unit."""

        def make() -> tuple[IntArray, IntArray, IntArray, IntArray]:
            """The first unit of each record; and of the records that have more, those units."""
            order = np.arange(len(owners))
            if bool((owners[1:] < owners[:-1]).any()):
                order = np.argsort(owners, kind="stable")
            held = owners[order]
            apart = np.append(True, held[1:] != held[:-1])[: len(held)]
            more = order[~apart]
            return order[apart], held[apart], more, owners[more]

        first, whose, more, of = self.kept(("runs", id(owners), len(owners)), make)
        if len(whose) < len(out):
            out[:] = 0
            out[whose] = scores[first]
        else:
            np.take(scores, first, out=out, mode="clip")
        np.maximum.at(out, of, scores[more])

    def owners(self, space: str) -> IntArray:
        """The place of each vector's record."""
        refs = self.dense(space).units["ref"]

        def make() -> IntArray:
            if np.array_equal(refs, self.cache.units["ref"]):
                return self.cache.unit_place
            return np.searchsorted(self.cache.refs, refs).astype(np.int64)

        made: IntArray = self.kept(("owners", space, len(refs)), make)
        return made

    def asked(self, query: str) -> list[tuple[str, FloatArray]]:
        """The question's vector in each space that the records' own vectors may lie in."""
        made: list[tuple[str, FloatArray]] = self.once(
            ("asked", query),
            lambda: [
                (space, self.models.vector(space, query))
                for space in self.models.spaces
                if len(self.dense(space))
            ],
        )
        return made

    def nothing(self) -> FloatArray:
        """No score for anybody."""
        return np.zeros(len(self.cache), np.float32)


def spans_of(units: dict[str, IntArray], at: IntArray) -> IntArray:
    """The characters (n, 2) that units stand for; -1 for the whole text, and for no unit."""
    if not len(units["first"]):
        return np.full((len(at), 2), -1, np.int64)
    spans = np.stack([units["first"][at], units["last"][at]], axis=1)
    return np.where((at < 0)[:, None], np.int64(-1), spans)
