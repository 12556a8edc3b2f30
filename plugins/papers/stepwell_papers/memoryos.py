"""MemoryOS (arXiv 2506.06326): short-, mid- and long-term memory, as an operating system pages.

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
the caller says was shown: recalling writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from stepwell import (
    Add,
    Edge,
    EdgeKind,
    Event,
    Filter,
    Hide,
    Hit,
    Key,
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
)
from stepwell.mechanisms.grounding import (
    by_support,
    cosines,
    grounded,
    members,
    narrowed,
    vectors_of,
)
from stepwell.mechanisms.heat import heat
from stepwell.mechanisms.tiers import Eviction, evicted, ring

NAME = "memoryos"
Row = npt.NDArray[np.float32]
SEGMENTS = Filter(kind=Kind.CATEGORY, level=2)
#: Key words of a segment that are compared, and that are kept.
COMPARED, KEPT = 10, 40
#: Turns whose facts are asked for at once.
ASKED = 32
#: Whose knowledge a fact is.
SIDES = ("user", "assistant")


@dataclass(frozen=True)
class Params:
    """The constants of the published package; `step` is how many pages are placed at once."""

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
    step: int = 256
    promoted: int = 16


@dataclass(slots=True)
class Segment:
    """A mid-term segment as it is worked on. `joined` are the pages it gets, `said` their texts."""

    id: str
    vector: Row
    state: dict[str, Any]
    record: Record | None = None
    joined: list[Record] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    words: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.words = frozenset(word for word, _ in self.state["words"][:COMPARED])

    def join(self, page: Record, said: str, words: frozenset[str], vector: Row) -> None:
        """Take a page in; the key, the mean of all pages, and the key words follow."""
        self.joined.append(page)
        self.said.append(said)
        n = self.state["pages"]
        mean = self.vector * n + vector
        self.vector = mean / (float(np.linalg.norm(mean)) or 1.0)
        counts = Counter(dict(self.state["words"]))
        counts.update(sorted(words))
        self.state |= {
            "pages": n + 1, "length": self.state["length"] + 1,
            "words": [list(pair) for pair in counts.most_common(KEPT)],
            "last": max(_when(page).isoformat(), self.state["last"]),
        }  # fmt: skip
        self.__post_init__()


@dataclass(frozen=True)
class Tiers:
    """Pages, the ring of the newest, and the segments that the others join."""

    params: Params = Params()
    name: str = "memoryos-tiers"

    @hookimpl
    def segment(self, buffer: Sequence[Record]) -> Sequence[int]:
        """A page is a turn and the answer to it, by somebody else, if there is one."""
        ends: list[int] = []
        begin = 0
        for place, turn in enumerate(buffer):
            if place > begin and _speaker(turn) != _speaker(buffer[begin]):
                ends.append(place)
                begin = place + 1
            elif place > begin:
                ends.append(place - 1)
                begin = place
        return ends

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """Place the pages that the ring has pushed out."""
        waiting = Filter(kind=Kind.TRACE) & ~Filter(payload={NAME: "mid"})
        held = view.records(waiting, limit=self.params.step + self.params.stm_pages)
        pages = ring(held, self.params.stm_pages)[1]
        if not pages:
            return ()
        into = view.links([page.id for page in pages], EdgeKind.CONTAINS, into=True)
        loose = [page for page in pages if not into.get(page.id)]
        ops: list[Op] = [SetState(id=page.id, payload={NAME: "mid"}) for page in pages]
        for segment in self.placed(loose, view) if loose else ():
            ops += _written(segment, view)
        return ops

    def placed(self, pages: Sequence[Record], view: View) -> list[Segment]:
        """The segments that pages join, in order of arrival; each page joins one."""
        turns = members(pages, view)
        held = segments_of(view)
        vectors, keys = vectors_of(pages, view), vectors_of(held, view)
        matrix = np.concatenate([keys, np.zeros_like(vectors)])  # room for as many as may begin
        segments = [
            Segment(r.id, key, state_of(r), r) for r, key in zip(held, keys, strict=True)
        ]
        for page, vector in zip(pages, vectors, strict=True):
            said = "\n".join(turn.spoken for turn in turns[page.id])
            words = _words(view.models.annotate(said).keywords)
            scores = matrix[: len(segments)] @ vector + _jaccards(words, segments)
            best = int(np.argmax(scores)) if len(segments) else -1
            if best < 0 or scores[best] < self.params.join:
                best = len(segments)
                segments.append(_fresh(f"@{best}", vector))
            segments[best].join(page, said, words, vector)
            matrix[best] = segments[best].vector
        return [segment for segment in segments if segment.joined]

    @hookimpl
    def organize(self, record: Record, view: View) -> Sequence[Op]:
        """A segment of which a turn was forgotten, written anew from what is left of it."""
        if record.status is not Status.STALE or record.kind is not Kind.CATEGORY:
            return ()
        pages = members([record], view)[record.id]
        turns = members(pages, view)
        vectors = vectors_of(pages, view)
        segment = _fresh(record.id, np.zeros(vectors.shape[1], np.float32), record)
        for page, vector in zip(pages, vectors, strict=True):
            said = "\n".join(turn.spoken for turn in turns[page.id])
            segment.join(page, said, _words(view.models.annotate(said).keywords), vector)
        ops = _written(segment, view) if pages else []
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
        return heat(
            visits, lengths, ages, alpha=p.alpha, beta=p.beta, gamma=p.gamma, tau=p.tau
        )

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
        order = np.argsort(-heats, kind="stable") if len(segments) else []
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
        pages = members(hot, view)
        unread = [page for s in hot for page in pages[s.id][-state_of(s)["length"] :]]
        turns = [turn for within in members(unread, view).values() for turn in within]
        turns.sort(key=lambda turn: (_when(turn), turn.id))
        facts = _facts(turns, view)
        ops: list[Op] = [
            SetState(id=s.id, payload={NAME: {**state_of(s), "visits": 0, "length": 0}})
            for s in hot
        ]
        for side in SIDES:
            fresh = [add for add in facts if add.record.payload[NAME] == side]
            known = view.records(Filter(kind=Kind.FACT, payload={NAME: side}), limit=1_000_000)
            stay, out = ring([*known, *fresh], self.params.knowledge)
            ops += [Hide(id=fact.id) for fact in out if isinstance(fact, Record)]
            ops += [add for add in stay if isinstance(add, Add)]
            if side == "user" and fresh:
                ops.append(self._profile(fresh, stay, view))
        return ops

    def _profile(
        self, fresh: Sequence[Add], kept: Sequence[Record | Add], view: View
    ) -> SetSlot:
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
        pages = _above(turns, view)
        visited = {*turns, *pages, *_above(pages, view)}
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
        """First the knowledge, beside the turns themselves; then the segments."""
        weights = {"vectors": 1.0, "words": 1.0}
        if query.levels != (0,):
            return Plan(query=query, weights=weights, role=query.role, task=query.task)
        if query.round == 0:
            return Plan(query=narrowed(query, [Kind.FACT], (0, 1)), weights=weights, stop=False)
        asked = narrowed(query, [Kind.CATEGORY], (2,), freely=True)
        return Plan(query=asked, weights=weights)

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """The turns of the best pages and facts, then all others."""
        question = plan.query.text
        if plan.stop and plan.query.round == 0:
            return [by_support(hit, question, view) for hit in hits]
        if plan.query.round == 0:
            return grounded(self._known(question, hits, view), hits, plan, view)
        return grounded(self._paged(question, hits, view), hits, plan, view)

    def _known(
        self, question: str, hits: Sequence[Hit], view: View
    ) -> dict[str, dict[str, float]]:
        """The turns of the best facts of each side."""
        facts = [hit for hit in hits if hit.record.kind is Kind.FACT]
        near = cosines(question, [fact.record.id for fact in facts], view)
        scores = [fact.score for fact in facts] if near is None else near.tolist()
        support: dict[str, dict[str, float]] = {}
        left = dict.fromkeys(SIDES, self.params.top_facts)
        for n in sorted(range(len(facts)), key=lambda n: -scores[n]):
            side = facts[n].record.payload.get(NAME)
            if left.get(str(side), 0) > 0:
                left[str(side)] -= 1
                for turn in facts[n].sources:
                    support.setdefault(turn, {}).setdefault("knowledge", max(0.0, scores[n]))
        return support

    def _paged(
        self, question: str, hits: Sequence[Hit], view: View
    ) -> dict[str, dict[str, float]]:
        """The turns of the best pages in the best segments, and of those still in the ring."""
        found = [hit for hit in hits if hit.record.kind is Kind.CATEGORY]
        found = [hit for hit in found if NAME in hit.record.payload]
        edges = view.links(self._segments(question, found, view), EdgeKind.CONTAINS)
        pages = [edge.target for within in edges.values() for edge in within]
        waiting = Filter(kind=Kind.TRACE) & ~Filter(payload={NAME: "mid"})
        pages += [page.id for page in view.records(waiting, limit=2 * self.params.stm_pages)]
        near = cosines(question, pages, view)
        own = {hit.record.id: hit.score for hit in hits if hit.record.level == 0}
        if near is None:  # by the best of their turns that words have found
            into = view.links(list(own), EdgeKind.CONTAINS, into=True)
            best: dict[str, float] = {}
            for turn, above in into.items():
                for edge in above:
                    best[edge.source] = max(best.get(edge.source, 0.0), own[turn])
            scores = {page: best.get(page, 0.0) for page in pages}
        else:
            scores = dict(zip(pages, near.tolist(), strict=True))
        top = sorted((p for p in scores if scores[p] >= self.params.least), key=lambda p: -scores[p])
        top = top[: self.params.top_pages]
        support: dict[str, dict[str, float]] = {}
        for page, within in view.links(top, EdgeKind.CONTAINS).items():
            turns = [edge.target for edge in within]
            like = cosines(question, turns, view)
            said = [own.get(t, 0.0) for t in turns] if like is None else like.tolist()
            for n in sorted(range(len(turns)), key=lambda n: -said[n]):
                support[turns[n]] = {"pages": scores[page]}
        return support

    def _segments(self, question: str, found: Sequence[Hit], view: View) -> list[str]:
        """The segments with the best F, as when pages join them."""
        near = cosines(question, [hit.record.id for hit in found], view)
        scores = np.array([hit.score for hit in found], np.float32) if near is None else near
        held = [Segment(h.record.id, np.empty(0), state_of(h.record), h.record) for h in found]
        words = _words(view.models.parse_query(question).keywords)
        total = scores + _jaccards(words, held)
        order = [n for n in np.argsort(-total, kind="stable") if scores[n] >= self.params.least]
        return [held[n].id for n in order[: self.params.top_segments]]


def segments_of(view: View) -> list[Record]:
    """The mid-term segments, in order of arrival."""
    return [r for r in view.records(SEGMENTS, limit=1_000_000) if NAME in r.payload]


def state_of(segment: Record) -> dict[str, Any]:
    """What a segment's payload tells: counts of pages, unread pages, visits, uses; key words."""
    held: Any = segment.payload[NAME]
    return dict(held)


def _fresh(name: str, vector: Row, record: Record | None = None) -> Segment:
    counts: dict[str, Any] = dict.fromkeys(("pages", "length", "visits", "uses"), 0)
    return Segment(name, vector, counts | {"last": "", "words": []}, record)


def _jaccards(words: frozenset[str], segments: Sequence[Segment]) -> Row:
    """The Jaccard index of key words with those of each segment."""
    told = np.zeros(len(segments), np.float32)
    for n, segment in enumerate(segments):
        both = len(words & segment.words)
        if both:
            told[n] = both / (len(words) + len(segment.words) - both)
    return told


def _words(words: Sequence[str]) -> frozenset[str]:
    return frozenset(word.casefold() for word in words[:COMPARED])


def _written(segment: Segment, view: View) -> list[Op]:
    """Ops by which a segment gets its pages, a text of them, and the mean of them as its key."""
    before = "" if segment.record is None else segment.record.text
    gist = view.models.summarize(segment.said[-ASKED:], tokens=64, before=before).text
    pages = segment.joined
    first, last = min(map(_when, pages)), max(map(_when, pages))
    if segment.record is not None and segment.record.text:
        first = min(first, _when(segment.record))
        last = max(last, segment.record.valid_from or last)
    record = Record(
        id=segment.id, scope=view.scope, level=2, kind=Kind.CATEGORY, said_at=first,
        text=gist or pages[0].text, payload={NAME: segment.state}, valid_from=last,
        stored_at=view.now, trust=min(page.trust for page in pages),
    )  # fmt: skip
    space = view.models.space
    keys = tuple(key for key in view.keys(record) if key.channel != "vectors")
    if space is not None:
        body = segment.vector.astype("<f4").tobytes()
        keys = (*keys, Key(channel="vectors", space=space, body=body))
    if segment.record is None:
        sources = tuple(page.id for page in pages)
        return [Add(record=record, keys=keys, sources=sources, contains=True)]
    name, kind = segment.id, EdgeKind.CONTAINS
    return [
        *(Link(edge=Edge(source=name, kind=kind, target=page.id)) for page in pages),
        Revise(id=name, text=record.text, keys=keys, said_at=first),
        SetState(id=name, payload=record.payload, valid_from=last, trust=record.trust),
    ]


def _facts(turns: Sequence[Record], view: View) -> list[Add]:
    """What the turns state, each fact the user's or the assistant's; but no turn is read twice."""
    known = view.links([turn.id for turn in turns], EdgeKind.DERIVED_FROM, into=True)
    fresh = [turn for turn in turns if not known.get(turn.id)]
    made = []
    for start in range(0, len(fresh), ASKED):
        asked = fresh[start : start + ASKED]
        for fact in view.models.facts([turn.spoken for turn in asked]):
            turn = asked[fact.source]
            side = SIDES[turn.origin is Origin.ASSISTANT]
            record = Record(
                id="", scope=view.scope, level=1, kind=Kind.FACT, text=fact.text,
                payload={NAME: side}, actor=turn.actor, role=turn.role, origin=turn.origin,
                trust=turn.trust, session=turn.session, task=turn.task, said_at=turn.said_at,
                stored_at=view.now,
            )  # fmt: skip
            made.append(Add(record=record, keys=view.keys(record), sources=(turn.id,)))
    return made


def _above(names: Sequence[str], view: View) -> list[str]:
    """What contains these."""
    into = view.links(names, EdgeKind.CONTAINS, into=True)
    return [edge.source for edges in into.values() for edge in edges]


def _when(record: Record) -> datetime:
    return record.said_at or record.stored_at


def _speaker(turn: Record) -> str | None:
    return turn.actor or turn.role


PRESET = Preset(
    NAME, 1,
    (
        "words", "vectors", Tiers(), Heat(), Search(), "channel-vectors", "channel-words",
        "flat-packer",
    ),
)  # fmt: skip
