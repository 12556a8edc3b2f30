"""Logs of agents at work as tasks: a goal, the steps that were taken, and how it ended.

Read from the files that `data` reads. Where a conversation names its `task`, it is one run. Else
each of its turns is a whole run: lines "> action" with what was observed below each, and the goal
behind "Your task is to:"; or lines "speaker: ...", the first of which is the goal. `done` or
`reward` of a turn say how it ended, a `mistake_agent` that it went wrong. Runs are of one sort if
their questions, one for each, have the same category; or else if their session is the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stepwell import Turn
from stepwell_bench.data import read_json
from stepwell_bench.errors import BadData

_GOAL = re.compile(r"Your task is to:?\s*(.+)")
_LINE = re.compile(r"(user|assistant|tool|system): ?", re.IGNORECASE)
_END = re.compile(r"Outcome: \w+\s*$")
#: Characters of a goal at most: an opening remark may be a page.
_GOAL_CHARS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Run:
    """A task from its goal to its end. `sort` is what runs of the same kind share, None unknown."""

    id: str
    goal: str
    turns: tuple[Turn, ...]
    good: float | None
    sort: str | None

    @property
    def size(self) -> int:
        """Bytes of all that was said."""
        texts = (t.text + (t.action or "") + (t.observation or "") for t in self.turns)
        return len(self.goal.encode()) + sum(len(text.encode()) for text in texts)


def load(path: Path) -> list[Run]:
    """The runs of a file, in order. Raises BadData."""
    name = path.name
    held = read_json(path)
    try:
        made = [run for part in held["conversations"] for run in _runs(part)]
    except (KeyError, TypeError, AttributeError) as error:
        raise BadData(f"{name}: holds no runs ({type(error).__name__})") from None
    if not made:
        raise BadData(f"{name}: holds no runs")
    return made


def _runs(part: dict[str, Any]) -> Iterator[Run]:
    if part.get("task"):
        turns = _answering(
            [(str(t.get("speaker") or ""), str(t["text"])) for t in part["turns"]],
            part["conv_id"],
        )
        failed = 0.0 if part.get("mistake_agent") else None
        yield Run(part["conv_id"], part["task"][:_GOAL_CHARS], turns, failed, None)
        return
    sorts = _sorts(part)
    for place, turn in enumerate(part["turns"]):
        name, text = f"{part['conv_id']}/{turn['id']}", _END.sub("", turn["text"])
        said = _GOAL.search(text)
        if said is not None:
            goal, turns = said[1].strip(), _acted(text[said.end() :], name)
        else:
            lines = _spoken(text)
            goal, turns = (lines[0][1] if lines else text), _answering(lines, name)
        done, reward = turn.get("done"), turn.get("reward")
        good = float(done) if done is not None else None if reward is None else float(reward)
        good = None if good is None else min(1.0, max(0.0, good))
        sort = sorts[place] if sorts else turn.get("session")
        yield Run(name, goal[:_GOAL_CHARS] or ".", turns, good, sort)


def _sorts(part: dict[str, Any]) -> list[str]:
    """What sort each run is of, where there is a question for each, with a category of its own."""
    asked = part.get("questions", [])
    if len(asked) != len(part["turns"]):
        return []
    return [str(question.get("category")) for question in asked]


def _acted(text: str, name: str) -> tuple[Turn, ...]:
    """Actions with what was observed; thoughts are said, and no actions."""
    made: list[Turn] = []
    for step, block in enumerate(re.split(r"^> ", text, flags=re.MULTILINE)[1:]):
        action, _, seen = block.partition("\n")
        thought = action.startswith("think:")
        made.append(
            Turn(
                id=f"{name}#{step}", text=action if thought else "", actor="solver", step=step,
                action=None if thought else action.strip() or "nothing",
                observation=None if thought else seen.strip(),
                upstream=(f"{name}#{step - 1}" if step else name,),
            )
        )  # fmt: skip
    return tuple(made)


def _spoken(text: str) -> list[tuple[str, str]]:
    """Who said what, line after line; lines without a speaker go on."""
    made: list[tuple[str, str]] = []
    for line in text.split("\n"):
        match = _LINE.match(line)
        if match:
            made.append((match[1].lower(), line[match.end() :]))
        elif made:
            made[-1] = (made[-1][0], f"{made[-1][1]}\n{line}")
    return [(who, said) for who, said in made if said.strip()]


def _answering(said: list[tuple[str, str]], name: str) -> tuple[Turn, ...]:
    """Turns that answer all that was said since their speaker spoke last. Calls are actions."""
    last: Counter[str] = Counter()
    made = []
    for n, (who, text) in enumerate(said):
        before = tuple(f"{name}#{m}" for m in range(last[who], n)) or (name,)
        call = re.search(r"\[(\w+) \{", text) if who == "assistant" else None
        made.append(
            Turn(
                id=f"{name}#{n}", text=text or ".", actor=who or None, step=n, upstream=before,
                role=who if who in ("user", "assistant", "tool") else None,
                action=call[1] if call else None,
            )
        )  # fmt: skip
        last[who] = n
    return tuple(made)
