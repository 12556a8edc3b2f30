"""One implementation of a hook: what is refused at registration, and how it is called."""

from __future__ import annotations

import inspect
import logging
import re
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePath
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

import pluggy

from stepwell import hookspecs
from stepwell.errors import InvalidInput, PluginFailed, PluginInvalid, StepwellError, StoreError

PROJECT = "stepwell"  # the marks of pluggy, and the group of entry points
SLOW_SECONDS = 1.0

#: The names of each hook's arguments.
HOOKS: dict[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(value).parameters)
    for name, value in vars(hookspecs).items()
    if pluggy.PluginManager(PROJECT).parse_hookspec_opts(hookspecs, name) is not None
}

_logger = logging.getLogger("stepwell.plugins")
_NAME = re.compile(r"[\w.+-]{1,200}")
_NEVER = CoroutineType, GeneratorType, AsyncGeneratorType, BaseException
_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_REST = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD


@dataclass(frozen=True, slots=True)
class Impl:
    """One function of one plugin. It is called with the values of `names`, in this order."""

    plugin: str
    hook: str
    function: Callable[..., object]
    names: tuple[str, ...]
    module: str


@dataclass(frozen=True, slots=True, eq=False)
class Plugin:
    """A plugin that has passed the checks. `source` says where it comes from."""

    name: str
    source: str
    thing: object
    impls: tuple[Impl, ...]

    def __str__(self) -> str:
        return f"{type(self.thing).__name__} ({self.source})"


class Unfit(Exception):
    """What is wrong with an answer, in words of ours that quote nothing of it."""


#: What makes of an answer one that can be relied on, or raises: Unfit, or whatever it comes upon.
Check = Callable[[object], object]


def call(impl: Impl, arguments: Mapping[str, object], check: Check | None = None) -> object:
    """The answer, checked; or a PluginFailed in its place, made out of the exception's sight."""
    values = [arguments[name] for name in impl.names]
    answer, flaw, checking = None, "", False
    started = time.perf_counter()
    try:
        answer = impl.function(*values)
        kind = type(answer)
        if hasattr(kind, "__await__") or issubclass(kind, _NEVER):
            _refuse(answer)
        if check is not None:
            checking = True
            answer = check(answer)
    except Unfit as error:
        flaw = str(error)
    except Exception as error:
        # The check reads the store: what is wrong with that is not the plugin's doing.
        if checking and isinstance(error, StepwellError) and not isinstance(error, InvalidInput):
            raise
        # Nor is it where the plugin reads by its view; for a store of its own it answers itself.
        if isinstance(error, StoreError) and _met(error, arguments.get("view")):
            raise
        # What is wrong with a file, or with a model's folder, is for its opener to say, before
        # anything remembered is read.
        if impl.hook == "open_store" and isinstance(error, StoreError):
            raise
        if impl.hook == "open_embedder" and type(error) is InvalidInput:
            raise
        flaw = "its answer was refused: " * checking + told(error, impl.module)
    took = time.perf_counter() - started
    if took > SLOW_SECONDS:
        said = {**marks(impl, arguments), "stepwell_seconds": took}
        _logger.warning(
            "plugin %r took %.1f s in hook %r", impl.plugin, took, impl.hook, extra=said
        )
    return failed(impl.plugin, impl.hook, flaw) if flaw else answer


def unless_none(check: Check | None) -> Check | None:
    """The same check, which lets pass that there is no answer."""
    return check and (lambda answer: None if answer is None else check(answer))


def marks(impl: Impl, arguments: Mapping[str, object]) -> dict[str, object]:
    """What a log's record tells of a call, beside its message: names alone."""
    told: dict[str, object] = {"stepwell_plugin": impl.plugin, "stepwell_hook": impl.hook}
    verb = arguments.get("doing") or arguments.get("done")
    return told if verb is None else {**told, "stepwell_verb": getattr(verb, "verb", None)}


def _met(error: Exception, view: object) -> bool:
    """Whether an exception came out of a method of this view."""
    frames = traceback.walk_tb(error.__traceback__) if view is not None else ()
    return any(frame.f_locals.get("self") is view for frame, _ in frames)


def failed(plugin: str, hook: str, flaw: str) -> PluginFailed:
    """The error of a plugin that failed in a hook."""
    return PluginFailed(f"plugin {plugin!r} failed in hook {hook!r}: {flaw}")


def told(error: Exception, module: str) -> str:
    """The type of an exception and where the code of `module` met it; never its message."""
    root = re.split("[.:]", module)[0]
    frames = [
        (str(frame.f_globals.get("__name__")), PurePath(frame.f_code.co_filename), line)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = [frame for frame in frames if frame[0].partition(".")[0] == root]
    name, path, line = (own or frames)[-1]
    # As much of the path as the module's name says: what lies above is nobody's business.
    depth = name.count(".") + (2 if path.stem == "__init__" else 1)
    return f"{type(error).__name__} at {'/'.join(path.parts[-depth:])}:{line}"


def _refuse(answer: object) -> None:
    kind = type(answer)
    if isinstance(answer, CoroutineType | GeneratorType):
        answer.close()  # or Python warns of a coroutine that was never awaited
        raise Unfit(f"it returned a {kind.__name__}; hooks are plain functions")
    raise Unfit(f"it returned an object of type {kind.__name__}, which is no answer")


def examined(manager: pluggy.PluginManager, name: str, source: str, thing: object) -> Plugin:
    """The plugin that an object is. PluginInvalid says what is wrong with it and what to do."""
    try:
        hooks = _implemented(manager, name, thing)
        # The order and the calls are ours, so pluggy need not register anything.
        impls = [_impl(name, hook, bound) for hook, bound in hooks if hook in HOOKS]
        return Plugin(name, source, thing, tuple(impls))
    except Unfit as error:
        flaw = str(error)
    except Exception as error:  # noqa: BLE001 - attributes of foreign objects may raise anything
        flaw = f"it cannot be looked into: {told(error, type(thing).__module__)}"
    raise PluginInvalid(f"plugin {name!r} ({source}) was refused: {flaw}")


def _implemented(
    manager: pluggy.PluginManager, name: str, thing: object
) -> list[tuple[str, Callable[..., object]]]:
    """The hooks that an object implements, each with its function, which is fit to be called."""
    if not _NAME.fullmatch(name):
        raise Unfit("its name has other characters than letters, digits and '._+-'; rename it")
    if inspect.isclass(thing):
        raise Unfit(f"it is a class; give an instance, such as {thing.__name__}()")
    hooks = []
    for attribute in dir(thing):
        if attribute.startswith("__"):  # Python's own; most of what there is to be looked at
            continue
        options = manager.parse_hookimpl_opts(thing, attribute)
        if options is not None:
            hook = options.get("specname") or attribute
            bound = getattr(thing, attribute)
            flaw = _flaw(hook, dict(options), bound)
            if flaw:
                raise Unfit(f"hook {hook!r} {flaw}")
            hooks.append((hook, bound))
        elif attribute in HOOKS and _looks_like(
            attribute, inspect.getattr_static(thing, attribute)
        ):
            raise Unfit(
                f"hook {attribute!r} lacks its mark, @stepwell.hookimpl; add it, or rename it"
            )
    if not hooks:
        raise Unfit("it implements no hook; mark its functions with @stepwell.hookimpl")
    return hooks


def _looks_like(hook: str, value: object) -> bool:
    """Whether the mark was forgotten, as happens when a subclass overrides a hook."""
    if not inspect.isfunction(value):
        return False
    return tuple(n for n in inspect.signature(value).parameters if n != "self") == HOOKS[hook]


def _flaw(hook: str, options: Mapping[str, Any], function: Callable[..., object]) -> str:
    if options.get("wrapper") or options.get("hookwrapper"):
        return "is a wrapper; return the answer from a plain function"
    if options.get("tryfirst") or options.get("trylast"):
        return "asks for tryfirst or trylast; leave it out, the order is that of naming"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "is async; hooks are called synchronously, so make it a plain function"
    if inspect.isgeneratorfunction(function):
        return "is a generator; return a list"
    return _misfit(hook, function) if hook in HOOKS else _stranger(hook, options)


def _misfit(hook: str, function: Callable[..., object]) -> str:
    parameters = inspect.signature(function).parameters
    if any(parameter.kind in _REST for parameter in parameters.values()):
        return "takes *args or **kwargs; name the arguments that it wants"
    unknown = ", ".join(repr(name) for name in parameters if name not in HOOKS[hook])
    given = ", ".join(map(repr, HOOKS[hook])) or "none"
    return f"takes {unknown}, which it is not given; its arguments are: {given}" if unknown else ""


def _stranger(hook: str, options: Mapping[str, Any]) -> str:
    if options.get("optionalhook"):
        return ""
    meant = get_close_matches(hook, HOOKS, 1)
    hint = f"did you mean {meant[0]!r}?" if meant else f"there are: {', '.join(HOOKS)}"
    return f"is unknown; {hint} (or mark it with optionalhook=True)"


def _impl(plugin: str, hook: str, function: Callable[..., object]) -> Impl:
    parameters = inspect.signature(function).parameters
    names = tuple(parameters)
    keywords = [name for name, parameter in parameters.items() if parameter.kind is _KEYWORD]
    called = function
    if keywords:
        count = len(names) - len(keywords)

        def called(*values: object) -> object:
            return function(*values[:count], **dict(zip(keywords, values[count:], strict=True)))

    return Impl(plugin, hook, called, names, getattr(function, "__module__", None) or "")
