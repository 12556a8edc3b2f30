"""Ids and keyed hashes: how a record gets its name, and how one is found without storing words."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

#: The scheme of the embedded store's URIs.
SCHEME = "stepwell+sqlite"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def keyed(secret: bytes, purpose: str, *parts: str) -> bytes:
    """16 bytes that only this secret can make from these texts. Parts never run together."""
    digest = hashlib.blake2b(key=secret, digest_size=16, person=purpose.encode())
    for part in parts:
        raw = part.encode()
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.digest()


def content_hash(
    secret: bytes, text: str, role: str | None, actor: str | None, session: str | None
) -> bytes:
    """What a turn says, without its words: of the text as sent, the role, actor and session."""
    return keyed(secret, "content", text, role or "", actor or "", session or "")


def gone(secret: bytes, record: str) -> bytes:
    """The handle under which a derived record is known that is there no more."""
    return keyed(secret, "gone", record)


def record_id(secret: bytes, now: datetime, *parts: str) -> str:
    """48 bits of time in milliseconds, 80 bits keyed by the scope, so that it sorts by time.

    The same secret, time and parts give the same again.
    """
    # Whole numbers: by way of a float, times of a millisecond apart may fall into the same one.
    millis = ((now - _EPOCH) // timedelta(milliseconds=1)) & 0xFFFFFFFFFFFF
    return id_text(millis.to_bytes(6, "big") + keyed(secret, "record", *parts)[:10])


def id_text(raw: bytes) -> str:
    """A record's id as callers see it: sorts like its bytes."""
    return "r_" + raw.hex()


def id_bytes(text: str) -> bytes | None:
    """The 16 bytes of a record id; None if the text is no record id."""
    if len(text) != 34 or not text.startswith("r_"):
        return None
    try:
        raw = bytes.fromhex(text[2:])
    except ValueError:
        return None
    return raw if id_text(raw) == text else None
