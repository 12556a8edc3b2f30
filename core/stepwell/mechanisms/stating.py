"""The English wordings of claims, a table of rules: each matches a clause from its beginning."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final

from stepwell.mechanisms.claims import UNNAMED, Claim, dated, kind_of, tokens, topic

Made = Iterator[Claim]
Rule = tuple[re.Pattern[str], Callable[[re.Match[str], str], Made]]

_NOT_NAMES = frozenset(
    "this that these those there here what everything something nothing everyone someone anyone it"
    " he she they you i we who which one all some most many your his her their its yours mine".split()
)
_W = r"[\w'/&+#.-]+"
_WHO = (
    rf"(?P<s>[Ii]|[Ww]e|(?:[Mm]y|[Oo]ur) (?:{_W} ){{0,2}}?{_W}|[A-Z][\w'-]+(?: [A-Z][\w'-]+)?"
    r"|[Hh]e|[Ss]he|[Tt]hey)"
)
_HAVE = r"(?: have| has|'ve|'s|'d)?"
_BE = r"(?:'m| am|'re| are|'s| is)"
_JUST = r"(?: just| recently| finally| already| officially| now| since| also| actually| happily)*"
_NOW = r"(?: now| currently| still| actually| already| officially| presently)*"
_NAME = r"(?:the )?[A-Z0-9][\w'&.+-]*(?:(?: (?:of|de|la|upon|and|&))? [A-Z0-9&][\w'.+-]*){0,3}"
_PLACE = r"(?:the )?[A-Z][\w'.-]*(?:(?: (?:of|de|la|upon))? [A-Z][\w'.-]*){0,3}"
_ENDED = re.compile(r"\b(?:no longer|anymore|any more|any longer)\b")
_CHANGED = re.compile(
    r"\b(?:now|no longer|any ?more|currently|these days|new|instead|again|as of|from now on|back"
    r"|finally|became)\b"
)
_TAIL = re.compile(
    r"\s+(?:(?:right )?now|these days|at the moment|currently|again|instead|as well|too|by the way"
    r"|btw|since .*|last \w+|this \w+|yesterday|today|already|so far|for (?:work|now|good)"
    r"|because .*|after .*|before .*|with (?:my|two|three|some) .*|sharp|please|anymore|any ?more"
    r"|every .*|on (?:all|every) .*|in (?:January|February|March|April|May|June|July|August"
    r"|September|October|November|December|spring|summer|autumn|winter|the \w+))$"
)
_STATES: Final = {
    word: group[0]
    for group in (
        ("done", "finished", "completed", "complete", "ready"),
        ("merged",), ("closed",), ("open", "reopened"), ("pending", "waiting"),
        ("in progress", "ongoing", "underway"), ("blocked", "stuck", "on hold", "paused"),
        ("cancelled", "canceled", "called off"), ("broken", "failing", "red", "out of order"),
        ("working", "green", "fixed", "repaired", "works", "passing"),
        ("down", "offline"), ("up", "online", "back up", "back online"),
        ("sick", "ill", "unwell"), ("healthy", "well", "fine", "doing fine", "doing well",
        "recovered", "better"), ("dead", "died", "passed away"), ("missing", "lost", "gone"),
        ("home", "back home", "found", "back"), ("public",), ("private",), ("enabled", "on"),
        ("disabled", "off"), ("deprecated",), ("approved", "accepted"), ("rejected", "denied"),
        ("sold", "sold out"), ("available",), ("resolved", "solved"), ("deployed", "live"),
    )
    for word in group
}  # fmt: skip
_PEOPLE = frozenset(
    "manager boss captain lead leader head coach owner ceo cto director supervisor maintainer"
    " landlord therapist doctor dentist mentor teacher trainer chair president treasurer"
    " roommate flatmate boyfriend girlfriend partner husband wife".split()
)
_SINGLE = frozenset(
    "number email mail address password passcode pin username nickname name car surname id iban"
    " zone timezone title major editor provider bank plan school university language status"
    " favourite favorite laptop hometown gym church".split()
)
_WORK = frozenset(
    "developer engineer nurse teacher intern manager analyst designer student freelancer consultant"
    " director lawyer doctor accountant artist writer author chef cook waiter waitress barista"
    " driver pilot scientist researcher professor electrician plumber carpenter mechanic welder"
    " architect photographer journalist editor librarian therapist psychologist pharmacist cashier"
    " assistant administrator programmer officer technician secretary salesperson baker farmer"
    " musician paramedic firefighter vet veterinarian postdoc apprentice supervisor".split()
)
_DIETS = r"vegan|vegetarian|pescatarian|gluten-free|keto|teetotal"
_DO = r"play|smoke|drink|eat|take|use|learn|study|practi[cs]e|read|watch|go to|go|attend|teach|run"
_DOING = (
    r"playing|smoking|drinking|eating|taking|using|learning|studying|practi[cs]ing|reading"
    r"|watching|going to|going|attending|teaching|running"
)
_SHIFT = (
    r"(?:moved|pushed|postponed|rescheduled|shifted|delayed|changed|updated|extended|raised"
    r"|lowered|reduced|increased|decreased|cut|bumped|brought|set|slipped|rose|risen|fell|fallen"
    r"|dropped|grew|grown|went|gone|gotten|got|switched|upgraded|downgraded|improved|doubled)"
)
_WAY = r"(?: up| down| back| forward| out| over)?"


def _clean(value: str) -> str:
    for _ in range(3):
        shorter = _TAIL.sub("", value.strip())
        if shorter == value:
            break
        value = shorter
    return value.strip(" .!'\"")


def subject_of(said: str, who: str) -> str | None:
    """Who or what a claim is about; None where the words name nothing."""
    low = said.casefold().strip()
    if low in ("i", "we", "me", "us"):
        return who
    if low in ("he", "she", "they", "it"):
        return UNNAMED
    own = re.match(r"(?:my|our) ", low)
    words = said[own.end() :].split() if own else said.split()
    if not words or words[0].casefold() in _NOT_NAMES:
        return None
    if own and len(words) > 1 and words[-1][:1].isupper() and words[0][:1].islower():
        return topic(words[-1])  # "my dog Rex"
    named = topic(" ".join(words))
    return (f"{who}/{named}" if own else named) if named else None


def _one(
    m: re.Match[str], who: str, attribute: str, *, value: str | None = None, sure: float = 0.8,
    holds: bool = True, exclusive: bool = True, changed: bool | None = None, instead: str = "",
) -> Made:  # fmt: skip
    subject = subject_of(m["s"], who)
    said = _clean(m["v"] if value is None else value)
    if subject is None:
        return
    told = bool(_CHANGED.search(m.string)) if changed is None else changed
    yield Claim(subject, attribute, said, holds, sure, (0, 0), exclusive, told, _clean(instead))


# homes and jobs -------------------------------------------------------------------------------


def _moved(m: re.Match[str], who: str) -> Made:
    if m["v"].split()[0].casefold() in ("monday", "tuesday", "version", "plan", "phase"):
        return
    yield from _one(m, who, "home", sure=0.9, changed=True, instead=m["a"] or "")


def _moved_plain(m: re.Match[str], who: str) -> Made:
    yield Claim(who, "home", _clean(m["v"]), confidence=0.7, changed=True)


def _lives(m: re.Match[str], who: str) -> Made:
    yield from _one(m, who, "home", holds=not (m["no"] or _ENDED.search(m.string)))


def _works(m: re.Match[str], who: str) -> Made:
    ended = bool(m["no"]) or _ENDED.search(m.string) is not None
    attribute = "role" if m["how"] == "as" else "employer"
    value = re.sub(r"^(?:a|an|the) ", "", m["v"])
    value, _, role = value.partition(" as ")
    if re.match(r"(?:two|three|\d+|now|free|long|many|myself)\b", value):
        return
    yield from _one(m, who, attribute, value=value, holds=not ended)
    if role:
        yield from _one(m, who, "role", value=role.removeprefix("a ").removeprefix("an "))


def _joined(m: re.Match[str], who: str) -> Made:
    yield from _one(m, who, "employer", changed=True, instead=m["a"] or "")


def _quit(m: re.Match[str], who: str) -> Made:
    yield from _one(m, who, "employer", value=m["v"] or "", holds=False, changed=True, sure=0.85)


def _left(m: re.Match[str], who: str) -> Made:
    for attribute in ("employer", "home"):
        yield from _one(m, who, attribute, holds=False, changed=True, sure=0.7)
    if m["to"]:
        yield from _one(m, who, "home", value=m["to"], sure=0.6, changed=True, instead=m["v"])


def _let_go(m: re.Match[str], who: str) -> Made:
    yield Claim(who, "employer", _clean(m["v"]), False, 0.8, changed=True)


def _is_a(m: re.Match[str], who: str) -> Made:
    value = _clean(re.sub(r" (?:at|for|with|in) .*", "", m["v"]))
    words = value.casefold().split()
    if words and words[-1] in _WORK and len(words) <= 4:
        told = True if m["got"] else None
        yield from _one(m, who, "role", value=value, sure=0.75, changed=told)


# people ---------------------------------------------------------------------------------------


def _together(value: str, told: bool | None) -> Callable[[re.Match[str], str], Made]:
    def make(m: re.Match[str], who: str) -> Made:
        name = m["v"] or ""
        yield from _one(m, who, "relationship", value=f"{value} {name}", sure=0.85, changed=told)

    return make


def _parted(m: re.Match[str], who: str) -> Made:
    yield from _one(m, who, "relationship", value="single", sure=0.85, changed=True)


def _both(m: re.Match[str], who: str) -> Made:
    how = m["how"].casefold()
    state = next((s for s in ("engaged", "married", "divorced") if s in how), "single")
    subject = m["s2"] or m["s"]
    mate = f" {m['s']}" if m["s2"] and state in ("engaged", "married") else ""
    if subject_of(subject, who) is not None:
        name = subject_of(subject, who) or ""
        yield Claim(name, "relationship", state + mate, confidence=0.85, changed=True)


def _aged(m: re.Match[str], who: str) -> Made:
    yield from _one(m, who, "age", sure=0.85)


def _diet(m: re.Match[str], who: str) -> Made:
    ended = bool(m["no"]) and _ENDED.search(m.string) is not None
    if not m["no"] or ended:
        yield from _one(m, who, "diet", holds=not ended)


def _meat(m: re.Match[str], who: str) -> Made:
    yield from _one(m, who, "diet", value="meat")


def _habit(m: re.Match[str], who: str) -> Made:
    value = f"{_verb(m['do'])} {m['v'] or ''}"
    ended = bool(m["no"])
    if ended and not _ENDED.search(m.string):
        return
    yield from _one(m, who, "do", value=value, sure=0.7 if ended else 0.6, holds=not ended,
                    exclusive=False)  # fmt: skip


def _stopped(m: re.Match[str], who: str) -> Made:
    do = _verb(m["do"]) if m["do"] else ""
    value = f"{do} {m['v'] or ''}"
    yield from _one(m, who, "do", value=value, sure=0.8, holds=False, exclusive=False, changed=True)


def _verb(said: str) -> str:
    word = re.sub(r" to$", "", said.casefold())
    base = re.sub(r"(?:ing|s)$", "", word)
    return {"us": "use", "tak": "take", "smok": "smoke", "practis": "practice", "runn": "run",
            "practic": "practice", "practise": "practice", "goe": "go"}.get(base, base)  # fmt: skip


def _owned(m: re.Match[str], who: str) -> Made:
    value = _clean(m["v"])
    count = re.match(r"(\d[\d,.]*k?|[a-z]+) (.+)", value)
    if count and kind_of(count[1]) == "number":
        things = topic(re.split(r" (?:on|in|at|and|for|with|of|from) ", count[2])[0])
        if things.split() and not _PASSING.search(count[2]):
            yield from _one(m, who, f"count {things}", value=count[1], sure=0.75)
    elif re.match(r"an? [A-Z]\w+(?: \w+)?$", value):
        yield from _one(m, who, "own", value=value, sure=0.6, exclusive=False)
    elif re.match(r"a (?:girl|boy)friend", value):
        yield from _one(m, who, "relationship", value="dating", sure=0.7)


_PASSING = re.compile(
    r"^(?:meeting|exam|call|minute|hour|day|week|month|year|question|class|task|email|idea|time"
    r"|thing|problem|option|reason|more|point|issue|appointment|interview|deadline|test)s?\b"
)


def _driven(m: re.Match[str], who: str) -> Made:
    if re.match(r"(?:an? |the )?[A-Z]", m["v"]):
        yield from _one(m, who, "car", value=re.sub(r"^(?:an?|the) ", "", m["v"]))


def _swapped(m: re.Match[str], who: str) -> Made:
    old = re.sub(r"^(?:my|our|the|an?) ", "", m["a"])
    new = re.sub(r"^(?:my|our|the|an?) ", "", m["v"])
    yield from _one(m, who, "use", value=new, sure=0.8, exclusive=False, changed=True, instead=old)


def _sold(m: re.Match[str], who: str) -> Made:
    for attribute in ("car", "own"):
        yield from _one(m, who, attribute, holds=False, changed=True)


def _runs(m: re.Match[str], who: str) -> Made:
    subject = subject_of(re.sub(r"^[Tt]he ", "", m["s"]), who)
    if subject is None:
        return
    value = _clean(re.sub(r" (?:for|as|in|to) .*", "", m["v"]))
    told = bool(_CHANGED.search(m.string)) or "grad" in m["how"]
    if numbered := re.match(r"(?:version )?([A-Za-z][\w+#. -]{0,30}?) v?(\d+(?:\.\d+)*)$", value):
        slot = "version " + topic(numbered[1])
        yield Claim(subject, slot, numbered[2], confidence=0.8, changed=told)
    elif told and "how" in m.groupdict() and "run" in m["how"]:
        yield Claim(subject, "use", value, confidence=0.7, changed=True)
    else:
        one = "run" in m["how"]
        yield Claim(subject, "use", value, confidence=0.6, exclusive=one, changed=told)


def _upgraded(m: re.Match[str], who: str) -> Made:
    subject = subject_of(re.sub(r"^(?:the|our|my) ", "", m["s2"] or m["s"]), who)
    if subject is not None:
        slot = "version " + topic(m["p"])
        yield Claim(subject, slot, m["v"], confidence=0.85, changed=True, instead=m["a"] or "")


# things ---------------------------------------------------------------------------------------


def _named(said: str, who: str) -> tuple[str, str] | None:
    """The subject and the topic of a noun phrase: "my sister's car", "the deadline for Orion"."""
    said = said.strip()
    own = re.match(r"(my|our|the|this) ", said, re.IGNORECASE)
    words = said[own.end() :] if own else said
    first = words.split()[0].casefold() if words.split() else ""
    if not first or first in _NOT_NAMES:
        return None
    mine = own is not None and own[1].casefold() in ("my", "our")
    if mine and (dog := re.fullmatch(r"[a-z]+(?: [a-z]+)? ([A-Z][\w-]+)", words)):
        return (topic(dog[1]), "")
    name = topic(words)
    return ((who if mine else ""), name) if name else None


def _thing(
    said: str, value: str, who: str, said_at: datetime | None, *, told: bool, instead: str = ""
) -> Made:
    """What a noun phrase is said to be, if it is of a sort that is one thing at a time."""
    named = _named(said, who)
    value = re.sub(r"^(?:also|now|currently|actually|officially|still|finally) ", "", value)
    state = _STATES.get(_clean(re.sub(r" (?:again|now)\b.*", "", value)).casefold())
    if named is not None and {"favourite", "favorite"} & set(named[1].split()):
        state = None  # a colour may be green
    value = _clean(value)
    value = re.sub(r"^(?:on|at|due|by|for|planned|scheduled|set|down|up|to|until) (?=.)", "", value)
    value = re.sub(r"^(?:on|at|for|to|by|in) (?=.)", "", value)
    value = dated(_clean(re.sub(r"^(?:the|an?) (?=[A-Z\d])", "", value)), said_at)
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
    if _PEOPLE.intersection(words):
        return capital
    if "favourite" in words or "favorite" in words:
        return True
    if _SINGLE.intersection(words):
        return capital or bool(re.match(r"an? |[\w.]+@|\w*\d", value)) or "password" in words
    return told and capital and len(value.split()) <= 3


_NP = (
    rf"(?P<t>(?:[Mm]y|[Oo]ur|[Tt]he|[Tt]his) (?:{_W} ){{0,7}}?{_W}"
    rf"|[A-Z][\w'-]*(?: (?!is\b|was\b|has\b){_W}){{0,4}}?)"
)
_OPEN = re.compile(
    rf"{_NP}(?:'s| is| are| leaves?| starts?| begins?| takes place| will be| costs?| ends?| died"
    r"| works| is (?:planned|scheduled|set)| runs until| stands)"
    r"(?P<now> now)?(?: now| currently| still| at| for)*(?: (?P<v>[^?]{1,80}))?$"
)
_SHIFTED = re.compile(
    rf"{_NP}(?: has| have|'s| was| were| is| got)*(?: been)?(?: just| now| recently)* {_SHIFT}{_WAY}"
    rf"(?: by [^ ]{{1,12}})?(?: from (?P<a>[^?]{{1,30}}?))? to (?P<v>[^?]{{1,40}})$"
)
_SHIFTING = re.compile(
    rf"(?P<s>[Ii]|[Ww]e|[Tt]hey|[Tt]he \w+|[A-Z]\w+(?: [A-Z]\w+)?){_HAVE}{_JUST} {_SHIFT}{_WAY} "
    rf"(?P<t>(?:my|our|the) (?:{_W} ){{0,7}}?{_W}){_WAY}"
    r"(?: from (?P<a>[^?]{1,30}?))? to (?P<v>[^?]{1,40})$"
)
_CALLED_OFF = re.compile(
    rf"{_NP}(?: has been| was| got| is|'s)(?: now)? (?:cancelled|canceled|called off)\b"
)
_HELD = re.compile(
    rf"(?P<v>{_NAME})(?:'s| is)(?P<now> now)? the (?P<t>(?:new |current )?(?:{_W} ){{0,2}}?{_W}"
    rf"(?: (?:of|for) (?:{_W} ){{0,3}}{_W})?)(?: now)?$"
)
_OWNS = re.compile(
    rf"(?P<v>{_NAME}) (?:owns|leads|runs|maintains) (?P<t>the {_W}(?: {_W}){{0,2}})$"
)
_TOOK = re.compile(
    rf"(?P<v>{_NAME}){_HAVE} (?:took|taken) over (?P<t>the {_W}(?: {_W}){{0,2}}?)"
    rf"(?: from (?P<a>{_NAME}))?$"
)
_TURNED = re.compile(
    rf"{_NP} (?:used to be|was) (?P<a>[^?,]{{1,40}}?),?(?: but)? now (?:it's|it is|they're) "
    r"(?P<v>[^?,]{1,40})"
)
_BECAME = re.compile(
    rf"{_NP} (?:has been|was|got)(?: now| finally| just)* (?P<v>merged|closed|reopened|fixed|resolved"
    r"|approved|rejected|deployed|finished|completed|deprecated|disabled|enabled|repaired)\b"
)
_QUANTITY = re.compile(
    rf"\b(?P<o>my|our|the|an?)(?P<new> new)? (?P<t>(?:[a-z-]+ ){{0,2}}?(?:budget|quota|limit|goal|rate|salary"
    r"|price|capacity|coverage|target|score|rent|fee|weight|size|timeout|allowance|cap))"
    r" of (?P<v>[$€£]?\d[\w.,%]*(?: [a-z]+)?)(?P<for> for (?:the |my |our )?[a-z]+)?"
)
_NEW = re.compile(
    rf"(?P<s>[Ii]|[Ww]e){_HAVE}(?: got)? (?:a|my|our) new (?P<t>[\w ]{{3,30}}?)(?: is)?[: ]+"
    r"(?P<v>\d[\w .+-]*|\w+@[\w.]+)$"
)


def _things(clause: str, who: str, said_at: datetime | None) -> Made:
    told = _CHANGED.search(clause) is not None
    for expression in (_SHIFTING, _SHIFTED):
        if m := expression.match(clause):
            yield from _thing(m["t"], m["v"], who, said_at, told=True, instead=m["a"] or "")
            return
    if m := _BECAME.match(clause):
        yield from _thing(m["t"], m["v"], who, said_at, told=True)
    elif m := _CALLED_OFF.match(clause):
        yield from _thing(m["t"], "cancelled", who, said_at, told=True)
    elif m := _TOOK.match(clause):
        yield Claim("", f"owner {topic(m['t'])}", m["v"], changed=True, instead=m["a"] or "")
    elif m := _OWNS.match(clause):
        yield Claim("", f"owner {topic(m['t'])}", m["v"], confidence=0.7)
    elif (m := _HELD.match(clause)) and _PEOPLE & tokens(m["t"]):
        if m["v"].casefold() not in _NOT_NAMES:
            yield Claim("", f"{topic(m['t'])}#text", m["v"], changed=told)
    elif m := _NEW.match(clause):
        yield from _thing("my " + m["t"], m["v"], who, said_at, told=True)
    elif m := _OPEN.match(clause):
        verb = re.search(r" (?:died|works)\b", clause)
        value = m["v"] or (verb[0] if verb else "")
        if verb and not re.match(r"(?:again|now|last|yesterday|today|$)", (m["v"] or "").strip()):
            return
        value = verb[0].strip() if verb else value
        yield from _thing(m["t"], value, who, said_at, told=told)


_RULES: tuple[Rule, ...] = tuple(
    (re.compile(pattern), make)
    for pattern, make in (
        (rf"{_WHO}{_HAVE}{_JUST} (?:moved|relocated)(?: back| over| away)*(?: from (?P<a>{_PLACE}))?"
         rf" to (?P<v>{_PLACE})(?!\w| (?:Street|Road|team))", _moved),
        (rf"(?:[Jj]ust |[Rr]ecently )?[Mm]oved (?:back )?to (?P<v>{_PLACE})", _moved_plain),
        (rf"{_WHO}{_BE}?{_NOW}(?P<no> no longer| don't| doesn't| do not|n't| not)?{_NOW} "
         rf"(?:live|lives|living|based|reside|resides|residing|staying)(?: right)? in (?P<v>{_PLACE})",
         _lives),
        (rf"(?P<s>[Mm]y|[Oo]ur) (?:new )?(?:home|apartment|flat|house|place) is in (?P<v>{_PLACE})",
         lambda m, who: iter([Claim(who, "home", _clean(m["v"]), changed="new" in m[0])])),
        (rf"{_WHO}{_BE}?{_NOW}(?P<no> no longer| don't| doesn't| do not| not)?{_NOW} "
         rf"(?:work|works|working|employed)(?: now)? (?P<how>at|for|as|by)(?: an?| the)? (?P<v>[^?]{{1,50}})$",
         _works),
        (rf"{_WHO}{_HAVE}{_JUST} left (?P<a>{_NAME})(?: and| to)? join(?:ed)? (?P<v>{_NAME})", _joined),
        (rf"{_WHO}{_HAVE}{_JUST} (?P<a>)(?:joined|started(?: working)? at) (?P<v>{_NAME})", _joined),
        (rf"(?P<s>[Mm]y|[Oo]ur) new job is (?:at|with) (?P<v>{_NAME})",
         lambda m, who: iter([Claim(who, "employer", _clean(m["v"]), changed=True)])),
        (rf"{_WHO}{_HAVE}{_JUST} (?P<a>)(?:got|found|landed|took) an? (?:new )?job (?:at|with) "
         rf"(?P<v>{_NAME})", _joined),
        (rf"{_WHO}{_HAVE}{_JUST} (?:quit|left|resigned from|lost) (?:my|his|her|our|their|the) job"
         rf"(?: (?:at|with) (?P<v>[^?]{{1,40}}))?$", _quit),
        (rf"{_WHO}{_HAVE}{_JUST} left (?P<v>{_NAME})(?: for (?P<to>{_PLACE})| in \w+)?$", _left),
        (rf"(?P<s>)(?P<v>{_NAME}) (?:let me go|laid me off|fired me)", _let_go),
        (rf"{_WHO}(?:{_BE}{_NOW}|(?P<got>{_HAVE}{_JUST} (?:became|got promoted to|been promoted to"
         rf"|was promoted to))) (?:an? )?(?P<v>[^?]{{1,50}})$", _is_a),
        (rf"{_WHO}(?:{_BE}{_NOW}|{_HAVE} been) (?P<v>)single\b", _together("single", None)),
        (rf"{_WHO}{_BE}{_NOW} (?:dating|seeing|in a relationship with) (?P<v>{_NAME})",
         _together("dating", None)),
        (r"(?P<s>[Mm]y) (?:boyfriend|girlfriend|partner) is (?P<v>[A-Z]\w+)",
         lambda m, who: iter([Claim(who, "relationship", f"dating {m['v']}", confidence=0.75)])),
        (rf"{_WHO}(?:{_BE}{_NOW}|{_HAVE} been) engaged(?: to (?P<v>{_NAME}))?\b", _together("engaged", None)),
        (rf"{_WHO}(?:{_BE}{_NOW}|{_HAVE} been) married(?: to (?P<v>{_NAME}))?\b", _together("married", None)),
        (rf"(?P<s>{_NAME}|[Mm]y \w+|[Ww]e|I)(?: and (?P<s2>I|me|[A-Z]\w+))?{_HAVE}{_JUST} (?:are )?"
         r"(?P<how>got engaged|got married|got divorced|are divorced|divorced|broke up|split up"
         r"|separated|eloped)\b", _both),
        (rf"{_WHO}{_BE}{_NOW} (?P<v>\d{{1,3}})(?: years old| now)?(?: today)?$", _aged),
        (rf"{_WHO}{_HAVE}{_JUST} turned (?P<v>\d{{1,3}})\b", _aged),
        (rf"{_WHO}(?:{_BE}{_NOW}(?P<no> not| no longer)?|{_HAVE}{_JUST} (?:became|went|been)) "
         rf"(?:an? )?(?P<v>{_DIETS})(?! restaurant| food| place)\b", _diet),
        (r"(?P<s>[Ii]|[Ww]e)(?: now)? eat (?P<v>meat)\b", _meat),
        (rf"(?P<s>[Ii]|[Ww]e){_HAVE}{_JUST} (?:stopped|quit|gave up|given up)(?! by)(?: (?P<do>{_DOING}))?"
         rf"(?: (?P<v>(?!my job|work)[^?]{{2,40}}))?$", _stopped),
        (rf"(?P<s>[Ii]|[Ww]e){_HAVE}{_JUST} cancel(?:l)?ed (?P<do>)my (?:subscription|membership) "
         rf"(?:to|at|of|for) (?P<v>[^?]{{2,40}})$", _stopped),
        (rf"(?P<s>[Ii]|[Ww]e|(?:[Tt]he|[Mm]y|[Oo]ur) [\w ]{{2,30}}?)(?:{_BE})?{_NOW} "
         rf"(?P<how>use|using|runs? on|running on|runs?|deploy to|store \w+ in) (?P<v>[A-Z][^?]{{1,40}})$",
         _runs),
        (rf"(?P<s>[Ii]|[Ww]e)(?P<no> no longer| don't| do not)? (?P<do>{_DO})\b(?: (?P<v>[^?]{{2,40}}))?$",
         _habit),
        (r"(?P<s>[Ii])(?:'m| am)(?: now)? (?:down|up) to (?P<v>\d[^?]{1,30})$", _owned),
        (r"(?P<s>[Ii])(?:'m| am) in the (?P<v>[A-Z]{2,4}(?:[+-]\d+)?) time ?zone",
         lambda m, who: iter([Claim(who, "time zone#text", m["v"])])),
        (rf"(?P<s>[Ww]e)(?:'re| are)(?: now)? on (?:version )?v?(?P<v>\d+(?:\.\d+)+)(?: of (?P<p>[^?]{{2,30}}))?$",
         lambda m, who: iter([Claim(who, "version " + topic(m["p"] or ""), m["v"])])),
        (rf"(?P<s>[Ii])(?:'m| am) (?P<no>)(?P<do>learning|studying|taking|practi[cs]ing)"
         rf" (?P<v>[^?]{{2,40}})$", _habit),
        (rf"{_WHO}{_NOW} drives?(?: now)? (?P<v>an? [^?]{{2,30}})$", _driven),
        (rf"{_WHO}{_HAVE}{_JUST} (?:switched|migrated|moved|changed|converted)(?: over| [a-z]+)? from "
         rf"(?P<a>[^?]{{2,30}}?) to (?P<v>[^?]{{2,40}})$", _swapped),
        (rf"{_WHO}{_HAVE}{_JUST} replaced (?P<a>[^?]{{2,30}}?) (?:with|by) (?P<v>[^?]{{2,40}})$", _swapped),
        (rf"{_WHO}{_HAVE}{_JUST} (?:swapped|traded)(?: in)? (?P<a>[^?]{{2,30}}?) for (?P<v>[^?]{{2,40}})$",
         _swapped),
        (rf"{_WHO}{_HAVE}{_JUST} sold (?:the|my|our) (?P<v>[A-Z][^?]{{2,30}})$", _sold),
        (rf"{_WHO}{_HAVE}{_JUST} (?:upgraded|updated|bumped)(?: (?P<s2>(?:the|our|my) [\w ]{{2,30}}?))?"
         rf"(?: from (?P<a>[^?]{{1,30}}?))? to (?P<p>[A-Za-z][\w+#. -]{{0,30}}?) v?(?P<v>\d+(?:\.\d+)*)$",
         _upgraded),
        (rf"(?P<s>[Ii]|[Ww]e)(?:{_HAVE}| now)(?: got| now)? (?:have|has|own|got|keep|read|saved|save|finished"
         rf"|completed|collected|weigh|earn) (?P<v>[^?]{{3,60}})$", _owned),
        (rf"(?P<s>[Ii]|[Ww]e)(?:'ve| have)(?: now| already)? (?:read|saved|finished|completed|visited"
         rf"|collected) (?P<v>[^?]{{3,60}})$", _owned),
    )
)  # fmt: skip


def stated(clause: str, who: str, said_at: datetime | None) -> Made:
    """What an English clause claims."""
    found = False
    for expression, make in _RULES:
        if m := expression.match(clause):
            for claim in make(m, who):
                if claim.value or not claim.holds:
                    found = True
                    yield replace(claim, value=dated(claim.value, said_at))
            if found:
                return
    if not re.match(r"(?:there|it|this|that|what|he|she|they|you)\b", clause, re.IGNORECASE):
        things = list(_things(clause, who, said_at))
        yield from things
        found = bool(things)
    for m in () if found else _QUANTITY.finditer(clause):
        named = "my " + m["t"] + (m["for"] or "")
        told = bool(m["new"]) or _CHANGED.search(clause) is not None
        for claim in _thing(named, m["v"], who, said_at, told=told):
            yield replace(claim, confidence=0.65)


_IT = re.compile(
    r"(?:it|that)(?:'s| is| leaves| starts| begins)(?: now| at| on| actually)* (?P<v>[^?]{1,30})$",
    re.IGNORECASE,
)
_BARE = re.compile(
    r"(?:it's |it is |not \w+ but |at |on |to )?(?:on |at )?(?P<v>[^?]{1,30})$", re.I
)


def turned(sentence: str, who: str, said_at: datetime | None) -> Made:
    """ "My favourite tea used to be oolong, now it's matcha." """
    if m := _TURNED.match(sentence):
        yield from _thing(m["t"], m["v"], who, said_at, told=True, instead=m["a"])


def corrected(rest: str) -> Made:
    """What comes after "sorry, I meant": a value, and nothing that it is the value of."""
    m = _IT.match(rest) or _BARE.match(rest)
    if m is None:
        return
    value = re.sub(r"^(?:on|at|to) ", "", _clean(m["v"]))
    text = kind_of(value) == "text"
    if len(value.split()) <= (2 if text else 4) and not (text and not value[:1].isupper()):
        yield Claim(UNNAMED, "", value, confidence=0.75, changed=True)


def anaphoric(rest: str) -> Made:
    """ "It leaves at 11:15 now": a changed value of what was spoken of before."""
    m = _IT.match(rest)
    if m is not None and re.search(r"\bnow\b", rest):
        value = _clean(m["v"])
        if kind_of(value) != "text" and len(value.split()) <= 4:
            yield Claim(UNNAMED, "", value, confidence=0.65, changed=True)
