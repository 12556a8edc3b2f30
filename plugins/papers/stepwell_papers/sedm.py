"""SEDM (arXiv 2509.09498v3, 2025): what is remembered has to be admitted, and keeps its weight.

Faithful: a candidate is replayed, with it and without it, and admitted iff S = gain - `per_token` x
tokens >= `eta`; it is found by similarity times weight; its weight goes up with what it brought and
down with its use; beside it stands a general one, with typed placeholders for links, quotations,
paths, numbers and names, that weighs `general` times as much and competes with it.

Mended: replaying needs no model and no environment: a candidate has to lie nearer to other goals
that were logged than any experience does that is there already. One that no logged goal asks for
has nothing to be replayed on, and begins with the `prior`. Weights are clamped, for one of zero
would never be found again; use costs by the logarithm of its count, so that what is popular does
not die of it; a weight is a pure function of the ledger. A near-duplicate gains nothing at replay:
it is not admitted rather than merged later, so that no evidence is counted twice. What was not
admitted is in the journal, with its score; its turns are there as ever.

Left out: latency, which replaying without a model does not have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from stepwell import (
    Add,
    Filter,
    Hide,
    Hit,
    Kind,
    Op,
    Plan,
    Preset,
    Query,
    Record,
    Revise,
    SetState,
    Usage,
    View,
    hookimpl,
)
from stepwell.mechanisms import drawing, experiencing, grounding, placing
from stepwell.mechanisms.buffering import exchanges
from stepwell.mechanisms.replaying import cost, gain, general

NAME = "sedm"
GOAL, WEIGHT, GENERAL = "goal", "weight", "general"
ALL = 1_000_000


@dataclass(frozen=True)
class Params:
    """Admission, the course of weights, and how many are shown.

    The paper gives no values. `near` is how far towards 1, from the usual cosine, a goal lies that
    asks for an experience; `goals` of the latest are replayed.
    """

    k: int = 5
    eta: float = 0.0
    per_token: float = 1e-4
    prior: float = 0.5
    up: float = 0.1
    used: float = 0.01
    least: float = 0.05
    most: float = 2.0
    general: float = 0.5
    near: float = 0.5
    goals: int = 512
    tokens: int = 192
    step: int = 64


def weight(first: float, usage: Usage, params: Params) -> float:
    """What an experience weighs: how it began, what it brought, and how often it was used."""
    brought = params.up * (usage.success - usage.failure)
    now = first + brought - params.used * math.log1p(max(0, usage.used))
    return min(params.most, max(params.least, now))


@dataclass(frozen=True)
class Admission:
    """Candidates are replayed, and admitted or not."""

    params: Params = Params()
    name: str = "sedm-admission"

    @hookimpl
    def segment(self, buffer: Sequence[Record]) -> Sequence[int]:
        """A remark and its answer."""
        return exchanges([turn.actor or turn.role for turn in buffer])

    @hookimpl
    def extract(self, trace: Record) -> Sequence[Op]:
        """A remark that was answered since is a candidate again."""
        return drawing.again(trace, NAME)

    @hookimpl
    def organize(self, record: Record, view: View) -> Sequence[Op]:
        """An experience that lost a turn; a general one is made general again."""
        ops = experiencing.retold(record, view, tokens=self.params.tokens)
        if not record.payload.get(GENERAL):
            return ops
        return [self._general(op, record, view) if isinstance(op, Revise) else op for op in ops]

    def _general(self, op: Revise, record: Record, view: View) -> Revise:
        made = record.model_copy(update={"text": general(op.text)})
        return op.model_copy(update={"text": made.text, "keys": view.keys(made)})

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """The next candidates, in order of arrival."""
        p = self.params
        traces = drawing.waiting(view, NAME, p.step)
        lived = [*experiencing.ended(view, NAME, p.step), *experiencing.answered(traces, view)]
        done: list[Op] = [*experiencing.marked(lived, NAME), *drawing.read(traces, NAME)]
        if not lived:
            return done
        before = experiencing.of_base([each.base for each in lived], view)
        again = list(dict.fromkeys(older.id for some in before.values() for older in some))
        known = view.records(Filter(kind=Kind.PROCEDURE), limit=ALL)
        known = [r for r in known if r.id not in set(again) and not r.payload.get(GENERAL)]
        logged = [task.task or "" for task in view.records(Filter(kind=Kind.TASK), limit=ALL)]
        logged = [goal.id for goal in map(view.get, logged[-p.goals :]) if goal is not None]
        own = [each.goal.id for each in lived]
        asked = list(dict.fromkeys([*logged, *own]))
        goals = grounding.vectors_by_id(
            [*asked, *own, *(str(each.payload.get(GOAL)) for each in known)], view
        )
        near = placing.threshold(placing.usual(goals[:48]), p.near)
        rows, admitted = goals[len(asked) : len(asked) + len(own)], goals[len(asked) + len(own) :]
        ops: list[Op] = [Hide(id=name, why="its outcome was said anew") for name in again]
        for each, row in zip(lived, rows, strict=True):
            others = goals[[at for at, name in enumerate(asked) if name != each.goal.id]]
            found = gain(row, admitted, others, near)
            add = experiencing.added(each, view, tokens=p.tokens)
            won = 1.0 if each.outcome is None else each.outcome
            score = (p.prior if found is None else found) * won
            score -= p.per_token * cost(add.record.text)
            if score <= p.eta and (found is not None or not won):
                # What is new is taken on trust, but nothing is learnt from what has failed.
                mark = drawing.READ if each.outcome is None else each.outcome
                why = f"not admitted: {score:.4f}"
                ops.append(SetState(id=each.base.id, why=why, payload={NAME: mark}))
                continue
            admitted = np.vstack([admitted, row[None]])
            begins = p.prior * won if found is None else p.prior + score
            ops += self._both(add, each.goal.id, begins, view)
        return [*ops, *done]

    def _both(self, add: Add, goal: str, begins: float, view: View) -> list[Op]:
        """An admitted experience, and the general one where it differs."""
        payload = {**add.record.payload, GOAL: goal, WEIGHT: begins}
        made = add.record.model_copy(update={"payload": payload})
        ops: list[Op] = [add.model_copy(update={"record": made, "why": f"admitted: {begins:.4f}"})]
        text = general(made.text)
        if text != made.text:
            payload = {**payload, WEIGHT: begins * self.params.general, GENERAL: True}
            wide = made.model_copy(update={"text": text, "payload": payload})
            ops.append(add.model_copy(update={"record": wide, "keys": view.keys(wide)}))
        return ops


@dataclass(frozen=True)
class Weighed:
    """Experiences by similarity times weight."""

    params: Params = Params()
    name: str = "sedm-weighed"

    @hookimpl
    def plan(self, query: Query, view: View) -> Plan:
        """Turns, then experiences, three times as many as are shown."""
        near = {"vectors": 1.0, "words": 0.0} if view.models.space else {"words": 1.0}
        return grounding.by_way_of(query, [Kind.PROCEDURE], near, 3 * self.params.k)

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """The best by both, one of each goal, then the turns that they do not tell."""
        if not grounding.led(plan):
            return hits
        p, seen = self.params, dict[object, Hit]()
        for hit in experiencing.nearest(hits, plan, view, 3 * p.k):
            said = hit.record.payload.get(WEIGHT)
            first = float(said) if isinstance(said, (int, float)) else p.prior
            weighs = weight(first, view.usage(hit.record.id), p)
            now = replace(hit, score=hit.score * weighs / p.most, why={**hit.why, WEIGHT: weighs})
            goal = hit.record.payload.get(GOAL)
            if goal not in seen or seen[goal].score < now.score:
                seen[goal] = now
        told = sorted(seen.values(), key=lambda hit: (-hit.score, hit.record.id))
        return experiencing.leading_on(hits, told[: p.k])


PRESET = Preset(
    NAME,
    1,
    (
        "words",
        "vectors",
        Admission(),
        Weighed(),
        "channel-vectors",
        "channel-words",
        "channel-order",
        "flat-packer",
    ),
)
