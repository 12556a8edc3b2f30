"""HEMA: "A Hippocampus-Inspired Extended Memory Architecture for Long-Context AI Conversations".

2025, arXiv 2504.16754.

Faithful: a compact memory, one summary of at most 60 tokens, goes on with what is said, and beside
it every turn is kept by its vector (sections 3.1 and 3.2); every 100 turns are summed up, and these
summaries once more; a turn's weight is lambda exp(-gamma age) and a bonus beta where it was
retrieved within the last 100 turns, and every 100 turns the lowest half percent of what is left is
dropped (3.4); a question has the nearest turns by cosine, and the prompt, of 3500 tokens at most,
the compact memory, those turns and the last two (3.3).

Mended: the printed formula gives the bonus to what was not retrieved, where the text means what
was. Retrieved is what the caller gave feedback on: recalling writes nothing. What is dropped is not
lost: it comes after all others, and counts again once it was asked about. The compact memory, a
slot of the name "hema", is taken further by several turns at once; it is a record, too, with what
it rests on, so that a context can show it. A summary of 100 turns is made of them alone.

Without an embedder words find the nearest. What has no cosine above the usual follows by words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from stepwell import (
    Add,
    Edge,
    EdgeKind,
    Event,
    Filter,
    Hide,
    Hit,
    Kind,
    Link,
    Op,
    Packing,
    Plan,
    Preset,
    Query,
    Record,
    Revise,
    SetState,
    Status,
    Unlink,
    View,
    hookimpl,
)  # fmt: skip
from stepwell.mechanisms.grounding import by_support, members
from stepwell.mechanisms.nesting import since
from stepwell.mechanisms.packing import pack_flat
from stepwell.mechanisms.rolling import rolled

NAME = "hema"
TURNS, SUMMARIES = Filter(level=0), Filter(kind=Kind.SUMMARY)
#: What a payload tells.
State = Mapping[str, int | str | None]
#: Which summary one is: of 100 turns, of those summaries, of all that was said.
CHAPTER, OVERALL, COMPACT = "chapter", "overall", "compact"
#: The reason that marks one of the last turns.
LAST = "last"


@dataclass(frozen=True)
class Params:
    """The paper's constants. `tokens` are those of a summary; `page`: turns read at once."""

    tokens: int = 60
    block: int = 100
    amount: float = 1.0
    rate: float = 0.002
    bonus: float = 0.5
    dropped: float = 0.005
    last: int = 2
    prompt: int = 3500
    page: int = 256


@dataclass(frozen=True)
class Summaries:
    """The compact memory, and summaries of summaries."""

    params: Params = Params()
    name: str = "hema-summaries"

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """One step: the next 100 turns are closed, or summaries follow what was said."""
        held = view.records(SUMMARIES, limit=1_000_000)
        chapters = [each for each in held if each.payload.get(NAME) == CHAPTER]
        overall = next((each for each in held if each.payload.get(NAME) == OVERALL), None)
        compact = next((each for each in held if each.payload.get(NAME) == COMPACT), None)
        return (
            self._closed(chapters, view)
            or self._overall(chapters, overall, view)
            or rolled(view, NAME, tokens=self.params.tokens)
            or self._compact(compact, view)
        )

    def _closed(self, chapters: Sequence[Record], view: View) -> list[Op]:
        """The summary of the next 100 turns, and what is dropped then."""
        turns = view.records(TURNS, after=_end(chapters, view), limit=self.params.block)
        if len(turns) < self.params.block:
            return []
        told = Forgetting(self.params).step(chapters, turns, view)
        payload: State = {NAME: CHAPTER, "last": turns[-1].id, **told.state}
        return [*told.ops, _summary(payload, turns, self._text(turns, view), 1, view)]

    def _overall(
        self, chapters: Sequence[Record], held: Record | None, view: View
    ) -> list[Op]:  # fmt: skip
        """The summary of all summaries."""
        state: State = {"chapters": len(chapters)}
        if not chapters or (held is not None and held.payload.get("chapters") == len(chapters)):
            return []
        text = self._text(chapters, view)
        if held is None:
            return [_summary({NAME: OVERALL, **state}, chapters, text, 2, view)]
        known = {edge.target for edge in view.links([held.id], EdgeKind.CONTAINS)[held.id]}
        fresh = [chapter.id for chapter in chapters if chapter.id not in known]
        return _rewritten(held, text, fresh, EdgeKind.CONTAINS, state, chapters, view)

    def _compact(self, held: Record | None, view: View) -> Sequence[Op]:
        """The slot as a record, so that it can be shown."""
        slot = view.slot(NAME)
        if not slot.text or (held is not None and held.text == slot.text):
            return ()
        rests = [turn for name in slot.sources if (turn := view.get(name)) is not None]
        if held is None:
            return [_summary({NAME: COMPACT}, rests, slot.text, 2, view, contains=False)]
        kind = EdgeKind.DERIVED_FROM
        known = {edge.target for edge in view.links([held.id], kind)[held.id]}
        gone = sorted(known.difference(_ids(rests)))
        fresh = [turn.id for turn in rests if turn.id not in known]
        return [
            *_rewritten(held, slot.text, fresh, kind, {}, rests, view),
            *(Unlink(source=held.id, kind=kind, target=name) for name in gone),
        ]

    def _text(self, records: Sequence[Record], view: View) -> str:
        said = [record.spoken for record in records]
        return view.models.summarize(said, tokens=self.params.tokens).text or said[0]

    @hookimpl
    def organize(self, record: Record, view: View) -> Sequence[Op]:
        """Of which a turn was forgotten: a chapter is written anew, what rests on it made anew."""
        if record.status is not Status.STALE or record.kind is not Kind.SUMMARY:
            return ()
        turns = members([record], view)[record.id]
        if record.level != 1 or not turns:
            return [Hide(id=record.id)]
        text = self._text(turns, view)
        state: State = {NAME: CHAPTER, "last": turns[-1].id, "dropped": 0}
        return _rewritten(record, text, (), EdgeKind.CONTAINS, state, turns, view)


@dataclass(frozen=True)
class Told:
    """What a step of forgetting comes to: ops, and how far it went."""

    ops: tuple[Op, ...]
    state: State


@dataclass(frozen=True)
class Forgetting:
    """Weights of turns, and which are dropped."""

    params: Params = Params()
    name: str = "hema-forgetting"

    def weight(self, age: int, retrieved: bool) -> float:
        """By how many turns ago it was said, and whether it was retrieved of late."""
        p = self.params
        return p.amount * math.exp(-p.rate * age) + p.bonus * retrieved

    def step(self, chapters: Sequence[Record], turns: Sequence[Record], view: View) -> Told:
        """The lowest of what is left, after so many turns, `turns` being the last of them.

        Weights fall with age: so once there are enough that were not retrieved, from the oldest on,
        nobody younger can be lower. `after` is the end of those at the beginning that are gone.
        """
        told = len(chapters) * self.params.block + len(turns)
        gone = max((_whole(chapter.payload.get("dropped")) for chapter in chapters), default=0)
        wanted = int(self.params.dropped * (told - gone))
        after, skipped = self._begin(chapters, view)
        cursor, number, plain = after, skipped, 0
        found: list[tuple[float, int, str]] = []
        while plain < wanted:
            page = view.records(TURNS, after=cursor, limit=self.params.page)
            for turn in page[: max(0, told - number)]:
                number += 1
                usage = view.usage(turn.id)
                if usage.strength == 0:
                    if not found:
                        after, skipped = turn.id, number
                    continue
                late = usage.last_used is not None and usage.last_used >= turns[0].stored_at
                found.append((self.weight(told - number, late), number, turn.id))
                plain += not late
                if plain == wanted:
                    break
            if not page or number >= told:
                break
            cursor = page[-1].id
        lowest = sorted(found)[:wanted]
        ops = tuple(SetState(id=name, strength=0.0) for _, _, name in lowest)
        state: State = {"dropped": gone + len(lowest), "after": after, "skipped": skipped}
        return Told(ops, state)

    def _begin(self, chapters: Sequence[Record], view: View) -> tuple[str | None, int]:
        """After which turn to begin, and its number."""
        for chapter in reversed(chapters):
            after = chapter.payload.get("after")
            if isinstance(after, str) and view.get(after) is not None:
                return after, _whole(chapter.payload.get("skipped"))
        return None, 0

    @hookimpl
    def observe(self, event: Event, view: View) -> Sequence[Op]:
        """What was dropped and is asked about is there again."""
        if event.name != "feedback":
            return ()
        found = (record for name in event.record_ids if (record := view.get(name)))
        gone = [turn for turn in found if turn.level == 0 and view.usage(turn.id).strength == 0]
        return [SetState(id=turn.id, strength=1.0) for turn in gone]


@dataclass(frozen=True)
class Prompting:
    """The nearest turns, and what else a prompt holds."""

    params: Params = Params()
    name: str = "hema-prompting"

    @hookimpl
    def plan(self, query: Query, view: View) -> Plan:
        """The nearest turns; for a context, the last ones before."""
        asked = Plan(query=query, role=query.role, task=query.task)
        if query.free and query.round == 0:
            latest = {"order": 1.0, "vectors": 0.0, "words": 0.0}
            return replace(asked, weights=latest, look=self.params.last, stop=False)
        words = 0.01 if view.models.space else 1.0
        return replace(asked, weights={"vectors": 1.0, "words": words, "order": 0.0001})

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """The nearest, what was dropped after them; for a context, the compact memory at last."""
        if plan.query.levels != (0,):
            return [by_support(hit, plan.query.text, view) for hit in hits]
        if not plan.stop:
            return [replace(hit, score=0.0, why={}) for hit in hits[: self.params.last]]
        last = {hit.record.id for hit in plan.query.found}
        kept: list[Hit] = []
        gone: list[Hit] = []
        for hit in hits:
            why = {**hit.why, LAST: 0.0} if hit.record.id in last else hit.why
            dropped = view.usage(hit.record.id).strength == 0
            (gone if dropped else kept).append(replace(hit, why=why))
        least = min((hit.score for hit in kept), default=1.0)
        every = [*kept, *(replace(hit, score=hit.score * least) for hit in gone)]
        return [*every, *self._compact(every, plan, view)]

    def _compact(self, hits: Sequence[Hit], plan: Plan, view: View) -> list[Hit]:
        """The compact memory, where a context is asked of all that was said."""
        if not plan.query.free or plan.query.where is not None or not hits:
            return []
        score = hits[-1].score
        return [
            Hit(record, score, view.sources(record.id), {COMPACT: score})
            for record in view.records(SUMMARIES, limit=1_000_000)
            if record.payload.get(NAME) == COMPACT
        ]

    @hookimpl
    def pack(self, hits: Sequence[Hit], budget: int, view: View) -> Packing:
        """The compact memory, the last turns, then the nearest, within what a prompt may hold."""
        order = sorted(hits, key=lambda hit: (COMPACT not in hit.why, LAST not in hit.why))
        return pack_flat(order, min(budget, self.params.prompt), arrival=view.place)


def _summary(
    payload: State, sources: Sequence[Record], text: str, level: int,
    view: View, *, contains: bool = True,
) -> Add:  # fmt: skip
    """A new summary of some records."""
    record = Record(
        id="", scope=view.scope, level=level, kind=Kind.SUMMARY, text=text, payload={**payload},
        trust=min(source.trust for source in sources), said_at=_began(sources),
        valid_from=max(map(since, sources)), stored_at=view.now,
    )  # fmt: skip
    return Add(record=record, keys=view.keys(record), sources=_ids(sources), contains=contains)


def _rewritten(
    held: Record, text: str, fresh: Sequence[str], kind: EdgeKind,
    state: State, rests: Sequence[Record], view: View,
) -> list[Op]:  # fmt: skip
    """Another text for a summary, with what it rests on now."""
    keys = view.keys(held.model_copy(update={"text": text}))
    links = [Link(edge=Edge(source=held.id, kind=kind, target=name)) for name in fresh]
    until = max(map(since, rests))
    return [
        *links,
        Revise(id=held.id, text=text, keys=keys),
        SetState(id=held.id, payload={**state}, valid_from=until),
    ]


def _end(chapters: Sequence[Record], view: View) -> str | None:
    """The last turn of the last chapter that has one still."""
    for chapter in reversed(chapters):
        last = chapter.payload.get("last")
        if isinstance(last, str) and view.get(last) is not None:
            return last
    return None


def _began(records: Sequence[Record]) -> datetime | None:
    return min((record.said_at for record in records if record.said_at), default=None)


def _ids(records: Sequence[Record]) -> tuple[str, ...]:
    return tuple(record.id for record in records)


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


PRESET = Preset(
    NAME,
    1,
    (
        "words",
        "vectors",
        Summaries(),
        Forgetting(),
        Prompting(),
        "channel-vectors",
        "channel-words",
        "channel-order",
    ),
)
