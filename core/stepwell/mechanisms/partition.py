"""The records of a task's parts: kept as a `Forest` tells them, and read as one again.

A part is a record of kind procedure that contains its turns, and the parts within it; an edge
`related` with a label leads to each part that it depends on, and an edge `supersedes` to each part
that holds no more for it: of weight `MEANT` to the one in whose place it stands, of weight `TOO` to
the others. All that is known is read from these, so that another process can go on at any time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Final

from pydantic import JsonValue

from stepwell.contracts import View
from stepwell.filters import Filter
from stepwell.mechanisms.forest import Forest, Part, bag, intent
from stepwell.models import Edge, EdgeKind, Kind, Record, Status
from stepwell.ops import ALIAS, Add, Hide, Link, Op, Revise, SetState, Supersede, Unlink

#: The label of an edge from a part to one that it depends on.
DEPENDS: Final = "depends on"
#: From a part that stands in another's place, and from it to what depended on that one.
MEANT: Final = 1.0
TOO: Final = 0.5
_ALL: Final = 1_000_000
_WORD = re.compile(r"\S+")


def parts(mark: str) -> Filter:
    """The parts that a policy made."""
    return Filter(kind=Kind.PROCEDURE, level=1, payload={"by": mark})


class Known:
    """The records of a task's parts, and what they lead to."""

    def __init__(self, task: Record, turns: Sequence[Record], mark: str, view: View) -> None:
        self.task, self.mark, self.view = task, mark, view
        place = {turn.id: n for n, turn in enumerate(turns)}
        standing = [Status.ACTIVE, Status.SUPERSEDED]
        where = parts(mark) & Filter(task=task.task, status=standing)
        records = {record.id: record for record in view.records(where, limit=_ALL)}
        self.inside = {
            name: [edge.target for edge in edges]
            for name, edges in view.links(list(records), EdgeKind.CONTAINS).items()
        }
        self.needs = view.links(list(records), EdgeKind.RELATED)
        # A part is known by its first turn, and by how deep it lies.
        self.records: dict[str, Record] = {}
        for name, record in records.items():
            within = (turn for turn in self.inside.get(name, ()) if turn in place)
            first = min(within, key=lambda turn: place[turn], default=None)
            if first is not None:
                depth = _number(record, "depth")
                self.records.setdefault(f"{first}/{depth}" if depth else first, record)
        keys = {record.id: key for key, record in self.records.items()}
        self.extra = [name for name in records if name not in keys]
        starts = {name: place[key.partition("/")[0]] for name, key in keys.items()}
        #: What each turn that began a part in another's place meant.
        self.decided = {
            keys[name].partition("/")[0]: keys[edge.target]
            for name, edges in view.links(list(keys), EdgeKind.SUPERSEDES).items()
            for edge in edges
            if edge.weight == MEANT and edge.target in keys and starts[edge.target] < starts[name]
        }

    def changed(self, forest: Forest, words: int) -> tuple[list[Op], bool]:
        """The ops from what is known to what is so; False if more are to come after these.

        A record that is written anew is put out of force in the next step: of ops of both sorts on
        one record a single one stands.
        """
        ops: list[Op] = []
        told = forest.parts
        near = forest.reach()
        ids = {key: f"{ALIAS}{key}" for key in told}
        ids |= {key: record.id for key, record in self.records.items()}
        for key, part in told.items():
            ops += self._told(part, ids[key], words, near=key in near)
        for part in told.values():
            ops += self._linked(part, ids)
        gone = [record.id for key, record in self.records.items() if key not in told]
        ops += [Hide(id=name) for name in (*gone, *self.extra)]
        written = {op.record.id if isinstance(op, Add) else op.id
                   for op in ops if isinstance(op, (Add, Revise))}  # fmt: skip
        stood = [op for part in told.values() for op in self._stood(part, ids, forest)]
        now = [op for op in stood if isinstance(op, SetState) or op.replaces not in written]
        return [*ops, *now], len(now) == len(stood)

    def _told(self, part: Part, name: str, words: int, *, near: bool) -> list[Op]:
        text, depth = _text(part, words), len(part.path()) - 1
        span: dict[str, JsonValue] = {"by": self.mark, "depth": depth}
        span |= {"first": part.first, "last": part.last, "near": near}
        record = self.records.get(part.key)
        turns = [turn.id for turn in part.turns]
        if record is None:
            fresh = Record(
                id=name, scope=self.task.scope, level=1, kind=Kind.PROCEDURE, text=text,
                task=self.task.task, session=self.task.session, said_at=part.turns[-1].said_at,
                stored_at=self.view.now, payload=span,
                trust=min(turn.trust for turn in part.turns),
            )  # fmt: skip
            return [Add(record=fresh, sources=tuple(turns), contains=True)]
        held = set(self.inside[record.id])
        ops: list[Op] = [
            Link(edge=Edge(source=name, kind=EdgeKind.CONTAINS, target=turn))
            for turn in turns
            if turn not in held
        ]
        if record.text != text:
            ops.append(_revised(record, text, part, self.view))
        if any(record.payload.get(entry) != value for entry, value in span.items()):
            ops.append(SetState(id=name, payload=span))
        return ops

    def _linked(self, part: Part, ids: dict[str, str]) -> list[Op]:
        """What a part contains and depends on, besides its turns."""
        name = ids[part.key]
        inside = {turn.id for turn in part.turns} | {ids[child.key] for child in part.children}
        needs = {ids[key] for key in part.depends}
        had, needed = set(self.inside.get(name, ())), self.needs.get(name, ())
        ops: list[Op] = [
            Link(edge=Edge(source=name, kind=EdgeKind.CONTAINS, target=ids[child.key]))
            for child in part.children
            if ids[child.key] not in had
        ]
        ops += [
            Unlink(source=name, kind=EdgeKind.CONTAINS, target=one) for one in sorted(had - inside)
        ]
        told = {edge.target for edge in needed if edge.label == DEPENDS}
        for one in sorted(needs - told):
            edge = Edge(source=name, kind=EdgeKind.RELATED, target=one, label=DEPENDS)
            ops.append(Link(edge=edge))
        ops += [
            Unlink(source=name, kind=EdgeKind.RELATED, target=one) for one in sorted(told - needs)
        ]
        return ops

    def _stood(self, part: Part, ids: dict[str, str], forest: Forest) -> list[SetState | Supersede]:
        """Whether a part holds."""
        record = self.records.get(part.key)
        active = record is None or record.status is Status.ACTIVE
        gave = forest.instead(part)
        if gave is None:
            return [] if active else [SetState(id=ids[part.key], status=Status.ACTIVE)]
        newer, meant = gave
        if not active:
            return []
        sure = MEANT if meant else TOO
        return [Supersede(id=ids[newer.key], replaces=ids[part.key], confidence=sure)]


class Standing:
    """The near part of a task's tree, as its records tell it: the path, and the latest parts.

    Turns are not read, so that it takes no longer the longer a task is.
    """

    def __init__(self, task: Record, mark: str, view: View, forest: Forest) -> None:
        self.forest, self._view = forest, view
        where = Filter(kind=Kind.PROCEDURE, level=1, payload={"by": mark, "near": True})
        found = view.records(where & Filter(task=task.task), limit=_ALL)
        self.records = {r.id: r for r in found if r.status is Status.ACTIVE}
        names = list(self.records)
        inside = {
            name: [edge.target for edge in edges]
            for name, edges in view.links(names, EdgeKind.CONTAINS).items()
        }
        #: The turns of each part.
        self.members = {
            name: [target for target in inside.get(name, ()) if target not in self.records]
            for name in names
        }
        known = forest.parts
        for name in sorted(names, key=lambda name: _number(self.records[name], "first")):
            text = self.records[name].text
            part = Part(name, text.partition(" → ")[0], size=len(self.members[name]))
            part.about |= bag(text)
            part.first = _number(self.records[name], "first")
            part.last = _number(self.records[name], "last")
            known[name] = part
        for name, part in known.items():
            part.children = [known[target] for target in inside.get(name, ()) if target in known]
            for child in part.children:
                child.parent = part
        for name, edges in view.links(names, EdgeKind.RELATED).items():
            for edge in edges:
                if edge.label == DEPENDS and edge.target in known:
                    forest.needs(known[name], known[edge.target])
        last = max(known.values(), key=lambda p: (p.last, len(p.path())), default=None)
        forest.now, forest.taken = last, 0 if last is None else last.last

    def gone(self, turns: Sequence[Record]) -> set[str]:
        """Those of some turns that are of parts that hold no more, and of no other one."""
        fresh = {turn.id: p for p in self.forest.parts.values() for turn in p.turns}
        into = self._view.links([turn.id for turn in turns], EdgeKind.CONTAINS, into=True)
        above = {name: [edge.source for edge in edges] for name, edges in into.items()}
        names = sorted({source for sources in above.values() for source in sources})
        found = [self._view.get(name) for name in names]
        known = [one for one in found if one is not None and one.kind is Kind.PROCEDURE]
        holds = {record.id: record.status is Status.ACTIVE for record in known}
        holds |= {name: self.forest.holds(part) for name, part in self.forest.parts.items()}
        gone: set[str] = set()
        for turn in turns:
            told = [holds[name] for name in above.get(turn.id, ()) if name in holds]
            if turn.id in fresh:
                told.append(self.forest.holds(fresh[turn.id]))
            if told and not any(told):
                gone.add(turn.id)
        return gone


def _number(record: Record, entry: str) -> int:
    value = record.payload.get(entry)
    return value if isinstance(value, int) else 0


def short(text: str, words: int) -> str:
    """The first words of a text, on one line."""
    found = [match[0][:40] for match in islice(_WORD.finditer(text[:20_000]), words + 1)]
    return " ".join(found[:words]) + (" …" if len(found) > words else "")


def _text(part: Part, words: int) -> str:
    """A part in short: its name, or how it began, and what came of it last."""
    first, last = part.turns[0], part.turns[-1]
    begun = short(part.name or first.text or first.spoken, words)
    said = [begun or first.id]
    if len(part.turns) > 1 or last.observation:
        acted = next((turn.action for turn in reversed(part.turns) if turn.action), None)
        told = [turn for turn in part.turns if turn.action or not _returns(turn)]
        came = (told or part.turns)[-1].observation or (told or part.turns)[-1].text
        ends = [short(each, words) for each in (acted, came) if each]
        said += [end for end in dict.fromkeys(ends) if end and end != begun]
    line = " → ".join(said)
    return line if len(part.turns) == 1 else f"{line} ({len(part.turns)} steps)"


def _returns(turn: Record) -> bool:
    """Whether a turn goes back to a part, and says nothing of it."""
    said = intent(turn.text)
    return said is not None and said[0] != "change"


def _revised(record: Record, text: str, part: Part, view: View) -> Revise:
    """A part told anew, with its keys, and of the time of its last turn."""
    fresh = record.model_copy(update={"text": text})
    said_at = part.turns[-1].said_at
    return Revise(id=record.id, text=text, keys=view.keys(fresh), said_at=said_at)
