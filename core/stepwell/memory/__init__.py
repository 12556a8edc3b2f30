"""Memory and Scope: the verbs."""

from __future__ import annotations

from stepwell.memory.documents import Documents
from stepwell.memory.face import Memory
from stepwell.memory.past import Past
from stepwell.memory.scope import Scope
from stepwell.memory.tasks import Task

__all__ = ["Documents", "Memory", "Past", "Scope", "Task"]
