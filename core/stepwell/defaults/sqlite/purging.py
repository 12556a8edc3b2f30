"""Forgetting, down to the bytes: rows of content are overwritten in place by zero bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from stepwell.contracts import ScopeRow
from stepwell.defaults.sqlite.codec import BLANK, EDGE_CODE, LIVE, OP_CODE, STATUS_CODE, dumps
from stepwell.defaults.sqlite.writing import Writer
from stepwell.identity import gone, id_bytes, id_text, keyed
from stepwell.models import EdgeKind, Status

# Each column by as many zero bytes as it holds: the row keeps its length and so its place.
_ZEROS = (
    "UPDATE contents SET "
    "turn = CAST(zeroblob(length(CAST(turn AS BLOB))) AS TEXT), "
    "actor = CAST(zeroblob(length(CAST(actor AS BLOB))) AS TEXT), "
    "role = CAST(zeroblob(length(CAST(role AS BLOB))) AS TEXT), "
    "session = CAST(zeroblob(length(CAST(session AS BLOB))) AS TEXT), "
    "task = CAST(zeroblob(length(CAST(task AS BLOB))) AS TEXT), "
    "payload = CAST(zeroblob(length(CAST(payload AS BLOB))) AS TEXT), "
    "extra = CAST(zeroblob(length(CAST(extra AS BLOB))) AS TEXT), "
    "text = CAST(zeroblob(length(CAST(text AS BLOB))) AS TEXT) "
)
_ZERO_BODY = "UPDATE bodies SET content = zeroblob(length(content)) "
_ZERO_KEY = "UPDATE keys SET live = ?, body = zeroblob(length(body)) "
_OF_RECORD = (
    "WHERE scope = ? AND ref = ? AND live = ? AND (? IS NULL OR channel = ?) "
    "AND (? IS NULL OR space = ?)"
)
_BLANK_KEYS = _ZERO_KEY + _OF_RECORD
_BLANK_SOURCES = (
    _ZERO_BODY + "WHERE body IN (SELECT sources FROM keys " + _OF_RECORD + ")"  # noqa: S608 - of constants
)
_BLANK_JOURNAL = _ZERO_BODY + (  # noqa: S608 - of constants only
    "WHERE body IN (SELECT body FROM journal INDEXED BY journal_by_ref WHERE scope = ? AND ref = ?)"
)
_ZERO_ORPHANS = _ZERO_KEY + (  # noqa: S608 - of constants only
    "WHERE scope = ? AND live = ? AND NOT EXISTS (SELECT 1 FROM records r "
    "WHERE r.scope = keys.scope AND r.ref = keys.ref)"
)
# Where any of a few names is said, or any name at all: a reason is read as JSON only then.
_FEW = 8
_REASONS = (
    "SELECT j.pos, j.body FROM journal j JOIN bodies b ON b.body = j.body "
    "WHERE j.scope = ? AND instr(b.content, ?) AND (? OR instr(b.content, ?) "
    + "OR instr(b.content, ?) " * (_FEW - 1)
    + ")"
)
_SCOPED = ("records", "handles", "edges", "journal", "work", "slots", "usage", "documents")
_DELETE = {
    "records": "DELETE FROM records WHERE scope = ?",
    "handles": "DELETE FROM handles WHERE scope = ?",
    "edges": "DELETE FROM edges WHERE scope = ?",
    "journal": "DELETE FROM journal WHERE scope = ?",
    "work": "DELETE FROM work WHERE scope = ?",
    "slots": "DELETE FROM slots WHERE scope = ?",
    "usage": "DELETE FROM usage WHERE scope = ?",
    "documents": "DELETE FROM documents WHERE scope = ?",
}


class Purger(Writer):
    """A write transaction that can also forget."""

    def blank_keys(
        self, scope: ScopeRow, ref: int, channel: str | None = None, space: str | None = None
    ) -> int:
        """Blank a record's live keys, of one channel and space or of all; how many."""
        bound = (scope.number, ref, LIVE, channel, channel, space, space)
        self._db.execute(_BLANK_SOURCES, bound)
        return self._db.execute(_BLANK_KEYS, (BLANK, *bound)).rowcount

    def blank_orphans(self, scope: ScopeRow) -> int:
        """Blank live keys of records that are not there; how many."""
        return self._db.execute(_ZERO_ORPHANS, (BLANK, scope.number, LIVE)).rowcount

    def purge(self, scope: ScopeRow, refs: Iterable[int], stale: Collection[int]) -> dict[str, int]:
        """Forget records; those in `stale` keep id and place, and are to be derived again.

        Counts of turns, derived, stale, keys and edges.
        """
        counts = dict.fromkeys(("turns", "derived", "stale", "keys", "edges"), 0)
        names: set[str] = set()
        for ref in refs:
            row = self._db.execute(
                "SELECT r.level, r.id, c.turn FROM records r JOIN contents c ON c.ref = r.content "
                "WHERE r.scope = ? AND r.ref = ?",
                (scope.number, ref),
            ).fetchone()
            if row is None:
                continue
            counts["keys"] += self.blank_keys(scope, ref)
            counts["edges"] += self._undo_supersession(scope, ref)
            self._blank_words(scope, ref)
            if ref in stale:
                counts["stale"] += 1
                # Times may be those of a forgotten turn: they are derived again with the text.
                self.set_state(scope, ref, status=Status.STALE, said_at=None)
                self.enqueue(scope, "derive", ref)
            else:
                counts["turns" if row[0] == 0 else "derived"] += 1
                counts["edges"] += self._cut(scope, ref)
                self._tombstone(scope, ref, row[1], row[2])
            names.update(name for name in (id_text(row[1]), row[2]) if name)
            self._db.execute("DELETE FROM usage WHERE scope = ? AND ref = ?", (scope.number, ref))
            self.journal_op(scope, "purge", ref)
        if names:
            self._blank_said(scope, names)
        self._db.execute("UPDATE scopes SET purges = purges + 1 WHERE scope = ?", (scope.number,))
        self.mark_erasing()
        return counts

    def _tombstone(self, scope: ScopeRow, ref: int, raw: bytes, turn: str | None) -> None:
        bound = (scope.number, raw)
        self._db.execute("DELETE FROM handles WHERE scope = ? AND handle = ?", bound)
        if turn is not None:
            self._db.execute(
                "UPDATE handles SET ref = NULL, content = NULL WHERE scope = ? AND handle = ?",
                (scope.number, keyed(scope.secret, "turn", turn)),
            )
        else:
            # No verb is told of it; an import of what was exported before is.
            self._db.execute(
                "INSERT OR IGNORE INTO handles VALUES (?, ?, NULL, NULL)",
                (scope.number, gone(scope.secret, id_text(raw))),
            )
        self._db.execute("DELETE FROM records WHERE scope = ? AND ref = ?", (scope.number, ref))

    def _blank_words(self, scope: ScopeRow, ref: int) -> None:
        """The text with every old version of it, and what the journal says about it."""
        versions = {ref}
        for _, change, _ in self.journal(scope, ref, limit=1_000_000):
            content = change.before.get("content")
            if isinstance(content, int):
                versions.add(content)
        row = self._db.execute(
            "SELECT content FROM records WHERE scope = ? AND ref = ?", (scope.number, ref)
        ).fetchone()
        versions.add(row[0])
        for content in versions:
            self._db.execute(_ZEROS + "WHERE ref = ? AND scope = ?", (content, scope.number))
        self._db.execute(_BLANK_JOURNAL, (scope.number, ref))

    def _cut(self, scope: ScopeRow, ref: int) -> int:
        cut = 0
        for where in ("source", "target"):
            bound = (scope.number, ref)
            self._db.execute(_EDGE_BODIES[where], bound)
            cut += self._db.execute(_EDGE_DELETES[where], bound).rowcount
        return cut

    def _undo_supersession(self, scope: ScopeRow, ref: int, only: int | None = None) -> int:
        """What a record superseded (or `only` one of it) holds again; how many edges went."""
        targets = self.targets(scope, ref, EdgeKind.SUPERSEDES) if only is None else [only]
        for target in targets:
            self.unlink(scope, ref, EdgeKind.SUPERSEDES, target)
            state = self._state_instead(scope, target)
            if state:
                before = self.set_state(scope, target, **state)
                self.journal_op(scope, "set_state", target, who="forget", before=before)
        return len(targets)

    def _state_instead(self, scope: ScopeRow, ref: int) -> dict[str, Any]:
        """The state of a superseded record after one that superseded it is gone."""
        row = self._db.execute(
            "SELECT status FROM records WHERE scope = ? AND ref = ?", (scope.number, ref)
        ).fetchone()
        superseded = STATUS_CODE[Status.SUPERSEDED]
        if row is None or row[0] != superseded:
            return {}
        newer = [e.source for e in self.edges(scope, ref, EdgeKind.SUPERSEDES) if e.target == ref]
        if newer:
            # Another still stands in its place, from when that one holds.
            ((_, last),) = self.load(scope, [max(newer)])
            return {"valid_to": last.valid_from or last.said_at or last.stored_at}
        state: dict[str, Any] = {"status": Status.ACTIVE, "valid_to": None}
        for _, change, _ in self.journal(scope, ref, limit=1_000_000):
            if change.op == "supersede" and change.before.get("status") not in (None, superseded):
                state = {name: change.before.get(name) for name in state}
        return state

    def _blank_said(self, scope: ScopeRow, names: set[str]) -> None:
        """Labels, keys, slots and reasons that name a forgotten record, by either id."""
        for source, kind, target, body in self._db.execute(
            "SELECT source, kind, target, body FROM edges WHERE scope = ? AND body IS NOT NULL",
            (scope.number,),
        ).fetchall():
            if names.intersection(self.body(scope, body).get("sources", ())):
                self._db.execute(_ZERO_BODY + "WHERE body = ?", (body,))
                if kind == EDGE_CODE[EdgeKind.SUPERSEDES]:
                    self._undo_supersession(scope, source, target)
        for kid, ref, body in self._db.execute(
            "SELECT kid, ref, sources FROM keys INDEXED BY keys_by_ref "
            "WHERE scope = ? AND sources IS NOT NULL AND live = ?",
            (scope.number, LIVE),
        ).fetchall():
            if names.intersection(self.body(scope, body).get("sources", ())):
                self._db.execute(
                    _ZERO_KEY + "WHERE kid = ? AND scope = ?", (BLANK, kid, scope.number)
                )
                self._db.execute(_ZERO_BODY + "WHERE body = ?", (body,))
                self.journal_op(scope, "rekey", ref, who="forget")
        self._blank_reasons(scope, names)
        self._blank_slots(scope, names)

    def _blank_reasons(self, scope: ScopeRow, names: set[str]) -> None:
        """Why something else was changed, where a forgotten record was evidence of it."""
        many = len(names) > _FEW
        said_as = [] if many else [dumps(name).encode() for name in sorted(names)]
        unused = [None] * (_FEW - len(said_as))
        bound = (scope.number, b'"evidence":[', many, *said_as, *unused)
        for pos, body in self._db.execute(_REASONS, bound).fetchall():
            said = self.body(scope, body)
            if names.isdisjoint(said.get("evidence", ())):
                continue
            self._db.execute(_ZERO_BODY + "WHERE body = ?", (body,))
            if "before" in said:  # how the other record was is not forgotten
                left = self.new_body(scope.number, {"before": said["before"]})
                self._db.execute(
                    "UPDATE journal SET body = ? WHERE scope = ? AND pos = ?",
                    (left, scope.number, pos),
                )

    def _blank_slots(self, scope: ScopeRow, names: set[str]) -> None:
        bodies: dict[str, list[int]] = {}
        struck: set[str] = set()
        for (body,) in self._db.execute(
            "SELECT body FROM journal WHERE scope = ? AND op = ? AND body IS NOT NULL",
            (scope.number, OP_CODE["set_slot"]),
        ).fetchall():
            said = self.body(scope, body)
            if "name" in said:
                bodies.setdefault(said["name"], []).append(body)
                if names.intersection(said.get("sources", ())):
                    struck.add(said["name"])
        for name in sorted(struck):
            for body in bodies[name]:
                self._db.execute(_ZERO_BODY + "WHERE body = ?", (body,))
            self._db.execute(
                "DELETE FROM slots WHERE scope = ? AND mac = ?",
                (scope.number, keyed(scope.secret, "slot", name)),
            )
            self.journal_op(scope, "set_slot", who="forget")

    def forget_unknown(self, scope: ScopeRow, turn: str) -> None:
        """Refuse a turn id from now on, though nothing is stored under it."""
        self._db.execute(
            "INSERT OR IGNORE INTO handles VALUES (?, ?, NULL, NULL)",
            (scope.number, id_bytes(turn) or keyed(scope.secret, "turn", turn)),
        )

    def erase(self, scope: ScopeRow) -> dict[str, int]:
        """Everything of a scope, its name and its secret included; counts of what there was."""
        number = scope.number
        turns, derived = self._db.execute(
            "SELECT count(*) FILTER (WHERE level = 0), count(*) FILTER (WHERE level > 0) "
            "FROM records WHERE scope = ?",
            (number,),
        ).fetchone()
        counts = {"turns": turns, "derived": derived}
        for name in ("edges", "documents"):
            counts[name] = self._db.execute(_COUNTS[name], (number,)).fetchone()[0]
        self._db.execute(_ZEROS + "WHERE scope = ?", (number,))
        counts["keys"] = self._db.execute(
            _ZERO_KEY + "WHERE scope = ? AND live = ?", (BLANK, number, LIVE)
        ).rowcount
        self._db.execute(_ZERO_BODY + "WHERE scope = ?", (number,))
        for table in _SCOPED:
            self._db.execute(_DELETE[table], (number,))
        self._db.execute("DELETE FROM scopes WHERE scope = ?", (number,))
        self._heads.pop(number, None)
        self.mark_erasing()
        return counts

    def sweep(self) -> int:
        """Delete blanked rows for good, before the file is rebuilt; how many.

        Only `compact` calls this: it rebuilds every page right after, so that no copy stays.
        """
        swept = 0
        for statement in _SWEEPS:
            swept += self._db.execute(statement).rowcount
        return swept


_EDGE_BODIES = {
    "source": _ZERO_BODY + "WHERE body IN (SELECT body FROM edges WHERE scope = ? AND source = ?)",  # noqa: S608 - of constants
    "target": _ZERO_BODY + "WHERE body IN (SELECT body FROM edges INDEXED BY edges_by_target "  # noqa: S608 - of constants
    "WHERE scope = ? AND target = ?)",
}
_EDGE_DELETES = {
    "source": "DELETE FROM edges WHERE scope = ? AND source = ?",
    "target": "DELETE FROM edges WHERE scope = ? AND target = ?",
}
_COUNTS = {
    "edges": "SELECT count(*) FROM edges WHERE scope = ?",
    "documents": "SELECT count(*) FROM documents WHERE scope = ?",
}
_SWEEPS = (
    (
        "DELETE FROM contents WHERE substr(CAST(text AS BLOB), 1, 1) = x'00' "
        "AND NOT EXISTS (SELECT 1 FROM records r WHERE r.scope = contents.scope "
        "AND r.ref = contents.ref) "
        "AND NOT EXISTS (SELECT 1 FROM records r WHERE r.scope = contents.scope "
        "AND r.content = contents.ref)"
    ),
    "DELETE FROM keys WHERE live = 3",
    (
        "UPDATE journal SET body = NULL WHERE body IN (SELECT body FROM bodies "
        "WHERE substr(content, 1, 1) = x'00')"
    ),
    (
        "UPDATE edges SET body = NULL WHERE body IN (SELECT body FROM bodies "
        "WHERE substr(content, 1, 1) = x'00')"
    ),
    "DELETE FROM bodies WHERE substr(content, 1, 1) = x'00'",
)
