"""Opening a store: what it was made with, what is asked for, and whether the two agree."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from stepwell.committing import listed
from stepwell.contracts import DUE, EMBEDDER, FORMER, Clock, Embedder, LanguageModel, Store
from stepwell.defaults import BUILTINS, DEFAULT_PRESET
from stepwell.errors import (
    InvalidInput,
    PluginFailed,
    PluginMissing,
    PresetMismatch,
    StoreDamaged,
    StoreError,
)  # fmt: skip
from stepwell.filters import Filter
from stepwell.identity import SCHEME
from stepwell.memory.embedding import opened, succeed
from stepwell.memory.engine import Engine, facts, meta, params, write_down
from stepwell.models import aware
from stepwell.plugins import Plugins, Preset
from stepwell.searching import GuardedModels

_MANY = 2**62
_NO_TIME = timedelta()

#: What Memory.open takes when it is not told otherwise.
OPTIONS: dict[str, Any] = {
    "preset": None, "plugins": (), "discover": True, "embedder": "default", "language_model": None,
    "clock": None, "seed": None, "read_only": False, "rebuild": False,
    "cache_bytes": 512 * 1024 * 1024, "background": False, "retention": None,
}  # fmt: skip


def open_engine(
    path: str, *, preset: str | Preset | None, plugins: Sequence[object | str], discover: bool,
    embedder: str | Embedder | None, language_model: str | LanguageModel | None,
    clock: Clock | Callable[[], datetime] | None, seed: int | None, read_only: bool, rebuild: bool,
    cache_bytes: int, background: bool, retention: timedelta | None,
) -> Engine:  # fmt: skip
    """See Memory.open."""
    given: object = retention  # whatever a caller without types has sent
    if given is not None and (not isinstance(given, timedelta) or given < _NO_TIME):
        raise InvalidInput("retention is a timedelta that is not negative")
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
                store, host, embedder, meta(store, EMBEDDER), fresh=meta(store, "preset") is None,
                anew=rebuild,
            ),
            _model(host, language_model),
        )  # fmt: skip
        engine = Engine(store, host, chosen, models, _clock(clock), seed, cache_bytes)
        _settle_in(engine, rebuild)
        engine.retention = retention
        if background and not read_only:
            engine.work_aside()
    except BaseException:
        store.close()
        raise
    return engine


def _preset(store: Store, host: Plugins, wanted: str | Preset | None, rebuild: bool) -> Preset:
    said = meta(store, "preset")
    if said is None:
        wanted = wanted or DEFAULT_PRESET
        return host.preset(wanted) if isinstance(wanted, str) else wanted
    name, version, given = _written_under(store, said)
    chosen = wanted if isinstance(wanted, Preset) else host.preset(wanted or name)
    same = chosen.name == name and (params(chosen) == given or chosen.version > version)
    if not same and not rebuild:
        raise PresetMismatch(
            f"{store.path}: written under preset {name!r} (version {version}), not {chosen.name!r} "
            f"(version {chosen.version}) with these parameters; to change it: "
            f"Memory.open(path, preset={chosen.name!r}, rebuild=True)"
        )
    return chosen


def _written_under(store: Store, said: str) -> tuple[str, int, object]:
    """Name, version and parameters of the preset that a file was written under."""
    try:
        held = json.loads(said)
        name, version, given = held["name"], held["version"], held["params"]
    except (ValueError, KeyError, TypeError, RecursionError):
        name = version = given = None
    if not isinstance(name, str) or not isinstance(version, int):
        raise StoreDamaged(f"{store.path}: which preset it was written under cannot be read")
    return name, version, given


def _screens(store: Store, host: Plugins, rebuild: bool) -> None:
    """What screened the turns of a file must screen the next ones too."""
    with store.reading() as reader:
        held = listed(reader, "screens")
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
        raise PluginMissing(f"no plugin opens a language model named {wanted[:80]!r}")
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


def _settle_in(engine: Engine, rebuild: bool) -> None:
    """Write down what the file is made with, and make again what that asks for."""
    store = engine.store
    space, embedding = engine.models.space, engine.embedding
    held = meta(store, EMBEDDER)
    embedding.settle_in()
    if store.read_only:
        return
    preset = meta(store, "preset")
    if space is not None and held != space:
        with store.writing(engine.clock()) as writer:
            if preset is not None:
                succeed(writer, space)
            else:
                writer.set_meta(EMBEDDER, space)  # a new file: nothing is to be keyed anew
        embedding.settle_in()
    write_down(engine)
    if space is None and held is not None:
        embedding.note(DUE, "1")  # what is stored from now on lacks a vector
    if rebuild:
        engine.rebuild()
    else:
        if space is not None and (meta(store, DUE) or meta(store, FORMER)):
            embedding.queue()
        if preset not in (None, facts(engine)["preset"]):
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
