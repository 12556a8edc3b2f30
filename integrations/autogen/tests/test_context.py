"""A context with a memory holds what it would hold, records all of it, and tells the model more."""

from __future__ import annotations

import asyncio

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import ComponentModel
from autogen_core.model_context import (
    BufferedChatCompletionContext,
    ChatCompletionContext,
    HeadAndTailChatCompletionContext,
    UnboundedChatCompletionContext,
)
from autogen_core.models import AssistantMessage, SystemMessage, UserMessage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted_autogen import agent, answers, call, sent, stalled, texts, turns

from autogen_stepwell import StepwellChatCompletionContext, attach
from stepwell import Filter, Memory, errors

Ours = StepwellChatCompletionContext


@pytest.fixture
def scope(tmp_path):
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        yield memory.scope("ann")


def weather(city: str) -> str:
    """The weather."""
    return f"It rains in {city}."


def injected(messages):
    return [m for m in messages if "quoted as data" in str(m.content)]


async def test_everything_is_recorded_the_last_answer_and_tools_among_it(scope):
    model = answers(call("weather", '{"city": "Oslo"}'), "Take a coat.")
    helper = AssistantAgent(
        "helper", model, tools=[weather], reflect_on_tool_use=True, model_context=Ours(scope)
    )
    await helper.run(task="Do I need a coat?")
    said = [(r.actor, r.role, r.text) for r in scope.records(Filter(level=0))]
    assert said == [
        ("user", "user", "Do I need a coat?"),
        ("helper", "assistant", 'weather({"city": "Oslo"})'),
        ("weather", "tool", "It rains in Oslo."),
        ("helper", "assistant", "Take a coat."),
    ]
    assert len({record.session for record in scope.records(Filter(level=0))}) == 1


@pytest.mark.parametrize("place", ["user", "system"])
async def test_what_is_told_stands_in_one_place_and_nowhere_else(scope, place):
    scope.remember("The harbour is closed in winter.", session="before")
    context = Ours(scope, inject_as=place)
    model = answers(*["I see."] * 10)
    helper = AssistantAgent("helper", model, model_context=context)
    for n in range(10):
        await helper.run(task=f"When is the harbour closed, and why? {n}")
    for prompt in sent(model):
        (told,) = injected(prompt)
        at = prompt.index(told)
        assert at == (1 if place == "system" else len(prompt) - 2)
    assert not injected(await context.inner.get_messages())
    assert "quoted as data" not in str(await helper.save_state())
    assert not [text for text in turns(scope) if "quoted as data" in text]


async def test_while_tools_are_called_the_same_is_told(scope):
    scope.remember("The coat is in the hall.", session="before")
    model = answers(call("weather", '{"city": "Oslo"}'), "Take a coat.")
    helper = AssistantAgent(
        "helper", model, tools=[weather], reflect_on_tool_use=True, model_context=Ours(scope)
    )
    await helper.run(task="Where is the coat?")
    first, second = (injected(prompt) for prompt in sent(model))
    assert first == second
    assert len(first) == 1


INNER = {
    "unbounded": UnboundedChatCompletionContext,
    "buffered": lambda: BufferedChatCompletionContext(3),
    "head and tail": lambda: HeadAndTailChatCompletionContext(1, 2),
}
SAYING = st.lists(st.tuples(st.booleans(), st.sampled_from(["Yes.", "No.", "Tea?"])), max_size=12)


@pytest.mark.parametrize("kind", INNER)
@given(said=SAYING)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_with_nothing_else_remembered_it_is_the_context_that_it_wraps(kind, said):
    async def compare():
        with Memory.open(":memory:", embedder=None) as memory:
            scope = memory.scope("ann")
            plain, ours = INNER[kind](), Ours(scope, inner=INNER[kind]())
            for asked, text in said:
                message = (
                    UserMessage(content=text, source="user")
                    if asked
                    else AssistantMessage(content=text, source="helper")
                )
                await plain.add_message(message)
                await ours.add_message(message)
                given = await ours.get_messages()
                told = injected(given)  # a window holds less than was said
                assert not told or kind != "unbounded"
                assert [m for m in given if m not in told] == await plain.get_messages()
            assert await ours.save_state() == await plain.save_state()
            assert turns(scope) == [text for _, text in said]
            await ours.clear()
            assert await ours.get_messages() == []

    asyncio.run(compare())


async def test_a_state_is_saved_and_loaded_and_nothing_of_it_is_stored_again(scope):
    helper = AssistantAgent("helper", answers("In Oslo."), model_context=Ours(scope))
    await helper.run(task="Where do I live?")
    state = await helper.save_state()
    other = AssistantAgent("helper", answers("Still."), model_context=Ours(scope))
    await other.load_state(state)
    assert len(await other.model_context.get_messages()) == 2
    await other.run(task="And now?")
    assert turns(scope) == ["Where do I live?", "In Oslo.", "And now?", "Still."]


async def test_what_one_conversation_has_told_another_one_knows(scope):
    helper = AssistantAgent("helper", answers("Noted."), model_context=Ours(scope))
    await helper.run(task="I moved to Oslo in May.")
    model = answers("To Oslo.")
    await AssistantAgent("other", model, model_context=Ours(scope)).run(task="Where did I move?")
    assert "I moved to Oslo in May." in texts(model)[0]


async def test_agents_of_a_team_and_its_recorder_store_everything_once(scope):
    team = RoundRobinGroupChat(
        [agent(n, 3, model_context=Ours(scope, role=n)) for n in ("a", "b")], max_turns=5
    )
    with attach(team, scope):
        await team.run(task="Go.")
    assert sorted(turns(scope)) == ["Go.", "a 0", "a 1", "a 2", "b 0", "b 1"]
    alone = RoundRobinGroupChat(
        [agent(n, 3, model_context=Ours(scope, role=n)) for n in ("c", "d")], max_turns=5
    )
    await alone.run(task="Come.")
    said = [text for text in turns(scope) if text[0] in "Ccd"]
    assert sorted(said) == ["Come.", "c 0", "c 1", "c 2", "d 0", "d 1"]


async def test_it_is_dumped_and_loaded_with_what_it_wraps(scope):
    ours = Ours(scope, inner=BufferedChatCompletionContext(3), role="planner", recall=False)
    dumped = ours.dump_component()
    assert dumped.provider == "autogen_stepwell.StepwellChatCompletionContext"
    told = ComponentModel.model_validate_json(dumped.model_dump_json())
    loaded = ChatCompletionContext.load_component(told)
    assert isinstance(loaded, Ours)
    assert isinstance(loaded.inner, BufferedChatCompletionContext)
    assert loaded.dump_component() == dumped
    await loaded.add_message(UserMessage(content="I like tea.", source="user"))
    assert turns(scope) == ["I like tea."]
    loaded.scope.close()
    with Memory.open(":memory:", embedder=None) as memory, pytest.raises(errors.InvalidScope):
        Ours(memory.scope("ann")).dump_component()


async def test_instructions_are_not_remembered(scope):
    context = Ours(scope)
    await context.add_message(SystemMessage(content="Be brief."))
    assert turns(scope) == []


@pytest.mark.parametrize("trouble", ["closed", "stalls"])
async def test_in_trouble_it_is_the_context_that_it_wraps(scope, trouble, monkeypatch, caplog):
    scope.remember("The harbour is closed in winter.", session="before")
    if trouble == "closed":
        scope.close()
    else:
        gate = stalled(monkeypatch, scope, "remember_many", "context")
    context = Ours(scope, deadline=0.2, patience=0.2)
    models = [answers("In winter."), answers("In winter.")]
    begun = asyncio.get_running_loop().time()
    for model, held in zip(models, (context, None), strict=True):
        helper = AssistantAgent("helper", model, model_context=held)
        await helper.run(task="When is the harbour closed?")
    assert asyncio.get_running_loop().time() - begun < 3
    assert sent(models[0]) == sent(models[1])
    tally = context.tally
    if trouble == "stalls":
        gate.set()
    assert tally.unrecorded + tally.waiting == 2
    assert tally.unanswered == 1
    assert "harbour" not in caplog.text
