"""What was read of a damaged file is made to hang together.

Rows that hold what stepwell never writes are left out, and so is what leans on what is not there.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from stepwell.defaults.sqlite.codec import (
    EDGES,
    KIND_CODE,
    KINDS,
    OPS,
    ORIGIN_CODE,
    ORIGINS,
    RECORD_COLUMNS,
    STATUS_CODE,
    STATUSES,
    WORKS,
)
from stepwell.defaults.sqlite.shapes import (
    BODIES,
    BOUNDS,
    TIMES,
    TYPES,
    mappings,
    readable,
    sound,
)
from stepwell.models import Kind, Origin, Status

Row = tuple[Any, ...]

_COUNT: Final = "SELECT count(*) FROM "
#: What `check` counts is what is left out, but for numbers, which are set anew.
_OUT: Final = tuple(
    sql.replace(_COUNT, "DELETE FROM ", 1)
    for _, sql in TYPES
    if sql.startswith(_COUNT) and "sqlite_sequence" not in sql
)
_UNTIMELY: Final = tuple(sql.replace(_COUNT, "DELETE FROM ", 1) for _, sql in TIMES)
_SAID = "SELECT ref, payload, extra FROM contents WHERE payload IS NOT NULL OR extra IS NOT NULL"
_RECORDS = (
    "SELECT c.ref, " + RECORD_COLUMNS + " FROM records r "  # noqa: S608 - of constants
    "JOIN contents c ON c.ref = r.content WHERE c.extra IS NOT NULL"
)


#: A tombstone stays one whatever else its row says; and what leads to no number may be one.
_GRAVES: Final = (
    "UPDATE handles SET content = NULL WHERE ref IS NULL",
    (
        "UPDATE handles SET ref = NULL, content = NULL WHERE typeof(ref) <> 'integer' AND "
        "ref IS NOT NULL AND typeof(handle) = 'blob' AND handle NOT IN (SELECT id FROM records)"
    ),
)


#: What is counted as what, the statement, and what is bound in it.
Step = tuple[str | None, str, Row]

#: What is left out or set right after the rows are taken over, in this order, and what it is
#: counted as: "lost" is what a user said or set; "derived" can be made again; None is neither.
RIGHTED: Final[tuple[Step, ...]] = (
    # Whatever leans on bodies that are not there, or another scope's.
    (
        "slots lost",
        (
            "DELETE FROM slots WHERE NOT EXISTS (SELECT 1 FROM bodies b WHERE b.body = slots.body "
            "AND b.scope = slots.scope)"
        ),
        (),
    ),
    (
        "documents lost",
        (
            "DELETE FROM documents WHERE NOT EXISTS (SELECT 1 FROM bodies b "
            "WHERE b.body = documents.body AND b.scope = documents.scope)"
        ),
        (),
    ),
    (None, "DELETE FROM journal WHERE op NOT BETWEEN 2 AND ?", (1 + len(OPS),)),
    (
        None,
        (
            "UPDATE journal SET body = NULL WHERE body IS NOT NULL AND NOT EXISTS (SELECT 1 "
            "FROM bodies b WHERE b.body = journal.body AND b.scope = journal.scope)"
        ),
        (),
    ),
    (None, "DELETE FROM work WHERE kind NOT BETWEEN 2 AND ?", (1 + len(WORKS),)),
    # Fields of records that mean nothing: what is unknown is not trusted.
    (
        None,
        (
            "UPDATE records SET trust = 0 WHERE typeof(trust) NOT IN ('real', 'integer') "
            "OR NOT trust BETWEEN 0 AND 1"
        ),
        (),
    ),
    (
        None,
        "UPDATE records SET origin = ?, trust = 0 WHERE origin NOT BETWEEN 2 AND ?",
        (ORIGIN_CODE[Origin.UNKNOWN], 1 + len(ORIGINS)),
    ),
    (
        None,
        "UPDATE records SET status = ? WHERE status NOT BETWEEN 2 AND ?",
        (STATUS_CODE[Status.QUARANTINED], 1 + len(STATUSES)),
    ),
    (
        None,
        "UPDATE records SET kind = ? WHERE level = 0 AND kind NOT BETWEEN 2 AND ?",
        (KIND_CODE[Kind.EPISODE], 1 + len(KINDS)),
    ),
    (
        "derived",
        "DELETE FROM records WHERE level > 0 AND kind NOT BETWEEN 2 AND ?",
        (1 + len(KINDS),),
    ),
    # What is forgotten stays forgotten, and a record has its text.
    (None, "DELETE FROM records WHERE scope NOT IN (SELECT scope FROM scopes)", ()),
    (
        None,
        (
            "DELETE FROM records WHERE level = 0 AND NOT EXISTS (SELECT 1 FROM contents c "
            "WHERE c.ref = records.content AND c.scope = records.scope "
            "AND substr(CAST(c.text AS BLOB), 1, 1) <> x'00')"
        ),
        (),
    ),
    (
        "derived",
        (
            "DELETE FROM records WHERE level > 0 AND NOT EXISTS (SELECT 1 FROM contents c "
            "WHERE c.ref = records.content AND c.scope = records.scope AND (records.status = ? "
            "OR substr(CAST(c.text AS BLOB), 1, 1) <> x'00'))"
        ),
        (STATUS_CODE[Status.STALE],),
    ),
)
#: After ids and records agree.
LEFT_OUT: Final[tuple[Step, ...]] = (
    (
        None,
        (
            "DELETE FROM handles WHERE ref IS NOT NULL AND NOT EXISTS (SELECT 1 FROM records r "
            "WHERE r.scope = handles.scope AND r.ref = handles.ref)"
        ),
        (),
    ),
    (
        None,
        (
            "DELETE FROM edges WHERE kind NOT BETWEEN 2 AND ? OR NOT EXISTS (SELECT 1 FROM records "
            "r WHERE r.scope = edges.scope AND r.ref = edges.source) OR NOT EXISTS (SELECT 1 "
            "FROM records r WHERE r.scope = edges.scope AND r.ref = edges.target)"
        ),
        (1 + len(EDGES),),
    ),
    (
        None,
        (
            "UPDATE edges SET body = NULL WHERE NOT EXISTS (SELECT 1 FROM bodies b "
            "WHERE b.body = edges.body AND b.scope = edges.scope)"
        ),
        (),
    ),
)
RESTLESS = (
    "DELETE FROM records WHERE level > 0 AND NOT EXISTS (SELECT 1 FROM edges e WHERE "
    "e.scope = records.scope AND e.source = records.ref AND e.kind IN (2, 3))"
)
LAST: Final[tuple[Step, ...]] = (
    (
        "keys",
        (
            "DELETE FROM keys WHERE live = 2 AND NOT EXISTS (SELECT 1 FROM records r "
            "WHERE r.scope = keys.scope AND r.ref = keys.ref)"
        ),
        (),
    ),
    (None, "DELETE FROM keys WHERE live <> 2", ()),
    (
        None,
        (
            "DELETE FROM usage WHERE NOT EXISTS (SELECT 1 FROM records r "
            "WHERE r.scope = usage.scope AND r.ref = usage.ref)"
        ),
        (),
    ),
    (
        None,
        (
            "UPDATE scopes SET head = max(head, "
            "(SELECT COALESCE(max(j.pos), 0) FROM journal j WHERE j.scope = scopes.scope), "
            "(SELECT COALESCE(max(w.wid), 0) FROM work w WHERE w.scope = scopes.scope))"
        ),
        (),
    ),
)


def cleared(db: sqlite3.Connection) -> int:
    """Leave out what holds values, times or JSON of another kind; of a text, its fields alone.

    How many rows are left out.
    """
    for sql in _GRAVES:
        db.execute(sql)
    out = sum(db.execute(sql).rowcount for sql in _OUT)
    out += sum(db.execute(sql, BOUNDS).rowcount for sql in _UNTIMELY)
    for use, body, content in db.execute(BODIES).fetchall():
        if not sound(use, content):
            db.execute("DELETE FROM bodies WHERE body = ?", (body,))
    for ref, payload, extra in db.execute(_SAID).fetchall():
        if not mappings((payload,)):
            db.execute("UPDATE contents SET payload = NULL WHERE ref = ?", (ref,))
        if not mappings((extra,)):
            db.execute("UPDATE contents SET extra = NULL WHERE ref = ?", (ref,))
    for ref, *row in db.execute(_RECORDS).fetchall():
        if not readable(tuple(row)):
            db.execute("UPDATE contents SET extra = NULL WHERE ref = ?", (ref,))
    return out
