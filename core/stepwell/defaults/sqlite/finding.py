"""Whether everything is found by the name that it has: scopes and slots by their hashes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from stepwell.defaults.sqlite.codec import loads
from stepwell.defaults.sqlite.shapes import is_secret, sound
from stepwell.identity import keyed

_SECRET = "SELECT value FROM meta WHERE name = 'secret'"  # noqa: S105 - a statement
_SCOPES = "SELECT s.scope, s.mac, b.content FROM scopes s JOIN bodies b ON b.body = s.body"
_SLOTS = "SELECT s.mac, b.content FROM slots s JOIN bodies b ON b.body = s.body WHERE s.scope = ?"


def misnamed(db: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    """What its own name does not lead to, and how much of it there is."""
    row = db.execute(_SECRET).fetchone()
    file_secret = bytes.fromhex(row[0]) if row is not None and is_secret(row[0]) else None
    scopes = slots = 0
    for number, mac, content in db.execute(_SCOPES).fetchall():
        if not sound("scope", content):
            continue  # told already
        said = loads(content.decode())
        secret = bytes.fromhex(said["secret"])
        scopes += file_secret is None or mac != keyed(file_secret, "scope", *said["path"])
        slots += sum(
            sound("slot", body) and mac != keyed(secret, "slot", loads(body.decode())["name"])
            for mac, body in db.execute(_SLOTS, (number,))
        )
    counted = {
        "scopes that their path does not lead to": scopes,
        "slots that their name does not lead to": slots,
    }
    yield from ((what, count) for what, count in counted.items() if count)
