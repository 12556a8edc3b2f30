"""What importers share: ids that are the same every time, times, and where a turn comes from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from stepwell.models import MAX_NAME_CHARS

#: Bytes of somebody else's metadata that are kept.
_MOST = 64 * 1024
_CAPTION = 64 * 1024


def text_of(value: object) -> str:
    """The value, if it is a text; else an empty one."""
    return value if isinstance(value, str) else ""


def mapping_of(value: object) -> Mapping[str, Any]:
    """The value, if it is an object; else an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """The value, if it is a list; else an empty one."""
    return value if isinstance(value, list) else []


def digest(*parts: str) -> str:
    """The same short name for the same parts."""
    said = json.dumps(parts, ensure_ascii=True)
    return hashlib.blake2b(said.encode(), digest_size=12).hexdigest()


def named(*parts: str) -> str:
    """An id out of parts; a digest of them where they are too long for one, or hold a NUL."""
    name = ":".join(parts)
    usable = len(name) <= MAX_NAME_CHARS and name.isprintable()
    return name if usable else f"{parts[0]}:{digest(*parts[1:])}"


def versioned(program: str, name: str, text: str) -> str:
    """An id of what may be changed under one name: each text is a turn of its own."""
    return named(program, name, digest(text)[:12])


def moment(value: object) -> datetime | None:
    """A time that is given as seconds since 1970 or in ISO 8601; None if there is none.

    Raises ValueError for a number or a text that is no time.
    """
    if value is None or value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError, ValueError):
            raise ValueError("a time is out of range") from None
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("a time is not in ISO 8601") from None
    raise ValueError("a time is a number or a text")


def provenance(program: str, **said: Any) -> dict[str, Any]:
    """The payload that tells where a turn comes from, without what is empty or too large."""
    kept: dict[str, Any] = {"from": program}
    for name, value in said.items():
        if value in (None, "", [], {}):
            continue
        try:
            if len(json.dumps(value, allow_nan=False)) <= _MOST:
                kept[name] = value
        except (ValueError, RecursionError):
            continue
    return {"import": kept}


def attachment(ref: object, caption: object = "") -> dict[str, str] | None:
    """A reference to what is not in the file; None where there is nothing to refer to."""
    where = text_of(ref)
    if where.startswith("data:"):
        where = where.partition(",")[0]  # the thing itself, which is not kept
    return {"ref": where[:4096], "caption": text_of(caption)[:_CAPTION]} if where else None


def fields(**given: Any) -> dict[str, Any]:
    """Fields of a turn, without those that say nothing."""
    return {name: value for name, value in given.items() if value not in (None, "", (), [], {})}


def joined(parts: Iterable[str]) -> str:
    """Texts, one beneath the other."""
    return "\n".join(part for part in parts if part)
