"""The places of the host frameworks where a text is taken: stores, retrievers, memories.

What these hosts promise of odd texts is theirs: where stepwell cannot hold a text, an adapter puts
another character in its place, and no call of an app fails for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from autogen_core.memory import MemoryContent, MemoryMimeType
from langchain_core.messages import HumanMessage
from langgraph.store.base import InvalidNamespaceError
from llama_index.core.llms import ChatMessage
from llama_index.core.schema import QueryBundle, TextNode

from autogen_stepwell import StepwellMemory as AutogenMemory
from langchain_stepwell import StepwellChatMessageHistory, StepwellRetriever, StepwellStore
from llama_index.memory.stepwell import StepwellMemory as LlamaMemory
from llama_index.memory.stepwell import StepwellRetriever as LlamaRetriever
from stepwell import Filter
from stepwell.errors import StepwellError

#: Errors that are the hosts' own, for what their own stores refuse too.
REFUSALS = (InvalidNamespaceError,)
ALL = (StepwellError, *REFUSALS)


def _same(found: object, wanted: object) -> None:
    assert found == wanted, f"{found!r:.60} instead of {wanted!r:.60}"


def langgraph_store(world: Any, text: str) -> None:
    """Namespaces, keys, values, filters and queries of LangGraph's store."""
    store = StepwellStore(world.scope)
    store.put(("graph", "kept"), "kept", {"k": "kept"})
    with contextlib.suppress(*ALL):
        store.put(("graph", text), "key", {"v": 1})
        _same([item.key for item in store.search(("graph", text))], ["key"])
        assert ("graph", text) in store.list_namespaces(prefix=("graph",))
        assert ("graph", text) in store.list_namespaces(suffix=(text,))
        store.delete(("graph", text), "key")
    store.put(("graph", "in"), text, {"v": text, text: {"x": text}}, index=[text])
    _same(store.get(("graph", "in"), text).value["v"], text)  # type: ignore[union-attr]  # it is there
    _same([i.key for i in store.search(("graph",), filter={"v": text})], [text])
    _same([i.key for i in store.search(("graph",), filter={text: {"x": text}})], [text])
    _same([i.key for i in store.search(("graph",), filter={"v": {"$eq": text}})], [text])
    _same(store.search(("graph",), filter={f"{text}?": text}), [])
    with contextlib.suppress(ValueError):
        store.search(("graph",), filter={"v": {f"${text}x": 1}})
        raise AssertionError("an operator of nonsense was taken")
    store.search(("graph",), query=text)
    store.delete(("graph", "in"), text)
    _same(store.get(("graph", "in"), text), None)
    _same(store.get(("graph", "kept"), "kept").value, {"k": "kept"})  # type: ignore[union-attr]  # it is there


def langchain_retriever(world: Any, text: str) -> object:
    """A question to LangChain's retriever, and a filter beside it."""
    retriever = StepwellRetriever(scope=world.scope, k=9)
    told = [document.page_content for document in retriever.invoke(text)]
    where = Filter(session=text) & ~Filter(session="kept")
    narrowed = StepwellRetriever(
        scope=world.scope, k=9, search_kwargs={"where": where}, strict=True
    )
    assert not [d for d in narrowed.invoke("ferry") if d.metadata.get("session") == "kept"]
    here = world.other()
    made = StepwellRetriever.from_texts([text], [{"m": text}], scope=here, ids=[f"id {text}"])
    assert len(made.invoke(text)) <= 1
    return told


def langchain_history(world: Any, text: str) -> None:
    """A session's name and a message in LangChain's history, beside another session."""
    other = StepwellChatMessageHistory(world.scope, f"other {text}")
    other.add_messages([HumanMessage("The other's.")])
    held = StepwellChatMessageHistory(world.scope, text)
    held.add_messages([HumanMessage(f"The ferry {text}"), HumanMessage("And no more.")])
    _same(len(StepwellChatMessageHistory(world.scope, text).messages), 2)
    _same(held.tally.unrecorded, 0)
    held.clear()
    _same(len(StepwellChatMessageHistory(world.scope, text).messages), 0)
    _same(len(StepwellChatMessageHistory(world.scope, f"other {text}").messages), 1)


def llamaindex_memory(world: Any, text: str) -> object:
    """A session's name and a message in LlamaIndex's memory."""
    other = LlamaMemory.from_scope(world.scope, session_id="llama other")
    other.put(ChatMessage(role="user", content="The other's."))
    held = LlamaMemory.from_scope(world.scope, session_id=f"llama {text}")
    held.put(ChatMessage(role="user", content=f"The ferry {text}"))
    _same(len(LlamaMemory.from_scope(world.scope, session_id=f"llama {text}").get_all()), 1)
    _same(held.tally.unrecorded, 0)
    told = [str(message.content) for message in held.get(text)]
    held.reset()
    _same(len(LlamaMemory.from_scope(world.scope, session_id="llama other").get_all()), 1)
    return told


def llamaindex_retriever(world: Any, text: str) -> object:
    """A question to LlamaIndex's retriever, and nodes whose ids are odd."""
    retriever = LlamaRetriever(world.scope, k=9)
    told = [node.get_content() for node in retriever.retrieve(QueryBundle(text))]
    _same(retriever.parents(text), [])
    _same(retriever.children(text), [])
    here = world.other()
    LlamaRetriever.from_nodes([TextNode(id_=f"id {text}", text=f"node {text}")], scope=here)
    return told


def autogen_memory(world: Any, text: str) -> object:
    """What AutoGen's memory is told and asked, as whom, and in which session."""

    async def use() -> object:
        other = AutogenMemory(world.scope, role="other", session="other")
        held = AutogenMemory(world.scope, role=text, session=f"autogen {text}")
        try:
            kind = MemoryMimeType.TEXT
            await other.add(MemoryContent(content="The other's ferry.", mime_type=kind))
            told = {"actor": text, "id": f"autogen {text}", text: text}
            await held.add(MemoryContent(content=f"A ferry {text}", mime_type=kind, metadata=told))
            before = world.scope.count(Filter(level=0))
            answer = [result.content for result in (await held.query(text)).results]
            await held.clear()
            _same(world.scope.count(Filter(level=0)), before - 1)
            return answer
        finally:
            await held.close()
            await other.close()

    return asyncio.run(use())


PLACES: dict[str, Callable[[Any, str], object]] = {
    place.__name__.replace("_", " "): place
    for place in (
        langgraph_store, langchain_retriever, langchain_history, llamaindex_memory,
        llamaindex_retriever, autogen_memory,
    )
}  # fmt: skip
