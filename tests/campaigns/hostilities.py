"""What can be done to a store's file by who wishes it ill: to its bytes, its tables, its values.

Each attack takes the path of a copy that nobody has open, and a source of chance, and says what it
has done. Used by `tests.campaigns.hostile`.
"""

from __future__ import annotations

import json
import random
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.campaigns.wrong_bytes import DEEP, MARK, PICKLE, bytes_otherwise, side_files

Attack = Callable[[Path, random.Random], str]

#: The columns of every table; the schema itself is the store's own.
COLUMNS = {
    "meta": ("name", "value"),
    "scopes": ("scope", "mac", "body", "head", "purges"),
    "contents": (
        *("ref", "scope", "turn", "actor", "role", "session", "task", "payload", "extra", "text"),
    ),
    "records": (
        *("scope", "ref", "id", "content", "level", "kind", "origin", "status", "version"),
        *("trust", "said_at", "stored_at", "valid_from", "valid_to"),
    ),
    "handles": ("scope", "handle", "ref", "content"),
    "keys": ("kid", "scope", "ref", "channel", "space", "first", "last", "live", "sources", "body"),
    "edges": ("scope", "source", "kind", "target", "weight", "body"),
    "bodies": ("body", "scope", "content"),
    "journal": ("scope", "pos", "op", "ref", "at", "who", "body"),
    "work": ("scope", "wid", "kind", "ref", "until", "tries", "error"),
    "slots": ("scope", "mac", "body", "version"),
    "usage": (
        *("scope", "ref", "shown", "used", "success", "failure", "strength", "last_used"),
    ),
    "documents": (
        *("scope", "space", "mac", "body", "created_at", "updated_at", "expires_at"),
    ),
    "sqlite_sequence": ("name", "seq"),
}  # fmt: skip

VALUES: tuple[Any, ...] = (
    *(None, "", "x", b"", b"\x00", b"\xff\xfe", 0, 1, 2, 7, 255, -1, -(2**63), 2**63 - 1, 2**31),
    *(2**53 + 1, 1e300, -1e300, float("inf"), 0.5, -0.0, "\x00" * 20, "\u202e\u200b\ufeff"),
    *("9" * 400, "1e999", "NaN", "%s%n{0.__class__}", "'; DROP TABLE records; --", PICKLE, DEEP),
    *(b"[" * 100_000, "A" * 200_000, b"\x80\x04\x95", "2024-01-01", "true", b"{}", b"null"),
)  # fmt: skip
_SAID: tuple[Any, ...] = (
    *(None, True, 0, -1, 10**30, 1.5, 1e308, "", "x", "\ud800", "\x00", [], {}, [[]], [None]),
    *(["x"], [1], {"a": 1}, {"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {}}),
    *({"__class__": "os.system", "__reduce__": ["os.system", [MARK]]}, "$ref", [["x"] * 3] * 3),
    *({"py/object": "subprocess.Popen", "py/reduce": [MARK]}, ["r_" + "0" * 32], -(2**63)),
)  # fmt: skip
_RAW: tuple[bytes, ...] = (
    *(b"", b"{", b"[]", b"null", b'"x"', b"17", b"NaN", b"{'a': 1}", b'{"a": NaN}', DEEP, PICKLE),
    *(b'{"a": 1e999}', b"\xff\xfe{}", b'{"a": ' + b"9" * 5000 + b"}", b'{"path": ["\\ud800"]}'),
    *(b"[" * 99, b'{"a": 1, "a": 2}', b'{"path": ["a"], "secret": "' + b"0" * 400 + b'"}'),
    *(b'{"path": [], "secret": ""}', b'{"path": "abc", "secret": "00"}', b'{"path": [7]}'),
)  # fmt: skip


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A copy as SQLite alone sees it, written to whatever SQLite thinks of it."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA synchronous = OFF")
        yield db
    finally:
        db.close()


def _loose(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """Let every column hold anything; the texts of the schema, to be put back."""
    held = db.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL"
    )
    texts = [(sql, name) for name, sql in held.fetchall()]
    db.execute("PRAGMA writable_schema = ON")
    for sql, name in texts:
        bare = sql.replace(" NOT NULL", "")
        if "sqlite_" not in name:
            bare = bare.replace("INTEGER PRIMARY", "INTEGRAL_PRIMARY").replace(" INTEGER", "")
            bare = bare.replace("INTEGRAL_PRIMARY", "INTEGER PRIMARY").replace(" REAL", "")
            db.execute(
                "UPDATE sqlite_schema SET sql = ? WHERE name = ?", (bare.replace(" TEXT", ""), name)
            )
    return texts


def loosely(path: Path, do: Callable[[sqlite3.Connection], str]) -> str:
    """Change values as if the tables had no rules, and leave the schema as it was."""
    with opened(path) as db:
        texts = _loose(db)
    with opened(path) as db, suppress(sqlite3.Error):
        said = do(db)
        db.execute("PRAGMA writable_schema = ON")
        db.executemany("UPDATE sqlite_schema SET sql = ? WHERE name = ?", texts)
        return said
    return "nothing"


# values -------------------------------------------------------------------------------------------


def any_value(path: Path, draw: random.Random) -> str:
    """Any value in any column, of one row, of some, or of all."""

    def do(db: sqlite3.Connection) -> str:
        said = []
        for _ in range(draw.choice((1, 1, 1, 2, 5))):
            table = draw.choice(list(COLUMNS))
            column = draw.choice(COLUMNS[table])
            value = draw.choice(VALUES)
            few = draw.choice(("LIMIT 1", "ORDER BY 1 DESC LIMIT 1", "LIMIT 3", ""))
            first = COLUMNS[table][0] if table not in ("records", "keys") else "ref"
            with suppress(sqlite3.Error):
                db.execute(
                    f"UPDATE OR IGNORE {table} SET {column} = ? WHERE {first} IN "
                    f"(SELECT {first} FROM {table} {few})",
                    (value,),
                )
            said.append(f"{table}.{column} = {value!r:.40} {few}")
        return "; ".join(said)

    return loosely(path, do)


def said_otherwise(path: Path, draw: random.Random) -> str:
    """A field of a JSON body, a payload or an extra is something else; or all of it is."""

    def do(db: sqlite3.Connection) -> str:
        table, column, key = draw.choice(
            (("bodies", "content", "body"),) * 3
            + (("contents", "payload", "ref"), ("contents", "extra", "ref"))
        )
        rows = db.execute(f"SELECT {key}, {column} FROM {table}").fetchall()
        if not rows:
            return "nothing"
        said = ""
        for number, held in draw.sample(rows, min(len(rows), draw.choice((1, 4, 50)))):
            if draw.random() < 0.4 or not held:
                new: bytes = draw.choice(_RAW)
                said = f"{table}.{column}: {new[:40]!r}"
            else:
                try:
                    value = json.loads(held)
                except ValueError:
                    continue
                field = draw.choice([*value, "lc"]) if isinstance(value, dict) else "lc"
                value = value if isinstance(value, dict) else {}
                value[field] = draw.choice(_SAID)
                if draw.random() < 0.2:
                    del value[field]
                said = f"{table}.{column}[{field!r}] = {value.get(field)!r:.40}"
                new = json.dumps(value).encode()
            text = new if table == "bodies" else new.decode("utf-8", "surrogateescape")
            with suppress(UnicodeEncodeError):
                db.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (text, number))
        return said

    return loosely(path, do)


def _numbers(draw: random.Random, count: int) -> bytes:
    some = (0.0, 1.0, -1.0, float("nan"), float("inf"), -float("inf"), 3.4e38, 1e-45)
    return struct.pack(f"<{count}f", *(draw.choice(some) for _ in range(count)))


def keys_otherwise(path: Path, draw: random.Random) -> str:
    """Vectors that are none, words that are none, spans and spaces of nonsense."""

    def do(db: sqlite3.Connection) -> str:
        few = draw.choice(("1", "kid = (SELECT max(kid) FROM keys)", "kid % 3 = 0"))
        bodies = (
            b"", b"\x00", _numbers(draw, 256), _numbers(draw, 3), _numbers(draw, 100_000),
            draw.randbytes(1024), draw.randbytes(8 * draw.randrange(1, 2000)), b"\xff" * 1024,
        )  # fmt: skip
        sets = {
            "body": draw.choice(bodies),
            "space": draw.choice(("", "/", "x/-1", "x/1e9", "words/99", "x/" + "9" * 30, "words/1",
                                  "stepwell-table-1/256", "stepwell-table-1/3", "a" * 10**6)),
            "channel": draw.choice(("words", "vectors", "", "x" * 1000)),
            "first": draw.choice((-1, 0, 10**9, -(2**63), 2**63 - 1, "x")),
            "last": draw.choice((-1, 0, 10**9, -(2**63), 2**63 - 1, b"x")),
            "ref": draw.choice((0, -1, 2**63 - 1, 1)),
            "sources": draw.choice((0, 1, -1, 10**9, 2**63 - 1, "x")),
            "live": draw.choice((0, 2, 3, 4, "x")),
        }  # fmt: skip
        chosen = draw.sample(sorted(sets), draw.choice((1, 1, 2)))
        for name in chosen:
            db.execute(f"UPDATE OR IGNORE keys SET {name} = ? WHERE {few}", (sets[name],))
        return f"keys: {', '.join(f'{name} = {sets[name]!r:.30}' for name in chosen)} where {few}"

    return loosely(path, do)


def edges_otherwise(path: Path, draw: random.Random) -> str:
    """Circles, edges to nowhere and to itself, very many, weights that are none."""

    def do(db: sqlite3.Connection) -> str:
        refs = [row[0] for row in db.execute("SELECT ref FROM records").fetchall()] or [1]
        scope = draw.choice((1, 2))
        kinds = draw.choice(((3,), (2,), (2, 3), range(2, 8), (99,), (-1, 2**63 - 1)))
        many = draw.choice((1, 5, 50, 2000))
        weight = draw.choice((1.0, -1e300, float("inf"), "x", 0))
        ends = [*refs, 0, -1, 2**63 - 1] if draw.random() < 0.3 else refs
        for _ in range(many):
            edge = (scope, draw.choice(ends), draw.choice(kinds), draw.choice(ends), weight)
            db.execute("INSERT OR IGNORE INTO edges VALUES (?, ?, ?, ?, ?, NULL)", edge)
        return f"{many} edges of kinds {list(kinds)}, weight {weight!r}"

    return loosely(path, do)


_META = ("preset", "embedder", "embedder_former", "embedder_past", "screens", "secret", "erasing",
         "rebuilding", "keys_due", "later_keys", "unknown")  # fmt: skip
_FACTS = (
    *("", "x", "{}", "[]", "null", "7", '"x"', "[1]", '["x"]', '{"name": 7}', "NaN", '{"x/3": 0}'),
    *('{"name": "h-mem", "version": 1, "params": "{}"}', "0" * 64, "zz", "00" * 500, "x/256", "/"),
    *('{"name": "default", "version": "x", "params": 7}', "stepwell-table-1/7", "../../x/256", "1"),
    *('{"name": "default", "version": 99, "params": "{}"}', "[" * 10**5),
    *('{"name": ["default"], "version": null, "params": {}}', '[["x"]]', "x/x", 7, b"\xff", None),
    *('{"__class__": "os.system"}', "[[]]"),
)  # fmt: skip


def facts_otherwise(path: Path, draw: random.Random) -> str:
    """What the file says of itself is something else."""

    def do(db: sqlite3.Connection) -> str:
        name, value = draw.choice(_META), draw.choice(_FACTS)
        if draw.random() < 0.1:
            db.execute("DELETE FROM meta WHERE name = ?", (name,))
            return f"no {name}"
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
        return f"{name} = {value!r:.60}"

    return loosely(path, do)


def very_large(path: Path, draw: random.Random) -> str:
    """A value of a hundred megabytes; of twenty where SQLite alone reads rows as a whole."""
    table, column, megabytes = draw.choice(
        (
            ("contents", "text", 100),
            ("contents", "payload", 100),
            ("contents", "session", 100),
            ("bodies", "content", 100),
            ("keys", "body", 100),
            ("keys", "space", 100),
            ("meta", "value", 20),
            ("work", "error", 20),
            ("records", "id", 20),
        )
    )

    def do(db: sqlite3.Connection) -> str:
        key = COLUMNS[table][0] if table != "records" else "ref"
        value = draw.choice((b"\x00", b"a", b"[")) * (megabytes * 1024 * 1024)
        text = value if draw.random() < 0.3 else value.decode()
        few = f"SELECT max({key}) FROM {table}"
        db.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ({few})", (text,))
        return f"{table}.{column} has {megabytes} MB"

    return loosely(path, do)


# the schema ---------------------------------------------------------------------------------------

_BOMB = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
_DOES = (
    "DELETE FROM records",
    "INSERT INTO meta VALUES ('x', hex(randomblob(8)))",
    "SELECT RAISE(ABORT, 'stop')",
    "SELECT RAISE(IGNORE)",
    f"INSERT OR REPLACE INTO meta SELECT 'x', group_concat(x) FROM ({_BOMB}SELECT x FROM n)",
    "SELECT load_extension('./evil')",
    "SELECT writefile('x', 'y')",
    "SELECT fts3_tokenizer('x')",
    "UPDATE scopes SET head = 0",
    (
        "INSERT INTO contents SELECT NULL, scope, turn, actor, role, session, task, payload, "
        "extra, text FROM contents"
    ),
)


def schema_otherwise(path: Path, draw: random.Random) -> str:
    """Triggers, views instead of tables, other columns, tables and indexes that are not there."""
    table = draw.choice([name for name in COLUMNS if not name.startswith("sqlite_")])
    column = draw.choice(COLUMNS[table])
    does = draw.choice(_DOES)
    after = f"AFTER {draw.choice(('INSERT', 'UPDATE', 'DELETE'))} ON {table}"
    aside = f"ALTER TABLE {table} RENAME TO held; CREATE VIEW {table} AS"
    endless = ", ".join(f"x AS {name}" for name in COLUMNS[table])
    write = "PRAGMA writable_schema = ON;"
    attacks = (
        f"CREATE TRIGGER planted {after} BEGIN {does}; END",
        f"CREATE TRIGGER planted {after} BEGIN {does}; END; PRAGMA recursive_triggers = ON",
        f"{aside} SELECT * FROM held",
        f"{aside} {_BOMB}SELECT {endless} FROM n",
        (
            f"{aside} SELECT * FROM held; "
            f"CREATE TRIGGER planted INSTEAD OF INSERT ON {table} BEGIN {does}; END"
        ),
        f"ALTER TABLE {table} ADD COLUMN planted TEXT DEFAULT 'x'",
        f"ALTER TABLE {table} ADD COLUMN planted GENERATED ALWAYS AS (randomblob(9)) VIRTUAL",
        f"ALTER TABLE {table} RENAME COLUMN {column} TO planted",
        f"ALTER TABLE {table} DROP COLUMN {column}",
        f"DROP TABLE {table}",
        "DROP INDEX edges_by_target",
        "DROP INDEX keys_by_ref",
        "DROP INDEX journal_by_ref",
        f"CREATE INDEX planted ON {table} ({column})",
        f"CREATE UNIQUE INDEX planted ON {table} (abs({column}))",
        f"CREATE INDEX planted ON {table} (json({column}))",
        "CREATE VIRTUAL TABLE planted USING fts5(x)",
        "CREATE TABLE planted (x)",
        "ANALYZE; UPDATE sqlite_stat1 SET stat = '99999999999999 x y'",
        "DROP TABLE sqlite_sequence",
        f"DROP TABLE {table}; CREATE TABLE {table} (x)",
        f"DROP TABLE {table}; CREATE TABLE {table} ({', '.join(COLUMNS[table])})",
        "PRAGMA user_version = 0",
        "PRAGMA user_version = -7",
        "PRAGMA user_version = 2",
        "PRAGMA application_id = 0",
        "PRAGMA journal_mode = DELETE",
        f"{write} UPDATE sqlite_schema SET rootpage = 2",
        f"{write} UPDATE sqlite_schema SET rootpage = rootpage + 1",
        f"{write} UPDATE sqlite_schema SET sql = 'x'",
        f"{write} UPDATE sqlite_schema SET sql = NULL WHERE name = '{table}'",
        f"{write} UPDATE sqlite_schema SET sql = replace(sql, 'scope', 'scop')",
        f"{write} DELETE FROM sqlite_schema",
        (
            f"{write} INSERT INTO sqlite_schema SELECT type, name || 'x', tbl_name, rootpage, sql "
            "FROM sqlite_schema"
        ),
        "PRAGMA page_size = 512; PRAGMA journal_mode = DELETE; VACUUM",
        "PRAGMA auto_vacuum = 2; PRAGMA journal_mode = DELETE; VACUUM",
    )
    sql = draw.choice(attacks)
    with opened(path) as db, suppress(sqlite3.Error):
        db.execute("PRAGMA legacy_alter_table = ON")
        db.executescript(sql)
    return f"schema: {sql:.160}"


ATTACKS: tuple[Attack, ...] = (
    *(bytes_otherwise,) * 7, *(any_value,) * 8, *(said_otherwise,) * 5, *(keys_otherwise,) * 4,
    *(edges_otherwise,) * 2, *(facts_otherwise,) * 3, *(schema_otherwise,) * 5, side_files,
)  # fmt: skip
