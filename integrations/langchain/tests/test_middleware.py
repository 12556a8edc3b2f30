"""An agent with the middleware is the same agent, with what is recalled in its prompt."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from langchain_core.messages import HumanMessage
from scripted_langchain import (
    SCRIPT,
    TURNS,
    WAYS,
    agent_of,
    in_thread,
    run,
    said,
    say,
    turns,
)

from langchain_stepwell import StepwellMiddleware
from stepwell import AsyncMemory, Memory
from stepwell.errors import InvalidScope

# the same agent -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("into", ["user", "system"])
@pytest.mark.parametrize("prompt", [None, "Be kind."])
def test_with_nothing_remembered_but_its_own_messages_the_model_gets_what_it_got(
    scope, how, into, prompt
):
    inputs = []
    for middleware in ([], [StepwellMiddleware(scope, into=into)]):
        model, agent = agent_of(*middleware, answers=SCRIPT, system_prompt=prompt)
        for text in ("Hi.", "How is the weather in Oslo?", "Thanks."):
            run(agent, how, text, "t1")
        inputs.append((model.inputs, model.offered))
    assert inputs[0] == inputs[1]
    assert len(inputs[0][0]) == 4


@pytest.mark.parametrize("how", WAYS)
def test_what_was_learned_in_one_thread_is_in_the_prompt_of_the_next(scope, how):
    model, agent = agent_of(StepwellMiddleware(scope))
    run(agent, how, "I moved to Oslo in May.", "t1")
    run(agent, how, "Where do I live?", "t2")
    assert "I moved to Oslo in May." not in model.texts[0].replace("I moved to Oslo in May.", "", 1)
    assert "I moved to Oslo in May." in model.texts[1]
    assert model.texts[1].endswith("Where do I live?")
    assert "quoted as data" in model.texts[1]


def test_the_quotation_may_stand_behind_the_systems_message(scope):
    scope.remember("I moved to Oslo in May.")
    for prompt in ("Be kind.", None):
        model, agent = agent_of(StepwellMiddleware(scope, into="system"), system_prompt=prompt)
        say(agent, "Where do I live?", f"t{prompt}")
        system, user = model.sent[0]
        assert system.type == "system"
        assert system.text.startswith(prompt or "")
        assert "Oslo" in system.text
        assert user.content == "Where do I live?"


def test_messages_with_images_keep_them(scope):
    scope.remember("The heron nests in March.")
    model, agent = agent_of(StepwellMiddleware(scope))
    image = {"type": "image", "base64": "aGk=", "mime_type": "image/png"}
    agent.invoke(
        {"messages": [HumanMessage([{"type": "text", "text": "Is this a heron?"}, image])]},
        in_thread(),
    )
    content = model.sent[0][0].content
    assert "The heron nests" in content[0]["text"]
    assert content[1:] == [{"type": "text", "text": "Is this a heron?"}, image]
    assert said(scope)[1:] == [("user", "Is this a heron?\n[image]"), ("assistant", "I see.")]


def test_nothing_that_was_put_into_a_prompt_reaches_the_state_or_the_memory(scope):
    scope.remember("The harbour is closed in winter.", id="before")
    model, agent = agent_of(StepwellMiddleware(scope), answers=SCRIPT[1:])
    for n in range(6):
        say(agent, f"When is the harbour closed? {n}")
    state = agent.get_state(in_thread()).values["messages"]
    assert "The harbour is closed in winter." in model.texts[-1]
    assert not [m for m in state if "quoted as data" in str(m.content)]
    assert not [turn for turn in turns(scope) if "quoted as data" in turn.text]
    # One quotation each time, however long the conversation is.
    assert {text.count("quoted as data") for text in model.texts} == {1}
    assert len(model.sent[-1]) == len(state) - 1


# users --------------------------------------------------------------------------------------------


@dataclass
class Context:
    user_id: str


def test_each_user_has_a_memory_apart(memory, scope):
    model, agent = agent_of(StepwellMiddleware(scope, per_user=True), context_schema=Context)
    say(agent, "I moved to Oslo in May.", "a1", user_id="ann")
    agent.invoke(
        {"messages": [("user", "I moved to Rome in May.")]}, in_thread("b1"), context=Context("ben")
    )
    say(agent, "Where do I live?", "a2", user_id="ann")
    agent.invoke(
        {"messages": [("user", "Where do I live?")]}, in_thread("b2"), context=Context("ben")
    )
    assert ["Oslo" in model.texts[2], "Rome" in model.texts[2]] == [True, False]
    assert ["Oslo" in model.texts[3], "Rome" in model.texts[3]] == [False, True]
    assert set(memory.scopes()) == {("app", "ann"), ("app", "ben")}


def test_without_a_user_an_agent_goes_without_memory_and_says_so(scope, caplog):
    middleware = StepwellMiddleware(scope, per_user=True)
    _, agent = agent_of(middleware)
    assert say(agent, "Hi.")["messages"][-1].text == "I see."
    assert scope.count() == 0
    assert middleware.tally.unrecorded == 2
    assert "going on without memory" in caplog.text


def test_users_of_one_thread_are_remembered_each_what_was_said_for_them(memory, scope):
    _, agent = agent_of(StepwellMiddleware(scope, per_user=True))
    say(agent, "I am Ann.", user_id="ann")
    say(agent, "I am Ben.", user_id="ben")
    say(agent, "Bye.", user_id="ann")
    assert [turn.text for turn in turns(scope.within("ann"))] == [
        "I am Ann.", "I see.", "Bye.", "I see.",
    ]  # fmt: skip
    assert [turn.text for turn in turns(scope.within("ben"))] == ["I am Ben.", "I see."]


def test_what_one_user_was_not_answered_is_not_remembered_for_the_next(scope):
    _, agent = agent_of(
        StepwellMiddleware(scope, per_user=True), answers=[RuntimeError("no model"), "Hello."]
    )
    with pytest.raises(RuntimeError, match="no model"):
        say(agent, "My salary is 90k.", user_id="ann")
    say(agent, "Hi.", user_id="ben")
    assert [turn.text for turn in turns(scope.within("ben"))] == ["Hi.", "Hello."]


def test_an_async_scope_and_a_uri_will_do(tmp_path):
    async def main():
        async with AsyncMemory.open(tmp_path / "a.db") as memory:
            scope = memory.scope("app")
            _, agent = agent_of(StepwellMiddleware(scope))
            await agent.ainvoke({"messages": [("user", "I moved to Oslo.")]}, in_thread("t1"))
            return scope.uri

    uri = asyncio.run(main())
    middleware = StepwellMiddleware(uri)
    model, agent = agent_of(middleware)
    say(agent, "Where do I live?", "t2")
    assert "I moved to Oslo." in model.texts[0]
    middleware.scope.close()


# settings -----------------------------------------------------------------------------------------


def test_the_budget_holds(scope):
    scope.remember_many([f"The boat number {n} needs paint and a sail." for n in range(400)])
    lengths = []
    for budget in (100, 400):
        model, agent = agent_of(StepwellMiddleware(scope, budget=budget, record=False))
        say(agent, "Which boat needs paint?")
        lengths.append(len(model.texts[0]))
    assert lengths[0] < 1_000 < lengths[1] < 4_000


@pytest.mark.parametrize("long", ["Oslo blob " + "Ab9" * 20_000, "奥斯陆" * 5_000 + " Oslo"])
def test_what_has_no_spaces_does_not_burst_the_budget(scope, long):
    scope.remember(long)
    scope.remember("I moved to Oslo in May.")
    model, agent = agent_of(StepwellMiddleware(scope, budget=100))
    say(agent, "What about Oslo?")
    assert "I moved to Oslo in May." in model.texts[0]
    assert len(model.texts[0]) < 800


def test_untrusted_turns_are_left_out_where_trust_is_asked_for(scope):
    scope.remember("The boat is blue.", trust=0.9)
    scope.remember("The boat is purple.", trust=0.1)
    model, agent = agent_of(StepwellMiddleware(scope, min_trust=0.5))
    say(agent, "What colour is the boat?")
    assert ["blue" in model.texts[0], "purple" in model.texts[0]] == [True, False]


def test_recalling_and_recording_can_be_switched_off(scope):
    scope.remember("I moved to Oslo in May.")
    model, agent = agent_of(StepwellMiddleware(scope, recall=False, record=False))
    say(agent, "Where do I live?")
    assert model.texts == ["Where do I live?"]
    assert scope.count(TURNS) == 1


def test_two_memories_fit_one_agent(memory):
    team, ann = memory.scope("team"), memory.scope("ann")
    team.remember("The office is in Bergen.")
    ann.remember("I moved to Oslo in May.")
    model, agent = agent_of(
        StepwellMiddleware(team, name="team", record=False), StepwellMiddleware(ann, name="mine")
    )
    say(agent, "Where do I live, and where is the office?")
    assert "Oslo" in model.texts[0]
    assert "Bergen" in model.texts[0]
    # Each is asked what the user has said, not what the other has put before it.
    assert model.texts[0].count("quoted as data") == 2
    assert said(ann)[1:] == [
        ("user", "Where do I live, and where is the office?"), ("assistant", "I see."),
    ]  # fmt: skip
    assert team.count(TURNS) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"into": "assistant"}, {"tools": ["recollect"]}, {"tools": "recall"}, {"budget": -1},
        {"budget": "800"}, {"min_trust": 7}, {"deadline": "1"}, {"patience": -1},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(scope, settings):
    told = r"'user' or 'system'|recall, remember, forget|budget|min_trust|deadline|patience"
    with pytest.raises(ValueError, match=told):
        StepwellMiddleware(scope, **settings)


def test_anything_but_a_scope_is_refused():
    with pytest.raises(InvalidScope, match="a scope"):
        StepwellMiddleware(Memory)
