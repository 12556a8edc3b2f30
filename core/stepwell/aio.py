"""AsyncMemory: the same verbs as Memory, as coroutines.

SQLite is synchronous. Every verb runs in a thread of a small pool that belongs to the memory, so
the loop is never blocked. A cancelled verb raises CancelledError at once; what it had begun in its
thread is finished there, in one transaction: a turn is stored wholly or not at all.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable, Coroutine, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar

from stepwell.contracts import Embedder
from stepwell.filters import Filter
from stepwell.memory import Documents, Memory, Past, Scope, Task
from stepwell.models import Report, Turn

P = ParamSpec("P")
R = TypeVar("R")

_THREADS = 8


class _Threaded(Protocol):
    _sync: Any
    _pool: ThreadPoolExecutor


def _verb(
    verb: Callable[Concatenate[Any, P], R],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """The same verb in a thread of the pool."""

    @functools.wraps(verb)
    async def call(self: _Threaded, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await _run(self._pool, functools.partial(verb, self._sync, *args, **kwargs))

    return call


def _opener(
    opener: Callable[P, object],
) -> Callable[[Callable[..., R]], Callable[Concatenate[Any, P], R]]:
    """Gives a class method the parameters and the docstring of another one."""

    def dress(method: Callable[..., R]) -> Callable[Concatenate[Any, P], R]:
        # Of a bound method, inspect.signature() would take the first parameter away.
        return functools.wraps(getattr(opener, "__func__", opener))(method)

    return dress


class _Face(Protocol):
    def close(self) -> Coroutine[Any, Any, None]: ...


S = TypeVar("S", bound=_Face)


async def _run(pool: ThreadPoolExecutor, call: Callable[[], R]) -> R:
    """What a call answers in a thread, with the caller's context: spans lie in the caller's."""
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(pool, context.run, call)


class AsyncDocuments:
    """See Documents."""

    def __init__(self, documents: Documents, pool: ThreadPoolExecutor) -> None:
        self._sync = documents
        self._pool = pool

    put = _verb(Documents.put)
    get = _verb(Documents.get)
    delete = _verb(Documents.delete)
    write = _verb(Documents.write)
    read = _verb(Documents.read)
    search = _verb(Documents.search)
    rank = _verb(Documents.rank)
    list = _verb(Documents.list)
    namespaces = _verb(Documents.namespaces)
    sweep = _verb(Documents.sweep)


class AsyncPast:
    """See Past."""

    def __init__(self, past: Past, pool: ThreadPoolExecutor) -> None:
        self._sync = past
        self._pool = pool
        self.path = past.path
        self.moment = past.moment

    recall = _verb(Past.recall)
    context = _verb(Past.context)
    explain = _verb(Past.explain)
    get = _verb(Past.get)
    records = _verb(Past.records)
    count = _verb(Past.count)


class AsyncTask:
    """See Task: `async with scope.task(goal) as task: ...; await task.outcome(1.0)`."""

    def __init__(self, task: Task, pool: ThreadPoolExecutor) -> None:
        self._sync = task
        self._pool = pool

    @property
    def id(self) -> str | None:
        """The task's id, once it is begun."""
        return self._sync.id

    @property
    def goal(self) -> str:
        """What is to be reached."""
        return self._sync.goal

    @property
    def value(self) -> float | None:
        """How it ended, as far as it was said."""
        return self._sync.value

    async def __aenter__(self) -> Self:
        await _run(self._pool, self._sync.__enter__)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sync.__exit__(kind, error, trace)

    remember = _verb(Task.remember)
    remember_many = _verb(Task.remember_many)
    recall = _verb(Task.recall)
    context = _verb(Task.context)
    showed = _verb(Task.showed)
    graph = _verb(Task.graph)
    outcome = _verb(Task.outcome)


class AsyncScope:
    """See Scope. Every verb is a coroutine; `within`, `at`, `task` and `documents` need none."""

    def __init__(self, scope: Scope, pool: ThreadPoolExecutor) -> None:
        self._sync = scope
        self._pool = pool
        self.path = scope.path

    def __repr__(self) -> str:
        return f"Async{self._sync!r}"

    @property
    def uri(self) -> str:
        """Where this scope lies. Raises InvalidScope for a store in memory."""
        return self._sync.uri

    @property
    def sync(self) -> Scope:
        """The same scope with blocking verbs."""
        return self._sync

    @property
    def now(self) -> datetime:
        """The time by the clock of this memory."""
        return self._sync.now

    def within(self, *path: str) -> AsyncScope:
        """See Scope.within."""
        return AsyncScope(self._sync.within(*path), self._pool)

    @property
    def documents(self) -> AsyncDocuments:
        """Keyed JSON values inside this scope."""
        return AsyncDocuments(self._sync.documents, self._pool)

    def at(self, when: datetime, *, known: datetime | None = None) -> AsyncPast:
        """See Scope.at."""
        return AsyncPast(self._sync.at(when, known=known), self._pool)

    def task(
        self, goal: str | Turn | Mapping[str, Any] = "", *, id: str | None = None,  # noqa: A002 - as turns call it
        team: str | None = None, session: str | None = None,
    ) -> AsyncTask:  # fmt: skip
        """See Scope.task."""
        return AsyncTask(self._sync.task(goal, id=id, team=team, session=session), self._pool)

    async def tasks(
        self, where: Filter | None = None, after: str | None = None, limit: int = 100
    ) -> list[AsyncTask]:
        """See Scope.tasks."""
        listed = functools.partial(self._sync.tasks, where, after, limit)
        return [AsyncTask(task, self._pool) for task in await _run(self._pool, listed)]

    remember = _verb(Scope.remember)
    remember_many = _verb(Scope.remember_many)
    remember_history = _verb(Scope.remember_history)
    identify = _verb(Scope.identify)
    revise = _verb(Scope.revise)
    recall = _verb(Scope.recall)
    context = _verb(Scope.context)
    explain = _verb(Scope.explain)
    get = _verb(Scope.get)
    records = _verb(Scope.records)
    count = _verb(Scope.count)
    stats = _verb(Scope.stats)
    tree = _verb(Scope.tree)
    history = _verb(Scope.history)
    usage = _verb(Scope.usage)
    slot = _verb(Scope.slot)
    set_slot = _verb(Scope.set_slot)
    slots = _verb(Scope.slots)
    feedback = _verb(Scope.feedback)
    consolidate = _verb(Scope.consolidate)
    rebuild = _verb(Scope.rebuild)
    export = _verb(Scope.export)
    import_ = _verb(Scope.import_)
    forget = _verb(Scope.forget)
    erase = _verb(Scope.erase)
    close = _verb(Scope.close)


class Opening(Generic[S]):
    """An opening that is awaited, or entered by `async with`."""

    def __init__(
        self, call: Callable[[], Any], face: Callable[[Any, ThreadPoolExecutor], S]
    ) -> None:
        self._call = call
        self._face = face
        self._opened: S | None = None

    def __await__(self) -> Generator[Any, None, S]:
        return self._open().__await__()

    async def _open(self) -> S:
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="stepwell")
        try:
            return self._face(await _run(pool, self._call), pool)
        except BaseException:
            pool.shutdown(wait=False)
            raise

    async def __aenter__(self) -> S:
        self._opened = await self._open()
        return self._opened

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._opened is not None:
            await asyncio.shield(self._opened.close())


class AsyncMemory:
    """See Memory. `async with AsyncMemory.open("team.db") as memory:`, or `await` it."""

    def __init__(self, memory: Memory, pool: ThreadPoolExecutor) -> None:
        self._sync = memory
        self._pool = pool

    @classmethod
    @_opener(Memory.open)
    def open(cls, *args: Any, **kwargs: Any) -> Opening[AsyncMemory]:
        return Opening(functools.partial(Memory.open, *args, **kwargs), cls)

    @classmethod
    def from_uri(cls, uri: str, **options: Any) -> Opening[AsyncScope]:
        """See Memory.from_uri."""
        return Opening(functools.partial(Memory.from_uri, uri, **options), AsyncScope)

    @classmethod
    @_opener(Memory.repair)
    async def repair(cls, *args: Any, **kwargs: Any) -> Report:
        return await asyncio.to_thread(Memory.repair, *args, **kwargs)

    def scope(self, *path: str) -> AsyncScope:
        """See Memory.scope."""
        return AsyncScope(self._sync.scope(*path), self._pool)

    @property
    def sync(self) -> Memory:
        """The same memory with blocking verbs."""
        return self._sync

    @property
    def embedder(self) -> Embedder | None:
        """What makes the vectors; None where recall goes by words alone."""
        return self._sync.embedder

    @property
    def preset(self) -> str:
        """The name of the preset in use."""
        return self._sync.preset

    @property
    def plugins(self) -> tuple[str, ...]:
        """The names of the active policies, in order."""
        return self._sync.plugins

    @property
    def path(self) -> str:
        """Where the store lies."""
        return self._sync.path

    scopes = _verb(Memory.scopes)
    presets = _verb(Memory.presets)
    stats = _verb(Memory.stats)
    check = _verb(Memory.check)
    rebuild = _verb(Memory.rebuild)
    reembed = _verb(Memory.reembed)
    compact = _verb(Memory.compact)
    backup = _verb(Memory.backup)

    async def close(self) -> None:
        """Store what waits, and close. Verbs that run in threads are finished first."""
        try:
            await _run(self._pool, self._sync.close)
        finally:
            self._pool.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.shield(self.close())
