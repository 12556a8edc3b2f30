"""Hierarchical memory for LlamaIndex: one line of an existing app.

`StepwellChatStore` is there where the installed version's Memory takes a `chat_store`.
"""

from inspect import signature
from typing import Any

from llama_index.core.memory import Memory

from llama_index.memory.stepwell.block import StepwellMemoryBlock
from llama_index.memory.stepwell.bridges import embedder_of, language_model_of
from llama_index.memory.stepwell.memory import StepwellMemory
from llama_index.memory.stepwell.retriever import StepwellRetriever

__all__ = [
    "StepwellChatStore",
    "StepwellMemory",
    "StepwellMemoryBlock",
    "StepwellRetriever",
    "embedder_of",
    "language_model_of",
]


def __getattr__(name: str) -> Any:
    if name == "StepwellChatStore":
        if "chat_store" not in signature(Memory.from_defaults).parameters:
            raise ImportError("StepwellChatStore needs llama-index-core 0.14.24 or newer")
        from llama_index.memory.stepwell.chat_store import StepwellChatStore  # noqa: PLC0415 - where it is

        return StepwellChatStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
