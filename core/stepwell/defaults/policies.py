"""The built-in policies: small plugins without any privilege, made to be read and copied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from stepwell.contracts import Candidates, Packing, Plan, Query, View
from stepwell.defaults.facts import Current, Facts
from stepwell.defaults.levels import Levels
from stepwell.defaults.overview import Overview
from stepwell.defaults.ranking import WEIGHTS, Ranker
from stepwell.defaults.together import Together
from stepwell.hookspecs import hookimpl
from stepwell.mechanisms import scoring
from stepwell.mechanisms.packing import pack_flat
from stepwell.mechanisms.passages import passages, pieces
from stepwell.mechanisms.words import terms
from stepwell.models import Hit, Key, Record

#: What made the keys of words. Another tokenizer needs another name.
WORDS_SPACE = "words/1"

#: What a score counts that is one of a part of the question.
PART = 0.4
#: The channels that look at vectors of the embedder's space.
DENSE = ("vectors", "vector_window", "vector_stretch")


class WordKeys:
    """One key of hashed words for each passage of what was said."""

    name = "words"

    @hookimpl
    def keys(self, record_or_query: Record | Query) -> Sequence[Key] | None:
        """Keys of a record; a question needs none."""
        if not isinstance(record_or_query, Record):
            return None
        record = record_or_query
        spans = passages(record.text)
        beside = record.spoken[len(record.text) :]
        made = []
        for first, last in spans:
            body = terms(record.text[first:last] + (beside if last == len(record.text) else ""))
            span = None if len(spans) == 1 else (first, last)
            made.append(
                Key(
                    channel="words", space=WORDS_SPACE, body=body.astype("<u8").tobytes(), span=span
                )
            )
        return made


class VectorKeys:
    """One vector for each passage, when there is an embedder."""

    name = "vectors"

    @hookimpl
    def keys(self, record_or_query: Record | Query, view: View) -> Sequence[Key] | None:
        """Keys of a record; a question is embedded when it is asked."""
        space = view.models.space
        if space is None or not isinstance(record_or_query, Record):
            return None
        record = record_or_query
        return [
            Key(channel="vectors", space=space, span=span,
                body=view.models.embed(text).astype("<f4").tobytes())
            for span, text in pieces(record.text, record.spoken)
        ]  # fmt: skip


@dataclass(frozen=True)
class FixedRanker:
    """Plans a search: one round, the same for every question."""

    weights: Mapping[str, float]
    name: str = "fixed-ranker"

    @property
    def params(self) -> dict[str, object]:
        """What the file remembers of it."""
        return {"weights": dict(self.weights)}

    @hookimpl
    def plan(self, query: Query) -> Plan:
        """The same for every question."""
        return Plan(query=query, weights=self.weights, role=query.role, task=query.task)


@dataclass(frozen=True)
class Channel:
    """Searches one of the view's own channels."""

    channel: str

    @property
    def name(self) -> str:
        """The policy's name."""
        return f"channel-{self.channel}"

    @hookimpl
    def search(self, plan: Plan, view: View) -> Candidates | None:
        """What the channel finds for the question."""
        # Where nothing is asked for, the order of saying is no answer: it must be weighed.
        if not plan.weights.get(self.channel, 0.0 if self.channel in ("recent", "order") else 1.0):
            return None
        if self.channel in DENSE and view.models.space is None:
            return None
        texts = plan.queries or (plan.query.text,)
        found = [view.candidates(self.channel, text) for text in texts]
        for part in plan.parts:
            each = view.candidates(self.channel, part)
            found.append(replace(each, scores=each.scores * np.float32(PART)))
        if len(found) == 1:
            return found[0]
        # A place may stand here once for each text: its best score counts.
        spans = [each.spans for each in found if each.spans is not None]
        return Candidates(
            self.channel,
            np.concatenate([each.places for each in found]),
            np.concatenate([each.scores for each in found]),
            np.concatenate(spans) if len(spans) == len(found) else None,
        )


class FlatPacker:
    """Packs the best hits that fit, in time order."""

    name = "flat-packer"

    @hookimpl
    def pack(self, hits: Sequence[Hit], budget: int, view: View) -> Packing:
        """Whole turns, best first, until the budget is spent."""
        return pack_flat(hits, budget, arrival=view.place)


@dataclass(frozen=True)
class Packer:
    """Packs what is worth most for its tokens, in time order."""

    density: float = 0.07
    name: str = "packer"

    @property
    def params(self) -> dict[str, object]:
        """What the file remembers of it."""
        return {"density": self.density}

    @hookimpl
    def pack(self, hits: Sequence[Hit], budget: int, view: View) -> Packing:
        """Whole turns, by score for their cost, until the budget is spent."""
        return pack_flat(hits, budget, density=self.density, arrival=view.place)


class Sessions:
    """Ends a trace where its session ends: one trace a session."""

    name = "sessions"

    @hookimpl
    def segment(self, buffer: Sequence[Record]) -> Sequence[int]:
        """The whole session."""
        return [len(buffer) - 1] if buffer else []


class Fallback:
    """What answers when a plugin fails: the built-in ranker, words and packer, called directly."""

    #: Whether a context shows the whole scope when it fits.
    whole = True

    def plan(self, query: Query) -> Plan:
        """Words alone: they need no plugin."""
        return Plan(query=query, weights=scoring.WEIGHTS, role=query.role, task=query.task)

    def search(self, plan: Plan, view: View) -> list[Candidates]:
        """As the channels of words."""
        return [view.candidates(name, plan.query.text) for name in ("window", "words")]

    def pack(self, hits: Sequence[Hit], budget: int, view: View) -> Packing:
        """As FlatPacker."""
        return pack_flat(hits, budget, arrival=view.place)


class Named(Protocol):
    """A policy."""

    @property
    def name(self) -> str:
        """What it is known by."""
        ...


#: Every channel of the view. "sentences" is none: its plugin searches it.
CHANNELS = (*(name for name in WEIGHTS if name != "sentences"), "order")

#: The built-in policies under their names, with their usual parameters.
POLICIES: tuple[Named, ...] = (
    WordKeys(),
    VectorKeys(),
    Sessions(),
    Levels(),
    Facts(),
    Ranker(),
    Together(),
    Current(),
    Overview(),
    *(Channel(name) for name in CHANNELS),
    FlatPacker(),
    Packer(),
)
