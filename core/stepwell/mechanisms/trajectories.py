"""What tasks were solved by: the steps that mattered, the patterns in them, and how they differ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from stepwell.mechanisms.interacting import interaction
from stepwell.models import Record

#: What stands in a step for a word of the goal: what one task does to a bowl, others do to a cup.
GOAL: Final = "…"
#: Characters of a step that are looked at.
LONGEST: Final = 160
#: An observation that says that a step was of no effect.
_NOTHING = re.compile(
    r"\s*(?:nothing happen(?:s|ed)|no effect|invalid action|unknown (?:action|command))\b"
    r"|\s*(?:什么也?没有?发生|无效(?:的)?(?:操作|动作))",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+|[^\w\s]+")
#: Words of a goal that mean nothing by themselves.
_PLAIN = frozenset(
    {"a", "an", "the", "some", "it", "its", "and", "or", "of", "to", "in", "on", "at", "by", "with",
     "for", "from", "into", "under", "is", "are", "be", "then", "put", "take", "go", "find", "look",
     "get", "two"}
)  # fmt: skip

#: A sequence of steps that follow one another.
Pattern = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trail:
    """A finished task: its steps in short, the turns they were taken in, and how it ended."""

    task: str
    steps: Pattern
    turns: tuple[str, ...]
    good: bool

    def where(self, pattern: Pattern) -> tuple[str, ...]:
        """The turns of the first time that a pattern occurs; none where it does not."""
        size = len(pattern)
        for at in range(len(self.steps) - size + 1):
            if self.steps[at : at + size] == pattern:
                return self.turns[at : at + size]
        return ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A pattern that tells good ends from bad ones: of which sort, in which trails, how strongly.

    "do" leads to good ends, "avoid" to bad ones; "rather" is what came before two tasks parted, the
    step of the one that ended well, and that of the other.
    """

    sort: str
    pattern: Pattern
    trails: tuple[Trail, ...]
    lift: float


def short(action: str, goal: str = "") -> str:
    """An action without numbers and case, with a mark for words of the goal but its first one."""
    named = {word for word in _words(goal) if word not in _PLAIN}
    words = _words(action[:LONGEST])
    said = [GOAL if n and word in named else word for n, word in enumerate(words)]
    kept = [word for n, word in enumerate(said) if word != GOAL or n == 0 or said[n - 1] != GOAL]
    return " ".join(kept)


def _words(text: str) -> list[str]:
    found = _WORD.findall(text.casefold())
    return [word for word in found if not word.isdigit()]


def without_effect(turn: Record) -> bool:
    """Whether a step was of no use: its reward is below 0, or it is said that nothing happened."""
    if turn.reward is not None and turn.reward < 0:
        return True
    return turn.observation is not None and _NOTHING.match(turn.observation) is not None


def sparse(task: str, turns: Sequence[Record]) -> list[Record]:
    """What mattered of a task: what led to its last action, but for steps without effect.

    Each step goes on from the one before it, so where turns tell their steps what counts is what
    led to the last action of each. Where nobody said what answers what, all actions count; where
    there is no action, what led to the last word.
    """
    acts = [turn for turn in turns if turn.action]
    graph = interaction(task, turns)
    if not graph.edges:
        kept = {turn.id for turn in acts or turns}
    else:
        last = {turn.step: turn.turn or turn.id for turn in acts if turn.step is not None}
        ends = [*last.values(), *((t.turn or t.id) for t in (acts or turns)[-1:])]
        before = graph.before(ends)
        kept = {turn.id for turn in turns if (turn.turn or turn.id) in before}
    return [turn for turn in turns if turn.id in kept and not without_effect(turn)]


def trail(task: str, goal: str, turns: Sequence[Record], good: bool) -> Trail:
    """The actions among what mattered of a task, in short; one that is repeated counts once."""
    steps: list[str] = []
    names: list[str] = []
    for turn in turns:
        said = short(turn.action, goal) if turn.action else ""
        if said and (not steps or steps[-1] != said):
            steps.append(said)
            names.append(turn.id)
    return Trail(task, tuple(steps), tuple(names), good)


def patterns(steps: Pattern, sizes: Iterable[int] = (2, 3)) -> list[Pattern]:
    """All different sequences of so many steps, in order."""
    made = (steps[at : at + size] for size in sizes for at in range(len(steps) - size + 1))
    return list(dict.fromkeys(made))


def frequent(
    newest: Trail, others: Sequence[Trail], rate: float, *, support: int = 2, lift: float = 1.5
) -> list[Finding]:
    """Patterns of a trail that end well, or badly, so many times as often as is usual.

    The strongest first, then those with more support, the longer, the first in the alphabet. `rate`
    is the running rate of good ends; a pattern is counted once a trail.
    """
    group = [newest, *others]
    made: list[Finding] = []
    for pattern in patterns(newest.steps):
        held = tuple(one for one in group if one.where(pattern))
        if len(held) < support:
            continue
        good = sum(one.good for one in held) / len(held)
        for sort, share, usual in (("do", good, rate), ("avoid", 1 - good, 1 - rate)):
            if share > 0 and (usual <= 0 or share / usual >= lift):
                alike = tuple(one for one in held if one.good == (sort == "do"))
                if len(alike) >= support:
                    strength = share / usual if usual > 0 else share / 1e-3
                    made.append(Finding(sort, pattern, alike, strength))
    made.sort(key=lambda f: (-f.lift, -len(f.trails), -len(f.pattern), f.pattern))
    return made


def parted(one: Trail, other: Trail) -> Finding | None:
    """Where two trails of different ends part, after what both begin with.

    The first step that the good one took and the other never did, and what that did in its place.
    """
    if one.good == other.good:
        return None
    good, bad = (one, other) if one.good else (other, one)
    same = 0
    for mine, its in zip(good.steps, bad.steps, strict=False):
        if mine != its:
            break
        same += 1
    if same >= len(good.steps) or same >= len(bad.steps):
        return None
    right, wrong = good.steps[same], bad.steps[same]
    if right in bad.steps or wrong in good.steps:
        return None
    before = good.steps[same - 1] if same else ""
    return Finding("rather", (before, right, wrong), (good, bad), 1.0)


def speaks(sort: str, pattern: Pattern, one: Trail) -> int:
    """What a trail says of a finding: 1 for it, -1 against it, 0 nothing."""
    if sort == "rather" and len(pattern) == 3:
        before, right, wrong = pattern
        followed = {its for mine, its in pairwise(("", *one.steps)) if mine == before}
        if (right in followed) == (wrong in followed):
            return 0
        return 1 if (right in followed) == one.good else -1
    if not one.where(pattern):
        return 0
    return 1 if one.good == (sort == "do") else -1


def quoted(finding: Finding) -> dict[str, tuple[str, ...]]:
    """The turns that a finding is told from, by the task they are of."""
    if finding.sort != "rather":
        return {one.task: one.where(finding.pattern) for one in finding.trails}
    before, right, wrong = finding.pattern
    made = {}
    for one in finding.trails:
        said = right if one.good else wrong
        made[one.task] = one.where((before, said) if before else (said,))
    return made


def worded(sort: str, pattern: Pattern, goals: Sequence[str]) -> str:
    """A finding in words. The goals are those of tasks that it was learnt from."""
    said = [f'"{step}"' for step in pattern]
    if sort == "rather":
        after = f"after {said[0]} " if pattern[0] else ""
        told = f"{after}do {said[1]} rather than {said[2]}"
    elif sort == "avoid":
        told = f"what goes wrong is {', then '.join(said)}"
    else:
        told = f"what works is {', then '.join(said)}"
    likes = "; ".join(f'"{goal}"' for goal in goals)
    mark = f" ({GOAL}: a word of the goal)" if any(GOAL in step for step in pattern) else ""
    return f"For tasks like {likes}: {told}.{mark}" if likes else f"{told}.{mark}"


def rate(outcomes: Iterable[float]) -> float:
    """The mean of all outcomes; one half where there is none."""
    known = list(outcomes)
    return sum(known) / len(known) if known else 0.5
