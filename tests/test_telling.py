"""What can be measured: a store in numbers, and each verb when it is over. Never a word of it."""

from __future__ import annotations

import asyncio
import contextvars
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell import AsyncMemory, Done, Filter, Memory, Status, hookimpl
from stepwell.errors import InvalidFilter, StepwellError
from stepwell.testing import HashingEmbedder

CANARY = "wormwood"


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
