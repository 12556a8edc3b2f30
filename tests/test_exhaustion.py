"""Whatever is asked for in whatever size: refused at once, or done within what there is."""

from __future__ import annotations

import gc
import time
import tracemalloc

import pytest

from stepwell import Filter, Memory, Rekey, hookimpl
from stepwell.errors import InvalidInput, StepwellError
from stepwell.memory import engine as engines

MANY = 10**6
BIG = "x" * 10_000_000


@pytest.fixture
def memory():
    with Memory.open(embedder=None) as opened:
        yield opened


@pytest.fixture
def scope(memory):
    made = memory.scope("a")
    made.remember("The ferry leaves at noon.", id="t1")
    return made


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def inverted(times):
    made = Filter(session="a")
    for _ in range(times):
        made = ~made
    return made


REFUSED = {
    "text": lambda s: s.remember(BIG),
    "action": lambda s: s.remember("x", action=BIG),
    "caption": lambda s: s.remember("x", attachments=[{"ref": "a", "caption": BIG}]),
    "attachments": lambda s: s.remember("x", attachments=[{"ref": ""}] * 300_000),
    "upstream": lambda s: s.remember("x", upstream=["u" * 500] * 20_000),
    "payload": lambda s: s.remember("x", payload={"a": BIG}),
    "a deep payload": lambda s: s.remember("x", payload={"a": nested(100_000)}),
    "an id": lambda s: s.remember("x", id=BIG),
    "a revised text": lambda s: s.revise("t1", BIG),
    "a slot": lambda s: s.set_slot("a", BIG),
    "a slot's name": lambda s: s.set_slot(BIG, "b"),
    "a slot's reason": lambda s: s.set_slot("a", "b", why=BIG),
    "a slot's sources": lambda s: s.set_slot("a", "b", sources=["x"] * MANY),
    "a question": lambda s: s.recall(BIG),
    "a context": lambda s: s.context(BIG),
    "who asks": lambda s: s.recall("ferry", role=BIG),
    "for which task": lambda s: s.recall("ferry", task=BIG),
    "what is seen": lambda s: s.recall("ferry", without=(str(n) for n in range(MANY))),
    "levels": lambda s: s.recall("ferry", levels=range(10**9)),
    "a filter nested": lambda s: s.records(inverted(10_000)),
    "a filter's choices": lambda s: s.records(Filter(session=["x"] * MANY)),
    "a filter's path": lambda s: s.records(Filter(payload={"a." * MANY + "a": 1})),
    "a document": lambda s: s.documents.put(("a",), "k", {"v": BIG}),
    "a deep document": lambda s: s.documents.put(("a",), "k", {"v": nested(100_000)}),
    "a key": lambda s: s.documents.put(("a",), BIG, {"v": 1}),
    "a namespace": lambda s: s.documents.put(("a",) * MANY, "k", {"v": 1}),
    "a goal": lambda s: s.task(BIG).__enter__(),
    "a segment": lambda s: s.within(BIG),
    "segments": lambda s: s.within(*["a"] * MANY),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_too_large_is_refused_at_once_and_nothing_is_stored(scope, what):
    begun = time.process_time()
    with pytest.raises(InvalidInput) as caught:
        REFUSED[what](scope)
    assert time.process_time() - begun < 5
    assert len(str(caught.value)) < 500
    assert scope.count() == 1
    assert scope.slots() == []
    assert scope.documents.search() == []


@pytest.mark.parametrize(
    "options", [{"preset": BIG}, {"embedder": BIG}, {"plugins": [BIG]}, {"language_model": BIG}]
)
def test_names_of_any_length_are_not_told_again(options):
    with pytest.raises(StepwellError) as caught:
        Memory.open(**options)
    assert len(str(caught.value)) < 2000
    with pytest.raises(StepwellError) as caught:
        Memory.open(BIG)
    assert len(str(caught.value)) < 500


def test_numbers_of_any_size_mean_all_that_there_is(scope):
    assert len(scope.recall("ferry", k=10**30)) == 1
    assert len(scope.records(limit=10**30)) == 1
    assert scope.context("ferry", budget=10**30).hits
    assert scope.documents.search(limit=10**30, offset=10**30) == []


@pytest.mark.parametrize(
    "piece",
    ["a", "(", "[", "\\", "a.", "x=", "a@", "1.", "'", '"', " ", "-", "0:", "é", "\u200b", "\u0301",
     "last week ", "said by ", "Mr. ", "A. ", "http://", "中。", "# ", "| a ", "2024-01-", "aB"],
)  # fmt: skip
def test_no_text_takes_more_time_than_its_length_tells(piece):
    """Ten times the text takes some ten times as long: no pattern goes back and forth in it."""

    def taken(length):
        text = f"a{piece * (length // len(piece))}b"
        with Memory.open(embedder=None, discover=False) as memory:
            scope = memory.scope("a")
            begun = time.process_time()
            scope.remember(text, actor="Ann", role="user")
            scope.consolidate()
            scope.recall(text)
            scope.context(text, budget=100)
            return time.process_time() - begun

    short = taken(4_000)
    assert taken(40_000) < 40 * short + 0.5


def test_who_proposes_the_same_for_ever_is_not_asked_for_ever(scope):
    class Pushing:
        name = "pushing"
        asked = 0

        @hookimpl
        def maintain(self, view):
            self.asked += 1
            first = view.records(Filter(level=0), limit=1)[0]
            return [Rekey(id=first.id, keys=(), expects=first.version)]

    pushing = Pushing()
    with Memory.open(embedder=None, plugins=[pushing]) as memory:
        pushed = memory.scope("a")
        pushed.remember("The ferry leaves at noon.")
        pushed.consolidate()
        assert pushing.asked <= 3
        assert memory.check().ok


def test_scopes_that_are_only_asked_for_fill_no_memory(monkeypatch):
    monkeypatch.setattr(engines, "_SECRETS", 50)
    with Memory.open(embedder=None, cache_bytes=20_000) as memory:
        for number in range(300):
            memory.scope("nobody", str(number)).context("ferry")
        engine = memory._engine
        assert len(engine._secrets) <= 50
        for number in range(100):
            scope = memory.scope("somebody", str(number))
            scope.remember("The ferry leaves at noon.")
            assert scope.recall("ferry")
        caches = engine.searcher.caches
        assert caches.nbytes < 40_000
        caches.drop()
        gc.collect()
        assert not caches._scopes


def test_a_question_of_eight_megabytes_takes_little_memory(scope):
    question = "ferry " * 1_390_000
    tracemalloc.start()
    assert scope.recall(question)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 120_000_000
