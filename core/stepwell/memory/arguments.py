"""What callers pass in, checked once, at the door. Errors never quote a text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pydantic import ValidationError

from stepwell.contracts import Query
from stepwell.errors import InvalidFilter, InvalidQuery, InvalidScope, InvalidTurn
from stepwell.filters import Filter
from stepwell.identity import SCHEME
from stepwell.models import MAX_TEXT_BYTES, Turn, aware, storable

MAX_SEGMENTS = 8
MAX_SEGMENT_CHARS = 128


def segments(given: Sequence[object]) -> tuple[str, ...]:
    """A scope's path. Every character means itself; nothing is a pattern or a parent."""
    if not 1 <= len(given) <= MAX_SEGMENTS:
        raise InvalidScope(f"a scope has 1 to {MAX_SEGMENTS} segments")
    for segment in given:
        if not isinstance(segment, str) or not 1 <= len(segment) <= MAX_SEGMENT_CHARS:
            raise InvalidScope(f"a segment is a text of 1 to {MAX_SEGMENT_CHARS} characters")
        if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in segment):
            raise InvalidScope("a segment has no control characters")
        try:
            storable(segment)
        except ValueError as error:
            raise InvalidScope(f"a segment {error}") from None
    return tuple(str(segment) for segment in given)


def to_uri(path: str, scope: tuple[str, ...]) -> str:
    """A scope's URI. Raises InvalidScope for a store in memory."""
    if path == ":memory:":
        raise InvalidScope("a scope in memory has no URI; open the Memory on a file")
    named = "/".join(quote(segment, safe="") for segment in scope)
    return f"{SCHEME}://{quote(path)}?scope={named}"


def from_uri(uri: object) -> tuple[str, tuple[str, ...]]:
    """The file and the scope that a URI names. Raises InvalidScope."""
    if not isinstance(uri, str) or not uri.startswith(SCHEME + "://"):
        raise InvalidScope(f"a scope's URI looks like {SCHEME}:///path/to.db?scope=acme/alice")
    parts = urlsplit(uri)
    query = dict(pair.partition("=")[::2] for pair in parts.query.split("&"))
    if parts.netloc or parts.fragment or len(parts.path) < 2 or set(query) != {"scope"}:
        raise InvalidScope(f"a scope's URI looks like {SCHEME}:///path/to.db?scope=acme/alice")
    try:
        named = [unquote(part, errors="strict") for part in query["scope"].split("/")]
        path = unquote(parts.path, errors="strict")
    except UnicodeDecodeError:
        raise InvalidScope("the URI's escapes are no UTF-8") from None
    return path, segments(named)


def turn_of(given: object, fields: Mapping[str, Any]) -> Turn:
    """A Turn from a text, a mapping or a Turn, with fields beside it. Raises InvalidTurn."""
    if isinstance(given, Turn) and not fields:
        return given
    if isinstance(given, Turn):
        data = {**given.model_dump(), **fields}
    elif isinstance(given, Mapping):
        data = {**given, **fields}
    else:
        data = {"text": given, **fields}
    try:
        return Turn.model_validate(data)
    except ValidationError as error:
        raise InvalidTurn(f"turn {_label(data.get('id'))}: {_reasons(error)}") from None


def turns_of(given: Iterable[object]) -> list[Turn]:
    """Turns from an iterable of texts, mappings or Turns."""
    if isinstance(given, (str, bytes, Mapping)):
        raise InvalidTurn("remember_many takes a list of turns")
    return [turn_of(turn, {}) for turn in given]


def _label(turn_id: object) -> str:
    return repr(turn_id[:60]) if isinstance(turn_id, str) else "without id"


def _reasons(error: ValidationError) -> str:
    """What is wrong with which field, without the input itself."""
    reasons = []
    for one in error.errors(include_url=False, include_context=False, include_input=False)[:5]:
        where = ".".join(str(part) for part in one["loc"][:1]) or "turn"
        reasons.append(f"{where[:40]}: {one['msg'].removeprefix('Value error, ')}")
    return "; ".join(reasons)


def query_of(
    text: object, *, k: int = 10, now: datetime | None = None, where: Filter | None = None,
    levels: Iterable[int] | None = None, min_trust: float = 0.0, min_score: float = 0.0,
    role: str | None = None, task: str | None = None,
) -> Query:  # fmt: skip
    """A Query. Raises InvalidQuery or InvalidFilter."""
    if not isinstance(text, str):
        raise InvalidQuery(f"a query is a text, not {type(text).__name__}")
    if len(text) > MAX_TEXT_BYTES:
        raise InvalidQuery(f"a query has at most {MAX_TEXT_BYTES} characters")
    try:
        storable(text)
    except ValueError as error:
        raise InvalidQuery(f"the query {error}") from None
    if isinstance(k, bool) or not isinstance(k, int) or k < 0:
        raise InvalidQuery("k is a whole number from 0 on")
    if where is not None and not isinstance(where, Filter):
        raise InvalidFilter(f"where takes a Filter, not {type(where).__name__}")
    for name, value in (("min_trust", min_trust), ("min_score", min_score)):
        if not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
            raise InvalidQuery(f"{name} is a number from 0 to 1")
    return Query(
        text=text, k=min(k, 2**31), now=moment_of(now, "now"), where=where, levels=_levels(levels),
        min_trust=float(min_trust), min_score=float(min_score), role=role, task=task,
    )  # fmt: skip


def _levels(levels: Iterable[int] | None) -> tuple[int, ...]:
    if levels is None:
        return (0,)
    if isinstance(levels, int) and not isinstance(levels, bool):
        levels = (levels,)
    chosen = tuple(dict.fromkeys(levels)) if not isinstance(levels, str) else ()
    if not chosen or len(chosen) > 100:
        raise InvalidQuery("levels are whole numbers from 0 on, such as (0, 1)")
    for level in chosen:
        if isinstance(level, bool) or not isinstance(level, int) or not 0 <= level <= 100:
            raise InvalidQuery("levels are whole numbers from 0 on, such as (0, 1)")
    return tuple(int(level) for level in chosen)


def moment_of(when: object, name: str) -> datetime | None:
    """An aware time, or None. Raises InvalidQuery."""
    if when is None:
        return None
    if not isinstance(when, datetime):
        raise InvalidQuery(f"{name} takes a datetime, not {type(when).__name__}")
    try:
        return aware(when)
    except ValueError as error:
        raise InvalidQuery(f"{name}: {error}") from None


def seconds_of(value: object, name: str) -> float | None:
    """A number of seconds from now, or None. Raises InvalidQuery."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise InvalidQuery(f"{name} is a number of seconds from now")
    return None if math.isinf(value) else float(value)
