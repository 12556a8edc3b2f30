"""Claude's data export: `conversations.json`, or the archive that it comes in.

Where messages name their parents and a conversation branches, the branch that ends at its current,
or else its last, message is imported, and the others are counted as left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from stepwell.transfer.importers.fields import (
    attachment,
    fields,
    joined,
    list_of,
    mapping_of,
    named,
    provenance,
    text_of,
)  # fmt: skip

_ROLES = {"human": "user"}


class Claude:
    """See the module."""

    def __init__(self, stem: str) -> None:
        self.left_out: dict[str, int] = {}
        self._stem = stem

    @staticmethod
    def knows(value: Any) -> bool:
        """A conversation has chat messages."""
        return isinstance(value, dict) and isinstance(value.get("chat_messages"), list)

    def turns(self, number: int, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """The messages of a conversation, first to last."""
        del number
        messages = [mapping_of(m) for m in list_of(value.get("chat_messages"))]
        name = text_of(value.get("uuid")) or self._stem
        branch = _branch(messages, value.get("current_leaf_message_uuid"))
        if len(branch) < len(messages):
            others = self.left_out.get("other_branches", 0)
            self.left_out["other_branches"] = others + len(messages) - len(branch)
        for place, message in enumerate(branch, 1):
            said = _said(message)
            if not any(said.values()):
                continue
            sender = text_of(message.get("sender"))
            key = text_of(message.get("uuid")) or str(place)
            yield (
                f"message {place}",
                fields(
                    id=named("claude", name, key), role=_ROLES.get(sender, sender),
                    session=named("claude", name), at=message.get("created_at"),
                    payload=provenance(
                        "claude", conversation=name, message=key, title=text_of(value.get("name")),
                    ),
                    **said,
                ) | {"text": said["text"]},
            )  # fmt: skip


def _branch(messages: list[Any], leaf: Any) -> list[Any]:
    by_name = {text_of(m.get("uuid")): m for m in messages if text_of(m.get("uuid"))}
    parents = [text_of(m.get("parent_message_uuid")) for m in messages]
    known = [parent for parent in parents if parent]
    if not isinstance(leaf, str) or leaf not in by_name:
        if len(set(known)) == len(known) or len(by_name) < len(messages):
            return messages  # it never branches, or cannot be followed
        leaf = text_of(messages[-1].get("uuid"))
    walked: dict[str, None] = {}
    here = leaf
    while here in by_name and here not in walked:
        walked[here] = None
        here = text_of(by_name[here].get("parent_message_uuid"))
    return [by_name[key] for key in reversed(walked)]


def _said(message: Any) -> dict[str, Any]:
    """Text, tools called and what they gave, and references to files."""
    texts: list[str] = []
    calls: list[str] = []
    answers: list[str] = []
    for block in map(mapping_of, list_of(message.get("content"))):
        kind = block.get("type")
        if kind == "text":
            texts.append(text_of(block.get("text")))
        elif kind == "tool_use":
            given = json.dumps(block.get("input"), ensure_ascii=False)
            calls.append(f"{text_of(block.get('name'))} {given}")
        elif kind == "tool_result":
            inner = block.get("content")
            parts = [text_of(mapping_of(part).get("text")) for part in list_of(inner)]
            answers.append(joined([text_of(inner), *parts]))
    files = [
        attachment(
            held.get("file_name") or held.get("id") or "paste", held.get("extracted_content")
        )
        for held in map(mapping_of, list_of(message.get("attachments")))
    ]
    files += [
        attachment(held.get("file_uuid") or held.get("file_name"), held.get("file_name"))
        for held in map(mapping_of, list_of(message.get("files")))
    ]
    return {
        "text": joined(texts) or text_of(message.get("text")),
        "action": joined(calls) or None,
        "observation": joined(answers) or None,
        "attachments": [file for file in files if file is not None],
    }
