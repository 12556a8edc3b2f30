"""Key phrases: what a text is about, and what tells sibling groups of texts apart. No model."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from typing import Final

from stepwell.mechanisms.words import ASKING_WORDS, LONGEST_WORD, STOP_WORDS, words

#: Words of a phrase at most; ideographs of one.
LONGEST_PHRASE: Final = 3
LONGEST_RUN: Final = 4

# Beside the stop words: what is said often and tells nothing of what is spoken about.
_DULL: Final = frozenset(
    """
    really just like yeah yes ok okay oh well good great nice thing things lot lots bit much many
    also still even maybe actually definitely pretty sure know think going go get got make made want
    need use used using way one two something anything someone everyone always never new see look
    feel time times day days today thanks thank hi hello hey please let sounds sound awesome cool
    wow haha love amazing glad hope right back come came take took said say tell told hear try
    help around kind keep say ever every since first last next lately recently soon good best better
    guess mean people user assistant etc http https www com re im ive dont didnt thats youre
    """.split()  # noqa: SIM905  # a list of words is read as words
) | (ASKING_WORDS)
# Characters that hold Chinese and Japanese sentences together: no phrase has one in it.
_GLUE: Final = frozenset(
    "的了是在我你他她它们这那有和与就都也不吗呢吧啊呀把被让给对从到会能要很太还又再去来说个着过得地"
    "之其而但或如所以因为什么怎样哪谁几没上下里中一がのはをにでともへやかねよるれたてしすいま"
)
_TOKEN = re.compile(
    "(?P<run>[\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+)"
    "|(?P<word>[^\\W\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+"
    "(?:['’.-][^\\W\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+)*)"
    "|(?P<mark>[^\\w\\s'’])|\n"
)
_POSSESSIVE = re.compile(r"['’]s?$")
_Key = tuple[str, ...]


@dataclass(slots=True)
class _Counts:
    """How often phrases stand in a group, in how many of its texts, and how they are written."""

    often: Counter[_Key] = field(default_factory=Counter)
    texts: Counter[_Key] = field(default_factory=Counter)
    written: dict[_Key, dict[str, int]] = field(default_factory=dict)

    def add(self, key: _Key, surface: str) -> None:
        """Count a phrase once more."""
        self.often[key] += 1
        forms = self.written.setdefault(key, {})
        forms[surface] = forms.get(surface, 0) + 1

    def surface(self, key: _Key) -> str:
        """As it is written most often; the first in order among equals."""
        forms = self.written[key]
        return _POSSESSIVE.sub("", min(forms, key=lambda form: (-forms[form], form)))


def phrases(texts: Sequence[str]) -> dict[str, int]:
    """Phrases of one to three words, as they are written, and how often each stands in the texts.

    In order of number, then of the alphabet. A phrase has no stop word in it and goes over no
    mark; one of several words is said twice, or is a name. Of ideographs, two to four in a row that
    stand there more than once.
    """
    counts = _counted(texts)
    found = {counts.surface(key): counts.often[key] for key in counts.often}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def labels(
    groups: Sequence[Sequence[str]], background: Sequence[str] | None = None, count: int = 3
) -> list[tuple[str, ...]]:
    """At most `count` phrases for each group of texts that tell it from the others, best first.

    A phrase weighs by how often it stands in its group, and by how seldom in all of them and in the
    `background`. No label holds another one of the same group. Groups without words have none.
    """
    counted = [_counted(texts) for texts in groups]
    overall: Counter[_Key] = Counter()
    for counts in counted:
        overall.update(counts.often)
    shared: Counter[_Key] = Counter()
    for counts in counted:
        shared.update(counts.often.keys())
    others = len(groups)
    if background:
        behind = _counted(background)
        overall.update(behind.often)
        shared.update(behind.often.keys())
        others += 1
    usual = sum(overall.values()) / max(1, others)
    return [_best(counts, overall, shared, others, usual, count) for counts in counted]


def keywords(text: str, count: int = 8) -> tuple[str, ...]:
    """What a text is about: at most `count` of its phrases, best first."""
    return labels([[text]], count=count)[0]


def _best(
    counts: _Counts, overall: Counter[_Key], shared: Counter[_Key], groups: int, usual: float,
    count: int,
) -> tuple[str, ...]:  # fmt: skip
    scored: list[tuple[float, _Key]] = []
    for key, often in counts.often.items():
        spread = math.log1p(often) * (1 + math.log1p(counts.texts[key])) / 2
        rare = math.log1p(usual / overall[key])
        if groups > 1:
            rare *= 1 + math.log(groups / shared[key])
        scored.append((-spread * rare * _worth(key, counts.surface(key)), key))
    scored.sort(key=itemgetter(0))  # what is said first, among equals
    chosen: list[_Key] = []
    for _, key in scored:
        if len(chosen) >= count:
            break
        if not any(_within(key, other) for other in chosen):
            chosen.append(key)
    return tuple(map(counts.surface, chosen))


def _worth(key: _Key, surface: str) -> float:
    """What a phrase is worth beside its numbers: names and long ones more, numbers less."""
    first = surface[0]
    worth = 1.5 if first.isupper() and not surface.isupper() else 1.0
    if len(key) > 1:
        worth *= 1.3
    elif first.isdigit():
        worth *= 0.4
    return worth


def _within(one: _Key, other: _Key) -> bool:
    """Whether two phrases have a word in common, or one run holds the other: one says enough."""
    if len(one) == len(other) == 1 and not one[0].isascii():
        return one[0] in other[0] or other[0] in one[0]
    return not set(one).isdisjoint(other)


def _counted(texts: Iterable[str]) -> _Counts:
    """Count the words of a group, and those phrases of it that are more than chance neighbours."""
    counts = _Counts()
    stems: dict[str, str] = {}
    runs: list[str] = []
    read = [_read(text, stems, runs) for text in texts]
    pairs: Counter[_Key] = Counter()
    for words_of, _ in read:
        pairs.update(pairwise(words_of))
    for words_of, surfaces in read:
        here: set[_Key] = set()
        for at, stem in enumerate(words_of):
            if stem:
                for size in range(1, _longest(words_of, surfaces, at, pairs) + 1):
                    key = tuple(words_of[at : at + size])
                    counts.add(key, " ".join(surfaces[at : at + size]))
                    here.add(key)
        counts.texts.update(here)
    if runs:
        _count_runs(runs, counts)
    return counts


def _read(text: str, stems: dict[str, str], runs: list[str]) -> tuple[list[str], list[str]]:
    """What the words of a text count as, "" where a phrase ends; and how they are written."""
    words_of: list[str] = []
    surfaces: list[str] = []
    for match in _TOKEN.finditer(text):
        surface = match[0]
        if match.lastgroup == "run":
            runs.append(surface)
        words_of.append(_key_word(surface, stems) if match.lastgroup == "word" else "")
        surfaces.append(surface)
    return words_of, surfaces


def _longest(
    words_of: Sequence[str], surfaces: Sequence[str], at: int, pairs: Counter[_Key]
) -> int:
    """How many words the longest phrase has that begins there: said twice, or a name."""
    size = 1
    named = surfaces[at][0].isupper()
    last = words_of[at]
    for after in range(at + 1, min(at + LONGEST_PHRASE, len(words_of))):
        word = words_of[after]
        named = named and surfaces[after][0].isupper()
        if not word or word in words_of[at:after] or not (named or pairs[last, word] > 1):
            break
        size += 1
        last = word
    return size


def _key_word(surface: str, stems: dict[str, str]) -> str:
    """What a word counts as; "" for a word that no phrase has in it."""
    known = stems.get(surface)
    if known is None:
        plain = _POSSESSIVE.sub("", surface).casefold()
        dull = plain in STOP_WORDS or plain in _DULL or len(plain) < 2
        dull = dull or len(plain) > LONGEST_WORD or "'" in plain or "’" in plain
        known = stems[surface] = "" if dull else " ".join(words(plain)[:8])
    return known


def _count_runs(runs: Sequence[str], counts: _Counts) -> None:
    """Count pairs, threes and fours of ideographs; none that only stands within a longer one.

    Where any stands there twice, those that do not are chance neighbours.
    """
    grams: Counter[str] = Counter()
    for run in runs:
        for piece in _unglued(run):
            for size in range(2, LONGEST_RUN + 1):
                grams.update([piece[i : i + size] for i in range(len(piece) - size + 1)])
    kept = {gram: often for gram, often in grams.items() if often > 1} or grams
    inside = {
        part
        for gram, often in kept.items()
        if len(gram) > 2
        for part in (gram[:-1], gram[1:])
        if kept.get(part) == often
    }
    for gram, often in kept.items():
        if gram not in inside:
            counts.often[(gram,)] = counts.texts[(gram,)] = often
            counts.written[(gram,)] = {gram: often}


def _unglued(run: str) -> list[str]:
    """The parts of a run between the characters that hold sentences together."""
    return "".join(" " if c in _GLUE else c for c in run).split()
