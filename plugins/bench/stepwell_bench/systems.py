"""What is measured: anything that takes in a conversation and ranks its turns for a question."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from stepwell import Embedder, Memory, Preset
from stepwell_bench.data import Conversation, Spoken

#: Streams have clock times at best, so their turns are given a time line: a minute each.
_START: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Log:
    """A conversation without its questions: all that a system gets to see of it."""

    turns: tuple[Spoken, ...]
    stream: bool = False

    @classmethod
    def of(cls, conversation: Conversation) -> Log:
        return cls(conversation.turns, conversation.stream)


@dataclass(frozen=True, slots=True)
class Ask:
    """A question as a system gets it. Only turns whose `seq` is below `as_of` may be used."""

    text: str
    asked_at: datetime | None = None
    as_of: int | None = None


class Reader(Protocol):
    """One conversation, taken in."""

    def search(self, ask: Ask, k: int) -> Sequence[str]:
        """At most k ids of turns, best first."""
        ...

    def context(self, ask: Ask, budget: int) -> str | None:
        """A text of at most `budget` tokens for a model; None: pack the best turns as they are."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Keeping(Reader, Protocol):
    """A reader that keeps turns in a store, and can make something of them before it is asked."""

    #: Where a policy failed and something else stood in for it, and how often.
    troubles: Counter[str]
    #: Seconds that opening the store took, which are none of reading.
    opening: float

    def consolidate(self) -> None:
        """Do all that is left to do. The time this takes is measured by itself."""
        ...

    def size(self) -> int:
        """How many bytes it holds, beyond those of an empty store."""
        ...


class System(Protocol):
    """A way to rank turns, under the name it has in reports."""

    @property
    def name(self) -> str: ...

    def read(self, log: Log) -> Reader:
        """Take a conversation in. The time this takes is what `turns a second` is made of."""
        ...


class Stepwell:
    """A Memory in RAM, under a preset and an embedder, used through its public face alone."""

    def __init__(
        self,
        preset: str | Preset = "default",
        embedder: str | Embedder | None = "default",
        name: str | None = None,
        plugins: Sequence[str] = (),
    ) -> None:
        self.preset = preset
        self.embedder = embedder
        self.name = name or (preset if isinstance(preset, str) else preset.name)
        self.plugins = tuple(plugins)
        self._weight: int | None = None

    def open(self) -> Memory:
        """An empty Memory under these settings. Raises what Memory.open raises."""
        return Memory.open(preset=self.preset, embedder=self.embedder, plugins=self.plugins)

    def read(self, log: Log) -> Reader:
        """Remember all turns in one batch."""
        begun = time.perf_counter()
        memory = self.open()
        opening = time.perf_counter() - begun
        try:
            times = _clock(log) if log.stream else None
            receipt = memory.scope("bench").remember_many(
                spoken.turn(spoken.said_at if times is None else times[spoken.seq])
                for spoken in log.turns
            )
        except BaseException:
            memory.close()
            raise
        made = _Remembered(memory, times, self._empty, opening)
        made.troubles.update(f"keys: {noted.reason}" for noted in receipt.degraded)
        return made

    def _empty(self) -> int:
        """The size of a store under these settings in which nothing is."""
        if self._weight is None:
            with self.open() as memory:
                self._weight = _weight(memory)
        return self._weight


class _Remembered:
    def __init__(
        self, memory: Memory, times: Mapping[int, datetime] | None, empty: Callable[[], int],
        opening: float,
    ) -> None:  # fmt: skip
        self.troubles: Counter[str] = Counter()
        self.opening = opening
        self._memory = memory
        self._scope = memory.scope("bench")
        self._times = times
        self._empty = empty

    def consolidate(self) -> None:
        self.troubles.update(self._scope.consolidate().parked)

    def size(self) -> int:
        return max(0, _weight(self._memory) - self._empty())

    def search(self, ask: Ask, k: int) -> list[str]:
        before = self._before(ask)
        if before is None:
            recall = self._scope.recall(ask.text, k=k, now=ask.asked_at)
        else:
            recall = self._scope.at(before).recall(ask.text, k=k)
        self.troubles.update(f"recall: {why}" for why in recall.degraded)
        return [source for hit in recall for source in hit.sources]

    def context(self, ask: Ask, budget: int) -> str:
        before = self._before(ask)
        if before is None:
            context = self._scope.context(ask.text, budget=budget, now=ask.asked_at)
        else:
            context = self._scope.at(before).context(ask.text, budget=budget)
        self.troubles.update(f"context: {why}" for why in context.degraded)
        return context.text

    def _before(self, ask: Ask) -> datetime | None:
        """The last moment before the question's own turn; None where it comes after all turns."""
        if self._times is None or ask.as_of is None:
            return None
        said = [at for seq, at in self._times.items() if seq < ask.as_of]
        return max(said, default=datetime(1, 1, 2, tzinfo=UTC))

    def close(self) -> None:
        self._memory.close()


def offered(plugins: Sequence[str] = ()) -> dict[str, Preset]:
    """Every preset that is installed, by name. Raises what Memory.open raises."""
    with Memory.open(embedder=None, plugins=plugins) as memory:
        return memory.presets()


def resolve(name: str) -> str | Embedder | None:
    """The embedder that a Memory uses when it is given this name; None when it uses none.

    "none" is none. The name itself comes back where this version of stepwell does not tell; then
    there is no embedder to measure alone. Raises what Memory.open raises.
    """
    if name == "none":
        return None
    with Memory.open(embedder=name) as memory:
        told = getattr(memory, "embedder", name)
    return told if told is None or isinstance(told, (str, Embedder)) else name


def stepwells(
    presets: Sequence[str], embedders: Sequence[str | Embedder | None], plugins: Sequence[str] = ()
) -> list[Stepwell]:
    """A system for each preset with each embedder, which its name tells where there are several."""
    made = []
    for preset in presets:
        for embedder in embedders:
            name = f"{preset} + {embedder_name(embedder)}" if len(embedders) > 1 else preset
            made.append(Stepwell(preset, embedder, name, plugins))
    return made


def embedder_name(embedder: str | Embedder | None) -> str:
    """What an embedder is called in reports; "words" for none."""
    if embedder is None:
        return "words"
    return embedder if isinstance(embedder, str) else embedder.name


def _weight(memory: Memory) -> int:
    """How many bytes a memory has as a file."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        memory.backup(copy)
        return copy.stat().st_size


def _clock(log: Log) -> dict[int, datetime]:
    """A moment for each turn of a stream, by `seq`, no two alike.

    The turns' own times where they are known and in order, a millisecond apart where they are the
    same; else minutes that are made up, since a mere clock time tells no day.
    """
    turns = sorted(log.turns, key=lambda spoken: spoken.seq)
    known = [spoken.said_at for spoken in turns if spoken.said_at is not None]
    if len(known) == len(turns) and known == sorted(known):
        return {
            spoken.seq: at + timedelta(milliseconds=i)
            for i, (spoken, at) in enumerate(zip(turns, known, strict=True))
        }
    return {spoken.seq: _START + timedelta(minutes=spoken.seq) for spoken in turns}
