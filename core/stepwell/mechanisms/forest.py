"""A task as a tree of what was worked on: which turns belong to which part, and what holds no more.

`Forest.take` is told of one turn after the other. A part begins where a turn names another one, or
turns to something else once the one in hand was worked on; it ends at some length. A correction
takes the place of the part that it is about: this, all within it, and all that depends on it hold
no more, until a later turn goes back to it. Nothing is ever dropped: what is in force decides what
holds, so that going back, and going forth again, are exact.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from stepwell.mechanisms.words import words
from stepwell.models import Record

Intent = Literal["change", "back", "again"]
#: Says which of some older texts a correction is about, if it can.
Choose = Callable[[str, Sequence[str]], int | None]

_READ: Final = 600
#: Parts of a task, the latest, that a correction may be about.
_LOOK: Final = 24
#: Names of a path that count.
_DEEP: Final = 8
_NAMED = re.compile(r"\s*sub-?(?:task|goal)\s*:\s*(\S[^\n]*)", re.IGNORECASE)
_AGAIN = re.compile(r"\W*(?:(?:please|ok(?:ay)?|no|wait)\W+)*redo\b|\W*(?:重做)", re.IGNORECASE)
_BACK = re.compile(
    r"\W*(?:(?:please|ok(?:ay)?|no|wait|actually|let(?:'|’)?s|let us|i want to|we should)\W+)*"
    r"(?:undo\b|go(?:ing)? back\b|back to\b|roll(?:ing)? ?back\b|revert\b|restore\b|return to the)"
    r"|\W*(?:回到|撤销|恢复|还原)",
    re.IGNORECASE,
)
_BARE = re.compile(
    r"\W*(?:(?:ok(?:ay)?|sorry|hm+|oh|please)\W+)*"
    r"(?:no\s*[,.;:!\-–—]|actually\b|instead\b|wait\s*[,.;:!]|scratch that|never ?mind|rather\b"
    r"|on second thoughts?|correction\b|i changed my mind|forget (?:that|it|about)\b)"
    r"|\binstead\s*[.!]?\s*$|\W*(?:不对|不是|不，|其实|算了|还是)",
    re.IGNORECASE,
)
_CHANGE = re.compile(
    r"\W*(?:(?:ok(?:ay)?|please|and|let(?:'|’)?s)\W+)*(?:change|cancel|replace|drop|make it)\b"
    r"|\binstead(?: of)?\b|\W*(?:取消|改成|改为|换成|改)",
    re.IGNORECASE,
)
_CUES = frozenset(
    words("no actually instead change cancel replace drop undo redo go back revert restore return"
          " wait scratch mind rather forget make use take let want please rollback roll")
)  # fmt: skip
#: What names a thing: letters with digits in them, or a longer number.
_IDENTIFIER = re.compile(r"\b(?=\w*\d)(?=\w*[^\W\d])\w{4,64}\b|\b\d{4,64}\b")
_MOST_IDENTIFIERS: Final = 64


def intent(text: str) -> tuple[Intent, bool] | None:
    """What a text that corrects wants; and whether it may be of the part in hand, unnamed."""
    head = text[:_READ]
    if _AGAIN.match(head):
        return "again", True
    if _BACK.match(head):
        return "back", True
    if _BARE.match(head) or re.search(r"\binstead\s*[.!]?\s*$", head, re.IGNORECASE):
        return "change", True
    return ("change", False) if _CHANGE.match(head) else None


def named(turn: Record) -> tuple[str, ...]:
    """The part that a turn says it is of, from the outermost: in its payload or its first line."""
    for entry in ("subtask", "subgoal"):
        said = turn.payload.get(entry)
        parts = [said] if isinstance(said, str) else said if isinstance(said, list) else []
        plain = [" ".join(part.split()) for part in parts if isinstance(part, str)]
        if any(plain):
            return tuple(part for part in plain if part)[:_DEEP]
    found = _NAMED.match(turn.text)
    return (" ".join(found[1].split()),) if found else ()


def bag(text: str) -> frozenset[str]:
    """The words of a text that tell what it is about."""
    return frozenset(words(text[:_READ])) - _CUES


@dataclass(eq=False)
class Part:
    """A part of a task: its turns, the part that it is in, and those that it depends on."""

    key: str
    name: str = ""
    parent: Part | None = None
    turns: list[Record] = field(default_factory=list)
    children: list[Part] = field(default_factory=list)
    depends: dict[str, Part] = field(default_factory=dict)
    about: set[str] = field(default_factory=set)
    first: int = 0
    last: int = 0
    size: int = 0

    def path(self) -> list[Part]:
        """The parts from the outermost one to this."""
        made, at = [self], self.parent
        while at is not None:
            made.append(at)
            at = at.parent
        return made[::-1]


@dataclass(eq=False)
class Swap:
    """A part in the place of another one, and the keys of all that holds no more for it."""

    newer: Part
    older: Part
    gone: frozenset[str]
    back: bool = False


@dataclass
class Forest:
    """The parts of one task, in order of their beginning. `least` and `most`: turns of a part.

    `near` is the share of its words that a turn has in common with the part that it goes on with.
    `decided` are, by the turn that corrects, the parts that are known to be meant.
    """

    least: int = 2
    most: int = 12
    near: float = 0.3
    choose: Choose | None = None
    decided: Mapping[str, str] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    swaps: list[Swap] = field(default_factory=list)
    now: Part | None = None
    taken: int = 0
    _gone: set[str] = field(default_factory=set)
    _where: dict[str, Part] = field(default_factory=dict)
    _things: dict[str, Part] = field(default_factory=dict)
    _above: dict[str, list[Part]] = field(default_factory=dict)
    _before: frozenset[str] = frozenset()

    def holds(self, part: Part) -> bool:
        """Whether a part is in force."""
        return part.key not in self._gone

    def held(self) -> list[Part]:
        """The parts that are in force, in order of their beginning."""
        return [part for part in self.parts.values() if self.holds(part)]

    def reach(self) -> set[str]:
        """The path to the part in hand, and the latest parts: all that is in reach by itself."""
        latest = sorted(self.held(), key=lambda part: part.last)[-_LOOK:]
        return {part.key for part in (*latest, *(self.now.path() if self.now else ()))}

    def needs(self, part: Part, other: Part) -> None:
        """Note that a part depends on another one."""
        if other.key not in part.depends:
            part.depends[other.key] = other
            self._above.setdefault(other.key, []).append(part)

    def instead(self, part: Part) -> tuple[Part, bool] | None:
        """What a part that is not in force gave way to, and whether that one was meant for it."""
        for swap in reversed(self.swaps):
            if part.key in swap.gone:
                return swap.newer, swap.older is part
        return None

    def take(self, turn: Record) -> Part:
        """Put a turn into the part that it is of; that is the one in hand from now on."""
        self.taken += 1
        part = self._place(turn)
        part.turns.append(turn)
        part.last, part.size = self.taken, part.size + 1
        part.about |= bag(turn.text or turn.action or "")
        self.now = part
        self._depend(part, turn)
        names = [name for name in (turn.id, turn.turn) if name]
        self._where.update(dict.fromkeys(names, part))
        self._before = frozenset(names)
        return part

    # where a turn belongs -----------------------------------------------------------------------

    def _place(self, turn: Record) -> Part:
        path = named(turn)
        said = None if path or turn.action or _answers(turn) else intent(turn.text)
        if said is not None:
            part = self._corrected(turn, *said)
            if part is not None:
                return part
        now = self.now
        if path:
            return self._reached(turn, path)
        if now is None:
            return self._begin(turn, None)
        if now.size >= self.most and not _answers(turn):
            return self._begin(turn, now.parent)
        if turn.action or _answers(turn) or now.size < self.least or self._goes_on(turn, now):
            return now
        return self._begin(turn, now.parent)

    def _goes_on(self, turn: Record, part: Part) -> bool:
        mine = bag(turn.text)
        return len(mine & part.about) >= self.near * len(mine)

    def _begin(self, turn: Record, parent: Part | None, name: str = "") -> Part:
        depth = 0 if parent is None else len(parent.path())
        key = f"{turn.id}/{depth}" if depth else turn.id
        part = Part(key, name, parent, about=set(bag(name)), first=self.taken)
        self.parts[key] = part
        if parent is not None:
            parent.children.append(part)
        return part

    def _reached(self, turn: Record, path: Sequence[str]) -> Part:
        """The part of a path of names: of each parent its own, never another one's."""
        parent: Part | None = None
        for name in path:
            inside = self.parts.values() if parent is None else parent.children
            plain = name.casefold()
            found = next(
                (p for p in inside
                 if p.parent is parent and p.name.casefold() == plain and self.holds(p)),
                None,
            )  # fmt: skip
            if parent is not None and not parent.turns and not parent.size:
                parent.turns.append(turn)
                parent.last, parent.size = self.taken, 1
            parent = found or self._begin(turn, parent, name)
        assert parent is not None  # noqa: S101 - a path has a name at least
        return parent

    # corrections --------------------------------------------------------------------------------

    def _corrected(self, turn: Record, what: Intent, bare: bool) -> Part | None:
        if what != "change":
            swap = self._meant(turn, what)
            return None if swap is None else self._undo(swap)
        older = self._about(turn, bare)
        if older is None:
            return None
        fresh = self._begin(turn, older.parent)
        self._swap(Swap(fresh, older, self._all_of(older) - {fresh.key}))
        return fresh

    def _about(self, turn: Record, bare: bool) -> Part | None:
        """The part that a correction is about: that of the most common words, the latest of them.

        None of the parts around it is meant without being named; the one in hand may be.
        """
        known = self.parts.get(self.decided.get(turn.id, ""))
        if known is not None and self.holds(known):
            return known
        held = self.held()[-_LOOK:]
        if self.choose is not None and held:
            told = self.choose(turn.text, [_told(part) for part in held])
            if told is not None:
                return held[told]
        mine = bag(turn.text)
        best = max(held, key=lambda p: (len(mine & p.about), p.last), default=None)
        if best is not None and len(mine & best.about) >= max(1, len(mine) / 4):
            return best
        return self.now if bare else None

    def _meant(self, turn: Record, what: Intent) -> Swap | None:
        """The change that is taken back: that of the part which is named; else the latest."""
        open_ = [swap for swap in self.swaps if self._returns(swap)]
        mine = bag(turn.text)
        best = max(open_, key=lambda s: len(mine & (s.older.about - s.newer.about)), default=None)
        if best is not None and mine & (best.older.about - best.newer.about):
            return best
        return next((s for s in reversed(open_) if s.back == (what == "again")), None)

    def _returns(self, swap: Swap) -> bool:
        """Whether a part holds again once this change is taken back."""
        parent = swap.older.parent
        others = (other for other in self.swaps if other is not swap)
        return (
            self.holds(swap.newer)
            and (parent is None or self.holds(parent))
            and not any(swap.older.key in other.gone for other in others)
        )

    def _undo(self, swap: Swap) -> Part:
        self.swaps.remove(swap)
        self._settle()
        gone = self._all_of(swap.newer) - {swap.older.key}
        self._swap(Swap(swap.older, swap.newer, gone, not swap.back))
        return swap.older

    def _swap(self, swap: Swap) -> None:
        around = frozenset(part.key for part in swap.newer.path())
        swap.gone -= around
        self.swaps.append(swap)
        self._settle()

    def _settle(self) -> None:
        self._gone = {key for swap in self.swaps for key in swap.gone}

    def _all_of(self, part: Part) -> frozenset[str]:
        """A part, all within it, and all that depends on any of these."""
        seen: set[str] = set()
        left = [part]
        while left:
            one = left.pop()
            if one.key not in seen:
                seen.add(one.key)
                left += [*one.children, *self._above.get(one.key, ())]
        return frozenset(seen)

    # what depends on what -----------------------------------------------------------------------

    def _depend(self, part: Part, turn: Record) -> None:
        """On what a turn answers out of the order, names, or uses a thing of that was found there.

        Always on a part that was begun before, so that there is no cycle.
        """
        for one in self._needed(turn):
            apart = one not in part.path() and part not in one.path()
            if one.first < part.first and apart and self.holds(one):
                self.needs(part, one)
        for thing in _things(f"{turn.text}\n{turn.observation or ''}\n{turn.action or ''}"):
            owner = self._things.get(thing)
            if owner is None or not self.holds(owner):
                self._things[thing] = part

    def _needed(self, turn: Record) -> Iterator[Part]:
        for name in turn.upstream:
            if name in self._where and name not in self._before:
                yield self._where[name]
        said = turn.payload.get("depends_on")
        wanted = [said] if isinstance(said, str) else said if isinstance(said, list) else []
        plain = {" ".join(each.split()).casefold() for each in wanted if isinstance(each, str)}
        if plain:
            yield from (part for part in self.parts.values() if part.name.casefold() in plain)
        if turn.action:
            for thing in _things(f"{turn.action}\n{turn.text}"):
                if thing in self._things:
                    yield self._things[thing]


def _answers(turn: Record) -> bool:
    """Whether a turn is what a tool, or a world, answers."""
    return (turn.role or "").casefold() in ("tool", "function", "system", "environment") or (
        bool(turn.observation) and not turn.action
    )


def _told(part: Part) -> str:
    return " ".join([part.name, *(turn.text or turn.action or "" for turn in part.turns[:2])])


def _things(text: str) -> list[str]:
    found = dict.fromkeys(match[0].casefold() for match in _IDENTIFIER.finditer(text[:20_000]))
    return list(found)[:_MOST_IDENTIFIERS]
