"""The model of these examples: a real one by an environment variable, else one that only reads.

    STEPWELL_EXAMPLE_MODEL='{"provider": "OpenAIChatCompletionClient", "config": {"model": "gpt-5-mini"}}' \\
        python examples/run.py autogen pair

needs `pip install "autogen-ext[openai]"` and its key; any component that is a client will do.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

from autogen_core.models import ChatCompletionClient, CreateResult, RequestUsage
from autogen_ext.models.replay import ReplayChatCompletionClient


class Reader(ReplayChatCompletionClient):
    """Knows nothing but its prompt: answers a question with the line there that is most like it."""

    component_provider_override = "model.Reader"

    async def create(self, messages: Any, **_: Any) -> CreateResult:
        told = [line for m in messages for line in str(m.content).splitlines() if line.strip()]
        # Not asked by a colleague: what the user wants is the last that is a question.
        question = next((line for line in reversed(told) if line.rstrip().endswith("?")), "")
        asked = stems(question)

        def likeness(line: str) -> int:
            return 0 if "?" in line or "I read:" in line else len(asked & stems(line))

        answer = "Good to know."
        if question:
            best = max(told, key=likeness, default="")
            answer = f"I read: {best}" if likeness(best) > 1 else "I do not know."
        usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
        return CreateResult(finish_reason="stop", content=answer, usage=usage, cached=False)


def stems(line: str) -> set[str]:
    """The beginnings of a line's words."""
    return {word.lower() for word in re.findall(r"\b\w{3,4}", line)}


def chat_client() -> ChatCompletionClient:
    """The client that the environment names, else one that reads."""
    named = os.environ.get("STEPWELL_EXAMPLE_MODEL")
    return ChatCompletionClient.load_component(json.loads(named)) if named else Reader([])
