"""Importers: how turns are read out of what other programs export. One file each.

An importer is made for one source. `knows` tells whether a value is of its format; `turns` gives,
for each value, the fields of turns with where they stand in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from stepwell.transfer.importers.chatgpt import ChatGPT
from stepwell.transfer.importers.claude import Claude
from stepwell.transfer.importers.langchain import LangChain
from stepwell.transfer.importers.mem0 import Mem0
from stepwell.transfer.importers.mempalace import MemPalace


class Importer(Protocol):
    """What reads one source. `left_out` counts what was passed over, by what it was."""

    left_out: dict[str, int]

    def __init__(self, stem: str) -> None: ...

    @staticmethod
    def knows(value: Any) -> bool:
        """Whether a value is of this format."""
        ...

    def turns(self, number: int, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """(where it stands in the value, fields of a turn); `number` counts values at the top."""
        ...


#: The importers by the name of their format, in the order in which they are asked.
IMPORTERS: Mapping[str, type[Importer]] = {
    "chatgpt": ChatGPT, "claude": Claude, "mempalace": MemPalace, "mem0": Mem0,
    "langchain": LangChain,
}  # fmt: skip

__all__ = ["IMPORTERS", "Importer"]
