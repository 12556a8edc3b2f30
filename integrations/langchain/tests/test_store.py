"""StepwellStore in LangGraph's and langmem's hands, in threads, loops and processes."""

import asyncio
import json
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.config import get_store
from langgraph.prebuilt import InjectedStore
from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)

from langchain_stepwell.store import StepwellStore, stepwell_store
from stepwell import AsyncMemory, Memory, errors

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # langmem's own, at import
    from langmem import create_manage_memory_tool, create_search_memory_tool

# No code opens the files but SQLite, so the search runs in a process of its own.
SEARCH = """
import json, pathlib, sys
marks = [bytes.fromhex(mark) for mark in json.load(sys.stdin)]
held = b"".join(pathlib.Path(p).read_bytes() for p in sys.argv[1:] if pathlib.Path(p).exists())
print(json.dumps([mark.hex() for mark in marks if mark in held]))
"""
WRITER = """
import sys
from stepwell import Memory
from langchain_stepwell.store import StepwellStore
with Memory.open(sys.argv[1], embedder=None) as memory:
    store = StepwellStore(memory.scope("a"))
    for i in range(40):
        store.put(("crowd", sys.argv[2]), str(i), {"by": sys.argv[2], "n": i})
        assert store.get(("crowd", sys.argv[2]), str(i)).value["n"] == i
"""


class Scripted(GenericFakeChatModel):
    """A model that says what stands in its script, and takes tools."""

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self


def says(*answers):
    return Scripted(messages=iter(answers))


def calls(name, *many, start=0):
    made = [{"name": name, "args": args, "id": f"c{start + i}"} for i, args in enumerate(many)]
    return AIMessage("", tool_calls=made)


def left(path, *marks):
    """Which of these texts are still somewhere in the files."""
    done = subprocess.run(
        [sys.executable, "-c", SEARCH, str(path), f"{path}-wal", f"{path}-shm"],
        input=json.dumps([mark.encode().hex() for mark in marks]),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [bytes.fromhex(mark).decode() for mark in json.loads(done.stdout)]


@pytest.fixture
def memory():
    with Memory.open(embedder=None) as opened:
        yield opened


@pytest.fixture
def store(memory):
    return StepwellStore(memory.scope("a"))


# as LangGraph uses it -----------------------------------------------------------------------------


@tool
def save(x: str, store: Annotated[Any, InjectedStore()]) -> str:
    """Save a text."""
    assert get_store() is store
    store.put(("notes",), x, {"text": x, "thread": threading.current_thread().name})
    return f"saved {x}"


class Reader(AgentMiddleware):
    """Looks into the store of the runtime."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def before_model(self, state, runtime):
        self.seen.append(runtime.store and [i.key for i in runtime.store.search(("notes",))])


@pytest.mark.parametrize("kind", ["invoke", "ainvoke", "stream"])
def test_tools_of_one_answer_save_at_once_and_the_runtime_sees_it(store, kind):
    reader = Reader()
    agent = create_agent(
        says(calls("save", *({"x": str(i)} for i in range(8))), AIMessage("done")),
        tools=[save], middleware=[reader], store=store,
    )  # fmt: skip
    asked = {"messages": [("user", "go")]}
    if kind == "invoke":
        agent.invoke(asked)
    elif kind == "ainvoke":
        asyncio.run(agent.ainvoke(asked))
    else:
        list(agent.stream(asked))
    assert sorted(item.key for item in store.search(("notes",))) == list("01234567")
    assert reader.seen[0] == []
    assert sorted(reader.seen[1]) == list("01234567")


def test_a_compiled_graph_takes_one_later(store):
    reader = Reader()
    model = says(AIMessage("one"), calls("save", {"x": "a"}), AIMessage("two"))
    agent = create_agent(model, tools=[save], middleware=[reader])
    agent.invoke({"messages": [("user", "x")]})
    agent.store = store
    agent.invoke({"messages": [("user", "x")]})
    assert reader.seen == [None, [], ["a"]]


@pytest.mark.parametrize("on_a_loop", [False, True])
def test_langmem_creates_changes_deletes_and_searches(store, on_a_loop):
    tools = [
        create_manage_memory_tool(("memories", "{user}")),
        create_search_memory_tool(("memories", "{user}")),
    ]

    def run(*answers):
        agent = create_agent(says(*answers, AIMessage("ok")), tools=tools, store=store)
        asked = {"messages": [("user", "go")]}
        config = {"configurable": {"user": "u1"}}
        if on_a_loop:
            return asyncio.run(agent.ainvoke(asked, config))["messages"][-2].text
        return agent.invoke(asked, config)["messages"][-2].text

    run(calls("manage_memory", {"content": "Likes green tea.", "action": "create"}))
    run(calls("manage_memory", {"content": "Lives in Oslo.", "action": "create"}))
    tea, oslo = store.search(("memories", "u1"))
    assert (tea.value["content"], oslo.value["content"]) == ("Likes green tea.", "Lives in Oslo.")
    found = json.loads(run(calls("search_memory", {"query": "Which tea?", "limit": 1})))
    assert [item["key"] for item in found] == [tea.key]
    changed = {"content": "Lives in Bergen.", "action": "update", "id": oslo.key}
    run(calls("manage_memory", changed))
    assert store.get(("memories", "u1"), oslo.key).value["content"] == "Lives in Bergen."
    run(calls("manage_memory", {"action": "delete", "id": tea.key}))
    assert [item.key for item in store.search(("memories",))] == [oslo.key]


# the same object everywhere -----------------------------------------------------------------------


def test_one_object_serves_blocking_calls_and_several_loops(store):
    async def both(mark):
        store.put(("n",), mark, {"sync": True})  # on a running loop
        await store.aput(("n",), f"{mark}a", {"sync": False})
        assert (await store.aget(("n",), mark)).value == {"sync": True}
        assert store.get(("n",), f"{mark}a").value == {"sync": False}
        await asyncio.gather(*(store.aput(("m", mark), str(i), {"i": i}) for i in range(20)))
        assert len(await store.asearch(("m", mark), limit=100)) == 20
        await store.adelete(("n",), mark)
        return await store.alist_namespaces(prefix=("*", mark))

    for mark in ("x", "y"):
        assert asyncio.run(both(mark)) == [("m", mark)]


def test_an_async_scope_does_as_well(tmp_path):
    async def story():
        async with AsyncMemory.open(tmp_path / "a.db", embedder=None) as memory:
            store = StepwellStore(memory.scope("a"))
            await store.aput(("n",), "k", {"v": 1})
            assert store.get(("n",), "k").value == {"v": 1}

    asyncio.run(story())


def test_a_store_is_made_of_a_scope(memory):
    with pytest.raises(errors.InvalidScope):
        StepwellStore(memory)
    one, other = StepwellStore(memory.scope("a")), StepwellStore(memory.scope("b"))
    one.put(("n",), "k", {"v": 1})
    assert other.get(("n",), "k") is None
    assert other.list_namespaces() == []
    assert "'a'" in repr(one)


def test_threads_lose_nothing(tmp_path):
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        store = StepwellStore(memory.scope("a"))

        def work(thread):
            for i in range(10):
                store.batch(
                    [PutOp(("n", str(thread)), f"{i}{half}", {"i": i}) for half in ("l", "r")]
                )
                store.search(("n",), query="i", limit=3)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        assert len(store.search(("n",), limit=1000)) == 160
        assert memory.check().ok


def test_a_batch_is_seen_whole_or_not_at_all(tmp_path):
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        store, ended = StepwellStore(memory.scope("a")), threading.Event()
        pair = [("n", "one"), ("n", "two")]

        def write():
            for i in range(60):
                store.batch([PutOp((space,), key, {"i": i}) for space, key in pair])
            ended.set()

        thread = threading.Thread(target=write)
        thread.start()
        while not ended.is_set():
            one, two = store.batch([GetOp((space,), key) for space, key in pair])
            assert (one and one.value) == (two and two.value)
        thread.join()


def test_two_processes_share_a_file(tmp_path):
    path = tmp_path / "a.db"
    with Memory.open(path, embedder=None) as memory:
        store = StepwellStore(memory.scope("a"))
        running = [
            subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "pq"
        ]
        for i in range(40):
            store.put(("crowd", "here"), str(i), {"by": "here", "n": i})
        assert [process.wait(60) for process in running] == [0, 0]
        assert store.list_namespaces() == [("crowd", name) for name in ("here", "p", "q")]
        for name in ("here", "p", "q"):
            found = store.search(("crowd", name), limit=100)
            assert [item.value["n"] for item in found] == list(range(40))


def test_what_is_put_is_there_after_a_restart(tmp_path):
    spaces = [("z",), ("a", "b"), ("a",)]
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        store = StepwellStore(memory.scope("a"))
        for i, space in enumerate(spaces * 2):
            store.put(space, f"k{i}", {"i": i})
        store.put(("z",), "k0", {"i": "again"})
        made = store.get(("z",), "k0")
        before = store.search((), limit=100)
    assert [item.key for item in before] == ["k0", "k3", "k1", "k4", "k2", "k5"]
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        store = StepwellStore(memory.scope("a"))
        assert store.search((), limit=100) == before
        assert store.get(("z",), "k0") == made
        assert made.created_at < made.updated_at


def test_what_is_deleted_leaves_the_file(tmp_path):
    path = tmp_path / "a.db"
    with Memory.open(path, embedder=None) as memory:
        store = StepwellStore(memory.scope("a"))
        store.put(("secretspace",), "secretkey", {"secretfirst": "secretvalue"})
        store.put(("secretspace",), "secretkey", {"secretfield": "secretvalue " * 50}, ["x"], ttl=9)
        store.put(("n",), "k", {"v": "staysvalue"})
        store.batch(
            [PutOp(("n",), "k2", {"v": "secrettwo"}), PutOp(("n",), "k3", {"v": "secretthree"})]
        )
        marks = ["secretspace", "secretkey", "secretfield", "secretvalue", "secrettwo"]
        assert left(path, *marks) == marks
        store.delete(("secretspace",), "secretkey")
        store.batch([PutOp(("n",), "k2", None), PutOp(("n",), "k3", None)])
        assert left(path, *marks, "secretthree", "secretfirst") == []
        assert left(path, "staysvalue") == ["staysvalue"]
        assert store.list_namespaces() == [("n",)]


# what cannot be done ------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["", "a.b", "a\x00", 7, None])
def test_a_namespace_that_cannot_be_is_refused_before_anything_is_done(store, label):
    bad = ("fine", label)
    ops = [
        GetOp(bad, "k"), PutOp(bad, "k", {}), PutOp(bad, "k", None), SearchOp(bad),
        ListNamespacesOp((MatchCondition("prefix", bad),)),
    ]  # fmt: skip
    for op in ops:
        with pytest.raises(InvalidNamespaceError):
            store.batch([PutOp(("n",), "k", {"v": 1}), op])
        with pytest.raises(InvalidNamespaceError):
            asyncio.run(store.abatch([PutOp(("n",), "k", {"v": 1}), op]))
    with pytest.raises(InvalidNamespaceError):
        store.put(bad, "k", {})
    assert store.search(()) == []
    with pytest.raises(InvalidNamespaceError):
        store.put((), "k", {})
    with pytest.raises(InvalidNamespaceError):
        store.put(("langgraph",), "k", {})


@pytest.mark.parametrize(
    "op",
    [
        PutOp(("n",), "k", {"v": {"canaryxyzzy"}}),
        PutOp(("n",), "k", {"canaryxyzzy": float("nan")}),
        PutOp(("n",), "k", {"canaryxyzzy": {1: 2}}),
        PutOp(("n",), "k", {"canaryxyzzy": "\ud800"}),
        PutOp(("n",), "k", ["canaryxyzzy"]),
        PutOp(("n",), "k", "canaryxyzzy"),
        PutOp(("n",), 7, {"v": "canaryxyzzy"}),
        PutOp(("n",), "k", {"v": "canaryxyzzy"}, index=True),
        PutOp(("n",), "k", {"v": "canaryxyzzy"}, index=["a", 7]),
        PutOp(("n",), "k", {"v": "canaryxyzzy"}, ttl=0),
        PutOp(("n",), "k", {"v": "canaryxyzzy"}, ttl="soon"),
        PutOp(("n",), "k", {"v": "canaryxyzzy"}, ttl=float("nan")),
        SearchOp(("n",), limit=-1),
        SearchOp(("n",), offset=-1),
        ListNamespacesOp(limit=-1),
        SearchOp(("n",), query="canaryxyzzy\ud800"),
    ],
)
def test_what_cannot_be_used_is_refused_and_the_batch_with_it(store, op):
    with pytest.raises(errors.InvalidDocument) as caught:
        store.batch([PutOp(("n",), "good", {"v": 1}), op])
    assert "canaryxyzzy" not in f"{caught.value!s}{caught.value!r}"
    assert caught.value.__context__ is None or "canaryxyzzy" not in repr(caught.value.__context__)
    assert store.search(()) == []


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [
        ({"v": {"$in": [1]}}, ValueError),
        ({"v": {"$gt": 1}}, ValueError),
        ({"missing": {"$lt": 1}}, TypeError),
        ({"n": {"$gte": "canaryxyzzy"}}, ValueError),
        ({"n": {"$gte": None}}, TypeError),
    ],
)
def test_a_filter_that_cannot_compare_says_so_without_the_value(store, wanted, kind):
    store.put(("n",), "k", {"v": "canaryxyzzy", "n": 1})
    with pytest.raises(kind) as caught:
        store.search((), filter=wanted)
    assert "canaryxyzzy" not in f"{caught.value!s}{caught.value.__context__!r}"


def test_an_unknown_op_is_refused(store):
    with pytest.raises(ValueError, match="Unknown operation"):
        store.batch([("get", "n", "k")])


def test_a_closed_memory_says_so(tmp_path):
    memory = Memory.open(tmp_path / "a.db", embedder=None)
    store = StepwellStore(memory.scope("a"))
    store.put(("n",), "k", {"v": 1})
    memory.close()
    with pytest.raises(errors.StoreClosed):
        store.get(("n",), "k")
    with Memory.open(tmp_path / "a.db", embedder=None, read_only=True) as memory:
        store = StepwellStore(memory.scope("a"))
        assert store.get(("n",), "k").value == {"v": 1}
        with pytest.raises(errors.StoreReadOnly):
            store.put(("n",), "k", {"v": 2})


def test_a_value_is_a_copy(store):
    value = {"v": [1, (2, 3)], "text": "a\x00b"}
    store.put(("n",), "k", value)
    value["v"].append(2)
    store.get(("n",), "k").value["v"].append(3)
    assert store.get(("n",), "k").value == {"v": [1, [2, 3]], "text": "a\x00b"}


# opening and closing ------------------------------------------------------------------------------


def test_a_deployment_opens_it_by_file_or_uri_and_closes_it(tmp_path):
    async def story():
        path = tmp_path / "a.db"
        async with stepwell_store(path, "acme", "bob", embedder=None) as store:
            await store.aput(("n",), "k", {"v": 1})
            uri = store.scope.uri
        with pytest.raises(errors.StoreClosed):
            store.get(("n",), "k")
        async with stepwell_store(uri, embedder=None, ttl_config={"default_ttl": 5}) as store:
            assert (await store.aget(("n",), "k")).value == {"v": 1}
            assert store.ttl_config == {"default_ttl": 5}
        async with stepwell_store(str(path), embedder=None) as store:
            assert store.scope.path == ("langgraph",)
        with pytest.raises(errors.InvalidScope):
            async with stepwell_store(uri, "more"):
                pass
        with pytest.raises(errors.NotAStore):
            async with stepwell_store(tmp_path):
                pass

    asyncio.run(story())
