"""English wordings of claims about things: what they are, when, how many, and in what state."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from stepwell.mechanisms.claiming.claim import Claim, dated, kind_of, tokens, topic
from stepwell.mechanisms.claiming.wordings import (
    CHANGED,
    HAVE,
    JUST,
    NAME,
    NOT_NAMES,
    PEOPLE,
    SHIFT,
    SINGLE,
    STATES,
    WAY,
    Made,
    W,
    clean,
)

# "My dog Rex", but not "my flight to Riga".
_CALLED = re.compile(r"[a-z]+(?: (?!(?:to|from|for|in|at|of|on|with|by)\b)[a-z]+)? ([A-Z][\w-]+)")
_AND = re.compile(r" (?:and|but|so|which|because|with) (?!\d).*$")


def _named(said: str, who: str) -> tuple[str, str] | None:
    """The subject and the topic of a noun phrase: "my sister's car", "the deadline for Orion"."""
    said = said.strip()
    own = re.match(r"(my|our|the|this) ", said, re.IGNORECASE)
    words = said[own.end() :] if own else said
    first = words.split()[0].casefold() if words.split() else ""
    if not first or first in NOT_NAMES:
        return None
    mine = own is not None and own[1].casefold() in ("my", "our")
    if mine and (dog := _CALLED.fullmatch(words)):
        return (topic(dog[1]), "")
    name = topic(words)
    return ((who if mine else ""), name) if name else None


def of_thing(  # noqa: C901 - a list of rules
    said: str, value: str, who: str, said_at: datetime | None, *, told: bool, instead: str = ""
) -> Made:
    """What a noun phrase is said to be, if it is of a sort that is one thing at a time."""
    named = _named(said, who)
    value = re.sub(r"^(?:also|now|currently|actually|officially|still|finally) ", "", value)
    state = STATES.get(clean(re.sub(r" (?:again|now)\b.*", "", value)).casefold())
    if named is not None and {"favourite", "favorite"} & set(named[1].split()):
        state = None  # a colour may be green
    value = clean(value)
    value = re.sub(r"^(?:on|at|due|by|for|planned|scheduled|set|down|up|to|until) (?=.)", "", value)
    value = re.sub(r"^(?:on|at|for|to|by|in) (?=.)", "", value)
    value = dated(clean(re.sub(r"^(?:the|an?) (?=[A-Z\d])", "", value)), said_at)
    first = _AND.sub("", value)
    value = first if kind_of(first) != "text" else value
    if named is None or not value:
        return
    subject, name = named
    words = name.split()
    if not name:
        # A pet or a person by name.
        if state:
            yield Claim(subject, "state", state, confidence=0.75, changed=told)
        return
    kind = kind_of(value)
    if state:
        slot = (subject, f"{name}#state") if words and not _alone(said) else (name, "state")
        if state == "cancelled":
            yield Claim(subject, f"{name}#date", "", False, 0.8, changed=True)
        yield Claim(*slot, state, confidence=0.75, changed=told)
    elif kind != "text":
        person = _RELATED.search(name)
        if person and kind == "number":
            if re.fullmatch(r"\d{1,2}(?: years? old)?", value):
                yield Claim(f"{subject}/{name}", "age", value, confidence=0.85, changed=told)
            return
        if len(value.split()) <= 6:
            slot_kind = "number" if kind == "time" and _RECORD.search(name) else kind
            sure = 0.9 if told else 0.75
            yield Claim(subject, f"{name}#{slot_kind}", value, confidence=sure, changed=told,
                        instead=instead)  # fmt: skip
    elif _fitting(words, value, told):
        yield Claim(subject, f"{name}#text", value, confidence=0.75, changed=told, instead=instead)


_RELATED = re.compile(
    r"^(?:\w+ )?(?:son|daughter|kid|child|sister|brother|mother|father|mom|dad|wife|husband|dog|cat"
    r"|baby|niece|nephew|cousin|grandma|grandpa)$"
)
_RECORD = re.compile(r"\b(?:record|time|pace|personal best|pb)\b")


def _alone(said: str) -> bool:
    return re.match(r"[A-Z]", said) is not None and not re.match(r"(?:My|Our|The|This) ", said)


def _fitting(words: list[str], value: str, told: bool) -> bool:
    if len(value.split()) > 5 or re.match(
        r"(?:in|with|like|so|too|very|really|pretty|quite|not|no|always|a bit|great|good|bad|nice"
        r"|awesome|amazing|the best|what|how|that|when|where|there|here|from|about|getting)\b",
        value.casefold(),
    ):
        return False
    capital = value[:1].isupper()
    if PEOPLE.intersection(words):
        return capital
    if "favourite" in words or "favorite" in words:
        return True
    if SINGLE.intersection(words):
        return capital or bool(re.match(r"an? |[\w.]+@|\w*\d", value)) or "password" in words
    return told and capital and len(value.split()) <= 3


_NP = (
    rf"(?P<t>(?:[Mm]y|[Oo]ur|[Tt]he|[Tt]his) (?:{W} ){{0,7}}?{W}"
    rf"|[A-Z][\w'-]*(?: (?!is\b|was\b|has\b){W}){{0,4}}?)"
)
_OPEN = re.compile(
    rf"{_NP}(?:'s| is| are| leaves?| starts?| begins?| takes place| will be| costs?| ends?| died"
    r"| works| is (?:planned|scheduled|set)| runs until| stands)"
    r"(?P<now> now)?(?: now| currently| still| at| for)*(?: (?P<v>[^?]{1,80}))?$"
)
_SHIFTED = re.compile(
    rf"{_NP}(?: has| have|'s| was| were| is| got)*(?: been)?(?: just| now| recently)* {SHIFT}{WAY}"
    rf"(?: by [^ ]{{1,12}})?(?: from (?P<a>[^?]{{1,30}}?))? to (?P<v>[^?]{{1,40}})$"
)
_SHIFTING = re.compile(
    rf"(?P<s>[Ii]|[Ww]e|[Tt]hey|[Tt]he \w+|[A-Z]\w+(?: [A-Z]\w+)?){HAVE}{JUST} {SHIFT}{WAY} "
    rf"(?P<t>(?:my|our|the) (?:{W} ){{0,7}}?{W}){WAY}"
    r"(?: from (?P<a>[^?]{1,30}?))? to (?P<v>[^?]{1,40})$"
)
_CALLED_OFF = re.compile(
    rf"{_NP}(?: has been| was| got| is|'s)(?: now)? (?:cancelled|canceled|called off)\b"
)
_HELD = re.compile(
    rf"(?P<v>{NAME})(?:'s| is)(?P<now> now)? the (?P<t>(?:new |current )?(?:{W} ){{0,2}}?{W}"
    rf"(?: (?:of|for) (?:{W} ){{0,3}}{W})?)(?: now)?$"
)
_OWNS = re.compile(rf"(?P<v>{NAME}) (?:owns|leads|runs|maintains) (?P<t>the {W}(?: {W}){{0,2}})$")
_TOOK = re.compile(
    rf"(?P<v>{NAME}){HAVE} (?:took|taken) over (?P<t>the {W}(?: {W}){{0,2}}?)"
    rf"(?: from (?P<a>{NAME}))?$"
)
TURNED = re.compile(
    rf"{_NP} (?:used to be|was) (?P<a>[^?,]{{1,40}}?),?(?: but)? now (?:it's|it is|they're) "
    r"(?P<v>[^?,]{1,40})"
)
_BECAME = re.compile(
    rf"{_NP} (?:has been|was|got)(?: now| finally| just)* (?P<v>merged|closed|reopened|fixed|resolved"
    r"|approved|rejected|deployed|finished|completed|deprecated|disabled|enabled|repaired)\b"
)
_AMOUNT = (
    r"[$€£]?\d(?:[\w.,]*\w)?%?(?: (?!(?:for|but|is|are|and|so|to|in|on|this|that|with|by|from|as|at"
    r"|of|or|if|when|while)\b)[a-z]+)?"
)
_AMOUNTS = (
    r"budget|quota|limit|goal|rate|salary|price|capacity|coverage|target|score|rent|fee|weight"
    r"|size|timeout|allowance|cap"
)
QUANTITY = re.compile(
    r"\b(?P<o>my|our|the|an?)(?P<new> new)? (?P<t>(?:[a-z-]+ ){0,2}?(?:" + _AMOUNTS + r"))"
    rf" of (?P<v>{_AMOUNT})(?P<for> for (?:the |my |our )?[a-z]+)?"
)
# Who speaks of "my new deadline of May 16" says that it is so, also when asking or planning.
_PRESUMED = re.compile(
    r"\b(?:my|our|the) (?:new|increased|raised|higher|reduced|lower|updated|extended|revised|adjusted) "
    r"(?P<t>(?:[\w-]+ ){0,3}?(?:" + _AMOUNTS + r"|deadline|due date|date|budget limit))"
    r" (?:of|on) (?P<v>" + _AMOUNT + r"|(?:January|February|March|April|May|June|July|August"
    r"|September|October|November|December) \d{1,2}(?:, \d{4})?|(?:Mon|Tues|Wednes|Thurs|Fri|Satur"
    r"|Sun)day)(?P<for> for (?:the |my |our )?[a-z]+(?: [a-z]+)?(?=\W*$))?"
)
_NEW = re.compile(
    rf"(?P<s>[Ii]|[Ww]e){HAVE}(?: got)? (?:a|my|our) new (?P<t>[\w ]{{3,30}}?)(?: is)?[: ]+"
    r"(?P<v>\d[\w .+-]*|\w+@[\w.]+)$"
)


def presumed(sentence: str, who: str, said_at: datetime | None) -> Made:
    """What a sentence takes for granted of a thing that changed."""
    for m in _PRESUMED.finditer(sentence):
        for claim in of_thing(f"my {m['t']}{m['for'] or ''}", m["v"], who, said_at, told=True):
            yield replace(claim, confidence=0.7)


_HAS = re.compile(
    rf"{_NP}(?: now| currently)? (?:has|have|contains?|holds)(?: now| already)? (?P<v>\d[\d,.]*k?)"
    r" (?P<n>[a-z]+)(?P<now> now)?\b"
)


def of_things(clause: str, who: str, said_at: datetime | None) -> Made:  # noqa: C901, PLR0912 - a list of rules
    """What a clause says of a thing."""
    told = CHANGED.search(clause) is not None
    for expression in (_SHIFTING, _SHIFTED):
        if m := expression.match(clause):
            yield from of_thing(m["t"], m["v"], who, said_at, told=True, instead=m["a"] or "")
            return
    if m := _BECAME.match(clause):
        yield from of_thing(m["t"], m["v"], who, said_at, told=True)
    elif m := _CALLED_OFF.match(clause):
        yield from of_thing(m["t"], "cancelled", who, said_at, told=True)
    elif m := _TOOK.match(clause):
        yield Claim("", f"owner {topic(m['t'])}", m["v"], changed=True, instead=m["a"] or "")
    elif m := _OWNS.match(clause):
        yield Claim("", f"owner {topic(m['t'])}", m["v"], confidence=0.7)
    elif (m := _HELD.match(clause)) and PEOPLE & tokens(m["t"]):
        if m["v"].casefold() not in NOT_NAMES:
            yield Claim("", f"{topic(m['t'])}#text", m["v"], changed=told)
    elif m := _HAS.match(clause):
        if (named := _named(m["t"], who)) and named[1]:
            slot = f"count {topic(m['n'])} of {named[1]}"
            yield Claim(named[0], slot, m["v"], confidence=0.7, changed=told)
    elif m := _NEW.match(clause):
        yield from of_thing("my " + m["t"], m["v"], who, said_at, told=True)
    elif m := _OPEN.match(clause):
        verb = re.search(r" (?:died|works)\b", clause)
        value = m["v"] or (verb[0] if verb else "")
        if verb and not re.match(r"(?:again|now|last|yesterday|today|$)", (m["v"] or "").strip()):
            return
        value = verb[0].strip() if verb else value
        yield from of_thing(m["t"], value, who, said_at, told=told)
