"""G-Memory: "Tracing Hierarchical Memory for Multi-Agent Systems" (2025, arXiv 2506.07398).

Faithful: three graphs (section 3). A task's turns make its interaction graph; tasks that are alike,
or of which one was shown in the other, are linked; insights rest on the tasks they were learnt
from. A question goes from the nearest tasks (k = 2) to those one hop around them, up to the
insights of all these, and down to M trajectories, sparsified to what led to the last action
(equations 4 to 7); what is shown is chosen by the role that asks (8). When a task has ended it is
linked with what it was shown (9), insights are added, agreed with, edited or spoken against, those
that were shown contextualise the new ones (10, 11), and those that are alike are merged.

Mended: the published code keeps no edge between insights and forgets the last step of each task; it
finds a rule by its text and rewards another one if it is not there; merging wipes all scores, and
may leave no rule at all; hop expansion is thrown away while there are few tasks; thresholds are on
a distance, so that 0.7 means a cosine of 0.85. Here thresholds are cosines, records have ids, and
nothing that was earned is lost. An insight is judged by how tasks that were shown it ended beside
the running rate of success (`scoring="rate"`); the code's constants, by which one needs more than
67 % of success to survive, are `scoring="paper"`.

Without a language model an insight is a pattern of actions that ends well, or badly, 1.5 times as
often as is usual, in two tasks at least, or the step at which a task that failed left the way of
the nearest one that did not. Turns that no task leads to are found by plain ranking, with what
answers them: they are interaction graphs of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stepwell import (
    EdgeKind,
    Filter,
    Hide,
    Hit,
    Kind,
    Op,
    Plan,
    Preset,
    Query,
    Record,
    Status,
    View,
    hookimpl,
)
from stepwell.mechanisms import insights, trajectories
from stepwell.mechanisms.grounding import (
    Support,
    asked,
    by_support,
    grounded,
    narrowed,
    plainly,
    vectors_of,
)
from stepwell.mechanisms.insights import Insight, Scoring, found, joined, targets
from stepwell.mechanisms.learning import How, Lesson, ended, kept, succeeded, unlearnt
from stepwell.mechanisms.segmenting import bags

#: In payloads, whose names have no hyphen.
MARK = "g_memory"
NAME = "g-memory"
ALL = 1_000_000
TASKS = Filter(kind=Kind.TASK, level=1)
INSIGHTS = Filter(kind=Kind.INSIGHT, level=2)
#: From a task to what was shown in it.
SHOWN = EdgeKind.MENTIONS
#: Insights that are looked at for each one that is shown.
LOOK = 4
#: What turns that no task leads to are worth beside those of a trajectory.
BELOW = 0.6
#: What an answer is worth beside what it answers.
ANSWERS = 0.6


@dataclass(frozen=True)
class Params:
    """The paper's constants, then the code's, then our own.

    `seeds`, `hops` and `trajectories` are k, h and M; `near`, `merge` and `cut` are cosines: of
    tasks that are linked, of insights that say the same, and below which no task is a seed. `shown`
    insights are told. From `many` insights on a voice against one counts threefold. `step` tasks
    are learnt from at once. `credit` is how much of a cosine it counts that a task, and what was
    shown of it, did well, and `words` that it shares words with the question. Of `around` turns
    that no task leads to their answers follow.
    """

    seeds: int = 2
    hops: int = 1
    trajectories: int = 2
    shown: int = 3
    near: float = 0.7
    links: int = 10
    cut: float = 0.3
    support: int = 2
    lift: float = 1.5
    ops: int = 4
    many: int = 10
    merge: float = 0.9
    scoring: Scoring = "rate"
    most: int = 256
    step: int = 64
    credit: float = 0.1
    words: float = 0.2
    around: int = 10
    hopped: int = 16

    @property
    def how(self) -> How:
        """How to learn."""
        return How(
            MARK, self.near, self.links, self.ops, self.support, self.lift, self.most
        )  # fmt: skip


@dataclass(frozen=True)
class Learning:
    """Links tasks that have ended, and learns insights from them."""

    params: Params = Params()
    name: str = "g-memory-learning"

    @hookimpl
    def organize(self, record: Record, view: View) -> Sequence[Op]:
        """An insight of which something was forgotten is learnt anew from what is left."""
        if record.status is not Status.STALE or record.kind is not Kind.INSIGHT:
            return ()
        return insights.undone([record.id], MARK, view)

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """The next tasks that have ended; where there is none, insights are merged and pruned."""
        tasks = {task.id: task for task in view.records(TASKS, limit=ALL)}
        over = {name: end for name, task in tasks.items() if (end := ended(task)) is not None}
        if not over:
            return ()
        changed = [n for n, end in over.items() if tasks[n].payload.get(MARK) not in (None, end)]
        if changed:
            return unlearnt(changed[: self.params.step], MARK, view)
        waiting = [n for n in over if tasks[n].payload.get(MARK) is None][: self.params.step]
        rate = trajectories.rate(float(succeeded(tasks[name])) for name in over)
        records = view.records(INSIGHTS, limit=ALL)
        known = insights.of_records(records, MARK, frozenset(tasks), view)
        if waiting:
            lesson = Lesson(self.params.how, view, tasks, {one.id: one for one in known}, rate)
            return lesson.learn(waiting)
        return self._tidied(known, {record.id: record for record in records}, rate, view)

    def _tidied(
        self, known: Sequence[Insight], records: Mapping[str, Record], rate: float, view: View
    ) -> list[Op]:
        """What harms is hidden; of two that say the same the better one stays."""
        p = self.params
        worth = {
            one.id: insights.score(one, p.scoring, rate=rate, many=len(known) >= p.many)
            for one in known
        }
        bad = [one.id for one in known if insights.pruned(one, worth[one.id], p.scoring)]
        if bad:
            return [Hide(id=name) for name in bad]
        order = sorted(known, key=lambda one: (-worth[one.id], -len(one.tasks)))
        vectors = vectors_of([records[one.id] for one in order], view)
        told = bags([" ".join(one.pattern) for one in order])
        for place, one in enumerate(order):
            alike = (vectors[:place] @ vectors[place] >= p.merge).tolist()
            steps = (told[:place] @ told[place] >= p.merge).tolist()
            for best, near, same in zip(order, alike, steps, strict=False):
                if near and same and best.sort == one.sort:
                    return insights.merge(best, one)
        return [op for one in known for op in insights.noted(one, worth[one.id])]


@dataclass(frozen=True)
class Search:
    """From the nearest tasks around, up and down."""

    params: Params = Params()
    name: str = "g-memory-search"

    @hookimpl
    def plan(self, query: Query, view: View) -> Plan:
        """Turns, then the nearest tasks."""
        weights = {"vectors": 1.0, "words": 0.001 if view.models.space else 1.0}
        plan = Plan(query=query, weights=weights, role=query.role, task=query.task)
        if query.levels != (0,):
            return plan
        if query.round == 0:
            return replace(plainly(query), stop=False)
        if query.where is None:
            asked_now = replace(query, levels=(1,))
        else:
            asked_now = narrowed(query, [Kind.TASK], (1,))
        return replace(plan, query=asked_now, look=max(query.k, 4 * self.params.seeds))

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """Insights, then the turns of the best trajectories, then all others."""
        query = plan.query
        if query.round == 0:
            return hits if query.levels == (0,) else self._ranked(hits, plan, view)
        near = self._near([hit for hit in hits if hit.record.kind is Kind.TASK], plan, view)
        seeds = sorted(near, key=lambda name: -near[name][1])[: self.params.seeds]
        near = self._around({name: near[name] for name in seeds}, plan, view)
        support: dict[str, dict[str, float]] = {}
        names = self._down(near, plan, view, support)
        names += _answers(hits, self.params.around, view, support)
        turns = grounded(_best(support), joined(hits, names, plan, view), plan, view)
        top = turns[0].score if turns else 0.0
        return [*self._up(near, top, plan, view), *turns]

    def _near(
        self, tasks: Sequence[Hit], plan: Plan, view: View, *, cut: bool = True
    ) -> dict[str, tuple[Record, float]]:
        """Tasks that are near enough to the question, and how near; not the one it is of."""
        others = [hit for hit in tasks if plan.task is None or hit.record.task != plan.task]
        if not others:
            return {}
        question = asked(plan.query.text, view)
        beside = (vectors_of([hit.record for hit in others], view) @ question).tolist()
        most = max(hit.why.get("words", 0.0) for hit in others) or 1.0
        return {
            hit.record.id: (
                hit.record, near + self.params.words * hit.why.get("words", 0.0) / most
            )
            for hit, near in zip(others, beside, strict=True)
            if near >= self.params.cut or not cut
        }  # fmt: skip

    def _around(
        self, seeds: dict[str, tuple[Record, float]], plan: Plan, view: View
    ) -> dict[str, tuple[Record, float]]:
        """The seeds, and the tasks some hops around them, along edges either way."""
        reached, front = dict(seeds), list(seeds)
        where = TASKS if plan.query.where is None else TASKS & plan.query.where
        for _ in range(self.params.hops):
            out = view.links(front, EdgeKind.RELATED)
            into = view.links(front, EdgeKind.RELATED, into=True)
            edges = [edge for each in (out, into) for group in each.values() for edge in group]
            edges.sort(key=lambda edge: -edge.weight)
            ends = dict.fromkeys(end for edge in edges for end in (edge.source, edge.target))
            names = [name for name in ends if name not in reached][: self.params.hopped]
            fresh = found(names, where, view)
            beside = [task for task in fresh if plan.task is None or task.task != plan.task]
            if not beside:
                break
            cosines = (vectors_of(beside, view) @ asked(plan.query.text, view)).tolist()
            reached |= {t.id: (t, near) for t, near in zip(beside, cosines, strict=True)}
            front = [task.id for task in beside]
        return reached

    def _value(self, task: Record, near: float, view: View) -> float:
        """A cosine, and what the task's own end and that of those it was shown in are worth."""
        use = view.usage(task.id)
        own = ended(task)
        good = use.success + (own or 0.0)
        seen = use.success + use.failure + (own is not None)
        return near + self.params.credit * (2 * (good + 0.5) / (seen + 1) - 1)

    def _ranked(self, hits: Sequence[Hit], plan: Plan, view: View) -> list[Hit]:
        """Tasks that were asked for by their level: by cosine and credit; others as they are."""
        tasks = [hit for hit in hits if hit.record.kind is Kind.TASK]
        alone = replace(plan, task=None)
        near = self._near(tasks, alone, view, cut=False)
        most = 1 + self.params.words + self.params.credit
        worth = {
            name: (most + self._value(task, cosine, view)) / (2 * most)
            for name, (task, cosine) in near.items()
        }
        made = [replace(hit, score=min(1.0, max(0.0, worth.get(hit.record.id, hit.score))))
                for hit in hits]  # fmt: skip
        made.sort(key=lambda hit: -hit.score)
        return [by_support(hit, plan.query.text, view) for hit in made]

    def _down(
        self, near: dict[str, tuple[Record, float]], plan: Plan, view: View,
        support: dict[str, dict[str, float]],
    ) -> list[str]:  # fmt: skip
        """The trajectories of the best tasks: those that ended well, if there are any."""
        over = {name: pair for name, pair in near.items() if ended(pair[0]) is not None}
        good = {name: pair for name, pair in over.items() if succeeded(pair[0])}
        worth = {name: self._value(*pair, view) for name, pair in (good or over).items()}
        chosen = sorted(worth, key=lambda name: -worth[name])[: self.params.trajectories]
        turns = kept(chosen, view)
        rests = view.links(chosen, EdgeKind.DERIVED_FROM)
        goals = {near[name][0].task: rests[name][0].target for name in chosen if rests.get(name)}
        named: list[str] = []
        role = _plain(plan.role)
        for rank, name in enumerate(chosen):
            goal = goals.get(near[name][0].task)
            # One trajectory after the other, each in order, the goal before it.
            if goal is not None:
                support.setdefault(goal, {})["trajectory"] = 1.0 - 0.1 * rank
            steps = [turn for turn in turns.get(name, ()) if turn.id != goal]
            for at, turn in enumerate(steps):
                mine = role and role in {
                    (turn.actor or "").casefold(),
                    (turn.role or "").casefold(),
                }
                score = 1.0 - 0.1 * rank - 0.001 * (at + 1) - (0.0 if mine else 0.05)
                support.setdefault(turn.id, {}).setdefault("trajectory", score)
            named += [*([goal] if goal else []), *(turn.id for turn in steps)]
        return named

    def _up(
        self, near: dict[str, tuple[Record, float]], top: float, plan: Plan, view: View
    ) -> list[Hit]:
        """The insights of the tasks that were reached, as far as they are for the role."""
        p, names = self.params, list(near)
        below: dict[str, set[str]] = {}
        for name, edges in view.links(names, EdgeKind.DERIVED_FROM, into=True).items():
            for edge in edges:
                below.setdefault(edge.source, set()).add(name)
        for name in targets(view.links(names, SHOWN), names):
            below.setdefault(name, set())
        # Those of the most tasks that were reached, and of the nearest among these.
        reach = {
            name: (len(tasks), max((near[task][1] for task in tasks), default=0.0))
            for name, tasks in below.items()
        }
        order = sorted(reach, key=lambda name: reach[name], reverse=True)
        where = INSIGHTS if plan.query.where is None else INSIGHTS & plan.query.where
        records = [r for r in found(order, where, view) if r.trust >= plan.query.min_trust]
        held = {record.id: record for record in records[: LOOK * p.shown]}
        if not held:
            return []
        alike = dict.fromkeys(held, 0.0)
        if plan.role:
            beside = vectors_of(list(held.values()), view) @ asked(plan.role, view)
            alike = dict(zip(held, np.clip(beside, 0, 1).tolist(), strict=True))
        scores: dict[str, dict[str, float]] = {}
        for name, record in held.items():
            said = record.payload.get(MARK)
            roles = said.get("roles") if isinstance(said, dict) else None
            fits = 1.0 if isinstance(roles, list) and _plain(plan.role) in roles else alike[name]
            scores[name] = {
                "task": 0.4 * max(0.0, min(1.0, reach[name][1])),
                "use": 0.3 * insights.use_of(view.usage(name).strength, p.scoring),
                "role": 0.3 * (fits if plan.role else 1.0),
            }
        best = sorted(scores, key=lambda name: -sum(scores[name].values()))[: p.shown]
        made = []
        for name in best:
            # The goals that lead to it, the nearest first; or else all that it rests on.
            tasks = sorted(below[name], key=lambda task: -near[task][1])
            goals = tuple(goal for task in tasks if (goal := near[task][0].task))
            score = top + (1 - top) * sum(scores[name].values())
            made.append(Hit(held[name], score, goals or view.sources(name), scores[name]))
        return made


def _answers(
    hits: Sequence[Hit], around: int, view: View, support: dict[str, dict[str, float]]
) -> list[str]:
    """The best turns, what answers them and what they answer; else the turns beside them."""
    turns = [hit for hit in hits if hit.record.level == 0][:around]
    top = max((hit.score for hit in turns), default=0.0) or 1.0
    links = [
        view.links([hit.record.id for hit in turns], EdgeKind.NEXT, into=i) for i in (False, True)
    ]
    named: list[str] = []
    for hit in turns:
        name, score = hit.record.id, BELOW * hit.score / top
        support.setdefault(name, {}).setdefault("said", score)
        beside = {e.target for e in links[0].get(name, ())}
        beside |= {e.source for e in links[1].get(name, ())}
        near = sorted(beside) or [turn.id for turn in view.neighbours(name)]
        for other in near:
            known = support.setdefault(other, {})
            known["answer"] = max(known.get("answer", 0.0), ANSWERS * score)
            named.append(other)
    return named


def _plain(role: str | None) -> str:
    return (role or "").casefold()


def _best(support: dict[str, dict[str, float]]) -> Support:
    """The support in order of its strength."""
    return dict(sorted(support.items(), key=lambda item: -max(item[1].values())))


PRESET = Preset(
    NAME,
    1,
    (
        "words",
        "vectors",
        Learning(),
        Search(),
        "channel-vectors",
        "channel-words",
        "channel-order",
        "flat-packer",
    ),
)
