"""Message lists of LangChain and LangGraph, as `messages_to_dict`, `dumpd` and others tell them.

A file is one list, or one list or message a line. Messages that have no id get one from what they
say and how often it was said before in their session, so that a list that has grown, or lost its
beginning, is known again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from stepwell.transfer.importers.fields import (
    attachment,
    digest,
    fields,
    joined,
    list_of,
    mapping_of,
    named,
    provenance,
    text_of,
)  # fmt: skip

_ROLES = {
    "human": "user", "ai": "assistant", "AIMessageChunk": "assistant", "user": "user",
    "assistant": "assistant", "system": "system", "developer": "system", "tool": "tool",
    "function": "function", "HumanMessage": "user", "AIMessage": "assistant",
    "SystemMessage": "system", "ToolMessage": "tool", "FunctionMessage": "function",
}  # fmt: skip
_SESSIONS = ("session_id", "SessionId", "thread_id", "conversation_id")


class LangChain:
    """See the module."""

    def __init__(self, stem: str) -> None:
        self.left_out: dict[str, int] = {}
        self._stem = stem
        self._seen: Counter[str] = Counter()
        self._places: Counter[int] = Counter()

    @staticmethod
    def knows(value: Any) -> bool:
        """A message, a list of them, or an object that holds one."""
        if isinstance(value, list):
            return bool(value) and LangChain.knows(value[0])
        held = mapping_of(value)
        for name in ("messages", "History"):
            if isinstance(held.get(name), list):
                return not held[name] or LangChain.knows(held[name][0])
        return _parts(value) is not None

    def turns(self, number: int, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """The messages of a value."""
        yield from self._messages(number, value, None)

    def _messages(
        self, number: int, value: Any, session: str | None
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        held = mapping_of(value)
        session = session or next((text_of(held[n]) for n in _SESSIONS if held.get(n)), None)
        inner = value if isinstance(value, list) else held.get("messages", held.get("History"))
        if isinstance(inner, list):
            for each in inner:
                if isinstance(each, list) or "messages" in mapping_of(each):
                    self.left_out["nested"] = self.left_out.get("nested", 0) + 1
                else:
                    yield from self._messages(number, each, session)
            return
        self._places[number] += 1
        place = f"message {self._places[number]}"
        parts = _parts(value)
        if parts is None:
            yield place, {}
            return
        kind, data = parts
        said, shown = _content(data.get("content"))
        calls = list_of(data.get("tool_calls"))
        if not said and not shown and not calls:
            return
        name = session or (self._stem if number == 0 else f"{self._stem}-{number + 1}")
        role = _ROLES.get(kind) or text_of(data.get("role")) or kind
        key = text_of(data.get("id"))
        if not key:
            made = digest(name, role, said, json.dumps(calls, sort_keys=True, default=str))
            self._seen[made] += 1
            key = f"{made}-{self._seen[made]}"
        yield (
            place,
            fields(
                id=named("langchain", name, key), role=role, actor=text_of(data.get("name")),
                session=name, at=data.get("created_at") or data.get("timestamp"),
                attachments=shown,
                action=json.dumps(
                    [{"name": mapping_of(c).get("name"), "args": mapping_of(c).get("args")}
                     for c in calls], ensure_ascii=False
                ) if calls else None,
                payload=provenance(
                    "langchain", message=text_of(data.get("id")),
                    tool_call=text_of(data.get("tool_call_id")),
                ),
            ) | {"text": said},
        )  # fmt: skip


def _parts(value: Any) -> tuple[str, Any] | None:
    """The kind of a message and its fields; None for what is no message."""
    held = mapping_of(value)
    kind = text_of(held.get("type"))
    if kind == "constructor" and isinstance(held.get("kwargs"), dict):
        path = list_of(held.get("id"))
        return (text_of(path[-1]) if path else ""), held["kwargs"]
    if kind and isinstance(held.get("data"), dict):
        return kind, held["data"]
    role = text_of(held.get("role"))
    if (kind or role) and "content" in held:
        return kind or role, held
    return None


def _content(content: Any) -> tuple[str, list[dict[str, str]]]:
    texts = [text_of(content)]
    shown: list[dict[str, str] | None] = []
    for block in list_of(content):
        held = mapping_of(block)
        texts.append(text_of(block) or text_of(held.get("text")))
        image = held.get("image_url")
        shown.append(attachment(image if isinstance(image, str) else mapping_of(image).get("url")))
        shown.append(attachment(held.get("url") or held.get("file_id")))
    return joined(texts), [each for each in shown if each is not None]
