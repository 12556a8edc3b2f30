"""Any model client serves as the language model of a memory, whoever's loop is running."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from scripted_autogen import answers, call, sent

from autogen_stepwell import language_model_of
from stepwell import Memory


def test_it_answers():
    model = answers("Yes.", "No.")
    bridged = language_model_of(model, name="small")
    assert bridged.name == "autogen:small"
    assert [bridged.generate("Tea?"), bridged.generate("Coffee?")] == ["Yes.", "No."]
    assert [each[0].content for each in sent(model)] == ["Tea?", "Coffee?"]


def test_it_is_asked_for_json_where_its_client_can_do_that():
    model = answers('{"a": 1}', "plain")
    bridged = language_model_of(model)
    assert json.loads(bridged.generate("Give a.", schema={"type": "object"})) == {"a": 1}
    bridged.generate("Say it.")
    assert [each["json_output"] for each in model.create_calls] == [True, None]


async def test_it_answers_threads_while_a_loop_runs():
    bridged = language_model_of(answers(*["Yes."] * 8))
    got = await asyncio.gather(*(asyncio.to_thread(bridged.generate, "Tea?") for _ in range(8)))
    assert got == ["Yes."] * 8
    assert [t.name for t in threading.enumerate()].count("stepwell-model") >= 1


def test_what_the_client_raises_is_raised():
    with pytest.raises(ValueError, match="No more mock responses"):
        language_model_of(answers()).generate("Tea?")


def test_a_client_that_hangs_is_given_up():
    class Hanging(type(answers())):
        async def create(self, messages, **rest):
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        language_model_of(Hanging([]), timeout=0.05).generate("Tea?")


def test_an_answer_that_calls_a_tool_is_its_arguments():
    assert json.loads(language_model_of(answers(call("f", '{"a": 1}'))).generate("?")) == [
        '{"a": 1}'
    ]


def test_a_memory_takes_it():
    with Memory.open(
        ":memory:", embedder=None, language_model=language_model_of(answers(*["no"] * 50))
    ) as memory:
        memory.scope("ann").remember("I moved to Oslo in May.")
        memory.scope("ann").consolidate()
