"""ChatGPT's data export: `conversations.json`, or the archive that it comes in.

A conversation is a tree of messages, since questions can be put anew and answers made again. What
its owner sees is the branch that ends at `current_node`: that one is imported, and the messages of
all others are counted as left out. Messages that are hidden from the owner are left out, too, and
so is what a model thought aside.
"""

from __future__ import annotations

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

_ASIDE = ("thoughts", "reasoning_recap", "user_editable_context", "model_editable_context")


class ChatGPT:
    """See the module."""

    def __init__(self, stem: str) -> None:
        self.left_out: dict[str, int] = {}
        self._stem = stem

    @staticmethod
    def knows(value: Any) -> bool:
        """A conversation has a mapping of nodes."""
        return isinstance(value, dict) and isinstance(value.get("mapping"), dict)

    def turns(self, number: int, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """The messages of a conversation's current branch, first to last."""
        del number
        nodes = mapping_of(value.get("mapping"))
        name = text_of(value.get("conversation_id")) or text_of(value.get("id")) or self._stem
        branch = _branch(nodes, value.get("current_node"))
        on_it = set(branch)
        others = sum(
            1 for key, node in nodes.items()
            if key not in on_it and _message(node) and _shown(_message(node))
        )  # fmt: skip
        if others:
            self.left_out["other_branches"] = self.left_out.get("other_branches", 0) + others
        before: str | None = None
        for place, key in enumerate(branch, 1):
            message = _message(nodes[key])
            if not message or not _shown(message):
                continue
            text, attachments = _content(message)
            if not text and not attachments:
                continue
            said, author = text_of(message.get("id")) or key, mapping_of(message.get("author"))
            told, turn = mapping_of(message.get("metadata")), named("chatgpt", name, said)
            recipient = text_of(message.get("recipient"))
            yield (
                f"message {place}",
                fields(
                    id=turn, text=text or None, role=text_of(author.get("role")),
                    actor=text_of(author.get("name")), session=named("chatgpt", name),
                    at=message.get("create_time"), attachments=attachments,
                    upstream=(before,) if before else (),
                    payload=provenance(
                        "chatgpt", conversation=name, message=said,
                        title=text_of(value.get("title")), model=text_of(told.get("model_slug")),
                        recipient="" if recipient == "all" else recipient,
                    ),
                ) | {"text": text},
            )  # fmt: skip
            before = turn


def _branch(nodes: Any, current: Any) -> list[str]:
    """The nodes from the root to the current one; without that, by the last child each time."""
    if not isinstance(current, str) or current not in nodes:
        roots = [key for key, node in nodes.items() if not mapping_of(node).get("parent")]
        current, seen = (roots[0] if roots else None), set[str]()
        while current is not None and current not in seen:
            seen.add(current)
            children = [
                child for child in list_of(mapping_of(nodes[current]).get("children"))
                if isinstance(child, str) and child in nodes
            ]  # fmt: skip
            current = children[-1] if children else current
    walked: dict[str, None] = {}
    while isinstance(current, str) and current in nodes and current not in walked:
        walked[current] = None
        current = mapping_of(nodes[current]).get("parent")
    return list(walked)[::-1]


def _message(node: Any) -> Any:
    return mapping_of(mapping_of(node).get("message"))


def _shown(message: Any) -> bool:
    hidden = mapping_of(message.get("metadata")).get("is_visually_hidden_from_conversation")
    return not hidden and mapping_of(message.get("content")).get("content_type") not in _ASIDE


def _content(message: Any) -> tuple[str, list[dict[str, str]]]:
    """The text of a message, and references to what it shows."""
    content = mapping_of(message.get("content"))
    texts: list[str] = []
    shown: list[dict[str, str] | None] = []
    for part in list_of(content.get("parts")):
        texts.append(text_of(part) or text_of(mapping_of(part).get("text")))
        shown.append(attachment(mapping_of(part).get("asset_pointer")))
    texts += [text_of(content.get(name)) for name in ("text", "result")]
    for file in list_of(mapping_of(message.get("metadata")).get("attachments")):
        held = mapping_of(file)
        shown.append(attachment(held.get("id") or held.get("name"), held.get("name")))
    return joined(texts), [each for each in shown if each is not None]
