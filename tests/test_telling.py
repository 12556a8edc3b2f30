"""What can be measured: a store in numbers, and each verb while it is done. Never a word of it."""

from __future__ import annotations

import ast
import asyncio
import contextvars
import inspect
import io
import logging
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stepwell
from stepwell import (
    AsyncMemory,
    Documents,
    Doing,
    Done,
    Filter,
    Memory,
    Scope,
    Status,
    Task,
    hookimpl,
)
from stepwell.errors import InvalidFilter, StepwellError
from stepwell.memory.past import Past
from stepwell.testing import HashingEmbedder

CANARY = "wormwood"
CORE = Path(stepwell.__file__).parent
CHAT = '[{"type": "human", "data": {"content": "It rains."}}]'
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}


class Listener:
    name = "listener"

    def __init__(self):
        self.heard: list[Done] = []

    @hookimpl
    def on_verb(self, done: Done) -> None:
        self.heard.append(done)


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def memory(listener):
    with Memory.open(":memory:", embedder=None, plugins=[listener]) as memory:
        yield memory


def test_each_verb_is_told_of_with_its_time_and_its_numbers(memory, listener):
    scope = memory.scope("acme", "ann")
    scope.remember_many(["It rains.", "It pours."])
    scope.recall("rain", k=1)
    scope.context("rain", budget=200)
    scope.consolidate()
    scope.forget(where=Filter(level=0))
    scope.erase()
    told = {done.verb: done for done in listener.heard}
    assert [*told] == ["remember", "recall", "context", "consolidate", "forget", "erase"]
    assert told["remember"].counts == {"stored": 2, "merged": 0, "skipped": 0, "degraded": 0}
    assert told["recall"].counts["hits"] == 1
    assert told["context"].counts["hits"] == 2
    assert 0 < told["context"].counts["tokens"] <= 200
    assert told["forget"].counts["turns"] == 2
    assert all(done.scope == ("acme", "ann") for done in told.values())
    assert all(0 < done.seconds < 60 and done.error is None for done in told.values())


def test_a_verb_that_fails_is_told_of_by_the_name_of_its_error(memory, listener):
    scope = memory.scope("ann")
    with pytest.raises(InvalidFilter):
        scope.forget(where=Filter())
    memory.close()
    assert [(done.verb, done.error) for done in listener.heard] == [("forget", "InvalidFilter")]


#: Each verb, by the class and the name of its method: what is told of it, and a call of it.
NOW = datetime(2026, 6, 1, tzinfo=UTC)
CALLS = {
    Scope: {
        "remember": ("remember", lambda s: s.remember("It rains.")),
        "remember_many": ("remember", lambda s: s.remember_many(["It pours."])),
        "remember_history": ("remember", lambda s: s.remember_history([])),
        "identify": ("identify", lambda s: s.identify([])),
        "revise": ("revise", lambda s: s.revise("t1", "It snows.")),
        "recall": ("recall", lambda s: s.recall("rain", track=True)),
        "context": ("context", lambda s: s.context("rain")),
        "explain": ("explain", lambda s: s.explain("t1", "rain")),
        "get": ("get", lambda s: s.get("t1")),
        "records": ("records", lambda s: s.records()),
        "count": ("count", lambda s: s.count()),
        "stats": ("stats", lambda s: s.stats()),
        "tree": ("tree", lambda s: s.tree()),
        "history": ("history", lambda s: s.history("t1")),
        "usage": ("usage", lambda s: s.usage("t1")),
        "slot": ("slot", lambda s: s.slot("profile")),
        "set_slot": ("set_slot", lambda s: s.set_slot("profile", "x")),
        "slots": ("slots", lambda s: s.slots()),
        "feedback": ("feedback", lambda s: s.feedback("t1")),
        "consolidate": ("consolidate", lambda s: s.consolidate()),
        "rebuild": ("rebuild", lambda s: s.rebuild()),
        "tasks": ("tasks", lambda s: s.tasks()),
        "forget": ("forget", lambda s: s.forget("t1")),
        "erase": ("erase", lambda s: s.erase()),
        "export": ("export", lambda s: s.export(io.StringIO())),
        "import_": ("import", lambda s: s.import_(io.StringIO(CHAT), format="langchain")),
    },
    Past: {
        "recall": ("recall", lambda s: s.at(NOW).recall("rain")),
        "context": ("context", lambda s: s.at(NOW).context("rain")),
        "explain": ("explain", lambda s: s.at(NOW).explain("t1", "rain")),
        "get": ("get", lambda s: s.at(NOW).get("t1")),
        "records": ("records", lambda s: s.at(NOW).records()),
        "count": ("count", lambda s: s.at(NOW).count()),
    },
    Documents: {
        "put": ("documents.put", lambda s: s.documents.put(("n",), "k", {})),
        "delete": ("documents.delete", lambda s: s.documents.delete(("n",), "k")),
        "write": ("documents.write", lambda s: s.documents.write([])),
        "sweep": ("documents.sweep", lambda s: s.documents.sweep()),
        "read": ("documents.read", lambda s: s.documents.read(lambda d: d.get(("n",), "k"))),
        "get": ("documents.get", lambda s: s.documents.get(("n",), "k")),
        "search": ("documents.search", lambda s: s.documents.search()),
        "rank": ("documents.rank", lambda s: s.documents.rank([], "rain")),
        "namespaces": ("documents.namespaces", lambda s: s.documents.namespaces()),
        "list": ("documents.list", lambda s: s.documents.list(("n",))),
    },
    Task: {
        "__enter__": ("task", lambda s: s.task("Dry off.").__enter__()),
        "value": ("task.value", lambda s: s.tasks()[0].value),
        "remember": ("remember", lambda s: s.tasks()[0].remember("It rains.")),
        "remember_many": ("remember", lambda s: s.tasks()[0].remember_many(["It rains."])),
        "recall": ("recall", lambda s: s.tasks()[0].recall("rain")),
        "context": ("context", lambda s: s.tasks()[0].context("rain")),
        "graph": ("graph", lambda s: s.tasks()[0].graph()),
        "outcome": ("outcome", lambda s: s.tasks()[0].outcome(1.0, feedback="Dry.")),
    },
    Memory: {
        "scopes": ("memory.scopes", lambda m: m.scopes()),
        "stats": ("memory.stats", lambda m: m.stats()),
        "check": ("memory.check", lambda m: m.check()),
        "rebuild": ("memory.rebuild", lambda m: m.rebuild()),
        "reembed": ("memory.reembed", lambda m: m.reembed(HashingEmbedder(8))),
        "compact": ("memory.compact", lambda m: m.compact()),
        "backup": ("memory.backup", lambda m: m.backup(f"{m.path}.copy")),
    },
}
#: What neither reads nor writes the store, and the end of it.
APART = {
    Scope: {"uri", "now", "documents", "within", "at", "task", "close"},
    Past: set(),
    Documents: set(),
    Task: {"showed"},
    Memory: {
        *("open", "from_uri", "repair", "scope", "preset", "presets", "plugins", "embedder"),
        *("path", "close"),
    },
}
EVERY = [(face, name) for face, calls in CALLS.items() for name in calls]


@pytest.mark.parametrize("face", CALLS)
def test_there_is_no_verb_that_is_not_told(face):
    public = {name for name in vars(face) if not name.startswith("_")} | {"__enter__"} & {
        name for name in vars(face) if face is Task
    }
    assert public == CALLS[face].keys() | APART[face]


@pytest.mark.parametrize(("face", "name"), EVERY, ids=[f"{f.__name__}.{n}" for f, n in EVERY])
def test_each_verb_is_told_once_under_its_name(face, name, listener, tmp_path):
    with Memory.open(
        tmp_path / "a.db", embedder=None, plugins=[listener], discover=False
    ) as memory:
        scope = memory.scope("acme", "ann")
        scope.remember("It rains.", id="t1")
        with scope.task("Stay dry."):
            pass
        verb, call = CALLS[face][name]
        on = memory if face is Memory else scope
        extra = ["tasks"] if face is Task and name != "__enter__" else []
        listener.heard.clear()
        call(on)
    told = [(done.verb, done.scope, done.error) for done in listener.heard]
    path = () if face is Memory else ("acme", "ann")
    assert told == [(each, path, None) for each in (*extra, verb)]


def test_a_dressed_verb_keeps_its_name_its_signature_and_its_words():
    assert Scope.recall.__name__ == "recall"
    assert "query" in inspect.signature(Scope.recall).parameters
    assert (Scope.recall.__doc__ or "").startswith("The records that best answer")
    assert Task.value.__doc__ == "How it ended, as far as it was said."


def test_what_a_verb_calls_itself_is_a_part_of_it_and_of_its_numbers(memory, listener):
    scope = memory.scope("ann")
    with scope.task("Stay dry.") as task:
        task.outcome(0.0, feedback="It rained.")
    scope.documents.read(lambda documents: [documents.get(("n",), "k"), scope.get("t1")])
    assert [done.verb for done in listener.heard] == ["task", "outcome", "documents.read"]
    assert [done.counts.get("stored") for done in listener.heard] == [1, 1, None]


def test_a_listener_may_call_verbs_of_the_memory_it_listens_to():
    class Asks:
        name = "asks"

        @hookimpl
        def on_verb(self, done: Done) -> None:
            heard.append((done.verb, scope.count()))

    heard: list[tuple[str, int]] = []
    with Memory.open(":memory:", embedder=None, plugins=[Asks()]) as memory:
        scope = memory.scope("a")
        scope.remember("It rains.")
    assert heard == [("remember", 1)]


def test_what_is_done_aside_is_told_too(tmp_path, listener):
    with Memory.open(
        tmp_path / "a.db", embedder=None, plugins=[listener], background=True
    ) as memory:
        memory.scope("ann").remember("It rains.")
        until = time.monotonic() + 5
        while len(listener.heard) < 2 and time.monotonic() < until:
            time.sleep(0.01)
    told = [(done.verb, done.scope) for done in listener.heard]
    assert told[:2] == [("remember", ("ann",)), ("consolidate", ("ann",))]


# around a verb ------------------------------------------------------------------------------------


class Around:
    """Notes when it is entered and left, and what embeds meanwhile sees of it."""

    inside: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("inside", default=())

    def __init__(self, name: str, fails: str = "") -> None:
        self.name = name
        self.fails = fails
        self.left: list[Doing] = []

    @hookimpl
    @contextmanager
    def around_verb(self, doing: Doing):
        assert doing.done is None
        token = self.inside.set((*self.inside.get(), self.name))
        if self.fails == "enter":
            self.inside.reset(token)
            raise RuntimeError(CANARY)
        yield
        self.inside.reset(token)
        self.left.append(doing)
        if self.fails == "leave":
            raise RuntimeError(CANARY)


class Seeing(HashingEmbedder):
    """Sees what is around it."""

    def __init__(self) -> None:
        super().__init__(8)
        self.seen: list[tuple[str, ...]] = []

    def embed(self, texts, *, query=False):
        self.seen.append(Around.inside.get())
        return super().embed(texts, query=query)


def test_what_is_put_around_a_verb_is_around_its_embedder_and_is_given_how_it_ended():
    one, two, embedder = Around("one"), Around("two"), Seeing()
    with Memory.open(":memory:", embedder=embedder, plugins=[one, two]) as memory:
        scope = memory.scope("acme", "ann")
        embedder.seen.clear()
        scope.remember("It rains.")
        assert Around.inside.get() == ()
        scope.recall("rain")
        with pytest.raises(InvalidFilter):
            scope.forget(where=Filter())
    assert embedder.seen
    assert set(embedder.seen) == {("one", "two")}
    for plugin in (one, two):
        assert [doing.verb for doing in plugin.left] == ["remember", "recall", "forget"]
        done = [doing.done for doing in plugin.left]
        assert [each.error for each in done] == [None, None, "InvalidFilter"]
        assert done[0].counts["stored"] == 1
        assert all(each.scope == ("acme", "ann") and each.seconds > 0 for each in done)


@pytest.mark.parametrize("fails", ["enter", "leave"])
def test_what_fails_around_a_verb_breaks_neither_it_nor_the_others(fails, caplog):
    plugins = [Around("first"), Around("broken", fails), Around("last")]
    with Memory.open(":memory:", embedder=None, plugins=plugins) as memory:
        assert memory.scope("a").remember("It rains.").stored
        assert memory.scope("a").recall("rain")
    assert [len(plugin.left) for plugin in plugins] == [2, 0 if fails == "enter" else 2, 2]
    assert caplog.text.count("plugin 'broken' failed in hook 'around_verb'") == 2
    assert CANARY not in caplog.text


@pytest.mark.parametrize("nonsense", [7, "x", contextmanager, iter(()), Around])
def test_what_is_no_context_manager_is_logged_and_passed_over(nonsense, caplog):
    class Odd:
        name = "odd"

        @hookimpl
        def around_verb(self):
            return nonsense

    with Memory.open(":memory:", embedder=None, plugins=[Odd()]) as memory:
        assert memory.scope("a").remember("It rains.").stored
    assert "plugin 'odd' failed in hook 'around_verb'" in caplog.text


def test_what_is_around_a_verb_can_neither_see_nor_swallow_what_it_raises():
    class Greedy:
        def __enter__(self):
            return self

        def __exit__(self, kind, error, trace):
            met.append((kind, error, trace))
            return True

    class Swallows:
        name = "swallows"

        @hookimpl
        def around_verb(self):
            return Greedy()

    met: list[object] = []
    with (
        Memory.open(":memory:", embedder=None, plugins=[Swallows()]) as memory,
        pytest.raises(InvalidFilter),
    ):
        memory.scope("a").forget(where=Filter())
    assert met == [(None, None, None)]


def test_an_interrupt_between_two_leaves_the_one_that_was_entered():
    class Stops:
        name = "stops"

        @hookimpl
        def around_verb(self):
            raise KeyboardInterrupt

    entered = Around("entered")
    with Memory.open(":memory:", embedder=None, plugins=[entered, Stops()]) as memory:
        with pytest.raises(KeyboardInterrupt):
            memory.scope("a").count()
        assert len(entered.left) == 1
        with pytest.raises(KeyboardInterrupt):
            memory.scope("a").count()
    assert Around.inside.get() == ()


def test_an_async_verb_is_done_inside_of_what_is_around_it_in_the_context_of_its_caller():
    around, embedder = Around("plugin"), Seeing()

    async def main():
        async with AsyncMemory.open(":memory:", embedder=embedder, plugins=[around]) as memory:
            embedder.seen.clear()
            Around.inside.set(("caller",))
            await asyncio.gather(*(memory.scope(n).remember("It rains.") for n in "ab"))
            assert Around.inside.get() == ("caller",)

    asyncio.run(main())
    assert set(embedder.seen) == {("caller", "plugin")}
    assert len(around.left) == 2


def test_threads_are_told_each_of_its_own(memory, listener):
    def work(name):
        for _ in range(20):
            memory.scope(name).count()

    threads = [threading.Thread(target=work, args=(n,)) for n in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done.scope for done in listener.heard) == sorted([(n,) for n in "abc"] * 20)


def test_an_async_verb_is_over_in_the_context_of_its_caller():
    who = contextvars.ContextVar("who", default="nobody")

    class Asks:
        name = "asks"

        @hookimpl
        def on_verb(self, done: Done) -> None:
            heard.append(who.get())

    heard: list[str] = []

    async def main():
        async with AsyncMemory.open(":memory:", embedder=None, plugins=[Asks()]) as memory:
            who.set("ann")
            await memory.scope("a").remember("It rains.")

    asyncio.run(main())
    assert heard == ["ann"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["s1", "s2"])), max_size=9),
       st.booleans(), st.booleans())  # fmt: skip
def test_the_numbers_of_a_store_are_those_of_its_scopes(said, consolidate, forget):
    with Memory.open(":memory:", embedder=None) as memory:
        for number, (name, session) in enumerate(said):
            memory.scope(name).remember(f"I live in town {number}.", session=session)
        scopes = [memory.scope(*path) for path in memory.scopes()]
        for scope in scopes:
            scope.documents.put(("n",), "a", {"x": 1})
            scope.set_slot("profile", "x")
            if consolidate:
                scope.consolidate()
            if forget:
                scope.forget(where=Filter(session="s1"))
        every = [*Status]
        for scope in scopes:
            told = scope.stats()
            assert sum(told.records.values()) == scope.count()
            assert told.turns == scope.count(Filter(level=0))
            aside = scope.count(Filter(status=every)) - scope.count()
            assert sum(told.aside.values()) == aside
            assert (told.slots, told.documents, told.scopes, told.bytes) == (1, 1, 1, None)
            assert not (consolidate and not forget and told.waiting)
        whole = memory.stats()
        assert whole.scopes == len(scopes)
        assert whole.turns == sum(scope.stats().turns for scope in scopes)
        assert whole.forgotten == sum(scope.stats().forgotten for scope in scopes)
        assert whole.bytes > 0
        assert memory.scope("nobody").stats().turns == 0
        assert sum(whole.levels.values()) == sum(whole.records.values())
        assert [*whole.levels] == sorted(whole.levels)
        for level, count in whole.levels.items():
            assert count == sum(scope.count(Filter(level=level)) for scope in scopes)
        times = [r.stored_at for s in scopes for r in s.records(Filter(status=every), limit=999)]
        assert (whole.first, whole.last) == (min(times, default=None), max(times, default=None))


def test_a_store_tells_what_it_is_open_with(tmp_path, listener):
    path = tmp_path / "a.db"
    with Memory.open(path, embedder=HashingEmbedder(8), plugins=[listener]) as memory:
        told = memory.stats()
        assert told.embedder == HashingEmbedder(8).name
        assert told.preset == memory.preset
        assert tuple(told.plugins) == memory.plugins
        assert told.plugins["words"] == version("stepwell")
        assert told.plugins["listener"] is None
        assert told.format == 1
        assert memory.scope("a").stats().format is None
    with Memory.open(":memory:", embedder=None) as memory:
        assert memory.stats().embedder is None


def test_no_log_holds_a_word_of_what_is_remembered_or_asked(tmp_path, caplog):
    """A day of every verb, with plugins and embedders that fail on the way, at every level."""

    class Clumsy:
        name = "clumsy"

        @hookimpl
        def search(self, plan, view):
            raise RuntimeError(f"about {plan.query.text}")

        @hookimpl
        def extract(self, trace, view):
            raise RuntimeError(f"about {trace.text}")

        @hookimpl
        def on_recalled(self, recall):
            raise RuntimeError(f"about {recall.query}")

    class Choosy(HashingEmbedder):
        def embed(self, texts, *, query=False):
            if any("twice" in text for text in texts):
                raise RuntimeError(f"cannot embed {texts}")
            return super().embed(texts, query=query)

    with caplog.at_level(logging.DEBUG):
        path = tmp_path / "a.db"
        with Memory.open(path, embedder=Choosy(8), plugins=[Clumsy()]) as memory:
            scope = memory.scope("acme", "ann")
            scope.remember(f"I live in {CANARY}.", id="t1", actor=CANARY)
            scope.remember(f"Say {CANARY} twice.", id="t2")
            scope.consolidate()
            scope.recall(f"Where is {CANARY}?")
            scope.context(f"Where is {CANARY}?")
            scope.revise("t1", f"I live in New {CANARY}.")
            scope.documents.put(("n",), "a", {"x": CANARY})
            scope.set_slot("profile", CANARY)
            scope.rebuild()
            for wrong in (lambda: scope.remember("", id=CANARY), lambda: scope.get(CANARY * 500),
                          lambda: scope.forget(CANARY)):  # fmt: skip
                try:
                    wrong()
                except StepwellError as error:
                    logging.getLogger("host").info("%s", type(error).__name__)
            scope.forget("t1")
            memory.check()
    assert caplog.records
    for record in caplog.records:
        told = f"{record.getMessage()} {record.__dict__} {record.exc_info} {record.exc_text}"
        assert CANARY not in told, record.name


def test_whatever_is_logged_names_where_it_comes_from_in_fields(caplog):
    class Clumsy:
        name = "clumsy"

        @hookimpl
        def on_verb(self):
            raise RuntimeError(CANARY)

        @hookimpl
        def observe(self):
            raise RuntimeError(CANARY)

    with Memory.open(":memory:", embedder=None, plugins=[Clumsy()]) as memory:
        memory.scope(CANARY).remember("It rains.", id="t1")
        memory.scope(CANARY).feedback("t1")
    fields = [
        {name: value for name, value in vars(r).items() if name.startswith("stepwell_")}
        for r in caplog.records
    ]
    assert not any(CANARY in str(vars(record)) for record in caplog.records)
    plugin = {"stepwell_plugin": "clumsy"}
    assert fields == [
        plugin | {"stepwell_hook": "on_verb", "stepwell_verb": "remember"},
        plugin | {"stepwell_hook": "observe"},
        plugin | {"stepwell_hook": "on_verb", "stepwell_verb": "feedback"},
    ]


def test_every_call_of_a_logger_gives_fields():
    """Read from the source: those that no test meets too."""
    found = 0
    for path in sorted(CORE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LEVELS
                and ast.unparse(node.func.value) in {"log", "_logger", "self._log"}
            ):
                found += 1
                assert "extra" in {each.arg for each in node.keywords}, f"{path}:{node.lineno}"
    assert found > 10


def test_a_program_that_does_not_ask_for_logs_gets_none(tmp_path):
    script = """
import logging
import stepwell
logging.getLogger("stepwell.memory").warning("heard", extra={})
assert any(type(h) is logging.NullHandler for h in logging.getLogger("stepwell").handlers)
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert (ran.stdout, ran.stderr) == ("", "")
