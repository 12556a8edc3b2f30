"""Text to terms: what a text is found by when it is found by its words.

A term is the 8-byte BLAKE2b hash of a stem, so that an index, and the file behind it, hold no word
in plain. The same text gives the same terms on every machine. A text is cut into surface words by
one regular expression; what a surface word means (no term, one, or several) is worked out once and
then looked up, which makes the common case two calls into C.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import Stemmer

TermArray = npt.NDArray[np.uint64]

#: Surface words known at most; then all are dropped. About 40 MB when full of long words.
CACHED_WORDS: Final = 200_000
#: A longer word is an identifier or a blob: it is neither stemmed nor split nor kept in the cache.
LONGEST_WORD: Final = 64

#: Words too common to tell one text from another, as they stand after casefolding. Beside the usual
#: function words: auxiliaries, the words questions begin with, and what is left of contractions.
STOP_WORDS: Final = frozenset(
    """
    a about after all also am an and any are as at be because been before being both but by can
    could d did do does doing don done for from get got had has have having he her here hers him
    his how i if in into is it its just ll m me more most my no nor not now of off on or other our
    out over own re s same she should so some such t than that the their them then there these they
    this those through to too under until up upon us ve very was we were what when where which
    while who whom whose why will with would you your yours ca wo sha ain isn aren wasn weren didn
    doesn hasn haven hadn couldn wouldn shouldn won n
    """.split()  # noqa: SIM905  # a list of words is read as words
)

#: Words by which something is asked for: in a question they tell nothing of what is looked for.
ASKING_WORDS: Final = frozenset(
    """
    summarize summary summarise discuss discussed discussion mention mentioned mentioning say said
    says saying talk talked talking tell told think thought thinks opinion describe explain remember
    remind please
    """.split()  # noqa: SIM905  # … as above
)
_TIME_WORDS: Final = """
    yesterday today tomorrow tonight ago recently last next day week weekend month year monday
    tuesday wednesday thursday friday saturday sunday january february april june july august
    september october november december
    """.split()  # noqa: SIM905  # … as above
_WHEN = re.compile(
    r"\b(?:when|how (?:long|old|often|recently)|how many (?:days|weeks|months|years)"
    r"|(?:what|which) (?:date|day|month|year|time))\b",
    re.IGNORECASE,
)
#: Names of roles. They are not named by the word (there are user stories and tool boxes); who is
#: asking, by pronoun.
_SELF: Final = frozenset({"user", "human", "customer"})
_ROLES: Final = _SELF | {"assistant", "ai", "bot", "agent", "system", "tool", "model"}
_PRONOUN = re.compile(r"\b(?:I|i|[Mm]e|[Mm]y|[Mm]ine|[Mm]yself)\b")

# Marks that stand inside words without being letters: accents, and the vowel signs of scripts from
# Arabic to Khmer. Letters and digits of every script, and "_", are `\w`.
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    "\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0711\u0730-\u074a"
    "\u0900-\u0963\u0966-\u0dff\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece"
    "\u0f18\u0f19\u0f35\u0f37\u0f39\u0f71-\u0f84\u0f90-\u0fbc\u102b-\u103e\u1056-\u1059\u17b4-\u17d3"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0\u3099\u309a\ufe20-\ufe2f"
)
# Pictographs count as words of one character: they are all that some turns consist of.
_SURFACE = re.compile(rf"[\w{_MARKS}]+(?:['’][\w{_MARKS}]+)*|[☀-➿\U0001f000-\U0001faff]")
_ACCENTS = re.compile("[\u0300-\u036f]+")
_CLITIC = re.compile(r"(?:n't|'(?:s|t|m|d|re|ve|ll))$")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)")
# Where a word may be cut inside: snake_case, camelCase, what is left of apostrophes.
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_+|'")
# Scripts written without spaces: Thai, Lao, Myanmar, Khmer, Kana, ideographs. Hangul has spaces,
# but its words carry particles, so that parts of words must be found as well.
_SPACELESS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]+"
)
_STEMMER = Stemmer.Stemmer("english", 0)  # 0: it keeps no words of its own


def terms(text: str) -> TermArray:
    """The terms of a text in order of appearance, repeated ones repeated; shape (n,), read-only.

    Stop words are dropped, an identifier gives itself and its parts, scripts without spaces give
    characters and pairs of them. Takes time linear in the text.
    """
    packed = b"".join(map(_TERMS.__getitem__, _SURFACE.findall(text)))
    return np.frombuffer(packed, "<u8").astype(np.uint64, copy=False)


def question_terms(question: str) -> TermArray:
    """The terms of a question without those that only ask ("Can you summarize what was said …").

    All of them, where nothing else is left; shape (n,).
    """
    asked = terms(question)
    kept = asked[~np.isin(asked, _ASKING_TERMS)]
    return kept if len(kept) else asked


def asks_when(question: str) -> bool:
    """Whether the answer is likely to be a time."""
    return _WHEN.search(question) is not None


def words(text: str) -> list[str]:
    """The stems that `terms` hashes, in the same order: for explanations."""
    return [stem for surface in _SURFACE.findall(text) for stem in _stems(surface)]


def term(stem: str) -> int:
    """The term of one stem as given: not folded, not stemmed."""
    return int.from_bytes(_hash(stem), "little")


def name_words(name: str) -> list[str]:
    """The casefolded, unstemmed words of a name, identifiers in parts; stop words stay ("Will")."""
    return [part.casefold() for part in _name_parts(name)]


def _name_parts(name: str) -> list[str]:
    surfaces = map(_fold, _SURFACE.findall(name))
    return [part for word in surfaces for part in _HUMP.split(_CLITIC.sub("", word)) if part]


def forget_words() -> None:
    """Empty the cache, which holds words in plain: called after somebody's data was forgotten."""
    _TERMS.clear()


class Actors:
    """Which of several actors a question means. `names[i]` is the name of actor i, None if unknown.

    Where some are not to be seen, make one of the names of the others, with None in their place.
    """

    def __init__(self, names: Sequence[str | None]) -> None:
        self._size = len(names)
        self._known = sum(name is not None for name in names)
        self._names: list[frozenset[str]] = []
        self._holders: dict[str, list[int]] = {}
        for i, name in enumerate(names):
            parts = frozenset(name_words(name or ""))
            # A role within a name is a word like any other: the agent "Travel Agent".
            self._names.append(parts if parts - _ROLES else parts & _SELF)
            for word in self._names[i]:
                self._holders.setdefault(word, []).append(i)

    def named(self, question: str) -> npt.NDArray[np.float32]:
        """How much of each name is in a question, (names,) in [0, 1]; shared words count less.

        "I" and "my" mean whoever is called user. All zero where fewer than two actors are known.
        """
        scores = np.zeros(self._size, np.float32)
        if self._known < 2:
            return scores
        # A name that is a stop word too is told from it by its capital, not at the beginning.
        parts = _name_parts(question)
        asked = {
            part.casefold()
            for i, part in enumerate(parts)
            if part.casefold() not in STOP_WORDS or (i and part[0].isupper())
        } - _SELF
        if _PRONOUN.search(question):
            asked |= _SELF
        for word in asked & self._holders.keys():
            for actor in self._holders[word]:
                whole = sum(1 / len(self._holders[part]) for part in self._names[actor])
                scores[actor] += 1 / len(self._holders[word]) / whole
        return np.minimum(scores, 1, out=scores)


class _Terms(dict[str, bytes]):
    """Surface word to the packed terms it stands for; b"" for a stop word.

    Threads may share it: each step is one operation of a dict, and a value depends on its key
    alone.
    """

    def __missing__(self, surface: str) -> bytes:
        packed = b"".join(map(_hash, _stems(surface)))
        if len(surface) <= LONGEST_WORD and len(packed) <= LONGEST_WORD:
            if len(self) >= CACHED_WORDS:
                self.clear()
            self[surface] = packed
        return packed


def _hash(stem: str) -> bytes:
    return blake2b(stem.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _stems(surface: str) -> list[str]:
    """What a surface word stands for: nothing, its stem, or several stems."""
    word = surface if surface.isascii() else _fold(surface)
    if len(word) > LONGEST_WORD:
        runs = _SPACELESS.search(word)
        return _grams(word) if runs else [word.casefold()]
    if _SPACELESS.search(word):
        return _grams(word)
    if "'" in word:
        word = _CLITIC.sub("", word)
    parts = [part for part in _HUMP.split(word) if part]
    if len(parts) > 1:
        parts.append("".join(parts))
    return [stem for part in parts if (stem := _stem(part.casefold()))]


def _stem(word: str) -> str:
    if word in STOP_WORDS:
        return ""
    if word[0].isdigit():
        ordinal = _ORDINAL.fullmatch(word)
        word = ordinal[1] if ordinal else word
        return word.lstrip("0") or "0"
    return str(_STEMMER.stemWord(word))


def _fold(word: str) -> str:
    """Accents and typographic variants folded away; other scripts stay as they are."""
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", word.replace("’", "'")))
    return unicodedata.normalize("NFC", plain)


def _grams(word: str) -> list[str]:
    """Characters and pairs of characters of spaceless scripts; what stands between, as words."""
    found: list[str] = []
    end = 0
    for run in _SPACELESS.finditer(word):
        if run.start() > end and (stem := _stem(word[end : run.start()].casefold())):
            found.append(stem)
        text = run[0]
        found += text
        found += map("".join, pairwise(text))
        end = run.end()
    if end < len(word) and (stem := _stem(word[end:].casefold())):
        found.append(stem)
    return found


_TERMS: Final = _Terms()
_ASKING_TERMS: Final = terms(" ".join(sorted(ASKING_WORDS)))
#: Terms of the words that tell a time. "May" and "march" are too often something else.
TIME_TERMS: Final[tuple[int, ...]] = tuple(terms(" ".join(_TIME_WORDS)).tolist())
