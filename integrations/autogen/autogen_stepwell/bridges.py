"""AutoGen's model clients as the language model of a memory."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from typing import Any

from autogen_core.models import ChatCompletionClient, LLMMessage, UserMessage

from stepwell import LanguageModel

#: Who asks.
_SOURCE = "stepwell"


class _Loop:
    """One event loop in a thread of its own, made when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def running(self) -> asyncio.AbstractEventLoop:
        """The loop."""
        with self._lock:
            if self._loop is None or self._loop.is_closed():
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=self._loop.run_forever, name="stepwell-model", daemon=True
                ).start()
            return self._loop


class _LanguageModel:
    """A client as a LanguageModel. All its calls are made on one loop, whoever asks."""

    def __init__(
        self, client: ChatCompletionClient, name: str, seconds: float | None,
        options: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self._client = client
        self._seconds = seconds
        self._options = dict(options)
        self._loop = _Loop()
        self.name = name

    def generate(self, prompt: str, *, schema: Mapping[str, Any] | None = None) -> str:
        """The model's answer. Raises what the client raises, and TimeoutError."""
        asked = asyncio.run_coroutine_threadsafe(self._asked(prompt, schema), self._loop.running())
        return asked.result()

    async def _asked(self, prompt: str, schema: Mapping[str, Any] | None) -> str:
        messages: list[LLMMessage] = [UserMessage(content=prompt, source=_SOURCE)]
        options = dict(self._options)
        if schema is not None and self._client.model_info.get("json_output"):
            options.setdefault("json_output", True)
        async with asyncio.timeout(self._seconds):
            answer = await self._client.create(messages, **options)
        content = answer.content
        if isinstance(content, str):
            return content
        return json.dumps([call.arguments for call in content], ensure_ascii=False)


def language_model_of(
    client: ChatCompletionClient, *, name: str | None = None, timeout: float | None = 60.0,
    **options: Any,
) -> LanguageModel:  # fmt: skip
    """Any model client as the language model of a memory.

        Memory.open("team.db", language_model=language_model_of(OpenAIChatCompletionClient(...)))

    A client of AutoGen's is asynchronous, a memory's model is not: the client is called on a loop
    of its own, so give it one that no team uses at the same time. `timeout` is in seconds a call;
    `options` go to the client's `create`.
    """
    named = name or str(client.model_info.get("family") or type(client).__name__)
    return _LanguageModel(client, f"autogen:{named}", timeout, options)
