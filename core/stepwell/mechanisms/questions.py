"""What kind of question it is, read from its wording alone: a few sure signs, no model.

Where no sign is found, it is a plain question, and nothing is done about it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from stepwell.mechanisms.words import STOP_WORDS

#: Nobody asks for more things at once.
MOST_PARTS: Final = 4
MOST_NAMES: Final = 6
_READ: Final = 2_000
_LEAST_REMARK = 6  # words
_LONGEST_NAME = 4
_LONGEST_OVERALL: Final = 200

_LINE = re.compile(r"\s*@?(?P<who>[^\s:,@][^:,\n]{0,39}?):\s+(?=\S)")
_ASKS = re.compile(
    r"(?:[^?]*\?\s*$)|\s*(?:can|could|would|will|please|what|which|who|whom|whose|when|where|why|how"
    r"|is|are|was|were|do|does|did|has|have|had|should|summari[sz]e|list|tell|describe|explain|give"
    r"|name|find|show|compare|remind|help|write|make|create|recommend|suggest)\b",
    re.IGNORECASE,
)
_FIRST_PERSON = re.compile(r"\b(?:I|[Mm]y|[Mm]e|[Ww]e|[Oo]ur|[Mm]yself|I'[a-z]+|I’[a-z]+)\b")
_QUESTION = re.compile(r"[?？]\s*(?:\[[^\]]*\]\s*)?$")
_SPEAKS_OF_SELF = re.compile(r"\b(?:I|[Mm]y|[Mm]ine|[Mm]yself|[Mm]e|[Ww]e|[Oo]urs?|[Uu]s)\b|我")
_MANY = re.compile(
    r"\bhow many\b|\blist\b|\ball (?:of )?the\b|\bnames? of\b|\bboth\b|\beach of\b|\bin what ways\b"
    r"|\b(?:what|which)(?: (?:kinds?|types?|sorts?) of)?(?: (?!is|was|does|has)\w+)?"
    r" (?!is\b|was\b|does\b|has\b|this\b|his\b|us\b|\w*(?:ss|us|is)\b)\w+s\b",
    re.IGNORECASE,
)
# What stands between two names that are compared.
_OR = re.compile(
    r"(?P<list>,)\s+|,?\s+(?:or|versus|vs\.?)\s+|(?P<how>\s+(?:\w+\s+){1,3})than\s+", re.IGNORECASE
)
# Two events: how long between them, or which of them was first.
_EVENTS = (
    re.compile(
        r"\bbetween (?P<one>.+?),? and (?P<other>(?:when|the|my|his|her|their|our|I|we)\b.+)",
        re.IGNORECASE,
    ),
    re.compile(r"\bfirst[,:]? (?P<one>.+?),? or (?P<other>.+)", re.IGNORECASE),
)
_SEVERAL = re.compile(r"(?<=\?)\s+")
_QUOTED = re.compile(r"[\"“”«»„]([^\"“”«»„]{2,60})[\"“”«»„]")
_NAME = re.compile(r"\b[A-Z][\w'’-]*(?:\s+(?:of\s+|the\s+)?[A-Z][\w'’-]*)*")
_IDENTIFIER = re.compile(r"\b(?=\w*[\d_])(?=\w*[A-Za-z])\w{3,}\b|\b\w+\.[a-z]{1,4}\b")
_POSSESSIVE = re.compile(r"['’]s?$")


# What is asked for when nothing in particular is. What else the question says must be a time, or
# nothing: "what did we say about the boat" is no overview.
_OVERALL = re.compile(
    r"\b(?:what|which (?:things|topics|subjects))(?: all| else| sorts? of things)?"
    r" (?:did|do|have|had|were|are|was|has)(?: we| you| i| they)(?: two| both| all)?(?: \w+ly)?"
    r"(?: been)? (?:talk(?:ed|ing)?|speak(?:ing)?|spoken?|discuss(?:ed|ing)?|chat(?:ted|ting)?"
    r"|cover(?:ed|ing)?|go(?:ne)? (?:over|through))\b(?: about| of| on| through)?"
    r"|\b(?:summari[sz]e|recap|sum up|(?:a|an|the)? ?(?:\w+ )?(?:summary|overview|recap|rundown)"
    r"(?: of| on)?|catch me up(?: on)?)\b"
    r"|\bwhat (?:are|were|is|was|have been) (?:the|our|my)(?: \w+)? (?:topics?|themes?|subjects?)\b"
    r"|\b(?:what|tell me (?:everything|all|what))(?: do)? (?:you|we)(?: still)?"
    r" (?:know|remember)\b",
    re.IGNORECASE,
)
_NOTHING_ELSE: Final = frozenset(
    """
    overall far general generally recently lately together everything all whole entire past last
    previous earlier latest recent today yesterday week weeks weekend month months year years day
    days night morning afternoon evening since ago between during within early late mid beginning
    end spring summer autumn fall winter january february march april may june july august september
    october november december jan feb mar apr jun jul aug sep sept oct nov dec monday tuesday
    wednesday thursday friday saturday sunday conversation conversations chat chats talk talks
    discussion discussions history session sessions meeting meetings memory memories please again
    give tell show me us one two three four five six seven eight nine ten few couple st nd rd th
    briefly quick short brief time times period discussed talked said things stuff main let
    like want
    """.split()  # noqa: SIM905 - a list of words is read as words
)
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Question:
    """What its wording tells. `text` is what is asked, `line_of` who says it, if it is a line.

    `remark` says that nothing is asked: somebody says something, and what it brings to mind is
    wanted. `many` says that a list is asked for, `overall` that nothing in particular is: what was
    talked about at all, or in a time. `parts` are the questions it is made of, none if
    it is one; `names` are names, quotations and identifiers in it.
    """

    text: str
    line_of: str | None = None
    remark: bool = False
    many: bool = False
    overall: bool = False
    parts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether it asks something: neither a line nor a remark."""
        return self.line_of is None and not self.remark


def read(question: str) -> Question:
    """Read a question. Never raises; takes time linear in its first 2,000 characters."""
    line = _line(question[:_READ])
    text = question[line.end() :] if line else question
    seen = text[:_READ]
    asks = _ASKS.match(seen) is not None or seen.rstrip().endswith("?")
    long = len(seen.split()) >= _LEAST_REMARK
    names = _names(seen)
    return Question(
        text,
        line_of=line["who"] if line else None,
        remark=not asks and long and _FIRST_PERSON.search(seen) is not None,
        many=asks and _MANY.search(seen) is not None,
        overall=_overall(seen),
        parts=_parts(seen, names) if asks else (),
        names=names,
    )


def _overall(text: str) -> bool:
    """Whether an overview is asked for: words of asking for one, and of times, and no others."""
    if len(text) > _LONGEST_OVERALL or not _OVERALL.search(text):
        return False
    rest = _WORD.findall(_OVERALL.sub(" ", text).casefold())
    return all(word in STOP_WORDS or word in _NOTHING_ELSE for word in rest)


def only_asks(text: str) -> bool:
    """Whether a turn ends with a question and tells nothing of who says it.

    What stands in square brackets after it, such as a shared picture, is none of it.
    """
    return _QUESTION.search(text) is not None and _SPEAKS_OF_SELF.search(text) is None


def unanswered(question: str, found: Sequence[str]) -> str | None:
    """The names in a question that nothing of what was found says anything of; None: of all."""
    told = "\n".join(found).casefold()
    missing = [name for name in read(question).names if name.casefold() not in told]
    return " ".join(missing) or None


def _line(text: str) -> re.Match[str] | None:
    """Who says a line, if it is one: a name of few words, none of them a stop word."""
    line = _LINE.match(text)
    words = line["who"].split() if line else []
    named = 0 < len(words) <= _LONGEST_NAME and not STOP_WORDS.intersection(
        map(str.casefold, words)
    )
    return line if named else None


def _names(text: str) -> tuple[str, ...]:
    """Names, quotations and identifiers, each once, in order; no word that begins a sentence."""
    found: list[str] = [match[1] for match in _QUOTED.finditer(text)]
    for match in _NAME.finditer(text):
        name = match[0]
        before = text[: match.start()].rstrip()
        if not before or before[-1] in ".?!:":
            # A capital at the beginning tells nothing of the first word.
            name = name.partition(" ")[2]
        name = _POSSESSIVE.sub("", name)
        if name and name.casefold() not in STOP_WORDS:
            found.append(name)
    found += [match[0] for match in _IDENTIFIER.finditer(text)]
    return tuple(dict.fromkeys(found))[:MOST_NAMES]


def _parts(text: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The questions that one is made of: several, one for each of two events, or for each name."""
    several = [part.strip() for part in _SEVERAL.split(text) if len(part.split()) > 2]
    if len(several) > 1 and all(part.endswith("?") for part in several):
        return tuple(several[:MOST_PARTS])
    for events in _EVENTS:
        if found := events.search(text):
            return (found["one"].strip(" ?"), found["other"].strip(" ?"))
    return _compared(text, names)


def _compared(text: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The question with each of the names in turn that it says "or" between, or "than"."""
    places = sorted((text.find(name), name) for name in names if name in text)
    group: list[tuple[int, str]] = []
    how, compares = "", False
    for one, other in pairwise(places):
        between = _OR.fullmatch(text[one[0] + len(one[1]) : other[0]])
        if between:
            group += [other] if group else [one, other]
            how += between["how"] or ""
            compares |= not between["list"]
    if not compares:
        return ()
    before, after = text[: group[0][0]], text[group[-1][0] + len(group[-1][1]) :]
    return tuple(f"{before}{name}{how.rstrip()}{after}" for _, name in group[:MOST_PARTS])
