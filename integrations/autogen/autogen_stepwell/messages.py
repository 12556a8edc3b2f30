"""AutoGen's messages as what a turn holds: texts, references to images, calls of tools."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    CodeExecutionEvent,
    HandoffMessage,
    MultiModalMessage,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
)
from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

from stepwell import Attachment
from stepwell.adapting import TEXT, usable, usable_name

#: A message without a word of text is stored as this.
EMPTY: Final = "[empty]"
#: Characters of what a tool was asked or gave that are kept.
_TOOL: Final = 100_000
_SKIPPED: Final = re.compile(r"Skipped \d+ messages\.")
#: Who says what a memory injects.
SOURCE: Final = "stepwell"
#: Who says what a team is asked to do, unless somebody else is named.
USER: Final = "user"


def text_of(message: BaseChatMessage) -> str:
    """What a message says; `[image]` in place of an image."""
    if isinstance(message, MultiModalMessage):
        return _content(message.content)
    return message.to_model_text()


def attachments_of(message: BaseChatMessage) -> tuple[Attachment, ...]:
    """References to the images of a message: its id, and which part of it."""
    if not isinstance(message, MultiModalMessage):
        return ()
    parts = enumerate(message.content)
    name = usable_name(message.id) or "unnamed"
    return tuple(
        Attachment(ref=f"autogen:message/{name}/{number}")
        for number, part in parts
        if isinstance(part, Image)
    )


def payload_of(message: BaseChatMessage) -> dict[str, Any]:
    """What a message tells beside its text: to whom it hands over."""
    return {"handoff": usable(message.target)} if isinstance(message, HandoffMessage) else {}


def tools_of(inner: Sequence[BaseAgentEvent | BaseChatMessage] | None) -> tuple[str, str]:
    """What an agent did on the way to its answer, and what came back."""
    asked: list[str] = []
    given: list[str] = []
    for event in inner or ():
        if isinstance(event, ToolCallRequestEvent):
            asked += _calls(event.content)
        elif isinstance(event, ToolCallExecutionEvent):
            given += _results(event.content)
        elif isinstance(event, CodeExecutionEvent):
            given.append(event.result.output)
    return usable("\n".join(asked))[:_TOOL], usable("\n".join(given))[:_TOOL]


def said(message: LLMMessage) -> tuple[str | None, str, str]:
    """Role, actor and text of a message in an agent's context; no role for instructions.

    They are the same in the contexts of all agents that see the message: it is the actor, not who
    looks at it, that makes it an answer.
    """
    if isinstance(message, SystemMessage):
        return None, "", ""
    if isinstance(message, UserMessage):
        if message.source == "System" and _SKIPPED.fullmatch(str(message.content)):
            return None, "", ""  # what HeadAndTailChatCompletionContext puts in place of others
        role = "user" if message.source == USER else "assistant"
        return role, usable_name(message.source) or USER, usable(_content(message.content))[:TEXT]
    if isinstance(message, AssistantMessage):
        content = message.content
        text = content if isinstance(content, str) else "\n".join(_calls(content))
        return "assistant", usable_name(message.source) or "assistant", usable(text)[:TEXT]
    names = dict.fromkeys(result.name for result in message.content)
    text = "\n".join(_results(message.content))
    return "tool", usable_name(", ".join(names)) or "tool", usable(text)[:TEXT]


def is_answer(message: LLMMessage) -> bool:
    """Whether an agent or its tools have said it."""
    return isinstance(message, (AssistantMessage, FunctionExecutionResultMessage))


def last_asked(messages: Sequence[LLMMessage]) -> int | None:
    """Where the last message stands that the agent did not say itself."""
    for at in reversed(range(len(messages))):
        message = messages[at]
        if isinstance(message, UserMessage) and message.source != SOURCE:
            return at
    return None


def stored_text(text: str) -> str:
    """A text as a turn holds it."""
    return usable(text)[:TEXT] if text.strip() else EMPTY


def _content(content: str | Sequence[str | Image]) -> str:
    if isinstance(content, str):
        return content
    parts = (part if isinstance(part, str) else "[image]" for part in content)
    return "\n".join(part for part in parts if part.strip())


def _calls(calls: Iterable[FunctionCall]) -> list[str]:
    return [f"{call.name}({_arguments(call.arguments)})" for call in calls]


def _arguments(given: Any) -> str:
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, default=str)


def _results(results: Iterable[FunctionExecutionResult]) -> list[str]:
    return [result.content for result in results if result.content.strip()]
