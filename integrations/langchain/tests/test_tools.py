"""The tools by which a model uses its memory itself."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage
from scripted_langchain import (
    TURNS,
    WAYS,
    agent_of,
    call,
    run,
    said,
    say,
)

from langchain_stepwell import StepwellMiddleware


@pytest.mark.parametrize("how", WAYS)
def test_a_model_uses_the_memory_only_where_it_was_given_tools(scope, how):
    scope.remember("I moved to Oslo in May.", id="t1")
    answers = [
        call("recall_memory", query="Where does the user live?"),
        call("remember_this", text="The user likes tea."),
        call("forget_memory", quote="moved to Oslo in May"),
        "Done.",
    ]
    middleware = StepwellMiddleware(scope, recall=False, tools=["forget", "recall", "remember"])
    model, agent = agent_of(middleware, answers=answers)
    run(agent, how, "Do something.", "t1")
    assert set(model.offered) == {"weather", "recall_memory", "remember_this", "forget_memory"}
    assert "I moved to Oslo in May." in model.texts[1]
    assert scope.get("t1") is None
    # What the memory told is not remembered as if it had been said.
    assert said(scope) == [
        ("assistant", "The user likes tea."), ("user", "Do something."), ("assistant", "Done."),
    ]  # fmt: skip


def test_tools_use_the_memory_of_the_user_they_run_for(scope):
    scope.within("ann").remember("I moved to Oslo in May.")
    middleware = StepwellMiddleware(scope, recall=False, per_user=True, tools=["recall"])
    model, agent = agent_of(
        middleware, answers=[call("recall_memory", query="Where do I live?"), "Done."] * 3
    )
    for user in ("ann", "ben"):
        say(agent, "Where?", user, user_id=user)
    say(agent, "Where?", "nobody")
    assert ["Oslo" in text for text in model.texts] == [False, True, False, False, False, False]
    assert "does not answer" in model.texts[-1]


@pytest.mark.parametrize(
    ("quote", "told"),
    [("boat", "too short"), ("the purple boat", "Nothing"), ("boat number", "quote more")],
)
def test_no_more_is_forgotten_than_was_meant(scope, quote, told):
    scope.remember_many([f"The boat number {n} needs paint." for n in range(8)])
    middleware = StepwellMiddleware(scope, recall=False, record=False, tools=["forget"])
    model, agent = agent_of(middleware, answers=[call("forget_memory", quote=quote), "Done."])
    say(agent, "Forget it.")
    assert told in model.texts[-1]
    assert scope.count(TURNS) == 8


def test_an_agent_with_tools_outlives_its_store(memory):
    middleware = StepwellMiddleware(memory.scope("app"), tools=["recall", "remember", "forget"])
    answers = [
        call("recall_memory", query="x"), call("remember_this", text="x"),
        call("forget_memory", quote="something long"), "Done.",
    ]  # fmt: skip
    model, agent = agent_of(middleware, answers=answers)
    memory.close()
    assert isinstance(say(agent, "Do something.")["messages"][-1], AIMessage)
    assert model.texts[-1].count("does not answer") == 3
