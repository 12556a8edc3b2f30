"""The texts that stand at a path inside of a JSON value.

A path leads from field to field by dots: `parent.child`. `list[0]` and `list[-1]` take one element,
`list[*]` each of them, `*` each value of a mapping or list, `{one,other.child}` several fields. An
empty path, or `$`, is the whole value. What lies there and is neither text nor number is told as
JSON; null, and what is not there, tell nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_CLOSING = {"[": "]", "{": "}"}


def texts_at(value: Any, path: str) -> list[str]:
    """The texts at a path, in the order of the value. Nothing for a path that leads nowhere."""
    if path in {"", "$"}:
        return _told(value)
    return [text for found in _follow(value, steps(path)) for text in _told(found)]


def steps(path: str) -> list[str]:
    """A path in pieces: names of fields, and what stands in brackets or braces, with these."""
    found: list[str] = []
    plain, at = "", 0
    while at < len(path):
        char = path[at]
        if char in _CLOSING:
            end = _end(path, at)
            found += [plain, path[at:end]]
            plain, at = "", end
            continue
        if char == ".":
            found.append(plain)
            plain = ""
        else:
            plain += char
        at += 1
    return [step for step in (*found, plain) if step]


def _end(path: str, begin: int) -> int:
    """Behind the bracket that closes the one at `begin`; the end of the path if none does."""
    opening, depth = path[begin], 0
    for at in range(begin, len(path)):
        depth += (path[at] == opening) - (path[at] == _CLOSING[opening])
        if depth == 0:
            return at + 1
    return len(path)


def _follow(value: Any, left: list[str]) -> Iterator[Any]:
    if not left:
        yield value
        return
    step, rest = left[0], left[1:]
    if step[0] == "{" and step[-1] == "}":
        # The last step, wherever it stands.
        if isinstance(value, Mapping):
            yield from _several(value, step)
        return
    for found in _one(value, step):
        yield from _follow(found, rest)


def _one(value: Any, step: str) -> list[Any]:
    """What a single step leads to."""
    if step[0] == "[" and step[-1] == "]":
        return _elements(value, step[1:-1]) if isinstance(value, list) else []
    if step == "*":
        every = value.values() if isinstance(value, Mapping) else value
        return list(every) if isinstance(value, Mapping | list) else []
    return [value[step]] if isinstance(value, Mapping) and step in value else []


def _elements(value: list[Any], which: str) -> list[Any]:
    if which == "*":
        return value
    try:
        at = int(which)
    except ValueError:
        return []
    return [value[at]] if -len(value) <= at < len(value) else []


def _several(value: Mapping[str, Any], step: str) -> Iterator[Any]:
    """The fields named in braces, each by steps of names alone."""
    for path in step[1:-1].split(","):
        found: Any = value
        names = steps(path.strip())
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        if names:
            yield found


def _told(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str | int | float):
        return [str(value)]
    return [json.dumps(value, sort_keys=True, ensure_ascii=False)]
