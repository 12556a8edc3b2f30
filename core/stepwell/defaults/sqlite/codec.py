"""Models to rows and back: ids, times, codes."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

from stepwell.contracts import STATUS_CODES
from stepwell.identity import id_text
from stepwell.models import EdgeKind, Kind, Origin, Record, Status

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)

# Codes start at 2: SQLite stores 0 and 1 in no bytes at all, and a row of content that is blanked
# in place must keep its length.
KINDS = tuple(Kind)
ORIGINS = tuple(Origin)
STATUSES = tuple(Status)
EDGES = tuple(EdgeKind)
KIND_CODE = {kind: i + 2 for i, kind in enumerate(KINDS)}
ORIGIN_CODE = {origin: i + 2 for i, origin in enumerate(ORIGINS)}
STATUS_CODE = STATUS_CODES
EDGE_CODE = {kind: i + 2 for i, kind in enumerate(EDGES)}
ACTIVE = STATUS_CODE[Status.ACTIVE]
LIVE, BLANK = 2, 3

OPS = (
    "add", "revise", "supersede", "merge", "link", "unlink", "rekey", "hide", "purge", "set_slot",
    "set_state", "put_document", "delete_document",
)  # fmt: skip
OP_CODE = {name: i + 2 for i, name in enumerate(OPS)}
WORKS = ("keys", "segment", "derive", "extract", "later", "organize")
WORK_CODE = {name: i + 2 for i, name in enumerate(WORKS)}


def micros(when: datetime | None) -> int | None:
    """Microseconds since 1970, exactly."""
    return None if when is None else (when - EPOCH) // _MICRO


def moment(value: int | None) -> datetime | None:
    """The moment of so many microseconds since 1970, in UTC."""
    return None if value is None else EPOCH + timedelta(microseconds=value)


def dumps(value: Any) -> str:
    """JSON as it is stored: compact, as sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _refused(said: str) -> float:
    raise ValueError(f"a number that is none, or infinite, of {len(said)} characters")


def _finite(said: str) -> float:
    number = float(said)
    return number if math.isfinite(number) else _refused(said)


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_refused)


def loads(said: str) -> Any:
    """What a JSON text says. ValueError or RecursionError for what `dumps` never makes."""
    return _DECODER.decode(said)


_EXTRA = ("upstream", "step", "action", "observation", "reward", "attachments")


def extra_of(record: Record) -> str | None:
    """The rarely used fields of a record, as JSON; None when all are empty."""
    said = (record.step, record.action, record.observation, record.reward)
    if not (record.upstream or record.attachments or any(part is not None for part in said)):
        return None
    return dumps(record.model_dump(mode="json", include=set(_EXTRA), exclude_defaults=True))


#: The columns that `record_of` reads, in its order. `r` are records, `c` contents.
RECORD_COLUMNS = (
    "r.ref, r.id, r.level, r.kind, r.origin, r.status, r.version, r.trust, r.said_at, "
    "r.stored_at, r.valid_from, r.valid_to, c.turn, c.actor, c.role, c.session, c.task, "
    "c.payload, c.extra, c.text"
)


def record_of(scope: tuple[str, ...], row: tuple[Any, ...]) -> Record:
    """The record of a row with RECORD_COLUMNS. Raises ValueError for a row of nonsense."""
    (
        _ref, raw, level, kind, origin, status, version, trust, said_at, stored_at, valid_from,
        valid_to, turn, actor, role, session, task, payload, extra, text,
    ) = row  # fmt: skip
    if text.startswith("\x00"):  # blanked: it waits to be derived again
        turn = actor = role = session = task = payload = extra = None
        text = ""
    fields: dict[str, Any] = {
        "id": id_text(raw),
        "scope": scope,
        "level": level,
        "kind": KINDS[kind - 2],
        "text": text,
        "turn": turn,
        "actor": actor,
        "role": role,
        "origin": ORIGINS[origin - 2],
        "trust": trust,
        "session": session,
        "task": task,
        "said_at": moment(said_at),
        "stored_at": moment(stored_at),
        "status": STATUSES[status - 2],
        "version": version,
    }
    if valid_from is not None:
        fields["valid_from"] = moment(valid_from)
    if valid_to is not None:
        fields["valid_to"] = moment(valid_to)
    if payload is not None:
        fields["payload"] = loads(payload)
    if extra is not None:
        fields.update({k: v for k, v in loads(extra).items() if k in _EXTRA})
    return Record.model_validate(fields)
