"""Claims: what somebody says of something that may change, and when one takes another's place.

A claim is read from a text by `claiming.claims`. Whether two are about the same thing is told by
their slots alone, never by how alike their words are.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from stepwell.mechanisms.claiming.values import differ, kind_of, tokens, unit

#: What a claim refers to that names nothing: "actually, it's Friday".
UNNAMED: Final = "?"
#: So many of somebody's own claims are looked back at for what a correction means.
BACK: Final = 6
#: So many claims of a slot are looked at for what a new one replaces.
NEAR: Final = 64
#: How much less sure a claim is about what somebody else has claimed: announced, or merely said.
_OTHERS_CHANGE, _OTHERS_STATE = 0.75, 0.4
#: How sure it is where two values have nothing that can be compared, but a change is told of.
_INCOMPARABLE = 0.7
#: How much less sure it is what a shorter name is short for.
_SHORTER = 0.8


@dataclass(frozen=True, slots=True)
class Claim:
    """What a text says of something: its `subject` has as `attribute` the `value`.

    `holds` is False where it holds no more. `exclusive` says that there is one value at a time,
    `changed` that a change is told of, `instead` which value it takes the place of, if it says so.
    `span` are the characters of the sentence it was read from; `by` is who says it.
    """

    subject: str
    attribute: str
    value: str
    holds: bool = True
    confidence: float = 0.8
    span: tuple[int, int] = (0, 0)
    exclusive: bool = True
    changed: bool = False
    instead: str = ""
    by: str = ""

    @property
    def slot(self) -> tuple[str, str]:
        """What it is about."""
        return (self.subject, self.attribute)


def bare(claim: Claim) -> Claim:
    """A claim by what it says alone, wherever it stands."""
    return claim if claim.span == (0, 0) else replace(claim, span=(0, 0))


def conflicts(newer: Claim, older: Claim) -> float:  # noqa: C901, PLR0911 - a list of rules
    """How sure it is that the newer claim takes the place of the older one; 0 where it does not.

    Both stand for the same slot and cannot hold at once, or the newer one names what it replaces.
    """
    sure = min(newer.confidence, older.confidence)
    if newer.by != older.by:
        sure *= _OTHERS_CHANGE if newer.changed else _OTHERS_STATE
    if UNNAMED in (newer.subject, older.subject):
        return 0.0
    if newer.slot != older.slot:
        named = kind_of(newer.instead) == "text" and older.holds and newer.by == older.by
        return sure if named and _is_named(newer.instead, older) else 0.0
    different = differ(newer.value, older.value)
    if not newer.holds:
        ended = older.holds and (not newer.value or different is False)
        return sure if ended else 0.0
    if not older.holds:
        return sure if older.value and different is False else 0.0
    if different is False:
        return 0.0
    if newer.instead and differ(newer.instead, older.value) is False:
        return sure
    if not (newer.exclusive and older.exclusive):
        return 0.0
    if different is None and newer.attribute.endswith("#number"):
        return 0.0  # money and hours
    if different is None:
        return min(sure, _INCOMPARABLE) if newer.changed else 0.0
    return sure


def renews(newer: Claim, older: Claim) -> float:
    """How sure it is that "the new deadline" is one of what was told of by a longer name.

    There must be no other that it may be: the caller's to see.
    """
    if not (newer.changed and newer.holds and older.holds and newer.exclusive and older.exclusive):
        return 0.0
    (name, _, sort), (longer, _, other) = (
        newer.attribute.partition("#"),
        older.attribute.partition("#"),
    )
    same = (newer.by, newer.subject, sort) == (older.by, older.subject, other)
    if not (same and sort and set(name.split()) < set(longer.split())):
        return 0.0
    sure = min(newer.confidence, older.confidence) * _SHORTER
    return sure if differ(newer.value, older.value) else 0.0


def _is_named(said: str, claim: Claim) -> bool:
    """Whether words name the value of a claim, by itself or with what it is a value of."""
    named, value = tokens(said), tokens(claim.value)
    return bool(named and value) and (
        named <= value or (value <= named <= value | tokens(claim.attribute))
    )


def resolved(
    found: Sequence[Claim], before: Sequence[Claim]
) -> tuple[tuple[Claim, Claim | None], ...]:
    """A turn's claims, each with the one that its name is taken from, if it is a correction.

    `before` are earlier claims of the same speaker, oldest first. What corrects nothing of a
    fitting sort is left out.
    """
    made: list[tuple[Claim, Claim | None]] = []
    for claim in found:
        if claim.subject != UNNAMED:
            made.append((claim, None))
            continue
        for known in reversed((*before[-BACK:], *(one for one, _ in made))):
            fits = (
                known.attribute == claim.attribute and known.subject != known.by
                if claim.attribute
                else kind_of(known.value) == kind_of(claim.value)
                and unit(claim.value) in (None, unit(known.value))
            )
            if known.holds and fits:
                named = replace(
                    claim, subject=known.subject, attribute=known.attribute,
                    exclusive=known.exclusive,
                )  # fmt: skip
                made.append((named, known))
                break
    return tuple(made)


class _Live:
    """Claims that nothing has replaced yet, those that say the same together, found by words."""

    def __init__(self) -> None:
        self._by_slot: dict[Hashable, dict[Claim, None]] = {}
        self._by_word: dict[Hashable, dict[Claim, None]] = {}
        self._by_name: dict[Hashable, dict[Claim, None]] = {}
        self._places: dict[Claim, list[int]] = {}

    def add(self, claim: Claim, place: int) -> None:
        places = self._places.setdefault(claim, [])
        places.append(place)
        if len(places) > 1:
            return
        for index, key in self._keys(claim):
            index.setdefault(key, {})[claim] = None

    def take(self, claim: Claim) -> list[int]:
        """The places of a claim, which lives no more."""
        for index, key in self._keys(claim):
            del index[key][claim]
        return self._places.pop(claim)

    def rivals(self, claim: Claim) -> list[Claim]:
        """What a claim may replace, the latest first, at most `NEAR` for each reason."""
        found: list[dict[Claim, None]] = []
        if claim.exclusive or not claim.value:
            found.append(self._by_slot.get((*claim.slot, True), {}))
        if claim.holds:
            found.append(self._by_slot.get((*claim.slot, False), {}))
        words: list[Hashable] = [(claim.slot, word) for word in sorted(tokens(claim.value))]
        words += [(claim.by, word) for word in sorted(tokens(claim.instead))]
        found += [self._by_word.get(key, {}) for key in words]
        return list(dict.fromkeys(one for some in found for one in islice(reversed(some), NEAR)))

    def longer(self, claim: Claim) -> list[Claim]:
        """What a claim of a change may be about by a shorter name."""
        words = claim.attribute.partition("#")[0].split()
        if not (claim.changed and words):
            return []
        found = self._by_name.get((claim.by, claim.subject, words[0]), {})
        return list(islice(reversed(found), NEAR))

    def _keys(self, claim: Claim) -> Iterator[tuple[dict[Hashable, dict[Claim, None]], Hashable]]:
        if claim.exclusive or not claim.holds:
            yield self._by_slot, (*claim.slot, claim.holds)
        if claim.exclusive and claim.holds:
            for word in claim.attribute.partition("#")[0].split():
                yield self._by_name, (claim.by, claim.subject, word)
        for word in tokens(claim.value):
            yield self._by_word, (claim.slot, word)
            yield self._by_word, (claim.by, word)


def successors(claims: Sequence[Claim], least: float = 0.5) -> dict[int, tuple[int, float]]:
    """Which claim takes the place of which: by the place of the older one, and how sure it is.

    `claims` are in the order of time. Each is replaced by the first one that replaces it with at
    least that confidence, and by no later one. Takes time about linear in their number.
    """
    replaced: dict[int, tuple[int, float]] = {}
    live = _Live()
    latest: Claim | None = None
    for place, spoken in enumerate(claims):
        claim = bare(spoken)
        if claim.confidence < least:
            continue
        if claim == latest:
            live.add(claim, place)
            continue
        latest = claim
        for rival in live.rivals(claim):
            sure = conflicts(claim, rival)
            if sure >= least:
                replaced.update(dict.fromkeys(live.take(rival), (place, sure)))
        meant = [(one, sure) for one in live.longer(claim) if (sure := renews(claim, one)) >= least]
        if len({one.slot for one, _ in meant}) == 1:
            for one, sure in meant:
                replaced.update(dict.fromkeys(live.take(one), (place, sure)))
        live.add(claim, place)
    return replaced


def repeats(claims: Sequence[Claim], replaced: Mapping[int, object]) -> frozenset[int]:
    """The places of claims that only say again what holds still.

    `claims` are in the order of time, `replaced` names those that hold no more.
    """
    held: set[Claim] = set()
    found: set[int] = set()
    for place, spoken in enumerate(claims):
        claim = bare(spoken)
        if place in replaced:
            continue
        if claim in held:
            found.add(place)
        held.add(claim)
    return frozenset(found)
