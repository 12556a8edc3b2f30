"""The file and its scopes: what every read begins with."""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import Any

from stepwell.contracts import ScopeRow
from stepwell.defaults.sqlite.codec import (
    KIND_CODE,
    KINDS,
    STATUS_CODE,
    STATUSES,
    loads,
    moment,
)  # fmt: skip
from stepwell.defaults.sqlite.shapes import is_secret
from stepwell.errors import StoreDamaged
from stepwell.identity import keyed
from stepwell.models import Kind, Stats, Status

# Nearly all are turns that take part: whoever sorts these by groups too takes twice as long.
_ALL = "SELECT count(*), min(stored_at), max(stored_at) FROM records WHERE scope = ?"
_OTHERS = (
    "SELECT level, kind, status, count(*) FROM records "
    "WHERE scope = ? AND NOT (level = 0 AND kind = ? AND status = ?) GROUP BY level, kind, status"
)
_TURN = KIND_CODE[Kind.EPISODE], STATUS_CODE[Status.ACTIVE]
_COUNTS = {
    "edges": "SELECT count(*) FROM edges WHERE scope = ?",
    "slots": "SELECT count(*) FROM slots WHERE scope = ?",
    "documents": "SELECT count(*) FROM documents WHERE scope = ?",
    "waiting": "SELECT count(*) FROM work WHERE scope = ? AND error IS NULL",
    "parked": "SELECT count(*) FROM work WHERE scope = ? AND error IS NOT NULL",
    "forgotten": "SELECT count(*) FROM handles WHERE scope = ? AND ref IS NULL",
}


class ScopeReader:
    """A read transaction on one connection: facts about the file, its scopes, and bodies."""

    def __init__(self, connection: sqlite3.Connection, path: str, file_secret: bytes) -> None:
        self._db = connection
        self._path = path
        self._file_secret = file_secret

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, for what else is to be part of this transaction."""
        return self._db

    # the file and its scopes ------------------------------------------------------------------

    def meta(self, name: str) -> str | None:
        """A fact about the whole file."""
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        if row is not None and not isinstance(row[0], str):
            raise StoreDamaged(f"{self._path}: what the file says of itself cannot be read")
        return None if row is None else row[0]

    def scope_mac(self, path: tuple[str, ...]) -> bytes:
        """What finds a scope by its path."""
        return keyed(self._file_secret, "scope", *path)

    def scope_of(self, path: tuple[str, ...]) -> ScopeRow | None:
        """A scope by its path; None when nothing was ever stored there, or it was erased."""
        row = self._db.execute(
            "SELECT s.scope, b.content, s.head, s.purges FROM scopes s "
            "JOIN bodies b ON b.body = s.body WHERE s.mac = ?",
            (self.scope_mac(path),),
        ).fetchone()
        return None if row is None else self._scope(row)

    def again(self, scope: ScopeRow) -> ScopeRow | None:
        """The same scope as it is now; None when it was erased meanwhile."""
        row = self._db.execute(
            "SELECT head, purges FROM scopes WHERE scope = ?", (scope.number,)
        ).fetchone()
        if row is None:
            return None
        return ScopeRow(scope.number, scope.path, scope.secret, row[0], row[1])

    def scopes(self, after: int = 0, limit: int = 100, *, waiting: bool = False) -> list[ScopeRow]:
        """Scopes in order of their making, for work over a whole file; or those with work to do."""
        rows = self._db.execute(
            "SELECT s.scope, b.content, s.head, s.purges FROM scopes s "
            "JOIN bodies b ON b.body = s.body WHERE s.scope > ? AND (NOT ? OR EXISTS "
            "(SELECT 1 FROM work w WHERE w.scope = s.scope AND w.error IS NULL)) "
            "ORDER BY s.scope LIMIT ?",
            (after, waiting, limit),
        ).fetchall()
        return [self._scope(row) for row in rows]

    def stats(self, scope: ScopeRow) -> Stats:
        """What a scope holds, in numbers."""
        held, first, last = self._db.execute(_ALL, (scope.number,)).fetchone()
        groups = self._db.execute(_OTHERS, (scope.number, *_TURN)).fetchall()
        turns = held - sum(group[3] for group in groups)
        records, levels, aside = Counter[str](), Counter[int](), Counter[str]()
        for level, kind, status, count in [(0, *_TURN, turns)] * bool(turns) + groups:
            if STATUSES[status - 2] is Status.ACTIVE:
                records[KINDS[kind - 2].value] += count
                levels[level] += count
            else:
                aside[STATUSES[status - 2].value] += count
        counts = {
            name: self._db.execute(sql, (scope.number,)).fetchone()[0]
            for name, sql in _COUNTS.items()
        }
        return Stats(
            dict(records), dict(aside), first=moment(first), last=moment(last),
            levels=dict(sorted(levels.items())), **counts,
        )  # fmt: skip

    def _scope(self, row: tuple[Any, ...]) -> ScopeRow:
        number, content, head, purges = row
        body = self.said(content)
        path, secret = body.get("path"), body.get("secret")
        named = isinstance(path, list) and all(isinstance(name, str) for name in path)
        if not (named and path and is_secret(secret) and type(head) is type(purges) is int):
            raise StoreDamaged(f"{self._path}: scope {number} has no readable name; run check()")
        return ScopeRow(number, tuple(path), bytes.fromhex(secret), head, purges)

    def body(self, scope: ScopeRow, body: int) -> dict[str, Any]:
        """A stored JSON object; empty when it was blanked."""
        row = self._db.execute(
            "SELECT content FROM bodies WHERE body = ? AND scope = ?", (body, scope.number)
        ).fetchone()
        return self.said(None if row is None else row[0])

    def said(self, content: bytes | None) -> dict[str, Any]:
        """What a body holds; empty when it was blanked, or is none."""
        if content is None or content[:1] == b"\x00":
            return {}
        try:
            value = loads(content.decode())
        except (ValueError, AttributeError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise StoreDamaged(f"{self._path}: a body cannot be read; run check()") from None
        return value
