"""Memory: one store and its scopes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stepwell.contracts import Clock, Embedder, LanguageModel
from stepwell.errors import InvalidInput, InvalidQuery
from stepwell.memory.arguments import path_of, segments
from stepwell.memory.engine import Engine
from stepwell.memory.opening import open_engine
from stepwell.memory.repairing import repair
from stepwell.memory.scope import Scope, join
from stepwell.memory.telling import tells
from stepwell.models import Report, Stats
from stepwell.plugins import Preset


@tells(lambda _: (), prefix="memory.", apart=("scope", "presets", "close"))
class Memory:
    """What one store remembers, in scopes that no verb crosses. Made by `Memory.open`.

    Safe to use from several threads, from several processes on one file, and after a fork.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] = ":memory:",
        *,
        preset: str | Preset | None = None,
        plugins: Sequence[object | str] = (),
        discover: bool = True,
        embedder: str | Embedder | None = "default",
        language_model: str | LanguageModel | None = None,
        clock: Clock | Callable[[], datetime] | None = None,
        seed: int | None = None,
        read_only: bool = False,
        background: bool = False,
        rebuild: bool = False,
        cache_bytes: int = 512 * 1024 * 1024,
        retention: timedelta | None = None,
    ) -> Memory:
        """Open a store, making it if nothing is there.

        `path` is a file, ":memory:", or a URI that a plugin opens. `embedder=None` works on words
        alone; "default" means the file's own, for a new file the table that comes along. Without
        `preset` the file's own is used; another one needs `rebuild=True`. `plugins` are active
        beside the preset's; `discover` makes installed ones available by name. `seed` and `clock`
        make ids repeatable. `cache_bytes` bounds what caches hold in memory.

        With `background`, a thread consolidates while no verb of this Memory is under way; `close`
        ends it, and what is left waits in the file. What a policy hides stays in the file. With
        `retention`, consolidating forgets hidden turns that were stored longer ago than that, as
        `forget` would: nothing else ever destroys what was remembered.

        Raises NotAStore, StoreTooNew, StoreDamaged, StoreReadOnly, PluginMissing, PluginInvalid,
        PresetUnknown, PresetMismatch or WrongEmbedder; then nothing was changed.
        """
        engine = open_engine(
            path_of(path), preset=preset, plugins=plugins, discover=discover, embedder=embedder,
            language_model=language_model, clock=clock, seed=seed, read_only=read_only,
            rebuild=rebuild, cache_bytes=cache_bytes, background=background, retention=retention,
        )  # fmt: skip
        return cls(engine)

    @classmethod
    def from_uri(cls, uri: str, **options: Any) -> Scope:
        """Join the scope that a URI names; `options` are those of `open`.

        The scope has a Memory of its own: close it by `scope.close()`. Raises InvalidScope.
        """
        return join(uri, **options)

    def scope(self, *path: str) -> Scope:
        """A scope by its path, such as ("acme", "alice"). Nothing is stored by asking for it.

        A segment is any text of 1 to 128 characters without control characters; at most 8 segments.
        Raises InvalidScope.
        """
        self._engine.ready()
        return Scope(self._engine, segments(path))

    def scopes(self) -> list[tuple[str, ...]]:
        """The paths of all scopes, oldest first: for whoever looks after the file."""
        found: list[tuple[str, ...]] = []
        after = 0
        with self._engine.ready().store.reading() as reader:
            while page := reader.scopes(after, 1000):
                found += [row.path for row in page]
                after = page[-1].number
        return found

    @property
    def preset(self) -> str:
        """The name of the preset in use."""
        return self._engine.preset.name

    def presets(self) -> dict[str, Preset]:
        """Every preset that can be named here, in the order of their names.

        What is installed is imported for it. Raises PluginInvalid if two plugins offer one name.
        """
        return self._engine.plugins.presets()

    @property
    def plugins(self) -> tuple[str, ...]:
        """The names of the active policies, in order."""
        return self._engine.plugins.active

    @property
    def embedder(self) -> Embedder | None:
        """What makes the vectors; None where recall goes by words alone."""
        return self._engine.models.embedder

    @property
    def path(self) -> str:
        """Where the store lies."""
        return self._engine.store.path

    def stats(self) -> Stats:
        """What is in the store, in numbers: of all scopes together, and the bytes of the file."""
        return self._engine.ready().stats()

    def check(self) -> Report:
        """Look for everything that can be wrong inside of the file: `.ok`, `.problems`."""
        return Report(problems=tuple(self._engine.ready().store.check()))

    def rebuild(
        self, preset: str | Preset | None = None, embedder: str | Embedder | None = None,
        *, progress: Callable[[int, int], None] | None = None,
    ) -> Report:  # fmt: skip
        """Drop everything derived in all scopes and make it again from the turns.

        With another preset or embedder, under these from now on. Interrupted, no turn is lost, and
        it can be called again. `progress` is called with (turns done, turns of this scope).
        """
        engine = self._engine.ready()
        if preset is not None or embedder is not None:
            engine.change(preset, embedder)
        report = engine.rebuild(progress)
        for path in self.scopes():
            engine.consolidator.consolidate(path)
        return report

    def reembed(
        self, embedder: str | Embedder, *, wait: bool = True,
        progress: Callable[[int, int], None] | None = None,
    ) -> Report:  # fmt: skip
        """Change the embedder, and nothing else: every record gets a vector of the new one.

        It is a walk, not a stop: what is remembered meanwhile is keyed by the new embedder, and
        recall searches the old vector of whatever has no new one yet. Interrupted at any moment, or
        with another process killed in it, the rest waits in the queue for the next `consolidate`,
        `reembed` or opening. With `wait=False` a thread does it, which `close` ends.

        Another process that has the file open keeps its embedder until it opens the file again;
        what it stores till then is queued to be keyed by the new one.

        `progress` is called with (records done, records in all). The report counts `keyed`, or
        `queued` without waiting. What a preset derived by the old vectors stays as it is; `rebuild`
        derives it anew.
        """
        engine = self._engine.ready()
        if embedder is None:
            raise InvalidInput("words alone is how a file is opened: embedder=None")
        engine.change(None, embedder)
        total = engine.embedding.queue()
        if wait:
            return engine.embedding.run(total, progress)
        engine.embedding.start(total, progress)
        return Report({"queued": total}, finished=False)

    def compact(self) -> int:
        """Rebuild the file without the space that forgotten records held; how many rows went."""
        return self._engine.ready().store.compact()

    def backup(
        self, target: str | os.PathLike[str], *, progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Copy the store to a new file while others go on using it."""
        name = path_of(target)
        try:
            there = Path(name).exists()
        except OSError:
            there = False  # whoever makes it says why it cannot be made
        if there:
            raise InvalidQuery("there is a file already; a backup never overwrites")
        self._engine.ready().store.backup(name, progress)

    @classmethod
    def repair(
        cls, path: str | os.PathLike[str], to: str | os.PathLike[str], *,
        progress: Callable[[int, int], None] | None = None, **options: Any,
    ) -> Report:  # fmt: skip
        """Make a sound file of what can be read of a damaged one, which stays as it is.

        Nobody may have `path` open meanwhile; nothing may be at `to`. Turns with their history,
        slots, documents, the ledger and what is refused because it was forgotten are taken over;
        what does not hang together is left out. Where anything derived or a key is damaged, all of
        that is made again from the turns, as `rebuild` does. `options` are those of `open`.

        The report counts `turns`, `forgotten` ids, and what is known to be lost (`turns lost`,
        `slots lost`, `documents lost`); its problems name the tables that could not be read as a
        whole, of which more may be lost than is known, and its notes say what follows. Raises
        NotAStore or StoreDamaged where not even the tables can be told, StoreError where there is a
        file at `to`, and what `open` raises; then nothing is left at `to`.
        """
        return repair(os.fspath(path), os.fspath(to), progress, options)

    def close(self) -> None:
        """Store what waits, and close. Twice is once."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
