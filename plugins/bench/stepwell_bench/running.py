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
from stepwell_bench.documents import DIGITS, Failed, Timing
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
from stepwell_bench.systems import Ask, Keeping, Log, Reader, System

#: A turn of more tokens is long: it is found and quoted by its passages.
LONG: Final = 1024

#: Called with the name of a system and how many questions it has just answered.
Progress = Callable[[str, int], None]


@dataclass(slots=True)
class Measured:
    """The scores of a set: for each system a row per question and a column per metric.

    `keys`, `clusters` and `categories` are in the order of the rows. `complete` is false when the
    run was interrupted; then these are the conversations that all systems had been through. A
    system that `failed` has no rows.
    """

    name: str
    split: str
    sha256: str
    counted: Counted
    metrics: tuple[str, ...]
    k: int
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
    failed: dict[str, Failed] = field(default_factory=dict)

    def table(self, system: str) -> Floats:
        """The scores of a system as an array."""
        return np.array(self.rows[system], np.float64).reshape(len(self.keys), len(self.metrics))

    def fail(self, system: str, failed: Failed) -> None:
        """Take a system out, with all that it had reached."""
        self.failed[system] = failed
        self.rows.pop(system, None)
        self.timings.pop(system, None)


class Bench:
    """Systems to be measured. `measured` holds the sets that were, the last one maybe in part."""

    def __init__(
        self, systems: Sequence[System], *, contexts: bool = True, consolidate: bool = True,
        keep_going: bool = False, progress: Progress | None = None,
    ) -> None:  # fmt: skip
        """`contexts` asks for evidence inside of contexts too, which takes three times as long.

        `consolidate` lets whoever does so consolidate before the first question. With `keep_going`
        a system that raises an error is left out of that set, and the error's type noted.
        """
        if len({system.name for system in systems}) != len(systems):
            raise ValueError("two systems of one name")
        self._systems = tuple(systems)
        self._contexts = contexts
        self._consolidate = consolidate
        self._keep_going = keep_going
        self._progress = progress or _silent
        self.measured: list[Measured] = []

    @property
    def width(self) -> int:
        """How many systems there are."""
        return len(self._systems)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all that is scored."""
        return RANKED + (HELD if self._contexts else ())

    def measure(
        self, data: DataSet, *, left_out: Iterable[str] | None = None, limit: int | None = None,
        conversations: int | None = None, begun: Measured | None = None,
        after: Callable[[Measured], None] | None = None,
    ) -> Measured:  # fmt: skip
        """Ask every system every question of a set. Raises NothingToAsk, and what a system raises.

        See `data.chosen` for `left_out`, `limit` and `conversations`. Interrupted, `measured` keeps
        what was done; given as `begun`, it is gone on with. `after` is called after each
        conversation.
        """
        asked, counted = chosen(data, left_out, limit, conversations)
        if not asked:
            raise NothingToAsk(f"the set {data.name!r} has no question with evidence")
        made = begun or Measured(
            data.name, data.split, data.sha256, counted, self.metrics, data.k,
            rows={system.name: [] for system in self._systems},
            timings={system.name: Timing() for system in self._systems},
        )  # fmt: skip
        made.counted = counted
        self.measured.append(made)
        for system in self._systems:
            self._progress(system.name, len(made.keys))
        for conversation, questions in asked[made.conversations :]:
            self._one(made, conversation, questions)
            if after is not None:
                after(made)
        made.complete = True
        return made

    def _one(self, made: Measured, conversation: Conversation, questions: list[Question]) -> None:
        """One conversation. Only at the end: it counts for all systems or for none."""
        parts = {}
        for system in self._systems:
            if system.name in made.failed:
                self._progress(system.name, len(questions))
                continue
            sitting = _Sitting(system.name, conversation, made.metrics, self._progress)
            try:
                rows = sitting.ask(system, questions, self._consolidate)
            except Exception as error:
                if not self._keep_going:
                    raise
                made.fail(system.name, Failed(error=type(error).__name__, during=sitting.during))
                self._progress(system.name, len(questions) - sitting.answered)
                continue
            parts[system.name] = (rows, sitting.timing)
        for name, (rows, timing) in parts.items():
            made.rows[name] += rows
            made.timings[name].add(timing)
        made.keys += [key_of(made.name, conversation.id, q.id) for q in questions]
        made.clusters += [key_of(conversation.id, q.cluster) for q in questions]
        made.categories += [q.category for q in questions]
        long = {turn.id for turn in conversation.turns if tokens(turn.words) > LONG}
        made.long += [not long.isdisjoint(q.evidence) for q in questions]
        made.conversations += 1
        made.turns += len(conversation.turns)


class _Sitting:
    """A system over one conversation. `during` is what it is doing."""

    def __init__(
        self, system: str, conversation: Conversation, metrics: Sequence[str], progress: Progress
    ) -> None:
        self.timing = Timing()
        self.during = "reading"
        self.answered = 0
        self._system = system
        self._conversation = conversation
        self._metrics = metrics
        self._progress = progress

    def ask(
        self, system: System, questions: Sequence[Question], consolidate: bool
    ) -> list[list[float]]:
        """The scores of all questions, in the order of the metrics."""
        log = Log.of(self._conversation)
        begun = time.perf_counter()
        reader = system.read(log)
        self.timing.reading = time.perf_counter() - begun
        self.timing.turns = len(log.turns)
        answers = _Answers(self._conversation, self.timing, HELD[0] in self._metrics)
        rows = []
        try:
            if isinstance(reader, Keeping):
                self._settle(reader, consolidate)
            self.during = "answering"
            for question in questions:
                found = answers.score(reader, question)
                rows.append([round(found[metric], DIGITS) for metric in self._metrics])
                self.answered += 1
                self._progress(self._system, 1)
            if isinstance(reader, Keeping):
                self.timing.troubles = dict(reader.troubles)
        finally:
            reader.close()
        return rows

    def _settle(self, reader: Keeping, consolidate: bool) -> None:
        self.timing.reading -= reader.opening
        if consolidate:
            self.during = "consolidating"
            self._progress(f"{self._system}, consolidating", 0)
            begun = time.perf_counter()
            reader.consolidate()
            self.timing.consolidating = time.perf_counter() - begun
        self.during = "weighing"
        self.timing.size = reader.size()


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
