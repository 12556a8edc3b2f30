"""What a preset is, and what a plugin is called."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, is_dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter

from stepwell.errors import PluginInvalid

_JSON: TypeAdapter[Any] = TypeAdapter(Any)


@dataclass(frozen=True, slots=True)
class Preset:
    """The complete, ordered list of policies: plugin objects, or names of available plugins."""

    name: str
    version: int
    policies: tuple[object, ...]

    def params(self) -> dict[str, Any]:
        """The `params` of each policy by its name, as JSON; {} for one that has none."""
        return {name_of(policy): _params_of(policy) for policy in self.policies}


def name_of(thing: object) -> str:
    """The name of a plugin: a text itself, its `name`, a module's `__name__`, or its class."""
    if isinstance(thing, str):
        return thing
    with suppress(Exception):  # a property of a foreign object may raise anything
        name = getattr(thing, "name", None)
        if isinstance(name, str):
            return name
    named = thing if inspect.ismodule(thing) or inspect.isclass(thing) else type(thing)
    return named.__name__


def _params_of(policy: object) -> Any:
    try:
        params = getattr(policy, "params", None)
        if isinstance(params, Mapping):
            params = dict(params)
        elif isinstance(params, type) or not (
            isinstance(params, BaseModel) or is_dataclass(params)
        ):
            return {}
        return _JSON.dump_python(_ordered(_JSON.dump_python(params)), mode="json")
    except Exception as error:  # noqa: BLE001 - a property, or a serializer, of a foreign object
        flaw = f"its `params` cannot be written as JSON ({type(error).__name__})"
    raise PluginInvalid(f"plugin {name_of(policy)!r}: {flaw}; keep to texts, numbers and lists")


def _ordered(value: Any) -> Any:
    """The same, with sets in an order that the next process will find again."""
    if isinstance(value, dict):
        return {key: _ordered(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_ordered(item) for item in value]
    return sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
