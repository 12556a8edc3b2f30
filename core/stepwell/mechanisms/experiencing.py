"""Experiences: a goal, the steps taken towards it, and how it ended, as one record that is found.

An experience of a task rests on the task's record and on its turns; where nobody opens tasks, a
remark is the goal and what answers it the steps. Texts are made of turns alone, so that whoever
forgets one has it out of the experience too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue

from stepwell.contracts import Plan, View
from stepwell.filters import Filter
from stepwell.mechanisms import grounding
from stepwell.mechanisms.gisting import leading
from stepwell.models import EdgeKind, Hit, Key, Kind, Record, Status
from stepwell.ops import Add, Hide, Op, Revise, SetState

#: All that there are, in one scan.
ALL = 1_000_000
#: Steps of an experience that are told of at most, the latest ones.
STEPS = 64
#: Experiences that are held against a question one by one.
LOOKED_AT = 256
#: Where the payload of an experience says how it ended; None where nobody said.
OUTCOME = "ended"
#: A task that ended at least this well succeeded.
GOOD = 0.5


@dataclass(frozen=True)
class Lived:
    """What was gone through: `base` is the task, or the trace, that it is known by."""

    base: Record
    goal: Record
    steps: tuple[Record, ...]
    outcome: float | None

    @property
    def sources(self) -> tuple[str, ...]:
        """What an experience of it rests on."""
        of = (self.goal, *self.steps)
        return tuple(dict.fromkeys([self.base.id, *(record.id for record in of)]))


def ended(view: View, mark: str, limit: int) -> list[Lived]:
    """Tasks whose outcome was said, or said anew, since `marked`; in order of arrival."""
    tasks = [
        task
        for task in view.records(Filter(kind=Kind.TASK), limit=ALL)
        if outcome_of(task) is not None and task.payload.get(mark) != outcome_of(task)
    ][:limit]
    names = [task.task for task in tasks if task.task]
    turns: dict[str, list[Record]] = {}
    if names:
        for turn in view.records(Filter(level=0) & Filter(task=names), limit=ALL):
            turns.setdefault(turn.task or "", []).append(turn)
    made = []
    for task in tasks:
        goal = view.get(task.task) if task.task else None
        if goal is not None:
            steps = [turn for turn in turns.get(task.task or "", ()) if turn.id != goal.id]
            made.append(Lived(task, goal, tuple(steps[-STEPS:]), outcome_of(task)))
    return made


def answered(traces: Sequence[Record], view: View) -> list[Lived]:
    """Remarks with what answers them; turns that belong to a task are told by its own."""
    inside = grounding.members(traces, view)
    goals = {task.task for task in view.records(Filter(kind=Kind.TASK), limit=ALL)}
    made = []
    for trace in traces:
        turns = [t for t in inside[trace.id] if t.task is None and t.turn not in goals]
        if turns:
            made.append(Lived(trace, turns[0], tuple(turns[1 : STEPS + 1]), None))
    return made


def outcome_of(task: Record) -> float | None:
    """How a task ended; None while nobody has said so."""
    said = task.payload.get("outcome")
    return float(said) if isinstance(said, (int, float)) else None


def told(goal: Record, steps: Sequence[Record], outcome: float | None, tokens: int) -> str:
    """Goal, trajectory, outcome, as they are written; the goal is the beginning, word for word.

    Of the steps as much is told as there is room for, the same share of each.
    """
    room = max(4, tokens // max(1, len(steps)))
    lines = [leading(_step(step), room) for step in steps]
    text = "\n".join([goal.text, *(f"- {line}" for line in lines if line)])
    return text if outcome is None else f"{text}\n= {outcome:.2f}"


def _step(step: Record) -> str:
    said = " ".join(step.spoken.split())
    return f"{step.actor}: {said}" if step.actor else said


def added(
    lived: Lived, view: View, *, name: str = "", tokens: int = 192, by_goal: bool = False,
    payload: Mapping[str, JsonValue] | None = None,
) -> Add:  # fmt: skip
    """The experience, found by all that it tells, or by its goal alone (`by_goal`).

    It is trusted no more than the least trusted turn in it.
    """
    base = lived.base
    record = Record(
        id=name, scope=view.scope, level=1, kind=Kind.PROCEDURE,
        text=told(lived.goal, lived.steps, lived.outcome, tokens),
        payload={OUTCOME: lived.outcome, **(payload or {})},
        actor=lived.goal.actor, role=lived.goal.role, origin=lived.goal.origin,
        trust=min(turn.trust for turn in (lived.goal, *lived.steps)),
        session=lived.goal.session, task=base.task, said_at=lived.goal.said_at,
        stored_at=view.now,
    )  # fmt: skip
    return Add(record=record, keys=_keys(record, lived.goal, view, by_goal), sources=lived.sources)


def _keys(record: Record, goal: Record, view: View, by_goal: bool) -> tuple[Key, ...]:
    return view.keys(record.model_copy(update={"text": goal.text}) if by_goal else record)


def marked(lived: Sequence[Lived], mark: str) -> list[SetState]:
    """Ops that say of which tasks, with which outcomes, experiences were made."""
    tasks = [each for each in lived if each.outcome is not None]
    return [SetState(id=each.base.id, payload={mark: each.outcome}) for each in tasks]


def of_base(bases: Sequence[Record], view: View) -> dict[str, list[Record]]:
    """The active experiences that rest on each task or trace."""
    into = view.links([base.id for base in bases], EdgeKind.DERIVED_FROM, into=True)
    names = sorted({edge.source for edges in into.values() for edge in edges})
    held = {r.id: r for r in view.records(Filter(kind=Kind.PROCEDURE), limit=ALL)} if names else {}
    return {
        base.id: [held[e.source] for e in into.get(base.id, ()) if e.source in held]
        for base in bases
    }


def retold(record: Record, view: View, *, tokens: int = 192, by_goal: bool = False) -> list[Op]:
    """An experience of which a turn was forgotten, by what is left; without its goal it is gone."""
    if record.status is not Status.STALE or record.kind is not Kind.PROCEDURE:
        return []
    kind = EdgeKind.DERIVED_FROM
    names = [edge.target for edge in view.links([record.id], kind).get(record.id, ())]
    where = Filter(id=names) & Filter(status=[Status.ACTIVE, Status.STALE])
    rest = view.records(where, limit=len(names)) if names else []
    turns = [each for each in rest if each.level == 0]
    bases = [each for each in rest if each.level > 0]
    task = next((each for each in bases if each.kind is Kind.TASK), None)
    goals = [t for t in turns if t.turn == record.task] if record.task else turns[:1]
    if not goals or (record.task and task is None):
        return [Hide(id=record.id)]
    said = record.payload.get(OUTCOME)
    outcome = float(said) if isinstance(said, (int, float)) else None
    steps = [turn for turn in turns if turn.id != goals[0].id]
    made = record.model_copy(
        update={"text": told(goals[0], steps, outcome, tokens), "status": Status.ACTIVE}
    )
    keys = _keys(made, goals[0], view, by_goal)
    return [Revise(id=record.id, text=made.text, keys=keys, said_at=goals[0].said_at)]


def leading_on(hits: Sequence[Hit], experiences: Sequence[Hit]) -> list[Hit]:
    """Experiences, best first, then the turns that none of them tells."""
    covered = {turn for hit in experiences for turn in hit.sources}
    half = grounding.SUPPORTED
    first = [replace(hit, score=half + half * min(1.0, hit.score)) for hit in experiences]
    rest = [
        replace(hit, score=half * min(0.999, hit.score))
        for hit in hits
        if hit.record.level == 0 and not covered.issuperset(hit.sources)
    ]
    return [*first, *rest]


def judged(success: float, tries: float, z: float) -> tuple[float, float]:
    """Between which shares of success the true one lies (Wilson's interval); (0, 1) untried.

    With `z` = 0 both are the plain share.
    """
    if tries <= 0:
        return 0.0, 1.0
    share = min(1.0, max(0.0, success / tries))
    square = z * z / tries
    middle = share + square / 2
    half = z * math.sqrt(share * (1 - share) / tries + square / (4 * tries))
    low, high = (middle - half) / (1 + square), (middle + half) / (1 + square)
    return min(share, max(0.0, low)), max(share, min(1.0, high))


def nearest(hits: Sequence[Hit], plan: Plan, view: View, k: int) -> list[Hit]:
    """The best `k` experiences among the hits, filled up by cosine where so many do not stand out.

    It is in a small memory that few do; of a large one no more than `LOOKED_AT` are looked at.
    """
    told = [hit for hit in hits if hit.record.kind is Kind.PROCEDURE][:k]
    if len(told) == k or view.models.space is None:
        return told
    where, known = Filter(kind=Kind.PROCEDURE), {hit.record.id for hit in told}
    if plan.query.where is not None:
        where = where & plan.query.where
    others = [
        record
        for record in view.records(where, limit=LOOKED_AT)
        if record.id not in known and record.trust >= plan.query.min_trust
    ]
    near = grounding.cosines(plan.query.text, [record.id for record in others], view)
    if near is None or not others:
        return told
    least = min((hit.score for hit in told), default=1.0)
    for place in sorted(range(len(others)), key=lambda at: (-float(near[at]), others[at].id)):
        sources, cosine = view.sources(others[place].id), float(near[place])
        if cosine <= 0 or len(told) == k:
            break
        if not plan.query.without.issuperset(sources):
            score = least * min(1.0, cosine)
            told.append(Hit(others[place], score, sources, {"cosine": score}))
    return told
