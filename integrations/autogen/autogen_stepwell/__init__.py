"""Hierarchical memory for AutoGen: teams that are recorded, agents that remember."""

from autogen_stepwell.recorder import Recording, TeamRecorder
from autogen_stepwell.recording import Attached, StepwellRuntime, attach, observe

__all__ = [
    "Attached",
    "Recording",
    "StepwellRuntime",
    "TeamRecorder",
    "attach",
    "observe",
]
