"""LangGraph's store in one SQLite file: long-term memory that outlives the process.

    from langchain.agents import create_agent
    from langchain_stepwell import StepwellStore
    from stepwell import Memory

    memory = Memory.open("agents.db")
    agent = create_agent(model, tools=tools, store=StepwellStore(memory.scope("acme")))

A graph that is compiled already gains one by `agent.store = StepwellStore(scope)`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
)

from stepwell import (
    AsyncMemory,
    AsyncScope,
    Document,
    DocumentChange,
    Documents,
    Scope,
    errors,
)
from stepwell.adapting import scope_of

_MANY = 2**62
_URI = "stepwell+sqlite:"


class StepwellStore(BaseStore):
    """A LangGraph store whose namespaces are data inside one scope of a stepwell memory.

    It answers as `InMemoryStore` does, in the same order, and keeps what it is given: values are
    JSON, all puts of a batch are stored in one transaction or not at all, and what is deleted
    leaves the file. It differs where `InMemoryStore` is at odds with LangGraph's own description: a
    namespace is listed as long as it holds an item and no longer, and an item keeps the time of its
    making when it is put again.

    With `query=` items come best first, each with a score in [0, 1], by their words and, where the
    memory has an embedder, by their vectors; none is left out. Items put with `index=False` come
    last, without a score. No `index` configuration is needed.

    `ttl_config` is LangGraph's: times in minutes, `refresh_on_read` by default. What has expired is
    never returned, whatever `omit_expired` says; with `sweep_interval_minutes` it also leaves the
    file about that often, on the next use of the store, else by `sweep_ttl`.

    One object serves threads, event loops and blocking calls on a running loop alike. Raises
    stepwell's InvalidDocument for values that are no JSON, its StoreError family for trouble with
    the file, and LangGraph's InvalidNamespaceError.
    """

    supports_ttl = True

    def __init__(
        self, scope: Scope | AsyncScope | str, *, ttl_config: TTLConfig | None = None
    ) -> None:
        super().__init__()
        self.scope = scope_of(scope)
        self.ttl_config = ttl_config
        self._swept = time.monotonic()

    def __repr__(self) -> str:
        return f"StepwellStore({self.scope!r})"

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do several things at once. Reads see what was there before the batch.

        Of several puts to one key the last counts.
        """
        asked = list(ops)
        for op in asked:
            _check(op)
        self._sweep_in_time()
        documents = self.scope.documents
        found = documents.read(lambda seen: [_look(op, seen) for op in asked])
        results = [_answer(op, one, documents) for op, one in zip(asked, found, strict=True)]
        puts = {(op.namespace, op.key): op for op in asked if isinstance(op, PutOp)}
        documents.write(
            [_change(op) for op in puts.values()],
            refresh=[
                (document.namespace, document.key)
                for op, (_, shown) in zip(asked, results, strict=True)
                if isinstance(op, GetOp | SearchOp) and op.refresh_ttl
                for document in shown
                if document.ttl is not None
            ],
        )
        return [result for result, _ in results]

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """See `batch`. It runs in a thread; a cancelled batch is stored wholly or not at all."""
        return await asyncio.to_thread(self.batch, list(ops))

    def sweep_ttl(self) -> int:
        """Take expired items out of the file; how many."""
        self._swept = time.monotonic()
        return self.scope.documents.sweep()

    def _sweep_in_time(self) -> None:
        every = (self.ttl_config or {}).get("sweep_interval_minutes")
        if every is None or time.monotonic() - self._swept < every * 60:
            return
        # Nobody sees what has expired, so that it may also go next time.
        with contextlib.suppress(errors.StoreReadOnly, errors.StoreBusy):
            self.sweep_ttl()


@asynccontextmanager
async def stepwell_store(
    place: str | os.PathLike[str],
    *segments: str,
    ttl_config: TTLConfig | None = None,
    **options: Any,
) -> AsyncIterator[StepwellStore]:
    """Open a memory, give a store on one of its scopes, and close it.

    `place` is a file, with the segments of the scope ("langgraph" if none are given), or the URI of
    a scope. `options` are those of `Memory.open`. It is made for deployments by a configuration
    file, `langgraph.json` with `"store": {"path": "./app.py:store"}`, and in `app.py`

        from contextlib import asynccontextmanager
        from langchain_stepwell.store import stepwell_store

        @asynccontextmanager
        async def store():
            async with stepwell_store("agents.db", "acme") as opened:
                yield opened

    Raises what `Memory.open` raises, and InvalidScope.
    """
    if isinstance(place, str) and place.startswith(_URI):
        if segments:
            raise errors.InvalidScope("a URI names its scope; segments go with a file")
        async with AsyncMemory.from_uri(place, **options) as joined:
            yield StepwellStore(joined, ttl_config=ttl_config)
    else:
        async with AsyncMemory.open(place, **options) as memory:
            yield StepwellStore(memory.scope(*segments or ("langgraph",)), ttl_config=ttl_config)


# what each op asks for ----------------------------------------------------------------------------


def _check(op: Op) -> None:
    """Refuse an op that cannot be done before any is."""
    if isinstance(op, GetOp | PutOp):
        _check_labels(op.namespace)
        return
    if isinstance(op, SearchOp):
        _check_labels(op.namespace_prefix)
    elif isinstance(op, ListNamespacesOp):
        for condition in op.match_conditions or ():
            _check_labels(condition.path)
    else:
        raise ValueError(f"Unknown operation type: {type(op)}")  # noqa: TRY004 - as InMemoryStore
    if min(op.limit, op.offset) < 0:
        raise errors.InvalidDocument("limit and offset are whole numbers from 0 on")


def _check_labels(labels: Sequence[str]) -> None:
    for label in labels:
        if not isinstance(label, str):
            raise InvalidNamespaceError(
                f"a label of a namespace is a text, and not {type(label).__name__}"
            )
        if not label or "." in label or "\x00" in label:
            raise InvalidNamespaceError(
                f"a label of a namespace is not empty and has neither '.' nor NUL: {label!r}"
            )


def _look(op: Op, seen: Documents) -> list[Any]:
    """What an op reads, all of it as of one moment."""
    if isinstance(op, GetOp):
        held = seen.get(tuple(op.namespace), op.key)
        return [] if held is None else [held]
    if isinstance(op, SearchOp):
        prefix, wanted = tuple(op.namespace_prefix), op.filter
        if not wanted and not op.query:
            return seen.search(prefix, limit=op.limit, offset=op.offset, order="added")
        every = seen.search(prefix, limit=_MANY, order="added")
        return [d for d in every if _passes(d.value, wanted)] if wanted else every
    return seen.namespaces(limit=_MANY) if isinstance(op, ListNamespacesOp) else []


def _answer(op: Op, found: list[Any], documents: Documents) -> tuple[Result, list[Document]]:
    """The result of an op, and the documents that it shows."""
    if isinstance(op, ListNamespacesOp):
        return _listed(op, found), []
    if isinstance(op, SearchOp):
        if op.query:
            found = documents.rank(found, op.query)
        if op.query or op.filter:
            found = found[op.offset : op.offset + op.limit]
        return [_search_item(document) for document in found], found
    return (_item(found[0]) if found else None), found


def _change(op: PutOp) -> DocumentChange:
    ttl = op.ttl
    if isinstance(ttl, int | float):
        ttl = ttl * 60
    return DocumentChange(tuple(op.namespace), op.key, op.value, ttl, op.index)


def _item(document: Document) -> Item:
    return Item(
        value=document.value, key=document.key, namespace=document.namespace,
        created_at=document.created_at, updated_at=document.updated_at,
    )  # fmt: skip


def _search_item(document: Document) -> SearchItem:
    return SearchItem(
        document.namespace, document.key, document.value, document.created_at, document.updated_at,
        document.score,
    )  # fmt: skip


# namespaces and filters, as LangGraph means them --------------------------------------------------


def _listed(op: ListNamespacesOp, held: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    conditions = op.match_conditions or ()
    names = {name[: op.max_depth] for name in held if all(_fits(c, name) for c in conditions)}
    return sorted(names)[op.offset : op.offset + op.limit]


def _fits(condition: MatchCondition, name: tuple[str, ...]) -> bool:
    path = tuple(condition.path)
    if len(name) < len(path):
        return False
    if condition.match_type not in {"prefix", "suffix"}:
        raise ValueError(f"Unsupported match type: {condition.match_type}")
    part = name[: len(path)] if condition.match_type == "prefix" else name[len(name) - len(path) :]
    return all(wanted in {"*", label} for wanted, label in zip(path, part, strict=True))


def _passes(value: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(_same(value.get(field), expected) for field, expected in wanted.items())


def _same(held: Any, expected: Any) -> bool:
    if isinstance(expected, dict):
        if any(name.startswith("$") for name in expected):
            return all(_compare(held, op, operand) for op, operand in expected.items())
        return isinstance(held, dict) and all(_same(held.get(k), v) for k, v in expected.items())
    if isinstance(expected, list | tuple):
        return (
            isinstance(held, list | tuple)
            and len(held) == len(expected)
            and all(_same(one, other) for one, other in zip(held, expected, strict=True))
        )
    return bool(held == expected)


def _compare(held: Any, op: str, operand: Any) -> bool:
    if op == "$eq":
        return bool(held == operand)
    if op == "$ne":
        return bool(held != operand)
    if op not in _ORDERED:
        raise ValueError(f"Unsupported operator: {op}")
    one, other = _number(held, op), _number(operand, op)
    return {"$gt": one > other, "$gte": one >= other, "$lt": one < other, "$lte": one <= other}[op]


_ORDERED = {"$gt", "$gte", "$lt", "$lte"}


def _number(value: Any, op: str) -> float:
    """A value as a number. What Python says of one that is none would hold the value."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        kind = type(error)
    raise kind(f"{op} compares numbers; one side of it is a {type(value).__name__} that is none")
