"""Learning from tasks that have ended: each is linked with others, and insights come of them.

A task's record leads to the turns of its trajectory by edges `next`, weighed by their order, and
to tasks that are like it, or that it was shown something of, by edges `related`, weighed by cosine.
All that is known is read from these, so that another process can go on at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from stepwell.contracts import View
from stepwell.filters import Filter
from stepwell.mechanisms import trajectories
from stepwell.mechanisms.grounding import vectors_of
from stepwell.mechanisms.insights import Insight, agree, found, oppose, origins, targets, undone
from stepwell.mechanisms.trajectories import Finding, Trail
from stepwell.models import SHOWN, Edge, EdgeKind, Kind, Record
from stepwell.ops import ALIAS, Add, Link, Op, Revise, SetState, Unlink

#: A task that ended so well has succeeded.
GOOD: Final = 0.5
#: Turns of a task that are kept as its trajectory, the last ones.
STEPS: Final = 64
#: Turns that an insight of a language model is written from.
_READ: Final = 24
_ALL: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class How:
    """How to learn: from tasks at a cosine of `near`, `links` at most; `ops` insights a task.

    A pattern counts from `support` tasks on that end well, or badly, `lift` times as often as is
    usual. No more than `most` insights are kept, and one is written in `tokens` by a model.
    """

    mark: str
    near: float = 0.7
    links: int = 10
    ops: int = 4
    support: int = 2
    lift: float = 1.5
    most: int = 256
    tokens: int = 48


def ended(task: Record) -> float | None:
    """How a task ended, as far as it was said."""
    value = task.payload.get("outcome")
    return float(value) if isinstance(value, (int, float)) else None


def succeeded(task: Record) -> bool:
    """Whether a task has ended well."""
    return (ended(task) or 0.0) >= GOOD


def kept(task_ids: Sequence[str], view: View) -> dict[str, list[Record]]:
    """The turns of the trajectories of tasks that were learnt from, in order."""
    steps = view.links(task_ids, EdgeKind.NEXT)
    turns = {turn.id: turn for turn in found(targets(steps, list(steps)), Filter(level=0), view)}
    return {
        name: [
            turns[edge.target]
            for edge in sorted(edges, key=lambda edge: edge.weight)
            if edge.target in turns
        ]
        for name, edges in steps.items()
    }


@dataclass(slots=True)
class Lesson:
    """What is known while some tasks are learnt from, one after the other; the ops it comes to."""

    how: How
    view: View
    tasks: Mapping[str, Record]
    known: dict[str, Insight]
    rate: float
    trails: dict[str, Trail] = field(default_factory=dict)
    turns: dict[str, Record] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    made: dict[str, int] = field(default_factory=dict)
    goals: dict[str | None, str] = field(init=False)

    def __post_init__(self) -> None:
        self.goals = {task.task: name for name, task in self.tasks.items()}

    def learn(self, waiting: Sequence[str]) -> list[Op]:
        """Learn from some tasks that have ended, in this order."""
        before = [n for n, t in self.tasks.items() if t.payload.get(self.how.mark) is not None]
        near = self._near(before, waiting)
        older = sorted({name for chosen in near.values() for name in chosen} - set(waiting))
        for name, turns in kept(older, self.view).items():
            self._trail(name, turns)
        self._keep(waiting)
        shown = self.view.links(waiting, SHOWN)
        for name in waiting:
            told = set(targets(shown, [name]))
            self._link(name, near[name], told)
            self._heard(name, near[name])
            self._found(name, near[name], told)
            done = ended(self.tasks[name])
            self.ops.append(SetState(id=name, payload={self.how.mark: done}))
        return self.ops

    def _near(self, before: Sequence[str], waiting: Sequence[str]) -> dict[str, dict[str, float]]:
        """For each task those like it that were learnt from before it, nearest first."""
        names = [*before, *waiting]
        vectors = vectors_of([self.tasks[name] for name in names], self.view)
        made: dict[str, dict[str, float]] = {}
        for place in range(len(before), len(names)):
            cosines = vectors[:place] @ vectors[place]
            order = np.argsort(-cosines, kind="stable")[: self.how.links].tolist()
            made[names[place]] = {
                names[at]: float(cosines[at]) for at in order if cosines[at] >= self.how.near
            }
        return made

    def _trail(self, name: str, turns: Sequence[Record]) -> None:
        task = self.tasks[name]
        self.turns |= {turn.id: turn for turn in turns}
        self.trails[name] = trajectories.trail(name, task.text, turns, succeeded(task))

    def _keep(self, waiting: Sequence[str]) -> None:
        """The turns of each task that mattered, in order, by edges."""
        goals = {self.tasks[name].task: name for name in waiting}
        said: dict[str, list[Record]] = {name: [] for name in waiting}
        where = Filter(task=[goal for goal in goals if goal]) & Filter(level=0)
        for turn in self.view.records(where, limit=_ALL):
            said[goals[turn.task]].append(turn)
        for name, turns in said.items():
            mattered = trajectories.sparse(name, turns)[-STEPS:]
            for at, turn in enumerate(mattered, 1):
                edge = Edge(source=name, kind=EdgeKind.NEXT, target=turn.id, weight=float(at))
                self.ops.append(Link(edge=edge))
            self._trail(name, mattered)

    def _link(self, name: str, near: Mapping[str, float], told: set[str]) -> None:
        """A task with those that are like it, and those that it was shown something of."""
        weights = {other: max(0.0, cosine) for other, cosine in near.items()}
        goals = self.goals if told else {}
        turns = found(sorted(told), Filter(level=0), self.view)
        shown = [name for name in sorted(told) if name in self.tasks]
        shown += [goals[turn.turn] for turn in turns if turn.turn in goals]
        shown += [goals[turn.task] for turn in turns if turn.task in goals]
        for one in self.known.values():
            if one.id in told:
                shown += sorted(one.tasks)[: self.how.links]
        for other in dict.fromkeys(shown):
            if other != name and len(weights) < 2 * self.how.links:
                weights.setdefault(other, self.how.near)
        for other, weight in weights.items():
            edge = Edge(source=name, kind=EdgeKind.RELATED, target=other, weight=weight)
            self.ops.append(Link(edge=edge))

    def _heard(self, name: str, near: Mapping[str, float]) -> None:
        """What a task says for and against the insights of those around it."""
        mine = self.trails[name]
        for one in list(self.known.values()):
            if one.tasks.isdisjoint(near) or name in one.tasks:
                continue
            says = trajectories.speaks(one.sort, one.pattern, mine)
            if says:
                speak = agree if says > 0 else oppose
                self.known[one.id], ops = speak(one, name)
                self.ops += ops

    def _found(self, name: str, near: Mapping[str, float], told: set[str]) -> None:
        """Insights that are new with a task, or say more of what was known."""
        how, mine = self.how, self.trails[name]
        others = [self.trails[other] for other in near if other in self.trails]
        made = trajectories.frequent(mine, others, self.rate, support=how.support, lift=how.lift)
        unlike = next((one for one in others if one.good != mine.good), None)
        apart = None if unlike is None else trajectories.parted(mine, unlike)
        new = 0
        for finding in [*([] if apart is None else [apart]), *made]:
            tasks = frozenset(one.task for one in finding.trails)
            same = next((one for one in self.known.values() if _same(one, finding)), None)
            if same is not None:
                for task in sorted(tasks - same.tasks):
                    self.known[same.id], ops = agree(self.known[same.id], task)
                    self.ops += ops
                continue
            longer = _longer(finding, self.known.values())
            if any(tasks <= one.tasks for one in longer):
                continue  # what is known says this and more, of the same tasks
            shorter = _shorter(finding, self.known.values())
            if any(not one.tasks <= tasks for one in shorter):
                continue  # what is known is true of more tasks
            if new >= how.ops:
                break
            new += 1
            if shorter:
                self._edit(shorter[0], finding)
            elif len(self.known) < how.most:
                self._add(name, finding, told)

    def _add(self, name: str, finding: Finding, told: set[str]) -> None:
        one, record = self._told(f"{ALIAS}insight-{len(self.ops)}", finding)
        one = replace(one, first=len(one.tasks))
        record = record.model_copy(update={"payload": {self.how.mark: one.payload()}})
        self.made[one.id] = len(self.ops)
        self.ops.append(self._adding(one, record))
        goal = self.tasks[name].task or name
        for other in self.known.values():
            if other.id in told:
                # What was known contextualises what is new, by way of this task.
                edge = Edge(
                    source=other.id, kind=EdgeKind.RELATED, target=one.id, label="context",
                    sources=(goal,),
                )  # fmt: skip
                self.ops.append(Link(edge=edge))
        self.known[one.id] = one

    def _edit(self, less: Insight, finding: Finding) -> None:
        """An insight says more than before, of the same tasks and others."""
        one, record = self._told(less.id, finding)
        one = replace(
            less, pattern=one.pattern, tasks=one.tasks | less.tasks, told=one.told | less.told,
            edited=less.edited + 1, roles=one.roles,
        )  # fmt: skip
        record = record.model_copy(update={"payload": {self.how.mark: one.payload()}})
        self.known[one.id] = one
        if one.id in self.made:  # it is of this step: it is added as it is now
            self.ops[self.made[one.id]] = self._adding(one, record)
            return
        for name in sorted((one.tasks | one.told) - less.tasks - less.told):
            edge = Edge(source=one.id, kind=EdgeKind.DERIVED_FROM, target=name)
            self.ops.append(Link(edge=edge))
        self.ops.append(Revise(id=one.id, text=record.text, keys=self.view.keys(record)))
        self.ops.append(SetState(id=one.id, payload=record.payload))

    def _adding(self, one: Insight, record: Record) -> Add:
        sources = (*sorted(one.tasks), *sorted(one.told))
        return Add(record=record, keys=self.view.keys(record), sources=sources)

    def _told(self, insight: str, finding: Finding) -> tuple[Insight, Record]:
        """A finding in words, and what it rests on."""
        tasks = [self.tasks[one.task] for one in finding.trails]
        said = trajectories.quoted(finding)
        turns = [self.turns[name] for names in said.values() for name in names]
        text = trajectories.worded(finding.sort, finding.pattern, [t.text for t in tasks[:2]])
        if self.view.models.language_model is not None:
            lines = [turn.spoken for turn in turns[:_READ]]
            text = self.view.models.summarize([text, *lines], tokens=self.how.tokens).text or text
        roles = {name.casefold() for turn in turns for name in (turn.actor, turn.role) if name}
        one = Insight(
            insight, finding.sort, finding.pattern, frozenset(said),
            frozenset(turn.id for turn in turns), roles=tuple(sorted(roles)),
        )  # fmt: skip
        record = Record(
            id=insight, scope=self.view.scope, level=2, kind=Kind.INSIGHT, text=text,
            trust=min(one.trust for one in (*tasks, *turns)), stored_at=self.view.now,
            said_at=max((t.said_at for t in turns if t.said_at), default=None),
        )  # fmt: skip
        return one, record


def unlearnt(changed: Sequence[str], mark: str, view: View) -> list[Op]:
    """Tasks of which another outcome was said: what they spoke for, or against, is learnt anew."""
    above = origins(view.links(changed, EdgeKind.DERIVED_FROM, into=True), changed)
    rests = found(above, Filter(kind=Kind.INSIGHT), view)
    ops = undone([record.id for record in rests], mark, view)
    beside = view.links(changed, EdgeKind.RELATED, into=True)
    for name, edges in beside.items():
        against = [edge.source for edge in edges if edge.weight < 0]
        ops += [Unlink(source=one, kind=EdgeKind.RELATED, target=name) for one in against]
    return [*ops, *(SetState(id=name, payload={mark: None}) for name in changed)]


def _same(one: Insight, finding: Finding) -> bool:
    return (one.sort, one.pattern) == (finding.sort, finding.pattern)


def _longer(finding: Finding, known: Iterable[Insight]) -> list[Insight]:
    """Insights that say what a finding says, and more."""
    if finding.sort == "rather":
        return []
    return [one for one in known if one.sort == finding.sort and _in(finding.pattern, one.pattern)]


def _shorter(finding: Finding, known: Iterable[Insight]) -> list[Insight]:
    """Insights that say a part of what a finding says."""
    if finding.sort == "rather":
        return []
    return [one for one in known if one.sort == finding.sort and _in(one.pattern, finding.pattern)]


def _in(part: Sequence[str], whole: Sequence[str]) -> bool:
    size = len(part)
    return any(whole[at : at + size] == part for at in range(len(whole) - size + 1))
