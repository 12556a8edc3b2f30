"""The keys that new records lack are queued in the transaction that stores them."""

from __future__ import annotations

from collections.abc import Sequence

from stepwell.committing.spaces import outdated, unkeyed, unseen
from stepwell.contracts import LATER, NewRecord, ScopeRow, StoreWriter


def queue_keys(
    writer: StoreWriter, row: ScopeRow, new: Sequence[NewRecord], degraded: Sequence[NewRecord], *,
    alone: bool, slow: bool,
) -> None:  # fmt: skip
    """Queue what records lack: a plugin failed or takes its time, or their keys came late.

    `alone` says that there is no embedder here, `slow` that some plugins key later.
    """
    for item in degraded:
        writer.enqueue(row, "keys", item.ref, item.ref)
    if outdated(writer, [key for item in new for key in item.keys]):
        writer.enqueue(row, "keys", new[0].ref, new[-1].ref)
    if alone:
        unkeyed(writer)
    if slow:
        for start in range(0, len(new), LATER):
            some = new[start : start + LATER]
            writer.enqueue(row, "later", some[0].ref, some[-1].ref)
    else:
        unseen(writer)
