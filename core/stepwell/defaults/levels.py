"""The policy of levels: traces where the talk turns, categories of traces, domains of categories.

A record joins the group it is nearest to, or begins one. What that got wrong is mended bit by bit:
groups that grew too large are split, those that are alike put together, and what changed gets
another label and gist. A group keeps its id for as long as it is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from pydantic import JsonValue

from stepwell.contracts import FloatArray, View
from stepwell.filters import Filter
from stepwell.hookspecs import hookimpl
from stepwell.mechanisms import grouping, placing
from stepwell.mechanisms.grounding import members as members_of
from stepwell.mechanisms.grounding import vectors_of
from stepwell.mechanisms.grouping import normal
from stepwell.mechanisms.labelling import labels
from stepwell.mechanisms.segmenting import segments
from stepwell.models import EdgeKind, Kind, Record, Status, aware
from stepwell.ops import Add, Hide, Op, Revise, SetState, Unlink

_KINDS: Final = {1: Kind.TRACE, 2: Kind.CATEGORY, 3: Kind.DOMAIN}
_ALL: Final = 1_000_000
#: Records that what is usual in a space is told from.
_SAMPLE: Final = 48
#: What one step of maintaining does at most: ops, about, and groups that are written.
_MANY: Final = 500
_STEP: Final = 128


@dataclass(slots=True)
class _Level:
    """The groups of one level, what they contain of the level below, and their vectors."""

    number: int
    records: list[Record]
    members: dict[str, list[str]]
    below: dict[str, Record]
    vectors: FloatArray

    def inside(self, group: Record) -> list[Record]:
        """The members of a group."""
        return [self.below[name] for name in self.members[group.id]]


@dataclass(frozen=True)
class Levels:
    """Grows and tidies the levels above the turns.

    `few`: records below from which on a level begins. `least`, `most`: turns of a trace. `silence`:
    hours that end one. `near`: how far from the usual cosine towards 1 a trace, or a category, must
    be near a group to join it. `full`: members from which a group is split. `same`: as `near`, for
    two groups that become one. `tokens`: of a gist.
    """

    few: int = 4
    least: int = 2
    most: int = 15
    silence: float = 3.0
    near: tuple[float, float] = (0.3, 0.15)
    full: int = 12
    same: float = 0.8
    tokens: int = 64
    name: str = "levels"

    @property
    def params(self) -> dict[str, object]:
        """What the file remembers of it."""
        return {
            name: getattr(self, name)
            for name in ("few", "least", "most", "silence", "near", "full", "same", "tokens")
        }

    # traces -----------------------------------------------------------------------------------

    @hookimpl
    def segment(self, buffer: Sequence[Record], view: View) -> Sequence[int]:
        """Ends of traces; the last one stays open."""
        vectors = vectors_of(buffer, view)
        return segments(
            vectors, [record.said_at for record in buffer], least=self.least, most=self.most,
            silence=timedelta(hours=self.silence),
        )  # fmt: skip

    # categories and domains -------------------------------------------------------------------

    @hookimpl
    def organize(self, record: Record, view: View) -> Sequence[Op]:
        """Writes a group anew that lost a member by forgetting; `maintain` places, many at once."""
        if record.status is Status.STALE and record.payload.get("by") == self.name:
            return self._again(record, view)
        return ()

    def _again(self, record: Record, view: View) -> Sequence[Op]:
        """A group that lost a member by forgetting, written anew of those that are left."""
        members = members_of([record], view)[record.id]
        if not members:
            return [Hide(id=record.id)]
        texts = [_text(member) for member in members]
        text = self._text(texts, labels([texts])[0], view)
        fresh = record.model_copy(update={"text": text})
        sign: dict[str, JsonValue] = {"made_of": _made_of(members)}
        until = _until(members)
        return [
            Revise(id=record.id, text=text, keys=grouping.keys(view, fresh, _mean(view, members))),
            SetState(id=record.id, payload=sign, valid_from=until),
        ]

    # tidying ----------------------------------------------------------------------------------

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """One step of what there is to place and to mend; nothing when all is well."""
        known = self._known(view)
        for number in (2, 3):
            level = _level(view, number, known)
            if not level.records and len(level.below) < self.few:
                break
            usual = placing.usual(vectors_of(list(level.below.values())[:_SAMPLE], view))
            for step in (self._placed, self._emptied, self._split, self._joined, self._described):
                ops = step(view, level, usual)
                if ops:
                    return ops
        return ()

    def _known(self, view: View) -> dict[int, dict[str, Record]]:
        """Traces, and the groups that this policy made: the active ones of each level."""
        known: dict[int, dict[str, Record]] = {level: {} for level in _KINDS}
        for record in view.records(Filter(level=list(_KINDS)), limit=_ALL):
            if record.kind is not _KINDS[record.level]:
                continue
            if record.level == 1 or record.payload.get("by") == self.name:
                known[record.level][record.id] = record
        return known

    def _placed(self, view: View, level: _Level, usual: float) -> list[Op]:
        """What lies in no group goes to the nearest one, or begins one."""
        inside = {name for names in level.members.values() for name in names}
        loose = [record for name, record in level.below.items() if name not in inside][:_MANY]
        if not loose:
            return []
        least = placing.threshold(usual, self.near[level.number - 2])
        vectors = vectors_of(loose, view)
        counts = [len(level.members[group.id]) for group in level.records]
        placed = placing.grown(_centres(view, level), counts, vectors, least)
        ops: list[Op] = []
        held = len(level.records)
        for at, rows in placed.rows.items():
            members = [loose[row] for row in rows]
            if at >= held:
                mean = normal(placed.centres[at])
                ops.append(
                    _group(members, level.number, view, mean, self.name, f"{self.name}-{at}")
                )
                continue
            group = level.records[at]
            ops += grouping.links(group.id, [member.id for member in members])
            ops += grouping.rekeyed(view, group.id, normal(placed.centres[at]))
        return ops

    def _emptied(self, view: View, level: _Level, usual: float) -> list[Op]:  # noqa: ARG002 - a step like the others
        empty = [record for record in level.records if not level.members[record.id]]
        return [Hide(id=record.id) for record in empty[:_MANY]]

    def _split(self, view: View, level: _Level, usual: float) -> list[Op]:  # noqa: ARG002 - a step like the others
        """A group that is too large keeps its largest part; the others get groups of their own."""
        ops: list[Op] = []
        for group in level.records:
            members = level.inside(group)
            if len(members) <= self.full or len(ops) > _MANY:
                continue
            vectors = vectors_of(members, view)
            kept, *leaving = placing.parts(vectors, self.full)
            for number, part in enumerate(leaving):
                some = [members[at] for at in part]
                mean = normal(vectors[part].sum(axis=0))
                alias = f"{group.id}/{number}"
                ops.append(_group(some, level.number, view, mean, self.name, alias))
                ops += [
                    Unlink(source=group.id, kind=EdgeKind.CONTAINS, target=member.id)
                    for member in some
                ]
            ops += grouping.rekeyed(view, group.id, normal(vectors[kept].sum(axis=0)))
        return ops

    def _joined(self, view: View, level: _Level, usual: float) -> list[Op]:
        """Groups that are alike become one, the one that was there first."""
        least = placing.threshold(usual, self.same)
        ops: list[Op] = []
        for one, other in placing.alike(level.vectors, least):
            kept, gone = level.records[one], level.records[other]
            mine, theirs = level.members[kept.id], level.members[gone.id]
            both = list(dict.fromkeys((*mine, *theirs)))
            if len(both) > self.full or len(ops) > _MANY:
                continue  # they would be split again
            ops += grouping.links(kept.id, [name for name in theirs if name not in mine])
            ops.append(Hide(id=gone.id))
            mean = _mean(view, [level.below[name] for name in both])
            ops += grouping.rekeyed(view, kept.id, mean)
        return ops

    def _described(self, view: View, level: _Level, usual: float) -> list[Op]:  # noqa: ARG002 - a step like the others
        """Another label and gist for groups whose members have changed."""
        changed = [
            group
            for group in level.records
            if group.payload.get("made_of") != _made_of(level.inside(group))
        ][:_STEP]
        if not changed:
            return []
        beside = [_text(level.below[name]) for name in sorted(level.below)[:256]]
        told = [[_text(member) for member in level.inside(group)] for group in changed]
        ops: list[Op] = []
        for group, texts, named in zip(changed, told, labels(told, beside), strict=True):
            members = level.inside(group)
            text = self._text(texts, named, view)
            fresh = group.model_copy(update={"text": text})
            # The mean of what grew moves on with it; a text that is the same is not written twice.
            keys = grouping.keys(view, fresh, _mean(view, members))
            ops.append(Revise(id=group.id, text=text, keys=keys, said_at=_began(members)))
            sign: dict[str, JsonValue] = {"made_of": _made_of(members)}
            ops.append(SetState(id=group.id, payload=sign, valid_from=_until(members)))
        return ops

    def _text(self, texts: Sequence[str], named: Sequence[str], view: View) -> str:
        """What a group is called, and what it tells."""
        told = view.models.summarize(texts[-64:], tokens=self.tokens).text
        head = ", ".join(named)
        return f"{head}\n{told}" if head and told else head or told or texts[0]


def _level(view: View, number: int, known: dict[int, dict[str, Record]]) -> _Level:
    """The groups of a level, with their active members."""
    records, below = list(known[number].values()), known[number - 1]
    edges = view.links(list(known[number]), EdgeKind.CONTAINS)
    members = {
        record.id: [e.target for e in edges.get(record.id, ()) if e.target in below]
        for record in records
    }
    return _Level(number, records, members, below, vectors_of(records, view))


def _centres(view: View, level: _Level) -> FloatArray:
    """The average of each group's members' vectors, not normalised, (g, dim)."""
    place = {name: at for at, name in enumerate(level.below)}
    vectors = vectors_of(list(level.below.values()), view)
    made = np.zeros((len(level.records), vectors.shape[1]), np.float32)
    for row, group in zip(made, level.records, strict=True):
        inside = [place[name] for name in level.members[group.id]]
        if inside:
            row[:] = vectors[inside].mean(axis=0)
    return made


def _mean(view: View, members: Sequence[Record]) -> FloatArray:
    return normal(vectors_of(members, view).sum(axis=0))


def _text(record: Record) -> str:
    """What a record tells, without the line that says who spoke and when."""
    head, _, told = record.text.partition("\n")
    return told or head


def _group(
    members: Sequence[Record], level: int, view: View, mean: FloatArray, maker: str, alias: str
) -> Op:
    """A new group, named after its first member until it is described."""
    record = Record(
        id=f"@{alias}", scope=view.scope, level=level, kind=_KINDS[level],
        text=_text(members[0]), valid_from=_until(members), stored_at=members[0].stored_at,
        said_at=_began(members), payload={"by": maker},
        trust=min(member.trust for member in members),
    )  # fmt: skip
    return Add(
        record=record, keys=grouping.keys(view, record, mean), sources=tuple(m.id for m in members),
        contains=True,
    )  # fmt: skip


def _began(members: Sequence[Record]) -> datetime | None:
    """Since when it was spoken of."""
    return min((aware(m.said_at) for m in members if m.said_at), default=None)


def _until(members: Sequence[Record]) -> datetime:
    """From when on all of it had been said: an earlier look at the scope must not show it."""
    return max(aware(m.valid_from or m.said_at or m.stored_at) for m in members)


def _made_of(members: Sequence[Record]) -> str:
    """A sign of who the members are and what they say."""
    told = "\n".join(sorted(f"{member.id} {member.version}" for member in members))
    return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
