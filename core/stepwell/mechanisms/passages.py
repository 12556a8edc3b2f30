"""Where a long text is cut, so that each piece can be found and quoted by itself."""

from __future__ import annotations

import re
from typing import Final

#: Words of a passage, about. See `passages` for what is done with less and with more.
TARGET_WORDS: Final = 200

# Two characters of a script without spaces count as a word (Thai to Myanmar, Kana, ideographs), and
# so does each run of 16 characters in a blob.
_WORD = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u2e80-\u9fff\U00020000-\U0003ffff]{1,2}"
    "|[^\\s\u0e00-\u0eff\u1000-\u109f\u2e80-\u9fff\U00020000-\U0003ffff]{1,16}"
)
# Ends a passage may have, best first; each match ends where the next passage begins.
_ENDS: Final = (
    re.compile(r"\n[^\S\n]*\n\s*"),  # paragraph
    re.compile(r"\n\s*"),  # line
    re.compile(r"[.!?…][\"'”’)\]]*\s+|[。！？]+[」』”]*\s*"),  # sentence
    re.compile(r"\s+"),
)


def passages(text: str, target_words: int = TARGET_WORDS) -> list[tuple[int, int]]:
    """Spans of characters that cover a text in order, without gap or overlap; linear in the text.

    A text of up to one and a half targets is one span, (0, len(text)). Otherwise a passage has
    between half a target and one and a half (the last one too, if the text allows it), and ends
    after a paragraph if one ends there, else a line, else a sentence, else a word, else anywhere.
    """
    if target_words < 1:
        raise ValueError(f"target_words must be at least 1, not {target_words}")
    # Cheap and common: too short to hold that many words.
    if len(text) <= target_words:
        return [(0, len(text))]
    starts = [match.start() for match in _WORD.finditer(text)]
    spans: list[tuple[int, int]] = []
    begin = at = 0  # the passage's first character and first word
    most, least = target_words + target_words // 2, max(1, target_words // 2)
    while len(starts) - at > most:
        # What is left after the cut must not be a crumb.
        last = min(at + most, max(len(starts) - least, at + least))
        end = _cut(text, starts[at + least], starts[last])
        spans.append((begin, end))
        begin = end
        at = _first_from(starts, end, at + least)
    spans.append((begin, len(text)))
    return spans


def _cut(text: str, low: int, high: int) -> int:
    """The best end of a passage between two characters; nearest to the middle among equals."""
    middle = (low + high) // 2
    for pattern in _ENDS:
        found = [match.end() for match in pattern.finditer(text, low, high)]
        if found:
            return min(found, key=lambda end: (abs(end - middle), end))
    return high


def _first_from(starts: list[int], end: int, low: int) -> int:
    """The first word, not before word `low`, that begins at or after a character."""
    while low < len(starts) and starts[low] < end:
        low += 1
    return low


def pieces(text: str, spoken: str) -> list[tuple[tuple[int, int] | None, str]]:
    """What a text is embedded as, with the span of each piece: its passages, if it has several.

    Else it is one piece without a span, `spoken`: the text with what belongs to it, as captions.
    """
    spans = passages(text)
    return [(None, spoken)] if len(spans) == 1 else [(span, text[slice(*span)]) for span in spans]
