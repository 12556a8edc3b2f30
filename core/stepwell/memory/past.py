"""A scope at an earlier time: read-only, with the reading verbs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from operator import attrgetter

from stepwell.filters import Filter
from stepwell.memory.arguments import query_of, seconds_of
from stepwell.memory.engine import Engine
from stepwell.memory.telling import tells
from stepwell.models import Context, Explanation, Recall, Record
from stepwell.searching import Moment, ScopeView


@tells(attrgetter("path"))
class Past:
    """What was said by a time and held then. What was forgotten since stays forgotten."""

    def __init__(self, engine: Engine, path: tuple[str, ...], moment: Moment) -> None:
        self._engine = engine
        self.path = path
        self.moment = moment

    def recall(
        self, query: str, *, k: int = 10, now: datetime | None = None, where: Filter | None = None,
        levels: Iterable[int] | None = None, min_trust: float = 0.0, min_score: float = 0.0,
        role: str | None = None, deadline: float | None = None,
    ) -> Recall:  # fmt: skip
        """See Scope.recall. `now` is the time looked back to unless given."""
        asked = query_of(
            query, k=k, now=now or self.moment.at, where=where, levels=levels, min_trust=min_trust,
            min_score=min_score, role=role,
        )  # fmt: skip
        return self._engine.ready().recall(
            self.path, asked, moment=self.moment, deadline=seconds_of(deadline, "deadline")
        )

    def context(
        self, query: str, *, budget: int = 800, now: datetime | None = None,
        where: Filter | None = None, min_trust: float = 0.0, role: str | None = None,
        deadline: float | None = None,
    ) -> Context:  # fmt: skip
        """See Scope.context."""
        asked = query_of(
            query, now=now or self.moment.at, where=where, min_trust=min_trust, role=role,
            budget=budget,
        )  # fmt: skip
        return self._engine.ready().context(
            self.path, asked, moment=self.moment,
            deadline=seconds_of(deadline, "deadline"),
        )  # fmt: skip

    def explain(self, record_id: str, query: str, *, k: int = 10) -> Explanation:
        """See Scope.explain."""
        asked = query_of(query, k=k, now=self.moment.at)
        return self._engine.ready().recaller.explain(
            self.path, record_id, asked, moment=self.moment
        )

    def get(self, record_or_turn_id: str) -> Record | None:
        """A record as it was; None when it was not there yet, or did not hold."""
        with self._engine.ready().searcher.view(self.path, moment=self.moment) as view:
            return view.get(record_or_turn_id)

    def records(
        self, where: Filter | None = None, after: str | None = None, limit: int = 100
    ) -> list[Record]:
        """Records that were there and held, in order of arrival."""
        with self._engine.ready().searcher.view(self.path, moment=self.moment) as view:
            refs = self._refs(view, where)
            row = view.row
            if row is None:
                return []
            start = 0 if after is None else view.reader.find(row, [after]).get(after) or 0
            return [r for _, r in view.load([ref for ref in refs if ref > start][: max(0, limit)])]

    def count(self, where: Filter | None = None) -> int:
        """How many records were there and held."""
        with self._engine.ready().searcher.view(self.path, moment=self.moment) as view:
            return len(self._refs(view, where))

    def _refs(self, view: ScopeView, where: Filter | None) -> list[int]:
        refs: list[int] = []
        for episodes in (True, False):
            side = view.side(episodes)
            if side is not None:
                refs += (
                    side.cache.refs if side.seen is None else side.cache.refs[side.seen]
                ).tolist()
        row = view.row
        if where is not None and row is not None:
            refs = list(set(refs) & set(view.reader.select(row, where, 0, 2**62, active=False)))
        return sorted(refs)
