"""The values of claims: what sort they are of, and whether two of them are the same."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

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
_AMOUNT = re.compile(r"[$€£¥] ?\d|\d[\d.,]* ?%")
_UNITS: Final = {
    unit: sort
    for sort, units in {
        "money": "$ € £ ¥ dollar dollars euro euros pound pounds yen usd eur bucks",
        "share": "% percent",
        "time": "second seconds minute minutes hour hours day days week weeks month months",
    }.items()
    for unit in units.split()
}
_UNIT = re.compile(r"[$€£¥%]|(?<=\d )[a-z]+")
_IS_NUMBER = re.compile(r"[$€£¥#+v]? ?\d[\w.,:/%-]*", re.IGNORECASE)


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
    if _AMOUNT.match(plain):
        return "number"
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
        bare = re.sub(r",(?=\d{3}(?!\d))|\.0+$", "", text)
        found.append(bare[:-1] + "000" if bare.endswith("k") and "." not in bare else bare)
    return found


def unit(value: str) -> str | None:
    """What sort of amount it is, as far as its unit tells."""
    found = _UNIT.search(value.casefold())
    return None if found is None else _UNITS.get(found[0])


def differ(one: str, other: str) -> bool | None:
    """Whether two values are two. None when they cannot be compared: "Friday" and "June 5".

    A value that only says more than the other is the same.
    """
    if len({unit(one), unit(other)} - {None}) > 1:
        return None
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
