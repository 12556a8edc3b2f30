"""The policy of levels: traces where the talk turns, categories of traces, domains of categories.

Placing is cheap and done one record at a time. What placing got wrong is mended bit by bit when
there is time: groups that grew too large are split, those that are alike put together, and what
changed gets another label and gist. A group keeps its id for as long as it is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import numpy as np
from pydantic import JsonValue

from stepwell.contracts import FloatArray, View
from stepwell.filters import Filter
from stepwell.hookspecs import hookimpl
from stepwell.mechanisms import placing
from stepwell.mechanisms.labelling import labels
from stepwell.mechanisms.segmenting import bags, segments
from stepwell.models import Edge, EdgeKind, Key, Kind, Record, Status, aware
from stepwell.ops import Add, Hide, Link, Op, Rekey, Revise, SetState, Unlink

_KINDS: Final = {2: Kind.CATEGORY, 3: Kind.DOMAIN}
_ALL: Final = 100_000
#: Records that what is usual in a space is told from.
_SAMPLE: Final = 48
#: What one step of maintaining does at most.
_STEP: Final = 64
#: Ops from which on a step begins nothing more.
_MANY: Final = 500
#: Records that are looked up at once.
_PAGE: Final = 1_000


@dataclass(slots=True)
class _Level:
    """The groups of one level, with their members and vectors."""

    records: list[Record]
    members: dict[str, list[str]]
    vectors: FloatArray
    place: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.place = {record.id: at for at, record in enumerate(self.records)}


@dataclass(frozen=True)
class Levels:
    """Grows and tidies the levels above the turns.

    `least`, `most`: turns of a trace. `silence`: hours that end one. `near`: how far from the usual
    cosine towards 1 a trace must be near a category to join it, by level. `full`: members from
    which a group is split. `same`: as `near`, for two groups that become one. `tokens`: of a gist.
    """

    least: int = 2
    most: int = 15
    silence: float = 3.0
    near: tuple[float, float] = (0.3, 0.15)
    full: int = 24
    same: float = 0.8
    tokens: int = 64
    name: str = "levels"

    @property
    def params(self) -> dict[str, object]:
        """What the file remembers of it."""
        return {
            name: getattr(self, name)
            for name in ("least", "most", "silence", "near", "full", "same", "tokens")
        }

    # traces -----------------------------------------------------------------------------------

    @hookimpl
    def segment(self, buffer: Sequence[Record], view: View) -> Sequence[int]:
        """Ends of traces; the last one stays open."""
        vectors = _vectors(view, buffer)
        return segments(
            vectors, [record.said_at for record in buffer], least=self.least, most=self.most,
            silence=timedelta(hours=self.silence),
        )  # fmt: skip

    # categories and domains -------------------------------------------------------------------

    @hookimpl
    def organize(self, record: Record, view: View) -> Sequence[Op]:
        """Places a trace among the categories, or a category among the domains."""
        level = record.level + 1
        if level not in _KINDS or record.kind not in (Kind.TRACE, Kind.CATEGORY):
            return ()
        if record.status is Status.STALE:
            return self._again(record, view)
        parents = view.links([record.id], EdgeKind.CONTAINS, into=True).get(record.id, ())
        there = _level(view, level, alive=False)
        known = [edge.source for edge in parents if edge.source in there.place]
        mine = _vectors(view, [record])[0]
        if known:  # it grew, and stays where it is; means follow when it is tidied
            return ()
        least = placing.threshold(self._usual(view, record.level), self.near[record.level - 1])
        found = placing.groups_of(mine, there.vectors, least)
        if not found:
            return [_group([record], level, view, mine)]
        ops: list[Op] = []
        for at in found:
            group = there.records[at]
            ops.append(_contains(group.id, record.id))
            mean = placing.moved(there.vectors[at], len(there.members[group.id]), mine)
            ops += _rekeyed(view, group, mean)
        return ops

    def _again(self, record: Record, view: View) -> Sequence[Op]:
        """A group that lost a member by forgetting, written anew of those that are left."""
        members = _active(view, record.id)
        if not members:
            return [Hide(id=record.id)]
        text, _ = self._written(members, view)
        fresh = record.model_copy(update={"text": text})
        sign: dict[str, JsonValue] = {"made_of": _made_of(members)}
        until = _until(members)
        return [
            Revise(id=record.id, text=text, keys=_keys(view, fresh, _mean(view, members))),
            SetState(id=record.id, payload=sign, valid_from=until),
        ]

    def _usual(self, view: View, level: int) -> float:
        """The usual cosine among records of a level."""
        return placing.usual(_vectors(view, view.records(Filter(level=level), limit=_SAMPLE)))

    # tidying ----------------------------------------------------------------------------------

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """One step of what there is to mend; nothing when all is well."""
        for level in (2, 3):
            there = _level(view, level)
            for step in (self._emptied, self._split, self._joined, self._described):
                ops = step(view, there, level)
                if ops:
                    return ops
        return ()

    def _emptied(self, view: View, there: _Level, level: int) -> list[Op]:  # noqa: ARG002 - a step like the others
        empty = [record for record in there.records if not there.members[record.id]]
        return [Hide(id=record.id) for record in empty[:_STEP]]

    def _split(self, view: View, there: _Level, level: int) -> list[Op]:
        """A group that is too large keeps its largest part; the others get groups of their own."""
        ops: list[Op] = []
        for group in there.records:
            names = there.members[group.id]
            if len(names) <= self.full or len(ops) > _MANY:
                continue
            members = _records(view, names)
            vectors = _vectors(view, members)
            kept, *leaving = placing.parts(vectors, self.full)
            for number, part in enumerate(leaving):
                some = [members[at] for at in part]
                mean = _normal(vectors[part].sum(axis=0))
                ops.append(_group(some, level, view, mean, f"{group.id}/{number}"))
                ops += [
                    Unlink(source=group.id, kind=EdgeKind.CONTAINS, target=member.id)
                    for member in some
                ]
            ops += _rekeyed(view, group, _normal(vectors[kept].sum(axis=0)))
        return ops

    def _joined(self, view: View, there: _Level, level: int) -> list[Op]:
        """Groups that are alike become one, the one that was there first."""
        least = placing.threshold(self._usual(view, level - 1), self.same)
        ops: list[Op] = []
        for one, other in placing.alike(there.vectors, least)[:_STEP]:
            kept, gone = there.records[one], there.records[other]
            mine, theirs = there.members[kept.id], there.members[gone.id]
            both = list(dict.fromkeys((*mine, *theirs)))
            if len(both) > self.full:
                continue  # they would be split again
            ops += [_contains(kept.id, name) for name in theirs if name not in mine]
            ops.append(Hide(id=gone.id))
            ops += _rekeyed(view, kept, _mean(view, _records(view, both)))
        return ops

    def _described(self, view: View, there: _Level, level: int) -> list[Op]:  # noqa: ARG002 - a step like the others
        """Another label and gist for groups whose members have changed."""
        ops: list[Op] = []
        everybody = {name for names in there.members.values() for name in names}
        known = {record.id: record for record in _records(view, sorted(everybody))}
        changed = []
        for group in there.records:
            members = [known[name] for name in there.members[group.id] if name in known]
            if members and group.payload.get("made_of") != _made_of(members):
                changed.append((group, members))
        if not changed:
            return []
        beside = [_text(known[name]) for name in sorted(known)[:256]]
        for group, members in changed[:_STEP]:
            text, said = self._written(members, view, beside)
            fresh = group.model_copy(update={"text": text})
            keys = _keys(view, fresh, _mean(view, members))
            # The mean of what grew moves on with it; a text that is the same is not written twice.
            ops.append(Revise(id=group.id, text=text, keys=keys, said_at=said))
            ops.append(
                SetState(
                    id=group.id, payload={"made_of": _made_of(members)}, valid_from=_until(members)
                )
            )
        return ops

    def _written(
        self, members: Sequence[Record], view: View, beside: Sequence[str] = ()
    ) -> tuple[str, Any]:
        """What a group is called, what it tells, and since when it was spoken of."""
        texts = [_text(member) for member in members]
        named = labels([texts], background=beside or None)[0]
        told = view.models.summarize(texts[-64:], tokens=self.tokens).text
        head = ", ".join(named)
        said = min((aware(m.said_at) for m in members if m.said_at), default=None)
        text = f"{head}\n{told}" if head and told else head or told or members[0].text
        return text, said


def _level(view: View, level: int, *, alive: bool = True) -> _Level:
    """The active groups of a level that this policy made; their members, if `alive` active ones."""
    records = [
        record
        for record in view.records(Filter(level=level, kind=_KINDS[level]), limit=_ALL)
        if record.payload.get("by") == "levels"
    ]
    edges = view.links([record.id for record in records], EdgeKind.CONTAINS)
    names = sorted({edge.target for found in edges.values() for edge in found})
    active = {record.id for record in _records(view, names)} if alive else set(names)
    members = {
        record.id: [e.target for e in edges.get(record.id, ()) if e.target in active]
        for record in records
    }
    return _Level(records, members, _vectors(view, records))


def _records(view: View, names: Sequence[str]) -> list[Record]:
    """The active records of some ids, in their order."""
    known: dict[str, Record] = {}
    for first in range(0, len(names), _PAGE):
        page = Filter(id=list(names[first : first + _PAGE]))
        known |= {record.id: record for record in view.records(page, limit=_PAGE)}
    return [known[name] for name in names if name in known]


def _active(view: View, group: str) -> list[Record]:
    edges = view.links([group], EdgeKind.CONTAINS).get(group, ())
    return _records(view, [edge.target for edge in edges])


def _vectors(view: View, records: Sequence[Record]) -> FloatArray:
    """Vectors of records: the embedder's, or those of their words where there is none."""
    if view.models.space is not None:
        made = view.vectors([record.id for record in records])
        if made.shape[1]:
            return made
    return bags([record.text for record in records])


def _mean(view: View, members: Sequence[Record]) -> FloatArray:
    return _normal(_vectors(view, members).sum(axis=0))


def _normal(total: FloatArray) -> FloatArray:
    norm = float(np.linalg.norm(total))
    return np.asarray(total / norm if norm > 0 else total, np.float32)


def _text(record: Record) -> str:
    """What a record tells, without the line that says who spoke and when."""
    head, _, told = record.text.partition("\n")
    return told or head


def _contains(group: str, member: str) -> Op:
    return Link(edge=Edge(source=group, kind=EdgeKind.CONTAINS, target=member))


def _keys(view: View, record: Record, mean: FloatArray) -> tuple[Key, ...]:
    """Keys of a group: of its words, and the mean of its members' vectors."""
    space = view.models.space
    keys = view.keys(record)
    if space is None or not keys or not np.any(mean):
        return keys
    kept = tuple(key for key in keys if (key.channel, key.space) != ("vectors", space))
    return (*kept, Key(channel="vectors", space=space, body=mean.astype("<f4").tobytes()))


def _rekeyed(view: View, group: Record, mean: FloatArray) -> list[Op]:
    space = view.models.space
    if space is None or not np.any(mean):
        return []
    key = Key(channel="vectors", space=space, body=mean.astype("<f4").tobytes())
    return [Rekey(id=group.id, channel="vectors", space=space, keys=(key,))]


def _group(
    members: Sequence[Record], level: int, view: View, mean: FloatArray, alias: str = ""
) -> Op:
    """A new group, named after its first member until it is described."""
    record = Record(
        id=f"@{alias or 'group'}", scope=view.scope, level=level, kind=_KINDS[level],
        text=_text(members[0]), valid_from=_until(members), stored_at=members[0].stored_at,
        said_at=min((aware(m.said_at) for m in members if m.said_at), default=None),
        payload={"by": "levels"}, trust=min(member.trust for member in members),
    )  # fmt: skip
    return Add(
        record=record, keys=_keys(view, record, mean), sources=tuple(m.id for m in members),
        contains=True,
    )  # fmt: skip


def _until(members: Sequence[Record]) -> Any:
    """From when on all of it had been said: an earlier look at the scope must not show it."""
    return max(aware(m.valid_from or m.said_at or m.stored_at) for m in members)


def _made_of(members: Sequence[Record]) -> str:
    """A sign of who the members are and what they say."""
    told = "\n".join(sorted(f"{member.id} {member.version}" for member in members))
    return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
