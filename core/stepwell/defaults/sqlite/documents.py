"""Keyed JSON values of a scope: found by keyed hashes, their words in `bodies` alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stepwell.contracts import ScopeRow
from stepwell.defaults.sqlite.codec import micros, moment
from stepwell.defaults.sqlite.purging import Purger
from stepwell.defaults.sqlite.reading import Reader
from stepwell.identity import keyed
from stepwell.models import Document

_ZERO = "UPDATE bodies SET content = zeroblob(length(content)) WHERE body = ? AND scope = ?"
_ONE = (
    "SELECT body, created_at, updated_at, expires_at FROM documents "
    "WHERE scope = ? AND space = ? AND mac = ?"
)


def _macs(scope: ScopeRow, namespace: tuple[str, ...], key: str) -> tuple[bytes, bytes]:
    return keyed(scope.secret, "space", *namespace), keyed(
        scope.secret, "document", *namespace, key
    )


def _document(reader: Reader, scope: ScopeRow, row: tuple[Any, ...]) -> Document | None:
    said = reader.body(scope, row[0])
    if not said:
        return None
    made, changed = moment(row[1]), moment(row[2])
    assert made is not None  # noqa: S101 - the column is NOT NULL
    assert changed is not None  # noqa: S101 - the column is NOT NULL
    return Document(
        namespace=tuple(said["namespace"]), key=said["key"], value=said["value"], created_at=made,
        updated_at=changed, expires_at=moment(row[3]),
    )  # fmt: skip


def get(reader: Reader, scope: ScopeRow, namespace: tuple[str, ...], key: str) -> Document | None:
    """A document, expired or not."""
    space, found = _macs(scope, namespace, key)
    row = reader.connection.execute(_ONE, (scope.number, space, found)).fetchone()
    return None if row is None else _document(reader, scope, row)


def every(
    reader: Reader, scope: ScopeRow, namespace: tuple[str, ...] | None = None
) -> Iterator[Document]:
    """All documents of one exact namespace, or of the scope, in no promised order."""
    bound: tuple[Any, ...] = (scope.number,)
    sql = "SELECT body, created_at, updated_at, expires_at FROM documents WHERE scope = ?"
    if namespace is not None:
        bound, sql = (
            (scope.number, keyed(scope.secret, "space", *namespace)),
            sql + " AND space = ?",
        )
    for row in reader.connection.execute(sql, bound).fetchall():
        document = _document(reader, scope, row)
        if document is not None:
            yield document


def put(writer: Purger, scope: ScopeRow, document: Document) -> None:
    """Store a document. The bytes of the value it replaces are blanked at once."""
    space, found = _macs(scope, document.namespace, document.key)
    old = writer.connection.execute(_ONE, (scope.number, space, found)).fetchone()
    created = micros(document.created_at)
    if old is not None:
        writer.connection.execute(_ZERO, (old[0], scope.number))
        created = old[1]
    body = writer.new_body(
        scope.number,
        {"namespace": list(document.namespace), "key": document.key, "value": document.value},
    )
    writer.connection.execute(
        "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?, ?, ?)",
        (scope.number, space, found, body, created, micros(document.updated_at),
         micros(document.expires_at)),
    )  # fmt: skip
    writer.journal_op(scope, "put_document")


def delete(writer: Purger, scope: ScopeRow, namespace: tuple[str, ...], key: str) -> bool:
    """Take a document away, to the byte; whether it was there."""
    space, found = _macs(scope, namespace, key)
    old = writer.connection.execute(_ONE, (scope.number, space, found)).fetchone()
    if old is None:
        return False
    writer.connection.execute(_ZERO, (old[0], scope.number))
    writer.connection.execute(
        "DELETE FROM documents WHERE scope = ? AND space = ? AND mac = ?",
        (scope.number, space, found),
    )
    writer.journal_op(scope, "delete_document")
    writer.mark_erasing()
    return True
