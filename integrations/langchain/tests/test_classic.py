"""Chains from before LangChain 1.0 gain a memory by their `memory=`."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import warnings

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.prompts import PromptTemplate
from scripted_langchain import Scripted

from langchain_stepwell import StepwellChatMessageHistory, StepwellClassicMemory

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from langchain_classic.chains import ConversationChain, LLMChain
    from langchain_classic.memory import ConversationBufferMemory

# All of it is deprecated, and many apps are made with it.
pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainDeprecationWarning")


@pytest.fixture
def scope(memory):
    return memory.scope("ann")


def chain_of(memory):
    model = Scripted(answers=["one", "two", "three"])
    return model, ConversationChain(llm=model, memory=memory)


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("messages", [False, True])
def test_a_chain_is_sent_what_a_buffer_would_send(scope, awaited, messages):
    told = []
    log = StepwellChatMessageHistory(scope.within("other"), "s2")
    for memory in (
        ConversationBufferMemory(return_messages=messages),
        StepwellClassicMemory(scope, session_id="s1", return_messages=messages),
        ConversationBufferMemory(chat_memory=log, return_messages=messages),
    ):
        model, chain = chain_of(memory)
        for text in ("Hi there.", "How are you?", "Bye."):
            asyncio.run(chain.ainvoke(text)) if awaited else chain.invoke(text)
        told.append((model.inputs, memory.load_memory_variables({})))
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize("awaited", [False, True])
def test_what_an_earlier_session_told_stands_before_the_history(scope, awaited):
    chain_of(StepwellClassicMemory(scope, session_id="s1"))[1].invoke("I moved to Oslo in May.")
    model, chain = chain_of(StepwellClassicMemory(scope, session_id="s2"))
    for text in ("Hello.", "Where do I live?"):
        asyncio.run(chain.ainvoke(text)) if awaited else chain.invoke(text)
    prompt = model.texts[-1]
    assert prompt.index("quoted as data") < prompt.index("I moved to Oslo") < prompt.index("Hello.")
    assert prompt.count("Hello.") == 1
    # Nothing of that is in the log.
    assert len(chain.memory.chat_memory.messages) == 4


def test_messages_and_a_variable_of_its_own(scope):
    scope.remember("I moved to Oslo in May.")
    inputs = {"input": "Where do I live?"}
    memory = StepwellClassicMemory(scope, session_id="s1", return_messages=True)
    memory.save_context({"input": "Hi."}, {"output": "Hello."})
    first, *rest = memory.load_memory_variables(inputs)["history"]
    assert "Oslo" in first.text
    assert rest == [HumanMessage("Hi."), AIMessage("Hello.")]
    apart = StepwellClassicMemory(scope, session_id="s1", recall_key="memories")
    assert apart.memory_variables == ["history", "memories"]
    told = apart.load_memory_variables(inputs)
    assert told["history"] == "Human: Hi.\nAI: Hello."
    assert "Oslo" in told["memories"]
    model = Scripted()
    prompt = PromptTemplate.from_template("{memories}\n{history}\n{input}")
    LLMChain(llm=model, prompt=prompt, memory=apart).invoke(inputs)
    assert "Oslo" in model.texts[0]


def test_several_inputs_recall_nothing_unless_one_is_named(scope):
    scope.remember("I moved to Oslo in May.")
    inputs = {"question": "Where do I live?", "style": "short"}
    unnamed = StepwellClassicMemory(scope, session_id="s1")
    assert unnamed.load_memory_variables(inputs) == {"history": ""}
    named = StepwellClassicMemory(scope, session_id="s1", input_key="question")
    assert "Oslo" in named.load_memory_variables(inputs)["history"]


def test_clearing_forgets_the_session_and_no_other(scope):
    for session in ("s1", "s2"):
        memory = StepwellClassicMemory(scope, session_id=session)
        memory.save_context({"input": f"I am {session}."}, {"output": "Hello."})
    StepwellClassicMemory(scope, session_id="s1").clear()
    assert {record.session for record in scope.records()} == {"s2"}


def test_a_chain_outlives_its_store(memory):
    model, chain = chain_of(StepwellClassicMemory(memory.scope("ann"), session_id="s1"))
    chain.invoke("Hi.")
    memory.close()
    chain.invoke("Still there?")
    assert "Human: Hi.\nAI: one" in model.texts[-1]


def test_the_package_needs_no_extra_for_all_the_rest():
    script = (
        "import sys; sys.modules['langchain_classic'] = None\n"
        "import langchain_stepwell as s\n"
        "assert s.StepwellMiddleware and s.StepwellChatMessageHistory\n"
        "try: s.StepwellClassicMemory\n"
        "except ImportError as error: print('classic' in str(error))\n"
        "try: s.Nothing\n"
        "except AttributeError: print('none')\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\nnone\n"
