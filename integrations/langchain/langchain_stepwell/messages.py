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
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    message_chunk_to_message,
    messages_from_dict,
)

from stepwell import Record, Turn
from stepwell.adapting import TEXT, cut, fitting, plain, usable, usable_name

#: Where a turn's payload holds what its text does not tell of the message.
_KEPT: Final = "langchain"
#: A message without a word of text is stored as this.
_EMPTY: Final = "[empty]"
#: Characters of a content that always fit a payload.
_SHORT: Final = 100_000
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
    text = usable(said(message, without))[:TEXT] or (_EMPTY if whole else "")
    if not text:
        return None
    return Turn(
        text=text, id=name, role=usable_name(role), actor=usable_name(message.name),
        session=session, at=at, payload={_KEPT: _kept(message, text)} if whole else {},
    )  # fmt: skip


def to_message(record: Record) -> BaseMessage | None:
    """The message that a turn was made of; None for a turn that was not made `whole` of one.

    Its content is the record's text where that was all of it, so a revised turn shows what it says
    now. What cannot be made again, because its class is not known here, is a plain message.
    """
    kept = record.payload.get(_KEPT)
    if not isinstance(kept, dict):
        return None
    told = kept.get("data")
    data = told if isinstance(told, dict) else {}
    try:
        made: BaseMessage = messages_from_dict(
            [{"type": kept.get("type"), "data": {"content": record.text, **data}}]
        )[0]
    except (AttributeError, KeyError, TypeError, ValueError):
        return _as_said(record)
    revised = record.version > 1 and usable(said(made))[:TEXT] != record.text
    if revised or "content" not in data:
        return made.model_copy(update={"content": _spoken(made, record.text)})
    return made


def _as_said(record: Record) -> BaseMessage:
    """What a turn says, as a message of its role."""
    if record.role == "user":
        return HumanMessage(record.text, name=record.actor)
    if record.role == "assistant":
        return AIMessage(record.text, name=record.actor)
    if record.role == "system":
        return SystemMessage(record.text, name=record.actor)
    return ChatMessage(content=record.text, role=record.role or "unknown", name=record.actor)


def _spoken(message: BaseMessage, text: str) -> str:
    """A turn's text without the lines that stand for the message's calls."""
    if not isinstance(message, AIMessage):
        return text
    lines = [*_calls(message.tool_calls, ()), *_calls(message.invalid_tool_calls, ())]
    calls = usable("\n".join(lines))
    if not calls or text == calls:
        return "" if calls else text
    return text.removesuffix("\n" + calls)


def _kept(message: BaseMessage, text: str) -> dict[str, Any]:
    """What is needed beside the text to make the message again, as JSON that a payload holds.

    The larger it is, the less of it: first go pictures and the longest values, then all but what
    ties a tool's call to its result.
    """
    data = message.model_dump(exclude_defaults=True)
    data.pop("type", None)
    held: dict[str, Any] = plain(data)
    if held.get("content") == text:
        del held["content"]
    return {
        "type": usable(message.type),
        "data": fitting(held, (_shorter, _bare)),
    }


def _shorter(data: dict[str, Any]) -> dict[str, Any]:
    """The same with captions in place of pictures, and without the longest values.

    A picture that was cut would be refused by a model: it goes wholly.
    """
    made = {key: cut(each) for key, each in data.items() if key != "content"}
    content = data.get("content")
    if isinstance(content, str) and len(content) <= _SHORT:
        made["content"] = content
    elif isinstance(content, list):
        blocks = [block if isinstance(block, str) else _captioned(block) for block in content]
        made["content"] = [block for block in blocks if block]
    return made


def _captioned(block: dict[str, Any]) -> dict[str, Any]:
    said = _block(block)
    return {"type": "text", "text": said} if said else {}


def _bare(data: dict[str, Any]) -> dict[str, Any]:
    """Nothing but names and calls; of a long content there is the turn's text."""
    kept = {"id", "name", "role", "status", "tool_call_id"}
    made = {key: cut(each) for key, each in data.items() if key in kept}
    content = data.get("content")
    if isinstance(content, str) and len(content) <= _SHORT:
        made["content"] = content
    calls = data.get("tool_calls")
    if isinstance(calls, list):
        made["tool_calls"] = [{**cut(call), "args": {}} for call in calls]
    return made


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
