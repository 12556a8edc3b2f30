"""Find, name, order, block and call plugins by the calling rules.

The only room that touches pluggy's manager, and the only one that reads the environment.

* Available by name are the built-ins, the objects in `plugins=`, and the entry points of the group
  "stepwell", each imported only when it is asked for. Active is what `activate` was told: the
  preset's policies, then `plugins=`. What is named twice is active once, at its last place.
* First answer: the later named is asked first. Collect, fold and tell: in the order of naming.
* `STEPWELL_PLUGINS_OFF=a,b` takes all plugins of these names away, the built-ins excepted.
* Of a failure, only type and place are told, never the exception's own message: that may quote
  what is remembered. Only `Exception` is caught.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import EntryPoint, distributions
from threading import RLock
from typing import Any, TypeVar, cast

import pluggy

from stepwell.contracts.presets import Preset, name_of
from stepwell.errors import PluginFailed, PluginInvalid, PluginMissing, PresetUnknown
from stepwell.plugins.implementing import (
    HOOKS,
    PROJECT,
    Check,
    Impl,
    Plugin,
    Unfit,
    call,
    examined,
    marks,
    told,
    unless_none,
)  # fmt: skip
from stepwell.plugins.versions import versions
from stepwell.plugins.wrapping import entered

__all__ = ["Answers", "Plugins", "Preset", "Unfit"]

OFF = "STEPWELL_PLUGINS_OFF"

T = TypeVar("T")
#: What each plugin answered, by its name.
Answers = list[tuple[str, Any]]
_logger = logging.getLogger("stepwell.plugins")


class Plugins:
    """All plugins of one Memory. After `activate` it may be used from any thread."""

    def __init__(
        self,
        *,
        builtins: Sequence[tuple[str, object]],
        plugins: Sequence[object | str] = (),
        discover: bool = True,
    ) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._lock = RLock()
        off = os.environ.get(OFF, "").split(",")
        self._off = {name.strip() for name in off} - {""}
        self._available: dict[str, Plugin] = {}
        self._entries: dict[str, EntryPoint] = {}
        self._broken: dict[str, str] = {}  # what is wrong, by plugin or distribution
        self._of_preset: tuple[Plugin, ...] = ()  # active, but not available by name
        self._active: tuple[Plugin, ...] | None = None
        self._impls: dict[str, tuple[Impl, ...]] = dict.fromkeys(HOOKS, ())
        self._versions: dict[str, str | None] | None = None
        self.watched = False  # whether anybody is told of verbs: each of them asks
        for name, thing in builtins:
            self._add(name, "built-in", thing)
        self._builtins = tuple(self._available.values())
        if discover:
            self._find()
        if isinstance(plugins, str):
            raise PluginInvalid(f"plugins={plugins!r} is one text; write plugins=[{plugins!r}]")
        # A name stays a name until it is needed: importing is for those who ask.
        given = (p if isinstance(p, str) else self._give(p) for p in plugins)
        self._given = tuple(p for p in given if not (isinstance(p, str) and self._is_off(p)))

    def presets(self) -> dict[str, Preset]:
        """Every preset that anything available offers. PluginInvalid if two offer one name."""
        offers = self._offers(self._everything())
        return {name: _only(name, offers[name]) for name in sorted(offers)}

    def preset(self, name: str) -> Preset:
        """The preset of a name. The discovered are imported only if nobody else offers it."""
        offers = self._offers(self._at_hand())
        if name not in offers:
            offers = self._offers(self._everything())
        if name not in offers:
            known = ", ".join(sorted(offers)) or "none"
            raise PresetUnknown(f"no preset {name[:80]!r}; known: {known}{self._troubles()}")
        return _only(name, offers[name])

    def activate(self, preset: Preset) -> None:
        """Make the preset's policies active, then `plugins=`. When it raises, nothing changes."""
        with self._lock:
            fresh: dict[str, Plugin] = {}
            named = [self._policy(policy, preset.name, fresh) for policy in preset.policies]
            named += self._chosen()
            last: dict[int, Plugin] = {}
            for plugin in filter(None, reversed(named)):
                last.setdefault(id(plugin.thing), plugin)
            active = tuple(reversed(last.values()))
            by_name: dict[str, Plugin] = {}
            for plugin in active:
                if by_name.setdefault(plugin.name, plugin) is not plugin:
                    raise _namesakes(plugin.name, by_name[plugin.name], plugin)
            impls = [impl for plugin in active for impl in plugin.impls]
            self._impls = {hook: tuple(i for i in impls if i.hook == hook) for hook in HOOKS}
            self.watched = self.has("around_verb") or self.has("on_verb")
            self._active, self._of_preset = active, tuple(fresh.values())
            self._versions = None

    @property
    def active(self) -> tuple[str, ...]:
        """The names of the active plugins, in order."""
        return tuple(plugin.name for plugin in self._active or ())

    @property
    def versions(self) -> dict[str, str | None]:
        """The active plugins and the versions of their distributions, None where not known."""
        if self._versions is None:
            self._versions = versions(self._active or (), self._entries.values())
        return dict(self._versions)

    def has(self, hook: str) -> bool:
        """Whether any active plugin implements the hook."""
        return bool(self._impls[hook])

    def implementing(self, hook: str) -> tuple[str, ...]:
        """The names of the active plugins that implement the hook, in order."""
        return tuple(dict.fromkeys(impl.plugin for impl in self._impls[hook]))

    def things(self, hook: str) -> dict[str, object]:
        """The active plugins that implement the hook, by name."""
        names = self.implementing(hook)
        return {p.name: p.thing for p in self._active or () if p.name in names}

    def describe(self) -> list[dict[str, str]]:
        """Each plugin's name, source, active, hooks and problem. Imports all that is not yet."""
        self._load_all()
        rows = []
        for plugin in (*self._available.values(), *self._of_preset):
            active = "yes" if plugin in (self._active or ()) else "no"
            hooks = ", ".join(dict.fromkeys(impl.hook for impl in plugin.impls))
            rows.append(
                (plugin.name, plugin.source, active, hooks, self._broken.get(plugin.name, ""))
            )
        off = dict.fromkeys(sorted(self._off), f"switched off by {OFF}")
        for name, problem in (self._broken | off).items():
            if name not in {row[0] for row in rows}:
                source = _source(self._entries[name]) if name in self._entries else ""
                rows.append((name, source, "no", "", problem))
        columns = ("name", "source", "active", "hooks", "problem")
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def open_part(self, hook: str, argument: object, kind: type | None) -> object | None:
        """The first part that anything available opens: later named first, discovered last."""
        (name,) = HOOKS[hook]
        for impl in (i for plugin in self._everything() for i in plugin.impls if i.hook == hook):
            answer = call(impl, {name: argument}, lambda part: _part(part, kind))
            if type(answer) is PluginFailed:
                raise answer
            if answer is not None:
                return answer
        if self._broken:
            raise PluginInvalid(f"no plugin answered {hook!r}{self._troubles()}")
        return None

    def first(
        self, hook: str, check: Check | None = None, /, **arguments: object
    ) -> tuple[Any, str | None]:
        """The first answer that is not None, checked, and whose; the later named come first."""
        for impl in reversed(self._impls[hook]):
            answer = call(impl, arguments, unless_none(check))
            if type(answer) is PluginFailed:
                raise answer
            if answer is not None:
                return answer, impl.plugin
        return None, None

    def collect(self, hook: str, check: Check | None = None, /, **arguments: object) -> Answers:
        """Every answer, checked, and whose; a PluginFailed stands for one that failed."""
        answers = [(i.plugin, call(i, arguments, unless_none(check))) for i in self._impls[hook]]
        return [pair for pair in answers if pair[1] is not None]

    def fold(
        self, hook: str, argument: str, value: T, check: Callable[[object], T], **arguments: object
    ) -> tuple[T, list[PluginFailed]]:
        """What the value is after each has had it; one that fails leaves it as it was."""
        failures: list[PluginFailed] = []
        for impl in self._impls[hook]:
            answer = call(impl, {**arguments, argument: value}, check)
            if type(answer) is PluginFailed:
                failures.append(answer)
            else:
                value = cast("T", answer)
        return value, failures

    def tell(self, hook: str, **arguments: object) -> None:
        """Tell everyone; a failure is logged."""
        for impl in self._impls[hook]:
            answer = call(impl, arguments)
            if type(answer) is PluginFailed:
                _logger.error("%s", answer, extra=marks(impl, arguments))

    def around(self, hook: str, **arguments: object) -> AbstractContextManager[object]:
        """Inside of what everyone puts around it; a failure is logged."""
        return entered(self._impls[hook], arguments)

    def _find(self) -> None:
        for entry in _entry_points(self._broken):
            known = self._entries.get(entry.name) or self._available.get(entry.name)
            if known and entry.name not in self._off:
                raise _namesakes(entry.name, known, entry)
            self._entries[entry.name] = entry

    def _give(self, thing: object) -> Plugin | None:
        same = [plugin for plugin in self._available.values() if plugin.thing is thing]
        name = name_of(thing)
        if same or self._is_off(name):
            return same[0] if same else None
        if name not in self._entries:
            return self._add(name, "given", thing)
        plugin = self._resolve(name)  # the entry point may well be this very object
        if plugin.thing is not thing:
            raise _namesakes(name, plugin, f"{type(thing).__name__} (given)")
        return plugin

    def _add(self, name: str, source: str, thing: object) -> Plugin:
        plugin = examined(self._manager, name, source, thing)
        if name in self._available:
            raise _namesakes(name, self._available[name], plugin)
        self._available[name] = plugin
        return plugin

    def _is_off(self, name: str) -> bool:
        if name not in self._off or name in self._available:
            return False
        mark = _mark(name)
        _logger.warning("plugin %r is left out: it is switched off by %s", name, OFF, extra=mark)
        return True

    def _resolve(self, name: str) -> Plugin:
        """The plugin of a name, imported if need be."""
        with self._lock:
            if name in self._available:
                return self._available[name]
            if name not in self._entries:
                known = ", ".join(sorted({*self._available, *self._entries} - self._off))
                raise PluginMissing(
                    f"there is no plugin {name[:80]!r}; install the distribution that brings it, "
                    "or give the object itself in plugins=[...]; known: "
                    f"{known}{self._troubles()}"
                )
            if name not in self._broken:
                entry = self._entries[name]
                try:
                    return self._add(name, _source(entry), entry.load())
                except PluginInvalid as error:
                    trouble = str(error)
                except Exception as error:  # noqa: BLE001 - an import may raise anything
                    trouble = told(error, entry.value)
                    if isinstance(error, ImportError) and error.name:
                        trouble += f" (module {error.name!r})"
                self._broken[name] = (
                    f"entry point {name!r} = {entry.value!r} of {_source(entry)} is broken: "
                    f"{trouble}; mend, upgrade or uninstall that distribution, or set {OFF}={name}"
                )
            raise PluginInvalid(self._broken[name])

    def _policy(self, policy: object, preset: str, fresh: dict[str, Plugin]) -> Plugin | None:
        """The plugin of a policy; one that the preset brings along joins the `fresh`."""
        for plugin in (*self._available.values(), *fresh.values()):
            if plugin.thing is policy:
                return plugin
        name = name_of(policy)
        if self._is_off(name):
            return None
        if isinstance(policy, str):
            return self._resolve(policy)
        plugin = examined(self._manager, name, f"preset {preset!r}", policy)
        if fresh.setdefault(name, plugin) is not plugin:
            raise _namesakes(name, fresh[name], plugin)
        return plugin

    def _chosen(self) -> list[Plugin | None]:
        """What `plugins=` names, imported."""
        return [self._resolve(p) if isinstance(p, str) else p for p in self._given]

    def _load_all(self) -> None:
        for name in sorted(self._entries.keys() - self._available.keys() - self._off):
            try:
                self._resolve(name)
            except PluginInvalid as error:
                _logger.warning("%s", error, extra=_mark(name))

    def _at_hand(self) -> list[Plugin]:
        """What is named, the later first; then the built-ins."""
        named = self._chosen() if self._active is None else self._active
        return [p for p in dict.fromkeys((*reversed(named), *reversed(self._builtins))) if p]

    def _everything(self) -> Iterator[Plugin]:
        """What is at hand; then the discovered, imported only if it comes to that."""
        at_hand = self._at_hand()
        yield from at_hand
        self._load_all()
        yield from [plugin for plugin in (*self._available.values(),) if plugin not in at_hand]

    def _offers(self, plugins: Iterable[Plugin]) -> dict[str, list[tuple[str, Preset]]]:
        offers: dict[str, list[tuple[str, Preset]]] = {}
        for impl in (i for plugin in plugins for i in plugin.impls if i.hook == "presets"):
            answer = call(impl, {}, _presets_in)
            if isinstance(answer, PluginFailed):
                self._broken[impl.plugin] = str(answer)
                continue
            self._broken.pop(impl.plugin, None)
            for name, preset in cast("dict[str, Preset]", answer).items():
                offers.setdefault(name, []).append((impl.plugin, preset))
        return offers

    def _troubles(self) -> str:
        return "".join(f"; {problem}" for problem in (*self._broken.values(),))


def _entry_points(broken: dict[str, str]) -> list[EntryPoint]:
    """Those of our group, by name. One distribution's damage does not hide the others."""
    found: dict[tuple[str, str], EntryPoint] = {}
    for distribution in distributions():
        try:
            for entry in distribution.entry_points.select(group=PROJECT):
                # A distribution that lies on the path twice counts once, as for an import.
                found.setdefault((distribution.name, entry.name), entry)
        except Exception as error:  # noqa: BLE001 - metadata are text files, as anybody left them
            name = str(distribution.name)
            broken[name] = f"the entry points of {name} cannot be read ({type(error).__name__})"
    return sorted(found.values(), key=lambda entry: entry.name)


def _mark(name: str) -> dict[str, object]:
    return {"stepwell_plugin": name}


def _source(entry: EntryPoint) -> str:
    if entry.dist is None:
        return "an unknown distribution"
    return f"{entry.dist.name} {entry.dist.version}"


def _namesakes(name: str, one: object, other: object) -> PluginInvalid:
    both = [
        f"{p.value} ({_source(p)})" if isinstance(p, EntryPoint) else str(p) for p in (one, other)
    ]
    return PluginInvalid(
        f"two plugins are named {name!r}: {both[0]} and {both[1]}; rename one, uninstall one, "
        f"open with discover=False, or set {OFF}={name}"
    )


def _only(name: str, offers: Sequence[tuple[str, Preset]]) -> Preset:
    if len(offers) > 1:
        plugins = " and ".join(repr(plugin) for plugin, _ in offers)
        raise PluginInvalid(
            f"two plugins offer a preset {name!r}: {plugins}; switch one off by {OFF}"
        )
    return offers[0][1]


def _presets_in(answer: object) -> dict[str, Preset]:
    offered = {} if answer is None else answer
    if isinstance(offered, Mapping) and all(
        isinstance(preset, Preset) and preset.name == name for name, preset in offered.items()
    ):
        return dict(offered)
    raise Unfit(
        f"it returned {_kind(answer)} that is no mapping of names to the presets of these names"
    )


def _part(answer: object, kind: type | None) -> object:
    if answer is None or kind is None:
        return answer
    if isinstance(answer, kind) and not isinstance(answer, type):
        return answer
    raise Unfit(f"it returned {_kind(answer)}, which is no {kind.__name__}")


def _kind(answer: object) -> str:
    return (
        f"the class {answer.__name__}" if isinstance(answer, type) else f"a {type(answer).__name__}"
    )
