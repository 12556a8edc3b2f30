"""A run that is paused, cancelled, stopped or broken off is recorded as far as it went."""

from __future__ import annotations

import asyncio

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import Response
from autogen_agentchat.conditions import ExternalTermination
from autogen_agentchat.messages import TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import CancellationToken
from scripted_autogen import agent, answers, turns

from autogen_stepwell import attach
from stepwell import Filter, Memory


@pytest.fixture
def scope():
    with Memory.open(":memory:", embedder=None) as memory:
        yield memory.scope("team")


def edges(scope):
    """Who said what, and what that answers."""
    found = scope.records(Filter(level=0))
    texts = {record.turn: record.text for record in found}
    return [(r.actor, r.text, [texts[name] for name in r.upstream]) for r in found]


class Waiting(AssistantAgent):
    """Says what it has to say when it may."""

    def __init__(self, name, gate, begun=None):
        super().__init__(name, answers(*[f"{name} {n}" for n in range(4)]))
        self.gate, self.begun = gate, begun or asyncio.Event()

    async def on_messages_stream(self, messages, cancellation_token):
        self.begun.set()
        await self.gate.wait()
        async for each in super().on_messages_stream(messages, cancellation_token):
            yield each

    async def on_pause(self, cancellation_token):
        self.gate.clear()

    async def on_resume(self, cancellation_token):
        self.gate.set()


async def test_paused_and_resumed_it_is_one_run(scope):
    gate = asyncio.Event()
    slow = Waiting("b", gate)
    team = RoundRobinGroupChat([agent("a"), slow], max_turns=2)
    with attach(team, scope):
        running = asyncio.create_task(team.run(task="Go."))
        await slow.begun.wait()
        await team.pause()
        await team.resume()
        await running
    assert edges(scope)[1:] == [("a", "a 0", ["Go."]), ("b", "b 0", ["Go.", "a 0"])]


async def test_cancelled_what_was_said_until_then_is_there_and_read_later(scope):
    gate = asyncio.Event()
    slow = Waiting("b", gate)
    team = RoundRobinGroupChat([agent("a"), slow], max_turns=2)
    token = CancellationToken()
    with attach(team, scope) as attached:
        running = asyncio.create_task(team.run(task="Go.", cancellation_token=token))
        await slow.begun.wait()
        token.cancel()
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert edges(scope)[:2] == [("user", "Go.", []), ("a", "a 0", ["Go."])]
    assert attached.recording.unrecorded == 0


async def test_stopped_from_outside_it_is_recorded(scope):
    stop = ExternalTermination()

    class Stopping(AssistantAgent):
        async def on_messages(self, messages, cancellation_token):
            stop.set()
            return Response(chat_message=TextMessage(content="Enough.", source=self.name))

        async def on_messages_stream(self, messages, cancellation_token):
            yield await self.on_messages(messages, cancellation_token)

    team = RoundRobinGroupChat([agent("a"), Stopping("b", answers())], termination_condition=stop)
    with attach(team, scope):
        await team.run(task="Go.")
    assert turns(scope) == ["Go.", "a 0", "Enough."]


async def test_an_agent_that_raises_raises_and_what_it_was_sent_is_answered_later(scope):
    broken = AssistantAgent("b", answers())
    team = RoundRobinGroupChat([agent("a"), broken], max_turns=2)
    with attach(team, scope):
        with pytest.raises(RuntimeError, match="No more mock responses"):
            await team.run(task="Go.")
        assert turns(scope) == ["Go.", "a 0"]  # there when the run has failed
