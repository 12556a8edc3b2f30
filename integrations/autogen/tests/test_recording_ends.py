"""A recording begins and ends as its host says, on whichever runtime and loop."""

from __future__ import annotations

import asyncio

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import SingleThreadedAgentRuntime
from scripted_autogen import agent, answers, turns

from autogen_stepwell import StepwellRuntime, attach
from stepwell import Filter, Memory


@pytest.fixture
def memory():
    with Memory.open(":memory:", embedder=None) as memory:
        yield memory


@pytest.fixture
def scope(memory):
    return memory.scope("team")


async def test_detached_a_team_is_what_it_was(scope):
    team = RoundRobinGroupChat([agent("a")], max_turns=1)
    before = dict(vars(team._runtime))
    attached = attach(team, scope)
    assert vars(team._runtime) != before
    assert attached.detach().recorded == 0
    assert dict(vars(team._runtime)) == before
    await team.run(task="Go.")
    assert turns(scope) == []


@pytest.mark.parametrize("first", [0, 1])
async def test_two_recordings_of_one_team_end_in_any_order(memory, first):
    team = RoundRobinGroupChat([agent("a")], max_turns=1)
    scopes = [memory.scope("one"), memory.scope("two")]
    attached = [attach(team, scope) for scope in scopes]
    await team.run(task="Go.")
    assert [len(turns(scope)) for scope in scopes] == [2, 2]
    attached[first].detach()
    await team.run(task="On.")
    assert len(turns(scopes[first])) == 2
    assert len(turns(scopes[1 - first])) == 4
    attached[1 - first].detach()
    await team.run(task="And on.")
    assert len(turns(scopes[1 - first])) == 4


async def test_teams_on_one_runtime_are_told_apart(memory):
    runtime = SingleThreadedAgentRuntime()
    runtime.start()
    teams = [
        RoundRobinGroupChat([agent(name)], max_turns=2, runtime=runtime, name=name) for name in "ab"
    ]
    scope = memory.scope("a")
    with attach(teams[0], scope):
        await asyncio.gather(*(team.run(task=f"Go, {team.name}.") for team in teams))
    assert turns(scope) == ["Go, a.", "a 0", "a 1"]
    both, shared = memory.scope("both"), StepwellRuntime(memory.scope("both"))
    teams = [RoundRobinGroupChat([agent(name)], max_turns=2, runtime=shared) for name in "ab"]
    await asyncio.gather(*(team.run(task=f"Go, {n}.") for n, team in zip("ab", teams, strict=True)))
    found = {record.text: record for record in both.records(Filter(level=0))}
    assert found["a 0"].upstream == (found["Go, a."].turn,)
    assert found["b 1"].task == found["Go, b."].turn
    assert found["a 0"].session != found["b 0"].session
    await runtime.stop()
    await shared.stop()


def test_a_runtime_serves_one_loop_after_the_other(scope):
    runtime = StepwellRuntime(scope)
    for n in range(2):  # a team is bound to its loop
        team = RoundRobinGroupChat([agent("a")], max_turns=1, runtime=runtime)
        asyncio.run(asyncio.wait_for(team.run(task=f"Go {n}."), 10))
    assert turns(scope) == ["Go 0.", "a 0", "Go 1.", "a 0"]


@pytest.mark.parametrize("given", ["a team", AssistantAgent("a", answers())])
def test_what_is_no_team_is_refused(scope, given):
    with pytest.raises(TypeError, match="team of autogen_agentchat"):
        attach(given, scope)
