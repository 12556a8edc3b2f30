"""What a Memory and its scopes share: the store, the plugins, and the paths."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from stepwell.committing import Committer
from stepwell.consolidating import Consolidator
from stepwell.contracts import DUE, EMBEDDER, FORMER, Clock, Embedder, LanguageModel, Store
from stepwell.defaults import BUILTINS, DEFAULT_PRESET, FALLBACK, WORDS_SPACE
from stepwell.erasing import Eraser
from stepwell.errors import (
    InvalidInput,
    PluginFailed,
    PluginMissing,
    PresetMismatch,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreReadOnly,
    WrongEmbedder,
)  # fmt: skip
from stepwell.filters import Filter
from stepwell.identity import SCHEME
from stepwell.memory.embedding import Embedding, opened, succeed
from stepwell.models import Report, aware
from stepwell.ops import SetState
from stepwell.plugins import Plugins, Preset
from stepwell.recalling import Recaller
from stepwell.searching import GuardedModels, Searcher
from stepwell.transfer import Rebuilder
from stepwell.writing import Writer

log = logging.getLogger("stepwell.memory")

_MANY = 2**62


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
        self._usage: dict[tuple[str, ...], dict[str, int]] = {}
        self._usage_lock = threading.Lock()
        self.searcher = Searcher(store, plugins, models, clock, WORDS_SPACE, cache_bytes)
        self.committer = Committer(store, plugins, clock)
        self.writer = Writer(
            self.committer, self.searcher, plugins, self.secret_of, self.take_usage
        )
        self.recaller = Recaller(self.searcher, plugins, FALLBACK)
        self.consolidator = Consolidator(self.committer, self.searcher, plugins)
        self.eraser = Eraser(self.committer, self.searcher.caches)
        self.rebuilder = Rebuilder(self.committer, self.searcher, plugins)
        self.embedding = Embedding(store, plugins, models, clock, self.consolidator.rekey)

    def ready(self) -> Engine:
        """Itself, open, with forgotten bytes taken out of the log where that was still to do."""
        if self.closed:
            raise StoreClosed(f"{self.store.path}: this memory is closed")
        if self._pid != os.getpid():
            # A fork may have copied locks that nobody will ever release, and usage of the parent's.
            self._pid = os.getpid()
            self._usage, self._usage_lock = {}, threading.Lock()
            self.searcher.caches.renew()
            self.embedding.renew()
        if self.store.pending and not self.store.read_only:
            self.store.settle(patience=0)
        return self

    def secret_of(self, path: tuple[str, ...]) -> bytes:
        """The secret of a new scope: random, or from the seed."""
        if self._seed is None:
            return secrets.token_bytes(32)
        said = json.dumps([self._seed, *path]).encode()
        return hashlib.blake2b(said, digest_size=32, person=b"seed").digest()

    # usage waits in memory for the next write: recall never writes ----------------------------

    def track(self, path: tuple[str, ...], shown: Sequence[str]) -> None:
        """Remember that records were shown, to be stored with the next write."""
        with self._usage_lock:
            counts = self._usage.setdefault(path, {})
            for record_id in shown:
                counts[record_id] = counts.get(record_id, 0) + 1

    def take_usage(self, path: tuple[str, ...]) -> list[SetState]:
        """What waits for a scope, as ops; it waits no longer."""
        if not self._usage:
            return []
        with self._usage_lock:
            counts = self._usage.pop(path, {})
        return [SetState(id=i, shown=n, who="track") for i, n in counts.items()]

    def flush(self) -> None:
        """Store all usage that waits."""
        for path in list(self._usage):
            ops = self.take_usage(path)
            with self.store.reading() as reader:
                row = reader.scope_of(path)
            if row is not None and ops:
                self.committer.apply(row, ops)

    def close(self) -> None:
        """Close the store. Twice is once."""
        if not self.closed:
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
        _write_down(self)

    def consolidate(self, path: tuple[str, ...], budget: float | None) -> Report:
        """Work on the queue of a scope; former embedders whose vectors are all gone go with it."""
        report = self.consolidator.consolidate(path, budget, self.take_usage(path))
        if report.finished and not self.store.read_only:
            self.embedding.let_go()
        return report

    def rebuild(self, progress: Callable[[int, int], None] | None = None) -> Report:
        """Rebuild all scopes. Cut short, what is missing is queued at the next opening."""
        self.embedding.note(DUE, "1")
        report = self.rebuilder.every(progress)
        self.embedding.note(DUE, None)
        self.embedding.let_go()
        return report


#: What Memory.open takes when it is not told otherwise.
OPTIONS: dict[str, Any] = {
    "preset": None, "plugins": (), "discover": True, "embedder": "default", "language_model": None,
    "clock": None, "seed": None, "read_only": False, "rebuild": False,
    "cache_bytes": 512 * 1024 * 1024,
}  # fmt: skip


def open_engine(
    path: str, *, preset: str | Preset | None, plugins: Sequence[object | str], discover: bool,
    embedder: str | Embedder | None, language_model: str | LanguageModel | None,
    clock: Clock | Callable[[], datetime] | None, seed: int | None, read_only: bool, rebuild: bool,
    cache_bytes: int,
) -> Engine:  # fmt: skip
    """See Memory.open."""
    host = Plugins(builtins=BUILTINS, plugins=plugins, discover=discover)
    uri = path if "://" in path else f"{SCHEME}:///{quote(path)}{'?mode=ro' if read_only else ''}"
    store = host.open_part("open_store", uri, None)
    if store is None:
        raise StoreError(f"{path}: no plugin opens such a store")
    if not isinstance(store, Store):
        raise PluginFailed(f"what a plugin opened for {path} is no Store")
    try:
        chosen = _preset(store, host, preset, rebuild)
        host.activate(chosen)
        _screens(store, host, rebuild)
        models = GuardedModels(
            opened(
                store, host, embedder, _meta(store, EMBEDDER), fresh=_meta(store, "preset") is None,
                anew=rebuild,
            ),
            _model(host, language_model),
        )  # fmt: skip
        engine = Engine(store, host, chosen, models, _clock(clock), seed, cache_bytes)
        _settle_in(engine, rebuild)
    except BaseException:
        store.close()
        raise
    return engine


def _meta(store: Store, name: str) -> str | None:
    with store.reading() as reader:
        return reader.meta(name)


def _params(preset: Preset) -> str:
    return json.dumps(preset.params(), sort_keys=True, ensure_ascii=False, default=str)


def _preset(store: Store, host: Plugins, wanted: str | Preset | None, rebuild: bool) -> Preset:
    said = _meta(store, "preset")
    if said is None:
        wanted = wanted or DEFAULT_PRESET
        return host.preset(wanted) if isinstance(wanted, str) else wanted
    try:
        held = json.loads(said)
        name, version, params = held["name"], held["version"], held["params"]
    except (ValueError, KeyError, TypeError):
        raise StoreDamaged(
            f"{store.path}: which preset it was written under cannot be read"
        ) from None
    chosen = wanted if isinstance(wanted, Preset) else host.preset(wanted or name)
    same = chosen.name == name and (_params(chosen) == params or chosen.version > version)
    if not same and not rebuild:
        raise PresetMismatch(
            f"{store.path}: written under preset {name!r} (version {version}), not {chosen.name!r} "
            f"(version {chosen.version}) with these parameters; to change it: "
            f"Memory.open(path, preset={chosen.name!r}, rebuild=True)"
        )
    return chosen


def _screens(store: Store, host: Plugins, rebuild: bool) -> None:
    """What screened the turns of a file must screen the next ones too."""
    held = json.loads(_meta(store, "screens") or "[]")
    missing = [name for name in held if name not in host.implementing("screen_turns")]
    if missing and not rebuild:
        raise PluginMissing(
            f"{store.path}: its turns are screened by {', '.join(map(repr, missing))}; install it "
            f"and open with plugins={missing!r}"
        )


def _model(host: Plugins, wanted: str | LanguageModel | None) -> LanguageModel | None:
    if wanted is None or not isinstance(wanted, str):
        return wanted
    made = host.open_part("open_language_model", wanted, LanguageModel)
    if made is None:
        raise PluginMissing(f"no plugin opens a language model named {wanted!r}")
    assert isinstance(made, LanguageModel)  # noqa: S101 - checked by open_part
    return made


def _clock(given: Clock | Callable[[], datetime] | None) -> Callable[[], datetime]:
    if given is None:
        return lambda: datetime.now(UTC)
    tell: Any = given.now if isinstance(given, Clock) else given

    def now() -> datetime:
        told = tell()
        if not isinstance(told, datetime):
            raise InvalidInput(f"a clock tells a datetime, not {type(told).__name__}")
        return aware(told)

    return now


def _facts(engine: Engine) -> dict[str, str]:
    preset = engine.preset
    said = {"name": preset.name, "version": preset.version, "params": _params(preset)}
    return {
        "preset": json.dumps(said),
        "screens": json.dumps(list(engine.plugins.implementing("screen_turns"))),
    }


def _write_down(engine: Engine) -> None:
    """What the file is made with, in the file."""
    facts = _facts(engine)
    if any(_meta(engine.store, name) != value for name, value in facts.items()):
        with engine.store.writing(engine.clock()) as writer:
            for name, value in facts.items():
                writer.set_meta(name, value)


def _settle_in(engine: Engine, rebuild: bool) -> None:
    """Write down what the file is made with, and make again what that asks for."""
    store = engine.store
    space, embedding = engine.models.space, engine.embedding
    held = _meta(store, EMBEDDER)
    embedding.settle_in()
    if store.read_only:
        return
    preset = _meta(store, "preset")
    if space is not None and held != space:
        with store.writing(engine.clock()) as writer:
            if preset is not None:
                succeed(writer, space)
            else:
                writer.set_meta(EMBEDDER, space)  # a new file: nothing is to be keyed anew
        embedding.settle_in()
    _write_down(engine)
    if space is None and held is not None:
        embedding.note(DUE, "1")  # what is stored from now on lacks a vector
    if rebuild:
        engine.rebuild()
    else:
        if space is not None and (_meta(store, DUE) or _meta(store, FORMER)):
            embedding.queue()
        if preset not in (None, _facts(engine)["preset"]):
            _queue_again(engine)
    embedding.queue_slow()


def _queue_again(engine: Engine) -> None:
    """A newer version of the same preset: what it derives is queued to be made again."""
    after = 0
    while True:
        with engine.store.reading() as reader:
            page = reader.scopes(after, 100)
            firsts = [(row, reader.select(row, Filter(level=0), 0, _MANY)) for row in page]
        if not page:
            return
        with engine.store.writing(engine.clock()) as writer:
            for row, refs in firsts:
                if refs:
                    writer.enqueue(row, "segment", refs[0], refs[-1])
        after = page[-1].number
