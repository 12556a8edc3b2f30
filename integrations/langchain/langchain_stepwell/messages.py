"""LangChain's messages as turns, and turns as the messages they were."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    BaseMessageChunk,
    ChatMessage,
    RemoveMessage,
    message_chunk_to_message,
    messages_from_dict,
)

from stepwell import Record, Turn

#: Where a turn's payload holds what its text does not tell of the message.
_KEPT: Final = "langchain"
#: A message without a word of text is stored as this.
_EMPTY: Final = "[empty]"
#: Characters of a message's data that fit a payload; of one value, where they do not.
_FITS: Final = 250_000
_CUT: Final = 1_000
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
    message: BaseMessage, *, session: str | None = None, name: str | None = None,
    at: datetime | None = None, without: Collection[str] = (), whole: bool = False,
) -> Turn | None:  # fmt: skip
    """What a message says, as a turn with `name` as its id; None for one that says nothing.

    Its text is the message's, a line for each tool call, and a caption in place of each image and
    the like. Calls to tools named in `without` are left out, and so is what those tools answer.
    With `whole` the turn holds all that `to_message` needs, and a message that says nothing is a
    turn, too.
    """
    if isinstance(message, RemoveMessage):
        return None
    if isinstance(message, BaseMessageChunk):
        message = message_chunk_to_message(message)
    role = message.role if isinstance(message, ChatMessage) else _ROLES.get(message.type)
    if role == "tool" and message.name in without:
        return None
    text = said(message, without) or (_EMPTY if whole else "")
    if not text:
        return None
    return Turn(
        text=text, id=name, role=role or None, actor=message.name or None,
        session=session, at=at, payload={_KEPT: _data(message, text)} if whole else {},
    )  # fmt: skip


def to_message(record: Record) -> BaseMessage | None:
    """The message that a turn was made of; None for a turn that was not made `whole` of one.

    Its content is the record's text where that was all of it, so a revised turn shows what it says
    now.
    """
    kept = record.payload.get(_KEPT)
    if not isinstance(kept, dict):
        return None
    data = {"content": record.text, **_mapping(kept.get("data"))}
    made: BaseMessage = messages_from_dict([{"type": kept.get("type"), "data": data}])[0]
    return made


def _data(message: BaseMessage, text: str) -> dict[str, Any]:
    """What is needed beside the text to make the message again, as JSON."""
    data = message.model_dump(exclude_defaults=True)
    data.pop("type", None)
    if message.content == text:
        data.pop("content", None)
    else:
        data["content"] = message.content
    plain = json.dumps(data, ensure_ascii=False, default=str)
    if len(plain) > _FITS:
        plain = json.dumps(_cut(json.loads(plain)), ensure_ascii=False)
    return {"type": message.type, "data": json.loads(plain)}


def _cut(value: Any) -> Any:
    """The same without its longest texts: images belong into a store of images."""
    if isinstance(value, str):
        left = len(value) - _CUT
        return value if left <= 0 else f"{value[:_CUT]}… [{left} characters left out]"
    if isinstance(value, dict):
        return {key: _cut(each) for key, each in value.items()}
    return [_cut(each) for each in value] if isinstance(value, list) else value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


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
