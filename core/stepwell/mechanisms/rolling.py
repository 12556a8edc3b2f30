"""A running summary in a slot: brought up to date with what was said since, step by step."""

from __future__ import annotations

from collections.abc import Sequence

from stepwell.contracts import View
from stepwell.filters import Filter
from stepwell.mechanisms.sentences import sentences
from stepwell.models import Record
from stepwell.ops import SetSlot

#: Turns that one step reads.
STEP = 64


def newer(view: View, turn: str | None, limit: int) -> list[Record]:
    """The turns that came after one, by its turn id, in order of arrival; all of them without."""
    last = None if turn is None else view.get(turn)
    return view.records(Filter(level=0), after=last.id if last else None, limit=limit)


def rolled(view: View, name: str, *, tokens: int, step: int = STEP) -> list[SetSlot]:
    """The op that takes a summary further by at most `step` turns; none when nothing was said.

    The last of the slot's sources is the last turn that it knows of. The others are the turns that
    it rests on: when one of them is forgotten, the slot is blank, and is made anew from the first.
    """
    slot = view.slot(name)
    fresh = newer(view, slot.sources[-1] if slot.sources else None, step)
    if not fresh:
        return []
    told = view.models.summarize([turn.spoken for turn in fresh], tokens=tokens, before=slot.text)
    before = [record for record in map(view.get, slot.sources) if record is not None]
    known = [*before, *fresh]
    if view.models.language_model is None:
        known = _quoted(told.text, known)
    names = [turn.turn for turn in (*known, fresh[-1]) if turn.turn is not None]
    newest = names.pop()
    sources = (*(each for each in dict.fromkeys(names) if each != newest), newest)
    return [SetSlot(slot=name, text=told.text, budget=tokens, sources=sources)]


def _quoted(text: str, turns: Sequence[Record]) -> list[Record]:
    """The turns of which a sentence, or a part of one, stands in a text made of their sentences."""
    said = [text[first:last] for first, last in sentences(text)]
    return [
        turn
        for turn in turns
        if any(sentence in turn.spoken for sentence in said)
        or any(turn.spoken[first:last] in text for first, last in sentences(turn.spoken))
    ]
