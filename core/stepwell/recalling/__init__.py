"""The path of `recall`, `context` and `explain`: plan, search, fuse, refine, pack. No writing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np

from stepwell.contracts import (
    BoolArray,
    Candidates,
    IntArray,
    Packing,
    Plan,
    Query,
)  # fmt: skip
from stepwell.errors import PluginFailed
from stepwell.fencing import count_tokens, nonce
from stepwell.filters import Filter, names_field
from stepwell.mechanisms.packing import fit
from stepwell.models import Context, Explanation, Hit, Recall
from stepwell.plugins import Plugins
from stepwell.recalling.fusing import (
    Fused,
    fuse,
    spread_places,
    top_places,
)  # fmt: skip
from stepwell.recalling.reasons import absent, dropped, present, unseen
from stepwell.recalling.taking import candidates, merged, packed, planned, refined
from stepwell.searching import ALL, WANTED, Moment, Narrow, ScopeView, Searcher, Side

MAX_ROUNDS = 3
#: How many hits refining policies see at least.
HEAD = 50
#: How many records are looked at closely for each hit that is wanted, where there are very many.
_CLOSELY = 8
#: How many hits a packer is offered at most: one for so many tokens of the budget, or the least.
TOKENS_A_HIT = 16
LEAST_PACKED = 20


@dataclass(slots=True)
class _Run:
    """One question on its way."""

    query: Query
    view: ScopeView
    until: float | None
    degraded: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: The turns that the question's reader sees already.
    seen: IntArray = field(init=False)

    def __post_init__(self) -> None:
        row, names = self.view.row, sorted(self.query.without)
        found = self.view.reader.find(row, names) if row is not None and names else {}
        self.seen = np.array([ref for ref in found.values() if ref is not None], np.int64)

    def allowed(
        self, side: Side, where: Filter | None, levels: Sequence[int],
        spans: Sequence[tuple[datetime, datetime]] = (),
    ) -> BoolArray | None:  # fmt: skip
        """Which places a filter, levels and times let through, but for what is seen; None: all."""
        through = self.view.matching(side, where, levels, spans)
        if not len(self.seen):
            return through
        unseen = ~np.isin(side.cache.refs, self.seen)
        return unseen if through is None else through & unseen

    def unseen(self, hits: Sequence[Hit]) -> list[Hit]:
        """Those hits that tell of anything that their reader does not see."""
        seen = self.query.without
        return [hit for hit in hits if not seen.issuperset(hit.sources)] if seen else list(hits)

    def late(self) -> bool:
        """Whether the deadline has passed."""
        return self.until is not None and time.monotonic() >= self.until

    def failed(self, error: PluginFailed | str) -> None:
        name = str(error)
        if name not in self.degraded:
            self.degraded.append(name)


class Recaller:
    """Answers questions. `fallback` are the built-in policies that answer when a plugin fails."""

    def __init__(self, searcher: Searcher, plugins: Plugins, fallback: Any) -> None:
        self._searcher = searcher
        self._plugins = plugins
        self._fallback = fallback

    # recall -----------------------------------------------------------------------------------

    def recall(
        self, path: tuple[str, ...], query: Query, *, moment: Moment | None = None,
        deadline: float | None = None,
    ) -> Recall:  # fmt: skip
        """The hits for a question, best first."""
        with self._view(path, query, moment) as view:
            run = self._run(query, view, deadline)
            hits = self._hits(run)
            recall = Recall(
                query.text, tuple(hits[: query.k]), tuple(run.degraded), tuple(run.notes)
            )
        if self._plugins.has("on_recalled"):
            self._plugins.tell("on_recalled", recall=recall)
        return recall

    def context(
        self, path: tuple[str, ...], query: Query, *, moment: Moment | None = None,
        deadline: float | None = None,
    ) -> Context:  # fmt: skip
        """A fenced text for a model, never above the question's budget."""
        budget = query.budget or 0
        with self._view(path, query, moment) as view:
            run = self._run(query, view, deadline)
            row = view.row
            if row is None:
                return Context("", 0, max(budget, 0))
            packing = self._everything(run, budget)
            if run.late():
                run.failed("deadline")
            if packing is None:
                hits = self._hits(replace_k(run, max(LEAST_PACKED, budget // TOKENS_A_HIT)))
                packing = self._packed(run, hits, budget)
            # The same is always told in the same words, which prompt caches like; whoever has seen
            # a fence and has something remembered that plays it is shown behind another one.
            told = [
                part for b in packing.blocks for part in (b.hit.record.id, b.text or b.hit.text)
            ]
            fence = nonce(row.secret, query.text, str(budget), *told)
            text, tokens, kept, left = fit(packing, budget, nonce=fence, count=count_tokens)
            context = Context(text, tokens, budget, tuple(kept), tuple(left), tuple(run.degraded))
        if self._plugins.has("on_recalled"):
            self._plugins.tell("on_recalled", recall=Recall(query.text, context.hits))
        return context

    def _view(self, path: tuple[str, ...], query: Query, moment: Moment | None) -> Any:
        from_filter = query.where is not None and names_status(query)
        return self._searcher.view(
            path, now=query.now, moment=moment, statuses=ALL if from_filter else None,
            min_trust=query.min_trust,
        )  # fmt: skip

    def _run(self, query: Query, view: ScopeView, deadline: float | None) -> _Run:
        return _Run(query, view, None if deadline is None else time.monotonic() + deadline)

    def _hits(self, run: _Run) -> list[Hit]:
        """Rounds of plan, search and refine."""
        found: list[Hit] = []
        for number in range(MAX_ROUNDS):
            if run.late():
                run.failed("deadline")
                break
            query = replace(run.query, round=number, found=tuple(found))
            plan = self._plan(run, query)
            if plan.enough and number:
                break
            fused = self._search(run, plan)
            found = self._best(run, plan, fused, found)
            if plan.stop:
                break
        if run.late():
            run.failed("deadline")
        found = run.unseen(found)
        least = run.query.min_score
        return [hit for hit in found if hit.score >= least] if least > 0 else found

    def _plan(self, run: _Run, query: Query) -> Plan:
        try:
            answer, _ = self._plugins.first(
                "plan", lambda plan: planned(plan, query), query=query, view=run.view
            )
        except PluginFailed as error:
            run.failed(error)
            answer = None
        made: Plan = self._fallback.plan(query=query) if answer is None else answer
        return made

    def _search(self, run: _Run, plan: Plan, *, whole: bool = False) -> list[Fused]:
        """What the channels find; with `whole` of everybody, however many there are."""
        sides = []
        for episodes in (True, False):
            wanted = 0 in plan.query.levels if episodes else any(n > 0 for n in plan.query.levels)
            if not wanted:
                continue
            side = run.view.side(episodes)
            if side is None or not len(side):
                continue
            allowed = run.allowed(side, plan.query.where, plan.query.levels, plan.spans)
            narrow = None if whole else Narrow(max(WANTED, _CLOSELY * plan.query.k), allowed)
            with run.view.focused(episodes, narrow):
                sides.append(self._fuse(run, plan, side, allowed))
        return sides

    def _fuse(self, run: _Run, plan: Plan, side: Side, allowed: BoolArray | None) -> Fused:
        answers: list[Candidates] = []
        for name, answer in self._plugins.collect(
            "search", lambda found: candidates(found, side, run.view), plan=plan, view=run.view
        ):
            if isinstance(answer, PluginFailed):
                run.failed(answer)
            else:
                answers += [c if c.channel else replace(c, channel=name) for c in answer]
        if not answers:
            answers = list(self._fallback.search(plan=plan, view=run.view))
        return fuse(side, answers, plan, allowed)

    def _best(self, run: _Run, plan: Plan, fused: list[Fused], found: list[Hit]) -> list[Hit]:
        refining = self._plugins.has("refine")
        k = run.query.k
        wanted = max(4 * k, HEAD) if plan.look is None else max(k, plan.look)
        wanted = wanted if refining else k
        hits = [hit for side in fused for hit in self._top(run, side, wanted, plan.spread)]
        hits = merged(hits, found)
        if refining:
            hits = self._refine(run, plan, hits)
        return hits

    def _top(self, run: _Run, fused: Fused, k: int, spread: float = 0.0) -> list[Hit]:
        chosen, lowered = spread_places(fused, k, spread)
        places, scores = chosen.tolist(), lowered.tolist()
        why = fused.why(places)
        for told, place, score in zip(why, places, scores, strict=True):
            if spread > 0 and score < fused.scores[place]:
                told["beside"] = score - float(fused.scores[place])
        return run.view.hits(
            fused.side,
            places,
            scores,
            why,
            fused.spans(places),
        )

    def _refine(self, run: _Run, plan: Plan, hits: list[Hit]) -> list[Hit]:
        offered = {hit.record.id: hit for hit in hits}
        answer, failures = self._plugins.fold(
            "refine", "hits", tuple(hits), lambda hits: refined(hits, offered, run.view),
            plan=plan, view=run.view,
        )  # fmt: skip
        for error in failures:
            run.failed(error)
        return list(answer)

    # context ----------------------------------------------------------------------------------

    def _everything(self, run: _Run, budget: int) -> Packing | None:
        """The whole scope in time order, if it may fit; None when it surely does not."""
        side = run.view.side()
        if side is None or not self._fallback.whole or run.query.levels != (0,):
            return None
        allowed = run.allowed(side, run.query.where, (0,))
        shown = np.ones(len(side), np.bool_) if side.seen is None else side.seen
        shown = shown if allowed is None else shown & allowed
        places = np.flatnonzero(shown)
        # Every turn takes a token of its own and two of the fence at the least.
        if len(places) * 3 > budget:
            return None
        hits = run.view.hits(
            side,
            places.tolist(),
            [1.0] * len(places),
            [{"whole": 1.0}] * len(places),
            [None] * len(places),
        )
        if sum(count_tokens(hit.record.text) for hit in hits) > budget:
            return None
        packing = self._fallback.pack(hits=hits, budget=budget, view=run.view)
        whole = isinstance(packing, Packing) and all(
            out.reason == "duplicate" for out in packing.left_out
        )
        return packing if whole else None

    def _packed(self, run: _Run, hits: list[Hit], budget: int) -> Packing:
        try:
            answer, _ = self._plugins.first(
                "pack", lambda answer: packed(answer, hits),
                hits=tuple(hits), budget=budget, view=run.view,
            )  # fmt: skip
        except PluginFailed as error:
            run.failed(error)
            answer = None
        if answer is None:
            answer = self._fallback.pack(hits=tuple(hits), budget=budget, view=run.view)
        assert isinstance(answer, Packing)  # noqa: S101 - checked, or a promise of the built-in policy
        return answer

    # explain ----------------------------------------------------------------------------------

    def explain(
        self, path: tuple[str, ...], record_id: str, query: Query, *, moment: Moment | None = None
    ) -> Explanation:
        """Why a record was, or was not, recalled."""
        with self._view(path, query, moment) as view:
            run = self._run(query, view, None)
            record = view.get(record_id)
            if record is None:
                return Explanation(record_id, query.text, None, 0.0, {}, unseen(view, record_id))
            asked = replace(query, levels=tuple({*query.levels, record.level}))
            plan = self._plan(run, asked)
            fused = [
                f
                for f in self._search(run, plan, whole=True)
                if f.side.cache.flavour.episodes is (record.level == 0)
            ]
            ref = None if view.row is None else view.reader.find(view.row, [record.id])[record.id]
            place = fused[0].side.cache.place(ref) if fused and ref is not None else None
            if place is None or (fused[0].side.seen is not None and not fused[0].side.seen[place]):
                return Explanation(record.id, query.text, None, 0.0, {}, absent(record))
            side = fused[0]
            order = top_places(side, len(side.side), least=-1.0)
            where = np.flatnonzero(order == place)
            (why,) = side.why([place])
            score = float(side.scores[place])
            if not len(where):
                return Explanation(
                    record.id, query.text, None, score, why, "the filter leaves it out"
                )
            rank = int(where[0]) + 1
            # Refining moves hits about at the head: nobody is asked to refine a whole scope.
            head = self._top(run, side, rank + HEAD if rank <= 4 * HEAD else 10, plan.spread)
            if rank <= 4 * HEAD and self._plugins.has("refine"):
                head = self._refine(run, plan, head)
                at = next((n for n, hit in enumerate(head) if hit.record.id == record.id), None)
                if at is None:
                    return Explanation(
                        record.id, query.text, None, score, why, dropped(score), tuple(head[:10]),
                        len(order),
                    )  # fmt: skip
                rank, score, why = at + 1, head[at].score, dict(head[at].why)
            return Explanation(
                record.id, query.text, rank, score, why, present(score, rank, query),
                tuple(head[: min(rank - 1, 10)]), len(order),
            )  # fmt: skip


def replace_k(run: _Run, k: int) -> _Run:
    """The same run for more hits; failures are told to the same list."""
    return _Run(replace(run.query, k=k), run.view, run.until, run.degraded, run.notes)


def names_status(query: Query) -> bool:
    """Whether the filter asks for records of another status than active."""
    return names_field(query.where, "status")
