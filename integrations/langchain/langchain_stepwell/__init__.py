"""Hierarchical memory for LangChain and LangGraph: one line of an existing app."""

from langchain_stepwell.middleware import StepwellMiddleware
from langchain_stepwell.tools import StepwellForgetTool, StepwellRecallTool, StepwellRememberTool

__all__ = [
    "StepwellForgetTool",
    "StepwellMiddleware",
    "StepwellRecallTool",
    "StepwellRememberTool",
]
