"""Hierarchical memory for LangChain and LangGraph: one line of an existing app.

`StepwellClassicMemory`, for chains from before LangChain 1.0, needs the extra `classic`.
"""

from typing import Any

from langchain_stepwell.bridges import embedder_of, language_model_of
from langchain_stepwell.history import StepwellChatMessageHistory
from langchain_stepwell.middleware import StepwellMiddleware
from langchain_stepwell.retriever import StepwellRetriever
from langchain_stepwell.store import StepwellStore, stepwell_store
from langchain_stepwell.tools import StepwellForgetTool, StepwellRecallTool, StepwellRememberTool

__all__ = [
    "StepwellChatMessageHistory",
    "StepwellClassicMemory",
    "StepwellForgetTool",
    "StepwellMiddleware",
    "StepwellRecallTool",
    "StepwellRememberTool",
    "StepwellRetriever",
    "StepwellStore",
    "embedder_of",
    "language_model_of",
    "stepwell_store",
]


def __getattr__(name: str) -> Any:
    if name == "StepwellClassicMemory":
        from langchain_stepwell.classic import StepwellClassicMemory  # noqa: PLC0415 - an extra

        return StepwellClassicMemory
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
