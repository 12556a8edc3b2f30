"""Documents: an order, several changes at once, reads of one moment, queries, times to live."""

import asyncio
import json
import sqlite3
import threading
from datetime import timedelta

import pytest

from stepwell import AsyncMemory, DocumentChange, Memory
from stepwell.errors import InvalidDocument, StoreError
from stepwell.testing.fakes import FakeClock, HashingEmbedder


@pytest.fixture
def memory():
    with Memory.open(embedder=None) as opened:
        yield opened


@pytest.fixture
def documents(memory):
    return memory.scope("a").documents


def added(documents, *prefix, **more):
    return [
        "/".join((*d.namespace, d.key)) for d in documents.search(prefix, order="added", **more)
    ]


def test_they_keep_the_order_in_which_they_were_added(documents):
    for name in ("b/2", "a/1", "b/1", "a/0", "b/2"):
        documents.put((name[0],), name[2], {"n": name})
    assert added(documents) == ["b/2", "b/1", "a/1", "a/0"]
    assert added(documents, limit=2, offset=1) == ["b/1", "a/1"]
    assert added(documents, "a") == ["a/1", "a/0"]
    assert added(documents, filter={"n": "a/0"}) == ["a/0"]
    assert added(documents, limit=10**30, offset=10**30) == []
    documents.delete(("b",), "2")
    documents.put(("b",), "2", {})
    assert added(documents) == ["b/1", "b/2", "a/1", "a/0"]
    documents.write([DocumentChange(("b",), "1"), DocumentChange(("b",), "2")])
    documents.put(("b",), "2", {})
    assert added(documents) == ["a/1", "a/0", "b/2"]


def test_a_namespace_emptied_and_filled_by_one_write_keeps_its_place(documents):
    for space in "ab":
        documents.put((space,), "1", {})
    documents.write([DocumentChange(("a",), "1"), DocumentChange(("a",), "2", {})])
    assert added(documents) == ["a/2", "b/1"]


def test_the_latest_change_comes_first_otherwise():
    with Memory.open(embedder=None, clock=FakeClock()) as memory:
        documents = memory.scope("a").documents
        for key in "abc":
            documents.put(("n",), key, {})
        documents.put(("n",), "a", {})
        assert [d.key for d in documents.search()] == ["a", "c", "b"]
        assert [d.key for d in documents.list(("n",))] == ["a", "b", "c"]


def test_a_write_is_done_wholly_or_not_at_all(documents, memory):
    documents.put(("n",), "old", {"v": 1})
    good = DocumentChange(("n",), "new", {"v": 2})
    for bad in (
        DocumentChange(("n",), "k", {"v": {1}}),
        DocumentChange(("",), "k", {}),
        DocumentChange(("n",), 7, {}),
        DocumentChange("n", "k", {}),
        DocumentChange(("n",) * 65, "k", {}),
        DocumentChange(("n",), "k" * 70_000, {}),
        DocumentChange(("n",), "k", {}, ttl=-1),
        DocumentChange(("n",), "k", {}, ttl="1"),
        DocumentChange(("n",), "k", {}, index="text"),
        DocumentChange(("n",), "k", {1: 2}),
        DocumentChange(("n",), "k", {"v": json.loads("[" * 300 + "]" * 300)}),
    ):
        with pytest.raises(InvalidDocument):
            documents.write([good, DocumentChange(("n",), "old"), bad])
    assert added(documents) == ["n/old"]
    told = documents.write(
        [good, DocumentChange(("n",), "old"), DocumentChange(("n",), "new", {"v": 3})]
    )
    assert [d and d.value for d in told] == [{"v": 3}, None, {"v": 3}]
    assert added(documents) == ["n/new"]
    assert documents.write([]) == ()
    assert memory.scope("b").documents.write([DocumentChange(("n",), "k")]) == (None,)
    assert memory.scopes() == [("a",)]


def test_a_write_that_fails_in_the_middle_changes_nothing(tmp_path, monkeypatch):
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        scope = memory.scope("a")
        scope.documents.put(("n",), "old", {"v": 1})
        store = scope._engine.store
        putting = store.put_document

        def put(writer, row, document):
            if document.key == "2":
                raise StoreError("the disk is full")
            return putting(writer, row, document)

        monkeypatch.setattr(store, "put_document", put)
        changes = [DocumentChange(("m",), str(i), {"i": i}) for i in range(4)]
        with pytest.raises(StoreError):
            scope.documents.write([DocumentChange(("n",), "old"), *changes])
        assert added(scope.documents) == ["n/old"]
        monkeypatch.undo()
        # The numbers of what was rolled back are given out again, and mean something else.
        scope.documents.write([DocumentChange(("z",), "9", {}), *changes])
        assert added(scope.documents) == ["n/old", "z/9", "m/0", "m/1", "m/2", "m/3"]
        assert memory.check().ok


def test_what_is_read_at_once_is_of_one_moment(tmp_path):
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        documents = memory.scope("a").documents
        documents.put(("n",), "k", {"v": 1})

        def look(seen):
            before = seen.get(("n",), "k")
            thread = threading.Thread(target=documents.put, args=(("n",), "k", {"v": 2}))
            thread.start()
            thread.join()
            again = seen.search(("n",), order="added")
            with pytest.raises(InvalidDocument):
                seen.put(("n",), "k", {})
            return before.value, again[0].value, seen.namespaces(), seen.list(("n",))[0].value

        assert documents.read(look) == ({"v": 1}, {"v": 1}, [("n",)], {"v": 1})
        assert documents.get(("n",), "k").value == {"v": 2}


def test_reads_of_one_moment_run_beside_a_loop():
    async def story():
        async with AsyncMemory.open(embedder=None) as memory:
            documents = memory.scope("a").documents
            await documents.write([DocumentChange(("n",), key, {"k": key}) for key in "ab"])
            found = await documents.read(lambda seen: [seen.get(("n",), key) for key in "abc"])
            assert [d and d.key for d in found] == ["a", "b", None]
            (best, *_) = await documents.rank([d for d in found if d], "b")
            assert (best.key, best.score) == ("b", 1.0)

    asyncio.run(story())


def test_a_time_to_live_begins_anew_when_it_is_refreshed():
    clock = FakeClock(step=timedelta(0))
    with Memory.open(embedder=None, clock=clock) as memory:
        documents = memory.scope("a").documents
        documents.put(("n",), "a", {}, ttl=10)
        documents.put(("n",), "b", {}, ttl=10)
        documents.put(("n",), "c", {})
        clock.advance(9)
        documents.write((), refresh=[(("n",), key) for key in "acd"])
        clock.advance(9)
        assert added(documents) == ["n/a", "n/c"]
        assert documents.get(("n",), "a").ttl == 10.0
        documents.write((), refresh=[(("n",), "b")])
        assert added(documents) == ["n/a", "n/c"]
        documents.put(("n",), "b", {})
        assert added(documents) == ["n/a", "n/c", "n/b"]
        clock.advance(1)
        assert documents.sweep() == 1
        assert documents.sweep() == 0


@pytest.mark.parametrize("embedder", [None, HashingEmbedder(32)])
def test_a_query_is_compared_with_what_the_index_names(embedder):
    with Memory.open(embedder=embedder) as memory:
        documents = memory.scope("a").documents
        value = {"title": "green tea", "parts": [{"text": "a ship"}, {"text": "a whale"}]}
        documents.put(("n",), "none", value, index=False)
        documents.put(("n",), "title", value, index=["title"])
        documents.put(("n",), "parts", value, index=("parts[*].text",))
        found = documents.search(query="whale")
        assert [d.key for d in found] == ["parts", "title", "none"]
        assert found[0].index == ("parts[*].text",)
        assert found[2].score is None
        assert 0.0 <= found[1].score < found[0].score <= 1.0
        documents.put(("n",), "parts", value)
        assert documents.get(("n",), "parts").index is None
        with pytest.raises(InvalidDocument):
            documents.search(query=7)


def test_an_embedder_that_comes_later_is_asked_of_what_was_there_before(tmp_path):
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        memory.scope("a").documents.put(("n",), "k", {"v": "tea"})
        assert memory.scope("a").documents.search(query="tea")[0].score == 1.0
    with Memory.open(tmp_path / "a.db", embedder=HashingEmbedder(16)) as memory:
        assert 0.5 < memory.scope("a").documents.search(query="tea")[0].score <= 1.0


def test_a_file_without_an_order_has_that_of_its_writes(tmp_path):
    path = tmp_path / "a.db"
    with Memory.open(path, embedder=None) as memory:
        documents = memory.scope("a").documents
        for name in ("b/2", "a/1", "b/1", "a/0", "b/2"):
            documents.put((name[0],), name[2], {"n": name})
    db = sqlite3.connect(path)
    with db:  # as the first stepwell wrote them
        for body, content in db.execute("SELECT body, content FROM bodies").fetchall():
            if content[:1] != b"\x00":
                said = json.loads(content)
                kept = {k: v for k, v in said.items() if k not in {"place", "since"}}
                db.execute(
                    "UPDATE bodies SET content = ? WHERE body = ?",
                    (json.dumps(kept).encode(), body),
                )
    db.close()
    with Memory.open(path, embedder=None) as memory:
        documents = memory.scope("a").documents
        assert added(documents) == ["a/1", "a/0", "b/1", "b/2"]
        documents.put(("a",), "2", {})
        documents.put(("b",), "1", {})
        assert added(documents) == ["a/1", "a/0", "a/2", "b/1", "b/2"]
        assert memory.check().ok


@pytest.mark.parametrize("many", [3, 700])
def test_what_another_memory_puts_is_found_under_its_prefix(tmp_path, many):
    path = tmp_path / "a.db"
    with Memory.open(path, embedder=None) as memory, Memory.open(path, embedder=None) as other:
        here, there = memory.scope("a").documents, other.scope("a").documents
        here.put(("u", "0"), "k", {})
        assert added(here, "u") == ["u/0/k"]
        memory.scope("b").documents.put(("u", "elsewhere"), "k", {})
        there.write([DocumentChange(("u", str(i)), "k", {"i": i}) for i in range(1, many)])
        assert added(here, "u", limit=1000) == [f"u/{i}/k" for i in range(many)]
        assert added(here, "u", "2") == ["u/2/k"]
        there.delete(("u", "2"), "k")
        assert added(here, "u", "2") == []
        there.put(("u", "2"), "k2", {})
        assert added(here, "u", "2") == ["u/2/k2"]
        assert added(here, "u", limit=1000)[-1] == "u/2/k2"
        other.scope("a").erase()
        assert added(here) == []
        there.put(("u", "new"), "k", {})
        assert added(here, "u") == ["u/new/k"]
