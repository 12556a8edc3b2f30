"""What a Filter means, written out in Python: the measure for every store that renders filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from stepwell.filters import Both, Condition, Either, Filter, Not, Tree
from stepwell.models import Record


def matches(where: Filter | None, record: Record) -> bool:
    """Whether a record is one that the filter lets through.

    What a record does not say (None) equals None alone, lies neither before nor after any time, and
    `~` is always the opposite. In a payload, what is not there is null; true and false are no
    numbers; 1 and 1.0 are the same; lists and objects equal nothing.
    """
    return where is None or _holds(where.tree, record)


def _holds(tree: Tree, record: Record) -> bool:
    match tree:
        case Both(parts):
            return all(_holds(part, record) for part in parts)
        case Either(parts):
            return any(_holds(part, record) for part in parts)
        case Not(part):
            return not _holds(part, record)
        case Condition():
            return _met(tree, record)


def _met(condition: Condition, record: Record) -> bool:
    if condition.field in _TIMES:
        return _TIMES[condition.field](record, condition.choices[0])
    if condition.field == "id":
        # A turn's id never begins like a record's.
        names = {record.id} | ({record.turn} if record.turn is not None else set())
        return any(choice in names for choice in condition.choices)
    if condition.field == "payload":
        return any(_same(_at(record.payload, condition.path), c) for c in condition.choices)
    return any(getattr(record, condition.field) == choice for choice in condition.choices)


def _said_after(record: Record, when: datetime) -> bool:
    return record.said_at is not None and record.said_at >= when


def _said_before(record: Record, when: datetime) -> bool:
    return record.said_at is not None and record.said_at < when


_TIMES: dict[str, Callable[[Record, datetime], bool]] = {
    "said_after": _said_after,
    "said_before": _said_before,
    "stored_after": lambda record, when: record.stored_at >= when,
    "stored_before": lambda record, when: record.stored_at < when,
}


def _at(payload: Mapping[str, Any], path: str | None) -> Any:
    value: Any = payload
    for name in (path or "").split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def _same(value: Any, choice: Any) -> bool:
    if isinstance(value, bool) or isinstance(choice, bool):
        return value is choice
    if isinstance(value, list | dict):
        return False
    return bool(value == choice)
