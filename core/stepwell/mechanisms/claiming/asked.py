"""What a question about something that changes is about: which slots, and which time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from stepwell.mechanisms.claiming.claim import Claim, tokens
from stepwell.mechanisms.timespans import recurring, timespans

_PAST = re.compile(
    r"\b(?:before|used to|previous(?:ly)?|original(?:ly)?|former(?:ly)?|initial(?:ly)?|earlier|at first"
    r"|first|in the past|back then|ago|(?<!how )old|history|changed?|evolved?|over time|last (?:year|month)"
    r"|was|were|did|had|ever|both|list|all (?:the|of|my|his|her|our|their)|(?:what|which) \w+s (?:have|has)|früher|vorher|ursprünglich)\b|以前|之前|原来|曾经",
    re.IGNORECASE,
)
_NOW = re.compile(
    r"\b(?:now|currently?|latest|still|these days|at the moment|nowadays|today|up to date|updated"
    r"|most recent(?:ly)?|new|jetzt|aktuell\w*|noch|inzwischen)\b|现在|目前|最新|如今",
    re.IGNORECASE,
)
_MOST: Final = 2_000
#: The words by which the slots of people are asked for.
_ASKED_BY: Final = {
    name: frozenset(words.split())
    for name, words in {
        "home": "live living home city town country reside move moved based wohnt wohne address"
        " apartment flat house",
        "employer": "work working job employer company employed arbeitet arbeite",
        "role": "job role position profession occupation title work",
        "relationship": "relationship dating married single engaged boyfriend girlfriend wife"
        " husband partner divorced",
        "age": "old age",
        "diet": "diet vegan vegetarian eat meat",
        "car": "car drive drives driving",
    }.items()
}
_SIGNS: Final = {"home": "住", "employer": "工作"}


@dataclass(frozen=True, slots=True)
class Asked:
    """The words of a question, and whether it says that it is about now, or about the past.

    `dated` says that it names a time, and does not say that it is about now.
    """

    words: frozenset[str]
    text: str
    now: bool
    past: bool
    dated: bool = False

    @classmethod
    def of(cls, question: str, at: datetime | None = None) -> Self:
        """Read a question that is asked at some time; never raises."""
        text = question[:_MOST]
        now = _NOW.search(text) is not None
        past = _PAST.search(text) is not None and not now
        dated = not now and bool(timespans(text, at) or recurring(text))
        return cls(tokens(text), text, now, past, dated)

    def about(self, claim: Claim) -> bool:
        """Whether a claim's slot is asked for: each word of its name, and who it is about."""
        who, _, of = claim.subject.rpartition("/")
        speaker = claim.by in (claim.subject, who)
        subject = of if speaker and who else "" if speaker else claim.subject
        if not tokens(subject) <= self.words:
            return False
        signs = _SIGNS.get(claim.attribute)
        if signs is not None and signs in self.text:
            return True
        if claim.attribute in _ASKED_BY:
            return bool(_ASKED_BY[claim.attribute] & self.words)
        if claim.attribute in ("do", "use", "own"):
            # Of "learn Spanish", what is asked for may be "learning Spanish".
            _, _, of = claim.value.partition(" ")
            value = tokens(of if claim.attribute == "do" and of else claim.value)
            return bool(value) and value <= self.words
        if claim.attribute == "state":
            return bool(subject)
        name = tokens(claim.attribute.partition("#")[0].removeprefix("count "))
        name -= {"state", "favourite", "favorite", "owner"}
        return bool(name) and name <= self.words
