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
that was said fits the budget of a context, stepwell shows all of it. What was said since the last
consolidation counts at once, but for going back, which is done by consolidating. A language model
is asked which part a correction is about; without one the words that they share tell. Left out:
splitting one turn into several parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stepwell import (
    Block,
    EdgeKind,
    Filter,
    Hide,
    Hit,
    Kind,
    Op,
    Packing,
    Plan,
    Preset,
    Record,
    Relation,
    SetSlot,
    Status,
    View,
    hookimpl,
)
from stepwell.mechanisms.forest import Choose, Forest
from stepwell.mechanisms.packing import cost_of, pack_flat
from stepwell.mechanisms.partition import Known, Standing, parts, short

NAME = "tme"
ALL = 1_000_000
TASKS = Filter(kind=Kind.TASK, level=1)
#: What a turn of the path is known by among the reasons of a hit.
WHY = "active path"
#: What is beside the path scores no more.
BESIDE = 0.5
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
    def organize(self, record: Record) -> Sequence[Op]:
        """A part of which something was forgotten steps back, and the trees are grown again."""
        # It is blank but for its kind: what is left of its turns makes another one.
        if record.status is not Status.STALE or record.kind is not Kind.PROCEDURE:
            return ()
        return [Hide(id=record.id), SetSlot(slot=NAME, text="")]

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """The next turns of tasks; the slot tells up to which one the trees are grown."""
        if not view.records(TASKS, limit=1):
            return ()
        after = seen = view.slot(NAME).text or None
        if after and not view.records(parts(NAME) & Filter(status=list(Status)), limit=1):
            after = None  # all that was derived is gone
        while True:
            fresh = view.records(Filter(level=0), after=after, limit=self.params.batch)
            ops, done = self._told(fresh, view)
            if ops or len(fresh) < self.params.batch:
                break
            after = fresh[-1].id
        tasks = any(turn.task for turn in fresh) or len(fresh) == self.params.batch
        if done and tasks and fresh[-1].id != seen:
            ops.append(_seen(fresh[-1]))
        elif not done and after is None and seen is not None:
            ops.append(SetSlot(slot=NAME, text=""))
        return ops

    def _told(self, fresh: Sequence[Record], view: View) -> tuple[list[Op], bool]:
        """What some turns make of the trees of their tasks; if it is all."""
        names = list(dict.fromkeys(turn.task for turn in fresh if turn.task))
        ops: list[Op] = []
        done = True
        for task in view.records(TASKS & Filter(task=names), limit=ALL) if names else ():
            last = next(turn.id for turn in reversed(fresh) if turn.task == task.task)
            turns = view.records(Filter(level=0, task=task.task), limit=ALL)
            until = next(n for n, turn in enumerate(turns, 1) if turn.id == last)
            turns = [turn for turn in turns[:until] if turn.turn != task.task]
            made, whole = self._grown(task, turns, view)
            ops, done = ops + made, done and whole
        return ops, done

    def _grown(self, task: Record, turns: Sequence[Record], view: View) -> tuple[list[Op], bool]:
        """What it takes from the records of a task's parts to what its turns tell; if it is all."""
        known = Known(task, turns, NAME, view)
        forest = replace(self.params.forest(), decided=known.decided)
        if view.models.language_model is not None:
            forest.choose = _asking(view)
        for turn in turns:
            forest.take(turn)
        return known.changed(forest, self.params.words)


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
        goal = view.get(query.task)
        if goal is None or goal.turn != query.task:
            return hits
        above = view.links([goal.id], EdgeKind.DERIVED_FROM, into=True).get(goal.id, ())
        held = (view.get(edge.source) for edge in above)
        task = next((one for one in held if one and one.kind is Kind.TASK), None)
        if task is None or task.task != query.task:
            return hits
        known = self._known(task, view)
        shown = self._path(goal, known, view)
        kept = {hit.record.id for hit in shown}
        turns = [hit for hit in hits if hit.record.id not in kept and hit.record.level == 0]
        gone = known.gone([hit.record for hit in turns if hit.record.task == task.task])
        rest = [
            replace(hit, score=min(hit.score, BESIDE)) for hit in turns if hit.record.id not in gone
        ]
        return [*shown, *(rest if query.budget is None else rest[: self.params.beside])]

    def _known(self, task: Record, view: View) -> Standing:
        """The tree as it is with what was said since it was grown."""
        known = Standing(task, NAME, view, self.params.forest())
        where = Filter(level=0, task=task.task)
        for turn in view.records(where, after=view.slot(NAME).text or None, limit=ALL):
            if turn.turn != task.task:
                known.forest.take(turn)
        return known

    def _path(self, goal: Record, known: Standing, view: View) -> list[Hit]:
        """What is shown of a task, best first."""
        p, forest, records = self.params, known.forest, known.records
        now, path, steps = forest.now, [], []
        if now is not None:
            late = now.turns[-p.steps :]
            early = known.members.get(now.key, [])
            early = early[-(p.steps - len(late)) :] if len(late) < p.steps else []
            steps = [*_turns(early, view), *late]
            path = [part for part in now.path()[::-1] if part.key in records]
            if now.size <= len(steps):
                path = [part for part in path if part is not now]
        around = {now.key, *(part.key for part in now.path())} if now is not None else set()
        others = [part for part in forest.held() if part.key not in around]
        others = sorted(others, key=lambda part: -part.last)[: p.siblings]
        beside = [records.get(part.key) or part.turns[0] for part in others]
        ranked = [*steps[:-3:-1], goal, *(records[part.key] for part in path)]
        ranked += [*steps[:-2][::-1], *beside]
        inside = {record.id: known.members.get(record.id, ()) for record in ranked}
        names = [turn for turns in inside.values() for turn in turns]
        said = {turn.id: turn.turn for turn in _turns(names, view)}
        made = []
        for at, record in enumerate(ranked):
            told = (said.get(turn) for turn in inside[record.id])
            rests = (record.turn,) if record.turn else tuple(turn for turn in told if turn)
            score = 1 - (1 - BESIDE) * at / len(ranked)
            made.append(_hit(record, score, rests or view.sources(record.id)))
        return made

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
            text = short(last.record.spoken, max(8, budget // 8))
            bare = {"text": text, "action": None, "observation": None, "attachments": ()}
            if text and cost_of(last.record.model_copy(update=bare)) < budget // 2:
                rest = [hit for hit in hits if hit is not last]
                packed = pack_flat(rest, budget // 2, arrival=view.place)
                blocks = [*packed.blocks, Block(last, text)]
                left = list(packed.left_out)
        blocks.sort(key=_order)
        return Packing(tuple(blocks), tuple(left))


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


def _hit(record: Record, score: float, sources: tuple[str, ...]) -> Hit:
    return Hit(record, score, sources, {WHY: score})


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
