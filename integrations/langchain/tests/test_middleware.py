"""An agent with the middleware is the same agent, and remembers."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware, SummarizationMiddleware
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from scripted_langchain import Scripted, call

from langchain_stepwell import StepwellMiddleware, StepwellRecallTool
from stepwell import AsyncMemory, Filter, Memory
from stepwell.errors import InvalidScope, StoreError

TURNS = Filter(level=0)


@tool
def weather(place: str) -> str:
    """The weather in a place."""
    return f"It rains in {place}."


@pytest.fixture
def memory():
    with Memory.open(":memory:") as memory:
        yield memory


@pytest.fixture
def scope(memory):
    return memory.scope("app")


def agent_of(*middleware, answers=(), lasting=True, tools=(weather,), **settings):
    model = Scripted(answers=list(answers))
    saver = InMemorySaver() if lasting else None
    return model, create_agent(
        model, list(tools), middleware=list(middleware), checkpointer=saver, **settings
    )


def in_thread(thread="t1", **settings):
    return {"configurable": {"thread_id": thread, **settings}}


def say(agent, text, thread="t1", **settings):
    return agent.invoke({"messages": [("user", text)]}, in_thread(thread, **settings))


def turns(scope, **where):
    return scope.records(TURNS & Filter(**where) if where else TURNS, limit=10_000)


def said(scope, **where):
    return [(turn.role, turn.text) for turn in turns(scope, **where)]


def run(agent, how, text, thread):
    given = {"messages": [("user", text)]}
    if how == "invoke":
        agent.invoke(given, in_thread(thread))
    elif how == "stream":
        for _ in agent.stream(given, in_thread(thread), stream_mode="messages"):
            pass
    elif how == "ainvoke":
        asyncio.run(agent.ainvoke(given, in_thread(thread)))
    else:

        async def drain():
            async for _ in agent.astream(given, in_thread(thread), stream_mode="updates"):
                pass

        asyncio.run(drain())


WAYS = ("invoke", "stream", "ainvoke", "astream")
SCRIPT = ("Hello.", call("weather", place="Oslo"), "It rains.", "Bye.")


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


# recording ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("lasting", [True, False])
def test_a_run_is_recorded_whole_and_once(scope, how, lasting):
    _, agent = agent_of(StepwellMiddleware(scope), answers=SCRIPT[1:], lasting=lasting)
    run(agent, how, "How is the weather in Oslo?", "t1")
    assert said(scope) == [
        ("user", "How is the weather in Oslo?"),
        ("assistant", 'weather({"place": "Oslo"})'),
        ("tool", "It rains in Oslo."),
        ("assistant", "It rains."),
    ]
    assert {turn.session for turn in turns(scope)} == {"t1"}
    assert turns(scope)[2].actor == "weather"
    assert all(turn.said_at is not None for turn in turns(scope))
    run(agent, how, "Thanks.", "t1")
    assert said(scope)[4:] == [("user", "Thanks."), ("assistant", "Bye.")]


def test_a_thread_that_goes_on_after_a_restart_is_not_recorded_twice(tmp_path):
    saver = InMemorySaver()
    for n in range(3):
        with Memory.open(tmp_path / "a.db") as memory:
            agent = create_agent(
                Scripted(), middleware=[StepwellMiddleware(memory.scope("app"))], checkpointer=saver
            )
            say(agent, "Hi.")
            assert memory.scope("app").count(TURNS) == 2 * (n + 1)


def test_a_thread_that_was_there_before_is_taken_over_with_its_first_run(scope):
    saver = InMemorySaver()
    say(create_agent(Scripted(), checkpointer=saver), "I moved to Oslo in May.")
    agent = create_agent(Scripted(), middleware=[StepwellMiddleware(scope)], checkpointer=saver)
    say(agent, "Thanks.")
    assert [turn.text for turn in turns(scope)] == [
        "I moved to Oslo in May.", "I see.", "Thanks.", "I see.",
    ]  # fmt: skip
    # Nobody knows when that was.
    assert [turn.said_at is None for turn in turns(scope)] == [True, True, False, False]


def test_a_history_that_the_app_sends_itself_is_recorded_once(scope):
    model, agent = agent_of(StepwellMiddleware(scope), lasting=False)
    history: list[Any] = []
    for n in range(4):
        history.append({"role": "user", "content": f"Question {n}"})
        answer = agent.invoke({"messages": history})["messages"][-1].text
        history.append({"role": "assistant", "content": answer})
    assert [text for _, text in said(scope)] == [m["content"] for m in history]
    assert len({turn.session for turn in turns(scope)}) == 1
    # Its own messages are in the prompt already.
    assert not [text for text in model.texts if "quoted as data" in text]


def test_the_last_of_a_history_is_laid_upon_what_is_stored(scope):
    _, agent = agent_of(StepwellMiddleware(scope), lasting=False)
    history: list[Any] = []
    for n in range(8):
        history.append({"role": "user", "content": f"Question {n}"})
        answer = agent.invoke({"messages": history[-5:]}, in_thread())["messages"][-1].text
        history.append({"role": "assistant", "content": answer})
    assert [text for _, text in said(scope)] == [m["content"] for m in history]


def test_what_was_forgotten_does_not_come_back_with_its_thread(scope):
    for lasting in (True, False):
        _, agent = agent_of(StepwellMiddleware(scope), lasting=lasting)
        history = [("user", "My pin is 4711.")]
        thread = f"t{lasting}"
        agent.invoke({"messages": history}, in_thread(thread))
        scope.forget([turn.id for turn in turns(scope, session=thread) if "4711" in turn.text])
        again = [] if lasting else [*history, ("assistant", "I see.")]
        agent.invoke({"messages": [*again, ("user", "Thanks.")]}, in_thread(thread))
        # A new process knows nothing of what this one has sent.
        fresh = agent if lasting else agent_of(StepwellMiddleware(scope), lasting=False)[1]
        fresh.invoke({"messages": [*again, ("user", "Bye.")]}, in_thread(thread))
        assert not [turn for turn in turns(scope) if "4711" in turn.text]


def test_threads_share_what_is_remembered_and_keep_separate_histories(scope):
    _, agent = agent_of(StepwellMiddleware(scope))
    for thread in ("t1", "t2", "t1", "t2"):
        say(agent, "Hi.", thread)
    for thread in ("t1", "t2"):
        assert said(scope, session=thread) == [("user", "Hi."), ("assistant", "I see.")] * 2


def test_ids_that_an_app_gives_in_every_thread_do_not_meet(scope):
    _, agent = agent_of(StepwellMiddleware(scope))
    for thread in ("t1", "t2"):
        message = HumanMessage(f"I am in {thread}.", id="1")
        agent.invoke({"messages": [message]}, in_thread(thread))
    assert len(turns(scope)) == 4


def test_summaries_of_what_was_taken_away_are_not_remembered_as_if_somebody_had_said_them(scope):
    summarize = SummarizationMiddleware(
        Scripted(otherwise="They spoke of boats."), trigger=("messages", 6), keep=("messages", 2)
    )
    _, agent = agent_of(summarize, StepwellMiddleware(scope))
    for n in range(6):
        say(agent, f"Boat {n}.")
    assert [text for role, text in said(scope) if role == "user"] == [
        f"Boat {n}." for n in range(6)
    ]
    assert not [turn for turn in turns(scope) if "They spoke of boats" in turn.text]


def test_what_is_taken_away_during_a_run_is_recorded_all_the_same(scope):
    brief = Scripted(otherwise="They looked at the weather.")
    summarize = SummarizationMiddleware(brief, trigger=("messages", 4), keep=("messages", 2))
    calls = [call("weather", place=f"Oslo {n}") for n in range(6)]
    for lasting in (True, False):
        mine = scope.within(str(lasting))
        _, agent = agent_of(
            summarize, StepwellMiddleware(mine), answers=[*calls, "Done."], lasting=lasting
        )
        say(agent, "My code is ZEBRA; look at the weather.")
        told = [text for _, text in said(mine)]
        assert told[0] == "My code is ZEBRA; look at the weather."
        assert [text for text in told if "rains" in text] == [
            f"It rains in Oslo {n}." for n in range(6)
        ]
        assert told[-1] == "Done."


def test_what_a_model_is_asked_to_forget_is_not_recorded_with_the_request(scope):
    scope.remember("My PIN is 4711-Q.")
    answers = [call("forget_memory", quote="PIN is 4711-Q"), "Your PIN is 4711-Q: forgotten."]
    _, agent = agent_of(StepwellMiddleware(scope, tools=["forget"]), answers=answers)
    say(agent, "Please forget that my PIN is 4711-Q.")
    assert not [text for _, text in said(scope) if "4711" in text]


def test_a_tool_that_stands_by_itself_is_not_recorded_either(scope):
    scope.remember("I moved to Oslo in May.")
    answers = [call("recall_memory", query="Where does the user live?"), "In Oslo."]
    _, agent = agent_of(
        StepwellMiddleware(scope), answers=answers, tools=[StepwellRecallTool(scope=scope)]
    )
    say(agent, "Where do I live?")
    assert not [text for _, text in said(scope) if "quoted as data" in text]


def test_the_same_said_again_is_recorded_again(scope):
    answers = [f"Answer {n}." for n in range(10)]
    _, agent = agent_of(StepwellMiddleware(scope), answers=answers, lasting=False)
    for _ in range(10):
        say(agent, "Yes.")
    assert [text for _, text in said(scope)] == [
        text for n in range(10) for text in ("Yes.", f"Answer {n}.")
    ]


def test_instructions_are_not_remembered_as_if_somebody_had_said_them(scope):
    model, agent = agent_of(StepwellMiddleware(scope), lasting=False)
    history = [("system", "Be kind."), ("user", "Hi."), ("assistant", "Hello."), ("user", "Bye.")]
    agent.invoke({"messages": history})
    agent.invoke({"messages": [*history, ("assistant", "I see."), ("user", "Really.")]})
    assert [text for _, text in said(scope)] == [
        "Hi.", "Hello.", "Bye.", "I see.", "Really.", "I see.",
    ]  # fmt: skip
    assert not [text for text in model.texts if "quoted as data" in text]


def test_what_an_app_takes_out_of_its_state_stays_remembered(scope):
    model, agent = agent_of(StepwellMiddleware(scope))
    say(agent, "The heron nests in March.")
    state = agent.get_state(in_thread()).values["messages"]
    agent.update_state(in_thread(), {"messages": [RemoveMessage(m.id) for m in state]})
    say(agent, "When does the heron nest?")
    assert "The heron nests in March." in model.texts[-1]


def test_a_run_that_waits_for_a_person_is_recorded_when_it_is_over(scope):
    ask = HumanInTheLoopMiddleware(interrupt_on={"weather": True})
    _, agent = agent_of(ask, StepwellMiddleware(scope), answers=SCRIPT[1:3])
    say(agent, "How is the weather in Oslo?")
    assert said(scope) == []
    agent.invoke(Command(resume={"decisions": [{"type": "approve"}]}), in_thread())
    assert [role for role, _ in said(scope)] == ["user", "assistant", "tool", "assistant"]


def test_what_a_model_failed_to_answer_is_recorded_with_the_next_run(scope):
    _, agent = agent_of(StepwellMiddleware(scope), answers=[RuntimeError("no model"), "Yes."])
    with pytest.raises(RuntimeError, match="no model"):
        say(agent, "Are you there?")
    say(agent, "Hello?")
    assert said(scope) == [("user", "Are you there?"), ("user", "Hello?"), ("assistant", "Yes.")]


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


# trouble ------------------------------------------------------------------------------------------


class Troubled:
    """Makes a verb of a scope do something else."""

    def __init__(self, monkeypatch, scope, **verbs):
        for name, verb in verbs.items():
            monkeypatch.setattr(type(scope), name, verb)


@pytest.mark.parametrize("how", WAYS)
def test_a_closed_store_does_not_break_an_agent(how, caplog):
    memory = Memory.open(":memory:")
    middleware = StepwellMiddleware(memory.scope("app"))
    model, agent = agent_of(middleware, answers=SCRIPT)
    run(agent, how, "Hi.", "t1")
    memory.close()
    bare, other = agent_of(answers=SCRIPT)
    run(other, how, "Hi.", "t1")
    for text in ("How is the weather in Oslo?", "Thanks."):
        run(agent, how, text, "t1")
        run(other, how, text, "t1")
    assert model.inputs == bare.inputs
    tally = middleware.tally
    assert (tally.recorded, tally.unrecorded) == (2, 4 + 6)
    assert "StoreClosed" in caplog.text


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_what_is_recalled_too_late_is_left_out(scope, monkeypatch, how, caplog):
    scope.remember("I moved to Oslo in May.")
    gate = threading.Event()
    real = type(scope).context

    def slow(self, *args, **kwargs):
        gate.wait(5)
        return real(self, *args, **kwargs)

    Troubled(monkeypatch, scope, context=slow)
    middleware = StepwellMiddleware(scope, deadline=0.05)
    model, agent = agent_of(middleware)
    begun = time.monotonic()
    run(agent, how, "Where do I live?", "t1")
    assert time.monotonic() - begun < 3
    gate.set()
    assert model.texts == ["Where do I live?"]
    assert middleware.tally.unanswered == 1
    assert "missed its deadline" in caplog.text


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_what_is_stored_slowly_is_stored_in_the_end(scope, monkeypatch, how, caplog):
    gate = threading.Event()
    real = type(scope).remember_many

    def slow(self, given):
        gate.wait(20)
        return real(self, given)

    Troubled(monkeypatch, scope, remember_many=slow)
    middleware = StepwellMiddleware(scope, patience=0.05)
    _, agent = agent_of(middleware)
    begun = time.monotonic()
    run(agent, how, "Hi.", "t1")
    run(agent, how, "Bye.", "t1")
    assert time.monotonic() - begun < 3
    assert middleware.tally.recorded == 0
    gate.set()
    assert middleware.flush(20)
    assert [text for _, text in said(scope)] == ["Hi.", "I see.", "Bye.", "I see."]


def test_what_a_store_refused_is_recorded_with_the_next_run(scope, monkeypatch, caplog):
    real = type(scope).remember_many

    def fail(self, given):
        raise StoreError("disk full, with secret words")

    _, agent = agent_of(StepwellMiddleware(scope))
    Troubled(monkeypatch, scope, remember_many=fail)
    say(agent, "Hi.")
    Troubled(monkeypatch, scope, remember_many=real)
    say(agent, "Bye.")
    assert [text for _, text in said(scope)] == ["Hi.", "I see.", "Bye.", "I see."]
    assert "2 turns were not recorded: StoreError" in caplog.text
    assert "secret" not in caplog.text


def test_logs_hold_nothing_of_what_was_said(scope, caplog):
    caplog.set_level(logging.DEBUG)
    scope.remember("My pin is 4711.")
    middleware = StepwellMiddleware(scope, deadline=0.0)
    _, agent = agent_of(middleware)
    say(agent, "My pin is 4711.")
    assert middleware.tally.unanswered == 1
    assert "4711" not in caplog.text


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


# tools --------------------------------------------------------------------------------------------


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
