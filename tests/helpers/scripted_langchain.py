"""A chat model that answers from a script and keeps what it was sent."""

from __future__ import annotations

import asyncio
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, message_to_dict
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import Field

from stepwell import Filter


class Scripted(BaseChatModel):
    """Answers with `answers` in their order, then with `otherwise`."""

    answers: list[Any] = Field(default_factory=list)
    otherwise: str = "I see."
    sent: list[list[BaseMessage]] = Field(default_factory=list)
    offered: list[str] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        self.offered[:] = [tool.name for tool in tools]
        return self

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        self.sent.append(list(messages))
        answer = self.answers.pop(0) if self.answers else self.otherwise
        if isinstance(answer, Exception):
            raise answer
        message = AIMessage(answer) if isinstance(answer, str) else answer.model_copy(deep=True)
        return ChatResult(generations=[ChatGeneration(message=message)])

    @property
    def inputs(self) -> list[list[dict[str, Any]]]:
        """Everything it was sent, without the ids that differ from run to run."""
        told = []
        for messages in self.sent:
            plain = [message_to_dict(message) for message in messages]
            for message in plain:
                message["data"].pop("id", None)
            told.append(plain)
        return told

    @property
    def texts(self) -> list[str]:
        """What it was sent, a text each time."""
        return ["\n".join(str(message.content) for message in messages) for messages in self.sent]


def call(name: str, **args: Any) -> AIMessage:
    """An answer that calls a tool."""
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": f"call-{name}"}])


# an agent with a middleware -----------------------------------------------------------------------

TURNS = Filter(level=0)


@tool
def weather(place: str) -> str:
    """The weather in a place."""
    return f"It rains in {place}."


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
