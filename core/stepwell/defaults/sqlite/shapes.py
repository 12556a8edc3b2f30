"""Whether what a file holds is of the kinds that stepwell writes: its tables, values and JSON.

SQLite keeps any value in any column, and a file may come from anywhere. Statements are constant
texts, one a table, and read no more of a row than its header says.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeGuard

from stepwell.defaults.sqlite.codec import EPOCH, RECORD_COLUMNS, loads, micros, moment, record_of
from stepwell.defaults.sqlite.forking import inside
from stepwell.defaults.sqlite.schema import MIGRATIONS
from stepwell.errors import StoreDamaged

_TABLES = (
    "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite^_%' ESCAPE '^'"
)


@cache
def _made(version: int) -> dict[str, tuple[str, str]]:
    """The tables and indexes of a schema as SQLite writes them down, by name."""
    with inside, contextlib.closing(sqlite3.connect(":memory:")) as db:
        for step in MIGRATIONS[:version]:
            for statement in step:
                db.execute(statement)
        return {name: (kind, _plain(sql)) for kind, name, _, sql in db.execute(_TABLES)}


def _plain(sql: object) -> str:
    return " ".join(str(sql).split())


def strangers(db: sqlite3.Connection, version: int) -> int:
    """How many tables and indexes are missing or not as stepwell makes them.

    With them counts what could act by itself: triggers and views. Another table is let be.
    """
    left = dict(_made(version))
    wrong = 0
    ours = set(left)
    for kind, name, table, sql in db.execute(_TABLES):
        made = left.pop(name, None)
        if made is not None:
            wrong += made != (kind, _plain(sql))
        else:
            wrong += kind not in ("table", "index") or table in ours
    return wrong + len(left)


# values -------------------------------------------------------------------------------------------

TYPES: tuple[tuple[str, str], ...] = (
    (
        "facts about the file",
        ("SELECT count(*) FROM meta WHERE typeof(name) <> 'text' OR typeof(value) <> 'text'"),
    ),
    (
        "scopes",
        (
            "SELECT count(*) FROM scopes WHERE typeof(scope) <> 'integer' OR typeof(mac) <> "
            "'blob' OR typeof(body) <> 'integer' OR typeof(head) <> 'integer' OR typeof(purges) "
            "<> 'integer' OR NOT head BETWEEN 0 AND 4611686018427387904 OR NOT purges BETWEEN 0 "
            "AND 4611686018427387904"
        ),
    ),
    (
        "texts",
        (
            "SELECT count(*) FROM contents WHERE typeof(ref) <> 'integer' OR typeof(scope) <> "
            "'integer' OR typeof(turn) NOT IN ('text', 'null') OR typeof(actor) NOT IN ('text', "
            "'null') OR typeof(role) NOT IN ('text', 'null') OR typeof(session) NOT IN ('text', "
            "'null') OR typeof(task) NOT IN ('text', 'null') OR typeof(payload) NOT IN ('text', "
            "'null') OR typeof(extra) NOT IN ('text', 'null') OR typeof(text) <> 'text'"
        ),
    ),
    (  # a NUL; forgotten texts that are blanked hold nothing else
        "texts",
        (
            "SELECT count(*) FROM contents WHERE "
            "instr(text, char(0)) AND trim(hex(text), '0') <> '' OR "
            "instr(turn, char(0)) AND trim(hex(turn), '0') <> '' OR "
            "instr(actor, char(0)) AND trim(hex(actor), '0') <> '' OR "
            "instr(role, char(0)) AND trim(hex(role), '0') <> '' OR "
            "instr(session, char(0)) AND trim(hex(session), '0') <> '' OR "
            "instr(task, char(0)) AND trim(hex(task), '0') <> ''"
        ),
    ),
    (
        "records",
        (
            "SELECT count(*) FROM records WHERE typeof(scope) <> 'integer' OR typeof(ref) <> "
            "'integer' OR typeof(id) <> 'blob' OR length(id) <> 16 OR typeof(content) <> "
            "'integer' OR typeof(level) <> 'integer' OR NOT level BETWEEN 0 AND 100 OR "
            "typeof(version) <> 'integer' OR NOT version BETWEEN 0 AND 4611686018427387904 OR "
            "typeof(trust) <> 'real' OR ref < 1 OR content < 1"
        ),
    ),
    (
        "ids",
        (
            "SELECT count(*) FROM handles WHERE typeof(scope) <> 'integer' OR typeof(handle) <> "
            "'blob' OR typeof(ref) NOT IN ('integer', 'null') OR typeof(content) NOT IN ('blob', "
            "'null')"
        ),
    ),
    (
        "keys",
        (
            "SELECT count(*) FROM keys WHERE typeof(kid) <> 'integer' OR typeof(scope) <> "
            "'integer' OR typeof(ref) <> 'integer' OR typeof(channel) <> 'text' OR typeof(space) "
            "<> 'text' OR (first IS NULL) <> (last IS NULL) OR typeof(first) NOT IN ('integer', "
            "'null') OR typeof(last) NOT IN ('integer', 'null') OR NOT COALESCE(first, 0) BETWEEN "
            "0 AND COALESCE(last, 0) OR COALESCE(last, 0) > 16777216 OR typeof(live) <> 'integer' "
            "OR NOT live IN (2, 3) OR typeof(sources) NOT IN ('integer', 'null') OR typeof(body) "
            "<> 'blob'"
        ),
    ),
    (
        "edges",
        (
            "SELECT count(*) FROM edges WHERE typeof(scope) <> 'integer' OR typeof(source) <> "
            "'integer' OR typeof(kind) <> 'integer' OR typeof(target) <> 'integer' OR "
            "typeof(weight) <> 'real' OR NOT weight BETWEEN -1.7976931348623157e308 AND "
            "1.7976931348623157e308 OR typeof(body) NOT IN ('integer', 'null')"
        ),
    ),
    (
        "bodies",
        (
            "SELECT count(*) FROM bodies WHERE typeof(body) <> 'integer' OR typeof(scope) <> "
            "'integer' OR typeof(content) <> 'blob'"
        ),
    ),
    (
        "entries of the journal",
        (
            "SELECT count(*) FROM journal WHERE typeof(scope) <> 'integer' OR typeof(pos) <> "
            "'integer' OR typeof(op) <> 'integer' OR typeof(ref) NOT IN ('integer', 'null') OR "
            "pos < 1 OR typeof(who) <> 'text' OR typeof(body) NOT IN ('integer', 'null')"
        ),
    ),
    (
        "tasks",
        (
            "SELECT count(*) FROM work WHERE typeof(scope) <> 'integer' OR typeof(wid) <> "
            "'integer' OR typeof(kind) <> 'integer' OR typeof(ref) NOT IN ('integer', 'null') OR "
            "typeof(until) NOT IN ('integer', 'null') OR typeof(tries) <> 'integer' OR "
            "typeof(error) NOT IN ('text', 'null')"
        ),
    ),
    (
        "slots",
        (
            "SELECT count(*) FROM slots WHERE typeof(scope) <> 'integer' OR typeof(mac) <> 'blob' "
            "OR typeof(body) <> 'integer' OR typeof(version) <> 'integer' OR version < 0 OR "
            "version > 4611686018427387904"
        ),
    ),
    (
        "lines of the ledger",
        (
            "SELECT count(*) FROM usage WHERE typeof(scope) <> 'integer' OR typeof(ref) <> "
            "'integer' OR typeof(shown) <> 'integer' OR typeof(used) <> 'integer' OR "
            "typeof(success) <> 'real' OR typeof(failure) <> 'real' OR typeof(strength) <> 'real' "
            "OR NOT shown BETWEEN 0 AND 4611686018427387904 OR NOT used BETWEEN 0 AND "
            "4611686018427387904 OR NOT success BETWEEN 0 AND 1e300 OR NOT failure BETWEEN 0 AND "
            "1e300 OR NOT abs(strength) <= 1e300"
        ),
    ),
    (
        "documents",
        (
            "SELECT count(*) FROM documents WHERE typeof(scope) <> 'integer' OR typeof(space) <> "
            "'blob' OR typeof(mac) <> 'blob' OR typeof(body) <> 'integer'"
        ),
    ),
    (
        "numbers that come next",
        (
            "SELECT count(*) FROM sqlite_sequence WHERE typeof(name) <> 'text' OR typeof(seq) <> "
            "'integer' OR NOT seq BETWEEN 0 AND 4611686018427387904"
        ),
    ),
    (
        "numbers that come next",
        (
            "SELECT ((SELECT max(ref) FROM contents) > (SELECT COALESCE(max(seq), 0) FROM "
            "sqlite_sequence WHERE name = 'contents')) + ((SELECT max(scope) FROM scopes) > "
            "(SELECT COALESCE(max(seq), 0) FROM sqlite_sequence WHERE name = 'scopes'))"
        ),
    ),
)
TIMES: tuple[tuple[str, str], ...] = (
    (
        "records",
        (
            "SELECT count(*) FROM records WHERE typeof(stored_at) <> 'integer' OR typeof(said_at) "
            "NOT IN ('integer', 'null') OR typeof(valid_from) NOT IN ('integer', 'null') OR "
            "typeof(valid_to) NOT IN ('integer', 'null') OR NOT min(stored_at, COALESCE(said_at, "
            "0), COALESCE(valid_from, 0), COALESCE(valid_to, 0)) >= ?1 OR NOT max(stored_at, "
            "COALESCE(said_at, 0), COALESCE(valid_from, 0), COALESCE(valid_to, 0)) <= ?2"
        ),
    ),
    (
        "entries of the journal",
        ("SELECT count(*) FROM journal WHERE typeof(at) <> 'integer' OR NOT at BETWEEN ?1 AND ?2"),
    ),
    (
        "lines of the ledger",
        (
            "SELECT count(*) FROM usage WHERE typeof(last_used) NOT IN ('integer', 'null') OR NOT "
            "COALESCE(last_used, 0) BETWEEN ?1 AND ?2"
        ),
    ),
    (
        "documents",
        (
            "SELECT count(*) FROM documents WHERE typeof(created_at) <> 'integer' OR "
            "typeof(updated_at) <> 'integer' OR typeof(expires_at) NOT IN ('integer', 'null') OR "
            "NOT created_at BETWEEN ?1 AND ?2 OR NOT updated_at BETWEEN ?1 AND ?2 OR NOT "
            "COALESCE(expires_at, 0) BETWEEN ?1 AND ?2"
        ),
    ),
)


#: The first and the last time that there is.
BOUNDS = (
    micros(EPOCH.replace(year=1, day=1)), micros(EPOCH.replace(year=9999, month=12, day=31)),
)  # fmt: skip


def of_another_kind(db: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    """What holds values that stepwell never writes there, and in how many rows."""
    for what, sql in TYPES:
        count = db.execute(sql).fetchone()[0]
        if count:
            yield f"{what} with values of another kind", count
    for what, sql in TIMES:
        count = db.execute(sql, BOUNDS).fetchone()[0]
        if count:
            yield f"{what} with times that are none", count


# what is said in JSON -----------------------------------------------------------------------------


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**62


def _time(value: Any) -> bool:
    try:
        moment(value)
    except (TypeError, OverflowError):
        return False
    return value is None or _whole(value)


def _state(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    sound: dict[str, Callable[[Any], bool]] = {
        "status": _whole, "version": _whole, "content": _whole, "said_at": _time,
        "valid_from": _time, "valid_to": _time,
        "trust": lambda told: isinstance(told, float | int),
    }  # fmt: skip
    return all(name not in sound or sound[name](told) for name, told in value.items())


def _text(value: object) -> bool:
    return isinstance(value, str)


_JOURNAL: dict[str, Callable[[Any], bool]] = {
    "why": _text, "evidence": _texts, "before": _state, "name": _text, "text": _text,
    "budget": _whole, "sources": _texts, "at": _time,
}  # fmt: skip
_FIELDS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "scope": {
        "path": lambda path: _texts(path) and bool(path),
        "secret": lambda said: _text(said) and is_secret(said),
    },
    "slot": _JOURNAL,
    "journal": _JOURNAL,
    "edge": {"label": _text, "sources": _texts},
    "key": {"sources": _texts},
    "document": {
        "namespace": _texts, "key": _text, "value": lambda value: isinstance(value, dict),
        "ttl": lambda ttl: isinstance(ttl, int | float) and 0 < ttl < 1e10,
        "index": lambda index: index is False or _texts(index),
        "place": _whole, "since": _whole,
    },
}  # fmt: skip
_NEEDED = {
    "scope": ("path", "secret"),
    "slot": ("name", "text"),
    "document": ("namespace", "key", "value"),
}
BODIES = (
    "SELECT 'scope', b.body, b.content FROM scopes u JOIN bodies b ON b.body = u.body "
    "UNION ALL SELECT 'slot', b.body, b.content FROM slots u JOIN bodies b ON b.body = u.body "
    "UNION ALL SELECT 'document', b.body, b.content FROM documents u "
    "JOIN bodies b ON b.body = u.body "
    "UNION ALL SELECT 'edge', b.body, b.content FROM edges u JOIN bodies b ON b.body = u.body "
    "UNION ALL SELECT 'key', b.body, b.content FROM keys u JOIN bodies b ON b.body = u.sources "
    "UNION ALL SELECT 'journal', b.body, b.content FROM journal u JOIN bodies b ON b.body = u.body"
)
_FOREIGN = (
    "SELECT (SELECT count(*) FROM scopes u JOIN bodies b ON b.body = u.body "
    "WHERE b.scope <> u.scope) + (SELECT count(*) FROM slots u JOIN bodies b ON b.body = u.body "
    "WHERE b.scope <> u.scope) + (SELECT count(*) FROM documents u JOIN bodies b "
    "ON b.body = u.body WHERE b.scope <> u.scope) + (SELECT count(*) FROM edges u JOIN bodies b "
    "ON b.body = u.body WHERE b.scope <> u.scope) + (SELECT count(*) FROM records u "
    "JOIN contents b ON b.ref = u.content WHERE b.scope <> u.scope)"
)
SAYING = (
    "SELECT " + RECORD_COLUMNS + " FROM records r JOIN contents c ON c.ref = r.content "  # noqa: S608 - constants
    "WHERE c.extra IS NOT NULL"
)


_WORDS = "SELECT payload, extra, turn, actor, role, session, task, text FROM contents"


def is_secret(said: object) -> TypeGuard[str]:
    """Whether a text is a key for hashes, in hexadecimal digits."""
    try:
        return isinstance(said, str) and 16 <= len(bytes.fromhex(said)) <= 64
    except ValueError:
        return False


def sound(use: str, content: object) -> bool:
    """Whether a body says what one of its use is to say."""
    if not isinstance(content, bytes):
        return False
    if content[:1] == b"\x00":
        return use not in ("scope", "slot", "document")
    try:
        said = loads(content.decode())
    except (ValueError, RecursionError):
        return False
    if not isinstance(said, dict) or any(name not in said for name in _NEEDED.get(use, ())):
        return False
    fields = _FIELDS[use]
    return all(name not in fields or fields[name](value) for name, value in said.items())


def readable(row: tuple[Any, ...]) -> bool:
    """Whether a row of RECORD_COLUMNS is a record."""
    try:
        record_of((), row)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        return False
    return True


def mappings(texts: tuple[Any, ...]) -> bool:
    """Whether each of some texts is a mapping in JSON, blank, or not there."""
    try:
        return all(
            not text or text.startswith("\x00") or isinstance(loads(text), dict) for text in texts
        )
    except (ValueError, TypeError, AttributeError, RecursionError):
        return False


def said_wrongly(db: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    """What is said in JSON or UTF-8 that cannot be read, or says something else than it is to."""
    bad = 0
    for use, _, content in db.execute(BODIES):
        bad += not sound(use, content)
    try:
        bad += sum(not mappings(row[:2]) for row in db.execute(_WORDS))
        bad += sum(not readable(row) for row in db.execute(SAYING))
    except StoreDamaged as error:
        if "UTF-8" not in str(error):
            raise
        yield "texts that are no UTF-8", 1
    if bad:
        yield "JSON that cannot be read", bad
    foreign = db.execute(_FOREIGN).fetchone()[0]
    if foreign:
        yield "bodies and texts of another scope", foreign
