"""The model of these examples: a real one by an environment variable, else one that only reads.

    STEPWELL_EXAMPLE_MODEL=openai:gpt-5-mini python examples/run.py langchain agent

needs `pip install langchain-openai` and its key; any name that `init_chat_model` takes will do.
"""

from __future__ import annotations

import os
import re
from typing import Any

from langchain.chat_models import init_chat_model
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult


class Reader(BaseChatModel):
    """Knows nothing but its prompt: answers a question with the line there that is most like it."""

    @property
    def _llm_type(self) -> str:
        return "reader"

    def bind_tools(self, *_: Any, **__: Any) -> Any:
        return self

    def _generate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
        told = "\n".join(message.text for message in messages)
        *lines, question = [line for line in told.removesuffix("AI:").splitlines() if line.strip()]
        asked = stems(question)

        def likeness(line: str) -> int:
            return 0 if "?" in line else len(asked & stems(line))

        answer = "Good to know."
        if question.rstrip().endswith("?"):
            best = max(lines, key=likeness, default="")
            answer = f"I read: {best}" if likeness(best) > 1 else "I do not know."
        return ChatResult(generations=[ChatGeneration(message=AIMessage(answer))])


def stems(line: str) -> set[str]:
    """The beginnings of a line's words."""
    return {word.lower() for word in re.findall(r"\b\w{3,4}", line)}


def chat_model() -> BaseChatModel:
    """The model that the environment names, else one that reads."""
    named = os.environ.get("STEPWELL_EXAMPLE_MODEL")
    return init_chat_model(named) if named else Reader()


def embeddings() -> DeterministicFakeEmbedding:
    """Vectors that mean nothing: enough to show where a vector store would stand."""
    return DeterministicFakeEmbedding(size=64)
