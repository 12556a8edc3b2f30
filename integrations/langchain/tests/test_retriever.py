"""A scope as a retriever: LangChain's own suite, and what it does not ask."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import pytest
from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_tests.integration_tests import RetrieversIntegrationTests
from scripted_langchain import Scripted

from langchain_stepwell import StepwellRetriever
from stepwell import AsyncMemory, Filter, Memory
from stepwell.errors import InvalidQuery, StoreClosed, StoreError


@pytest.fixture(scope="module")
def scope():
    with Memory.open(":memory:", seed=1) as memory:
        scope = memory.scope("ann")
        scope.remember_many(
            {"id": f"t{n}", "text": f"The boat number {n} needs paint.", "session": f"s{n // 6}",
             "actor": "Ann"}
            for n in range(30)
        )  # fmt: skip
        scope.consolidate()
        yield scope


class TestStandard(RetrieversIntegrationTests):
    """The suite that LangChain publishes."""

    @pytest.fixture
    def anyio_backend(self):
        return "asyncio"  # LangGraph's only one

    @pytest.fixture(autouse=True)
    def _mine(self, scope):
        self.scope = scope

    @property
    def retriever_constructor(self):
        return StepwellRetriever

    @property
    def retriever_constructor_params(self):
        return {"scope": self.scope, "k": 3}

    @property
    def retriever_query_example(self):
        return "Which boat needs paint?"


def test_a_document_tells_where_it_comes_from(scope):
    (found, *_) = StepwellRetriever(scope=scope).invoke("boat number 7")
    assert isinstance(found, Document)
    assert found.page_content == "The boat number 7 needs paint."
    assert found.id == scope.get("t7").id
    told = found.metadata
    assert (told["level"], told["kind"], told["sources"]) == (0, "episode", ["t7"])
    assert (told["actor"], told["session"]) == ("Ann", "s1")
    assert 0 < told["score"] <= 1
    assert told["why"]
    assert json.loads(json.dumps(told)) == told


def test_what_a_document_brings_along_stands_where_a_chain_looks_for_it(scope):
    mine = scope.within("files")
    given = [Document("The ferry leaves at nine.", metadata={"source": "a.pdf"}, id="d1")]
    retriever = StepwellRetriever.from_documents(given, scope=mine, k=1)
    (found,) = retriever.invoke("When does the ferry leave?")
    assert found.metadata["source"] == "a.pdf"
    changed = [Document("The ferry leaves at ten.", id="d1")]
    with pytest.raises(ValueError, match="another one"):
        StepwellRetriever.from_documents(changed, scope=mine)
    with pytest.raises(ValueError, match="each text"):
        StepwellRetriever.from_texts(["a", "b"], [{}], scope=mine)


def test_levels_and_whatever_recall_takes(scope):
    above = StepwellRetriever(scope=scope, levels=(1, 2)).invoke("boats")
    assert above
    assert {document.metadata["level"] for document in above} <= {1, 2}
    where = {"where": Filter(session="s2"), "k": 2}
    found = StepwellRetriever(scope=scope, search_kwargs=where).invoke("boats")
    assert [document.metadata["session"] for document in found] == ["s2", "s2"]


def test_a_found_passage_stands_for_a_long_turn(scope):
    scope = scope.within("long")
    scope.remember("Filler about nothing. " * 400 + "The heron nests in March. " + "More. " * 400)
    (found,) = StepwellRetriever(scope=scope).invoke("When does the heron nest?")
    assert "The heron nests in March." in found.page_content
    assert len(found.page_content) < 5_000
    first, last = found.metadata["span"]
    assert scope.get(found.id).text[first:last] == found.page_content


def test_a_scope_may_be_async_or_a_uri(tmp_path):
    async def main():
        async with AsyncMemory.open(tmp_path / "a.db") as memory:
            scope = memory.scope("ann")
            await scope.remember("I moved to Oslo.")
            found = await StepwellRetriever(scope=scope).ainvoke("Where?")
            assert [document.page_content for document in found] == ["I moved to Oslo."]
            return scope.uri

    retriever = StepwellRetriever(scope=asyncio.run(main()))
    assert retriever.invoke("Where?")[0].page_content == "I moved to Oslo."
    retriever.scope.close()
    with pytest.raises(ValueError, match="a scope"):
        StepwellRetriever(scope=7)


@pytest.mark.parametrize(
    "settings", [{"k": -1}, {"levels": (-1,)}, {"search_kwargs": {"min_score": 7}}]
)
def test_a_question_that_cannot_be_asked_is_refused(scope, settings):
    retriever = StepwellRetriever(scope=scope, **settings)
    with pytest.raises(InvalidQuery):
        retriever.invoke("boat")
    with pytest.raises(InvalidQuery):
        asyncio.run(retriever.ainvoke("boat"))


def test_a_misspelt_setting_is_refused(scope):
    with pytest.raises(ValueError, match="top_k"):
        StepwellRetriever(scope=scope, top_k=9)


def test_a_retriever_can_be_written_down_and_made_again(tmp_path):
    with Memory.open(tmp_path / "a.db") as memory:
        memory.scope("ann").remember("I moved to Oslo.")
        plain = StepwellRetriever(scope=memory.scope("ann"), k=3).model_dump_json()
    again = StepwellRetriever.model_validate_json(plain)
    assert again.k == 3
    assert again.invoke("Where?")[0].page_content == "I moved to Oslo."
    again.scope.close()


def test_a_slow_store_does_not_stop_the_loop(scope, monkeypatch):
    real = type(scope).recall

    def slowly(self, *args, **options):
        time.sleep(0.5)
        return real(self, *args, **options)

    monkeypatch.setattr(type(scope), "recall", slowly)

    async def main():
        began = time.perf_counter()
        retriever = StepwellRetriever(scope=scope, k=1)
        asked = asyncio.create_task(retriever.ainvoke("boat"))
        await asyncio.sleep(0.05)
        assert time.perf_counter() - began < 0.4
        return await asked

    assert len(asyncio.run(main())) == 1


def test_an_argument_that_recall_does_not_take_is_refused(scope):
    with pytest.raises(TypeError, match="fetch_k"):
        StepwellRetriever(scope=scope, search_kwargs={"fetch_k": 9}).invoke("boat")


def test_a_chain_outlives_its_store_and_a_strict_one_says_what_is_wrong(caplog):
    memory = Memory.open(":memory:")
    scope = memory.scope("ann")
    memory.close()
    prompt = ChatPromptTemplate.from_template("{context}\n{question}")
    chain = (
        {"context": StepwellRetriever(scope=scope), "question": RunnablePassthrough()}
        | prompt | Scripted() | StrOutputParser()
    )  # fmt: skip
    assert chain.invoke("Where do I live?") == "I see."
    assert asyncio.run(chain.ainvoke("Where do I live?")) == "I see."
    assert "StoreClosed" in caplog.text
    with pytest.raises(StoreClosed):
        StepwellRetriever(scope=scope, strict=True).invoke("Where do I live?")


def test_a_late_store_gives_nothing_and_a_strict_one_says_so(scope, monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(type(scope), "recall", lambda *_, **__: gate.wait(20))
    assert StepwellRetriever(scope=scope, deadline=0.05).invoke("boat") == []
    with pytest.raises(StoreError):
        StepwellRetriever(scope=scope, deadline=0.05, strict=True).invoke("boat")
    gate.set()


def test_what_was_recalled_may_be_told_to_another_scope(scope):
    found = StepwellRetriever(scope=scope, k=3).invoke("boat number 7")
    other = StepwellRetriever.from_documents(found, scope=scope.within("other"), k=3)
    told = [document.page_content for document in found]
    assert sorted(d.page_content for d in other.invoke("boat number 7")) == sorted(told)
