"""Hierarchical memory for AutoGen: teams that are recorded, agents that remember."""

from autogen_stepwell.bridges import language_model_of
from autogen_stepwell.context import (
    StepwellChatCompletionContext,
    StepwellChatCompletionContextConfig,
)
from autogen_stepwell.memory import StepwellMemory, StepwellMemoryConfig
from autogen_stepwell.recorder import Recording, TeamRecorder
from autogen_stepwell.recording import Attached, StepwellRuntime, attach, observe

__all__ = [
    "Attached",
    "Recording",
    "StepwellChatCompletionContext",
    "StepwellChatCompletionContextConfig",
    "StepwellMemory",
    "StepwellMemoryConfig",
    "StepwellRuntime",
    "TeamRecorder",
    "attach",
    "language_model_of",
    "observe",
]
