"""Which intervals mean something: of enough questions, from enough conversations."""

from __future__ import annotations

from typing import Final

from stepwell_bench.bootstrap import Estimate
from stepwell_bench.documents import SetFigures

LEAST_QUESTIONS: Final = 10
LEAST_CONVERSATIONS: Final = 3


def thin(questions: int, conversations: int) -> str:
    """Why an interval that rests on so few would mean little; "" where it does not."""
    if questions < LEAST_QUESTIONS:
        return f"{questions} question{'s' if questions != 1 else ''}"
    if conversations < LEAST_CONVERSATIONS:
        return f"{conversations} conversation{'s' if conversations != 1 else ''}"
    return ""


def thin_set(one: SetFigures, category: str = "") -> str:
    """The same of a set, or of a category of its questions.

    What older versions wrote does not tell from how many conversations a category is, nor, without
    the scores of single questions, of how many turns of one's own store the questions were made.
    """
    questions = one.categories[category] if category else one.asked
    drawn = one.drawn_from.get(category)
    if drawn is None:
        drawn = len(set(one.scores.clusters)) if one.scores else one.conversations
    return thin(questions, drawn)


def interval(of: Estimate, thin: str = "", *, signed: bool = False) -> str:
    """An interval in words; instead of one that means little, how little it rests on."""
    if thin:
        return f"of {thin} only"
    sign = "+" if signed else ""
    return f"{of.low:{sign}.3f} to {of.high:{sign}.3f}"
