"""MemoryOS (arXiv 2506.06326, 2025): short-, mid- and long-term memory, as an operating system has.

Faithful: a page is a remark and its answer; the newest 10 pages are the short-term memory, and what
they push out joins the mid-term segment with the best F = cos + Jaccard of key words, if that is at
least 0.6, or begins one (section 3.2); heat is alpha visits + beta length + gamma exp(-age/tau);
a segment of heat 5 or more gives its unread pages to the profile and to the knowledge of users and
of assistants, of 100 facts each, first in, first out, and its counters are reset (3.3); the coldest
segments above 2000 go; a question visits the 5 best segments, then their 7 best pages, beside the
20 best facts of each knowledge (3.4). Constants are those of the published package.

Mended, of what its code does: (a) all pages that are pushed out at once are placed in one step,
where it asks a model three times for each; (b) a segment's text, key words and mean vector are made
anew when it grows; (c) a page joins one segment, and is not copied into each theme; (d) a question
has key words, so that Jaccard counts at reading; (e) heat is worked out when it is read, of every
segment, not for the head of a heap alone; (f) nothing is dropped where the ring overflows; (g) the
age counts from the visit, not from the moment in which heat is written. Evicting by heat is the
paper's rule; "lfu" is the code's. What is evicted is hidden, its pages and turns stay.

Left out: chains of pages and their summaries, which only decorate the prompt. Visits come from what
the caller says was shown: recalling writes nothing. Turns that neither pages nor facts lead to
follow by plain ranking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from stepwell import (
    Add,
    EdgeKind,
    Event,
    Filter,
    Hide,
    Hit,
    Kind,
    Link,
    Op,
    Origin,
    Plan,
    Preset,
    Query,
    Record,
    Revise,
    SetSlot,
    SetState,
    Status,
    View,
    hookimpl,
)  # fmt: skip
from stepwell.mechanisms import grounding, grouping, scoring
from stepwell.mechanisms.buffering import exchanges
from stepwell.mechanisms.drawing import above, facts_of
from stepwell.mechanisms.heat import heat
from stepwell.mechanisms.joining import Group, jaccards, join, key_words
from stepwell.mechanisms.tiers import Eviction, evicted, ring

NAME = "memoryos"
Row = npt.NDArray[np.float32]
SEGMENTS = Filter(kind=Kind.CATEGORY, level=2)
#: Pages that the ring has pushed out, and those that are in it.
PLACED = Filter(payload={NAME: "placed"})
WAITING = Filter(kind=Kind.TRACE) & ~PLACED
#: Pages that the text of a segment is made of, beside the one that it had.
READ = 32
#: Whose knowledge a fact is.
SIDES = ("user", "assistant")
#: What the payload of a segment tells, of one without pages.
BLANK: dict[str, Any] = {
    "pages": 0, "length": 0, "visits": 0, "uses": 0, "last": "", "words": [],
}  # fmt: skip


@dataclass(frozen=True)
class Params:
    """The constants of the published package; `step` is how many pages are placed at once.

    A question is compared with at most so many of the latest pages.
    """

    stm_pages: int = 10
    mtm_segments: int = 2000
    knowledge: int = 100
    join: float = 0.6
    alpha: float = 1.0
    beta: float = 1.0
    gamma: float = 1.0
    tau: float = 86_400.0
    hot: float = 5.0
    evict: Eviction = "heat"
    profile_tokens: int = 256
    top_segments: int = 5
    top_pages: int = 7
    top_facts: int = 20
    least: float = 0.1
    least_fact: float = 0.01
    step: int = 128
    compared: int = 500
    promoted: int = 16


@dataclass(frozen=True)
class Tiers:
    """Pages, the ring of the newest, and the segments that the others join."""

    params: Params = Params()
    name: str = "memoryos-tiers"

    @hookimpl
    def segment(self, buffer: Sequence[Record]) -> Sequence[int]:
        """A page is a turn and the answer to it, by somebody else, if there is one."""
        return exchanges([turn.actor or turn.role for turn in buffer])

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """Place the pages that the ring has pushed out."""
        held = view.records(WAITING, limit=self.params.step + self.params.stm_pages)
        pages = ring(held, self.params.stm_pages)[1]
        if not pages:
            return ()
        into = view.links([page.id for page in pages], EdgeKind.CONTAINS, into=True)
        ops: list[Op] = [SetState(id=page.id, payload={NAME: "placed"}) for page in pages]
        return [*ops, *self._placed([page for page in pages if not into.get(page.id)], view)]

    def _placed(self, pages: Sequence[Record], view: View) -> list[Op]:
        """Put each page into the segment it is most like, or into a new one."""
        held = segments_of(view)
        groups = [
            Group(mean, state_of(r)["pages"], tuple(map(tuple, state_of(r)["words"])))
            for r, mean in zip(held, grounding.vectors_of(held, view), strict=True)
        ]
        said = grounding.said_in(pages, view)
        words = [key_words(view.models.annotate(text).keywords) for text in said]
        joined: dict[int, list[int]] = {}
        for n, place in enumerate(
            join(groups, grounding.vectors_of(pages, view), words, self.params.join)
        ):
            joined.setdefault(place, []).append(n)
        ops: list[Op] = []
        for place, its in joined.items():
            segment = held[place] if place < len(held) else None
            state = BLANK if segment is None else state_of(segment)
            state = state | {"length": state["length"] + len(its)}
            fresh, texts = [pages[n] for n in its], [said[n] for n in its]
            ops += _written(segment, state, groups[place], fresh, texts, view)
        return ops

    @hookimpl
    def organize(self, record: Record, view: View) -> Sequence[Op]:
        """A segment of which a turn was forgotten, written anew from what is left of it."""
        if record.status is not Status.STALE or record.kind is not Kind.CATEGORY:
            return ()
        pages = grounding.members([record], view)[record.id]
        if not pages:
            return ()
        said = grounding.said_in(pages, view)
        words = [key_words(view.models.annotate(text).keywords) for text in said]
        groups: list[Group] = []
        join(groups, grounding.vectors_of(pages, view), words, -np.inf)
        state = BLANK | {"length": len(pages)}
        ops = _written(record, state, groups[0], pages, said, view)
        return [op for op in ops if not isinstance(op, Link)]


@dataclass(frozen=True)
class Heat:
    """What is hot is promoted, what is cold is hidden; a visit warms."""

    params: Params = Params()
    name: str = "memoryos-heat"

    def heats(self, segments: Sequence[Record], now: datetime) -> npt.NDArray[np.float64]:
        """The heat of each segment at a moment."""
        p = self.params
        states = [state_of(segment) for segment in segments]
        ages = [(now - datetime.fromisoformat(state["last"])).total_seconds() for state in states]
        visits, lengths = ([state[name] for state in states] for name in ("visits", "length"))
        return heat(visits, lengths, ages, alpha=p.alpha, beta=p.beta, gamma=p.gamma, tau=p.tau)

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """Promote the hottest segments that have unread pages; hide what is above the capacity."""
        segments = segments_of(view)
        heats = self.heats(segments, view.now)
        uses = [state_of(segment)["uses"] for segment in segments]
        cold = evicted(
            segments, self.params.mtm_segments, self.params.evict, uses=uses, heats=list(heats)
        )
        gone = {segment.id for segment in cold}
        order = np.argsort(-heats, kind="stable")
        hot = [
            segments[n]
            for n in order
            if heats[n] >= self.params.hot
            and state_of(segments[n])["length"] > 0
            and segments[n].id not in gone
        ]
        ops: list[Op] = [Hide(id=segment.id) for segment in cold]
        return [*ops, *self._promoted(hot[: self.params.promoted], view)]

    def _promoted(self, hot: Sequence[Record], view: View) -> list[Op]:
        """The knowledge and the profile, after what the unread pages say; counters are reset."""
        if not hot:
            return []
        pages = grounding.members(hot, view)
        unread = [page for s in hot for page in pages[s.id][-state_of(s)["length"] :]]
        turns = [turn for within in grounding.members(unread, view).values() for turn in within]
        turns.sort(key=lambda turn: (_when(turn), turn.id))
        facts = facts_of(turns, view, lambda _, turn: {NAME: _side(turn)})
        ops: list[Op] = [
            SetState(id=s.id, payload={NAME: {**state_of(s), "visits": 0, "length": 0}})
            for s in hot
        ]
        for side in SIDES:
            fresh = [add for add in facts if add.record.payload[NAME] == side]
            known = view.records(Filter(kind=Kind.FACT, payload={NAME: side}), limit=1_000_000)
            every: list[Record | Add] = [*known, *fresh]
            stay, out = ring(every, self.params.knowledge)
            ops += [Hide(id=fact.id) for fact in out if isinstance(fact, Record)]
            ops += [add for add in stay if isinstance(add, Add)]
            if side == "user" and fresh:
                ops.append(self._profile(fresh, stay, view))
        return ops

    def _profile(self, fresh: Sequence[Add], kept: Sequence[Record | Add], view: View) -> SetSlot:
        """The profile, brought up to date; where it is blank, from all that is known."""
        slot, budget = view.slot("profile"), self.params.profile_tokens
        said = fresh if slot.text else kept
        texts = [(each.record if isinstance(each, Add) else each).text for each in said]
        text = view.models.merge_profile(slot.text, texts, tokens=budget)
        names = [n for each in said for n in (each.sources if isinstance(each, Add) else [each.id])]
        turns = [turn for name in names for turn in view.sources(name)]
        sources = tuple(dict.fromkeys((*slot.sources, *turns)))
        return SetSlot(slot="profile", text=text, budget=budget, sources=sources)

    @hookimpl
    def observe(self, event: Event, view: View) -> Sequence[Op]:
        """A segment of which something was shown was visited."""
        if event.name not in ("shown", "feedback"):
            return ()
        turns = [record.id for name in event.record_ids if (record := view.get(name))]
        pages = above(turns, view)
        visited = {*turns, *pages, *above(pages, view)}
        when = (event.at or view.now).isoformat()
        ops: list[Op] = []
        for name in sorted(visited):
            segment = view.get(name)
            if segment is not None and segment.kind is Kind.CATEGORY and NAME in segment.payload:
                state = state_of(segment)
                state |= {"visits": state["visits"] + 1, "uses": state["uses"] + 1}
                ops.append(SetState(id=name, payload={NAME: {**state, "last": when}}))
        return ops


@dataclass(frozen=True)
class Search:
    """The best segments, their best pages, and the best facts; and the turns they lead to."""

    params: Params = Params()
    name: str = "memoryos-search"

    @hookimpl
    def plan(self, query: Query) -> Plan:
        """First the turns themselves, then the knowledge."""
        weights = {"vectors": 1.0, "words": 1.0}
        return grounding.by_way_of(query, [Kind.FACT], weights, 4 * self.params.top_facts)

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """The turns of the best facts and pages, then all others."""
        question = plan.query.text
        if not grounding.led(plan):
            return [grounding.by_support(hit, question, view) for hit in hits]
        asked = grounding.asked(question, view)
        support = self._known([hit for hit in hits if hit.record.kind is Kind.FACT], asked, view)
        for turn, told in self._paged(question, asked, view).items():
            support.setdefault(turn, {}).update(told)
        return grounding.grounded(support, hits, plan, view)

    def _known(self, facts: Sequence[Hit], asked: Row, view: View) -> dict[str, dict[str, float]]:
        """The turns of the best facts of each side."""
        scores = (grounding.vectors_of([fact.record for fact in facts], view) @ asked).tolist()
        support: dict[str, dict[str, float]] = {}
        left = dict.fromkeys(SIDES, self.params.top_facts)
        for n in sorted(range(len(facts)), key=lambda n: -scores[n]):
            side = str(facts[n].record.payload.get(NAME))
            if left.get(side, 0) > 0 and scores[n] >= self.params.least_fact:
                left[side] -= 1
                for turn in facts[n].sources:
                    support.setdefault(turn, {}).setdefault("knowledge", scores[n])
        return support

    def _paged(self, question: str, asked: Row, view: View) -> dict[str, dict[str, float]]:
        """The turns of the best pages in the best segments, and of those still in the ring."""
        edges = view.links(self._segments(question, asked, view), EdgeKind.CONTAINS)
        names = [edge.target for within in edges.values() for edge in within]
        names = sorted(names)[-self.params.compared :]  # ids are in order of arrival
        names += [page.id for page in view.records(WAITING, limit=2 * self.params.stm_pages)]
        near = grounding.vectors_by_id(names, view) @ asked
        top = scoring.top(np.where(near >= self.params.least, near, 0), self.params.top_pages)
        scores = {names[n]: float(near[n]) for n in top.tolist()}
        best = view.records(Filter(id=list(scores)), limit=len(scores)) if scores else []
        support: dict[str, dict[str, float]] = {}
        for page, turns in grounding.members(best, view).items():
            like = (grounding.vectors_of(turns, view) @ asked).tolist()
            for n in sorted(range(len(turns)), key=lambda n: -like[n]):
                support[turns[n].id] = {"pages": scores[page]}
        return support

    def _segments(self, question: str, asked: Row, view: View) -> list[str]:
        """The segments with the best F, as when pages join them."""
        found = segments_of(view)
        near = grounding.vectors_of(found, view) @ asked
        words = key_words(view.models.parse_query(question).keywords)
        keys = [Group(np.empty(0, np.float32), 0, state_of(r)["words"]).words for r in found]
        total = np.where(near >= self.params.least, near + jaccards(words, keys), 0)
        return [found[n].id for n in scoring.top(total, self.params.top_segments).tolist()]


def segments_of(view: View) -> list[Record]:
    """The mid-term segments, in order of arrival."""
    return [r for r in view.records(SEGMENTS, limit=1_000_000) if NAME in r.payload]


def state_of(segment: Record) -> dict[str, Any]:
    """What a segment's payload tells: see BLANK. `length` are the pages that are still unread."""
    held: Any = segment.payload[NAME]
    return dict(held)


def _written(
    segment: Record | None, state: dict[str, Any], group: Group, pages: Sequence[Record],
    said: Sequence[str], view: View,
) -> list[Op]:  # fmt: skip
    """Ops by which a segment gets these pages, a text of them, and the mean of all as its key."""
    before = "" if segment is None else segment.text
    first, last = min(map(_when, pages)), max(map(_when, pages))
    state = state | {"pages": group.size, "words": [list(pair) for pair in group.counts]}
    state["last"] = max(last.isoformat(), state["last"])
    if segment is not None and before:
        first, last = min(first, _when(segment)), max(last, segment.valid_from or last)
    record = Record(
        id="@" + pages[0].id, scope=view.scope, level=2, kind=Kind.CATEGORY, payload={NAME: state},
        text=view.models.summarize(said[-READ:], before=before).text or pages[0].text,
        said_at=first, valid_from=last, stored_at=view.now, trust=min(p.trust for p in pages),
    )  # fmt: skip
    keys = grouping.keys(view, record, group.mean)
    names = tuple(page.id for page in pages)
    if segment is None:
        return [Add(record=record, keys=keys, sources=names, contains=True)]
    return [
        *grouping.links(segment.id, names),
        Revise(id=segment.id, text=record.text, keys=keys, said_at=first),
        SetState(id=segment.id, payload=record.payload, valid_from=last, trust=record.trust),
    ]


def _side(turn: Record) -> str:
    return SIDES[turn.origin is Origin.ASSISTANT]


def _when(record: Record) -> datetime:
    return record.said_at or record.stored_at


POLICIES = (Tiers(), Heat(), Search())
CHANNELS = ("channel-vectors", "channel-words", "channel-order")
PRESET = Preset(NAME, 1, ("words", "vectors", *POLICIES, *CHANNELS, "flat-packer"))
