"""What a Memory and its scopes share: the store, the plugins, and the paths."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from stepwell.committing import Committer
from stepwell.consolidating import Consolidator
from stepwell.contracts import DUE, Embedder, Query, Store
from stepwell.defaults import FALLBACK, WORDS_SPACE
from stepwell.erasing import Eraser
from stepwell.errors import (
    StoreClosed,
    StoreReadOnly,
    WrongEmbedder,
)  # fmt: skip
from stepwell.memory.background import Background
from stepwell.memory.counting import summed
from stepwell.memory.embedding import Embedding, opened
from stepwell.memory.lookup import Lookup
from stepwell.memory.shown import Shown
from stepwell.memory.telling import noted, told
from stepwell.memory.traffic import Traffic
from stepwell.models import Context, ErasureReceipt, Recall, Receipt, Report, Stats, Turn
from stepwell.ops import SetState
from stepwell.plugins import Plugins, Preset
from stepwell.recalling import Recaller
from stepwell.searching import GuardedModels, Moment, Searcher
from stepwell.transfer import Arrivals, Exporter, Rebuilder, Restorer
from stepwell.writing import Writer

log = logging.getLogger("stepwell.memory")

_MANY = 2**62
#: Scopes whose secret is known before anything is stored in them.
_SECRETS = 10_000
_NO_TIME = timedelta()


class Engine:
    """The paths over one store. Memory and Scope are thin faces of it."""

    def __init__(
        self, store: Store, plugins: Plugins, preset: Preset, models: GuardedModels,
        clock: Callable[[], datetime], seed: int | None, cache_bytes: int,
    ) -> None:  # fmt: skip
        self.store = store
        self.plugins = plugins
        self.preset = preset
        self.models = models
        self.clock = clock
        self.closed = False
        self._pid = os.getpid()
        self._seed = seed
        self._secrets: dict[tuple[str, ...], bytes] = {}
        self._usage: dict[tuple[str, ...], dict[str, int]] = {}
        self._usage_lock = threading.Lock()
        self.shown = Shown(store, clock)
        self.traffic = Traffic()
        self.background: Background | None = None
        self.retention: timedelta | None = None
        self.searcher = Searcher(store, plugins, models, clock, WORDS_SPACE, cache_bytes)
        self.committer = Committer(store, plugins, clock)
        self.writer = Writer(self.committer, self.searcher, plugins, self.secret_of, self.taking)
        self.recaller = Recaller(self.searcher, plugins, FALLBACK)
        self.consolidator = Consolidator(
            self.committer, self.searcher, plugins,
            lambda: self.traffic.give_way(),  # noqa: PLW0108 - a fork makes another traffic
        )  # fmt: skip
        self.eraser = Eraser(self.committer, self.searcher.caches)
        self.lookup = Lookup(models)
        self.rebuilder = Rebuilder(self.committer, self.searcher, plugins)
        self.exporter = Exporter(store, clock, self.named)
        restorer = Restorer(self.committer, self.searcher, plugins, self.secret_of, self.named)
        self.arrivals = Arrivals(restorer, self.remember)
        self.embedding = Embedding(store, plugins, models, clock, self.consolidator.rekey)

    def ready(self) -> Engine:
        """Itself, open, with forgotten bytes taken out of the log where that was still to do."""
        if self.closed:
            raise StoreClosed(f"{self.store.path}: this memory is closed")
        if self._pid != os.getpid():
            # A fork may have copied locks that nobody will ever release, and usage of the parent's.
            self._pid = os.getpid()
            self._usage, self._usage_lock = {}, threading.Lock()
            self.shown.renew()
            self.searcher.caches.renew()
            self.embedding.renew()
            self.traffic = Traffic()
            if self.background is not None:
                self.work_aside()
        if self.store.pending and not self.store.read_only:
            self.store.settle(patience=0)
        return self

    def named(self) -> str:
        """The name of the preset in use."""
        return self.preset.name

    # what somebody waits for -----------------------------------------------------------------

    def remember(self, path: tuple[str, ...], turns: Sequence[Turn]) -> Receipt:
        """Store turns; what is to be made of them is left to whoever works aside."""
        with self.traffic():
            self.shown.store(path)
            receipt = self.writer.remember(path, turns)
        noted(self.plugins, receipt)
        if self.background is not None and receipt.stored:
            self.background.wake(path)
        return receipt

    def recall(
        self, path: tuple[str, ...], query: Query, *, moment: Moment | None = None,
        deadline: float | None = None,
    ) -> Recall:  # fmt: skip
        """See Recaller.recall."""
        with self.traffic():
            return self.recaller.recall(path, query, moment=moment, deadline=deadline)

    def context(
        self, path: tuple[str, ...], query: Query, *, moment: Moment | None = None,
        deadline: float | None = None,
    ) -> Context:  # fmt: skip
        """See Recaller.context."""
        with self.traffic():
            return self.recaller.context(path, query, moment=moment, deadline=deadline)

    def work_aside(self) -> None:
        """Consolidate in a thread from now on, while nobody waits for anything."""
        self.background = Background(self._aside, self._waiting, self.traffic)
        self.background.start()

    def _aside(self, path: tuple[str, ...], proceed: Callable[[], bool], tidy: bool) -> Report:
        if self.closed:
            raise StoreClosed(f"{self.store.path}: this memory is closed")
        return told(
            self.plugins, "consolidate", path,
            lambda: self.consolidate(path, None, proceed, tidy=tidy),
        )  # fmt: skip

    def _waiting(self) -> list[tuple[str, ...]]:
        """The scopes in which something is to be done."""
        if self.closed:
            raise StoreClosed(f"{self.store.path}: this memory is closed")
        with self.store.reading() as reader:
            return [row.path for row in reader.scopes(0, _MANY, waiting=True)]

    # what is made with it ---------------------------------------------------------------------

    def secret_of(self, path: tuple[str, ...]) -> bytes:
        """The secret of a new scope: random, or from the seed; the same until it is there."""
        if self._seed is None:
            made = self._secrets.setdefault(path, secrets.token_bytes(32))
            if len(self._secrets) > _SECRETS:
                # Whoever asks of very many scopes without storing anything fills no memory.
                self._secrets.pop(next(iter(self._secrets)), None)
            return made
        said = json.dumps([self._seed, *path]).encode()
        return hashlib.blake2b(said, digest_size=32, person=b"seed").digest()

    def key_of(self, path: tuple[str, ...]) -> bytes:
        """The secret of a scope: as it is, or as it will be."""
        with self.ready().store.reading() as reader:
            row = reader.scope_of(path)
        if row is None:
            return self.secret_of(path)
        self._secrets.pop(path, None)
        return row.secret

    def erase(self, path: tuple[str, ...]) -> ErasureReceipt:
        """Erase a scope, with whatever could tell it again."""
        self._secrets.pop(path, None)
        return self.eraser.erase(path)

    # usage waits in memory for the next write: recall never writes ----------------------------

    def track(self, path: tuple[str, ...], shown: Sequence[str]) -> None:
        """Remember that records were shown, to be stored with the next write."""
        with self._usage_lock:
            counts = self._usage.setdefault(path, {})
            for record_id in shown:
                counts[record_id] = counts.get(record_id, 0) + 1

    @contextmanager
    def taking(self, path: tuple[str, ...]) -> Iterator[list[SetState]]:
        """What waits for a scope, as ops; it waits no longer, unless the block fails."""
        counts: dict[str, int] = {}
        if self._usage:
            with self._usage_lock:
                counts = self._usage.pop(path, {})
        try:
            yield [SetState(id=i, shown=n, who="track") for i, n in counts.items()]
        except BaseException:
            with self._usage_lock:
                waiting = self._usage.setdefault(path, {}) if counts else {}
                for name, count in counts.items():
                    waiting[name] = waiting.get(name, 0) + count
            raise

    def flush(self) -> None:
        """Store all usage that waits."""
        self.shown.store()
        for path in list(self._usage):
            self._credit(path)

    def _credit(self, path: tuple[str, ...]) -> None:
        with self.taking(path) as ops:
            if ops:
                with self.store.reading() as reader:
                    row = reader.scope_of(path)
                if row is not None:
                    self.committer.apply(row, ops)

    def close(self) -> None:
        """Close the store. Twice is once."""
        if not self.closed:
            if self.background is not None and self._pid == os.getpid():
                self.background.stop()
            self.embedding.stop()
            try:
                if not self.store.read_only:
                    self.flush()
            finally:
                self.closed = True
                self.searcher.caches.drop()
                self.store.close()

    def change(self, preset: str | Preset | None, embedder: str | Embedder | None) -> None:
        """Go on under another preset or embedder. The caller rebuilds, or queues keys."""
        host = self.plugins
        if self.store.read_only:
            raise StoreReadOnly(f"{self.store.path}: opened read-only")
        chosen = host.preset(preset) if isinstance(preset, str) else preset
        made = None
        if embedder is not None:
            made = opened(self.store, host, embedder, None, fresh=True, anew=True)
            if made is None:
                raise WrongEmbedder("there is no embedder to change to")
        if chosen is not None:
            host.activate(chosen)
            self.preset = chosen
        self.embedding.stop()
        if made is not None:
            self.embedding.use(made)
        self.searcher.caches.drop()
        write_down(self)

    def consolidate(
        self, path: tuple[str, ...], budget: float | None,
        proceed: Callable[[], bool] | None = None, *, tidy: bool = True,
    ) -> Report:  # fmt: skip
        """Work on the queue of a scope; former embedders whose vectors are all gone go with it.

        What policies have hidden is forgotten once it is older than `retention`, if that was given.
        """
        self.shown.store(path)
        self._credit(path)
        report = self.consolidator.consolidate(path, budget, proceed, tidy=tidy)
        if report.finished and not self.store.read_only:
            self.embedding.let_go()
            if tidy and self.retention is not None:
                gone = self.eraser.expire(path, self.clock() - self.retention)
                if gone:
                    report = replace(report, counts={**report.counts, "forgotten": gone})
        return report

    def stats(self, path: tuple[str, ...] | None = None) -> Stats:
        """What a scope holds in numbers, or, without one, the store."""
        with self.store.reading() as reader:
            if path is not None:
                row = reader.scope_of(path)
                return Stats() if row is None else reader.stats(row)
            total = Stats(scopes=0)
            after = 0
            while rows := reader.scopes(after, 1000):
                for row in rows:
                    total = summed(total, reader.stats(row))
                after = rows[-1].number
        size, log = self.store.size
        embedder = self.models.embedder
        return replace(
            total, bytes=size, log_bytes=log, format=self.store.format,
            embedder=None if embedder is None else embedder.name, preset=self.preset.name,
            plugins=self.plugins.versions,
        )  # fmt: skip

    def rebuild(self, progress: Callable[[int, int], None] | None = None) -> Report:
        """Rebuild all scopes. Cut short, what is missing is queued at the next opening."""
        self.embedding.note(DUE, "1")
        report = self.rebuilder.every(progress)
        self.embedding.note(DUE, None)
        self.embedding.let_go()
        return report


def meta(store: Store, name: str) -> str | None:
    """A fact about a file; None where nothing is noted."""
    with store.reading() as reader:
        return reader.meta(name)


def params(preset: Preset) -> str:
    """A preset's parameters as the file keeps them."""
    return json.dumps(preset.params(), sort_keys=True, ensure_ascii=False, default=str)


def facts(engine: Engine) -> dict[str, str]:
    """What the file is to tell of how it was made."""
    preset = engine.preset
    said = {"name": preset.name, "version": preset.version, "params": params(preset)}
    return {
        "preset": json.dumps(said),
        "screens": json.dumps(list(engine.plugins.implementing("screen_turns"))),
    }


def write_down(engine: Engine) -> None:
    """What the file is made with, in the file."""
    told = facts(engine)
    if any(meta(engine.store, name) != value for name, value in told.items()):
        with engine.store.writing(engine.clock()) as writer:
            for name, value in told.items():
                writer.set_meta(name, value)
