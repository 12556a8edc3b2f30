"""Task Memory Engine: working memory as a tree (2025, arXiv 2504.08525 and arXiv 2505.19436).

Faithful: what is done on the way to a goal is a tree of parts with dependencies between them, and
what a model is shown is the active path, from the goal to the part in hand, in place of the linear
history. A change takes the place of a part; what was there stays in the history.

Mended: the published code keys parts by a text and takes the first that fits, in whichever tree;
here they are records, and a name is looked for below its parent alone. It rewrites who depends on
whom and leaves dependants as they were, and nothing can be undone; here whatever depends on what
was replaced holds no more, and going back is exact, by "undo", "go back to ..." and "redo". Cycles
cannot come up. Its rules know words of travel and cooking; here a part begins where a turn names
one (`subtask` in its payload, a list for one within another, or a first line "Subtask: ..."), or
turns to something else. A part depends on what its turns answer out of order, what they name
(`depends_on` in a payload), and where things that they use, known by an identifier, were found.

Outside of a task everything is as under `default`, and so are questions with a filter. While all
that was said fits the budget of a context, stepwell shows all of it. A language model is asked
which part a correction is about; without one the words that they share tell. Left out: splitting
one turn into several parts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from stepwell import (
    Add,
    Block,
    Edge,
    EdgeKind,
    Filter,
    Hide,
    Hit,
    Kind,
    Link,
    Op,
    Packing,
    Plan,
    Preset,
    Record,
    Relation,
    Revise,
    SetSlot,
    SetState,
    Status,
    Supersede,
    Unlink,
    View,
    hookimpl,
)
from stepwell.mechanisms.forest import Choose, Forest, Part, bag, intent
from stepwell.mechanisms.packing import cost_of, pack_flat

NAME = "tme"
ALL = 1_000_000
TASKS = Filter(kind=Kind.TASK, level=1)
PARTS = Filter(kind=Kind.PROCEDURE, level=1, payload={"by": NAME})
DEPENDS = "depends on"
#: What a turn of the path is known by among the reasons of a hit.
WHY = "active path"
#: From a part that stands in another's place, and from it to what depended on that one.
MEANT, TOO = 1.0, 0.5
#: What is beside the path scores no more.
BESIDE = 0.5
_WORD = re.compile(r"\S+")
_WRONG = (Relation.CONTRADICTS, Relation.RESOLVES)


@dataclass(frozen=True)
class Params:
    """`least` and `most` turns of a part, and how near a turn is that goes on with it.

    Shown are the last `steps` of the part in hand, `siblings` parts in short, of `words` words for
    each thing said of them, and `beside` turns that answer the question. Of `batch` turns the tree
    is grown at once.
    """

    least: int = 2
    most: int = 12
    near: float = 0.3
    steps: int = 4
    siblings: int = 8
    words: int = 16
    beside: int = 4
    batch: int = 512

    def forest(self) -> Forest:
        """A tree without a part."""
        return Forest(self.least, self.most, self.near)


@dataclass(frozen=True)
class Growing:
    """Keeps the tree of each task as its turns tell it."""

    params: Params = Params()
    name: str = "tme-growing"

    @hookimpl
    def organize(self, record: Record, view: View) -> Sequence[Op]:
        """A part of which something was forgotten is told anew; then the tree is grown again."""
        if record.status is not Status.STALE or record.payload.get("by") != NAME:
            return ()
        edges = view.links([record.id], EdgeKind.CONTAINS).get(record.id, ())
        turns = _turns([edge.target for edge in edges], view)
        again = SetSlot(slot=NAME, text="")
        if not turns:
            return [Hide(id=record.id), again]
        part = Part(record.id, turns=turns)
        return [_revised(record, _text(part, self.params.words), part, view), again]

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """The next turns of tasks; the slot tells up to which one the trees are grown."""
        if not view.records(TASKS, limit=1):
            return ()
        after = view.slot(NAME).text or None
        fresh = view.records(Filter(level=0), after=after, limit=self.params.batch)
        names = list(dict.fromkeys(turn.task for turn in fresh if turn.task))
        if not names:
            more = len(fresh) == self.params.batch
            return [_seen(fresh[-1])] if more else ()
        tasks = view.records(TASKS & Filter(task=names), limit=ALL)
        ops: list[Op] = []
        done = True
        for task in tasks:
            where = Filter(level=0, task=task.task)
            turns = [turn for turn in view.records(where, limit=ALL) if turn.id <= fresh[-1].id]
            made, whole = self._grown(task, turns, view)
            ops, done = ops + made, done and whole
        return [*ops, _seen(fresh[-1])] if done else ops

    def _grown(self, task: Record, turns: Sequence[Record], view: View) -> tuple[list[Op], bool]:
        """What it takes from the records of a task's parts to what its turns tell; if it is all."""
        known = _Known(task, view)
        forest = replace(self.params.forest(), decided=known.decided)
        if view.models.language_model is not None:
            forest.choose = _asking(view)
        for turn in turns:
            if turn.turn != task.task:
                forest.take(turn)
        return known.changed(forest, self.params.words)


class _Known:
    """The records of a task's parts, and what they lead to."""

    def __init__(self, task: Record, view: View) -> None:
        self.task, self.view = task, view
        standing = [Status.ACTIVE, Status.SUPERSEDED, Status.STALE]
        where = PARTS & Filter(task=task.task, status=standing)
        records = {record.id: record for record in view.records(where, limit=ALL)}
        self.inside = {
            name: [edge.target for edge in edges]
            for name, edges in view.links(list(records), EdgeKind.CONTAINS).items()
        }
        self.needs = view.links(list(records), EdgeKind.RELATED)
        # A part is known by its first turn, and by how deep it lies.
        self.records: dict[str, Record] = {}
        for name, record in records.items():
            turns = [each for each in self.inside.get(name, ()) if each not in records]
            if turns:
                depth = _number(record, "depth")
                key = f"{min(turns)}/{depth}" if depth else min(turns)
                self.records.setdefault(key, record)
        keys = {record.id: key for key, record in self.records.items()}
        self.extra = [name for name in records if name not in keys]
        self.decided = {
            keys[name].partition("/")[0]: keys[edge.target]
            for name, edges in view.links(list(keys), EdgeKind.SUPERSEDES).items()
            for edge in edges
            if edge.weight == MEANT and edge.target in keys and keys[edge.target] < keys[name]
        }

    def changed(self, forest: Forest, words: int) -> tuple[list[Op], bool]:
        """The ops from what is known to what is so; False if more are to come after these.

        A record that is written anew is put out of force in the next step: of ops of both sorts on
        one record a single one stands.
        """
        ops: list[Op] = []
        parts = forest.parts
        ids = {key: self.records[key].id if key in self.records else f"@{key}" for key in parts}
        for key, part in parts.items():
            ops += self._told(part, ids[key], words)
        for part in parts.values():
            ops += self._linked(part, ids)
        gone = [record.id for key, record in self.records.items() if key not in parts]
        ops += [Hide(id=name) for name in (*gone, *self.extra)]
        written = {op.record.id if isinstance(op, Add) else op.id
                   for op in ops if isinstance(op, (Add, Revise))}  # fmt: skip
        stood = [op for part in parts.values() for op in self._stood(part, ids, forest)]
        now = [op for op in stood if isinstance(op, SetState) or op.replaces not in written]
        return [*ops, *now], len(now) == len(stood)

    def _told(self, part: Part, name: str, words: int) -> list[Op]:
        text, depth = _text(part, words), len(part.path()) - 1
        span = {"by": NAME, "first": part.first, "last": part.last, "depth": depth}
        record = self.records.get(part.key)
        turns = [turn.id for turn in part.turns]
        if record is None:
            fresh = Record(
                id=name, scope=self.task.scope, level=1, kind=Kind.PROCEDURE, text=text,
                task=self.task.task, session=self.task.session, said_at=part.turns[-1].said_at,
                stored_at=self.view.now, payload=dict(span),
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
            ops.append(SetState(id=name, payload=dict(span)))
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


@dataclass(frozen=True)
class Path:
    """Within a task: the goal, the path to the part in hand, its last steps, the rest in short."""

    params: Params = Params()
    name: str = "tme-path"

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """The active path, then what answers the question of what still holds."""
        query = plan.query
        if query.task is None or query.where is not None or query.min_trust > 0:
            return hits
        if 0 not in query.levels or max(query.levels) > 1:
            return hits
        task = next(iter(view.records(TASKS & Filter(task=query.task), limit=1)), None)
        goal = view.get(query.task)
        if task is None or goal is None or goal.turn != query.task:
            return hits
        shown, gone = self._path(task, goal, view)
        kept = {hit.record.id for hit in shown}
        rest = [
            replace(hit, score=min(hit.score, BESIDE))
            for hit in hits
            if hit.record.id not in kept and hit.record.id not in gone and hit.record.level == 0
        ]
        return [*shown, *(rest if query.budget is None else rest[: self.params.beside])]

    def _path(self, task: Record, goal: Record, view: View) -> tuple[list[Hit], set[str]]:
        """What is shown of a task, best first, and the ids of turns that hold no more."""
        p = self.params
        known = _Standing(task, view, p.forest())
        forest, records = known.forest, known.records
        where = Filter(level=0, task=task.task)
        for turn in view.records(where, after=view.slot(NAME).text or None, limit=ALL):
            if turn.turn != task.task:
                forest.take(turn)
        now, path, steps = forest.now, [], []
        if now is not None:
            late = now.turns[-p.steps :]
            early = known.members.get(now.key, [])
            early = early[len(early) - p.steps + len(late) :] if len(late) < p.steps else []
            steps = [*_turns(early, view), *late]
            path = [part for part in now.path()[::-1] if part.key in records]
            if now.size <= len(steps):
                path = [part for part in path if part is not now]
        around = {now.key, *(part.key for part in now.path())} if now is not None else set()
        others = [part for part in forest.held() if part.key not in around]
        beside = [part for part in others if part.key in records]
        beside = sorted(beside, key=lambda part: -part.last)[: p.siblings]
        ranked = [*steps[:-3:-1], goal, *(records[part.key] for part in path)]
        ranked += [*steps[:-2][::-1], *(records[part.key] for part in beside)]
        made = [
            _hit(record, 1 - (1 - BESIDE) * at / len(ranked), self._sources(record, view))
            for at, record in enumerate(ranked)
        ]
        return made, known.gone()

    def _sources(self, record: Record, view: View) -> tuple[str, ...]:
        return (record.turn,) if record.turn else view.sources(record.id)

    @hookimpl
    def pack(self, hits: Sequence[Hit], budget: int, view: View) -> Packing | None:
        """The goal, other parts in short, the path and its last steps; the last of all first."""
        path = [hit for hit in hits if WHY in hit.why]
        if not path:
            return None
        packed = pack_flat(hits, budget, arrival=view.place)
        blocks, left = list(packed.blocks), list(packed.left_out)
        last = path[0]
        if all(block.hit.record.id != last.record.id for block in blocks):
            short = _short(last.record.spoken, max(8, budget // 8))
            if short and cost_of(last.record.model_copy(update={"text": short})) < budget // 2:
                rest = [hit for hit in hits if hit is not last]
                packed = pack_flat(rest, budget // 2, arrival=view.place)
                blocks = [*packed.blocks, Block(last, short)]
                left = list(packed.left_out)
        blocks.sort(key=_order)
        return Packing(tuple(blocks), tuple(left))


class _Standing:
    """The tree of a task as its records tell it, without the turns."""

    def __init__(self, task: Record, view: View, forest: Forest) -> None:
        self.forest = forest
        standing = Filter(task=task.task, status=[Status.ACTIVE, Status.SUPERSEDED])
        self.records = {r.id: r for r in view.records(PARTS & standing, limit=ALL)}
        links = view.links(list(self.records), EdgeKind.CONTAINS)
        inside = {name: [edge.target for edge in edges] for name, edges in links.items()}
        #: The turns of each part.
        self.members = {
            name: [target for target in inside.get(name, ()) if target not in self.records]
            for name in self.records
        }
        parts = forest.parts
        for name, record in self.records.items():
            if record.status is Status.ACTIVE:
                part = Part(name, record.text.partition(" → ")[0], size=len(self.members[name]))
                part.about |= bag(record.text)
                part.first, part.last = _number(record, "first"), _number(record, "last")
                forest.taken = max(forest.taken, part.last)
                parts[name] = part
        for name, part in parts.items():
            part.children = [parts[target] for target in inside.get(name, ()) if target in parts]
            for child in part.children:
                child.parent = part
        last = max(parts.values(), key=lambda p: (p.last, len(p.path())), default=None)
        forest.now = last

    def gone(self) -> set[str]:
        """The turns of parts that hold no more."""
        gone: set[str] = set()
        for name, turns in self.members.items():
            if name not in self.forest.parts:
                gone.update(turns)
        for part in self.forest.parts.values():
            if not self.forest.holds(part):
                gone.update([*self.members.get(part.key, ()), *(turn.id for turn in part.turns)])
        held = {turn.id for part in self.forest.held() for turn in part.turns}
        return gone - held - {name for part in self.forest.held()
                              for name in self.members.get(part.key, ())}  # fmt: skip


def _order(block: Block) -> tuple[int, bool]:
    """What is beside the path first, then the goal, the parts as they came, the steps."""
    record = block.hit.record
    if WHY not in block.hit.why:
        return 0, False
    if record.turn and record.turn == record.task:
        return 1, False
    return (2, False) if record.kind is Kind.PROCEDURE else (3, False)


def _asking(view: View) -> Choose:
    """Which text a correction contradicts, or says the end of; the latest of them."""

    def choose(text: str, older: Sequence[str]) -> int | None:
        told = view.models.relate(text, older)
        return next((n for n in reversed(range(len(told))) if told[n] in _WRONG), None)

    return choose


def _seen(turn: Record) -> SetSlot:
    return SetSlot(slot=NAME, text=turn.id, sources=(turn.turn or turn.id,))


def _turns(names: Sequence[str], view: View) -> list[Record]:
    """The turns of some ids, in order of arrival."""
    if not names:
        return []
    return view.records(Filter(id=list(names), level=0), limit=len(names))


def _number(record: Record, entry: str) -> int:
    value = record.payload.get(entry)
    return value if isinstance(value, int) else 0


def _hit(record: Record, score: float, sources: tuple[str, ...]) -> Hit:
    return Hit(record, score, sources, {WHY: score})


def _short(text: str, words: int) -> str:
    """The first words of a text, on one line."""
    found = [match[0][:40] for match in islice(_WORD.finditer(text[:20_000]), words + 1)]
    return " ".join(found[:words]) + (" …" if len(found) > words else "")


def _text(part: Part, words: int) -> str:
    """A part in short: its name, or how it began, and what came of it last."""
    first, last = part.turns[0], part.turns[-1]
    begun = _short(part.name or first.text or first.spoken, words)
    said = [begun or first.id]
    if len(part.turns) > 1 or last.observation:
        acted = next((turn.action for turn in reversed(part.turns) if turn.action), None)
        told = [turn for turn in part.turns if turn.action or not _returns(turn)]
        came = (told or part.turns)[-1].observation or (told or part.turns)[-1].text
        ends = [_short(each, words) for each in (acted, came) if each]
        said += [end for end in dict.fromkeys(ends) if end and end != begun]
    short = " → ".join(said)
    return short if len(part.turns) == 1 else f"{short} ({len(part.turns)} steps)"


def _returns(turn: Record) -> bool:
    """Whether a turn goes back to a part, and says nothing of it."""
    said = intent(turn.text)
    return said is not None and said[0] != "change"


def _revised(record: Record, text: str, part: Part, view: View) -> Revise:
    fresh = record.model_copy(update={"text": text})
    said_at = part.turns[-1].said_at
    return Revise(id=record.id, text=text, keys=view.keys(fresh), said_at=said_at)


PRESET = Preset(
    NAME,
    1,
    (
        "words",
        "vectors",
        "levels",
        "facts",
        "ranker",
        "together",
        "current",
        "overview",
        "channel-window",
        "channel-words",
        "channel-stretch",
        "channel-session",
        "channel-speaker",
        "channel-time",
        "channel-length",
        "channel-when",
        "channel-vectors",
        "channel-vector_window",
        "channel-vector_stretch",
        "channel-recent",
        "packer",
        Growing(),
        Path(),
    ),
)
