"""A sound file of what can be read of a damaged one.

What only the file knows is taken over: turns with their history, what was forgotten, slots,
documents, the ledger. What does not hang together any more is left out, and what was derived can be
made again from the turns. Nothing forgotten comes back: where a tombstone and a text contradict
each other, the tombstone is right.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from secrets import token_bytes
from typing import Any, Final

from stepwell.defaults.sqlite.clearing import LAST, LEFT_OUT, RESTLESS, RIGHTED, Step, cleared
from stepwell.defaults.sqlite.connection import connect_damaged, exists
from stepwell.defaults.sqlite.copying import new_file
from stepwell.defaults.sqlite.purging import Purger
from stepwell.defaults.sqlite.restating import restated
from stepwell.defaults.sqlite.salvaging import TABLES, Row, Salvage
from stepwell.defaults.sqlite.store import SqliteStore, absolute
from stepwell.identity import content_hash, gone, id_text, keyed

_MANY: Final = 1000

#: What is counted even where it is nothing.
_ALWAYS: Final = ("turns", "forgotten", "derived", "keys")

_LOST = (
    "SELECT count(DISTINCT ref) FROM handles h WHERE ref IS NOT NULL AND content IS NOT NULL "
    "AND NOT EXISTS (SELECT 1 FROM records r WHERE r.scope = h.scope AND r.ref = h.ref)"
)
_LAST_SCOPE = (
    "SELECT max(COALESCE((SELECT max(scope) FROM contents), 0), "
    "COALESCE((SELECT max(scope) FROM scopes), 0))"
)
_NUMBERS = (
    "SELECT scope FROM scopes UNION SELECT scope FROM records UNION "
    "SELECT scope FROM contents WHERE substr(CAST(text AS BLOB), 1, 1) <> x'00'"
)
_SCOPES = (
    "SELECT s.scope, b.content FROM scopes s JOIN bodies b ON b.body = s.body ORDER BY s.scope"
)
_TURNS = (
    "SELECT r.ref, r.id, r.version, c.turn, c.text, c.role, c.actor, c.session FROM records r "
    "JOIN contents c ON c.ref = r.content WHERE r.scope = ? ORDER BY r.ref"
)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Repaired:
    """What became of a file: what was taken over and what was lost, in numbers.

    `unread` are the tables of which something could not be read; `anew` says that what is derived,
    or a key, is to be made again.
    """

    counts: dict[str, int]
    unread: tuple[str, ...]
    anew: bool


def repaired(path: str, target: str, progress: Progress | None = None) -> Repaired:
    """Make a new file of what is sound of another, which is not changed.

    Raises NotAStore or StoreDamaged where not even the tables can be told, StoreError where
    something is at `target`; then nothing is left there.
    """
    exists(path, read_only=True)
    destination = absolute(target)
    with new_file(destination):
        source = connect_damaged(path)
        try:
            return _repaired(source, destination, progress)
        finally:
            source.close()


def _repaired(source: sqlite3.Connection, target: str, progress: Progress | None) -> Repaired:
    store = SqliteStore(target)
    try:
        with store.writing() as writer:
            salvage = Salvage(source)
            _take(salvage, writer.connection, progress)
            counts = _set_right(writer)
        store.compact()
    finally:
        store.close()
    if progress is not None:
        progress(len(TABLES) + 1, len(TABLES) + 1)
    lost = counts.pop("derived") + counts.pop("keys")
    derived = salvage.unread - {"scopes", "handles", "slots", "documents", "usage", "numbers"}
    return Repaired(counts, tuple(sorted(salvage.unread)), bool(lost or derived))


def _take(salvage: Salvage, target: sqlite3.Connection, progress: Progress | None) -> None:
    """All rows that can be read."""
    for name, value in salvage.facts().items():
        if name != "secret":
            target.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
    scopes = range(0)
    for done, (name, table) in enumerate(TABLES.items()):
        if progress is not None:
            progress(done, len(TABLES) + 1)
        for some in _pages(salvage.rows(name, scopes)):
            target.executemany(table.write, some)
        if name == "contents":
            last = target.execute(_LAST_SCOPE).fetchone()[0]
            scopes = range(1, last + 1)
    for name, number in salvage.numbers().items():
        # No number is given out twice, also of rows that are lost.
        target.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?",
                       (number, name))  # fmt: skip


def _pages(rows: Iterable[Row]) -> Iterator[list[Row]]:
    held = iter(rows)
    while page := list(islice(held, _MANY)):
        yield page


def _set_right(writer: Purger) -> dict[str, int]:
    """Make what was taken over hang together; what came of it, in numbers."""
    db = writer.connection
    counts = {"derived": 0, "keys": 0, "scopes without a name": _name_scopes(writer)}

    def apply(steps: Iterable[Step]) -> None:
        for name, sql, bound in steps:
            many = db.execute(sql, bound).rowcount
            if name is not None and many:
                counts[name] = counts.get(name, 0) + many

    counts["derived"] += cleared(db)
    secrets = [
        (number, bytes.fromhex(json.loads(said)["secret"]))
        for number, said in db.execute(_SCOPES).fetchall()
    ]
    # First, as a record whose text is lost says that an earlier text of it is none.
    made = sum(restated(writer, number, secret) for number, secret in secrets)
    counts["turns restated"] = made
    apply(RIGHTED)
    for number, secret in secrets:
        counts["derived"] += _identify(db, number, secret)
        _name_slots(db, number, secret)
    lost = db.execute(_LOST).fetchone()[0]
    apply(LEFT_OUT)
    while many := db.execute(RESTLESS).rowcount:
        counts["derived"] += many
        apply(LEFT_OUT)
    apply(LAST)
    counts["turns"] = db.execute("SELECT count(*) FROM records WHERE level = 0").fetchone()[0]
    counts["forgotten"] = db.execute("SELECT count(*) FROM handles WHERE ref IS NULL").fetchone()[0]
    counts["turns lost"] = lost
    return {name: count for name, count in counts.items() if count or name in _ALWAYS}


def _name_scopes(writer: Purger) -> int:
    """Every scope has a name and a secret; how many have lost them, and are "recovered-3" now."""
    db, lost = writer.connection, 0
    held = db.execute("SELECT scope, body, content FROM bodies ORDER BY body")
    named = {body: number for number, body, said in held if _name(said) is not None}
    told = db.execute("SELECT scope, body FROM scopes").fetchall()
    often = Counter(body for _, body in told)
    # A scope knows its name, unless two say that it is theirs: then the name tells whose it is.
    bodies = {number: body for number, body in told if body in named and often[body] == 1}
    for body, number in named.items():
        if body not in bodies.values():
            bodies.setdefault(number, body)
    for number, body in bodies.items():
        db.execute("UPDATE bodies SET scope = ? WHERE body = ?", (number, body))
    for (number,) in db.execute(_NUMBERS).fetchall():
        if number not in bodies:
            lost += 1
            for sql in _FORGET_HASHES:  # they were made with the secret that is lost
                db.execute(sql, (number,))
            said = {"path": [f"recovered-{number}"], "secret": token_bytes(32).hex()}
            bodies[number] = writer.new_body(number, said)
        body = bodies[number]
        said_so = db.execute("SELECT content FROM bodies WHERE body = ?", (body,)).fetchone()[0]
        mac = writer.scope_mac(_name(said_so) or ())
        db.execute("INSERT OR IGNORE INTO scopes VALUES (?, ?, ?, 0, 0)", (number, mac, body))
        db.execute(
            "UPDATE OR IGNORE scopes SET mac = ?, body = ? WHERE scope = ?", (mac, body, number)
        )
    return lost


def _name_slots(db: sqlite3.Connection, number: int, secret: bytes) -> None:
    """Every slot is found by its name."""
    for mac, content in db.execute(_SLOTS, (number,)).fetchall():
        right = keyed(secret, "slot", json.loads(content)["name"])
        if mac != right:
            db.execute("UPDATE OR REPLACE slots SET mac = ? WHERE scope = ? AND mac = ?",
                       (right, number, mac))  # fmt: skip


_SLOTS = "SELECT s.mac, b.content FROM slots s JOIN bodies b ON b.body = s.body WHERE s.scope = ?"
_FORGET_HASHES = (
    "DELETE FROM handles WHERE scope = ?",
    "DELETE FROM slots WHERE scope = ?",
    "DELETE FROM documents WHERE scope = ?",
)


def _name(said: Any) -> tuple[str, ...] | None:
    """The path of a scope, where a body tells one with its secret."""
    try:
        body = json.loads(said)
        path = tuple(body["path"])
        return (
            path
            if len(bytes.fromhex(body["secret"])) == 32
            and all(isinstance(part, str) for part in path)
            else None
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _identify(db: sqlite3.Connection, number: int, secret: bytes) -> int:
    """Every record is found by its id, and every turn by the caller's; tombstones come first.

    How many derived records are left out, as another has their id.
    """
    known: dict[bytes, int | None] = {}
    strays: dict[int, list[tuple[bytes, bool]]] = {}
    for handle, ref, content in db.execute(_HANDLES, (number,)):
        known[handle] = ref
        if ref is not None:
            strays.setdefault(ref, []).append((handle, content is None))
    rows = db.execute(_TURNS, (number,)).fetchall()
    shared = Counter(row[1] for row in rows)
    out = 0
    for ref, kept, version, turn, text, role, actor, session in rows:
        named = None if turn is None else keyed(secret, "turn", turn)
        raw: bytes = kept
        if shared[kept] > 1 and known.get(kept) != ref:
            told = [h for h, plain in strays.get(ref, ()) if plain and h != named and len(h) == 16]
            if not told and named is None:
                out += db.execute(_DROP, (number, ref)).rowcount
                continue
            raw = told[0] if told else token_bytes(16)
            db.execute("UPDATE records SET id = ? WHERE scope = ? AND ref = ?", (raw, number, ref))
        if known.get(gone(secret, id_text(raw)) if named is None else named, ref) is None:
            db.execute(_DROP, (number, ref))
            continue
        wanted: dict[bytes, bytes | None] = {raw: None}
        if named is not None:
            sent = content_hash(secret, text, role, actor, session) if version == 1 else None
            wanted[named] = sent
        missing = [handle for handle in wanted if known.get(handle) != ref]
        for handle in missing:
            bound = (number, handle, ref, wanted[handle])
            db.execute("INSERT OR REPLACE INTO handles VALUES (?, ?, ?, ?)", bound)
            known[handle] = ref
        others = [h for h, _ in strays.get(ref, ()) if h not in wanted and known[h] == ref]
        # One is what is left of each that was missing; one too many was a tombstone.
        for place, handle in enumerate(others):
            db.execute(_DROP_ID if place < len(missing) else _BURY, (number, handle))
    return out


_HANDLES = "SELECT handle, ref, content FROM handles WHERE scope = ?"
_DROP = "DELETE FROM records WHERE scope = ? AND ref = ?"
_DROP_ID = "DELETE FROM handles WHERE scope = ? AND handle = ?"
_BURY = "UPDATE handles SET ref = NULL, content = NULL WHERE scope = ? AND handle = ?"
