"""What is said in an agent with the middleware is recorded whole, and once."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware, SummarizationMiddleware
from langchain_core.messages import HumanMessage, RemoveMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from scripted_langchain import (
    SCRIPT,
    TURNS,
    WAYS,
    Scripted,
    agent_of,
    call,
    in_thread,
    run,
    said,
    say,
    turns,
)

from langchain_stepwell import StepwellMiddleware, StepwellRecallTool
from stepwell import Memory


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
