"""The English rules of claims, in the order in which they are tried."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import Final

from stepwell.mechanisms.claiming.claim import UNNAMED, Claim, dated, kind_of, topic
from stepwell.mechanisms.claiming.things import QUANTITY, TURNED, of_thing, of_things
from stepwell.mechanisms.claiming.wordings import (
    BE,
    CHANGED,
    DIETS,
    DO,
    DOING,
    HAVE,
    JUST,
    NAME,
    NOW,
    PLACE,
    WHO,
    Made,
    Rule,
    aged,
    both,
    clean,
    diet,
    driven,
    habit,
    is_a,
    joined,
    left,
    let_go,
    lives,
    meat,
    moved,
    moved_plain,
    owned,
    resigned,
    runs,
    sold,
    stopped,
    swapped,
    together,
    upgraded,
    works,
)

# A rule is tried on clauses with one of its first words in them: most have none.
_RULES: tuple[tuple[frozenset[str], Rule], ...] = tuple(
    (frozenset(cues.split()), (re.compile(pattern), make))
    for cues, pattern, make in (
        ("moved relocated",
         rf"{WHO}{HAVE}{JUST} (?:moved|relocated)(?: back| over| away)*(?: from (?P<a>{PLACE}))?"
         rf" to (?P<v>{PLACE})(?!\w| (?:Street|Road|team))", moved),
        ("moved",
         rf"(?:[Jj]ust |[Rr]ecently )?[Mm]oved (?:back )?to (?P<v>{PLACE})", moved_plain),
        ("live lives living based reside resides residing staying",
         rf"{WHO}{BE}?{NOW}(?P<no> no longer| don't| doesn't| do not|n't| not)?{NOW} "
         rf"(?:live|lives|living|based|reside|resides|residing|staying)(?: right)? in (?P<v>{PLACE})",
         lives),
        ("home apartment flat house place",
         rf"(?P<s>[Mm]y|[Oo]ur) (?:new )?(?:home|apartment|flat|house|place) is in (?P<v>{PLACE})",
         lambda m, who: iter([Claim(who, "home", clean(m["v"]), changed="new" in m[0])])),
        ("work works working employed",
         rf"{WHO}{BE}?{NOW}(?P<no> no longer| don't| doesn't| do not| not)?{NOW} "
         rf"(?:work|works|working|employed)(?: now)? (?P<how>at|for|as|by)(?: an?| the)? (?P<v>[^?]{{1,50}})$",
         works),
        ("left",
         rf"{WHO}{HAVE}{JUST} left (?P<a>{NAME})(?: and| to)? join(?:ed)? (?P<v>{NAME})", joined),
        ("joined started",
         rf"{WHO}{HAVE}{JUST} (?P<a>)(?:joined|started(?: working)? at) (?P<v>{NAME})", joined),
        ("job",
         rf"(?P<s>[Mm]y|[Oo]ur) new job is (?:at|with) (?P<v>{NAME})",
         lambda m, who: iter([Claim(who, "employer", clean(m["v"]), changed=True)])),
        ("job",
         rf"{WHO}{HAVE}{JUST} (?P<a>)(?:got|found|landed|took) an? (?:new )?job (?:at|with) "
         rf"(?P<v>{NAME})", joined),
        ("job",
         rf"{WHO}{HAVE}{JUST} (?:quit|left|resigned from|lost) (?:my|his|her|our|their|the) job"
         rf"(?: (?:at|with) (?P<v>[^?]{{1,40}}))?$", resigned),
        ("left",
         rf"{WHO}{HAVE}{JUST} left (?P<v>{NAME})(?: for (?P<to>{PLACE})| in \w+)?$", left),
        ("let laid fired",
         rf"(?P<s>)(?P<v>{NAME}) (?:let me go|laid me off|fired me)", let_go),
        ("am m are re is s became promoted",
         rf"{WHO}(?:{BE}{NOW}|(?P<got>{HAVE}{JUST} (?:became|got promoted to|been promoted to"
         rf"|was promoted to))) (?:an? )?(?P<v>[^?]{{1,50}})$", is_a),
        ("single",
         rf"{WHO}(?:{BE}{NOW}|{HAVE} been) (?P<v>)single\b", together("single", None)),
        ("dating seeing relationship",
         rf"{WHO}{BE}{NOW} (?:dating|seeing|in a relationship with) (?P<v>{NAME})",
         together("dating", None)),
        ("boyfriend girlfriend partner",
         r"(?P<s>[Mm]y) (?:boyfriend|girlfriend|partner) is (?P<v>[A-Z]\w+)",
         lambda m, who: iter([Claim(who, "relationship", f"dating {m['v']}", confidence=0.75)])),
        ("engaged",
         rf"{WHO}(?:{BE}{NOW}|{HAVE} been) engaged(?: to (?P<v>{NAME}))?\b", together("engaged", None)),
        ("married",
         rf"{WHO}(?:{BE}{NOW}|{HAVE} been) married(?: to (?P<v>{NAME}))?\b", together("married", None)),
        ("engaged married divorced broke split separated eloped",
         rf"(?P<s>{NAME}|[Mm]y \w+|[Ww]e|I)(?: and (?P<s2>I|me|[A-Z]\w+))?{HAVE}{JUST} (?:are )?"
         r"(?P<how>got engaged|got married|got divorced|are divorced|divorced|broke up|split up"
         r"|separated|eloped)\b", both),
        ("am m are re is s",
         rf"{WHO}{BE}{NOW} (?P<v>\d{{1,3}})(?: years old| now)?(?: today)?$", aged),
        ("turned",
         rf"{WHO}{HAVE}{JUST} turned (?P<v>\d{{1,3}})\b", aged),
        ("vegan vegetarian pescatarian gluten keto teetotal",
         rf"{WHO}(?:{BE}{NOW}(?P<no> not| no longer)?|{HAVE}{JUST} (?:became|went|been)) "
         rf"(?:an? )?(?P<v>{DIETS})(?! restaurant| food| place)\b", diet),
        ("meat",
         r"(?P<s>[Ii]|[Ww]e)(?: now)? eat (?P<v>meat)\b", meat),
        ("stopped quit gave given",
         rf"(?P<s>[Ii]|[Ww]e){HAVE}{JUST} (?:stopped|quit|gave up|given up)(?! by)(?: (?P<do>{DOING}))?"
         rf"(?: (?P<v>(?!my job|work)[^?]{{2,40}}))?$", stopped),
        ("cancelled canceled",
         rf"(?P<s>[Ii]|[Ww]e){HAVE}{JUST} cancel(?:l)?ed (?P<do>)my (?:subscription|membership) "
         rf"(?:to|at|of|for) (?P<v>[^?]{{2,40}})$", stopped),
        ("use using run runs running deploy store",
         rf"(?P<s>[Ii]|[Ww]e|(?:[Tt]he|[Mm]y|[Oo]ur) [\w ]{{2,30}}?)(?:{BE})?{NOW} "
         rf"(?P<how>use|using|runs? on|running on|runs?|deploy to|store \w+ in) (?P<v>[A-Z][^?]{{1,40}})$",
         runs),
        ("play smoke drink eat take use learn study practice practise read watch go attend teach run",
         rf"(?P<s>[Ii]|[Ww]e)(?P<no> no longer| don't| do not)? (?P<do>{DO})\b(?: (?P<v>[^?]{{2,40}}))?$",
         habit),
        ("down up",
         r"(?P<s>[Ii])(?:'m| am)(?: now)? (?:down|up) to (?P<v>\d[^?]{1,30})$", owned),
        ("timezone zone",
         r"(?P<s>[Ii])(?:'m| am) in the (?P<v>[A-Z]{2,4}(?:[+-]\d+)?) time ?zone",
         lambda m, who: iter([Claim(who, "time zone#text", m["v"])])),
        ("re are",
         r"(?P<s>[Ww]e)(?:'re| are)(?: now)? on (?:version )?v?(?P<v>\d+(?:\.\d+)+)(?: of (?P<p>[^?]{2,30}))?$",
         lambda m, who: iter([Claim(who, "version " + topic(m["p"] or ""), m["v"])])),
        ("learning studying taking practicing practising",
         r"(?P<s>[Ii])(?:'m| am) (?P<no>)(?P<do>learning|studying|taking|practi[cs]ing)"
         r" (?P<v>[^?]{2,40})$", habit),
        ("drive drives",
         rf"{WHO}{NOW} drives?(?: now)? (?P<v>an? [^?]{{2,30}})$", driven),
        ("from",
         rf"{WHO}{HAVE}{JUST} (?:switched|migrated|moved|changed|converted)(?: over| [a-z]+)? from "
         rf"(?P<a>[^?]{{2,30}}?) to (?P<v>[^?]{{2,40}})$", swapped),
        ("replaced",
         rf"{WHO}{HAVE}{JUST} replaced (?P<a>[^?]{{2,30}}?) (?:with|by) (?P<v>[^?]{{2,40}})$", swapped),
        ("swapped traded",
         rf"{WHO}{HAVE}{JUST} (?:swapped|traded)(?: in)? (?P<a>[^?]{{2,30}}?) for (?P<v>[^?]{{2,40}})$",
         swapped),
        ("sold",
         rf"{WHO}{HAVE}{JUST} sold (?:the|my|our) (?P<v>[A-Z][^?]{{2,30}})$", sold),
        ("upgraded updated bumped",
         rf"{WHO}{HAVE}{JUST} (?:upgraded|updated|bumped)(?: (?P<s2>(?:the|our|my) [\w ]{{2,30}}?))?"
         rf"(?: from (?P<a>[^?]{{1,30}}?))? to (?P<p>[A-Za-z][\w+#. -]{{0,30}}?) v?(?P<v>\d+(?:\.\d+)*)$",
         upgraded),
        ("have has ve own got keep read saved save finished completed collected weigh earn",
         rf"(?P<s>[Ii]|[Ww]e)(?:{HAVE}| now)(?: got| now)? (?:have|has|own|got|keep|read|saved|save|finished"
         rf"|completed|collected|weigh|earn) (?P<v>[^?]{{3,60}})$", owned),
        ("have ve",
         r"(?P<s>[Ii]|[Ww]e)(?:'ve| have)(?: now| already)? (?:read|saved|finished|completed|visited"
         r"|collected) (?P<v>[^?]{3,60})$", owned),
    )
)  # fmt: skip


_WORD = re.compile(r"[^\W_]+")
#: Small words that a clause may begin with that claims something; else it is a name.
_FIRST: Final = frozenset("i we my our the this he she they just recently moved".split())
_NO_THINGS: Final = frozenset("there it this that what he she they you".split())
#: What is said of things is said with one of these.
_OF_THINGS: Final = frozenset(
    "s is are leave leaves start starts begin begins takes will cost costs end ends died works runs"
    " stands has have contain contains holds was were has have got been owns leads maintains took taken new to".split()
)


def stated(clause: str, who: str, said_at: datetime | None) -> Made:
    """What an English clause claims."""
    words = _WORD.findall(clause)
    heard = frozenset(map(str.casefold, words))
    found = False
    if words and (words[0].casefold() in _FIRST or not words[0].islower()):
        for cues, (expression, make) in _RULES:
            if not cues.isdisjoint(heard) and (m := expression.match(clause)):
                for claim in make(m, who):
                    if claim.value or not claim.holds:
                        found = True
                        yield replace(claim, value=dated(claim.value, said_at))
                if found:
                    return
        if not _OF_THINGS.isdisjoint(heard) and words[0].casefold() not in _NO_THINGS:
            things = list(of_things(clause, who, said_at))
            yield from things
            found = bool(things)
    for m in () if found or "of" not in heard else QUANTITY.finditer(clause):
        named = "my " + m["t"] + (m["for"] or "")
        told = bool(m["new"]) or CHANGED.search(clause) is not None
        for claim in of_thing(named, m["v"], who, said_at, told=told):
            yield replace(claim, confidence=0.65)


_IT = re.compile(
    r"(?:it|that)(?:'s| is| leaves| starts| begins)(?: now| at| on| actually)* (?P<v>[^?]{1,30})$",
    re.IGNORECASE,
)
_BARE = re.compile(
    r"(?:it's |it is |not \w+ but |at |on |to )?(?:on |at )?(?P<v>[^?]{1,30})$", re.IGNORECASE
)


def turned(sentence: str, who: str, said_at: datetime | None) -> Made:
    """What a clause claims like "my favourite tea used to be oolong, now it's matcha"."""
    if m := TURNED.match(sentence):
        yield from of_thing(m["t"], m["v"], who, said_at, told=True, instead=m["a"])


def corrected(rest: str) -> Made:
    """What comes after "sorry, I meant": a value, and nothing that it is the value of."""
    m = _IT.match(rest) or _BARE.match(rest)
    if m is None:
        return
    value = re.sub(r"^(?:on|at|to) ", "", clean(m["v"]))
    text = kind_of(value) == "text"
    if len(value.split()) <= (2 if text else 4) and not (text and not value[:1].isupper()):
        yield Claim(UNNAMED, "", value, confidence=0.75, changed=True)


def anaphoric(rest: str) -> Made:
    """A changed value of what was spoken of before: "it leaves at 11:15 now"."""
    m = _IT.match(rest)
    if m is not None and re.search(r"\bnow\b", rest):
        value = clean(m["v"])
        if kind_of(value) != "text" and len(value.split()) <= 4:
            yield Claim(UNNAMED, "", value, confidence=0.65, changed=True)
