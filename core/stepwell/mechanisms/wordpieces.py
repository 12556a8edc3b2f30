"""Text to word pieces: the longest pieces of a vocabulary that a word is made of, from the left.

The scheme and its rules are BERT's (Devlin et al. 2019; WordPiece: Wu et al. 2016, section 4.1),
uncased, so that a table distilled from any model of that family can be read. The usual library for
it brings fourteen distributions along, a client of the network among them; this is tested to give
the same pieces.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final
from weakref import WeakSet

#: A longer word is a blob: it has no pieces.
LONGEST: Final = 100
#: Words known at most; then all are dropped.
CACHED: Final = 100_000

_IDEOGRAPH = (
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002b73f"
    "\U0002b740-\U0002b81f\U0002b920-\U0002ceaf\U0002f800-\U0002fa1f"
)
# ASCII text, by far the most, is cut by one expression: runs of letters and digits, and each other
# visible character by itself.
_PLAIN: Final = re.compile(r"[a-z0-9]+|[!-/:-@\[-`{-~]")
# Control characters are not read, as in all other text: they part no word.
_CONTROLS: Final = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127])
_ALONE: Final = re.compile(f"([{_IDEOGRAPH}])")

_ALL: Final[WeakSet[WordPieces]] = WeakSet()


class WordPieces:
    """A vocabulary. Its pieces are numbered in order; inner ones begin with "##"."""

    def __init__(self, pieces: Iterable[str]) -> None:
        self._numbers = {piece: number for number, piece in enumerate(pieces)}
        self._longest = max(map(len, self._numbers), default=0)
        self._known: dict[str, tuple[int, ...]] = {}
        _ALL.add(self)

    def __len__(self) -> int:
        return len(self._numbers)

    def numbers(self, text: str) -> list[int]:
        """The numbers of a text's pieces in order; words that cannot be made of any give none."""
        known = self._known
        found: list[int] = []
        for word in _words(text):
            pieces = known.get(word)
            if pieces is None:
                pieces = self._cut(word)
                # A blob is not kept: it may be as long as the text.
                if len(word) <= LONGEST:
                    if len(known) >= CACHED:
                        known.clear()
                    known[word] = pieces
            found += pieces
        return found

    def forget(self) -> None:
        """Drop the words that are kept."""
        self._known.clear()

    def _cut(self, word: str) -> tuple[int, ...]:
        if len(word) > LONGEST:
            return ()
        numbers, start, mark = [], 0, ""
        while start < len(word):
            for end in range(min(len(word), start + self._longest), start, -1):
                number = self._numbers.get(mark + word[start:end])
                if number is not None:
                    break
            else:
                return ()
            numbers.append(number)
            start, mark = end, "##"
        return tuple(numbers)


def forget_pieces() -> None:
    """Drop the words that any vocabulary keeps: called after somebody's data was forgotten."""
    for vocabulary in list(_ALL):
        vocabulary.forget()


def _words(text: str) -> list[str]:
    if text.isascii():
        return _PLAIN.findall(text.translate(_CONTROLS).lower())
    clean = "".join(map(_CLEAN.__getitem__, text))
    # Letter by letter: Python alone writes a sigma that ends a word in another way.
    folded = "".join(
        c for c in unicodedata.normalize("NFD", _ALONE.sub(r" \1 ", clean))
        if unicodedata.category(c) != "Mn"
    ).replace("Σ", "σ").lower()  # fmt: skip
    return [word for run in folded.split() for word in _split(run)]


def _split(run: str) -> list[str]:
    """Cut at punctuation, which stands alone."""
    words, word = [], ""
    for c in run:
        if _PUNCTUATION[c]:
            words += [word, c] if word else [c]
            word = ""
        else:
            word += c
    return [*words, word] if word else words


class _Clean(dict[str, str]):
    """A character as it is read: white space as a blank, control characters not at all."""

    def __missing__(self, c: str) -> str:
        kind = unicodedata.category(c)
        if c in "\t\n\r" or kind == "Zs":
            made = " "
        else:
            made = "" if kind in ("Cc", "Cf", "Co", "Cs") or c in "\0\ufffd" else c
        self[c] = made
        return made


class _Punctuation(dict[str, bool]):
    def __missing__(self, c: str) -> bool:
        ascii_mark = c < "\x80" and c.isprintable() and not c.isalnum() and c != " "
        made = self[c] = ascii_mark or unicodedata.category(c).startswith("P")
        return made


_CLEAN: Final = _Clean()
_PUNCTUATION: Final = _Punctuation()
