"""LangChain's messages as turns."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, RemoveMessage

from stepwell import Turn

_ROLES: Final = {
    "human": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}


def to_turn(
    message: BaseMessage, *, session: str | None = None, id: str | None = None,  # noqa: A002 - as in Turn
    at: datetime | None = None, without: Collection[str] = (),
) -> Turn | None:  # fmt: skip
    """What a message says, as a turn; None for one that says nothing.

    Its text is the message's, a line for each tool call, and a caption in place of each image and
    the like. Calls to tools named in `without` are left out, and so is what those tools answer.
    """
    if isinstance(message, RemoveMessage):
        return None
    role = message.role if isinstance(message, ChatMessage) else _ROLES.get(message.type)
    if role == "tool" and message.name in without:
        return None
    text = said(message, without)
    if not text:
        return None
    return Turn(text=text, id=id, role=role, actor=message.name or None, session=session, at=at)


def said(message: BaseMessage, without: Collection[str] = ()) -> str:
    """The text of a message, whatever it is made of; empty where it says nothing."""
    lines = [_content(message.content)]
    if isinstance(message, AIMessage):
        lines += _calls(message.tool_calls, without)
        lines += _calls(message.invalid_tool_calls, without)
    return "\n".join(line for line in lines if line.strip())


def _content(content: str | list[str | dict[Any, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(filter(None, (_block(block) for block in content)))


def _block(block: str | Mapping[str, Any]) -> str:
    if isinstance(block, str):
        return block
    kind = str(block.get("type", "data"))
    if isinstance(block.get("text"), str):
        return str(block["text"])
    # A call stands among the message's tool calls; what a model thinks is not said.
    if kind in {"tool_use", "tool_call", "function_call", "thinking", "reasoning"}:
        return ""
    return f"[{kind}]"


def _calls(calls: Iterable[Any], without: Collection[str]) -> list[str]:
    """A line for each call: its name, and its arguments as JSON."""
    made = []
    for call in calls:
        name, args = call.get("name") or "tool", call.get("args")
        if name in without:
            continue
        told = args if isinstance(args, str) else json.dumps(args, ensure_ascii=False, default=str)
        made.append(f"{name}({told})")
    return made
