"""LangChain's models serve a memory."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, MessagesState, StateGraph
from scripted_langchain import Scripted

from langchain_stepwell import embedder_of, language_model_of
from stepwell import Memory
from stepwell.errors import InvalidInput, WrongEmbedder
from stepwell.testing import EmbedderContract


class TestEmbeddings(EmbedderContract):
    """The contract of stepwell's embedders."""

    def open(self):
        return embedder_of(DeterministicFakeEmbedding(size=16), name="fake")


class Sided(Embeddings):
    """Embeds questions and documents differently, and tells which."""

    def embed_query(self, text):
        return [1.0, 0.0]

    def embed_documents(self, texts):
        return [[0.0, 1.0] for _ in texts]


def test_questions_and_texts_are_embedded_each_in_its_way():
    embedder = embedder_of(Sided(), name="sided")
    assert (embedder.name, embedder.dim) == ("langchain:sided", 2)
    assert embedder.embed(["a"], query=True).tolist() == [[1.0, 0.0]]
    assert embedder.embed(["a", "b"]).tolist() == [[0.0, 1.0]] * 2
    assert embedder.embed([]).shape == (0, 2)
    with pytest.raises(InvalidInput, match="name"):
        embedder_of(Sided(), name=" ")


def test_a_service_is_never_sent_an_empty_text():
    class Strict(Sided):
        def embed_query(self, text):
            assert text
            return super().embed_query(text)

        def embed_documents(self, texts):
            assert all(texts)
            return super().embed_documents(texts)

    embedder = embedder_of(Strict(), name="strict")
    assert embedder.embed(["", "a"]).shape == (2, 2)
    assert embedder.embed([""], query=True).shape == (1, 2)


def test_embeddings_of_another_length_than_said_are_refused():
    with Memory.open(":memory:", embedder=embedder_of(Sided(), name="wrong", dim=4)) as memory:
        scope = memory.scope("ann")
        assert scope.remember("I moved to Oslo.").degraded
        assert scope.recall("Oslo")[0].text == "I moved to Oslo."


def test_a_store_keeps_to_the_embeddings_it_was_made_with(tmp_path):
    path, fake = tmp_path / "a.db", DeterministicFakeEmbedding(size=16)
    with Memory.open(path, embedder=embedder_of(fake, name="one")) as memory:
        memory.scope("ann").remember("I moved to Oslo.")
        assert memory.scope("ann").recall("Oslo")[0].why
    with pytest.raises(WrongEmbedder):
        Memory.open(path, embedder=embedder_of(fake, name="two"))


def test_any_embeddings_serve_on_a_running_loop():
    async def main():
        fake = embedder_of(DeterministicFakeEmbedding(size=8), name="fake")
        with Memory.open(":memory:", embedder=fake) as memory:
            memory.scope("ann").remember("I moved to Oslo.")
            return memory.scope("ann").recall("Oslo")[0].text

    assert asyncio.run(main()) == "I moved to Oslo."


def test_a_chat_model_answers_in_text():
    model = language_model_of(Scripted(answers=["Hello."]))
    assert model.name == "langchain:Scripted"
    assert model.generate("Hi.") == "Hello."
    assert language_model_of(Scripted(), name="mine").name == "langchain:mine"


@pytest.mark.parametrize("structured", [False, True])
def test_what_a_memory_asks_its_model_is_not_streamed_to_the_user(structured):
    class Held(GenericFakeChatModel):
        def with_structured_output(self, schema, **kwargs):
            return self | RunnableLambda(lambda message: {"said": message.text})

    inner = language_model_of(Held(messages=iter([AIMessage("inner")])), structured=structured)

    def answer(state):
        assert "inner" in inner.generate("Hi.", schema={"title": "Answer", "type": "object"})
        return {"messages": [AIMessage("outer", id="1")]}

    graph = StateGraph(MessagesState).add_node("answer", answer).add_edge(START, "answer").compile()
    parts = graph.stream({"messages": [HumanMessage("Hi.")]}, stream_mode="messages")
    assert [part.content for part, _ in parts] == ["outer"]


def test_a_chat_model_may_be_held_to_the_schema():
    class Held(Scripted):
        def with_structured_output(self, schema, **kwargs):
            assert schema["title"] == "Answer"
            return type("Bound", (), {"invoke": lambda self, prompt, config: {"said": prompt}})()

    model = language_model_of(Held(), structured=True)
    schema = {"title": "Answer", "type": "object"}
    assert json.loads(model.generate("Hi.", schema=schema)) == {"said": "Hi."}


def test_a_chat_model_that_fails_costs_a_memory_nothing():
    class Failing(Scripted):
        def _generate(self, *args, **kwargs):
            raise RuntimeError("no model")

    model = language_model_of(Failing())
    with Memory.open(":memory:", language_model=model, embedder=None) as memory:
        scope = memory.scope("ann")
        scope.remember_many([f"The boat number {n} needs paint." for n in range(12)])
        assert scope.consolidate().finished
        assert len(scope.recall("boat", k=12)) == 12
        assert np.isfinite([hit.score for hit in scope.recall("boat")]).all()
