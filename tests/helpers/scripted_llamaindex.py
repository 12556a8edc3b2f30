"""An LLM that answers from a script and keeps what it was sent."""

from __future__ import annotations

from llama_index.core.base.llms.types import ChatMessage, LLMMetadata
from llama_index.core.llms.mock import MockFunctionCallingLLM


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
