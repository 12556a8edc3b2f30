"""Hierarchical memory for LLM agents: one SQLite file, levels, plugins; no server, no network.

from stepwell import Memory

with Memory.open("team.db") as memory:
    alice = memory.scope("acme", "alice")
    alice.remember("I moved to Oslo in May.", actor="Alice", session="s1")
    print(alice.recall("Where does Alice live?")[0].record.text)
"""

from __future__ import annotations

import logging as _logging

from stepwell import errors
from stepwell.aio import AsyncMemory, AsyncScope
from stepwell.contracts import (
    Block,
    Candidates,
    Clock,
    Embedder,
    Event,
    Index,
    IndexSpec,
    LanguageModel,
    Packing,
    Plan,
    Preset,
    Query,
    Rejected,
    Skip,
    Store,
    View,
)  # fmt: skip
from stepwell.defaults import Bounds, Ranker
from stepwell.filters import Filter
from stepwell.hookspecs import hookimpl
from stepwell.memory import Documents, Memory, Scope, Task
from stepwell.models import (
    Annotation,
    Attachment,
    Context,
    Document,
    DocumentChange,
    Doing,
    Done,
    Edge,
    EdgeKind,
    ErasureReceipt,
    Explanation,
    Fact,
    Hit,
    Interaction,
    Key,
    Kind,
    LeftOut,
    Level,
    Node,
    Origin,
    Parsed,
    Recall,
    Receipt,
    Record,
    Relation,
    Report,
    Slot,
    Sort,
    Stats,
    Status,
    Summary,
    Turn,
    Usage,
    Utterance,
)  # fmt: skip
from stepwell.ops import (
    Add,
    Hide,
    Link,
    Merge,
    Op,
    Rekey,
    Revise,
    SetSlot,
    SetState,
    Supersede,
    Unlink,
)  # fmt: skip

__version__ = "0.1.0"

__all__ = [
    "Add", "Annotation", "AsyncMemory", "AsyncScope", "Attachment", "Block", "Bounds", "Candidates",
    "Clock", "Context", "Document", "DocumentChange", "Documents", "Doing", "Done", "Edge",
    "EdgeKind", "Embedder", "ErasureReceipt", "Event", "Explanation", "Fact", "Filter", "Hide",
    "Hit", "Index", "IndexSpec", "Interaction", "Key", "Kind", "LanguageModel", "LeftOut", "Level",
    "Link", "Memory", "Merge", "Node", "Op", "Origin", "Packing", "Parsed", "Plan", "Preset",
    "Query", "Ranker", "Recall", "Receipt", "Record", "Rejected", "Rekey", "Relation", "Report",
    "Revise", "Scope", "SetSlot", "SetState", "Skip", "Slot", "Sort", "Stats", "Status", "Store",
    "Summary", "Supersede", "Task", "Turn", "Unlink", "Usage", "Utterance", "View", "__version__",
    "errors", "hookimpl",
]  # fmt: skip

_logging.getLogger(__name__).addHandler(_logging.NullHandler())
