"""Why a record was, or was not, recalled: in words."""

from __future__ import annotations

from stepwell.contracts import Query
from stepwell.models import Record
from stepwell.searching import ScopeView

_NOTHING = "no channel found anything of the question in it"


def unseen(view: ScopeView, record_id: str) -> str:
    """Of a record that the view does not hold."""
    row = view.row
    refs = [] if row is None else list(view.reader.find(row, [record_id]).values())
    for _, record in view.load([ref for ref in refs if ref is not None]):
        if record.trust < view.min_trust:
            return f"its trust {record.trust:.2f} is below {view.min_trust:.2f}"
    return "this scope holds no record of that id"


def absent(record: Record) -> str:
    """Of a record that is in no cache."""
    if record.status.value != "active":
        return f"it is {record.status.value}"
    return "it has no key to be found by yet; consolidate() makes it"


def present(score: float, rank: int, query: Query) -> str:
    """Of a record that was ranked."""
    if score <= 0:
        return _NOTHING
    if score < query.min_score:
        return f"its score is below {query.min_score:.2f}"
    if rank > query.k:
        return f"{rank - 1} records stand above it, and {query.k} were asked for"
    return "recalled"


def dropped(score: float) -> str:
    """Of a record that was not among those that were ranked in the end."""
    return _NOTHING if score <= 0 else "a refining policy leaves it out"
