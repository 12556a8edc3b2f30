"""A memory keeps AutoGen's contract, and is one message, however long the conversation."""

from __future__ import annotations

import asyncio
import logging

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import CancellationToken, ComponentModel, Image
from autogen_core.memory import ListMemory, MemoryContent, MemoryMimeType
from autogen_core.memory import Memory as Contract
from autogen_core.model_context import (
    BufferedChatCompletionContext,
    HeadAndTailChatCompletionContext,
    TokenLimitedChatCompletionContext,
    UnboundedChatCompletionContext,
)
from autogen_core.models import AssistantMessage, SystemMessage, UserMessage
from PIL import Image as Picture
from scripted_autogen import Answers, agent, answers, sent, stalled, texts, turns

from autogen_stepwell import StepwellMemory, attach
from stepwell import Filter, Memory, errors

TEXT = MemoryMimeType.TEXT
TURNS = Filter(level=0)


@pytest.fixture
def scope(tmp_path):
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        yield memory.scope("ann")


@pytest.fixture(params=["framework", "stepwell"])
def memory(request, scope):
    return ListMemory() if request.param == "framework" else StepwellMemory(scope)


# the framework's contract -------------------------------------------------------------------------


async def test_it_is_a_memory(memory):
    assert isinstance(memory, Contract)
    assert memory.component_type == "memory"


async def test_an_empty_one_leaves_a_context_as_it_is(memory):
    context = BufferedChatCompletionContext(buffer_size=3)
    assert (await memory.update_context(context)).memories.results == []
    await context.add_message(UserMessage(content="tea?", source="user"))
    assert (await memory.update_context(context)).memories.results == []
    assert len(await context.get_messages()) == 1


async def test_it_takes_every_kind_of_content(memory):
    kinds = [("tea", TEXT), ({"k": 1}, MemoryMimeType.JSON), (b"\0\xff", MemoryMimeType.BINARY)]
    image = Image.from_pil(Picture.new("RGB", (4, 4), "red"))
    for content, kind in [*kinds, ("# tea", "text/markdown"), (image, MemoryMimeType.IMAGE)]:
        await memory.add(MemoryContent(content=content, mime_type=kind), CancellationToken())
    assert (await memory.query("tea")).results
    assert (await memory.query(MemoryContent(content="tea", mime_type=TEXT))).results


async def test_what_was_added_is_put_into_a_context(memory):
    await memory.add(MemoryContent(content="Ann drinks green tea.", mime_type=TEXT))
    context = UnboundedChatCompletionContext()
    await context.add_message(UserMessage(content="Which tea?", source="user"))
    told = await memory.update_context(context)
    assert any("green tea" in str(each.content) for each in told.memories.results)
    assert any("green tea" in str(message.content) for message in await context.get_messages())


async def test_cleared_it_holds_nothing(memory):
    await memory.add(MemoryContent(content="tea", mime_type=TEXT))
    await memory.clear()
    assert (await memory.query("tea")).results == []
    await memory.close()


async def test_it_is_dumped_and_loaded(memory):
    dumped = memory.dump_component()
    assert isinstance(dumped, ComponentModel)
    told = ComponentModel.model_validate_json(dumped.model_dump_json())
    loaded = Contract.load_component(told)
    assert isinstance(loaded, type(memory))
    if isinstance(loaded, StepwellMemory):
        loaded.scope.close()


async def test_an_assistant_takes_it(memory):
    await memory.add(MemoryContent(content="Ann drinks green tea.", mime_type=TEXT))
    helper = AssistantAgent("helper", answers("Green."), memory=[memory])
    result = await helper.run(task="Which tea does Ann drink?")
    kinds = [type(message).__name__ for message in result.messages]
    assert kinds == ["TextMessage", "MemoryQueryEvent", "TextMessage"]


# ours ---------------------------------------------------------------------------------------------


def injected(messages):
    return [m for m in messages if "quoted" in str(m.content)]


@pytest.mark.parametrize("place", ["user", "system"])
async def test_however_many_turns_there_is_one_message_of_it(scope, place):
    scope.remember("The harbour is closed in winter.", session="before")
    memory = StepwellMemory(scope, inject_as=place)
    model = answers(*["I see."] * 12)
    helper = AssistantAgent("helper", model, memory=[memory])
    for n in range(12):
        await helper.run(task=f"When is the harbour closed, and why? {n}")
    assert [len(injected(call)) for call in sent(model)] == [1] * 12
    assert not [text for text in turns(scope) if "quoted" in text]


CONTEXTS = {
    "unbounded": UnboundedChatCompletionContext,
    "buffered": lambda: BufferedChatCompletionContext(5),
    "head and tail": lambda: HeadAndTailChatCompletionContext(2, 3),
    "token limited": lambda: TokenLimitedChatCompletionContext(answers(), token_limit=40),
}


@pytest.mark.parametrize("kind", CONTEXTS)
async def test_any_context_keeps_all_that_it_held(scope, kind):
    scope.remember("The harbour is closed in winter.", session="before")
    plain, ours = CONTEXTS[kind](), CONTEXTS[kind]()
    memory = StepwellMemory(scope)
    for n in range(8):
        for context in (plain, ours):
            await context.add_message(UserMessage(content=f"The harbour? {n}", source="user"))
        await memory.update_context(ours)
        assert len(injected(await ours.get_messages())) <= 1
        for context in (plain, ours):
            await context.add_message(AssistantMessage(content=f"Yes {n}", source="helper"))
    held = (await ours.save_state())["messages"]
    kept = [message for message in held if "quoted" not in str(message["content"])]
    assert kept == (await plain.save_state())["messages"]
    assert len(held) - len(kept) <= 1


async def test_a_context_whose_state_cannot_be_read_holds_one_message_of_it(scope):
    scope.remember("The harbour is closed in winter.", session="before")

    class Strange(UnboundedChatCompletionContext):
        async def save_state(self):
            return {"other": 1}

    context, memory = Strange(), StepwellMemory(scope)
    for n in range(3):
        await context.add_message(UserMessage(content=f"The harbour? {n}", source="user"))
        await memory.update_context(context)
    assert len(injected(await context.get_messages())) == 1
    assert len(await context.get_messages()) == 4


async def test_what_the_context_holds_is_not_told_again(scope):
    memory = StepwellMemory(scope)
    helper = AssistantAgent("helper", (model := answers(*["I see."] * 3)), memory=[memory])
    for text in ("I moved to Oslo in May.", "Where did I move in May?", "To Oslo in May?"):
        await helper.run(task=text)
    assert not any(injected(call) for call in sent(model))
    other = AssistantAgent("other", (model := answers("To Oslo.")), memory=[StepwellMemory(scope)])
    await other.run(task="Where did I move?")
    assert "I moved to Oslo in May." in texts(model)[0]


async def test_models_that_forbid_system_messages_amid_others_get_none(scope):
    scope.remember("The harbour is closed in winter.", session="before")
    model = answers("In winter.")
    helper = AssistantAgent("helper", model, memory=[StepwellMemory(scope)], system_message="Help.")
    await helper.run(task="When is the harbour closed?")
    (call,) = sent(model)
    assert [type(m) for m in call] == [SystemMessage, UserMessage, UserMessage]


async def test_agents_of_a_team_store_what_they_all_see_once(scope):
    team = RoundRobinGroupChat(
        [agent(n, 4, memory=[StepwellMemory(scope, role=n)]) for n in ("ann", "ben", "cid")],
        termination_condition=MaxMessageTermination(8),
    )
    await team.run(task="Plan the trip.")
    said = turns(scope)
    assert len(said) == len(set(said))
    assert set(said) >= {"Plan the trip.", "ann 0", "ben 0", "cid 0", "ann 1"}


async def test_beside_a_recorded_team_nothing_is_stored_twice_or_told_back(scope):
    scope.remember("The plan was to go to Oslo.", session="before")
    models = {n: answers(f"{n} 0", f"{n} 1") for n in ("ann", "ben")}
    team = RoundRobinGroupChat(
        [AssistantAgent(n, m, memory=[StepwellMemory(scope)]) for n, m in models.items()],
        termination_condition=MaxMessageTermination(5),
    )
    with attach(team, scope):
        await team.run(task="Plan the trip.")
    assert sorted(turns(scope)) == sorted(
        ["The plan was to go to Oslo.", "Plan the trip.", "ann 0", "ben 0", "ann 1", "ben 1"]
    )
    for call in [*sent(models["ann"]), *sent(models["ben"])]:
        (told,) = injected(call)
        assert "Oslo" in told.content
        assert "ann 0" not in told.content
        assert "Plan the trip." not in told.content


async def test_repeated_words_are_stored_as_often_as_they_were_said(scope):
    helper = AssistantAgent(
        "helper", answers(*["Yes."] * 5), memory=[StepwellMemory(scope)],
        model_context=BufferedChatCompletionContext(3),
    )  # fmt: skip
    for _ in range(5):
        await helper.run(task="And now?")
    assert turns(scope).count("And now?") == 5
    assert turns(scope).count("Yes.") == 4  # the last answer comes with the next turn


async def test_loaded_it_joins_the_same_store(scope):
    memory = StepwellMemory(scope, role="planner", budget=99, inject_as="system", record=False)
    await memory.add(MemoryContent(content="Ann drinks green tea.", mime_type=TEXT))
    dumped = memory.dump_component()
    assert dumped.provider == "autogen_stepwell.StepwellMemory"
    loaded = StepwellMemory.load_component(dumped)
    assert loaded.dump_component() == dumped
    (found,) = (await loaded.query("Which tea?")).results
    assert found.content == "Ann drinks green tea."
    assert found.metadata["sources"]
    loaded.scope.close()


async def test_a_whole_team_is_dumped_and_loaded_with_its_memories(scope):
    team = RoundRobinGroupChat(
        [agent(n, 2, memory=[StepwellMemory(scope, role=n)]) for n in ("ann", "ben")], max_turns=2
    )
    loaded = RoundRobinGroupChat.load_component(team.dump_component())
    await loaded.run(task="Plan the trip.")
    assert "Plan the trip." in turns(scope)
    for member in loaded._participants:
        member._memory[0].scope.close()


async def test_a_store_in_memory_is_not_dumped():
    with Memory.open(":memory:", embedder=None) as memory, pytest.raises(errors.InvalidScope):
        StepwellMemory(memory.scope("ann")).dump_component()


async def test_binary_content_is_kept_by_reference(scope):
    memory = StepwellMemory(scope)
    raw = b"\x89PNG" * 100_000
    await memory.add(
        MemoryContent(content=raw, mime_type="image/png", metadata={"caption": "a red door"})
    )
    (record,) = scope.records(TURNS)
    assert record.text == "a red door"
    assert record.attachments[0].ref.startswith("sha256:")


@pytest.mark.parametrize("trouble", ["closed", "raises", "stalls"])
async def test_a_memory_in_trouble_leaves_the_agent_alone(scope, trouble, monkeypatch, caplog):
    scope.remember("The harbour is closed in winter.", session="before")
    caplog.set_level(logging.WARNING)
    memory = StepwellMemory(scope, deadline=0.2, patience=0.2)
    if trouble == "closed":
        scope.close()
    elif trouble == "raises":
        monkeypatch.setattr(type(scope), "remember_many", boom)
        monkeypatch.setattr(type(scope), "context", boom)
    else:
        gate = stalled(monkeypatch, scope, "remember_many", "context")
    models = [answers("In winter.", "Yes."), answers("In winter.", "Yes.")]
    begun = asyncio.get_running_loop().time()
    for model, held in zip(models, ([memory], None), strict=True):
        helper = AssistantAgent("helper", model, memory=held)
        for text in ("When is the harbour closed?", "Sure?"):
            assert (await helper.run(task=text)).messages[-1].content
    assert asyncio.get_running_loop().time() - begun < 3
    assert sent(models[0]) == sent(models[1])
    tally = memory.tally
    if trouble == "stalls":
        gate.set()
    assert tally.unrecorded + tally.waiting == 3
    assert tally.unanswered == 2
    assert "autogen_stepwell" in caplog.text
    assert "harbour" not in caplog.text


def boom(*_, **__):
    raise RuntimeError("the harbour of secrets")


def test_only_two_places_are_known(scope):
    with pytest.raises(ValueError, match="inject_as"):
        StepwellMemory(scope, inject_as="elsewhere")


async def test_in_a_recorded_team_the_memory_is_asked_for_its_task_and_by_role(scope, monkeypatch):
    asked, plain = [], type(scope).context

    def context(self, query, **options):
        asked.append((options["role"], options["task"]))
        return plain(self, query, **options)

    class Thinking(Answers):
        async def create(self, messages, **rest):
            await attached.aflush()  # models are slower than a file
            return await super().create(messages, **rest)

    monkeypatch.setattr(type(scope), "context", context)
    members = [
        AssistantAgent(n, Thinking(["Yes."]), memory=[StepwellMemory(scope, role=n)])
        for n in ("ann", "ben")
    ]
    team = RoundRobinGroupChat(members, max_turns=2)
    with attach(team, scope) as attached:
        await team.run(task="Plan the trip.")
    assert ("ben", attached.task.id) in asked
    assert {role for role, _ in asked} == {"ann", "ben"}


async def test_what_an_agents_memory_shows_in_a_run_is_credited_with_its_outcome(scope):
    scope.remember("The harbour is closed in winter.", id="t1")
    scope.remember("Roses want sun.", id="t2", trust=0.1)
    mine = StepwellMemory(scope, min_trust=0.5)
    helper = AssistantAgent("helper", answers("In winter."), memory=[mine])
    team = RoundRobinGroupChat([helper], max_turns=1)
    with attach(team, scope) as attached:
        await team.run(task="When is the harbour closed?")
    attached.task.outcome(1.0)
    assert scope.usage("t1").success == 1.0
    assert scope.usage("t2").success == 0.0


async def test_ids_and_sessions_tell_nothing_of_what_was_forgotten(scope, tmp_path):
    """Two stores that heard the same have no name in common: nobody can try what was said."""
    names = []
    for place in (scope, Memory.open(tmp_path / "b.db", embedder=None).scope("ann")):
        helper = AssistantAgent("helper", answers("Yes."), memory=[StepwellMemory(place)])
        await helper.run(task="My code is 4711.")
        names.append({(r.turn, r.session) for r in place.records(TURNS)})
        place.forget(where=TURNS)
    assert names[0]
    for kind in zip(*names[0] | names[1], strict=True):
        assert len(set(kind)) == len(names[0] | names[1])
