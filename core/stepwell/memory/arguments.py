"""What callers pass in, checked once, at the door. Errors never quote a text."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pydantic import ValidationError

from stepwell.contracts import Query
from stepwell.errors import InvalidFilter, InvalidQuery, InvalidScope, InvalidTurn, NotAStore
from stepwell.fencing import count_tokens
from stepwell.filters import Filter
from stepwell.identity import SCHEME
from stepwell.models import MAX_NAME_CHARS, MAX_TEXT_BYTES, Turn, aware, storable
from stepwell.ops import SetSlot

MAX_SEGMENTS = 8
MAX_SEGMENT_CHARS = 128
MAX_PATH_CHARS = 32_767
#: Turns that a reader sees already: more than any window of a model holds.
MAX_WITHOUT = 100_000
#: What a slot's text may rest on, and how long the reason for it may be.
MAX_SOURCES, MAX_WHY_CHARS = 4_096, 65_536


def path_of(given: object) -> str:
    """The path, or URI, of a store. Raises NotAStore."""
    path = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(path, str):
        raise NotAStore(f"a path is text, not {type(given).__name__}")
    try:
        storable(path)
    except ValueError as error:
        raise NotAStore(f"a path {error}") from None
    if not 1 <= len(path) <= MAX_PATH_CHARS:
        raise NotAStore(f"a path has 1 to {MAX_PATH_CHARS} characters")
    return path


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
    data: Any
    if isinstance(given, Turn):
        data = {**_fields(given), **fields} if fields else given
    elif isinstance(given, Mapping):
        data = {**given, **fields}
    else:
        data = {"text": given, **fields}
    try:
        return Turn.model_validate(data)
    except ValidationError as error:
        named = data.id if isinstance(data, Turn) else data.get("id")
        raise InvalidTurn(f"turn {_label(named)}: {_reasons(error)}") from None


def _fields(turn: Turn) -> dict[str, Any]:
    return {name: getattr(turn, name, None) for name in Turn.model_fields}


def turns_of(given: Iterable[object]) -> list[Turn]:
    """Turns from an iterable of texts, mappings or Turns."""
    if isinstance(given, (str, bytes, Mapping)):
        raise InvalidTurn("remember_many takes a list of turns")
    return [turn_of(turn, {}) for turn in given]


def text_of(given: object) -> str:
    """A text to remember. Raises InvalidTurn."""
    if not isinstance(given, str) or not given.strip():
        raise InvalidTurn("there is no text to remember")
    text = turn_of(given, {}).text
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise InvalidTurn(f"more than {MAX_TEXT_BYTES} bytes of text")
    return text


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
    role: str | None = None, task: str | None = None, budget: int | None = None,
    without: object = (),
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
    if where is not None and not isinstance(where, Filter):
        raise InvalidFilter(f"where takes a Filter, not {type(where).__name__}")
    for name, value in (("role", role), ("task", task)):
        if value is not None:
            _named(value, name)
    return Query(
        text=text, k=min(whole(k, "k"), 2**31), now=moment_of(now, "now"), where=where,
        levels=_levels(levels), min_trust=fraction(min_trust, "min_trust"),
        min_score=fraction(min_score, "min_score"), role=role, task=task,
        budget=None if budget is None else whole(budget, "a budget of tokens"),
        free=levels is None and budget is not None, without=_names(without),
    )  # fmt: skip


def _names(ids: object) -> frozenset[str]:
    if isinstance(ids, str) or not isinstance(ids, Iterable):
        raise InvalidQuery("without takes turn ids: a list or a set of them")
    names = frozenset(id_of(name) for name in islice(ids, MAX_WITHOUT + 1))
    if len(names) > MAX_WITHOUT:
        raise InvalidQuery(f"without takes at most {MAX_WITHOUT:,} turn ids")
    return names


def id_of(name: object) -> str:
    """A record's or turn's id. Raises InvalidQuery."""
    if not isinstance(name, str):
        raise InvalidQuery(f"an id is a text, not {type(name).__name__}")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidQuery("an id holds a lone surrogate, which no UTF-8 text can") from None
    return name


def slot_name(name: str) -> str:
    """A slot's name. Raises InvalidQuery."""
    if not id_of(name):
        raise InvalidQuery("a slot's name is not empty")
    return _named(name, "a slot's name")


def _named(name: object, what: str) -> str:
    if not isinstance(name, str) or len(name) > MAX_NAME_CHARS:
        raise InvalidQuery(f"{what} is a text of at most {MAX_NAME_CHARS} characters")
    try:
        return storable(name)
    except ValueError as error:
        raise InvalidQuery(f"{what} {error}") from None


def slot_op(name: str, text: str, budget: int, sources: Sequence[str], why: str) -> SetSlot:
    """A new text for a slot. Raises InvalidQuery, and InvalidTurn for a text of nonsense."""
    checked = turn_of(text, {}).text
    if len(checked) > MAX_TEXT_BYTES // 4:
        raise InvalidQuery(f"a slot's text has at most {MAX_TEXT_BYTES // 4} characters")
    if count_tokens(checked) > whole(budget, "a slot's budget", 1, 100_000):
        raise InvalidQuery(f"the slot's text has more than its budget of {budget} tokens")
    if len(sources) > MAX_SOURCES or len(why) > MAX_WHY_CHARS:
        raise InvalidQuery(
            f"a slot has at most {MAX_SOURCES} sources, and a reason of {MAX_WHY_CHARS} characters"
        )
    try:
        return SetSlot(
            slot=slot_name(name), text=checked, budget=budget,
            sources=tuple(_named(source, "a source") for source in sources), why=why,
        )  # fmt: skip
    except ValidationError as error:
        raise InvalidQuery(_reasons(error)) from None


def _levels(levels: object) -> tuple[int, ...]:
    if levels is None:
        return (0,)
    given = (levels,) if isinstance(levels, int) else levels
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InvalidQuery("levels are whole numbers from 0 on, such as (0, 1)")
    chosen = tuple(dict.fromkeys(whole(level, "a level", 0, 100) for level in given))
    if not 1 <= len(chosen) <= 100:
        raise InvalidQuery("levels are 1 to 100 whole numbers, such as (0, 1)")
    return chosen


def whole(value: object, name: str, low: int = 0, high: float = math.inf) -> int:
    """A whole number from `low` to `high`. Raises InvalidQuery."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        until = "on" if high == math.inf else f"to {high:,}"
        raise InvalidQuery(f"{name} is a whole number from {low} {until}")
    return value


def fraction(value: object, name: str) -> float:
    """A number from 0 to 1. Raises InvalidQuery."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise InvalidQuery(f"{name} is a number from 0 to 1")
    return float(value)


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
