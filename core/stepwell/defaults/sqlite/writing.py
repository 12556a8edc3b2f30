"""Writes of one transaction. Rows of content are only appended, never moved (see the package)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from stepwell.contracts import EdgeRow, NewRecord, ScopeRow
from stepwell.defaults.sqlite.codec import (
    EDGE_CODE,
    KIND_CODE,
    LIVE,
    OP_CODE,
    ORIGIN_CODE,
    STATUS_CODE,
    WORK_CODE,
    dumps,
    extra_of,
    micros,
)
from stepwell.defaults.sqlite.reading import Reader
from stepwell.errors import InvalidOp
from stepwell.identity import id_bytes, keyed
from stepwell.models import EdgeKind, Key, Slot, Status, Usage

_CONTENT = "INSERT INTO contents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_RECORD = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_HANDLE = "INSERT INTO handles VALUES (?, ?, ?, ?)"
_KEY = "INSERT INTO keys VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_JOURNAL = "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?)"
_CURRENT = (
    "SELECT c.turn, c.actor, c.role, c.session, c.task, c.payload, c.extra, c.text FROM records r "
    "JOIN contents c ON c.ref = r.content WHERE r.scope = ? AND r.ref = ?"
)
_STATE = {
    "said_at": "UPDATE records SET said_at = ? WHERE scope = ? AND ref = ?",
    "status": "UPDATE records SET status = ? WHERE scope = ? AND ref = ?",
    "trust": "UPDATE records SET trust = ? WHERE scope = ? AND ref = ?",
    "valid_from": "UPDATE records SET valid_from = ? WHERE scope = ? AND ref = ?",
    "valid_to": "UPDATE records SET valid_to = ? WHERE scope = ? AND ref = ?",
    "content": "UPDATE records SET content = ? WHERE scope = ? AND ref = ?",
    "version": "UPDATE records SET version = ? WHERE scope = ? AND ref = ?",
}


#: What a text begins with that waits to be derived again.
_BLANKED = "\x00"
#: In the order in which `set_state` reads them.
_STATES = ("status", "trust", "said_at", "valid_from", "valid_to", "content", "version")


class Writer(Reader):
    """A write transaction. The head of each scope it touched is stored by `finish`."""

    #: Whether anything was forgotten in it.
    erasing = False
    _heads: dict[int, int]
    _now: int

    def start(self, now: datetime) -> None:
        """Begin to count journal positions; `now` is the time of everything stored."""
        self._heads = {}
        value = micros(now)
        assert value is not None  # noqa: S101 - now is a datetime
        self._now = value

    def finish(self) -> None:
        """Store the heads. The last statement before COMMIT."""
        self._db.executemany(
            "UPDATE scopes SET head = ? WHERE scope = ?",
            [(head, number) for number, head in self._heads.items()],
        )

    def set_meta(self, name: str, value: str | None) -> None:
        """A fact about the whole file; None takes it away."""
        if value is None:
            self._db.execute("DELETE FROM meta WHERE name = ?", (name,))
        else:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def mark_erasing(self) -> None:
        """Note that forgotten bytes wait in the log; another mark each time, see `settle`."""
        self.erasing = True
        self.set_meta("erasing", secrets.token_hex(8))

    def open_scope(self, path: tuple[str, ...], secret: bytes) -> ScopeRow:
        """The scope, made now if need be."""
        known = self.scope_of(path)
        if known is not None:
            return known
        number = self._next("scopes")
        body = self.new_body(number, {"path": list(path), "secret": secret.hex()})
        self._db.execute(
            "INSERT INTO scopes (scope, mac, body) VALUES (?, ?, ?)",
            (number, self.scope_mac(path), body),
        )
        return ScopeRow(number, path, secret, 0, 0)

    def _next(self, table: str) -> int:
        row = self._db.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)
        ).fetchone()
        return 1 if row is None else int(row[0]) + 1

    # journal ----------------------------------------------------------------------------------

    def _position(self, scope: ScopeRow, count: int = 1) -> int:
        if scope.number not in self._heads:
            row = self.again(scope)
            if row is None:
                raise InvalidOp("the scope was erased meanwhile")
            self._heads[scope.number] = row.head
        first = self._heads[scope.number] + 1
        self._heads[scope.number] += count
        return first

    def new_body(self, number: int, value: dict[str, Any]) -> int:
        """Append a JSON object; its number."""
        cursor = self._db.execute(
            "INSERT INTO bodies VALUES (NULL, ?, ?)", (number, dumps(value).encode())
        )
        assert cursor.lastrowid is not None  # noqa: S101 - after an INSERT
        return cursor.lastrowid

    def journal_op(
        self,
        scope: ScopeRow,
        op: str,
        ref: int | None = None,
        *,
        who: str = "user",
        why: str = "",
        evidence: Sequence[str] = (),
        before: dict[str, Any] | None = None,
        body: int | None = None,
    ) -> None:
        """One entry of the journal. Words go to a body of their own, where they can be blanked."""
        if body is None and (why or evidence or before):
            said = {"why": why, "evidence": list(evidence), "before": before}
            body = self.new_body(scope.number, {k: v for k, v in said.items() if v})
        self._db.execute(
            _JOURNAL,
            (scope.number, self._position(scope), OP_CODE[op], ref, self._now, who, body),
        )

    # records ----------------------------------------------------------------------------------

    def append(self, scope: ScopeRow, new: Sequence[NewRecord]) -> None:
        """Append records with their handles, keys and journal entries. Sets `ref` of each."""
        number, now = scope.number, self._now
        ref = self._next("contents")
        contents: list[tuple[Any, ...]] = []
        records: list[tuple[Any, ...]] = []
        handles: list[tuple[Any, ...]] = []
        keys: list[tuple[Any, ...]] = []
        journal: list[tuple[Any, ...]] = []
        position = self._position(scope, len(new))
        code = OP_CODE["add"]
        for item in new:
            item.ref = ref
            r = item.record
            raw = id_bytes(r.id)
            if raw is None:
                raise InvalidOp("a new record's id is not one of stepwell's")
            contents.append(
                (ref, number, r.turn, r.actor, r.role, r.session, r.task,
                 dumps(r.payload) if r.payload else None, extra_of(r),
                 _BLANKED if r.status is Status.STALE and not r.text else r.text)
            )  # fmt: skip
            records.append(
                (number, ref, raw, ref, r.level, KIND_CODE[r.kind], ORIGIN_CODE[r.origin],
                 STATUS_CODE[r.status], r.version, r.trust, micros(r.said_at),
                 micros(r.stored_at) if item.kept else now,
                 micros(r.valid_from), micros(r.valid_to))
            )  # fmt: skip
            handles.append((number, raw, ref, None))
            if item.handle is not None:
                handles.append((number, item.handle, ref, item.content))
            keys.extend(self._key_row(number, item.ref, key) for key in item.keys)
            body = None
            if item.why or item.evidence:
                said = {"why": item.why, "evidence": list(item.evidence)}
                body = self.new_body(number, {k: v for k, v in said.items() if v})
            journal.append((number, position, code, ref, now, item.who, body))
            position += 1
            ref += 1
        self._db.executemany(_CONTENT, contents)
        self._db.executemany(_RECORD, records)
        self._db.executemany(_HANDLE, handles)
        self._db.executemany(_KEY, keys)
        self._db.executemany(_JOURNAL, journal)

    def _key_row(self, number: int, ref: int, key: Key) -> tuple[Any, ...]:
        first, last = key.span if key.span is not None else (None, None)
        sources = self.new_body(number, {"sources": list(key.sources)}) if key.sources else None
        return (number, ref, key.channel, key.space, first, last, LIVE, sources, key.body)

    def add_keys(self, scope: ScopeRow, ref: int, keys: Iterable[Key]) -> None:
        """More keys for a record."""
        self._db.executemany(_KEY, [self._key_row(scope.number, ref, key) for key in keys])

    def set_state(self, scope: ScopeRow, ref: int, **changes: Any) -> dict[str, Any]:
        """Change a record's state; how it was before, for the journal."""
        row = self._db.execute(
            "SELECT status, trust, said_at, valid_from, valid_to, content, version FROM records "
            "WHERE scope = ? AND ref = ?",
            (scope.number, ref),
        ).fetchone()
        was = dict(zip(_STATES, row, strict=True))
        for name, value in changes.items():
            stored = STATUS_CODE[value] if isinstance(value, Status) else value
            stored = micros(stored) if isinstance(stored, datetime) else stored
            self._db.execute(_STATE[name], (stored, scope.number, ref))
        if "version" not in changes:
            self._db.execute(_STATE["version"], (was["version"] + 1, scope.number, ref))
        return {name: was[name] for name in (*changes, "version")}

    def new_text(self, scope: ScopeRow, ref: int, text: str | None, payload: str | None) -> int:
        """Append another version of a record's content; its row. None keeps what is there."""
        content = self._next("contents")
        row = self._db.execute(_CURRENT, (scope.number, ref)).fetchone()
        if row[-1].startswith("\x00"):
            # Blanked: nothing of it is left but its sources, whose session is its own.
            row = (None, None, None, None, None, None, None, "")
            for _, source in self.load(scope, self.origins(scope, ref)[:1]):
                row = (None, None, None, source.session, None, None, None, "")
        turn, actor, role, session, task, held, extra, said = row
        self._db.execute(
            _CONTENT,
            (
                content,
                scope.number,
                turn,
                actor,
                role,
                session,
                task,
                payload or held,
                extra,
                said if text is None else text,
            ),
        )
        return content

    # relations, ledger, slots, work -----------------------------------------------------------

    def link(self, scope: ScopeRow, edge: EdgeRow) -> None:
        """A new or re-weighted edge."""
        body = None
        if edge.label is not None or edge.sources:
            said = {"label": edge.label, "sources": list(edge.sources)}
            body = self.new_body(scope.number, {k: v for k, v in said.items() if v})
        bound = (scope.number, edge.source, EDGE_CODE[edge.kind], edge.target)
        self.unlink(scope, edge.source, edge.kind, edge.target)
        self._db.execute("INSERT INTO edges VALUES (?, ?, ?, ?, ?, ?)", (*bound, edge.weight, body))

    def link_all(
        self, scope: ScopeRow, source: int, kind: EdgeKind, targets: Iterable[int]
    ) -> None:
        """Edges without words from one record to many."""
        code = EDGE_CODE[kind]
        self._db.executemany(
            "INSERT OR IGNORE INTO edges VALUES (?, ?, ?, ?, 1.0, NULL)",
            [(scope.number, source, code, target) for target in targets],
        )

    def unlink(self, scope: ScopeRow, source: int, kind: EdgeKind, target: int) -> None:
        """An edge taken away, its label blanked."""
        bound = (scope.number, source, EDGE_CODE[kind], target)
        self._db.execute(
            "UPDATE bodies SET content = zeroblob(length(content)) WHERE body IN (SELECT body "
            "FROM edges WHERE scope = ? AND source = ? AND kind = ? AND target = ?)",
            bound,
        )
        self._db.execute(
            "DELETE FROM edges WHERE scope = ? AND source = ? AND kind = ? AND target = ?", bound
        )

    def credit(
        self, scope: ScopeRow, ref: int, *, shown: int, used: int, success: float, failure: float,
        strength: float | None,
    ) -> None:  # fmt: skip
        """Add to the ledger's line of a record."""
        self._db.execute(
            "INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (scope, ref) DO UPDATE SET shown = shown + excluded.shown, "
            "used = used + excluded.used, "
            "success = success + excluded.success, failure = failure + excluded.failure, "
            "strength = COALESCE(?, strength), last_used = COALESCE(excluded.last_used, last_used)",
            (scope.number, ref, shown, used, success, failure,
             1.0 if strength is None else strength, self._now if used else None, strength),
        )  # fmt: skip

    def keep_usage(self, scope: ScopeRow, ref: int, usage: Usage) -> None:
        """The ledger's line of a record, as it was elsewhere."""
        self._db.execute(
            "INSERT OR REPLACE INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (scope.number, ref, usage.shown, usage.used, usage.success, usage.failure,
             usage.strength, micros(usage.last_used)),
        )  # fmt: skip

    def set_slot(self, scope: ScopeRow, slot: Slot, who: str, why: str) -> Slot:
        """Another text for a slot; the slot as stored."""
        version = slot.version or self.slot(scope, slot.name).version + 1
        at = self._now if slot.updated_at is None else micros(slot.updated_at)
        body = self.new_body(
            scope.number,
            {"name": slot.name, "text": slot.text, "budget": slot.budget,
             "sources": list(slot.sources), "at": at, "why": why},
        )  # fmt: skip
        self._db.execute(
            "INSERT OR REPLACE INTO slots VALUES (?, ?, ?, ?)",
            (scope.number, keyed(scope.secret, "slot", slot.name), body, version),
        )
        self.journal_op(scope, "set_slot", who=who, body=body)
        return self.slot(scope, slot.name)

    def enqueue(
        self, scope: ScopeRow, kind: str, ref: int | None = None, until: int | None = None
    ) -> None:
        """A task for the queue. Its number is a journal position, and so is never used twice."""
        self._db.execute(
            "INSERT INTO work (scope, wid, kind, ref, until) VALUES (?, ?, ?, ?, ?)",
            (scope.number, self._position(scope), WORK_CODE[kind], ref, until),
        )

    def done(self, scope: ScopeRow, task: int) -> bool:
        """Take a task off the queue; whether it was there."""
        gone = self._db.execute(
            "DELETE FROM work WHERE scope = ? AND wid = ?", (scope.number, task)
        )
        return gone.rowcount > 0

    def park(self, scope: ScopeRow, task: int, error: str | None) -> None:
        """A task that failed, with its error; None puts it back into the queue."""
        self._db.execute(
            "UPDATE work SET error = ?, tries = tries + 1 WHERE scope = ? AND wid = ?",
            (error, scope.number, task),
        )
