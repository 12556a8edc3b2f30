"""A Filter as a WHERE clause: constant pieces of SQL, every value bound."""

from __future__ import annotations

from typing import Any

from stepwell.defaults.sqlite.codec import KIND_CODE, ORIGIN_CODE, STATUS_CODE, dumps, micros
from stepwell.filters import Both, Condition, Either, Filter, Not, Tree
from stepwell.identity import id_bytes

# `IS` and json_each compare NULL like any other value, so that "not" means the opposite.
_ONE = {
    "session": "c.session IS ?",
    "actor": "c.actor IS ?",
    "role": "c.role IS ?",
    "task": "c.task IS ?",
    "origin": "r.origin IS ?",
    "kind": "r.kind IS ?",
    "level": "r.level IS ?",
    "status": "r.status IS ?",
}
_SOME = {
    "session": "EXISTS (SELECT 1 FROM json_each(?) j WHERE j.value IS c.session)",
    "actor": "EXISTS (SELECT 1 FROM json_each(?) j WHERE j.value IS c.actor)",
    "role": "EXISTS (SELECT 1 FROM json_each(?) j WHERE j.value IS c.role)",
    "task": "COALESCE(c.task IN (SELECT value FROM json_each(?)), 0)",
    "origin": "EXISTS (SELECT 1 FROM json_each(?) j WHERE j.value IS r.origin)",
    "kind": "EXISTS (SELECT 1 FROM json_each(?) j WHERE j.value IS r.kind)",
    "level": "EXISTS (SELECT 1 FROM json_each(?) j WHERE j.value IS r.level)",
    "status": "EXISTS (SELECT 1 FROM json_each(?) j WHERE j.value IS r.status)",
}
_TIME = {
    "said_after": "COALESCE(r.said_at >= ?, 0)",
    "said_before": "COALESCE(r.said_at < ?, 0)",
    "stored_after": "r.stored_at >= ?",
    "stored_before": "r.stored_at < ?",
}
_ID = (
    "(EXISTS (SELECT 1 FROM json_each(?) j WHERE j.value = hex(r.id)) OR "
    "EXISTS (SELECT 1 FROM json_each(?) j WHERE j.value = c.turn))"
)
# What is blank waits to be derived again, and says nothing.
_UNSAID = {
    "session": "(c.session IS NULL OR substr(CAST(c.session AS BLOB), 1, 1) IS x'00')",
    "actor": "(c.actor IS NULL OR substr(CAST(c.actor AS BLOB), 1, 1) IS x'00')",
    "role": "(c.role IS NULL OR substr(CAST(c.role AS BLOB), 1, 1) IS x'00')",
    "task": "(c.task IS NULL OR substr(CAST(c.task AS BLOB), 1, 1) IS x'00')",
}
_SAID = "CASE substr(CAST(c.payload AS BLOB), 1, 1) WHEN x'00' THEN NULL ELSE c.payload END"
# SQLite gives 1 for true, and for a list or an object its text.
_PAYLOAD = (
    "EXISTS (SELECT 1 FROM json_each(?) j WHERE j.value IS json_extract(" + _SAID + ", ?) "  # noqa: S608 - of constants
    "AND CASE json_type(" + _SAID + ", ?) WHEN 'true' THEN j.type = 'true' "
    "WHEN 'false' THEN j.type = 'false' WHEN 'array' THEN 0 WHEN 'object' THEN 0 "
    "ELSE j.type NOT IN ('true', 'false') END)"
)
_CODES: dict[str, dict[Any, int]] = {
    "origin": dict(ORIGIN_CODE),
    "kind": dict(KIND_CODE),
    "status": dict(STATUS_CODE),
}


def where_clause(where: Filter | None) -> tuple[str, list[Any]]:
    """A condition over `records r` joined with `contents c`, and its values in order."""
    if where is None:
        return "1", []
    values: list[Any] = []
    return _render(where.tree, values), values


def named(where: Filter | None) -> tuple[tuple[str, ...] | None, Filter | None]:
    """The ids that a filter asks for, and what else it asks; None where it names no ids."""
    if where is None:
        return None, None
    parts = where.tree.parts if isinstance(where.tree, Both) else (where.tree,)
    for at, part in enumerate(parts):
        if isinstance(part, Condition) and part.field == "id":
            return part.choices, Filter.of(Both((*parts[:at], *parts[at + 1 :])))
    return None, where


def _render(tree: Tree, values: list[Any]) -> str:
    match tree:
        case Condition() as condition:
            return _condition(condition, values)
        case Both(parts):
            return (
                "(" + " AND ".join([_render(part, values) for part in parts]) + ")"
                if parts
                else "1"
            )
        case Either(parts):
            return (
                "(" + " OR ".join([_render(part, values) for part in parts]) + ")" if parts else "0"
            )
        case Not(part):
            return "(NOT " + _render(part, values) + ")"


def _condition(condition: Condition, values: list[Any]) -> str:
    field, choices = condition.field, condition.choices
    if field in _TIME:
        values.append(micros(choices[0]))
        return _TIME[field]
    if field == "id":
        raw = [id_bytes(choice) for choice in choices]
        values.append(dumps([r.hex().upper() for r in raw if r is not None]))
        values.append(dumps([c for c in choices if not c.startswith("r_")]))
        return _ID
    if field == "payload":
        path = "$." + ".".join('"' + name + '"' for name in (condition.path or "").split("."))
        values.extend((dumps(list(choices)), path, path))
        return _PAYLOAD
    if None in choices and field in _UNSAID:
        said = [choice for choice in choices if choice is not None]
        values.append(dumps(said))
        return "(" + _SOME[field] + " OR " + _UNSAID[field] + ")"
    stored = [_CODES[field][choice] for choice in choices] if field in _CODES else list(choices)
    if len(stored) == 1:
        values.append(stored[0])
        return _ONE[field]
    values.append(dumps(stored))
    return _SOME[field]
