"""An LLM that answers from a script and keeps what it was sent; a memory that is closed."""

from __future__ import annotations

from contextlib import asynccontextmanager

from llama_index.core.base.llms.types import ChatMessage, LLMMetadata
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.memory import Memory
from sqlalchemy.ext.asyncio import create_async_engine


@asynccontextmanager
async def llamaindex_memory(**settings):
    """LlamaIndex's own, which leaves its database open for the garbage collector; not here."""
    engine = create_async_engine("sqlite+aiosqlite:///:memory:")
    try:
        yield Memory.from_defaults(async_engine=engine, **settings)
    finally:
        await engine.dispose()


class Chatting(MockFunctionCallingLLM):
    """LlamaIndex's own, as a model that is talked to in every version of it."""

    @property
    def metadata(self):
        return LLMMetadata(is_function_calling_model=True, is_chat_model=True)


class Scripted:
    """Answers with `answers` in their order, then with "I see."."""

    def __init__(self, *answers):
        self.sent = []
        self.answers = list(answers)

        def answer(messages, **_):
            self.sent.append([(m.role.value, m.content) for m in messages])
            given = self.answers.pop(0) if self.answers else "I see."
            if isinstance(given, ChatMessage):
                return given
            return ChatMessage(role="assistant", content=given)

        self.llm = Chatting(response_generator=answer)

    @property
    def texts(self):
        """What it was sent, a text each time."""
        return ["\n".join(str(content) for _, content in sent) for sent in self.sent]
