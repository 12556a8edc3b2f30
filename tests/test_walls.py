"""No verb, score, id, error or answer of one scope depends on another scope."""

import contextlib
import random
import sqlite3

import pytest

from stepwell import Filter, Memory, Turn
from stepwell.defaults.sqlite import connection as sqlite_connection
from stepwell.errors import StepwellError


def answers(scope):
    """Everything that a scope can tell of itself, to the last bit."""
    questions = ("apples and the harbour", "canary", "what was said by ann")
    return [
        [(h.record, h.score, h.why, h.sources, h.span) for q in questions for h in scope.recall(q)],
        [scope.context(q, budget=90).text for q in questions],
        scope.records(limit=1000),
        scope.count(),
        [(n.record, n.sources) for n in scope.tree()],
        scope.slots(),
        scope.documents.search(limit=100),
        [scope.history(r.id) for r in scope.records(limit=1000)],
        scope.explain("t3", questions[0]),
    ]


def fill(scope, mark, draw):
    """Some turns that only this scope holds."""
    said = ("apples", "the harbour", "rain", "a ferry", "bread")
    scope.remember_many(
        Turn(
            id=f"t{i}", text=f"{draw.choice(said)} and {draw.choice(said)} {mark}", actor=mark,
            session=f"s{i % 3}",
        )
        for i in range(12)
    )  # fmt: skip
    scope.set_slot("profile", mark)
    scope.documents.put(("notes",), "k", {"mark": mark})


def disturb(scope, draw):
    """Any verb at all."""
    verbs = [
        lambda: scope.remember(f"apples harbour ann {draw.random()}", actor="ann"),
        lambda: scope.remember_many([Turn(text=f"bulk apples {i}") for i in range(30)]),
        lambda: scope.forget(f"t{draw.randrange(12)}"),
        lambda: scope.revise(f"t{draw.randrange(12)}", "apples revised"),
        scope.consolidate,
        scope.rebuild,
        lambda: scope.feedback(scope.recall("apples")),
        lambda: scope.set_slot("profile", str(draw.random())),
        lambda: scope.documents.put(("notes",), "k", {"x": draw.random()}),
        lambda: scope.documents.delete(("notes",), "k"),
        lambda: scope.forget(where=Filter(session=f"s{draw.randrange(3)}")),
        scope.erase,
    ]
    with contextlib.suppress(StepwellError):  # an id may be forgotten already
        draw.choice(verbs)()


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_next_door_every_answer_stays_the_same_to_the_bit(seed):
    draw = random.Random(seed)
    names = [("a",), ("a", "b"), ("ab",), ("A",), ("a.b",), ("\u0430",), ("a%",), ("a_",), ("a/b",)]
    with Memory.open(embedder=None, seed=seed) as memory:
        scopes = {name: memory.scope(*name) for name in names}
        for name, scope in scopes.items():
            fill(scope, f"canary{names.index(name)}", draw)
        kept = scopes["a",]
        before = answers(kept)
        for _ in range(60):
            disturb(scopes[draw.choice(names[1:])], draw)
        assert answers(kept) == before
        memory.compact()
        assert answers(kept) == before
        for name, scope in scopes.items():
            own = names.index(name)
            told = repr(answers(scope)) if scope.get("t3") else repr(scope.records(limit=1000))
            others = [f"canary{i}" for i in range(len(names)) if i != own]
            assert not [mark for mark in others if mark in told]
        assert memory.check().ok


def test_the_statements_are_always_the_same_texts(monkeypatch):
    """What users send is bound, never part of a statement."""
    seen: set[str] = set()

    class Watching(sqlite3.Connection):
        def execute(self, sql, *bound):
            seen.add(sql)
            return super().execute(sql, *bound)

        def executemany(self, sql, bound):
            seen.add(sql)
            return super().executemany(sql, bound)

    monkeypatch.setattr(sqlite_connection, "CONNECTION", Watching)

    def everything(word):
        with Memory.open(embedder=None) as memory:
            scope = memory.scope("t", word)
            scope.remember(word, id=word, actor=word, session=word, payload={"k": word})
            scope.remember("another", id="other", session=word)
            where = Filter(session=word, actor=word, payload={"k": word}) | ~Filter(id=word)
            scope.recall(word, where=where)
            scope.records(where=where)
            scope.consolidate()
            scope.revise(word, f"{word} again")
            scope.set_slot(word, word)
            scope.documents.put((word,), word, {"v": word})
            scope.documents.search((word,), query=word)
            scope.documents.delete((word,), word)
            scope.history(word)
            scope.forget(word)
            scope.erase()

    everything("plain")
    usual = set(seen)
    for word in ("x') OR '1'='1", '") or true or ("', "'; DROP TABLE records; --", "%_*"):
        everything(word)
    assert seen == usual
    assert not [sql for sql in seen if "plain" in sql]
