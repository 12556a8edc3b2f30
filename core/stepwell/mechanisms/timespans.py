"""The times a question names, by a small list of forms; of anything else it says nothing.

A form that needs to know the present ("yesterday", "two weeks ago") is read only when `now` is
given. Days, months and years are those of `now`'s timezone, UTC without it; every span comes back
in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

import numpy as np
import numpy.typing as npt

#: "Unknown" among times in microseconds.
NEVER: Final = np.iinfo(np.int64).min

Span = tuple[datetime, datetime]

_MONTHS: Final = ("january", "february", "march", "april", "may", "june", "july", "august",
                  "september", "october", "november", "december")  # fmt: skip
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NUMBERS: Final = {
    "a": 1, "an": 1, "one": 1, "two": 2, "couple": 2, "three": 3, "four": 4, "five": 5, "six": 6,
    "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "few": 3,
}  # fmt: skip
# Only a question's beginning is read: nobody names a time after 4,000 characters.
_READ: Final = 4_000

# "may" and "march" are months only where nothing else is likely: next to a number or after these.
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DAY = r"(?P<day>0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?\b"
_YEAR = r"(?P<year>(?:19|20)\d\d)\b"
_IN = r"\b(?:in|during|of|since|until|till|by|from|around|early|mid|late|last|this|next)[ -]+"
_COUNT = rf"(?P<count>\d{{1,4}}|{'|'.join(_NUMBERS)})"
_UNIT = r"(?P<unit>day|week|month|year)"
_SEASON = r"(?P<season>spring|summer|autumn|fall|winter)"


def timespans(query: str, now: datetime | None) -> list[Span]:
    """Half-open spans [from, to) that a question names, timezone-aware, in order of naming.

    A month or a day without a year is not among them: see `recurring`. Never raises.
    """
    if now is not None and now.tzinfo is None:
        now = now.replace(tzinfo=UTC)
    found: list[tuple[int, Span]] = []
    taken: list[tuple[int, int]] = []
    for match, read in _matches(query, _ABSOLUTE + (_RELATIVE if now is not None else ())):
        if any(match.start() < end and begin < match.end() for begin, end in taken):
            continue
        span = _guarded(read, match, now)
        if span is not None:
            taken.append(match.span())
            found.append((match.start(), span))
    return [span for _, span in sorted(found)]


def recurring(query: str) -> list[tuple[int, int | None]]:
    """Months named without a year, as (month 1-12, day or None), in order of naming."""
    dated = [match.span() for match, _ in _matches(query, _ABSOLUTE)]
    found: list[tuple[int, int | None]] = []
    for pattern in _RECURRING:
        for match in pattern.finditer(query[:_READ]):
            if any(match.start() < end and begin < match.end() for begin, end in dated):
                continue
            dated.append(match.span())
            day = match.groupdict().get("day")
            name = match["month"]
            month = int(name) if name.isdigit() else _month(name)
            found.append((month, int(day) if day else None))
    return found


def within(
    said: npt.NDArray[np.int64],
    spans: Sequence[Span],
    months: Sequence[tuple[int, int | None]] = (),
) -> npt.NDArray[np.float32]:
    """1 for what was said in one of the times named, else 0: the feature "time" of units, (n,).

    `said` is in microseconds since 1970, NEVER where unknown; `spans` are those of `timespans`,
    `months` those of `recurring`, of any year, in UTC.
    """
    inside = np.zeros(len(said), np.bool_)
    for begin, end in spans:
        inside |= (said >= micros(begin)) & (said < micros(end))
    if months:
        days = said.astype("datetime64[us]").astype("datetime64[D]")
        firsts = days.astype("datetime64[M]")
        month = firsts.astype(np.int64) % 12 + 1
        of_month = (days - firsts.astype("datetime64[D]")).astype(np.int64) + 1
        for which, day in months:
            inside |= (month == which) if day is None else (month == which) & (of_month == day)
    inside &= said != NEVER
    return inside.astype(np.float32)


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


Reader = Callable[[re.Match[str], datetime], Span]


def _matches(
    query: str, forms: tuple[tuple[re.Pattern[str], Reader], ...]
) -> Iterator[tuple[re.Match[str], Reader]]:
    for pattern, read in forms:
        for match in pattern.finditer(query[:_READ]):
            yield match, read


def _guarded(read: Reader, match: re.Match[str], now: datetime | None) -> Span | None:
    """What a form says; None for the 31st of June, for the year 0, and for an hour that is not."""
    try:
        begin, end = read(match, now if now is not None else datetime(1970, 1, 1, tzinfo=UTC))
        return begin.astimezone(UTC), end.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _month(name: str) -> int:
    return 1 + next(i for i, month in enumerate(_MONTHS) if month.startswith(name.lower()[:3]))


def _day_span(year: int, month: int, day: int, zone: tzinfo | None) -> Span:
    begin = datetime(year, month, day, tzinfo=zone)
    return begin, begin + timedelta(days=1)


def _month_span(year: int, month: int, zone: tzinfo | None) -> Span:
    """A month; `month` may run over: 0 is last December, 13 next January."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    begin = datetime(year, month, 1, tzinfo=zone)
    return begin, datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone)


def _year_span(year: int, zone: tzinfo | None) -> Span:
    return datetime(year, 1, 1, tzinfo=zone), datetime(year + 1, 1, 1, tzinfo=zone)


def _week_span(now: datetime, shift: int) -> Span:
    """The week, Monday to Sunday, that lies `shift` weeks after now."""
    begin = _midnight(now) + timedelta(days=7 * shift - now.weekday())
    return begin, begin + timedelta(days=7)


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def _dated(match: re.Match[str], now: datetime) -> Span:
    month = match["month"]
    number = int(month) if month.isdigit() else _month(month)
    return _day_span(int(match["year"]), number, int(match["day"]), now.tzinfo)


def _in_month(match: re.Match[str], now: datetime) -> Span:
    month = match["month"]
    number = int(month) if month.isdigit() else _month(month)
    return _month_span(int(match["year"]), number, now.tzinfo)


def _in_year(match: re.Match[str], now: datetime) -> Span:
    return _year_span(int(match["year"]), now.tzinfo)


def _near_day(match: re.Match[str], now: datetime) -> Span:
    shift = {"the day before yesterday": -2, "yesterday": -1, "last night": -1}
    begin = _midnight(now) + timedelta(days=shift.get(match[0].lower(), 0))
    return begin, begin + timedelta(days=1)


_SHIFTS: Final = {
    "last": -1, "past": -1, "previous": -1, "this past": -1, "over the": -1, "on the": -1,
    "next": 1,
}  # fmt: skip


def _near_unit(match: re.Match[str], now: datetime) -> Span:
    which, unit = (
        (match["which"] or match["when"]).lower(),
        (match["unit"] or match["span"]).lower(),
    )
    shift = _SHIFTS.get(which, 0)
    if unit == "week":
        return _week_span(now, shift)
    if unit == "weekend":
        begin = _week_span(now, shift)[0] + timedelta(days=5)
        return begin, begin + timedelta(days=2)
    if unit == "month":
        return _month_span(now.year, now.month + shift, now.tzinfo)
    return _year_span(now.year + shift, now.tzinfo)


def _ago(match: re.Match[str], now: datetime) -> Span:
    """A span around the day named, as wide as its unit: people round."""
    text = match["count"].lower()
    count, unit = int(text) if text.isdigit() else _NUMBERS[text], match["unit"].lower()
    if unit == "day":
        begin = _midnight(now) - timedelta(days=count)
        return begin, begin + timedelta(days=1)
    if unit == "week":
        middle = _midnight(now) - timedelta(days=7 * count)
        return middle - timedelta(days=3), middle + timedelta(days=4)
    if unit == "month":
        return _month_span(now.year, now.month - count, now.tzinfo)
    return _year_span(now.year - count, now.tzinfo)


def _past(match: re.Match[str], now: datetime) -> Span:
    """As in "the last three weeks": up to and with today."""
    text = match["count"].lower()
    count, unit = int(text) if text.isdigit() else _NUMBERS[text], match["unit"].lower()
    days = {"day": 1, "week": 7, "month": 31, "year": 366}[unit] * count
    today = _midnight(now)
    return today - timedelta(days=days), today + timedelta(days=1)


def _weekday(match: re.Match[str], now: datetime) -> Span:
    """The latest such day before today."""
    back = (now.weekday() - _DAYS.index(match["weekday"].lower()) - 1) % 7 + 1
    begin = _midnight(now) - timedelta(days=back)
    return begin, begin + timedelta(days=1)


_SEASONS: Final = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}


def _season_span(year: int, name: str, zone: tzinfo | None) -> Span:
    """Three months; a winter is named by the year that it begins in."""
    first = _SEASONS[name]
    return _month_span(year, first, zone)[0], _month_span(year, first + 2, zone)[1]


def _season(match: re.Match[str], now: datetime) -> Span:
    return _season_span(int(match["year"]), match["season"].lower(), now.tzinfo)


def _near_season(match: re.Match[str], now: datetime) -> Span:
    """The latest one that is over; "this" is the one that is, or was last."""
    name, this = match["season"].lower(), match["which"].lower() == "this"
    for year in range(now.year, now.year - 3, -1):
        begin, end = _season_span(year, name, now.tzinfo)
        if (begin if this else end) <= now:
            return begin, end
    raise ValueError("no such season yet")


def _before_last(match: re.Match[str], now: datetime) -> Span:
    begin = _week_span(now, -2)[0]
    if match["unit"].lower() == "week":
        return begin, begin + timedelta(days=7)
    return _weekend(now, -2)


def _weekends_ago(match: re.Match[str], now: datetime) -> Span:
    text = match["count"].lower()
    return _weekend(now, -(int(text) if text.isdigit() else _NUMBERS[text]))


def _weekend(now: datetime, shift: int) -> Span:
    """Saturday and Sunday of the week that lies `shift` weeks after now."""
    begin = _week_span(now, shift)[0] + timedelta(days=5)
    return begin, begin + timedelta(days=2)


def _quarter(match: re.Match[str], now: datetime) -> Span:
    year, first = int(match["year"]), 3 * int(match["quarter"]) - 2
    return _month_span(year, first, now.tzinfo)[0], _month_span(year, first + 2, now.tzinfo)[1]


def _christmas(match: re.Match[str], now: datetime) -> Span:
    """The three days of the year that is named, else the latest."""
    year = int(match["year"]) if match["year"] else now.year - (now.month < 12)
    begin = datetime(year, 12, 24, tzinfo=now.tzinfo)
    return begin, begin + timedelta(days=3)


def _day_word(match: re.Match[str], now: datetime) -> Span:
    begin = _midnight(now) + timedelta(days=_DAY_WORDS[match[0].lower()])
    return begin, begin + timedelta(days=1)


def _unit_word(match: re.Match[str], now: datetime) -> Span:
    if match["unit"].lower() in ("woche", "周", "週", "星期", "礼拜"):
        return _week_span(now, -1)
    return _month_span(now.year, now.month - 1, now.tzinfo)


def _counted(match: re.Match[str], now: datetime) -> Span:
    """So many days ago, or weeks: the day itself, or the week around it."""
    text = match["count"].lower()
    count = int(text) if text.isdigit() else _COUNTS[text]
    days = 1 if match["unit"].lower() in ("tag", "tagen", "天") else 7
    middle = _midnight(now) - timedelta(days=days * count)
    around = timedelta(days=0 if days == 1 else 3)
    return middle - around, middle + around + timedelta(days=1)


_DAY_WORDS: Final = {
    "gestern": -1, "vorgestern": -2, "heute": 0, "昨天": -1, "前天": -2, "今天": 0, "昨晚": -1,
    "tomorrow": 1, "明天": 1,
}  # fmt: skip
_COUNTS: Final = {
    "einem": 1, "einer": 1, "zwei": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6,
    "一": 1, "两": 2, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7,
}  # fmt: skip


def _form(pattern: str, read: Reader) -> tuple[re.Pattern[str], Reader]:
    return re.compile(pattern, re.IGNORECASE), read


# Longer forms first: what one form has read, no later one reads again.
_ABSOLUTE: Final = (
    _form(
        r"(?<![\d-])(?P<year>(?:19|20)\d\d)[-/](?P<month>0?[1-9]|1[0-2])"
        r"[-/](?P<day>0?[1-9]|[12]\d|3[01])(?![\d-])",
        _dated,
    ),
    _form(rf"\b{_DAY}(?: of)? {_MONTH},? {_YEAR}", _dated),
    _form(rf"\b{_MONTH} {_DAY},? {_YEAR}", _dated),
    _form(rf"\b{_MONTH},?(?: of)? {_YEAR}", _in_month),
    _form(r"(?<![\d-])(?P<year>(?:19|20)\d\d)-(?P<month>0[1-9]|1[0-2])(?![\d-])", _in_month),
    _form(
        r"(?P<year>(?:19|20)\d\d)年(?P<month>1[0-2]|0?[1-9])月(?P<day>[12]\d|3[01]|0?[1-9])[日号]",
        _dated,
    ),
    _form(r"(?P<year>(?:19|20)\d\d)年(?P<month>1[0-2]|0?[1-9])月", _in_month),
    _form(rf"\b{_SEASON},?(?: of)? {_YEAR}", _season),
    _form(rf"\bQ(?P<quarter>[1-4]),?(?: of)? {_YEAR}", _quarter),
    _form(rf"\bchristmas(?: of)? {_YEAR}", _christmas),
    _form(rf"(?<![\d.,:/$€£#-]){_YEAR}(?![.,:/-]?\d|%)", _in_year),
    _form(r"(?P<year>(?:19|20)\d\d)年", _in_year),
)
_RELATIVE: Final = (
    _form(
        r"\b(?:the day before yesterday|yesterday|last night|today|tonight"
        r"|this (?:morning|afternoon|evening))\b",
        _near_day,
    ),
    _form(rf"\b{_COUNT}(?: of)? {_UNIT}s? ago\b", _ago),
    _form(rf"\b{_COUNT}(?: of)? weekends? ago\b", _weekends_ago),
    _form(r"\b(?P<unit>weekend|week) before last\b", _before_last),
    _form(rf"\b(?P<which>this|last|past|previous) {_SEASON}\b", _near_season),
    _form(r"\b(?:last|at|over|during|this|since) christmas(?P<year>)\b", _christmas),
    _form(r"\b(?:gestern|vorgestern|heute|tomorrow)\b|昨天|前天|今天|昨晚|明天", _day_word),
    _form(r"\bletzte[rn]? (?P<unit>woche|monat)\b", _unit_word),
    _form(r"上(?:一)?个?(?P<unit>周|週|星期|礼拜|月)", _unit_word),
    _form(
        r"\bvor (?P<count>\d{1,3}|einem|einer|zwei|drei|vier|fünf|sechs) "
        r"(?P<unit>tag|tagen|woche|wochen)\b",
        _counted,
    ),
    _form(r"(?P<count>\d{1,3}|[一两二三四五六七])(?P<unit>天|周|星期|个星期)前", _counted),
    _form(rf"\b(?:last|past|previous) {_COUNT} {_UNIT}s?\b", _past),
    _form(
        r"\b(?P<which>this past|this|last|past|previous|next|over the|on the) (?P<unit>weekend)\b"
        r"|\b(?P<when>this|last|past|previous|next) (?P<span>week|month|year)\b",
        _near_unit,
    ),
    _form(rf"\b(?:last|on|this past|past) (?P<weekday>{'|'.join(_DAYS)})\b", _weekday),
)
_RECURRING: Final = (
    re.compile(rf"\b{_DAY}(?: of)? {_MONTH}", re.IGNORECASE),
    re.compile(r"(?<!年)(?P<month>1[0-2]|[1-9])月(?P<day>[12]\d|3[01]|[1-9])[日号]"),
    re.compile(rf"\b{_MONTH} {_DAY}", re.IGNORECASE),
    re.compile(_IN + rf"{_MONTH}(?! (?:be|have|not|i|we|he|she|they|you|it)\b)", re.IGNORECASE),
    # Elsewhere a month is known by its capital, and "May" and "March" are too often something else.
    re.compile(
        r"\b(?P<month>January|February|April|June|July|August|September|October|November|December)\b"
    ),
)
