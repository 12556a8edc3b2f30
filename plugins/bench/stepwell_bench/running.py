"""A run: all systems over the same questions, conversation by conversation."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from stepwell_bench.bootstrap import Floats
from stepwell_bench.data import Conversation, Counted, DataSet, Question, chosen
from stepwell_bench.errors import NothingToAsk
from stepwell_bench.metrics import (
    BUDGETS,
    DEPTH,
    HELD,
    RANKED,
    packed,
    quoted,
    scores,
    tokens,
)  # fmt: skip
from stepwell_bench.systems import Ask, Log, Reader, System

#: A turn of more tokens is long: it is found and quoted by its passages.
LONG: Final = 1024

#: Called with the name of a system and how many questions it has just answered.
Progress = Callable[[str, int], None]


@dataclass(slots=True)
class Timing:
    """How long a system took, in seconds, and what it answered with that cannot count."""

    reading: float = 0.0
    turns: int = 0
    searching: list[float] = field(default_factory=list)
    unknown: int = 0  # ids that are no turn of the conversation
    unsaid: int = 0  # turns that had not been said yet when the question was asked


@dataclass(slots=True)
class Measured:
    """The scores of a set: for each system a row per question and a column per metric.

    `keys`, `clusters` and `categories` are in the order of the rows. `complete` is false when the
    run was interrupted; then these are the conversations that all systems had been through.
    """

    name: str
    split: str
    sha256: str
    counted: Counted
    metrics: tuple[str, ...]
    conversations: int = 0
    turns: int = 0
    complete: bool = False
    keys: list[str] = field(default_factory=list)
    clusters: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    #: Whether a long turn is among the evidence.
    long: list[bool] = field(default_factory=list)
    rows: dict[str, list[list[float]]] = field(default_factory=dict)
    timings: dict[str, Timing] = field(default_factory=dict)

    def table(self, system: str) -> Floats:
        """The scores of a system as an array."""
        return np.array(self.rows[system], np.float64).reshape(len(self.keys), len(self.metrics))


class Bench:
    """Systems to be measured. `measured` holds the sets that were, the last one maybe in part."""

    def __init__(
        self, systems: Sequence[System], *, contexts: bool = True, progress: Progress | None = None
    ) -> None:
        """`contexts` asks for evidence inside of contexts too, which takes three times as long."""
        if len({system.name for system in systems}) != len(systems):
            raise ValueError("two systems of one name")
        self._systems = tuple(systems)
        self._contexts = contexts
        self._progress = progress or _silent
        self.measured: list[Measured] = []

    def measure(
        self, data: DataSet, *, left_out: Iterable[str] | None = None, limit: int | None = None
    ) -> Measured:
        """Ask every system every question of a set. Raises NothingToAsk, and what a system raises.

        See `data.chosen` for `left_out` and `limit`. Interrupted, `measured` keeps what was done.
        """
        asked, counted = chosen(data, left_out, limit)
        if not asked:
            raise NothingToAsk(f"the set {data.name!r} has no question with evidence")
        made = Measured(
            data.name, data.split, data.sha256, counted,
            RANKED + (HELD if self._contexts else ()),
            rows={system.name: [] for system in self._systems},
            timings={system.name: Timing() for system in self._systems},
        )  # fmt: skip
        self.measured.append(made)
        for conversation, questions in asked:
            parts = [self._ask(made, system, conversation, questions) for system in self._systems]
            # Only now: a conversation counts for all systems or for none.
            for system, rows in zip(self._systems, parts, strict=True):
                made.rows[system.name] += rows
            made.keys += [key_of(data.name, conversation.id, q.id) for q in questions]
            made.clusters += [key_of(conversation.id, q.cluster) for q in questions]
            made.categories += [q.category for q in questions]
            long = {turn.id for turn in conversation.turns if tokens(turn.words) > LONG}
            made.long += [not long.isdisjoint(q.evidence) for q in questions]
            made.conversations += 1
            made.turns += len(conversation.turns)
        made.complete = True
        return made

    def _ask(
        self, made: Measured, system: System, conversation: Conversation, questions: list[Question]
    ) -> list[list[float]]:
        timing = made.timings[system.name]
        log = Log.of(conversation)
        begun = time.perf_counter()
        reader = system.read(log)
        timing.reading += time.perf_counter() - begun
        timing.turns += len(log.turns)
        answers = _Answers(conversation, timing, self._contexts)
        rows = []
        try:
            for question in questions:
                found = answers.score(reader, question)
                rows.append([found[metric] for metric in made.metrics])
                self._progress(system.name, 1)
        finally:
            reader.close()
        return rows


class _Answers:
    """Asks questions about one conversation, and scores what comes back."""

    def __init__(self, conversation: Conversation, timing: Timing, contexts: bool) -> None:
        self._turns = {turn.id: turn for turn in conversation.turns}
        self._texts = {turn.id: turn.text for turn in conversation.turns} if contexts else {}
        self._timing = timing
        self._contexts = contexts

    def score(self, reader: Reader, question: Question) -> dict[str, float]:
        ask = Ask(question.text, question.asked_at, question.as_of)
        evidence = [name for name in question.evidence if name in self._turns]
        begun = time.perf_counter()
        found = reader.search(ask, DEPTH)
        self._timing.searching.append(time.perf_counter() - begun)
        ranked = self._countable(found, question.as_of)
        made = scores(ranked, evidence)
        if self._contexts:
            words = [self._turns[name].words for name in evidence]
            for budget, metric in zip(BUDGETS, HELD, strict=True):
                text = reader.context(ask, budget)
                made[metric] = (
                    packed(ranked, self._texts, evidence, budget)
                    if text is None
                    else quoted(text, words)
                )
        return made

    def _countable(self, found: Iterable[str], as_of: int | None) -> list[str]:
        """Each turn once; what is no turn, or had not been said yet, takes no rank."""
        ranked = []
        for name in dict.fromkeys(found):
            turn = self._turns.get(name)
            if turn is None:
                self._timing.unknown += 1
            elif as_of is not None and turn.seq >= as_of:
                self._timing.unsaid += 1
            else:
                ranked.append(name)
        return ranked


_KEY_BYTES: Final = 8


def key_of(*parts: str) -> str:
    """A short name for a question by which two runs can be joined, and nothing can be read."""
    hashed = hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=_KEY_BYTES)
    return hashed.hexdigest()


def _silent(system: str, answered: int) -> None: ...
