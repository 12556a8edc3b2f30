"""What can be wrong inside of a store's file, each with its remedy."""

from __future__ import annotations

import json
import math
import sqlite3
from array import array
from collections.abc import Iterator

from stepwell.defaults.sqlite.codec import EDGES, KINDS, LIVE, OPS, ORIGINS, STATUSES, WORKS
from stepwell.models import Problem

_RESTORE = "keep a copy of the file and restore a backup"
_REBUILD = "memory.rebuild() makes it again from the turns"

#: (what is wrong, how to count it, remedy)
_COUNTED: tuple[tuple[str, str, str], ...] = (
    (
        "records without their text",
        (
            "SELECT count(*) FROM records r LEFT JOIN contents c ON c.ref = r.content "
            "AND c.scope = r.scope WHERE c.ref IS NULL"
        ),
        _RESTORE,
    ),
    (
        "records of no scope",
        (
            "SELECT count(*) FROM records r LEFT JOIN scopes s ON s.scope = r.scope "
            "WHERE s.scope IS NULL"
        ),
        _RESTORE,
    ),
    (
        "active records whose text is blank",
        (
            "SELECT count(*) FROM records r JOIN contents c ON c.ref = r.content "
            "WHERE r.status = 2 AND (substr(CAST(c.text AS BLOB), 1, 1) = x'00')"
        ),
        _RESTORE,
    ),
    (
        "records that no id leads to",
        (
            "SELECT count(*) FROM records r LEFT JOIN handles h ON h.scope = r.scope "
            "AND h.handle = r.id AND h.ref = r.ref WHERE h.ref IS NULL"
        ),
        _RESTORE,
    ),
    (
        "ids that lead to no record",
        (
            "SELECT count(*) FROM handles h LEFT JOIN records r ON r.scope = h.scope "
            "AND r.ref = h.ref WHERE h.ref IS NOT NULL AND r.ref IS NULL"
        ),
        _RESTORE,
    ),
    (
        "keys of no record",
        (
            "SELECT count(*) FROM keys k LEFT JOIN records r ON r.scope = k.scope "
            "AND r.ref = k.ref WHERE k.live = 2 AND r.ref IS NULL"
        ),
        _REBUILD,
    ),
    (
        "edges from or to no record",
        (
            "SELECT count(*) FROM edges e LEFT JOIN records a ON a.scope = e.scope "
            "AND a.ref = e.source LEFT JOIN records b ON b.scope = e.scope AND b.ref = e.target "
            "WHERE a.ref IS NULL OR b.ref IS NULL"
        ),
        _REBUILD,
    ),
    (
        "derived records without a source",
        (
            "SELECT count(*) FROM records r WHERE r.level > 0 AND NOT EXISTS "
            "(SELECT 1 FROM edges e WHERE e.scope = r.scope AND e.source = r.ref "
            "AND e.kind IN (2, 3))"
        ),
        _REBUILD,
    ),
    (
        "journal positions above the head of their scope",
        (
            "SELECT count(*) FROM journal j LEFT JOIN scopes s ON s.scope = j.scope "
            "WHERE s.scope IS NULL OR j.pos > s.head"
        ),
        _RESTORE,
    ),
    (
        "journal entries whose body is missing",
        (
            "SELECT count(*) FROM journal j LEFT JOIN bodies b ON b.body = j.body "
            "AND b.scope = j.scope WHERE j.body IS NOT NULL AND b.body IS NULL"
        ),
        _RESTORE,
    ),
    (
        "slots, documents or scopes whose body is missing",
        (
            "SELECT (SELECT count(*) FROM slots s "
            "LEFT JOIN bodies b ON b.body = s.body WHERE b.body IS NULL) + "
            "(SELECT count(*) FROM documents d "
            "LEFT JOIN bodies b ON b.body = d.body WHERE b.body IS NULL) + "
            "(SELECT count(*) FROM scopes s "
            "LEFT JOIN bodies b ON b.body = s.body WHERE b.body IS NULL)"
        ),
        _RESTORE,
    ),
    (
        "trust outside of 0 to 1",
        "SELECT count(*) FROM records WHERE NOT trust BETWEEN 0 AND 1",
        _RESTORE,
    ),
)
_CODES = (
    ("unknown kinds", "SELECT DISTINCT kind FROM records", len(KINDS)),
    ("unknown origins", "SELECT DISTINCT origin FROM records", len(ORIGINS)),
    ("unknown statuses", "SELECT DISTINCT status FROM records", len(STATUSES)),
    ("unknown kinds of edges", "SELECT DISTINCT kind FROM edges", len(EDGES)),
    ("unknown ops", "SELECT DISTINCT op FROM journal", len(OPS)),
    ("unknown tasks", "SELECT DISTINCT kind FROM work", len(WORKS)),
)


def problems(db: sqlite3.Connection) -> Iterator[Problem]:
    """Everything that is wrong, worst first."""
    for (line,) in db.execute("PRAGMA integrity_check(20)").fetchall():
        if line != "ok":
            yield Problem("SQLite finds the file damaged", "file", _RESTORE)
            break
    for what, sql, remedy in _COUNTED:
        count = db.execute(sql).fetchone()[0]
        if count:
            yield Problem(what, f"{count} rows", remedy)
    for what, sql, known in _CODES:
        wrong = [code for (code,) in db.execute(sql).fetchall() if not _code(code, known)]
        if wrong:
            yield Problem(what, f"{len(wrong)} codes", _RESTORE)
    yield from _json(db)
    yield from _keys(db)


def _code(code: object, known: int) -> bool:
    return isinstance(code, int) and 2 <= code < 2 + known


def _json(db: sqlite3.Connection) -> Iterator[Problem]:
    bad = 0
    for (content,) in db.execute("SELECT content FROM bodies"):
        if bytes(content[:1]) == b"\x00":
            continue
        try:
            bad += not isinstance(json.loads(content), dict)
        except ValueError:
            bad += 1
    for payload, extra in db.execute(
        "SELECT payload, extra FROM contents WHERE payload IS NOT NULL OR extra IS NOT NULL"
    ):
        for text in (payload, extra):
            if text and not text.startswith("\x00"):
                try:
                    json.loads(text)
                except ValueError:
                    bad += 1
    if bad:
        yield Problem("JSON that cannot be read", f"{bad} values", _RESTORE)


def _keys(db: sqlite3.Connection) -> Iterator[Problem]:
    wrong = 0
    for channel, space, body in db.execute(
        "SELECT channel, space, body FROM keys WHERE live = ?", (LIVE,)
    ):
        if channel == "words":
            wrong += len(body) % 8 != 0
        elif channel == "vectors":
            dim = space.rpartition("/")[2]
            fits = dim.isdigit() and len(body) == 4 * int(dim)
            wrong += not fits or not all(map(math.isfinite, array("f", body)))
    if wrong:
        yield Problem("keys of the wrong length, or not finite", f"{wrong} keys", _REBUILD)
