"""The lines of an export: a header, turns, derived records, slots, documents, and an end.

Each is one JSON object with one name that says what it is. Names in edges are turn ids, or record
ids where there is no turn.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue, ValidationError

from stepwell.committing import NO_USAGE, Kept, sized
from stepwell.identity import id_bytes
from stepwell.models import (
    Attachment,
    Document,
    Edge,
    EdgeKind,
    Finite,
    Frozen,
    Kind,
    Name,
    Origin,
    Payload,
    Record,
    Slot,
    Status,
    Text,
    Turn,
    Unit,
    Usage,
    When,
)  # fmt: skip
from stepwell.ops import Add

#: What the first line says, and the version of all others.
FORMAT, VERSION = "export", 1
#: Work that may be queued about a record.
WAITS = ("segment", "extract", "organize")
#: How deep a JSON value may be nested.
_DEEPEST = 200
_HUGE = 2**62


def _record_id(name: str) -> str:
    if id_bytes(name) is None:
        raise ValueError("is no id of a record")
    return name


def _flat(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    left: list[tuple[object, int]] = [(value, 1)]
    while left:
        held, depth = left.pop()
        if depth > _DEEPEST:
            raise ValueError(f"is nested more than {_DEEPEST} deep")
        if isinstance(held, dict):
            left += [(each, depth + 1) for each in held.values()]
        elif isinstance(held, list):
            left += [(each, depth + 1) for each in held]
    return value


RecordId = Annotated[str, AfterValidator(_record_id)]
Value = Annotated[Payload, AfterValidator(_flat)]
Count = Annotated[int, Field(ge=0, le=_HUGE)]
Whole = Annotated[int, Field(ge=1, le=_HUGE)]


class EdgeLine(Frozen):
    """An edge out of the record that the line is about, or into it."""

    kind: EdgeKind
    to: Text | None = None
    of: Text | None = None
    weight: Finite = 1.0
    label: Text | None = None
    sources: tuple[Text, ...] = ()


class UsageLine(Frozen):
    """A line of the ledger."""

    shown: Count = 0
    used: Count = 0
    success: Finite = 0.0
    failure: Finite = 0.0
    strength: Finite = 1.0
    last_used: When | None = None


class _Told(Frozen):
    """What turns and derived records have in common."""

    text: Text
    actor: Name | None = None
    role: Name | None = None
    session: Name | None = None
    task: Name | None = None
    origin: Origin
    trust: Unit
    said_at: When | None = None
    stored_at: When
    valid_from: When | None = None
    valid_to: When | None = None
    status: Status = Status.ACTIVE
    version: Whole = 1
    payload: Value = Field(default_factory=dict)
    upstream: tuple[Name, ...] = ()
    step: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    action: Text | None = None
    observation: Text | None = None
    reward: Finite | None = None
    attachments: tuple[Attachment, ...] = ()
    edges: tuple[EdgeLine, ...] = ()
    usage: UsageLine | None = None
    waits: tuple[Literal["segment", "extract", "organize"], ...] = ()


class TurnLine(_Told):
    """A turn."""

    id: Name
    record: RecordId


class RecordLine(_Told):
    """A derived record."""

    id: RecordId
    level: Annotated[int, Field(ge=0, le=100)]
    kind: Kind


class SlotLine(Frozen):
    """A slot."""

    name: Name
    text: Text
    budget: Annotated[int, Field(ge=1, le=100_000)]
    version: Whole
    updated_at: When
    sources: tuple[Text, ...] = ()


class DocumentLine(Frozen):
    """A document."""

    namespace: tuple[Annotated[Text, Field(min_length=1, max_length=65_536)], ...] = Field(
        max_length=64
    )
    key: Annotated[Text, Field(max_length=65_536)]
    value: Value
    created_at: When
    updated_at: When
    expires_at: When | None = None
    ttl: Annotated[float, Field(gt=0, lt=1e10)] | None = None
    index: Literal[False] | tuple[Text, ...] | None = None


#: The fields of a record in the order in which a line tells them, but for what it always tells.
_SELDOM = (
    "actor", "role", "session", "task", "said_at", "valid_from", "valid_to", "payload", "upstream",
    "step", "action", "observation", "reward",
)  # fmt: skip


def header(scope: Sequence[str], preset: str) -> dict[str, Any]:
    """The first line."""
    return {"stepwell": FORMAT, "version": VERSION, "scope": list(scope), "preset": preset}


def told(record: Record, edges: Sequence[EdgeLine], usage: Usage, waits: Sequence[str]) -> Any:
    """The line of a record."""
    line: dict[str, Any]
    if record.turn is None:
        line = {"id": record.id, "level": record.level, "kind": record.kind.value}
    else:
        line = {"id": record.turn, "record": record.id}
    line["text"] = record.text
    for name in _SELDOM:
        value = getattr(record, name)
        if value is not None and value not in ((), {}):
            line[name] = _plain(value)
    line |= {"origin": record.origin.value, "trust": record.trust}
    if record.attachments:
        line["attachments"] = [a.model_dump() for a in record.attachments]
    line["stored_at"] = _plain(record.stored_at)
    if record.status is not Status.ACTIVE:
        line["status"] = record.status.value
    if record.version != 1:
        line["version"] = record.version
    if edges:
        line["edges"] = [edge.model_dump(mode="json", exclude_defaults=True) for edge in edges]
    if usage != NO_USAGE:
        said = usage.model_dump(exclude_defaults=True)
        line["usage"] = {name: _plain(value) for name, value in said.items()}
    if waits:
        line["waits"] = list(waits)
    return {"record" if record.turn is None else "turn": line}


def slot_told(slot: Slot) -> Any:
    """The line of a slot."""
    line = {
        "name": slot.name, "text": slot.text, "budget": slot.budget, "version": slot.version,
        "updated_at": _plain(slot.updated_at),
    }  # fmt: skip
    return {"slot": line | ({"sources": list(slot.sources)} if slot.sources else {})}


def document_told(document: Document) -> Any:
    """The line of a document."""
    line: dict[str, Any] = {
        "namespace": list(document.namespace), "key": document.key, "value": document.value,
        "created_at": _plain(document.created_at), "updated_at": _plain(document.updated_at),
    }  # fmt: skip
    for name in ("expires_at", "ttl", "index"):
        value = getattr(document, name)
        if value is not None:
            line[name] = _plain(value)
    return {"document": line}


def written(line: Any) -> str:
    """A line as it stands in the file."""
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def kept_turn(said: object, scope: tuple[str, ...]) -> Kept:
    """A turn that a line tells of. Raises ValueError, InvalidTurn."""
    line = TurnLine.model_validate(said)
    sent = Turn(
        text=line.text, id=line.id, actor=line.actor, role=line.role, session=line.session,
        at=line.said_at, origin=line.origin, trust=line.trust, upstream=line.upstream,
        task=line.task, step=line.step, action=line.action, observation=line.observation,
        reward=line.reward, attachments=line.attachments, payload=line.payload,
    )  # fmt: skip
    sized(sent)
    record = Record(id=line.record, turn=line.id, scope=scope, **_fields(line))
    return _kept(record, line, sent)


def kept_record(said: object, scope: tuple[str, ...]) -> Kept:
    """A derived record that a line tells of. Raises ValueError."""
    line = RecordLine.model_validate(said)
    if not line.text and line.status is not Status.STALE:
        raise ValueError("a derived record needs a text")
    record = Record(id=line.id, level=line.level, kind=line.kind, scope=scope, **_fields(line))
    return _kept(Add(record=record).record, line, None)


def screened_as(kept: Kept, turn: Turn) -> Kept:
    """The same turn as screening plugins have left it."""
    if turn == kept.sent:
        return kept
    changes = {name: getattr(turn, name) for name in _SCREENED}
    if turn.origin is not None:
        changes["origin"] = turn.origin
    if turn.trust is not None:
        changes["trust"] = turn.trust
    record = kept.record.model_copy(update=changes)
    return Kept(record, kept.keys, kept.sent, kept.edges, kept.usage, kept.waits, kept.degraded)


_SCREENED = (
    "text", "actor", "role", "session", "task", "upstream", "step", "action", "observation",
    "reward", "attachments", "payload",
)  # fmt: skip


def kept_slot(said: object) -> Slot:
    """A slot that a line tells of. Raises ValueError."""
    line = SlotLine.model_validate(said)
    return Slot(**line.model_dump())


def kept_document(said: object) -> Document:
    """A document that a line tells of. Raises ValueError."""
    line = DocumentLine.model_validate(said)
    return Document(**{name: getattr(line, name) for name in DocumentLine.model_fields})


def _fields(line: _Told) -> dict[str, Any]:
    fields = ("text", "origin", "trust", "stored_at", "status", "version", "attachments", *_SELDOM)
    return {name: getattr(line, name) for name in fields}


def _kept(record: Record, line: _Told, sent: Turn | None) -> Kept:
    name = record.turn or record.id
    usage = NO_USAGE if line.usage is None else Usage(**line.usage.model_dump())
    edges = tuple(_edge(name, edge) for edge in line.edges)
    return Kept(record, (), sent, edges, usage, tuple(dict.fromkeys(line.waits)))


def _edge(name: str, line: EdgeLine) -> Edge:
    if (line.to is None) is (line.of is None):
        raise ValueError("an edge has one other end, 'to' or 'of'")
    source, target = (name, line.to) if line.to is not None else (line.of, name)
    return Edge(
        source=source or "", kind=line.kind, target=target or "", weight=line.weight,
        label=line.label, sources=line.sources,
    )  # fmt: skip


_LINES = (Turn, TurnLine, RecordLine, SlotLine, DocumentLine)
_KNOWN = frozenset(field for kind in _LINES for field in kind.model_fields)


def reasons(error: ValueError) -> str:
    """What is wrong, without a word of what was there."""
    if not isinstance(error, ValidationError):
        return str(error)
    found = []
    for one in error.errors(include_url=False, include_context=False, include_input=False)[:3]:
        where = str(one["loc"][0]) if one["loc"] else ""
        said = one["msg"].removeprefix("Value error, ")
        found.append(f"{where}: {said}" if where in _KNOWN else f"a field: {said}")
    return "; ".join(found)
