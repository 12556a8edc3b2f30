"""Trees that a policy grows over turns, one turn after the other: nodes are records that contain.

A `Tree` is what is stored, as a policy sees it, and what the policy does to it in memory; `ops`
tells what has to be written. A node's vector is the running mean of the turns below it, without an
embedder that of its words. What a node tells is written later, many at once (`retold`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np
from pydantic import JsonValue

from stepwell.contracts import FloatArray, View
from stepwell.filters import Filter
from stepwell.mechanisms import grouping
from stepwell.mechanisms.grounding import vectors_of
from stepwell.mechanisms.labelling import labels
from stepwell.mechanisms.products import products
from stepwell.models import EdgeKind, Kind, Record, aware
from stepwell.ops import Add, Hide, Op, Revise, SetState, Unlink

_KINDS: Final = {1: Kind.TRACE, 2: Kind.CATEGORY}
_ALL: Final = 1_000_000
_PAGE: Final = 1_000
#: Members that a node's text is made of, the latest; and nodes that are written in one step.
_READ, _WRITTEN = 64, 128


class Rows:
    """Vectors by id, in the order of coming."""

    def __init__(self, dim: int) -> None:
        self.ids: list[str] = []
        self._at: dict[str, int] = {}
        self._table = np.zeros((16, dim), np.float32)

    def put(self, name: str, vector: FloatArray, instead: str | None = None) -> None:
        """A vector, in the place that it had, or in that of another one that goes."""
        at = self._at.pop(instead or name, len(self.ids))
        if at == len(self.ids):
            self.ids.append(name)
            if at == len(self._table):
                self._table = np.concatenate([self._table, np.zeros_like(self._table)])
        self.ids[at], self._at[name], self._table[at] = name, at, vector

    def vector(self, name: str) -> FloatArray:
        """The vector of an id."""
        held: FloatArray = self._table[self._at[name]].copy()
        return held

    def nearest(self, vector: FloatArray) -> tuple[str, float] | None:
        """The id of the highest cosine, of equals the first; None where there is nothing."""
        if not self.ids:
            return None
        cosines = products(self._table[: len(self.ids)], vector)
        at = int(np.argmax(cosines))
        return self.ids[at], float(cosines[at])

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(slots=True)
class Branch:
    """A node as it is now: `fresh` members are not stored yet, `gone` ones still are."""

    id: str
    level: int
    mean: FloatArray
    size: int
    trust: float
    began: datetime | None
    until: datetime
    text: str
    name: str = ""
    stored: bool = False
    last: str | None = None
    fresh: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    def grow(self, turn: Record, vector: FloatArray) -> None:
        """One turn more below it: the mean moves on, by as much as one of so many."""
        self.mean = grouping.normal(self.mean * self.size + vector)
        self.size += 1
        self.trust = min(self.trust, turn.trust)
        self.until = max(self.until, since(turn))
        if turn.said_at is not None:
            self.began = min(aware(turn.said_at), self.began or aware(turn.said_at))


class Tree:
    """The nodes that one policy has made. `top` is the level of those that nothing contains."""

    def __init__(self, view: View, maker: str, top: int) -> None:
        self._view, self._maker = view, maker
        records = nodes_of(view, maker)
        vectors = vectors_of(records, view)
        self._dim = vectors.shape[1]
        self._rows: dict[str | None, Rows] = {}
        self._turns: dict[str, Record] = {}
        #: Nodes that have changed, and how many turns had been placed by then.
        self._counts: dict[str, int] = {}
        self._placed = 0
        self._last: str | None = None
        self.nodes: dict[str, Branch] = {}
        for record, vector in zip(records, vectors, strict=True):
            held = record.payload
            self.nodes[record.id] = Branch(
                record.id, record.level, vector, _whole(held.get("size")), record.trust,
                record.said_at, since(record), record.text, str(held.get("name") or ""), True,
            )  # fmt: skip
            count = _whole(held.get("count"))
            if count > self._placed:
                self._placed, self._last = count, str(held.get("last"))
        self._roots = [branch.id for branch in self.nodes.values() if branch.level == top]

    def waiting(self, most: int) -> list[Record]:
        """The next turns that lie in no node, in order of arrival."""
        after = self._last
        if after is not None and self._view.get(after) is None:
            after = None  # it was forgotten
        found: list[Record] = []
        while page := self._view.records(Filter(level=0), after=after, limit=most):
            into = self._view.links([turn.id for turn in page], EdgeKind.CONTAINS, into=True)
            found += [
                turn
                for turn in page
                if not any(edge.source in self.nodes for edge in into.get(turn.id, ()))
            ]
            after = page[-1].id
            if len(found) >= most:
                break
        self._turns |= {turn.id: turn for turn in found[:most]}
        return found[:most]

    def below(self, name: str | None) -> Rows:
        """What a node contains, nodes and turns, with their vectors; of None, the roots."""
        if name not in self._rows:
            rows = self._rows[name] = Rows(self._dim)
            for member, vector in self._members(name):
                rows.put(member, vector)
        return self._rows[name]

    def _members(self, name: str | None) -> list[tuple[str, FloatArray]]:
        if name is None:
            return [(root, self.nodes[root].mean) for root in self._roots]
        edges = self._view.links([name], EdgeKind.CONTAINS).get(name, ())
        known = {e.target: self.nodes[e.target].mean for e in edges if e.target in self.nodes}
        turns = _records(self._view, [e.target for e in edges if e.target not in known])
        self._turns |= {turn.id: turn for turn in turns}
        for turn, vector in zip(turns, vectors_of(turns, self._view), strict=True):
            known[turn.id] = vector
        return [(edge.target, known[edge.target]) for edge in edges if edge.target in known]

    def begin(
        self, level: int, inside: str | None, turn: Record, name: str = "",
        instead: str | None = None,
    ) -> str:  # fmt: skip
        """A node of nothing yet, for the sake of a turn; in the place of a member, if named."""
        made = f"@{self._maker}-{level}-{len(self.nodes)}"
        mean = np.zeros(self._dim, np.float32)
        self.nodes[made] = Branch(
            made, level, mean, 0, turn.trust, turn.said_at, since(turn), turn.spoken, name
        )
        self.below(inside).put(made, mean, instead)
        self._rows[made] = Rows(self._dim)
        if inside is not None:
            self.nodes[inside].fresh.append(made)
            self._counts.setdefault(inside, 0)
        return made

    def split(self, leaf: str, inside: str, level: int) -> str:
        """A turn becomes a node that contains it."""
        vector, turn = self.below(inside).vector(leaf), self._turns[leaf]
        made = self.begin(level, inside, turn, instead=leaf)
        parent, node = self.nodes[inside], self.nodes[made]
        if leaf in parent.fresh:
            parent.fresh.remove(leaf)
        else:
            parent.gone.append(leaf)
        self._put(turn, vector, node)
        node.grow(turn, vector)
        return made

    def add(self, turn: Record, vector: FloatArray, path: Sequence[str]) -> None:
        """Put a turn into the last node of a path from a root; all of the path grows."""
        self._put(turn, vector, self.nodes[path[-1]])
        above: str | None = None
        for name in path:
            self.nodes[name].grow(turn, vector)
            self.nodes[name].last = turn.id
            self._counts[name] = self._placed + 1
            self.below(above).put(name, self.nodes[name].mean)
            above = name
        self._placed, self._last = self._placed + 1, turn.id

    def _put(self, turn: Record, vector: FloatArray, node: Branch) -> None:
        node.fresh.append(turn.id)
        if node.id in self._rows:  # else they are read when they are asked for
            self._rows[node.id].put(turn.id, vector)

    def ops(self) -> list[Op]:
        """What is to be written: new nodes from below upwards, then what has changed."""
        made = [branch for branch in self.nodes.values() if not branch.stored]
        ops: list[Op] = [self._added(branch) for branch in sorted(made, key=lambda b: b.level)]
        for name in self._counts:
            branch = self.nodes[name]
            if branch.stored:
                ops += grouping.links(name, branch.fresh)
                ops += [
                    Unlink(source=name, kind=EdgeKind.CONTAINS, target=member)
                    for member in branch.gone
                ]
                ops += grouping.rekeyed(self._view, name, branch.mean)
                ops.append(
                    SetState(
                        id=name, payload=self._state(branch), trust=branch.trust,
                        valid_from=branch.until,
                    )
                )  # fmt: skip
        return ops

    def _state(self, branch: Branch) -> dict[str, JsonValue]:
        # The last turn is one below it, so that nothing of it stays where it was forgotten.
        count = self._counts.get(branch.id, 0)
        return {"size": branch.size, "count": count, "last": branch.last}

    def _added(self, branch: Branch) -> Add:
        payload = {"by": self._maker, "told": 0, "name": branch.name, **self._state(branch)}
        record = Record(
            id=branch.id, scope=self._view.scope, level=branch.level,
            kind=_KINDS.get(branch.level, Kind.DOMAIN), text=branch.text, payload=payload,
            trust=branch.trust, said_at=branch.began, valid_from=branch.until,
            stored_at=self._view.now,
        )  # fmt: skip
        keys = grouping.keys(self._view, record, branch.mean)
        return Add(record=record, keys=keys, sources=tuple(branch.fresh), contains=True)


def nodes_of(view: View, maker: str, *levels: int) -> list[Record]:
    """The active nodes that a policy has made, of some levels or of all, in order of arrival."""
    where = Filter(level=list(levels or range(1, 10)))
    return [node for node in view.records(where, limit=_ALL) if node.payload.get("by") == maker]


def retold(view: View, maker: str, *, tokens: int, headed: bool) -> list[Op]:
    """What nodes tell that have grown: a gist of their latest members, the lowest nodes first.

    With `headed` a first line says what it is called: the name that it was given, or labels.
    """
    grown = [node for node in nodes_of(view, maker) if node.payload["told"] != node.payload["size"]]
    lowest = min((node.level for node in grown), default=0)
    grown = [node for node in grown if node.level == lowest][:_WRITTEN]
    edges = view.links([node.id for node in grown], EdgeKind.CONTAINS)
    ops: list[Op] = []
    inside = [
        _records(view, [edge.target for edge in edges.get(node.id, ())][-_READ:]) for node in grown
    ]
    said = [[_told(member, headed) for member in members] for members in inside]
    called = labels(said) if headed else [()] * len(grown)
    for node, texts, named in zip(grown, said, called, strict=True):
        told = view.models.summarize(texts, tokens=tokens).text
        heads = [str(node.payload.get("name") or ", ".join(named))] if headed else []
        text = "\n".join(filter(None, (*heads, told))) or node.text
        if text != node.text:
            mean = vectors_of([node], view)[0]
            fresh = node.model_copy(update={"text": text})
            ops.append(Revise(id=node.id, text=text, keys=grouping.keys(view, fresh, mean)))
        ops.append(SetState(id=node.id, payload={"told": node.payload["size"]}))
    return ops


def again(view: View, maker: str, node: Record, *, tokens: int) -> list[Op]:
    """A node that lost a turn by forgetting, from what is left below it; nothing of it stays."""
    turns = turns_below(view, [node.id])
    if not turns:
        return [Hide(id=node.id)]
    mean = grouping.normal(vectors_of(turns, view).sum(axis=0))
    text = view.models.summarize([turn.spoken for turn in turns[-_READ:]], tokens=tokens).text
    text = text or turns[0].spoken
    fresh = node.model_copy(update={"text": text})
    began = min((aware(turn.said_at) for turn in turns if turn.said_at), default=None)
    payload: dict[str, JsonValue] = {"by": maker, "told": 0, "name": "", "size": len(turns)}
    until = max(since(turn) for turn in turns)
    keys = grouping.keys(view, fresh, mean)
    return [
        Revise(id=node.id, text=text, keys=keys, said_at=began),
        SetState(id=node.id, payload=payload, valid_from=until, trust=min(t.trust for t in turns)),
    ]


def turns_below(view: View, names: Sequence[str]) -> list[Record]:
    """The active turns that some nodes contain, at whatever depth, in order of arrival."""
    found: dict[str, None] = {}
    while names:
        edges = view.links(names, EdgeKind.CONTAINS)
        names = [edge.target for within in edges.values() for edge in within]
        found |= dict.fromkeys(names)
    return [record for record in _records(view, list(found)) if record.level == 0]


def since(record: Record) -> datetime:
    """From when on all of it had been said: an earlier look at the scope must not show it."""
    return aware(record.valid_from or record.said_at or record.stored_at)


def _told(member: Record, headed: bool) -> str:
    """What a member tells, without the line that says what it is called."""
    if member.level == 0 or not headed:
        return member.spoken
    return member.text.partition("\n")[2] or member.text


def _records(view: View, names: Sequence[str]) -> list[Record]:
    """The active records of some ids, in order of arrival."""
    found: list[Record] = []
    for start in range(0, len(names), _PAGE):
        page = Filter(id=list(names[start : start + _PAGE]))
        found += view.records(page, limit=_PAGE)
    return found


def _whole(value: JsonValue) -> int:
    return value if isinstance(value, int) else 0
