"""English wordings of claims about people: homes, jobs, ties, habits, and what they have."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from stepwell.mechanisms.claiming.claim import UNNAMED, Claim, kind_of, topic

Made = Iterator[Claim]
Rule = tuple[re.Pattern[str], Callable[[re.Match[str], str], Made]]

NOT_NAMES: Final = frozenset(
    "this that these those there here what everything something nothing everyone someone anyone it"
    " he she they you i we who which one all some most many your his her their its yours mine".split()
)
W = r"[\w'/&+#.-]+"
WHO = (
    rf"(?P<s>[Ii]|[Ww]e|(?:[Mm]y|[Oo]ur) (?:{W} ){{0,2}}?{W}|[A-Z][\w'-]+(?: [A-Z][\w'-]+)?"
    r"|[Hh]e|[Ss]he|[Tt]hey)"
)
HAVE = r"(?: have| has|'ve|'s|'d)?"
BE = r"(?:'m| am|'re| are|'s| is)"
JUST = r"(?: just| recently| finally| already| officially| now| since| also| actually| happily)*"
NOW = r"(?: now| currently| still| actually| already| officially| presently)*"
NAME = r"(?:the )?[A-Z0-9][\w'&.+-]*(?:(?: (?:of|de|la|upon|and|&))? [A-Z0-9&][\w'.+-]*){0,3}"
PLACE = r"(?:the )?[A-Z][\w'.-]*(?:(?: (?:of|de|la|upon))? [A-Z][\w'.-]*){0,3}"
_ENDED = re.compile(r"\b(?:no longer|anymore|any more|any longer)\b")
CHANGED = re.compile(
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
STATES: Final = {
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
PEOPLE: Final = frozenset(
    "manager boss captain lead leader head coach owner ceo cto director supervisor maintainer"
    " landlord therapist doctor dentist mentor teacher trainer chair president treasurer"
    " roommate flatmate boyfriend girlfriend partner husband wife".split()
)
SINGLE: Final = frozenset(
    "number email mail address password passcode pin username nickname name car surname id iban"
    " zone timezone title major editor provider bank plan school university language status"
    " favourite favorite laptop hometown gym church".split()
)
_WORK: Final = frozenset(
    "developer engineer nurse teacher intern manager analyst designer student freelancer consultant"
    " director lawyer doctor accountant artist writer author chef cook waiter waitress barista"
    " driver pilot scientist researcher professor electrician plumber carpenter mechanic welder"
    " architect photographer journalist editor librarian therapist psychologist pharmacist cashier"
    " assistant administrator programmer officer technician secretary salesperson baker farmer"
    " musician paramedic firefighter vet veterinarian postdoc apprentice supervisor".split()
)
DIETS = r"vegan|vegetarian|pescatarian|gluten-free|keto|teetotal"
DO = r"play|smoke|drink|eat|take|use|learn|study|practi[cs]e|read|watch|go to|go|attend|teach|run"
DOING = (
    r"playing|smoking|drinking|eating|taking|using|learning|studying|practi[cs]ing|reading"
    r"|watching|going to|going|attending|teaching|running"
)
SHIFT = (
    r"(?:moved|pushed|postponed|rescheduled|shifted|delayed|changed|updated|extended|raised"
    r"|lowered|reduced|increased|decreased|cut|bumped|brought|set|slipped|rose|risen|fell|fallen"
    r"|dropped|grew|grown|went|gone|gotten|got|switched|upgraded|downgraded|improved|doubled)"
)
WAY = r"(?: up| down| back| forward| out| over)?"


def clean(value: str) -> str:
    """A value without what trails after it."""
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
    if not words or words[0].casefold() in NOT_NAMES:
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
    said = clean(m["v"] if value is None else value)
    if subject is None:
        return
    told = bool(CHANGED.search(m.string)) if changed is None else changed
    yield Claim(subject, attribute, said, holds, sure, (0, 0), exclusive, told, clean(instead))


# homes and jobs -------------------------------------------------------------------------------


_PASSIVE = re.compile(r" (?:was|were|is|are|been|being|got|gets)$")


def moved(m: re.Match[str], who: str) -> Made:
    """A home by a move."""
    if kind_of(m["v"]) != "text" or _PASSIVE.search(m["s"]):
        return  # an appointment
    if m["v"].split()[0].casefold() in ("version", "plan", "phase"):
        return
    yield from _one(m, who, "home", sure=0.9, changed=True, instead=m["a"] or "")


def moved_plain(m: re.Match[str], who: str) -> Made:
    """A home by a move, told without "I"."""
    yield Claim(who, "home", clean(m["v"]), confidence=0.7, changed=True)


def lives(m: re.Match[str], who: str) -> Made:
    """A home."""
    yield from _one(m, who, "home", holds=not (m["no"] or _ENDED.search(m.string)))


def works(m: re.Match[str], who: str) -> Made:
    """An employer or a role."""
    ended = bool(m["no"]) or _ENDED.search(m.string) is not None
    attribute = "role" if m["how"] == "as" else "employer"
    value = re.sub(r"^(?:a|an|the) ", "", m["v"])
    value, _, role = value.partition(" as ")
    if re.match(r"(?:two|three|\d+|now|free|long|many|myself)\b", value):
        return
    yield from _one(m, who, attribute, value=value, holds=not ended)
    if role:
        yield from _one(m, who, "role", value=role.removeprefix("a ").removeprefix("an "))


def joined(m: re.Match[str], who: str) -> Made:
    """An employer by joining."""
    yield from _one(m, who, "employer", changed=True, instead=m["a"] or "")


def resigned(m: re.Match[str], who: str) -> Made:
    """A job that is over."""
    yield from _one(m, who, "employer", value=m["v"] or "", holds=False, changed=True, sure=0.85)


def left(m: re.Match[str], who: str) -> Made:
    """A place or an employer left."""
    for attribute in ("employer", "home"):
        yield from _one(m, who, attribute, holds=False, changed=True, sure=0.7)
    if m["to"]:
        yield from _one(m, who, "home", value=m["to"], sure=0.6, changed=True, instead=m["v"])


def let_go(m: re.Match[str], who: str) -> Made:
    """A job lost."""
    yield Claim(who, "employer", clean(m["v"]), False, 0.8, changed=True)


def is_a(m: re.Match[str], who: str) -> Made:
    """A role."""
    value = clean(re.sub(r" (?:at|for|with|in) .*", "", m["v"]))
    words = value.casefold().split()
    if words and words[-1] in _WORK and len(words) <= 4:
        told = True if m["got"] else None
        yield from _one(m, who, "role", value=value, sure=0.75, changed=told)


# people ---------------------------------------------------------------------------------------


def together(value: str, told: bool | None) -> Callable[[re.Match[str], str], Made]:
    """A tie of a sort, with somebody or nobody."""

    def make(m: re.Match[str], who: str) -> Made:
        name = m["v"] or ""
        yield from _one(m, who, "relationship", value=f"{value} {name}", sure=0.85, changed=told)

    return make


def _parted(m: re.Match[str], who: str) -> Made:
    yield from _one(m, who, "relationship", value="single", sure=0.85, changed=True)


def both(m: re.Match[str], who: str) -> Made:
    """A tie of two."""
    how = m["how"].casefold()
    state = next((s for s in ("engaged", "married", "divorced") if s in how), "single")
    subject = m["s2"] or m["s"]
    mate = f" {m['s']}" if m["s2"] and state in ("engaged", "married") else ""
    if subject_of(subject, who) is not None:
        name = subject_of(subject, who) or ""
        yield Claim(name, "relationship", state + mate, confidence=0.85, changed=True)


def aged(m: re.Match[str], who: str) -> Made:
    """An age."""
    yield from _one(m, who, "age", sure=0.85)


def diet(m: re.Match[str], who: str) -> Made:
    """A diet."""
    ended = bool(m["no"]) and _ENDED.search(m.string) is not None
    if not m["no"] or ended:
        yield from _one(m, who, "diet", holds=not ended)


def meat(m: re.Match[str], who: str) -> Made:
    """That meat is eaten."""
    yield from _one(m, who, "diet", value="meat")


def habit(m: re.Match[str], who: str) -> Made:
    """What is done again and again."""
    value = f"{_verb(m['do'])} {m['v'] or ''}"
    ended = bool(m["no"])
    if ended and not _ENDED.search(m.string):
        return
    yield from _one(m, who, "do", value=value, sure=0.7 if ended else 0.6, holds=not ended,
                    exclusive=False)  # fmt: skip


def stopped(m: re.Match[str], who: str) -> Made:
    """A habit that is over."""
    do = _verb(m["do"]) if m["do"] else ""
    value = f"{do} {m['v'] or ''}"
    yield from _one(m, who, "do", value=value, sure=0.8, holds=False, exclusive=False, changed=True)


def _verb(said: str) -> str:
    word = re.sub(r" to$", "", said.casefold())
    base = re.sub(r"(?:ing|s)$", "", word)
    return {"us": "use", "tak": "take", "smok": "smoke", "practis": "practice", "runn": "run",
            "practic": "practice", "practise": "practice", "goe": "go"}.get(base, base)  # fmt: skip


def owned(m: re.Match[str], who: str) -> Made:
    """How many of something, or what, somebody has."""
    value = clean(m["v"])
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


def driven(m: re.Match[str], who: str) -> Made:
    """A car."""
    if re.match(r"(?:an? |the )?[A-Z]", m["v"]):
        yield from _one(m, who, "car", value=re.sub(r"^(?:an?|the) ", "", m["v"]))


def swapped(m: re.Match[str], who: str) -> Made:
    """One thing in place of another."""
    old = re.sub(r"^(?:my|our|the|an?) ", "", m["a"])
    new = re.sub(r"^(?:my|our|the|an?) ", "", m["v"])
    yield from _one(m, who, "use", value=new, sure=0.8, exclusive=False, changed=True, instead=old)


def sold(m: re.Match[str], who: str) -> Made:
    """What is owned no more."""
    for attribute in ("car", "own"):
        yield from _one(m, who, attribute, holds=False, changed=True)


def runs(m: re.Match[str], who: str) -> Made:
    """What something is run on."""
    subject = subject_of(re.sub(r"^[Tt]he ", "", m["s"]), who)
    if subject is None:
        return
    value = clean(re.sub(r" (?:for|as|in|to) .*", "", m["v"]))
    told = bool(CHANGED.search(m.string)) or "grad" in m["how"]
    if numbered := re.match(r"(?:version )?([A-Za-z][\w+#. -]{0,30}?) v?(\d+(?:\.\d+)*)$", value):
        slot = "version " + topic(numbered[1])
        yield Claim(subject, slot, numbered[2], confidence=0.8, changed=told)
    elif told and "how" in m.groupdict() and "run" in m["how"]:
        yield Claim(subject, "use", value, confidence=0.7, changed=True)
    else:
        one = "run" in m["how"]
        yield Claim(subject, "use", value, confidence=0.6, exclusive=one, changed=told)


def upgraded(m: re.Match[str], who: str) -> Made:
    """A version."""
    subject = subject_of(re.sub(r"^(?:the|our|my) ", "", m["s2"] or m["s"]), who)
    if subject is not None:
        slot = "version " + topic(m["p"])
        yield Claim(subject, slot, m["v"], confidence=0.85, changed=True, instead=m["a"] or "")
