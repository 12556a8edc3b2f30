"""Levels as trees, and the journal of a record in words."""

from __future__ import annotations

from typing import Any

from stepwell.contracts import STATUS_CODES, ScopeRow, StoreReader
from stepwell.models import Change, EdgeKind, Node, Record

_ALL = 2**62
_STATUS = {code: status for status, code in STATUS_CODES.items()}


def grow(reader: StoreReader, row: ScopeRow) -> list[Node]:
    """Trees over all active records, highest level first, then by arrival.

    A record that two others contain stands under both. What nothing contains is a root.
    """
    loaded = dict(reader.load(row, reader.select(row, None, 0, _ALL)))
    below = {ref: _below(reader, row, ref, record) for ref, record in loaded.items()}
    contained = {child for children in below.values() for child in children}
    roots = [ref for ref in loaded if ref not in contained]
    roots.sort(key=lambda ref: (-loaded[ref].level, ref))
    made: dict[int, Node] = {}
    for ref in _inside_first(sorted(loaded, key=lambda r: (loaded[r].level, r)), below):
        record = loaded[ref]
        children = tuple(made[child] for child in below[ref] if child in made)
        if record.turn is not None:
            sources: tuple[str, ...] = (record.turn,)
        elif children:
            sources = tuple(dict.fromkeys(s for child in children for s in child.sources))
        else:
            found = reader.load(row, reader.roots(row, ref))
            sources = tuple(r.turn for _, r in found if r.turn is not None)
        made[ref] = Node(record, children, sources)
    return [made[ref] for ref in roots]


def _below(reader: StoreReader, row: ScopeRow, ref: int, record: Record) -> list[int]:
    return [] if record.level == 0 else reader.targets(row, ref, EdgeKind.CONTAINS)


def _inside_first(refs: list[int], below: dict[int, list[int]]) -> list[int]:
    """Records in their order, but after all that they contain, be it of their own level."""
    order: dict[int, None] = {}
    entered: set[int] = set()
    for ref in refs:
        left = [ref]
        while left:
            top = left[-1]
            waiting = [child for child in below[top] if child in below and child not in entered]
            entered.add(top)
            if waiting:
                left += waiting
            else:
                order.setdefault(left.pop())
    return list(order)


def told(reader: StoreReader, row: ScopeRow, ref: int) -> list[Change]:
    """The journal of a record, its earlier states in words."""
    return [
        Change(
            at=change.at, op=change.op, record_id=change.record_id, who=change.who, why=change.why,
            evidence=change.evidence, before=_before(reader, row, ref, change.before),
        )
        for _, change, _ in reader.journal(row, ref, limit=_ALL)
    ]  # fmt: skip


def _before(reader: StoreReader, row: ScopeRow, ref: int, state: dict[str, Any]) -> dict[str, Any]:
    words: dict[str, Any] = {}
    for name, value in state.items():
        if name == "content":
            version = reader.version(row, ref, value)
            words["text"] = "" if version is None else version.text
        elif name == "status":
            words[name] = _STATUS[value].value
        elif name in ("trust", "version") or value is not None:
            words[name] = value
    return words
