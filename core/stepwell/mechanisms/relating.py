"""How two texts stand to each other: the same, another value, the same topic. Rules, no model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from stepwell.fencing import count_tokens
from stepwell.mechanisms.sentences import sentences
from stepwell.mechanisms.words import words
from stepwell.models import Relation

#: At this cosine two statements say the same, if their numbers and negations are the same, too.
SAME_AT: Final = 0.95
#: Two texts are of one topic where their cosine stands so much above what is usual in its space.
TOPIC_AT: Final = 0.35
#: ... or where they share so much of their words.
TOPIC_SHARED: Final = 0.2

_READ: Final = 2_000
_HELD: Final = 64  # so many of the newest lines are held against the older ones
_WORD = re.compile(r"\w+(?:['’]\w+)*")
_NEGATION = re.compile(
    r"\b(?:not|never|cannot|\w+n['’]t|without|nobody|none)\b|[不没未别]", re.IGNORECASE
)
_ENDED = re.compile(
    r"\b(?:no longer|any ?more|stopped|quit|gave up|used to|fixed|resolved|solved|done|finished"
    r"|completed|cancel\w*|closed|ended)\b|不再|已经?(?:解决|完成|取消|修复|结束)",
    re.IGNORECASE,
)
_ENDED_STEMS = frozenset(
    words(
        "longer anymore stopped quit gave give used use fixed resolved solved done finished"
        " completed cancelled closed ended never not cannot without nobody none"
    )
)
#: Words before a value of which there is one at a time.
_SINGLE = re.compile(
    r"(?P<subject>.*?)(?P<attribute>\b(?:lives? in|living in|resides? in|(?:is |are )?based in"
    r"|works? (?:at|for|as)|moved to|moving to|(?:is|was|are) (?:called|named|married to|born in"
    r"|born on|from)|is|was|are|costs?|starts? (?:at|on)|ends? (?:at|on)|prefers?)\b"
    r"|住在|搬到|叫做?|工作于|改为|改成|是)\s*(?P<value>.+)",
    re.IGNORECASE | re.DOTALL,
)
_LIVES: Final = {"live": "place", "resid": "place", "base": "place", "move": "place"}


def relation(newer: str, older: str, cosine: float | None = None) -> Relation:
    """How a newer statement stands to an older one.

    SAME: the same words, or a cosine of `SAME_AT` with the same numbers and negations. RESOLVES:
    the newer one says that what the older one states has ended. CONTRADICTS: one of them denies
    what the other states, or both give what there is one of another value; never by cosine alone.
    REFINES: the newer one has all words of the older one, and more, or the other way round.
    """
    newer, older = newer[:_READ], older[:_READ]
    if _plain(newer) == _plain(older):
        return Relation.SAME
    one, other = _content(newer), _content(older)
    common = one & other
    denied = bool(_NEGATION.search(newer)) != bool(_NEGATION.search(older))
    ended = bool(_ENDED.search(newer)) and not _ENDED.search(older)
    if (denied or ended) and len(common) > 1 and len(common) >= 0.6 * min(len(one), len(other)):
        return Relation.RESOLVES if ended else Relation.CONTRADICTS
    if other_value(newer, older):
        return Relation.CONTRADICTS
    near = cosine is not None and cosine >= SAME_AT and not any(map(str.isdigit, one ^ other))
    if (near or (common and one == other)) and not denied and not ended:
        return Relation.SAME
    return Relation.REFINES if common and common in (one, other) else Relation.UNRELATED


def other_value(newer: str, older: str) -> bool:
    """Whether two statements give the same attribute of the same subject another value."""
    one, other = _SINGLE.match(newer), _SINGLE.match(older)
    if one is None or other is None:
        return False
    who, whose = _bare(one["subject"]), _bare(other["subject"])
    if not who or who != whose or _attribute(one["attribute"]) != _attribute(other["attribute"]):
        return False
    value, was = _content(one["value"]), _content(other["value"])
    # "is" says what it is of what it says it of: "my sister is here", "my name is Ann".
    plain = _attribute(one["attribute"]) in ("is", "是")
    if plain and len(who) < 2 and who[-1] in ("i", "he", "she", "it", "we", "they"):
        return False
    return bool(value) and bool(was) and value.isdisjoint(was) and max(len(value), len(was)) <= 8


def parted(statement: str) -> tuple[str, str, str]:
    """Subject, attribute and value of a statement that has one value at a time; else "" thrice."""
    found = _SINGLE.match(statement[:_READ])
    if found is None or not found["subject"].strip() or not _content(found["value"]):
        return "", "", ""
    value = found["value"].strip(" .!。！\n")
    return found["subject"].strip(), found["attribute"].strip(), value


def same_topic(
    one: str, other: str, cosine: float | None = None, usual: float = 0.0,
    least: float = TOPIC_AT, shared: float = TOPIC_SHARED,
) -> bool:  # fmt: skip
    """Whether two texts go on about the same thing: near each other, or made of the same words.

    `usual` is the cosine that any two texts have in this space. Words are compared by Jaccard.
    """
    if cosine is not None and cosine - usual >= least:
        return True
    left, right = _content(one[:_READ]), _content(other[:_READ])
    return len(left & right) >= shared * max(1, len(left | right))


def merged_profile(profile: str, facts: Sequence[str], tokens: int = 256) -> str:
    """The facts, newest first, and then the lines of the profile, each once, within the budget.

    A line that a newer one gives another value to, or says the end of, is left out. `facts` are in
    order of time. The text is at most `tokens` tokens; a line that does not fit is left out.
    """
    lines = [line.strip() for fact in reversed(facts) for line in fact.splitlines()]
    lines += [line.strip() for line in profile.splitlines()]
    kept: list[str] = []
    seen: set[str] = set()
    left = tokens
    for line in lines:
        plain = _plain(line)
        if not plain or plain in seen or len(line) > 16 * tokens:
            continue
        cost = count_tokens(line)
        if cost > left or any(_replaced(newer, line) for newer in kept[:_HELD]):
            continue
        seen.add(plain)
        kept.append(line)
        left -= cost
    return "\n".join(kept)


def lead(text: str, longest: int = 300) -> str:
    """The first sentence of a text, if it is not too long."""
    spans = sentences(text[: 4 * longest])
    first = text[slice(*spans[0])] if spans else ""
    return first if len(first) <= longest else first[:longest].rpartition(" ")[0] or first[:longest]


def _replaced(newer: str, older: str) -> bool:
    return relation(newer, older) in (Relation.SAME, Relation.CONTRADICTS, Relation.RESOLVES)


def _plain(text: str) -> str:
    """What a text says, but for case, marks and white space."""
    return " ".join(_WORD.findall(text.casefold()))


def _content(text: str) -> frozenset[str]:
    return frozenset(words(text)) - _ENDED_STEMS


def _bare(subject: str) -> list[str]:
    return [w for w in _WORD.findall(subject.casefold()) if w not in ("now", "the", "currently")]


def _attribute(attribute: str) -> str:
    """What an attribute is called, however it is put."""
    plain = attribute.casefold().replace("are", "is").replace("was", "is")
    stems = words(plain)
    return _LIVES.get(stems[0], stems[0]) if stems else plain.split()[0]
