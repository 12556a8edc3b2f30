"""Keyed JSON values inside one scope, for stores like LangGraph's. Never part of recall."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from operator import attrgetter
from typing import Any, Literal, TypeVar

from stepwell.contracts import ScopeRow, Store, StoreReader, StoreWriter
from stepwell.errors import InvalidDocument
from stepwell.memory.engine import Engine
from stepwell.memory.telling import tells
from stepwell.models import MAX_TEXT_BYTES, Document, DocumentChange, storable

#: Namespaces and keys may be longer than other names: they are found by a hash.
_MAX_NAME_CHARS = 65_536
_MAX_DEPTH = 64
_MAX_PATHS = 256
_MAX_NESTED = 200

R = TypeVar("R")
T = TypeVar("T")
_Held = tuple[StoreReader, ScopeRow | None]
_Name = tuple[tuple[str, ...], str]


@tells(attrgetter("_path"), prefix="documents.")
class Documents:
    """The documents of one scope. A namespace is a tuple of names.

    They have an order: namespaces by when the first document came to each, and in a namespace
    documents by when each came; one that is replaced keeps its place. What has expired is not
    there, and leaves the file by `sweep`, or when something else is put in its place.

    Every method raises InvalidDocument for a namespace, key or value that cannot be used.
    """

    def __init__(self, engine: Engine, path: tuple[str, ...], held: _Held | None = None) -> None:
        self._engine = engine
        self._path = path
        self._held = held

    # writes -----------------------------------------------------------------------------------

    def put(
        self,
        namespace: Sequence[str],
        key: str,
        value: Mapping[str, Any],
        *,
        ttl: float | None = None,
        index: Literal[False] | Sequence[str] | None = None,
    ) -> Document:
        """Store a value under a key, in place of what is there; `ttl` in seconds from now.

        A query of `search` is compared with all of the value: with nothing of it by `index=False`,
        or with what stands at the paths given, such as `["title", "parts[*].text"]`.
        """
        if value is None:
            raise InvalidDocument("a document's value is a mapping")
        (stored,) = self.write([DocumentChange(namespace, key, value, ttl, index)])
        assert stored is not None  # noqa: S101 - a value was put
        return stored

    def delete(self, namespace: Sequence[str], key: str) -> bool:
        """Take a document away, to the byte; whether it was there."""
        name = _namespace(namespace), _name(key, "key")
        return name in self._change({name: None}, (), self._engine.ready().clock())

    def write(
        self,
        changes: Iterable[DocumentChange],
        *,
        refresh: Iterable[tuple[Sequence[str], str]] = (),
    ) -> tuple[Document | None, ...]:
        """Put and take away several at once: all of it, or nothing; what is there then.

        Of several changes to one document the last counts. Of documents named in `refresh` the time
        to live begins anew; where the store is read-only, theirs goes on.
        """
        now = self._engine.ready().clock()
        wanted: dict[_Name, Document | None] = {}
        named = []
        for change in changes:
            name = _namespace(change.namespace), _name(change.key, "key")
            named.append(name)
            wanted[name] = None if change.value is None else _document(name, change, now)
        touched = [(_namespace(space), _name(key, "key")) for space, key in refresh]
        self._change(wanted, [name for name in touched if name not in wanted], now)
        return tuple(wanted[name] for name in named)

    def _change(
        self, wanted: dict[_Name, Document | None], touched: Sequence[_Name], now: datetime
    ) -> set[_Name]:
        """One transaction. What is put stands in `wanted` as stored then; what was taken away."""
        if self._held is not None:
            raise InvalidDocument("what is read as of one moment is not written to")
        engine, gone = self._engine.ready(), set[_Name]()
        store = engine.store
        if not wanted and (not touched or store.read_only):
            return gone
        with store.writing(now) as writer:
            row = writer.scope_of(self._path)
            if row is None and any(wanted.values()):
                row = writer.open_scope(self._path, engine.secret_of(self._path))
            if row is not None:
                gone = _apply(store, writer, row, wanted, touched, now)
        if gone:
            store.mark_pending()
            store.settle()
        return gone

    def sweep(self) -> int:
        """Take expired documents away for good; how many."""
        engine = self._engine.ready()
        now = engine.clock()
        with engine.store.writing(now) as writer:
            row = writer.scope_of(self._path)
            gone = 0 if row is None else engine.store.sweep_documents(writer, row, now)
        if gone:
            engine.store.mark_pending()
            engine.store.settle()
        return gone

    # reads ------------------------------------------------------------------------------------

    def read(self, call: Callable[[Documents], R]) -> R:
        """What a function returns that reads several things: all of them are of one moment.

        It is given documents that can only be read, and only until it returns.
        """
        with self._reading() as held:
            return call(Documents(self._engine, self._path, held))

    def get(self, namespace: Sequence[str], key: str) -> Document | None:
        """The document, or None when there is none or it has expired."""
        space, name = _namespace(namespace), _name(key, "key")
        with self._reading() as (reader, row):
            held = None if row is None else self._engine.store.document(reader, row, space, name)
        return held if held is not None and self._alive(held) else None

    def search(
        self,
        prefix: Sequence[str] = (),
        *,
        query: str | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the name LangGraph's users know
        limit: int = 10,
        offset: int = 0,
        order: Literal["changed", "added"] = "changed",
    ) -> list[Document]:
        """Documents under a namespace prefix: best first for a query, each with its score.

        Without one by the latest change, or in the order in which they were added. `filter`
        compares top-level fields: a value, or {"$eq" | "$ne" | "$gt" | "$gte" | "$lt" | "$lte":
        value}.
        """
        _paging(limit, offset)
        if order not in ("changed", "added"):
            raise InvalidDocument("the order is 'changed' or 'added'")
        with self._reading() as held:
            passing = (d for d in self._every(held, prefix) if _passes(d.value, filter))
            if query is None and order == "added":
                return list(_page(passing, limit, offset))
            found = list(passing)
        if order == "changed":
            found.sort(key=lambda d: (d.namespace, d.key))
        if query is not None:
            found = self.rank(found, query)
        else:
            found.sort(key=lambda d: d.updated_at, reverse=True)
        return list(_page(found, limit, offset))

    def rank(self, documents: Iterable[Document], query: str) -> list[Document]:
        """Documents by how well they fit a query, each with its score; ties as they came.

        All are kept. Last come those that are compared with no query, without a score.
        """
        _check_query(query)
        return self._engine.lookup.rank(self._path, list(documents), query)

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
        begin, end = _namespace(prefix), tuple(suffix)
        with self._reading() as (reader, row):
            held = []
            if row is not None:
                held = self._engine.store.namespaces(reader, row, at=self._engine.clock())
        found = {
            name[:max_depth]
            for name in held
            if name[: len(begin)] == begin and (not end or name[-len(end) :] == end)
        }
        return list(_page(sorted(found), limit, offset))

    @contextmanager
    def _reading(self) -> Iterator[_Held]:
        if self._held is not None:
            yield self._held
            return
        engine = self._engine.ready()
        with engine.store.reading() as reader:
            yield reader, reader.scope_of(self._path)

    def _alive(self, document: Document) -> bool:
        return document.expires_at is None or document.expires_at > self._engine.clock()

    def _every(self, held: _Held, prefix: Sequence[str], exact: bool = False) -> Iterator[Document]:
        reader, row = held
        space = _namespace(prefix)
        if row is None:
            return iter(())
        return self._engine.store.documents(
            reader, row, space if exact else None, under=space, at=self._engine.clock()
        )

    # The last method: from here on, `list` means this one inside of the class.
    def list(
        self, namespace: Sequence[str], *, limit: int = 100, offset: int = 0
    ) -> list[Document]:
        """The documents of exactly this namespace, by key."""
        _paging(limit, offset)
        with self._reading() as held:
            found = sorted(self._every(held, namespace, exact=True), key=lambda d: d.key)
        return found[offset : offset + limit]


def _apply(
    store: Store, writer: StoreWriter, row: ScopeRow, wanted: dict[_Name, Document | None],
    touched: Sequence[_Name], now: datetime,
) -> set[_Name]:  # fmt: skip
    for name in touched:
        store.touch_document(writer, row, *name, now)
    # What is taken away goes last: a namespace that is never empty keeps its place.
    for name, document in wanted.items():
        if document is not None:
            wanted[name] = store.put_document(writer, row, document)
    away = [name for name, document in wanted.items() if document is None]
    return {name for name in away if store.delete_document(writer, row, *name)}


def _page(found: Iterable[T], limit: int, offset: int) -> Iterator[T]:
    return islice(found, min(offset, sys.maxsize), min(offset + limit, sys.maxsize))


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


def _document(name: _Name, change: DocumentChange, now: datetime) -> Document:
    """A change as the document that it makes, if all of it can be used."""
    ttl: object = change.ttl
    if ttl is not None and not (isinstance(ttl, int | float) and 0 < ttl < 1e10):
        raise InvalidDocument("ttl is a positive number of seconds")
    index: object = change.index
    if index is not None and index is not False:
        if not isinstance(index, list | tuple) or len(index) > _MAX_PATHS:
            raise InvalidDocument(f"index is False, or a list of at most {_MAX_PATHS} paths")
        index = tuple(_name(path, "path of the index") for path in index)
    try:
        expires = None if ttl is None else now + timedelta(seconds=ttl)
    except OverflowError:
        raise InvalidDocument("ttl ends after the last day of the calendar") from None
    return Document(
        *name, _value(change.value), now, now, expires,
        ttl=None if ttl is None else float(ttl), index=index,
    )  # fmt: skip


def _name(text: object, what: str) -> str:
    if not isinstance(text, str) or len(text) > _MAX_NAME_CHARS:
        raise InvalidDocument(f"a {what} is a text of at most {_MAX_NAME_CHARS} characters")
    try:
        return storable(text)
    except ValueError as error:
        raise InvalidDocument(f"a {what} {error}") from None


def _namespace(names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, list | tuple):
        raise InvalidDocument("a namespace is a tuple of names")
    if len(names) > _MAX_DEPTH:
        raise InvalidDocument(f"a namespace has at most {_MAX_DEPTH} names")
    return tuple(_label(name) for name in names)


def _label(name: object) -> str:
    if name == "":
        raise InvalidDocument("a namespace's name is not empty")
    return _name(name, "namespace's name")


def _check_query(query: object) -> None:
    if not isinstance(query, str):
        raise InvalidDocument("a query is a text")
    try:
        storable(query)
    except ValueError as error:
        raise InvalidDocument(f"a query {error}") from None


def _value(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidDocument("a document's value is a mapping")
    try:
        text = json.dumps(dict(value), ensure_ascii=False, allow_nan=False)
        storable(text)
        size = len(text.encode())
        plain: dict[str, Any] = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise InvalidDocument(
            "a document's value is JSON: text, numbers, lists and mappings"
        ) from None
    if size > MAX_TEXT_BYTES:
        raise InvalidDocument(f"a document's value has at most {MAX_TEXT_BYTES} bytes of JSON")
    _check(value)
    return plain


def _check(value: object) -> None:
    """JSON would make texts of other keys; and what is nested too deep cannot be read anywhere."""
    left: list[tuple[object, int]] = [(value, 1)]
    while left:
        held, depth = left.pop()
        if depth > _MAX_NESTED:
            raise InvalidDocument(f"a document's value is nested at most {_MAX_NESTED} deep")
        if isinstance(held, Mapping):
            if not all(isinstance(key, str) for key in held):
                raise InvalidDocument("the keys of a mapping in a document's value are texts")
            left += [(each, depth + 1) for each in held.values()]
        elif isinstance(held, list | tuple):
            left += [(each, depth + 1) for each in held]


def _paging(limit: object, offset: object) -> None:
    if not isinstance(limit, int) or not isinstance(offset, int) or limit < 0 or offset < 0:
        raise InvalidDocument("limit and offset are whole numbers from 0 on")
