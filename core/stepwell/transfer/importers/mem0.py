"""What mem0's `get_all` gives, written to JSON: memories with their metadata.

Its memories are what a model has made of a talk, so they are of unknown origin. A memory that was
changed since the last import is a turn of its own beside the former one.
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

_TOLD = (
    "user_id", "agent_id", "app_id", "run_id", "metadata", "categories", "created_at",
    "updated_at",
)  # fmt: skip


class Mem0:
    """See the module."""

    def __init__(self, stem: str) -> None:
        self.left_out: dict[str, int] = {}
        self._stem = stem

    @staticmethod
    def knows(value: Any) -> bool:
        """A memory has an id and a text by the name of `memory`."""
        held = mapping_of(value)
        inner = list_of(held.get("results"))
        if inner:
            return Mem0.knows(inner[0])
        return isinstance(held.get("memory"), str) and isinstance(held.get("id"), str)

    def turns(self, number: int, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """The memories of a value, which may be one."""
        del number
        held = mapping_of(value)
        for place, each in enumerate(list_of(held.get("results")) or [held], 1):
            one = mapping_of(each)
            text, name = text_of(one.get("memory")), text_of(one.get("id"))
            if not text or not name:
                yield f"memory {place}", {}
                continue
            run = text_of(one.get("run_id"))
            yield (
                f"memory {place}",
                fields(
                    id=versioned("mem0", name, text), text=text, role=text_of(one.get("role")),
                    actor=text_of(one.get("actor_id")), session=named("mem0", run) if run else None,
                    at=one.get("updated_at") or one.get("created_at"),
                    payload=provenance(
                        "mem0", memory=name, **{key: one.get(key) for key in _TOLD}
                    ),
                ),
            )  # fmt: skip
