"""Reads of one moment. Every statement about a scope has the scope in its WHERE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stepwell.contracts import EdgeRow, ScopeRow, Work
from stepwell.defaults.sqlite.codec import (
    ACTIVE,
    EDGE_CODE,
    EDGES,
    LIVE,
    OPS,
    RECORD_COLUMNS,
    WORKS,
    dumps,
    moment,
    record_of,
)
from stepwell.defaults.sqlite.filtering import named, where_clause
from stepwell.defaults.sqlite.scoping import ScopeReader
from stepwell.errors import StoreDamaged
from stepwell.filters import Filter
from stepwell.identity import id_bytes, id_text, keyed
from stepwell.models import Change, EdgeKind, Record, Slot, Usage

_SELECT = "SELECT " + RECORD_COLUMNS + " FROM records r JOIN contents c "  # noqa: S608 - constants
_RECORD = _SELECT + "ON c.ref = r.content WHERE r.scope = ? AND r.ref = ?"
_VERSION = _SELECT + "ON c.ref = ? AND c.scope = r.scope WHERE r.scope = ? AND r.ref = ?"
_FROM = "FROM records r JOIN contents c ON c.ref = r.content WHERE r.scope = ? AND r.ref > ? AND "
#: As _FROM, but what lies after a ref is looked for among few, not the few among all after it.
_FROM_FEW = _FROM.replace("r.ref > ?", "+r.ref > ?")
_AMONG = "r.ref IN (SELECT j.value FROM json_each(?) j) AND "
_ENTRY = (
    "SELECT r.ref, r.id, r.level, r.kind, r.status, r.trust, r.said_at, r.stored_at, r.valid_from, "
    "r.valid_to, c.session, COALESCE(c.actor, c.role) "
    "FROM records r JOIN contents c ON c.ref = r.content WHERE r.scope = ?"
)
_KEY = (
    "SELECT kid, ref, first, last, body FROM keys INDEXED BY keys_by_ref "
    "WHERE scope = ? AND live = ? AND channel = ? AND space = ?"
)
_KEYLESS = (
    "SELECT r.ref FROM records r WHERE r.scope = ? AND NOT EXISTS (SELECT 1 FROM keys k "
    "WHERE k.scope = r.scope AND k.ref = r.ref AND k.live = ? AND k.channel = ? AND k.space = ?) "
    "ORDER BY r.ref"
)
_EDGE = "SELECT source, kind, target, weight, body FROM edges "
_OUT_OF = _EDGE + "WHERE scope = ? AND source = ? AND kind = ? ORDER BY target"
# Left to itself SQLite reads all edges of the scope, since they lie in the order of their sources.
_INTO = (
    _EDGE + "INDEXED BY edges_by_target WHERE scope = ? AND target = ? AND kind = ? ORDER BY source"
)
_CHILDREN = (
    "SELECT source, target FROM edges WHERE scope = ? AND target = ? AND kind = ? "
    "UNION ALL SELECT source, target FROM edges WHERE scope = ? AND target = ? AND kind = ?"
)


class Reader(ScopeReader):
    """A read transaction on one connection."""

    # records ----------------------------------------------------------------------------------

    def find(self, scope: ScopeRow, ids: Sequence[str]) -> dict[str, int | None]:
        """Refs by record or turn id; None for a forgotten turn; unknown ids are left out."""
        found: dict[str, int | None] = {}
        for name in ids:
            raw = id_bytes(name)
            handle = raw if raw is not None else keyed(scope.secret, "turn", name)
            row = self._db.execute(
                "SELECT ref FROM handles WHERE scope = ? AND handle = ?", (scope.number, handle)
            ).fetchone()
            if row is not None:
                found[name] = row[0]
        return found

    def identity(self, scope: ScopeRow, handle: bytes) -> tuple[int | None, bytes | None] | None:
        """What is known under a handle: (ref, content hash); (None, None) if it was forgotten."""
        row = self._db.execute(
            "SELECT ref, content FROM handles WHERE scope = ? AND handle = ?",
            (scope.number, handle),
        ).fetchone()
        return None if row is None else (row[0], row[1])

    def load(self, scope: ScopeRow, refs: Sequence[int]) -> list[tuple[int, Record]]:
        """Records in the order of `refs`; those that are not there are left out."""
        loaded = []
        for ref in refs:
            row = self._db.execute(_RECORD, (scope.number, int(ref))).fetchone()
            if row is not None:
                loaded.append((int(ref), self._record(scope, row)))
        return loaded

    def version(self, scope: ScopeRow, ref: int, content: int) -> Record | None:
        """A record with the text that it had in an earlier version."""
        row = self._db.execute(_VERSION, (content, scope.number, ref)).fetchone()
        return None if row is None else self._record(scope, row)

    def _record(self, scope: ScopeRow, row: tuple[Any, ...]) -> Record:
        try:
            return record_of(scope.path, row)
        except (
            ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError,
        ):  # fmt: skip
            pass
        # The row's own words stay out of the message.
        raise StoreDamaged(f"{self._path}: a record cannot be read; run check()")

    def select(
        self, scope: ScopeRow, where: Filter | None, after: int, limit: int, active: bool = True
    ) -> list[int]:
        """Refs above `after`, ascending."""
        names, rest = named(where)
        clause, values = where_clause(rest)
        if names is not None:
            # Looked up: every record against every id would take too long.
            clause = _AMONG + clause
            values.insert(0, dumps([ref for ref in self.find(scope, names).values() if ref]))
        sql = (
            "SELECT r.ref "
            + (_FROM if names is None else _FROM_FEW)
            + "(? OR r.status = ?) AND "
            + clause
            + " ORDER BY r.ref LIMIT ?"
        )
        rows = self._db.execute(
            sql, (scope.number, after, not active, ACTIVE, *values, limit)
        ).fetchall()
        return [row[0] for row in rows]

    def count(self, scope: ScopeRow, where: Filter | None, active: bool = True) -> int:
        """How many records there are."""
        clause, values = where_clause(where)
        sql = "SELECT count(*) " + _FROM + "(? OR r.status = ?) AND " + clause
        row = self._db.execute(sql, (scope.number, 0, not active, ACTIVE, *values)).fetchone()
        return int(row[0])

    # what the caches load ---------------------------------------------------------------------

    def entries(self, scope: ScopeRow, refs: Sequence[int] | None = None) -> list[tuple[Any, ...]]:
        """Rows in the shape of `Entry`, ascending by ref."""
        if refs is None:
            return self._db.execute(_ENTRY + " ORDER BY r.ref", (scope.number,)).fetchall()
        rows = (
            self._db.execute(_ENTRY + " AND r.ref = ?", (scope.number, ref)).fetchone()
            for ref in sorted(refs)
        )
        return [row for row in rows if row is not None]

    def keys(
        self, scope: ScopeRow, channel: str, space: str, refs: Sequence[int] | None = None
    ) -> list[tuple[Any, ...]]:
        """Rows (kid, ref, first, last, body) of live keys, ascending by kid."""
        bound = (scope.number, LIVE, channel, space)
        if refs is None:
            # Read in the order of the index, which is almost that of the numbers.
            rows = self._db.execute(_KEY + " ORDER BY ref, kid", bound).fetchall()
        else:
            rows = []
            for ref in sorted(refs):
                rows += self._db.execute(_KEY + " AND ref = ?", (*bound, ref)).fetchall()
        rows.sort(key=lambda row: int(row[0]))
        return rows

    def spaces(self, scope: ScopeRow) -> list[tuple[str, str, int]]:
        """(channel, space, count) of live keys."""
        return self._db.execute(
            "SELECT channel, space, count(*) FROM keys INDEXED BY keys_by_ref "
            "WHERE scope = ? AND live = ? GROUP BY channel, space",
            (scope.number, LIVE),
        ).fetchall()

    def keyless(self, scope: ScopeRow, channel: str, space: str) -> list[int]:
        """Refs of records without a live key in a channel and space, ascending."""
        rows = self._db.execute(_KEYLESS, (scope.number, LIVE, channel, space)).fetchall()
        return [row[0] for row in rows]

    def changed(self, scope: ScopeRow, after: int) -> list[int]:
        """Refs that the journal names after a position, ascending."""
        rows = self._db.execute(
            "SELECT DISTINCT ref FROM journal WHERE scope = ? AND pos > ? AND ref IS NOT NULL "
            "ORDER BY ref",
            (scope.number, after),
        ).fetchall()
        return [row[0] for row in rows]

    # relations --------------------------------------------------------------------------------

    def edges(self, scope: ScopeRow, ref: int, kind: EdgeKind | None = None) -> list[EdgeRow]:
        """Edges out of and into a record."""
        rows = self._db.execute(
            "SELECT source, kind, target, weight, body FROM edges WHERE scope = ? AND source = ? "
            "UNION SELECT source, kind, target, weight, body FROM edges INDEXED BY edges_by_target "
            "WHERE scope = ? AND target = ? ORDER BY 1, 2, 3",
            (scope.number, ref, scope.number, ref),
        ).fetchall()
        found = [self._edge(scope, row) for row in rows]
        return [edge for edge in found if kind is None or edge.kind is kind]

    def links(
        self, scope: ScopeRow, refs: Sequence[int], kind: EdgeKind, *, into: bool = False
    ) -> list[EdgeRow]:
        """Edges of one kind out of some records, or into them, by ref in the order given."""
        sql = _INTO if into else _OUT_OF
        code = EDGE_CODE[kind]
        rows: list[tuple[Any, ...]] = []
        for ref in refs:
            rows += self._db.execute(sql, (scope.number, ref, code)).fetchall()
        return [self._edge(scope, row) for row in rows]

    def _edge(self, scope: ScopeRow, row: tuple[Any, ...]) -> EdgeRow:
        source, code, target, weight, body = row
        said = self.body(scope, body) if body is not None else {}
        label, sources = said.get("label"), tuple(said.get("sources", ()))
        return EdgeRow(source, EDGES[code - 2], target, weight, label, sources)

    def targets(self, scope: ScopeRow, source: int, kind: EdgeKind) -> list[int]:
        """What a record points to by one kind of edge, ascending."""
        rows = self._db.execute(
            "SELECT target FROM edges WHERE scope = ? AND source = ? AND kind = ? ORDER BY target",
            (scope.number, source, EDGE_CODE[kind]),
        ).fetchall()
        return [row[0] for row in rows]

    def origins(self, scope: ScopeRow, ref: int) -> list[int]:
        """What a record directly comes from: what it contains, and what it is derived from."""
        contains = self.targets(scope, ref, EdgeKind.CONTAINS)
        return sorted({*contains, *self.targets(scope, ref, EdgeKind.DERIVED_FROM)})

    def roots(self, scope: ScopeRow, ref: int, limit: int = 100_000) -> list[int]:
        """The level-0 records that a record rests on, transitively; itself if it rests on none."""
        seen: set[int] = {ref}
        found: list[int] = []
        frontier = [ref]
        while frontier and len(found) < limit:
            here = frontier.pop()
            below = self.origins(scope, here)
            if not below:
                found.append(here)
            frontier.extend(b for b in below if b not in seen)
            seen.update(below)
        return sorted(found)

    def derived(self, scope: ScopeRow, refs: Sequence[int]) -> dict[int, list[int]]:
        """All records that rest on any of `refs`, transitively, each with its direct sources."""
        reached: dict[int, list[int]] = {}
        frontier = list(refs)
        seen = set(frontier)
        contains, derived_from = EDGE_CODE[EdgeKind.CONTAINS], EDGE_CODE[EdgeKind.DERIVED_FROM]
        while frontier:
            ref = frontier.pop()
            rows = self._db.execute(
                _CHILDREN, (scope.number, ref, contains, scope.number, ref, derived_from)
            ).fetchall()
            for child, _ in rows:
                if child not in reached:
                    reached[child] = self.origins(scope, child)
                if child not in seen:
                    seen.add(child)
                    frontier.append(child)
        return reached

    # journal, ledger, slots, work -------------------------------------------------------------

    def journal(
        self, scope: ScopeRow, ref: int | None = None, after: int = 0, limit: int = 1000
    ) -> list[tuple[int, Change, dict[str, Any]]]:
        """(position, change, body) in order; of one record, or of the whole scope."""
        bound: tuple[Any, ...] = (scope.number, after, limit)
        sql = _JOURNAL + _LIMIT
        if ref is not None:
            bound, sql = (scope.number, ref, after, limit), _OF_ONE + _LIMIT
        changes = []
        for pos, op, record, at, who, body in self._db.execute(sql, bound).fetchall():
            said = self.body(scope, body) if body is not None else {}
            before = said.get("before", {})
            when = moment(at)
            assert when is not None  # noqa: S101 - the column is NOT NULL
            change = Change(
                at=when,
                op=OPS[op - 2],
                record_id=None if record is None else id_text(record),
                who=who,
                why=said.get("why", ""),
                evidence=tuple(said.get("evidence", ())),
                before=before,
            )
            changes.append((pos, change, said))
        return changes

    def overlay(self, scope: ScopeRow, known: int) -> dict[int, dict[str, Any]]:
        """How records that changed after a moment were before: the state to show in their place."""
        states: dict[int, dict[str, Any]] = {}
        rows = self._db.execute(
            "SELECT ref, body FROM journal WHERE scope = ? AND at > ? AND ref IS NOT NULL "
            "AND body IS NOT NULL ORDER BY pos",
            (scope.number, known),
        ).fetchall()
        for ref, body in rows:
            before = self.body(scope, body).get("before")
            if before:
                # The first change after the moment tells what held at the moment.
                for name, value in before.items():
                    states.setdefault(ref, {}).setdefault(name, value)
        return states

    def usage(self, scope: ScopeRow, ref: int) -> Usage:
        """The ledger's line of a record."""
        row = self._db.execute(
            "SELECT shown, used, success, failure, strength, last_used FROM usage "
            "WHERE scope = ? AND ref = ?",
            (scope.number, ref),
        ).fetchone()
        if row is None:
            return Usage()
        return Usage(
            shown=row[0], used=row[1], success=row[2], failure=row[3], strength=row[4],
            last_used=moment(row[5]),
        )  # fmt: skip

    def slot(self, scope: ScopeRow, name: str) -> Slot:
        """A slot's text as it is now; version 0 when it was never set."""
        row = self._db.execute(
            "SELECT body, version FROM slots WHERE scope = ? AND mac = ?",
            (scope.number, keyed(scope.secret, "slot", name)),
        ).fetchone()
        if row is None:
            return Slot(name=name)
        said = self.body(scope, row[0])
        return Slot(
            name=name, text=said.get("text", ""), budget=said.get("budget", 256), version=row[1],
            sources=tuple(said.get("sources", ())), updated_at=moment(said.get("at")),
        )  # fmt: skip

    def slots(self, scope: ScopeRow) -> list[Slot]:
        """All slots, by name."""
        bodies = self._db.execute(
            "SELECT body FROM slots WHERE scope = ?", (scope.number,)
        ).fetchall()
        names = [self.body(scope, row[0]).get("name") for row in bodies]
        return [self.slot(scope, name) for name in sorted(n for n in names if n)]

    def work(self, scope: ScopeRow, limit: int = 100, parked: bool = False) -> list[Work]:
        """Tasks of the queue, oldest first; parked ones are those with an error."""
        rows = self._db.execute(
            "SELECT wid, kind, ref, until, tries, error FROM work "
            "WHERE scope = ? AND (error IS NOT NULL) = ? ORDER BY wid LIMIT ?",
            (scope.number, parked, limit),
        ).fetchall()
        for row in rows:
            if not all(value is None or isinstance(value, int) for value in row[:5]):
                raise StoreDamaged(f"{self._path}: a task cannot be read; run check()")
        return [Work(row[0], WORKS[row[1] - 2], *row[2:]) for row in rows]


_JOURNAL = (
    "SELECT j.pos, j.op, r.id, j.at, j.who, j.body FROM journal j "
    "LEFT JOIN records r ON r.scope = j.scope AND r.ref = j.ref WHERE j.scope = ? AND j.pos > ?"
)
# Left to itself SQLite reads all of the scope's journal, since it lies in the order asked for.
_OF_ONE = (
    "SELECT j.pos, j.op, r.id, j.at, j.who, j.body FROM journal j INDEXED BY journal_by_ref "
    "LEFT JOIN records r ON r.scope = j.scope AND r.ref = j.ref "
    "WHERE j.scope = ? AND j.ref = ? AND j.pos > ?"
)
_LIMIT = " ORDER BY j.pos LIMIT ?"
