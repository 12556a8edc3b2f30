"""Reading what a language model says: tolerant of what stands around its JSON, not of its size."""

from __future__ import annotations

import json
import re
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from stepwell.fencing import sanitise

#: Characters of an answer; a longer one is not read at all.
LONGEST: Final = 200_000
#: Brackets within each other, at most.
DEEPEST: Final = 24
#: Places where JSON is looked for, at most.
_TRIES: Final = 16

_BLOCK = re.compile(r"```[a-zA-Z]*\s*\n(.*?)```", re.DOTALL)
_BRACKET = re.compile(r"[\[{\]}]")
_Shape = TypeVar("_Shape", bound=BaseModel)


class Unreadable(Exception):
    """An answer cannot be used. The message tells why, and nothing of what it says."""


def read(answer: str, shape: type[_Shape], nonce: str = "") -> _Shape:
    """The first JSON in an answer that has a shape. Raises Unreadable.

    The word that quoted texts were fenced by, and what nobody sees, is taken out of its texts.
    """
    if len(answer) > LONGEST:
        raise Unreadable(f"longer than {LONGEST} characters")
    thought = answer.rpartition("</think>")[2]
    why = "no JSON in it"
    blocks = _BLOCK.findall(thought)
    for part in (*blocks[:_TRIES], thought):
        for value in _values(part):
            try:
                return shape.model_validate(_clean(_wrapped(value, shape), nonce))
            except ValidationError as error:
                why = _said(error)
    raise Unreadable(why)


def _values(text: str) -> list[Any]:
    """Objects and lists that stand in a text, outermost ones, in order."""
    found: list[Any] = []
    decoder = json.JSONDecoder(parse_constant=_refuse)
    at = 0
    for _ in range(_TRIES):
        bracket = re.compile(r"[\[{]").search(text, at)
        if bracket is None:
            break
        at = bracket.start()
        if _depth(text, at) > DEEPEST:
            raise Unreadable(f"more than {DEEPEST} brackets within each other")
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
        else:
            found.append(value)
    return found


def _depth(text: str, start: int) -> int:
    """How deep brackets lie within each other, those in quotation marks counted like others."""
    deep = deepest = 0
    for bracket in _BRACKET.finditer(text, start):
        if bracket[0] in "[{":
            deep += 1
            deepest = max(deepest, deep)
            if deepest > DEEPEST:
                break
        else:
            deep = max(0, deep - 1)
    return deepest


def _refuse(name: str) -> float:
    raise ValueError(name)  # NaN and infinities are no JSON


def _wrapped(value: Any, shape: type[BaseModel]) -> Any:
    """A bare list is taken for the only list that the shape has."""
    if isinstance(value, list):
        return {next(iter(shape.model_fields)): value}
    return value


def _clean(value: Any, nonce: str) -> Any:
    if isinstance(value, str):
        return sanitise(value.replace(nonce, "") if nonce else value).strip()
    if isinstance(value, list):
        return [_clean(each, nonce) for each in value]
    if isinstance(value, dict):
        return {key: _clean(each, nonce) for key, each in value.items()}
    return value


def _said(error: ValidationError) -> str:
    """What does not fit, and where: fields and kinds of errors, never a value."""
    parts = [
        f"{'.'.join(str(step) for step in each['loc'])[:80]}: {each['type']}"
        for each in error.errors(include_url=False, include_input=False, include_context=False)[:5]
    ]
    return "; ".join(parts)
