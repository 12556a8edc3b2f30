"""What MemPalace exports: drawers, one a line, in a folder for each wing with a file for each room.

A list of drawers in one JSON file is read, too. A drawer that was changed since the last import is
a turn of its own beside the former one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stepwell.transfer.importers.fields import (
    fields,
    list_of,
    mapping_of,
    named,
    provenance,
    text_of,
    versioned,
)  # fmt: skip

_TIMES = ("date", "created_at", "filed_at")


class MemPalace:
    """See the module."""

    def __init__(self, stem: str) -> None:
        self.left_out: dict[str, int] = {}
        self._stem = stem

    @staticmethod
    def knows(value: Any) -> bool:
        """A drawer has a document, or a wing and a content."""
        held = mapping_of(value)
        inner = list_of(held.get("drawers"))
        if inner:
            return MemPalace.knows(inner[0])
        if isinstance(held.get("document"), str) and "id" in held:
            return True
        return "wing" in held and bool(_text(held))

    def turns(self, number: int, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """The drawers of a value, which may be one."""
        del number
        held = mapping_of(value)
        for place, each in enumerate(list_of(held.get("drawers")) or [held], 1):
            one = mapping_of(each)
            told = {**one, **mapping_of(one.get("metadata"))}
            text, name = _text(one), text_of(one.get("id"))
            if not text or not name:
                yield f"drawer {place}", {}
                continue
            wing, room = text_of(told.get("wing")), text_of(told.get("room"))
            when = next((told[key] for key in _TIMES if told.get(key)), None)
            yield (
                f"drawer {place}",
                fields(
                    id=versioned("mempalace", name, text), text=text, at=when,
                    session=named("mempalace", wing, room) if wing or room else None,
                    payload=provenance(
                        "mempalace", drawer=name, wing=wing, room=room,
                        hall=text_of(told.get("hall")), source=text_of(told.get("source_file")),
                        added_by=text_of(told.get("added_by")), metadata=one.get("metadata"),
                    ),
                ),
            )  # fmt: skip


def _text(drawer: Any) -> str:
    texts = (text_of(drawer.get(name)) for name in ("document", "content", "text"))
    return next((text for text in texts if text), "")
