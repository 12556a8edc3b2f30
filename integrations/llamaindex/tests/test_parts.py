"""Blocks, chat stores, retrievers and bridges of LlamaIndex on a scope."""

from __future__ import annotations

import inspect
import json
import threading
from pathlib import Path

import llama_index.core
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.base.llms.types import (
    ChatMessage,
    ImageBlock,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)
from llama_index.core.embeddings import BaseEmbedding, MockEmbedding
from llama_index.core.llms.mock import MockLLM
from llama_index.core.memory import Memory
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import (
    Document,
    NodeRelationship,
    NodeWithScore,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.tools import RetrieverTool
from scripted_llamaindex import llamaindex_memory

from llama_index.memory import stepwell as ours
from llama_index.memory.stepwell import (
    StepwellMemoryBlock,
    StepwellRetriever,
    embedder_of,
    language_model_of,
)
from llama_index.memory.stepwell.messages import to_message, to_turn
from stepwell import Filter
from stepwell import Memory as Store
from stepwell.errors import InvalidInput, InvalidQuery, StoreClosed, StoreError
from stepwell.testing import EmbedderContract

pytestmark = [
    # LlamaIndex's own: pydantic's and SQLAlchemy's ways of it.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
TURNS = Filter(level=0)


def user(text, **more):
    return ChatMessage(role="user", content=text, **more)


def assistant(text):
    return ChatMessage(role="assistant", content=text)


@pytest.fixture
def store():
    with Store.open(":memory:", seed=1) as store:
        yield store


@pytest.fixture
def scope(store):
    return store.scope("ann")


def test_the_package_lies_in_a_namespace_that_is_not_its_own():
    root = Path(ours.__file__).parents[2]
    assert root.name == "llama_index"
    assert not [path for path in (root, root / "memory") if (path / "__init__.py").exists()]
    assert Path(llama_index.core.__file__).parents[1] != root


# messages -----------------------------------------------------------------------------------------

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=5,
)
blocks = st.lists(
    st.builds(TextBlock, text=words)
    | st.just(ImageBlock(url="https://example.org/a.png"))
    | st.builds(
        ToolCallBlock, tool_name=st.text("abc", min_size=1, max_size=5),
        tool_kwargs=st.dictionaries(words, words, max_size=2),
    ),
    max_size=3,
)  # fmt: skip
messages = st.builds(
    ChatMessage,
    role=st.sampled_from(list(MessageRole)), blocks=blocks,
    additional_kwargs=st.dictionaries(st.text("abc", min_size=1, max_size=5), plain, max_size=2),
)  # fmt: skip


@given(st.lists(messages, min_size=1, max_size=4))
@settings(max_examples=80, deadline=None)
def test_messages_come_back_as_they_were(given):
    with Store.open(":memory:", embedder=None, preset="flat") as store:
        scope = store.scope("ann")
        scope.remember_many([to_turn(message, session="s1") for message in given])
        records = [record for record in scope.records(limit=100) if record.level == 0]
        assert [to_message(record) for record in records] == given


@pytest.mark.parametrize(
    "message",
    [
        user("a\x00b\ud800"),
        user("x" * 9_000_000),
        user("a", additional_kwargs={"name": "n" * 900, "odd": {1: {2}, "f": float("nan")}}),
        ChatMessage(role="user", blocks=[ImageBlock(image=b"A" * 3_000_000)]),
        ChatMessage(role="tool"),
    ],
)
def test_no_message_is_too_odd_to_be_stored(scope, message):
    receipt = scope.remember(to_turn(message, session="s1"))
    assert receipt.stored
    assert to_message(scope.get(receipt.id)).role == message.role


def test_a_revised_turn_is_a_message_that_says_what_it_says_now(scope):
    scope.remember(to_turn(user("I live in Oslo."), name="t1"))
    scope.revise("t1", "I live in Bergen.")
    assert to_message(scope.get("t1")) == user("I live in Bergen.")
    scope.remember("hello", id="t2")
    assert to_message(scope.get("t2")) is None


# the block ----------------------------------------------------------------------------------------


async def test_a_block_tells_what_the_scope_remembers_and_not_what_is_there(scope):
    block = StepwellMemoryBlock(scope=scope)
    async with llamaindex_memory(session_id="s1", memory_blocks=[block]) as memory:
        await memory.aput(user("Where did I move in May?"))
        assert "quoted as data" not in str(await memory.aget())
        scope.remember("I moved to Oslo in May.")
        assert "I moved to Oslo in May." in str(await memory.aget())
    assert block.tally.unanswered == 0


async def test_two_sessions_of_one_block_leak_nothing_into_each_others_turns(scope):
    block = StepwellMemoryBlock(scope=scope)
    settings = {"memory_blocks": [block], "token_limit": 60, "token_flush_size": 20}
    async with (
        llamaindex_memory(session_id="s1", **settings) as first,
        llamaindex_memory(session_id="s2", **settings) as second,
    ):
        for n in range(12):
            for name, memory in (("s1", first), ("s2", second)):
                await memory.aput(user(f"Message {n} of {name}, which has some length to it."))
    told = scope.records(TURNS, limit=1000)
    assert {turn.session for turn in told} == {"s1", "s2"}
    assert all(turn.session in turn.text for turn in told)


async def test_a_block_outlives_its_store(caplog):
    with Store.open(":memory:") as store:
        block = StepwellMemoryBlock(scope=store.scope("ann"))
    async with llamaindex_memory(session_id="s1", memory_blocks=[block]) as memory:
        await memory.aput(user("Where did I move?"))
        assert [m.content for m in await memory.aget()] == ["Where did I move?"]
    await block.aput([user("Hi.")])
    assert block.tally.unrecorded == 1
    assert "StoreClosed" in caplog.text


# the chat store -----------------------------------------------------------------------------------


@pytest.mark.skipif(
    "chat_store" not in inspect.signature(Memory.from_defaults).parameters,
    reason="this version's Memory takes no chat store",
)
async def test_every_message_of_llamaindexs_own_memory_reaches_the_scope_once(scope):
    memory = Memory.from_defaults(
        session_id="s1", chat_store=ours.StepwellChatStore(scope),
        memory_blocks=[StepwellMemoryBlock(scope=scope)],
    )  # fmt: skip
    await memory.aput(user("I moved to Oslo in May."))
    await memory.aput_messages([assistant("Good."), user("Thanks.")])
    await memory.aset([*await memory.aget_all(), assistant("Bye.")])
    assert [turn.text for turn in scope.records(TURNS)] == [
        "I moved to Oslo in May.", "Good.", "Thanks.", "Bye.",
    ]  # fmt: skip
    assert {turn.session for turn in scope.records(TURNS)} == {"s1"}
    blocks = [StepwellMemoryBlock(scope=scope)]
    async with llamaindex_memory(session_id="s2", memory_blocks=blocks) as other:
        await other.aput(user("Where did I move in May?"))
        assert "I moved to Oslo in May." in str(await other.aget())


def test_an_older_version_is_told_what_is_missing(monkeypatch):
    monkeypatch.setattr(Memory, "from_defaults", classmethod(lambda cls, session_id=None: None))
    with pytest.raises(ImportError, match=r"0\.14\.24"):
        _ = ours.StepwellChatStore
    with pytest.raises(AttributeError, match="Nothing"):
        _ = ours.Nothing


# the retriever ------------------------------------------------------------------------------------


@pytest.fixture
def boats(scope):
    scope.remember_many(
        {"id": f"t{n}", "text": f"The boat number {n} needs paint.", "session": f"s{n // 6}",
         "actor": "Ann"}
        for n in range(30)
    )  # fmt: skip
    scope.consolidate()
    return scope


async def test_a_node_tells_where_it_comes_from(boats):
    retriever = StepwellRetriever(boats, k=3)
    for found in (retriever.retrieve("boat number 7"), await retriever.aretrieve("boat number 7")):
        assert len(found) == 3
        best = found[0]
        assert isinstance(best, NodeWithScore)
        assert best.node.get_content() == "The boat number 7 needs paint."
        told = best.node.metadata
        assert (told["level"], told["sources"], told["actor"]) == (0, ["t7"], "Ann")
        assert 0 < best.score <= 1
        assert told["why"]
        assert json.dumps(told)
        # A model is shown who said it, and no figures.
        assert "why" not in best.node.get_content(metadata_mode="llm")


def test_the_levels_can_be_walked(boats):
    retriever = StepwellRetriever(boats, levels=(1,), k=2)
    (trace, *_) = retriever.retrieve("boats")
    inside = retriever.children(trace.node.node_id)
    assert inside
    assert {node.metadata["level"] for node in inside} == {0}
    above = retriever.parents(inside[0].node_id)
    assert trace.node.node_id in {node.node_id for node in above}
    assert retriever.children(inside[0].node_id) == retriever.parents("nobody") == []


def test_it_serves_query_engines_and_tools(boats):
    retriever = StepwellRetriever(boats, k=2)
    engine = RetrieverQueryEngine.from_args(retriever, llm=MockLLM(max_tokens=5))
    assert engine.query("boat number 7").source_nodes[0].node.metadata["sources"] == ["t7"]
    tool = RetrieverTool.from_defaults(retriever)
    assert "number 7" in str(tool.call("boat number 7"))


def test_documents_and_nodes_are_taken_in_once_with_where_they_stand(scope):
    said = ["The heron nests in March.", "The ferry leaves at nine.", "The museum is closed."]
    source = RelatedNodeInfo(node_id="d1")
    nodes = [
        TextNode(
            id_=f"n{n}", text=text, metadata={"title": "Notes"},
            relationships={NodeRelationship.SOURCE: source}
            | ({NodeRelationship.PREVIOUS: RelatedNodeInfo(node_id=f"n{n - 1}")} if n else {}),
        )
        for n, text in enumerate(said)
    ]  # fmt: skip
    for _ in range(2):
        retriever = StepwellRetriever.from_nodes(nodes, scope=scope, k=1)
    turns = scope.records(TURNS, limit=1000)
    assert [turn.turn for turn in turns] == [node.node_id for node in nodes]
    assert {turn.session for turn in turns} == {"d1"}
    assert turns[1].upstream == (nodes[0].node_id,)
    (found,) = retriever.retrieve("When does the ferry leave?")
    assert "ferry" in found.node.get_content()
    assert found.node.metadata["metadata"] == {"title": "Notes"}
    assert found.node.relationships[NodeRelationship.SOURCE].node_id == "d1"
    StepwellRetriever.from_nodes([Document(id_="d2", text="")], scope=scope)


async def test_questions_that_cannot_be_asked_are_refused_and_trouble_is_not_passed_on(caplog):
    store = Store.open(":memory:")
    scope = store.scope("ann")
    with pytest.raises(InvalidQuery):
        StepwellRetriever(scope, k=-1).retrieve("boat")
    with pytest.raises(TypeError, match="fetch_k"):
        await StepwellRetriever(scope, options={"fetch_k": 7}).aretrieve("boat")
    store.close()
    assert StepwellRetriever(scope).retrieve("boat") == []
    assert "StoreClosed" in caplog.text
    with pytest.raises(StoreClosed):
        StepwellRetriever(scope, strict=True).retrieve("boat")


def test_a_late_store_gives_nothing_and_a_strict_one_says_so(scope, monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(type(scope), "recall", lambda *_, **__: gate.wait(20))
    assert StepwellRetriever(scope, deadline=0.05).retrieve("boat") == []
    with pytest.raises(StoreError):
        StepwellRetriever(scope, deadline=0.05, strict=True).retrieve("boat")
    gate.set()


# bridges ------------------------------------------------------------------------------------------


class Embedding(BaseEmbedding):
    """Vectors of letters."""

    def _get_text_embedding(self, text):
        return [1.0 + text.count(letter) for letter in "aeiounst"]

    def _get_query_embedding(self, query):
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query):
        return self._get_text_embedding(query)


class TestEmbeddings(EmbedderContract):
    """The contract of stepwell's embedders."""

    def open(self):
        return embedder_of(Embedding(model_name="letters"))


def test_embeddings_have_a_name_and_serve_a_memory():
    with pytest.raises(InvalidInput, match="name"):
        embedder_of(MockEmbedding(embed_dim=3))
    embedder = embedder_of(Embedding(), name="letters", dim=8)
    assert embedder.name == "llama-index:letters"
    with Store.open(":memory:", embedder=embedder) as store:
        store.scope("ann").remember("I moved to Oslo.")
        assert store.scope("ann").recall("Oslo")[0].why


def test_an_llm_serves_a_memory_and_one_that_fails_costs_it_nothing():
    assert language_model_of(MockLLM(max_tokens=2)).generate("Hi there.")

    class Failing(MockLLM):
        def complete(self, *args, **kwargs):
            raise RuntimeError("no model")

    model = language_model_of(Failing(), name="failing")
    with Store.open(":memory:", language_model=model, embedder=None) as store:
        scope = store.scope("ann")
        scope.remember_many([f"The boat number {n} needs paint." for n in range(12)])
        assert scope.consolidate().finished
        assert len(scope.recall("boat", k=12)) == 12
