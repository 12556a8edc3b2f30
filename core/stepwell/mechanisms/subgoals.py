"""Subgoals: what a turn says that is worked on, and where one ends because the next begins."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stepwell.models import Record

_SAID = re.compile(r"^\s*sub-?goal\s*:\s*(\S[^\n]*)", re.IGNORECASE)


def subgoal_of(turn: Record) -> str | None:
    """The subgoal that a turn names: in its payload, or by a line "Subgoal: ..." at its head."""
    named = turn.payload.get("subgoal")
    if isinstance(named, str) and named.strip():
        return " ".join(named.split())
    found = _SAID.match(turn.text)
    return " ".join(found[1].split()) if found else None


def subgoal_ends(turns: Sequence[Record]) -> list[int] | None:
    """Ends of subgoals, ascending, each before a turn that names another; None if none is named."""
    ends: list[int] = []
    now: str | None = None
    named = False
    for place, turn in enumerate(turns):
        subgoal = subgoal_of(turn)
        if subgoal is not None:
            named = True
            if place and subgoal != now:
                ends.append(place - 1)
            now = subgoal
    return ends if named else None


def names(question: str, subgoal: str | None) -> bool:
    """Whether a question asks for a subgoal by its name."""
    if subgoal is None or len(subgoal) < 2:
        return False
    asked = " ".join(question.casefold().split())
    return re.search(rf"(?<!\w){re.escape(subgoal.casefold())}(?!\w)", asked) is not None
