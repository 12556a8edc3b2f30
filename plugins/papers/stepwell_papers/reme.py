"""ReMe (Remember Me, Refine Me, arXiv 2512.10696, 2025): experiences that have to prove themselves.

Faithful: an experience is indexed by when it is of use, here the goal, and by nothing else; the
best five are shown; each task that ends counts for what it was shown: `f` how often, `u` with what
success; an experience goes once f >= `alpha` and u/f <= `beta`. What a failing run taught is kept
for the retry alone. What is nearer than `same` to an experience known already is not added.

Mended: (i, ii) `f` and `u` are the ledger's, counted in one place, so that pruning does prune;
(iii) nothing depends on a model to rerank or rewrite; (iv) when-to-use is held against when-to-use,
not against when-to-use and content; (v) nothing has to die for having been tried on hard tasks
first: `bound` = "upper" prunes only what is bad beyond doubt, by Wilson's interval ("lower" prunes
all that has not proved to be good). An experience that goes is hidden, not deleted. What failed and
what succeeded are never twins of each other. The original's cosine counts for its own embedder;
here `same` counts from the usual cosine towards 1. Without tasks a remark and its answer are an
experience. Without a language model an experience is goal, trajectory and outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from stepwell import Filter, Hide, Hit, Kind, Op, Plan, Preset, Query, Record, Usage, View, hookimpl
from stepwell.mechanisms import drawing, experiencing, grounding, placing
from stepwell.mechanisms.buffering import exchanges

NAME = "reme"
GOAL = "goal"
ALL = 1_000_000
EXPERIENCES = Filter(kind=Kind.PROCEDURE)


@dataclass(frozen=True)
class Params:
    """The paper's constants, and which share of success is held against `beta`.

    `good` is the outcome from which on a task succeeded; `z` how sure a bound is.
    """

    k: int = 5
    alpha: int = 5
    beta: float = 0.5
    same: float = 0.5
    good: float = 1.0
    bound: Literal["mean", "lower", "upper"] = "mean"
    z: float = 1.645
    tokens: int = 192
    step: int = 128


def useless(usage: Usage, params: Params) -> bool:
    """Whether an experience goes: it was tried often enough, and too seldom of help."""
    if usage.used < params.alpha:
        return False
    z = 0.0 if params.bound == "mean" else params.z
    low, high = experiencing.judged(usage.success, usage.used, z)
    return (high if params.bound == "upper" else low) <= params.beta


@dataclass(frozen=True)
class Acquiring:
    """Experiences that are new, each known by its goal."""

    params: Params = Params()
    name: str = "reme-acquiring"

    @hookimpl
    def segment(self, buffer: Sequence[Record]) -> Sequence[int]:
        """A remark and its answer."""
        return exchanges([turn.actor or turn.role for turn in buffer])

    @hookimpl
    def extract(self, trace: Record) -> Sequence[Op]:
        """A remark that was answered since is read again."""
        return drawing.again(trace, NAME)

    @hookimpl
    def organize(self, record: Record, view: View) -> Sequence[Op]:
        """An experience that lost a turn."""
        return experiencing.retold(record, view, tokens=self.params.tokens, by_goal=True)

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """The next that was gone through: what is new is added, what it retried goes."""
        p = self.params
        traces = drawing.waiting(view, NAME, p.step)
        lived = [*experiencing.ended(view, NAME, p.step), *experiencing.answered(traces, view)]
        done: list[Op] = [*experiencing.marked(lived, NAME), *drawing.read(traces, NAME)]
        if not lived:
            return done
        before = experiencing.of_base([each.base for each in lived], view)
        again = {older.id for some in before.values() for older in some}
        known = [each for each in view.records(EXPERIENCES, limit=ALL) if each.id not in again]
        goals = [str(each.payload.get(GOAL)) for each in known] + [each.goal.id for each in lived]
        vectors = grounding.vectors_by_id(goals, view)
        least = placing.threshold(placing.usual(vectors[:48]), p.same)
        cosines = vectors[len(known) :] @ vectors.T
        sides = [self._side(_ended(each)) for each in known] + [
            self._side(each.outcome) for each in lived
        ]
        side = np.array(sides)
        held = np.zeros(len(goals), np.bool_)
        held[: len(known)] = True
        adds: dict[int, Op] = {}
        gone = dict.fromkeys(again)
        for row, each in enumerate(lived):
            at = len(known) + row
            alike = held & (cosines[row] > least)
            for other in np.flatnonzero(alike & (side == "failed")).tolist():
                # This was the retry of what failed: the lesson has had its use.
                if each.outcome is not None and adds.pop(other, None) is None:
                    gone[known[other].id] = None
                held[other] &= each.outcome is None
            if not (alike & held & (side == side[at])).any():
                held[at] = True
                adds[at] = experiencing.added(
                    each, view, tokens=p.tokens, by_goal=True, payload={GOAL: each.goal.id}
                )
        return [*adds.values(), *(Hide(id=name) for name in gone), *done]

    def _side(self, outcome: float | None) -> str:
        if outcome is None:
            return "unknown"
        return "good" if outcome >= self.params.good else "failed"


def _ended(record: Record) -> float | None:
    said = record.payload.get(experiencing.OUTCOME)
    return float(said) if isinstance(said, (int, float)) else None


@dataclass(frozen=True)
class Refining:
    """What was shown often and helped seldom goes."""

    params: Params = Params()
    name: str = "reme-refining"

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """All experiences by their use."""
        known = view.records(EXPERIENCES, limit=ALL)
        return [Hide(id=each.id) for each in known if useless(view.usage(each.id), self.params)]


@dataclass(frozen=True)
class Reuse:
    """The experiences whose goals are most like what is to be done."""

    params: Params = Params()
    name: str = "reme-reuse"

    @hookimpl
    def plan(self, query: Query, view: View) -> Plan:
        """Turns, then experiences."""
        near = {"vectors": 1.0, "words": 0.0} if view.models.space else {"words": 1.0}
        return grounding.by_way_of(query, [Kind.PROCEDURE], near, self.params.k)

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """The best few, then the turns that they do not tell."""
        if not grounding.led(plan):
            return hits
        told = experiencing.nearest(hits, plan, view, self.params.k)
        return experiencing.leading_on(hits, told)


PRESET = Preset(
    NAME,
    1,
    (
        "words",
        "vectors",
        Acquiring(),
        Refining(),
        Reuse(),
        "channel-vectors",
        "channel-words",
        "channel-order",
        "flat-packer",
    ),
)
