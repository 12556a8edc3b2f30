"""A chat model that answers from a script and keeps what it was sent."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, message_to_dict
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field


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
