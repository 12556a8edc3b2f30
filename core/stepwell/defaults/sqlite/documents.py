"""Keyed JSON values of a scope: found by keyed hashes, their words in `bodies` alone.

Documents have an order: namespaces by when the first document came to them, and in a namespace
documents by when each came; one that is replaced keeps its place. Numbers of bodies ascend, so the
place is the number of a document's first body, and a namespace's the place of its first document.
A later body carries both, as `place` and `since`, where they are not its own number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from stepwell.contracts import ScopeRow
from stepwell.defaults.sqlite.codec import dumps, micros, moment
from stepwell.defaults.sqlite.purging import Purger
from stepwell.defaults.sqlite.reading import Reader
from stepwell.identity import keyed
from stepwell.models import Document

_ZERO = "UPDATE bodies SET content = zeroblob(length(content)) WHERE body = ? AND scope = ?"
_DELETE = "DELETE FROM documents WHERE scope = ? AND space = ? AND mac = ?"
_TOUCH = "UPDATE documents SET expires_at = ? WHERE scope = ? AND space = ? AND mac = ?"
_ONE = (
    "SELECT d.body, d.created_at, d.updated_at, d.expires_at, b.content FROM documents d "
    "JOIN bodies b ON b.body = d.body AND b.scope = d.scope "
    "WHERE d.scope = ? AND d.space = ? AND d.mac = ?"
)
_LIVING = "(expires_at IS NULL OR expires_at > ?) "
_ROW = "SELECT space, body, created_at, updated_at, expires_at FROM documents WHERE scope = ? AND "
_ALL = _ROW + _LIVING
_OF_SPACE = _ROW + _LIVING + "AND space = ?"
_OTHER = "SELECT body FROM documents WHERE scope = ? AND " + _LIVING  # noqa: S608 - of constants
_SIBLING = _OTHER + "AND space = ? AND mac <> ? LIMIT 1"
_ANY = (
    "SELECT b.content FROM documents d JOIN bodies b ON b.body = d.body AND b.scope = d.scope "
    "WHERE d.scope = ? AND d.space = ? LIMIT 1"
)
# One step into the table a namespace, however many documents it holds.
_SPACES = (
    "WITH RECURSIVE found(space) AS (SELECT min(space) FROM documents WHERE scope = ?1 "
    "AND (expires_at IS NULL OR expires_at > ?2) UNION ALL SELECT (SELECT min(d.space) "
    "FROM documents d WHERE d.scope = ?1 AND d.space > found.space "
    "AND (d.expires_at IS NULL OR d.expires_at > ?2)) FROM found WHERE found.space IS NOT NULL) "
    "SELECT space FROM found WHERE space IS NOT NULL"
)
_CONTENTS = (
    "SELECT body, content FROM bodies WHERE scope = ? "
    "AND body IN (SELECT value FROM json_each(?))"
)  # fmt: skip
_NEW = "SELECT content FROM bodies WHERE body > ? AND body <= ? AND scope = ?"
_EXPIRED = "SELECT space, mac, body FROM documents WHERE scope = ? AND expires_at <= ?"

_BEFORE_ALL = -(2**62)
#: Bodies loaded at once: few at first, since few may be asked for.
_FIRST_PAGE, _PAGE = 16, 256
#: With more namespaces to look into than this, one walk over all documents is quicker.
_FEW = 32
#: What is known of bodies and of names of namespaces: at most so many each, then none.
_KNOWN = 200_000
#: Bodies that are looked through for new namespaces at most; with more, all are walked anew.
_MANY_NEW = 500
#: Scopes of which the namespaces are kept at most, then none.
_SCOPES = 64


class DocumentKeeper:
    """The documents of a store, and what is known of their order.

    A number of a body is never used twice and what it holds never changes, save that it is blanked,
    so what is known of it stays true. Only what was read as committed is kept: the numbers of a
    transaction that is rolled back are given out again.
    """

    def __init__(self) -> None:
        self._places: dict[int, tuple[int, int]] = {}
        self._names: dict[bytes, tuple[str, ...]] = {}
        self._spaces_of: dict[int, tuple[int, dict[bytes, tuple[str, ...]] | None]] = {}

    # reads ------------------------------------------------------------------------------------

    def document(
        self, reader: Reader, scope: ScopeRow, namespace: tuple[str, ...], key: str
    ) -> Document | None:
        """A document, expired or not."""
        row = reader.connection.execute(_ONE, (scope.number, *_macs(scope, namespace, key)))
        found = row.fetchone()
        return None if found is None else _document(reader.said(found[4]), *found[1:4])

    def documents(
        self, reader: Reader, scope: ScopeRow, namespace: tuple[str, ...] | None = None, *,
        under: tuple[str, ...] = (), at: datetime | None = None,
    ) -> Iterator[Document]:  # fmt: skip
        """Documents in their order: of one exact namespace, of all `under` one, or of the scope.

        `at` leaves out what has expired by then. Values are loaded as they are asked for.
        """
        rows = self._rows(reader, scope, namespace, under, _present(at))
        begin, size = 0, _FIRST_PAGE
        while page := rows[begin : begin + size]:
            begin, size = begin + size, min(2 * size, _PAGE)
            held = _contents(reader, scope, [row[1] for row in page])
            for row in page:
                document = _document(reader.said(held.get(row[1])), *row[2:5])
                if document is not None:
                    yield document

    def namespaces(
        self, reader: Reader, scope: ScopeRow, *, at: datetime | None = None
    ) -> list[tuple[str, ...]]:
        """The namespaces that hold a document, in no promised order."""
        return [name for _, name in self._spaces(reader, scope, _present(at))]

    def _rows(
        self, reader: Reader, scope: ScopeRow, namespace: tuple[str, ...] | None,
        under: tuple[str, ...], present: int,
    ) -> list[tuple[Any, ...]]:  # fmt: skip
        """Rows of documents, in order, found without a look at their values where possible."""
        db, number = reader.connection, scope.number
        if namespace is not None:
            wanted = {keyed(scope.secret, "space", *namespace)}
        elif under:
            every, depth = self._every_space(reader, scope), len(under)
            wanted = {space for space, name in every.items() if name[:depth] == under}
        else:
            wanted = None
        rows: list[tuple[Any, ...]] = []
        if wanted is None or len(wanted) > _FEW:
            rows = db.execute(_ALL, (number, present)).fetchall()
            if wanted is not None:
                rows = [row for row in rows if row[0] in wanted]
        else:
            for space in wanted:
                rows += db.execute(_OF_SPACE, (number, present, space)).fetchall()
        places = self._placed(reader, scope, [row[1] for row in rows])
        begun: dict[bytes, int] = {}
        for row in rows:
            since = places[row[1]][1]
            begun[row[0]] = min(since, begun.get(row[0], since))
        rows.sort(key=lambda row: (begun[row[0]], places[row[1]][0]))
        return rows

    def _placed(
        self, reader: Reader, scope: ScopeRow, bodies: Sequence[int]
    ) -> dict[int, tuple[int, int]]:
        """Place and namespace's place of documents, by their bodies."""
        known = self._places
        placed = {body: known[body] for body in bodies if body in known}
        missing = [body for body in bodies if body not in placed]
        if len(known) + len(missing) > _KNOWN:
            known = self._places = {}  # a new one: another thread may be reading the old one
        for begin in range(0, len(missing), _PAGE):
            page = missing[begin : begin + _PAGE]
            held = _contents(reader, scope, page)
            for body in page:
                placed[body] = _place(body, reader.said(held.get(body)))
        if not isinstance(reader, Purger):
            known.update((body, placed[body]) for body in missing)
        return placed

    def _spaces(
        self, reader: Reader, scope: ScopeRow, present: int
    ) -> list[tuple[bytes, tuple[str, ...]]]:
        found: list[tuple[bytes, tuple[str, ...]]] = []
        if len(self._names) > _KNOWN:
            self._names.clear()
        for (space,) in reader.connection.execute(_SPACES, (scope.number, present)).fetchall():
            name = self._names.get(space)
            if name is None:
                row = reader.connection.execute(_ANY, (scope.number, space)).fetchone()
                said = reader.said(row and row[0])
                if "namespace" not in said:
                    continue
                # Found by a hash of it: whoever writes, it is never another one's.
                name = self._names[space] = tuple(said["namespace"])
            found.append((space, name))
        return found

    def _every_space(self, reader: Reader, scope: ScopeRow) -> dict[bytes, tuple[str, ...]]:
        """All namespaces that hold a document, and perhaps some that held one.

        Whoever puts a document appends a body, so only what was appended since is looked through.
        """
        last, every = self._spaces_of.get(scope.number, (0, None))
        newest = reader.connection.execute("SELECT max(body) FROM bodies").fetchone()[0] or 0
        if every is None or newest - last > _MANY_NEW or len(every) == _KNOWN:
            every = dict(self._spaces(reader, scope, _BEFORE_ALL))
        elif newest > last:
            new = reader.connection.execute(_NEW, (last, newest, scope.number)).fetchall()
            every = dict(every)
            for said in (reader.said(content) for (content,) in new):
                if "namespace" in said and "key" in said:
                    name = tuple(said["namespace"])
                    every[keyed(scope.secret, "space", *name)] = name
        if not isinstance(reader, Purger) and len(every) <= _KNOWN:
            if len(self._spaces_of) >= _SCOPES:
                self._spaces_of.clear()
            self._spaces_of[scope.number] = (newest, every)
        return every

    # writes -----------------------------------------------------------------------------------

    def put_document(self, writer: Purger, scope: ScopeRow, document: Document) -> Document:
        """Store a document as of its `updated_at`; the document with the time of its first making.

        The bytes of the value it replaces are blanked at once. One that had expired is another one.
        """
        space, mac = _macs(scope, document.namespace, document.key)
        created, now = micros(document.created_at), micros(document.updated_at)
        old = writer.connection.execute(_ONE, (scope.number, space, mac)).fetchone()
        order: dict[str, int] = {}
        if old is not None:
            writer.connection.execute(_ZERO, (old[0], scope.number))
        if old is not None and (old[3] is None or old[3] > now):
            place, since = _place(old[0], writer.said(old[4]))
            created, order = old[1], {"place": place}
        else:
            bound = (scope.number, now, space, mac)
            sibling = writer.connection.execute(_SIBLING, bound).fetchone()
            place, since = 0, sibling and self._placed(writer, scope, sibling)[sibling[0]][1]
        if since and since != place:
            order["since"] = since
        body = writer.new_body(scope.number, _told(document) | order)
        writer.connection.execute(
            "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?, ?, ?)",
            (scope.number, space, mac, body, created, now, micros(document.expires_at)),
        )
        writer.journal_op(scope, "put_document")
        stored = _document(_told(document), created, now, micros(document.expires_at))
        assert stored is not None  # noqa: S101 - it was told just now
        return stored

    def touch_document(
        self, writer: Purger, scope: ScopeRow, namespace: tuple[str, ...], key: str, now: datetime
    ) -> bool:
        """Let a document's time to live begin anew, if it has one and is not over; whether."""
        held = self.document(writer, scope, namespace, key)
        if held is None or held.ttl is None or held.expires_at is None or held.expires_at <= now:
            return False
        space, mac = _macs(scope, namespace, key)
        anew = micros(now + timedelta(seconds=held.ttl))
        writer.connection.execute(_TOUCH, (anew, scope.number, space, mac))
        return True

    def delete_document(
        self, writer: Purger, scope: ScopeRow, namespace: tuple[str, ...], key: str
    ) -> bool:
        """Take a document away, to the byte; whether it was there."""
        space, mac = _macs(scope, namespace, key)
        old = writer.connection.execute(_ONE, (scope.number, space, mac)).fetchone()
        if old is None:
            return False
        _take(writer, scope, space, mac, old[0])
        return True

    def sweep_documents(self, writer: Purger, scope: ScopeRow, now: datetime) -> int:
        """Take away, to the byte, what has expired; how many."""
        rows = writer.connection.execute(_EXPIRED, (scope.number, micros(now))).fetchall()
        for space, mac, body in rows:
            _take(writer, scope, space, mac, body)
        return len(rows)


def _take(writer: Purger, scope: ScopeRow, space: bytes, mac: bytes, body: int) -> None:
    writer.connection.execute(_ZERO, (body, scope.number))
    writer.connection.execute(_DELETE, (scope.number, space, mac))
    writer.journal_op(scope, "delete_document")
    writer.mark_erasing()


def _macs(scope: ScopeRow, namespace: tuple[str, ...], key: str) -> tuple[bytes, bytes]:
    return keyed(scope.secret, "space", *namespace), keyed(
        scope.secret, "document", *namespace, key
    )


def _present(at: datetime | None) -> int:
    now = micros(at)
    return _BEFORE_ALL if now is None else now


def _place(body: int, said: dict[str, Any]) -> tuple[int, int]:
    """Where a document stands, and where its namespace began when it was put there."""
    place = said.get("place", body)
    return place, said.get("since", place)


def _contents(reader: Reader, scope: ScopeRow, bodies: list[int]) -> dict[int, bytes]:
    rows = reader.connection.execute(_CONTENTS, (scope.number, dumps(bodies))).fetchall()
    return dict(rows)


def _told(document: Document) -> dict[str, Any]:
    told: dict[str, Any] = {
        "namespace": list(document.namespace), "key": document.key, "value": document.value,
    }  # fmt: skip
    if document.ttl is not None:
        told["ttl"] = document.ttl
    if document.index is not None:
        told["index"] = document.index
    return told


def _document(
    said: dict[str, Any], created: int | None, changed: int | None, expires: int | None
) -> Document | None:
    if not said:
        return None
    made, updated = moment(created), moment(changed)
    assert made is not None  # noqa: S101 - the column is NOT NULL
    assert updated is not None  # noqa: S101 - the column is NOT NULL
    index = said.get("index")
    return Document(
        namespace=tuple(said["namespace"]), key=said["key"], value=said["value"], created_at=made,
        updated_at=updated, expires_at=moment(expires), ttl=said.get("ttl"),
        index=tuple(index) if isinstance(index, list | tuple) else index,
    )  # fmt: skip
