"""A-MEM (arXiv 2502.12110, 2025): notes that are annotated and linked with what is like them.

Faithful: each turn becomes a note of its words with key words, tags and a sentence of context, and
is indexed by all of them (section 3.1); a new note is linked with those of its five nearest that
belong to it (3.2); a question is turned into its key words, and what it finds brings the notes it
is linked with, as many again as were found (3.4).

Mended: what is indexed is always what stands in the note (the original searches by tags and context
alone until it rebuilds its index). Links name notes by their ids (in the published library they are
ranks, and lead nowhere). k is the same for all kinds of questions: the paper chooses one for each,
on the questions that it is tested with. Turns that no note leads to follow by plain
ranking.

Left out: evolution (3.3), which writes the tags of one note into others. What one turn said would
outlive its being forgotten in the notes of others, and runs by others find no gain in it. So are
importance and counts of retrieval, which nothing reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from stepwell import (
    Add,
    Edge,
    EdgeKind,
    Filter,
    Hit,
    Kind,
    Link,
    Op,
    Plan,
    Preset,
    Query,
    Record,
    Relation,
    SetState,
    View,
    hookimpl,
)
from stepwell.mechanisms import drawing, placing, scoring
from stepwell.mechanisms.buffering import batches
from stepwell.mechanisms.grounding import (
    by_support,
    by_way_of,
    grounded,
    led,
    members,
    vectors_of,
)

#: In payloads, whose names have no hyphen.
MARK = "a_mem"
NAME = "a-mem"
NOTES = Filter(kind=Kind.FACT)
ALL = 1_000_000
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Params:
    """The paper's constants; `near` is how far towards 1, from the usual cosine, of one that links.

    `turns` are put into one trace, of which `step` are annotated, or one if there is a language
    model; `linked` notes are linked at once.
    """

    similar: int = 5
    top: int = 10
    near: float = 0.4
    turns: int = 16
    step: int = 16
    linked: int = 128


@dataclass(frozen=True)
class Notes:
    """Notes, and their links."""

    params: Params = Params()
    name: str = "a-mem-notes"

    @hookimpl
    def segment(self, buffer: Sequence[Record]) -> Sequence[int]:
        """Some turns at a time; each is a note of its own."""
        return batches([1] * len(buffer), self.params.turns)[:-1]

    @hookimpl
    def extract(self, trace: Record) -> Sequence[Op]:
        """A trace that has grown is read again."""
        return drawing.again(trace, MARK)

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """A note for each turn that has none."""
        step = self.params.step if view.models.language_model is None else 1
        traces = drawing.waiting(view, MARK, step)
        turns = [turn for within in members(traces, view).values() for turn in within]
        known = view.links([turn.id for turn in turns], EdgeKind.DERIVED_FROM, into=True)
        notes = [_note(turn, view) for turn in turns if not known.get(turn.id)]
        return [*notes, *drawing.read(traces, MARK)]


@dataclass(frozen=True)
class Links:
    """Links between notes."""

    params: Params = Params()
    name: str = "a-mem-links"

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """Links of notes that are new with those before them."""
        waiting = NOTES & Filter(payload={MARK: "new"})
        fresh = view.records(waiting, limit=self.params.linked)
        if not fresh:
            return ()
        every = view.records(NOTES, limit=ALL)
        vectors = vectors_of(every, view)
        least = placing.threshold(placing.usual(vectors[:48]), self.params.near)
        place = {note.id: n for n, note in enumerate(every)}
        places = [place[note.id] for note in fresh]
        ops: list[Op] = []
        for at, scores in zip(places, vectors[places] @ vectors.T, strict=True):
            note, others = every[at], [every[n] for n in self.linked(scores[:at], least)]
            if view.models.language_model is not None and others:
                judged = view.models.relate(note.text, [other.text for other in others])
                pairs = zip(others, judged, strict=True)
                others = [other for other, how in pairs if how is not Relation.UNRELATED]
            edges = [Edge(source=note.id, kind=EdgeKind.RELATED, target=o.id) for o in others]
            ops += [Link(edge=edge) for edge in edges]
            ops.append(SetState(id=note.id, payload={MARK: "linked"}))
        return ops

    def linked(self, scores: FloatArray, least: float) -> list[int]:
        """Of the notes before one its nearest that are near enough, by their cosines."""
        return [n for n in scoring.top(scores, self.params.similar).tolist() if scores[n] >= least]


@dataclass(frozen=True)
class Search:
    """Notes by the key words of the question, and the notes they are linked with."""

    params: Params = Params()
    name: str = "a-mem-search"

    @hookimpl
    def plan(self, query: Query, view: View) -> Plan:
        """Turns by what was asked, then notes by its key words."""
        near = {"vectors": 1.0, "words": 0.0} if view.models.space else {"words": 1.0}
        made = by_way_of(query, [Kind.FACT], near, 2 * max(query.k, self.params.top))
        words = " ".join(view.models.parse_query(query.text).keywords) if led(made) else ""
        return replace(made, queries=(words,)) if words else made

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """The turns of the notes, then all others."""
        question = plan.query.text
        if not led(plan):
            return [by_support(hit, question, view) for hit in hits]
        notes = {hit.record.id: hit for hit in hits if hit.record.kind is Kind.FACT}
        scores = {name: hit.score for name, hit in notes.items()}
        k = max(plan.query.k, self.params.top)
        chosen = self.expanded(scores, view.links(list(notes), EdgeKind.RELATED), k)
        support: dict[str, dict[str, float]] = {}
        for name, score in chosen.items():
            for turn in notes[name].sources if name in notes else view.sources(name):
                support.setdefault(turn, {}).setdefault("notes", max(0.0, score))
        return grounded(support, hits, plan, view)

    def expanded(
        self, scores: Mapping[str, float], links: Mapping[str, Sequence[Edge]], k: int
    ) -> dict[str, float]:
        """The k best notes, and the notes they are linked with until there are k more.

        A note that is only linked counts as much as itself, and no less than nine tenths of the one
        that brings it.
        """
        top = sorted(scores, key=lambda name: -scores[name])[:k]
        chosen = {name: scores[name] for name in top}
        extra: dict[str, float] = {}
        for name in top:
            for edge in links.get(name, ()):
                if len(extra) >= k:
                    break
                if edge.target not in chosen:
                    brought = max(scores.get(edge.target, 0.0), 0.9 * scores[name])
                    extra.setdefault(edge.target, brought)
        return chosen | extra


def _note(turn: Record, view: View) -> Add:
    """What was said, its context, and its key words and tags: all of it is what is searched.

    Labels that the turn has itself are not said twice: its vector would be drawn towards them.
    """
    told = view.models.annotate(turn.spoken)
    labels = {label.casefold(): label for label in reversed((*told.keywords, *told.tags))}
    own = turn.spoken.casefold()
    said = [label for key, label in reversed(labels.items()) if key not in own]
    context = "" if told.context in turn.spoken else told.context
    record = Record(
        id="", scope=view.scope, level=1, kind=Kind.FACT,
        payload={MARK: "new", "keywords": list(told.keywords), "tags": list(told.tags)},
        text="\n".join(line for line in (turn.spoken, context, ", ".join(said)) if line),
        actor=turn.actor, role=turn.role, origin=turn.origin, trust=turn.trust, task=turn.task,
        session=turn.session, said_at=turn.said_at, stored_at=view.now,
    )  # fmt: skip
    return Add(record=record, keys=view.keys(record), sources=(turn.id,))


PRESET = Preset(
    NAME,
    1,
    (
        "words",
        "vectors",
        Notes(),
        Links(),
        Search(),
        "channel-vectors",
        "channel-words",
        "channel-order",
        "flat-packer",
    ),
)
