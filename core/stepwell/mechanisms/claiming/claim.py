"""Claims: what somebody says of something that may change, and when one takes another's place.

A claim is read from a text by `changing.claims`. Whether two are about the same thing is told by
their slots alone, never by how alike their words are.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

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

_STOP: Final = frozenset(
    "a an the my our your his her their its this that of for in at on to with by new current latest"
    " old own updated next s is and upcoming now".split()
)
_TOKEN = re.compile(r"[^\W_]+(?:[.:@+#][^\W_]+)*|[#$€£%]")
_NUMBERS = dict(
    zip(
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
        " sixteen seventeen eighteen nineteen twenty".split(),
        range(1, 21),
        strict=True,
    )
)
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_DAYS = "mon tue wed thu fri sat sun mo di mi do fr sa so".split()
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_DAY = (
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?|montags?|dienstags?|mittwochs?|donnerstags?"
    r"|freitags?|samstags?|sonntags?"
)
_DATE = re.compile(
    rf"\b(?P<m>{_MONTH})\.? (?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b"
    rf"|\b(?P<d2>\d{{1,2}})(?:st|nd|rd|th|\.)?(?: of)? (?P<m2>{_MONTH})\b"
    r"|\b(?P<iso>\d{4}-\d\d-\d\d)\b",
    re.IGNORECASE,
)
_WEEKDAY = re.compile(rf"\b(?:{_DAY})\b", re.IGNORECASE)
_SOON = re.compile(r"\b(?:today|tonight|tomorrow|yesterday)\b", re.IGNORECASE)
_TIME = re.compile(
    r"\b(?P<h>\d{1,2}):(?P<m>\d\d)(?: ?(?P<p>[ap])\.?m\b)?|\b(?P<h2>\d{1,2}) ?(?P<p2>[ap])\.?m\b"
    r"|\b(?P<w>noon|midnight)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*k?(?![^\W\d_])|\d+(?:[.,]\d+)*", re.IGNORECASE)
_HEDGE = re.compile(r"(?:about|around|roughly|only|just|over|up to|at|nearly|approximately) ")
_IS_NUMBER = re.compile(r"[$€£¥#+v]? ?\d[\w.,:/%-]*", re.IGNORECASE)


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


def stem(word: str) -> str:
    """A word without its case, its number and its possessive ending."""
    word = re.sub(r"['’]s?$", "", word.casefold())
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word[-1] == "s" and word[-2] not in "suif" else word


def tokens(text: str) -> frozenset[str]:
    """The words of a value or of a name, without those that tell nothing."""
    found = _TOKEN.findall(re.sub(r"['’]s?\b", "", text.casefold()))
    return frozenset(str(_NUMBERS.get(w, stem(w))) for w in found if w not in _STOP)


def topic(text: str) -> str:
    """The name of what a claim is about, in one form: "the deadline for Orion" as "Orion's"."""
    return " ".join(sorted(tokens(text)))


def kind_of(value: str) -> str:
    """What sort of value it is: date, time, number, or text."""
    plain = _HEDGE.sub("", value.casefold().strip())
    if _DATE.search(plain) or _WEEKDAY.match(plain.removeprefix("next ")) or _SOON.match(plain):
        return "date"
    if _TIME.match(plain):
        return "time"
    first = plain.partition(" ")[0]
    return "number" if _IS_NUMBER.match(plain) or first in _NUMBERS else "text"


def dated(value: str, said_at: datetime | None) -> str:
    """A value with its relative day as a date, where it is known when it was said."""
    soon = _SOON.match(value.casefold().strip())
    if soon is None or said_at is None:
        return value
    shift = {"tomorrow": 1, "yesterday": -1}.get(soon[0], 0)
    try:
        return (said_at + timedelta(days=shift)).date().isoformat()
    except OverflowError:
        return value


def _date_parts(value: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    if found := _DATE.search(value):
        if found["iso"]:
            year, month, day = found["iso"].split("-")
            parts = {"month": str(int(month)), "day": str(int(day)), "year": year}
        else:
            month = (found["m"] or found["m2"])[:3].casefold()
            parts = {"month": str(_MONTHS.index(month) + 1)}
            parts["day"] = str(int(found["d"] or found["d2"]))
    if day := _WEEKDAY.search(value):
        parts["weekday"] = _weekday(day[0].casefold())
    return parts


def _weekday(word: str) -> str:
    place = _DAYS.index(word[:3]) if word[:3] in _DAYS else _DAYS.index(word[:2])
    return str(place % 7)


def _minutes(value: str) -> int | None:
    found = _TIME.search(value)
    if found is None:
        return None
    if found["w"]:
        return 720 if found["w"].casefold() == "noon" else 0
    hour, minute = int(found["h"] or found["h2"]), int(found["m"] or 0)
    half = (found["p"] or found["p2"] or "").casefold()
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    return hour * 60 + minute


def _numbers(value: str) -> list[str]:
    plain = " ".join(str(_NUMBERS.get(w, w)) for w in value.casefold().split())
    found = []
    for text in _NUMBER.findall(plain):
        bare = re.sub(r",(?=\d{3}(?!\d))", "", text)
        found.append(bare[:-1] + "000" if bare.endswith("k") and "." not in bare else bare)
    return found


def differ(one: str, other: str) -> bool | None:
    """Whether two values are two. None when they cannot be compared: "Friday" and "June 5".

    A value that only says more than the other is the same.
    """
    kind = kind_of(one)
    if kind == kind_of(other):
        if kind == "date":
            first, second = _date_parts(one), _date_parts(other)
            shared = first.keys() & second.keys()
            return any(first[p] != second[p] for p in shared) if shared else None
        if kind == "time":
            return _minutes(one) != _minutes(other)
        if kind == "number":
            numbers = list(zip(_numbers(one), _numbers(other), strict=False))
            if numbers:
                return any(a != b for a, b in numbers)
    mine, yours = tokens(one), tokens(other)
    if not mine or not yours:
        return None
    return not (mine <= yours or yours <= mine)


def conflicts(newer: Claim, older: Claim) -> float:  # noqa: PLR0911 - a list of rules
    """How sure it is that the newer claim takes the place of the older one; 0 where it does not.

    Both stand for the same slot and cannot hold at once, or the newer one names what it replaces.
    """
    sure = min(newer.confidence, older.confidence)
    if newer.by != older.by:
        sure *= _OTHERS_CHANGE if newer.changed else _OTHERS_STATE
    if UNNAMED in (newer.subject, older.subject):
        return 0.0
    if newer.slot != older.slot:
        named = newer.instead and older.holds and newer.by == older.by
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
    if different is None:
        return min(sure, _INCOMPARABLE) if newer.changed else 0.0
    return sure


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
                known.attribute == claim.attribute
                if claim.attribute
                else kind_of(known.value) == kind_of(claim.value)
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

    def _keys(self, claim: Claim) -> Iterator[tuple[dict[Hashable, dict[Claim, None]], Hashable]]:
        if claim.exclusive or not claim.holds:
            yield self._by_slot, (*claim.slot, claim.holds)
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
