"""Keyed JSON values inside one scope, for stores like LangGraph's. Never part of recall."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from stepwell.contracts import ScopeRow
from stepwell.errors import InvalidDocument
from stepwell.mechanisms.words import terms
from stepwell.memory.engine import Engine
from stepwell.models import MAX_NAME_CHARS, MAX_TEXT_BYTES, Document, storable

_MAX_DEPTH = 16


class Documents:
    """The documents of one scope. A namespace is a tuple of plain names.

    Every method raises InvalidDocument for a namespace, key or value that cannot be used.
    """

    def __init__(self, engine: Engine, path: tuple[str, ...]) -> None:
        self._engine = engine
        self._path = path

    def put(
        self,
        namespace: Sequence[str],
        key: str,
        value: Mapping[str, Any],
        *,
        ttl: float | None = None,
    ) -> Document:
        """Store a value under a key, in place of what is there; `ttl` in seconds from now."""
        space, name = _namespace(namespace), _name(key, "key")
        plain = _value(value)
        if ttl is not None and not 0 < ttl < 1e10:
            raise InvalidDocument("ttl is a positive number of seconds")
        engine = self._engine.ready()
        now = engine.clock()
        expires = None if ttl is None else now + timedelta(seconds=ttl)
        document = Document(space, name, plain, now, now, expires)
        with engine.store.writing(now) as writer:
            row = writer.open_scope(self._path, engine.secret_of(self._path))
            held = engine.store.document(writer, row, space, name)
            if held is not None:
                document = Document(space, name, plain, held.created_at, now, expires)
            engine.store.put_document(writer, row, document)
        return document

    def get(self, namespace: Sequence[str], key: str) -> Document | None:
        """The document, or None when there is none or it has expired."""
        space, name = _namespace(namespace), _name(key, "key")
        engine = self._engine.ready()
        with engine.store.reading() as reader:
            row = reader.scope_of(self._path)
            held = None if row is None else engine.store.document(reader, row, space, name)
        return held if held is not None and self._alive(held) else None

    def delete(self, namespace: Sequence[str], key: str) -> bool:
        """Take a document away, to the byte; whether it was there."""
        space, name = _namespace(namespace), _name(key, "key")
        engine = self._engine.ready()
        with engine.store.writing(engine.clock()) as writer:
            row = writer.scope_of(self._path)
            was = row is not None and engine.store.delete_document(writer, row, space, name)
        if was:
            engine.store.mark_pending()
            engine.store.settle()
        return was

    def search(
        self,
        prefix: Sequence[str] = (),
        *,
        query: str | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the name LangGraph's users know
        limit: int = 10,
        offset: int = 0,
    ) -> list[Document]:
        """Documents under a namespace prefix: best first for a query, else by latest change.

        `filter` compares top-level fields: a value, or {"$eq" | "$ne" | "$gt" | "$gte" | "$lt" |
        "$lte": value}.
        """
        _paging(limit, offset)
        found = [d for d in self._every(_namespace(prefix, empty=True)) if _passes(d.value, filter)]
        if query is not None:
            return _ranked(found, query)[offset : offset + limit]
        found.sort(key=lambda d: (d.namespace, d.key))
        found.sort(key=lambda d: d.updated_at, reverse=True)
        return found[offset : offset + limit]

    def namespaces(
        self,
        prefix: Sequence[str] = (),
        *,
        suffix: Sequence[str] = (),
        max_depth: int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[tuple[str, ...]]:
        """Namespaces that hold a document, sorted; cut to `max_depth` segments."""
        _paging(limit, offset)
        end = tuple(suffix)
        found = {
            d.namespace[:max_depth]
            for d in self._every(_namespace(prefix, empty=True))
            if not end or d.namespace[-len(end) :] == end
        }
        return sorted(found)[offset : offset + limit]

    def sweep(self) -> int:
        """Take expired documents away for good; how many."""
        engine = self._engine.ready()
        with engine.store.reading() as reader:
            row = reader.scope_of(self._path)
            gone = (
                []
                if row is None
                else [d for d in engine.store.documents(reader, row) if not self._alive(d)]
            )
        if row is not None and gone:
            with engine.store.writing(engine.clock()) as writer:
                for d in gone:
                    engine.store.delete_document(writer, row, d.namespace, d.key)
            engine.store.mark_pending()
            engine.store.settle()
        return len(gone)

    def _alive(self, document: Document) -> bool:
        return document.expires_at is None or document.expires_at > self._engine.clock()

    def _every(self, prefix: tuple[str, ...], exact: bool = False) -> list[Document]:
        engine = self._engine.ready()
        with engine.store.reading() as reader:
            row: ScopeRow | None = reader.scope_of(self._path)
            if row is None:
                return []
            held = engine.store.documents(reader, row, prefix if exact else None)
            return [d for d in held if d.namespace[: len(prefix)] == prefix and self._alive(d)]

    # The last method: from here on, `list` means this one inside of the class.
    def list(
        self, namespace: Sequence[str], *, limit: int = 100, offset: int = 0
    ) -> list[Document]:
        """The documents of exactly this namespace, by key."""
        _paging(limit, offset)
        space = _namespace(namespace)
        return sorted(self._every(space, exact=True), key=lambda d: d.key)[offset : offset + limit]


def _ranked(found: list[Document], query: str) -> list[Document]:
    """Scored by the share of the question's words, rare ones counting more; all are kept."""
    asked = np.unique(terms(query))
    held = [set(terms(_words(d.value)).tolist()) for d in found]
    frequency = {int(t): sum(int(t) in words for words in held) for t in asked}
    weight = {t: float(np.log1p(len(found) / n)) for t, n in frequency.items() if n}
    total = sum(weight.values()) or 1.0
    scored = [
        (sum(w for t, w in weight.items() if t in words) / total, d)
        for words, d in zip(held, found, strict=True)
    ]
    scored.sort(key=lambda pair: (-pair[0], pair[1].namespace, pair[1].key))
    return [
        Document(d.namespace, d.key, d.value, d.created_at, d.updated_at, d.expires_at, score)
        for score, d in scored
    ]


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{k} {_words(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return " ".join(_words(v) for v in value)
    return value if isinstance(value, str) else str(value)


_COMPARE = {
    "$eq": lambda a, b: a == b,
    "$ne": lambda a, b: a != b,
    "$gt": lambda a, b: a > b,
    "$gte": lambda a, b: a >= b,
    "$lt": lambda a, b: a < b,
    "$lte": lambda a, b: a <= b,
}


def _passes(value: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    for field, expected in (wanted or {}).items():
        held = value.get(field)
        if isinstance(expected, Mapping) and any(str(op).startswith("$") for op in expected):
            for op, operand in expected.items():
                if op not in _COMPARE:
                    raise InvalidDocument(
                        f"no operator {str(op)[:20]!r}; there are {', '.join(_COMPARE)}"
                    )
                try:
                    if not _COMPARE[op](held, operand):
                        return False
                except TypeError:
                    return False
        elif held != expected:
            return False
    return True


def _name(text: object, what: str) -> str:
    if not isinstance(text, str) or not text or len(text) > MAX_NAME_CHARS:
        raise InvalidDocument(f"a {what} is a text of 1 to {MAX_NAME_CHARS} characters")
    try:
        return storable(text)
    except ValueError as error:
        raise InvalidDocument(f"a {what} {error}") from None


def _namespace(names: Sequence[str], empty: bool = False) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, (list, tuple)):
        raise InvalidDocument("a namespace is a tuple of names")
    if (not names and not empty) or len(names) > _MAX_DEPTH:
        raise InvalidDocument(f"a namespace has 1 to {_MAX_DEPTH} names")
    return tuple(_name(name, "namespace's name") for name in names)


def _value(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidDocument("a document's value is a mapping")
    try:
        text = json.dumps(dict(value), ensure_ascii=False, allow_nan=False)
        storable(text)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError):
        raise InvalidDocument(
            "a document's value is JSON: text, numbers, lists and mappings"
        ) from None
    if size > MAX_TEXT_BYTES:
        raise InvalidDocument(f"a document's value has at most {MAX_TEXT_BYTES} bytes of JSON")
    plain: dict[str, Any] = json.loads(text)
    return plain


def _paging(limit: object, offset: object) -> None:
    if not isinstance(limit, int) or not isinstance(offset, int) or limit < 0 or offset < 0:
        raise InvalidDocument("limit and offset are whole numbers from 0 on")
