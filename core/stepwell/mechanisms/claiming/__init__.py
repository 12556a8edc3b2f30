"""What a text claims of things that may change, read from its wording alone, without a model.

A rule has to match a clause from its beginning, so that what is asked, wished, supposed or quoted
is no claim. English first, a little German and Chinese; of other languages nothing is claimed.
Every expression runs on one clause of bounded length: the time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final

from stepwell.mechanisms.claiming import elsewhere, rules
from stepwell.mechanisms.claiming.claim import Claim
from stepwell.mechanisms.claiming.things import presumed

#: Nobody tells of more changes at once; and of longer clauses, only the beginning is read.
MOST: Final = 32
_CLAUSE = 300

_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_QUOTED = re.compile(r"[\"“„«»][^\"“”„«»\n]{0,400}[\"”“«»]|(?<!\w)'[^'\n]{12,400}'(?!\w)")
_SENTENCE = re.compile(r"(?<=[.!?。！？])(?=\s)|(?<=[。！？])|\n+|;\s")
_ABBREVIATED = re.compile(r"\b(?:Dr|Mr|Mrs|Ms|St|Prof|vs|approx|a\.m|p\.m)\.$")
_COMMA = re.compile(
    r"[,:]\s+|\s+[-–—]+\s+|\s+\(|\)\s*|，"
    r"|,?\s+(?:and|but|so)\s+(?=(?:I|I'm|I've|we|we're|we've|it|it's|my|our|the|now)\b)"
)
_ASKS = re.compile(
    r"(?:(?:and|but|so|ok|well|hey|hm+)[, ]+)?(?:did|do|does|is|are|was|were|has|have|had|should"
    r"|could|can|would|will|may|what|why|how|when|where|who|which|whose|please|tell me|write|let's"
    r"|imagine|suppose|pretend|ist|sind|hat|war|wann|wo|wer|warum|kann|soll)\b(?! (?:now|again) )",
    re.IGNORECASE,
)
# What makes a clause no claim wherever it stands in the sentence.
_SUPPOSED = re.compile(
    r"\b(?:if|unless|whether|suppose|supposing|imagine|pretend|dream(?:ed|t|ing)?|novel|story|movie"
    r"|wish|rumou?rs?|apparently|allegedly|hypothetically|for example|e\.g|asked?|asks|asking"
    r"|hear|heard|said|says|saying|told|claims?|claimed|wrote|writes|according)\b",
    re.IGNORECASE,
)
_UNSURE = re.compile(
    r"\b(?:might|could|would|should|maybe|perhaps|probably|possibly|want(?:s|ed)?|wanna|hop(?:e|es"
    r"|ing)|think(?:ing)? (?:of|about)|consider(?:s|ing)?|(?<!stopped )(?<!quit )(?<!up )going to|gonna|will|shall|almost|nearly"
    r"|(?:tempted|trying|try|tries|like|love|need|needs|plans?|planning|aim|about|ready|likely) to"
    r"|how to|goal|until|tend to|instead of|never|not yet|no longer want|supposed)\b"
    r"|['’](?:ll|d) |\bmay (?=[a-z])",
)
_LONG_AGO = re.compile(
    r"\b(?:when (?:I|we|he|she|they) (?:was|were|turned)|as (?:a|an) (?:kid|child|student|teenager)"
    r"|years? ago|years? before|back in|back then|once upon|(?:in|until|since) (?:19|20)\d\d"
    r"|last (?:year|decade|century)|in the (?:19|20)?\d0s)\b"
)
_JOKE = re.compile(
    r"\b(?:kidding|just joking|lol|lmao|rofl|haha+|jk|i joke)\b|[😂🤣😜]", re.IGNORECASE
)
_ALSO = re.compile(r"\b(?:also|as well|too(?=\W*$)|another|second|besides|in addition)\b|也|另")
_LEAD = re.compile(
    r"(?:(?:well|so|and|but|oh|hey|hi|yes|yeah|no|ok|okay|btw|by the way|update|news|big news|good"
    r" news|fyi|finally|also|as of (?:now|today|this \w+)|these days|from now on|today|yesterday"
    r"|last (?:week|month|night|\w+day)|this (?:week|month)|then|because|since|although|as|which is"
    r" why|now)[,:!]?\s+){1,4}",
    re.IGNORECASE,
)
_FIX = re.compile(
    r"(?:(?:oops|sorry|no|oh|ah|wait|hm+|correction|actually|my mistake|my bad|i misspoke|scratch"
    r" that|i meant?|i mean|make that|rather|that should be|it should be|entschuldigung|nein"
    r"|ich meinte)\b[,:.!]?\s*)+",
    re.IGNORECASE,
)
_FIXES = re.compile(
    r"(?:oops|sorry|correction|actually|my mistake|my bad|i misspoke|scratch|i mean|make that"
    r"|rather|wait|should be|ich meinte)",
    re.IGNORECASE,
)


def claims(text: str, speaker: str, said_at: datetime | None = None) -> tuple[Claim, ...]:
    """What a speaker claims, in order. Never raises.

    "I" and "we" are the speaker. A correction that names nothing has the subject `UNNAMED`, and is
    given a name by `claim.resolved`.
    """
    made: list[Claim] = []
    who = speaker.casefold().strip()
    for start, sentence in _sentences(_blanked(text)):
        for claim in _of_sentence(sentence, who, said_at):
            first = start + len(sentence) - len(sentence.lstrip())
            span = (first, start + len(sentence.rstrip()))
            if not any(claim.slot == c.slot and claim.value == c.value for c in made):
                made.append(replace(claim, span=span, by=who))
        if len(made) >= MOST:
            break
    return tuple(made[:MOST])


def _blanked(text: str) -> str:
    """The text with code and quotations made blank, as long as before."""
    for expression in (_FENCED, _QUOTED):
        text = expression.sub(lambda m: " " * len(m[0]), text)
    return text


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    """Sentences with where they start."""
    start = 0
    for end in (*(m.end() for m in _SENTENCE.finditer(text)), len(text)):
        sentence = text[start:end]
        if end < len(text) and _ABBREVIATED.search(sentence[-8:]):
            continue
        if sentence.strip():
            yield start, sentence
        start = end


def _of_sentence(sentence: str, who: str, said_at: datetime | None) -> Iterator[Claim]:
    bare = sentence.strip().rstrip(".!。！ ")
    asks = bare.endswith(("?", "？", "吗"))
    bare = bare[: 4 * _CLAUSE].replace("’", "'")
    if not elsewhere.latin(bare):
        if not asks:
            yield from elsewhere.chinese(bare, who)
        return
    # Few sentences claim anything: whether one may claim at all is asked when it does.
    fixes = _FIXES.match(bare) is not None
    found = [] if asks else [(bare[:0], one) for one in rules.turned(bare[:_CLAUSE], who, said_at)]
    clauses = _clauses(bare)
    for clause in clauses[:-1] if asks else clauses:
        read = (*_of_clause(clause, who, said_at, fixes), *elsewhere.german(clause, who))
        if read and not _UNSURE.search(clause) and not _ASKS.match(clause):
            found += [(clause, one) for one in read]
    presumes = " of " in bare or " on " in bare
    granted = list(presumed(bare[:_CLAUSE], who, said_at)) if presumes else []
    if not (found or granted) or _SUPPOSED.search(bare):
        return
    if _ASKS.match(bare):
        found = []
    slots = {claim.slot for _, claim in found}
    yield from (claim for claim in granted if claim.slot not in slots)
    sure = 0.4 if _JOKE.search(bare) else 1.0
    for clause, claim in found:
        weak = sure * (0.5 if _LONG_AGO.search(clause) else 1.0)
        one = claim.exclusive and _ALSO.search(clause) is None
        yield replace(claim, confidence=claim.confidence * weak, exclusive=one)


def _clauses(sentence: str) -> list[str]:
    """The parts of a sentence, each of them short enough to read."""
    return [part.strip()[:_CLAUSE] for part in _COMMA.split(sentence) if part and part.strip()]


def _of_clause(clause: str, who: str, said_at: datetime | None, fixes: bool) -> Iterator[Claim]:
    fixed = _FIX.match(clause)
    fixes = fixes or (fixed is not None and _FIXES.search(fixed[0]) is not None)
    rest = clause[fixed.end() :] if fixed else clause
    if lead := _LEAD.match(rest):
        rest = rest[lead.end() :]
    if not rest:
        return
    found = list(rules.stated(rest, who, said_at))
    yield from found
    if fixes and not found:
        yield from rules.corrected(rest)
    elif not found:
        yield from rules.anaphoric(rest)
