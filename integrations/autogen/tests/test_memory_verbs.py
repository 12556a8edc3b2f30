"""A memory's own verbs, `add`, `query` and `clear`, keep to what is its own."""

from __future__ import annotations

import logging

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core.memory import MemoryContent, MemoryMimeType
from scripted_autogen import agent, answers, turns

from autogen_stepwell import StepwellMemory, attach
from stepwell import Filter, Memory, errors


@pytest.fixture
def scope(tmp_path):
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        yield memory.scope("ann")


def note(text, **metadata):
    return MemoryContent(content=text, mime_type=MemoryMimeType.TEXT, metadata=metadata)


def bytes_in(folder):
    return b"".join(each.read_bytes() for each in folder.glob("a.db*"))


async def test_cleared_it_forgets_what_was_added_to_it_and_nothing_else(scope):
    mine, other = StepwellMemory(scope, role="planner"), StepwellMemory(scope, role="critic")
    elsewhere = StepwellMemory(scope, role="planner", session="monday")
    scope.remember("Remembered by hand.")
    await mine.add(note("Ann likes tea."))
    await mine.add(note("Ann likes cake.", session="tuesday", autogen_memory="somebody else's"))
    await other.add(note("Ben likes coffee."))
    await elsewhere.add(note("Cid likes milk."))
    team = RoundRobinGroupChat([agent("a", memory=[mine])], max_turns=2)
    with attach(team, scope):
        await team.run(task="Plan the trip.")
    await mine.clear()
    assert turns(scope) == [
        "Remembered by hand.", "Ben likes coffee.", "Cid likes milk.",
        "Plan the trip.", "a 0", "a 1",
    ]  # fmt: skip
    await elsewhere.clear()
    assert "Cid likes milk." not in turns(scope)


async def test_cleared_no_byte_of_what_was_added_is_left(tmp_path):
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        mine = StepwellMemory(memory.scope("ann"))
        await mine.add(note("The password is xyzzyplugh."))
        await mine.clear()
    assert b"xyzzyplugh" not in bytes_in(tmp_path)


async def test_what_was_added_before_a_restart_is_cleared(scope):
    mine = StepwellMemory(scope, role="planner")
    await mine.add(note("Ann likes tea.", weight="x" * 2_000_000))
    loaded = StepwellMemory.load_component(mine.dump_component())
    await loaded.clear()
    assert turns(scope) == []
    await loaded.clear()  # … of nothing
    loaded.scope.close()


async def test_a_question_that_asks_nothing_has_no_answer_and_is_no_failure(scope, caplog):
    caplog.set_level(logging.WARNING)
    memory = StepwellMemory(scope)
    await memory.add(note("Ann likes tea."))
    for asked in ("", " \n", note("")):
        assert (await memory.query(asked)).results == []
    assert memory.tally.unanswered == 0
    assert caplog.text == ""


async def test_a_query_takes_the_options_of_a_recall_and_refuses_others(scope):
    memory = StepwellMemory(scope)
    for n in range(3):
        await memory.add(note(f"Ann likes tea number {n}."))
    assert len((await memory.query("Which tea?", k=2)).results) == 2
    with pytest.raises(errors.InvalidQuery, match="'top_k'"):
        await memory.query("Which tea?", top_k=2)


@pytest.mark.parametrize("name", ["a\0nn", "n" * 600, "\ud800"])
async def test_beside_a_recorded_team_nothing_is_stored_twice_whatever_the_names(scope, name):
    helper = AssistantAgent("helper", answers("Yes.", "No."), memory=[StepwellMemory(scope)])
    team = RoundRobinGroupChat([helper], max_turns=2)
    with attach(team, scope):
        await team.run(task=TextMessage(content="Plan the trip.", source=name))
    assert turns(scope) == ["Plan the trip.", "Yes.", "No."]


async def test_forgotten_in_the_middle_of_a_run_it_stays_forgotten_and_the_run_goes_on(scope):
    class Forgetting(AssistantAgent):
        async def on_messages_stream(self, messages, cancellation_token):
            await attached.aflush()
            scope.forget(where=Filter(level=0))
            async for each in super().on_messages_stream(messages, cancellation_token):
                yield each

    model = answers("b 0", "b 1")
    forgetful = Forgetting("b", model, memory=[StepwellMemory(scope)])
    team = RoundRobinGroupChat([agent("a", memory=[StepwellMemory(scope)]), forgetful], max_turns=4)
    with attach(team, scope) as attached:
        await team.run(task="My code is 4711.")
    assert turns(scope) == ["b 1"]
    assert attached.recording.unrecorded == 0
    with pytest.raises(errors.InvalidQuery, match="forgotten"):
        attached.task.outcome(1.0)
