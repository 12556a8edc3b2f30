"""Scripted clients of AutoGen's, and what they were sent."""

from __future__ import annotations

import threading
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, RequestUsage
from autogen_ext.models.replay import ReplayChatCompletionClient

from stepwell import Filter

INFO: Any = {
    "function_calling": True,
    "vision": True,
    "json_output": True,
    "family": "unknown",
    "structured_output": False,
}


class Answers(ReplayChatCompletionClient):
    """Answers in order, and keeps a copy of each prompt."""

    component_provider_override = "scripted_autogen.Answers"

    async def create(self, messages: Any, **rest: Any) -> CreateResult:
        return await super().create(list(messages), **rest)


def answers(*said: str | CreateResult) -> Answers:
    """A client that says this."""
    return Answers(list(said), INFO)


def agent(name: str, times: int = 6, **options: Any) -> AssistantAgent:
    """An agent that says its name and a number."""
    return AssistantAgent(name, answers(*(f"{name} {n}" for n in range(times))), **options)


def call(name: str, arguments: str = "{}") -> CreateResult:
    """An answer that calls a tool."""
    return CreateResult(
        finish_reason="function_calls",
        content=[FunctionCall(id=f"call-{name}", name=name, arguments=arguments)],
        usage=RequestUsage(prompt_tokens=1, completion_tokens=1),
        cached=False,
    )


def sent(model: ReplayChatCompletionClient) -> list[list[Any]]:
    """What a client was sent, call by call."""
    return [each["messages"] for each in model.create_calls]


def texts(model: ReplayChatCompletionClient) -> list[str]:
    """The same, a text each time."""
    return ["\n".join(str(message.content) for message in call) for call in sent(model)]


def turns(scope: Any) -> list[str]:
    """What a scope holds, in its order."""
    return [record.text for record in scope.records(Filter(level=0), limit=100_000)]


def stalled(monkeypatch: Any, scope: Any, *verbs: str) -> threading.Event:
    """Has verbs of a scope wait for the event, half a minute at most."""
    gate = threading.Event()
    for verb in verbs:
        monkeypatch.setattr(type(scope), verb, lambda *_, **__: gate.wait(30) and None)
    return gate
