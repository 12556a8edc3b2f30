"""Whatever is recalled, and by whichever way it reaches a model, it stays inside its quotation."""

from __future__ import annotations

import asyncio
import warnings
from contextlib import contextmanager

import pytest
from autogen_agentchat.agents import AssistantAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine import SimpleChatEngine
from scripted_autogen import answers, sent
from scripted_langchain import agent_of, call, say
from scripted_llamaindex import Scripted, llamaindex_memory

import autogen_stepwell
import langchain_stepwell
from llama_index.memory import stepwell as llamaindex_stepwell
from stepwell import Memory
from stepwell.testing import FenceContract

# A busy machine must not make a model be sent nothing.
PATIENT = {"deadline": 60.0}


@contextmanager
def remembering(said):
    with Memory.open(":memory:", embedder=None, seed=1) as memory:
        scope = memory.scope("ann")
        scope.remember_many(said)
        yield scope


class TestContext(FenceContract):
    """What a caller gets who puts it into a prompt by themselves."""

    def shown(self, said, question):
        with remembering(said) as scope:
            return [scope.context(question, budget=2_000).text, question]


class TestLangChain(FenceContract):
    @pytest.fixture(autouse=True, params=["user", "system"])
    def place(self, request):
        self.into = request.param

    def shown(self, said, question):
        with remembering(said) as scope:
            middleware = langchain_stepwell.StepwellMiddleware(scope, into=self.into, **PATIENT)
            model, agent = agent_of(middleware, lasting=False, system_prompt="Be kind.")
            say(agent, question)
            return [str(message.content) for message in model.sent[0]]


class TestLangChainTool(FenceContract):
    def shown(self, said, question):
        with remembering(said) as scope:
            asks = call("recall_memory", query=question)
            tool = langchain_stepwell.StepwellRecallTool(scope=scope, **PATIENT)
            model, agent = agent_of(answers=[asks, "Done."], tools=[tool], lasting=False)
            say(agent, question)
            return [str(message.content) for message in model.sent[1]]


class TestLangChainClassic(FenceContract):
    def shown(self, said, question):
        with remembering(said) as scope, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # LangChain's own: the way is an old one
            memory = langchain_stepwell.StepwellClassicMemory(scope, session_id="now", **PATIENT)
            memory.save_context({"input": "Hello."}, {"output": "Hello."})
            return [memory.load_memory_variables({"input": question})["history"], question]


class TestLlamaIndex(FenceContract):
    def shown(self, said, question):
        with remembering(said) as scope:
            model = Scripted()
            memory = llamaindex_stepwell.StepwellMemory.from_scope(
                scope, session_id="now", **PATIENT
            )
            engine = SimpleChatEngine.from_defaults(llm=model.llm, memory=memory)
            engine.chat(question)
            return [str(content) for _, content in model.sent[0]]


class TestLlamaIndexBlock(FenceContract):
    def shown(self, said, question):
        with remembering(said) as scope:

            async def ask():
                block = llamaindex_stepwell.StepwellMemoryBlock(scope=scope, **PATIENT)
                async with llamaindex_memory(session_id="now", memory_blocks=[block]) as memory:
                    await memory.aput(ChatMessage(role="user", content=question))
                    return await memory.aget()

            return [str(message.content) for message in asyncio.run(ask())]


class TestAutoGen(FenceContract):
    @pytest.fixture(autouse=True, params=["user", "system"])
    def place(self, request):
        self.inject_as = request.param

    def shown(self, said, question):
        with remembering(said) as scope:
            memory = autogen_stepwell.StepwellMemory(scope, inject_as=self.inject_as, **PATIENT)
            model = answers("I see.")
            helper = AssistantAgent("helper", model, memory=[memory])
            asyncio.run(helper.run(task=question))
            return [str(message.content) for message in sent(model)[0]]


class TestAutoGenContext(FenceContract):
    def shown(self, said, question):
        with remembering(said) as scope:
            context = autogen_stepwell.StepwellChatCompletionContext(scope, **PATIENT)
            model = answers("I see.")
            helper = AssistantAgent("helper", model, model_context=context)
            asyncio.run(helper.run(task=question))
            return [str(message.content) for message in sent(model)[0]]
