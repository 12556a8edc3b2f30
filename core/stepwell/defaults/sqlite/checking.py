"""What can be wrong inside of a store's file, each with its remedy."""

from __future__ import annotations

import math
import sqlite3
from array import array
from collections.abc import Iterator
from typing import Any

from stepwell.defaults.sqlite.codec import EDGES, KINDS, LIVE, OPS, ORIGINS, STATUSES, WORKS
from stepwell.defaults.sqlite.finding import misnamed
from stepwell.defaults.sqlite.shapes import of_another_kind, said_wrongly
from stepwell.errors import StoreDamaged
from stepwell.models import Problem

_RESTORE = "restore a backup, or see what `stepwell repair` can make of a copy of the file"
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


def found(db: sqlite3.Connection) -> Iterator[Problem]:
    """Everything that is wrong, what cannot be read at all among it."""
    try:
        yield from problems(db)
    except StoreDamaged:
        yield Problem("values that cannot be read", "file", _RESTORE)


def problems(db: sqlite3.Connection, *, pages: bool = True) -> Iterator[Problem]:
    """Everything that is wrong, worst first; `pages` has SQLite look at its own."""
    if pages:
        for (line,) in db.execute("PRAGMA integrity_check(20)").fetchall():
            if line != "ok":
                yield Problem("SQLite finds the file damaged", "file", _RESTORE)
                break
    for what, count in of_another_kind(db):
        yield Problem(what, f"{count} rows", _RESTORE)
    yield from _counted(db)
    for what, count in said_wrongly(db):
        yield Problem(what, f"{count} values", _RESTORE)
    for what, count in misnamed(db):
        yield Problem(what, f"{count} rows", _RESTORE)
    yield from _keys(db)


def _counted(db: sqlite3.Connection) -> Iterator[Problem]:
    for what, sql, remedy in _COUNTED:
        count = db.execute(sql).fetchone()[0]
        if count:
            yield Problem(what, f"{count} rows", remedy)
    for what, sql, known in _CODES:
        wrong = [code for (code,) in db.execute(sql).fetchall() if not _code(code, known)]
        if wrong:
            yield Problem(what, f"{len(wrong)} codes", _RESTORE)
    count = _circles(db)
    if count:
        yield Problem("records that rest on themselves", f"{count} records", _REBUILD)


def _code(code: object, known: int) -> bool:
    return isinstance(code, int) and 2 <= code < 2 + known


def _keys(db: sqlite3.Connection) -> Iterator[Problem]:
    wrong = 0
    for channel, space, body in db.execute(
        "SELECT channel, space, body FROM keys WHERE live = ? AND typeof(body) = 'blob'", (LIVE,)
    ):
        if channel == "words":
            wrong += len(body) % 8 != 0
        elif channel == "vectors":
            dim = str(space).rpartition("/")[2]
            fits = dim.isdecimal() and len(dim) < 8 and len(body) == 4 * int(dim)
            wrong += not fits or not all(map(math.isfinite, array("f", body)))
    if wrong:
        yield Problem("keys of the wrong length, or not finite", f"{wrong} keys", _REBUILD)


_RESTING = "SELECT scope, source, target FROM edges WHERE kind IN (2, 3)"


def _circles(db: sqlite3.Connection) -> int:
    """How many records rest on themselves, or on what does."""
    above: dict[tuple[Any, Any], list[tuple[Any, Any]]] = {}
    left: dict[tuple[Any, Any], int] = {}
    for scope, source, target in db.execute(_RESTING):
        above.setdefault((scope, target), []).append((scope, source))
        left[scope, source] = left.get((scope, source), 0) + 1
    ready = [below for below in above if below not in left]
    while ready:
        for upper in above.get(ready.pop(), ()):
            left[upper] -= 1
            if not left[upper]:
                del left[upper]
                ready.append(upper)
    return len(left)
