"""Where the sentences of a text are: of prose in Latin or in ideographs, of code and of logs."""

from __future__ import annotations

import re
from typing import Final

#: A line shorter than this was not broken for its length: the next one is another sentence.
WRAPPED_AT: Final = 50

# Words that a full stop belongs to. A letter by itself is an initial.
_SHORT: Final = frozenset(
    """
    mr mrs ms dr prof st jr sr vs etc eg ie e.g i.e cf al no nos vol fig eq sec ch ca approx dept
    inc ltd co corp est jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun
    a.m p.m u.s u.k
    """.split()  # noqa: SIM905  # a list of words is read as words
)
_LONGEST_SHORT = max(map(len, _SHORT))
# A run of marks is looked at once, from its beginning: the time stays linear.
_END = re.compile(
    "(?<![.!?…])(?P<mark>[.!?…]++)(?P<close>[\"'”’»)\\]*_]*+)(?=\\s)|[。！？｡]++[」』”’）\"']*+"
)
# A line of code or of a log, a heading, a diff: it stays one, whatever stands in it.
_LINE = re.compile(
    r"\t| {4,}|\s*(?:\[?\d{4}-\d\d-\d\d[ T]|\[?\d\d:\d\d:\d\d|#{1,6} |\$ |>>> |@@ |[-+]{3} "
    r"|\[?(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL)\b|File \"|Traceback \(|\|)"
)
_FENCE = "```"


def sentences(text: str) -> list[tuple[int, int]]:
    """Spans of characters, in order and without overlap; all that is outside them is white space.

    A sentence ends with its mark, or with its line, unless that was broken for its length. A line
    of code or of a log is one sentence. Takes time linear in the text.
    """
    spans: list[tuple[int, int]] = []
    at, begun = 0, -1  # the line's first character, and that of a sentence left open before it
    fenced = False
    for line in text.split("\n"):
        bare = line.strip()
        fence = bare.startswith(_FENCE)
        if not bare or fence or fenced or is_line(line):
            begun = _close(text, spans, begun, at)
            if bare:
                _close(text, spans, at, at + len(line))
            fenced ^= fence
        else:
            if begun >= 0 and not bare[0].islower():
                begun = _close(text, spans, begun, at)
            begin = at if begun < 0 else begun
            for end in _ends(line):
                _close(text, spans, begin, at + end)
                begin = at + end
            rest = begin < at + len(line)
            begun = begin if rest and len(line) >= WRAPPED_AT else -1
            if rest and begun < 0:
                _close(text, spans, begin, at + len(line))
        at += len(line) + 1
    _close(text, spans, begun, len(text))
    return spans


def _close(text: str, spans: list[tuple[int, int]], first: int, last: int) -> int:
    """End a sentence there, without the white space around it; -1: there is none any more."""
    if first >= 0:
        held = text[first:last]
        begin = first + len(held) - len(held.lstrip())
        end = first + len(held.rstrip())
        if begin < end:
            spans.append((begin, end))
    return -1


def is_line(line: str) -> bool:
    """Whether a line is one of code or of a log, and not prose."""
    return line.rstrip()[-1:] in (";", "{", "}") or _LINE.match(line) is not None


def _ends(line: str) -> list[int]:
    """Where sentences end within a line."""
    ends: list[int] = []
    begin = 0
    for match in _END.finditer(line):
        if match["mark"] is None or _is_end(line, begin, match):
            begin = match.end()
            ends.append(begin)
    return ends


def _is_end(line: str, begin: int, match: re.Match[str]) -> bool:
    goes_on = line[match.end() : match.end() + 2].strip()[:1].islower()
    mark, close = match["mark"], match["close"]
    if goes_on and (close or len(mark) > 1 or mark == "…"):
        return False  # "Really?" he said; and so ... on
    if mark != ".":
        return True
    low = max(begin, match.start() - _LONGEST_SHORT - 1)
    parts = line[low : match.start()].split()
    word = parts[-1].strip("(\"'“‘[").casefold() if parts else ""
    if word.isdigit() and low == begin and len(parts) == 1:
        return False  # the number of a line in a list
    initial = len(word) == 1 and word.isalpha() and word != "i"
    return not initial and word not in _SHORT
