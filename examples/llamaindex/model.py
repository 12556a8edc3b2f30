"""The model of these examples: a real one by an environment variable, else one that only reads.

    STEPWELL_EXAMPLE_MODEL=gpt-5-mini python examples/run.py llamaindex agent

needs `pip install llama-index-llms-openai` and its key.
"""

from __future__ import annotations

import os
import re

from llama_index.core.llms import ChatMessage, LLMMetadata
from llama_index.core.llms.mock import MockFunctionCallingLLM


def read(messages, **_):
    """Knows nothing but its prompt: answers a question with the line there that is most like it."""
    told = "\n".join(message.content or "" for message in messages)
    *lines, question = [line for line in told.splitlines() if line.strip()] or [""]
    asked = stems(question)

    def likeness(line: str) -> int:
        return 0 if "?" in line else len(asked & stems(line))

    answer = "Good to know."
    if question.rstrip().endswith("?"):
        best = max(lines, key=likeness, default="")
        answer = f"I read: {best}" if likeness(best) > 1 else "I do not know."
    return ChatMessage(role="assistant", content=answer)


def stems(line: str) -> set[str]:
    """The beginnings of a line's words."""
    return {word.lower() for word in re.findall(r"\b\w{3,4}", line)}


class Reader(MockFunctionCallingLLM):
    """A model that is talked to, and reads."""

    @property
    def metadata(self):
        return LLMMetadata(is_function_calling_model=True, is_chat_model=True)


def llm():
    """The model that the environment names, else one that reads."""
    named = os.environ.get("STEPWELL_EXAMPLE_MODEL")
    if named:
        from llama_index.llms.openai import OpenAI

        return OpenAI(model=named)
    return Reader(response_generator=read)
