"""LlamaIndex's messages as turns, and turns as the messages they were."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from llama_index.core.base.llms.types import ChatMessage, MessageRole

from stepwell import Record, Turn
from stepwell.adapting import TEXT, cut, fitting, plain, usable, usable_name

#: Where everything that goes wrong is logged.
LOGGER: Final = "llama_index.memory.stepwell"
#: Where a turn's payload holds what its text does not tell of the message.
_KEPT: Final = "llama_index"
#: A message without a word of text is stored as this.
_EMPTY: Final = "[empty]"
_ROLES: Final = {
    "user": "user",
    "assistant": "assistant",
    "chatbot": "assistant",
    "model": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}


def to_turn(
    message: ChatMessage, *, session: str | None = None, name: str | None = None,
    at: datetime | None = None,
) -> Turn:  # fmt: skip
    """What a message says, as a turn with `name` as its id, and all that `to_message` needs.

    Its text is the message's, a line for each tool call, and a caption in place of each image and
    the like.
    """
    text = usable(said(message))[:TEXT] or _EMPTY
    speaker = message.additional_kwargs.get("name")
    return Turn(
        text=text, id=name, role=_ROLES.get(message.role.value), session=session, at=at,
        actor=usable_name(speaker) if isinstance(speaker, str) else None,
        payload={_KEPT: _data(message, text)},
    )  # fmt: skip


def to_message(record: Record) -> ChatMessage | None:
    """The message that a turn was made of; None for a turn that was made of none.

    Its content is the record's text where that was all of it, so a revised turn shows what it says
    now.
    """
    kept = record.payload.get(_KEPT)
    if not isinstance(kept, dict):
        return None
    data = {"blocks": [{"block_type": "text", "text": record.text}], **kept}
    try:
        return ChatMessage.model_validate(data)
    except (TypeError, ValueError):
        return ChatMessage(role=MessageRole(record.role or "user"), content=record.text)


def said(message: ChatMessage) -> str:
    """The text of a message, whatever it is made of; empty where it says nothing."""
    lines = [_block(block) for block in message.blocks]
    calls = message.additional_kwargs.get("tool_calls")
    if isinstance(calls, (list, tuple)) and not any(map(_is_call, message.blocks)):
        lines += _calls(calls)
    return "\n".join(line for line in lines if line.strip())


def _block(block: Any) -> str:
    kind = str(getattr(block, "block_type", "data"))
    if _is_call(block):
        return _call(block.tool_name, block.tool_kwargs)
    if kind in {"text", "citable"} and isinstance(getattr(block, "text", None), str):
        return str(block.text)
    # What a model thinks is not said, and where a prompt may be cached is nothing.
    return "" if kind in {"thinking", "cache"} else f"[{kind}]"


def _is_call(block: Any) -> bool:
    return getattr(block, "block_type", None) == "tool_call"


def _calls(calls: Iterable[Any]) -> list[str]:
    """A line for each call, as OpenAI's clients and others keep them beside the message."""
    made = []
    for call in calls:
        told = call if isinstance(call, Mapping) else getattr(call, "__dict__", {})
        inner = told.get("function", told)
        inner = inner if isinstance(inner, Mapping) else getattr(inner, "__dict__", {})
        name = inner.get("name") or inner.get("tool_name") or "tool"
        made.append(_call(name, inner.get("arguments", inner.get("tool_kwargs", {}))))
    return made


def _call(name: object, args: object) -> str:
    told = args if isinstance(args, str) else json.dumps(args, ensure_ascii=False, default=str)
    return f"{name}({told})"


def _data(message: ChatMessage, text: str) -> dict[str, Any]:
    try:
        data = message.model_dump(mode="json")
    except ValueError:  # of what somebody put into additional_kwargs
        data = message.model_dump()
    told: dict[str, Any] = plain(data)
    held = {key: value for key, value in told.items() if value or key == "blocks"}
    blocks = held.get("blocks")
    if blocks and len(blocks) == 1 and _only_text(blocks[0]) == text:
        del held["blocks"]
    return fitting(held, (_shorter, _bare))


def _only_text(block: dict[str, Any]) -> object:
    return block.get("text") if block.get("block_type") == "text" else None


def _shorter(data: dict[str, Any]) -> dict[str, Any]:
    """The same with captions in place of pictures, and without the longest values."""
    blocks = [
        block if block.get("block_type") in {"text", "tool_call"} else
        {"block_type": "text", "text": f"[{block.get('block_type')}]"}
        for block in data.get("blocks", [])
    ]  # fmt: skip
    made = {key: cut(value) for key, value in data.items() if key != "blocks"}
    return {**made, "blocks": blocks} if blocks else made


def _bare(data: dict[str, Any]) -> dict[str, Any]:
    """Nothing but the role: the turn's text says the rest."""
    return {"role": data.get("role", "user")}
