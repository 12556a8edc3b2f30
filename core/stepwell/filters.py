"""Filters: a closed set of fields, combined with `&`, `|` and `~`. Pure data, no SQL.

A filter is a small syntax tree. Rendering it to SQL, with every value bound, is the store's work.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from stepwell.errors import InvalidFilter
from stepwell.models import MAX_NAME_CHARS, Kind, Origin, Status, aware, storable

MAX_DEPTH = 32
MAX_CONDITIONS = 256
MAX_CHOICES = 4096

Field = Literal[
    "id", "session", "actor", "role", "origin", "kind", "level", "status", "task",
    "said_after", "said_before", "stored_after", "stored_before", "payload",
]  # fmt: skip
_TEXTS = {"id", "session", "actor", "role", "task"}
_ENUMS: dict[str, type[Origin | Kind | Status]] = {
    "origin": Origin,
    "kind": Kind,
    "status": Status,
}
_TIMES = {"said_after", "said_before", "stored_after", "stored_before"}
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}(\.[A-Za-z_][A-Za-z0-9_]{0,63}){0,7}\Z")


@dataclass(frozen=True, slots=True)
class Condition:
    """One field that equals one of `choices` (times: lies on that side of the one choice).

    `*_after` is inclusive, `*_before` exclusive, so that two touching ranges share no record.
    """

    field: Field
    choices: tuple[Any, ...]
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Both:
    """All of `parts` hold."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of `parts` holds."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """`part` does not hold."""

    part: Tree


Tree = Condition | Both | Either | Not


class Filter:
    """Which records to look at.

    Fields are given by keyword and all have to hold; a list means "one of these".
    `payload={"a.b": 3}` compares the JSON value at a path of plain names.

        Filter(session="s1", actor=["Alice", "Bob"]) & ~Filter(origin="web")

    An empty filter matches everything; `forget` refuses one. Raises InvalidFilter for an unknown
    field, a value of the wrong type, or more than 32 nested or 256 single conditions.
    """

    __slots__ = ("tree",)
    tree: Tree

    def __init__(self, **fields: Any) -> None:
        parts: list[Tree] = []
        for name, value in fields.items():
            if name == "payload":
                if not isinstance(value, Mapping):
                    raise InvalidFilter("payload takes a mapping of paths to values")
                parts.extend(_payload(path, wanted) for path, wanted in value.items())
            else:
                parts.append(_condition(name, value))
        self.tree = parts[0] if len(parts) == 1 else Both(tuple(parts))
        _bounded(self.tree)

    @classmethod
    def of(cls, tree: Tree) -> Filter:
        """The filter of a ready tree. Raises InvalidFilter when it is too deep or too wide."""
        made = cls.__new__(cls)
        made.tree = tree
        _bounded(tree)
        return made

    @property
    def empty(self) -> bool:
        """Whether it says nothing that any record could fail, and so matches every one."""
        return _certain(self.tree) is True

    @property
    def everything(self) -> bool:
        """Whether its form alone says that it matches every record, as `Filter() | other` does."""
        return _constant(self.tree) is True

    def __and__(self, other: Filter) -> Filter:
        if not isinstance(other, Filter):
            return NotImplemented
        return Filter.of(Both((self.tree, other.tree)))

    def __or__(self, other: Filter) -> Filter:
        if not isinstance(other, Filter):
            return NotImplemented
        return Filter.of(Either((self.tree, other.tree)))

    def __invert__(self) -> Filter:
        return Filter.of(Not(self.tree))

    def __eq__(self, other: object) -> bool:
        # To Python, true and 1 are the same; to a payload they are not.
        return (
            isinstance(other, Filter)
            and self.tree == other.tree
            and _truths(self.tree) == _truths(other.tree)
        )

    def __hash__(self) -> int:
        return hash(self.tree)

    def __repr__(self) -> str:
        # Values may be remembered text: a filter that turns up in a log shows its fields only.
        return f"Filter({', '.join(sorted({c.field for c in conditions(self.tree)}))})"


def _certain(tree: Tree) -> bool | None:
    """What a tree says of every record alike; None when it depends on the record."""
    match tree:
        case Condition(_, choices):
            return None if choices else False
        case Both(parts):
            said = [_certain(part) for part in parts]
            return False if False in said else None if None in said else True
        case Either(parts):
            said = [_certain(part) for part in parts]
            return True if True in said else None if None in said else False
        case Not(part):
            inner = _certain(part)
            return None if inner is None else not inner


def conditions(tree: Tree) -> Iterable[Condition]:
    """Every single condition of a tree. Iterative, so that depth costs no stack."""
    stack: list[Tree] = [tree]
    while stack:
        match stack.pop():
            case Condition() as condition:
                yield condition
            case Both(parts) | Either(parts):
                stack.extend(reversed(parts))
            case Not(part):
                stack.append(part)


def _constant(tree: Tree) -> bool | None:
    """What a tree says of every record alike; None when that depends on the record."""
    match tree:
        case Condition(_, choices):
            return None if choices else False
        case Both(parts):
            said = {_constant(part) for part in parts}
            return False if False in said else None if None in said else True
        case Either(parts):
            said = {_constant(part) for part in parts}
            return True if True in said else None if None in said else False
        case Not(part):
            inner = _constant(part)
            return None if inner is None else not inner


def _truths(tree: Tree) -> list[bool]:
    return [isinstance(choice, bool) for c in conditions(tree) for choice in c.choices]


def names_field(where: Filter | None, field: Field) -> bool:
    """Whether the filter says anything about a field."""
    return where is not None and any(c.field == field for c in conditions(where.tree))


def _bounded(tree: Tree) -> None:
    deepest, count = 0, 0
    stack: list[tuple[Tree, int]] = [(tree, 1)]
    while stack:
        part, depth = stack.pop()
        deepest = max(deepest, depth)
        if deepest > MAX_DEPTH:
            raise InvalidFilter(f"more than {MAX_DEPTH} levels of nesting")
        match part:
            case Condition():
                count += 1
            case Both(parts) | Either(parts):
                stack.extend((p, depth + 1) for p in parts)
            case Not(inner):
                stack.append((inner, depth + 1))
    if count > MAX_CONDITIONS:
        raise InvalidFilter(f"more than {MAX_CONDITIONS} conditions")


def _listed(name: str, value: Any) -> tuple[Any, ...]:
    if isinstance(value, (list, tuple, set, frozenset)):
        choices = (
            tuple(sorted(value, key=repr)) if isinstance(value, (set, frozenset)) else tuple(value)
        )
        if len(choices) > MAX_CHOICES:
            raise InvalidFilter(f"{name}: more than {MAX_CHOICES} choices")
        return choices
    return (value,)


def _condition(name: str, value: Any) -> Condition:
    if name in _TEXTS:
        return Condition(name, tuple(_text(name, v) for v in _listed(name, value)))  # type: ignore[arg-type]  # checked against _TEXTS
    if name in _ENUMS:
        return Condition(name, tuple(_member(name, v) for v in _listed(name, value)))  # type: ignore[arg-type]  # checked against _ENUMS
    if name == "level":
        return Condition("level", tuple(_level(v) for v in _listed(name, value)))
    if name in _TIMES:
        if not isinstance(value, datetime):
            raise InvalidFilter(f"{name} takes a datetime, not {type(value).__name__}")
        try:
            return Condition(name, (aware(value),))  # type: ignore[arg-type]  # checked against _TIMES
        except ValueError as error:
            raise InvalidFilter(f"{name}: {error}") from None
    raise InvalidFilter(f"no field {name[:40]!r}; fields: {', '.join(get_args(Field))}")


def _text(name: str, value: Any) -> str | None:
    if value is None and name != "id":
        return None
    if not isinstance(value, str):
        raise InvalidFilter(f"{name} takes text, not {type(value).__name__}")
    if len(value) > MAX_NAME_CHARS:
        raise InvalidFilter(f"{name}: more than {MAX_NAME_CHARS} characters")
    try:
        return storable(value)
    except ValueError as error:
        raise InvalidFilter(f"{name} {error}") from None


def _member(name: str, value: Any) -> Origin | Kind | Status:
    try:
        return _ENUMS[name](value)
    except ValueError:
        known = ", ".join(_ENUMS[name])
        raise InvalidFilter(f"{name} is one of: {known}") from None


def _level(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
        raise InvalidFilter("level takes whole numbers from 0 to 100")
    return int(value)


def _payload(path: Any, value: Any) -> Condition:
    # The path is bound as a parameter by the store; plain names only, so that it means one thing.
    if not isinstance(path, str) or not _PATH.match(path):
        raise InvalidFilter("a payload path is plain names joined by dots, such as 'order.city'")
    choices = _listed("payload", value)
    for choice in choices:
        if not (choice is None or isinstance(choice, (str, int, float, bool))):
            raise InvalidFilter("payload compares text, numbers, booleans and null")
        if isinstance(choice, str):
            _text("payload", choice)
        if isinstance(choice, float) and not math.isfinite(choice):
            raise InvalidFilter("payload: a number that is none, or infinite")
        if isinstance(choice, int) and not -(2**63) <= choice < 2**63:
            raise InvalidFilter("payload: a whole number beyond 64 bits")
    return Condition("payload", choices, path)
