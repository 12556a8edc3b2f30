"""Hierarchical memory for LLM agents: one SQLite file, levels, plugins; no server, no network.

from stepwell import Memory

with Memory.open("team.db") as memory:
    alice = memory.scope("acme", "alice")
    alice.remember("I moved to Oslo in May.", actor="Alice", session="s1")
    print(alice.recall("Where does Alice live?")[0].record.text)
"""

from __future__ import annotations

from stepwell.aio import AsyncMemory, AsyncScope
from stepwell.contracts import Candidates, Packing, Plan, Query, Rejected, Skip, View
from stepwell.filters import Filter
from stepwell.hookspecs import hookimpl
from stepwell.memory import Memory, Scope
from stepwell.models import (
    Attachment,
    Context,
    Document,
    Edge,
    EdgeKind,
    ErasureReceipt,
    Explanation,
    Hit,
    Key,
    Kind,
    Level,
    Node,
    Origin,
    Recall,
    Receipt,
    Record,
    Report,
    Slot,
    Status,
    Turn,
)  # fmt: skip
from stepwell.plugins import Preset

__version__ = "0.1.0"

__all__ = [
    "AsyncMemory", "AsyncScope", "Attachment", "Candidates", "Context", "Document", "Edge",
    "EdgeKind", "ErasureReceipt", "Explanation", "Filter", "Hit", "Key", "Kind", "Level", "Memory",
    "Node", "Origin", "Packing", "Plan", "Preset", "Query", "Recall", "Receipt", "Record",
    "Rejected", "Report", "Scope", "Skip", "Slot", "Status", "Turn", "View", "__version__",
    "hookimpl",
]  # fmt: skip
