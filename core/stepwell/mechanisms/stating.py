"""Which sentences of a text state something worth keeping, read from their wording alone."""

from __future__ import annotations

import re
from typing import Final

from stepwell.mechanisms.sentences import is_line, sentences
from stepwell.models import Sort

#: A sentence of less weight states nothing.
LEAST: Final = 0.3
#: Of a longer sentence the beginning is read.
_READ: Final = 1_000

_FIRST_PERSON = re.compile(
    r"\b(?:I|[Mm]y|[Ww]e|[Oo]ur|i|i'm|I'm|[Mm]ine|[Mm]yself)\b|[我俺咱]", re.ASCII
)
_NAME = re.compile(r"(?<=[\w,;:)'’\"”-] )(?!I\b)[A-Z][\w'’-]+")
_FIRST_NAME = re.compile(r"[A-Z][a-z]+(?:'s|’s)?(?: [A-Z][a-z]+)* (?:is|was|has|[a-z]+(?:s|ed))\b")
_NUMBER = re.compile(
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|dozen|hundred)\b"
    r"|[一二三四五六七八九十百千两]"
)
_WHEN = re.compile(
    r"\b(?:yesterday|today|tonight|tomorrow|ago|last|next|this (?:morning|week|month|year)"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march|april|may|june|july"
    r"|august|september|october|november|december|in (?:19|20)\d\d|since|recently|just)\b"
    r"|昨天|今天|明天|前天|上周|下周|去年|今年|明年|上个?月|下个?月|刚|以前|后来",
    re.IGNORECASE,
)
_PAST = re.compile(
    r"\b(?:was|were|did|had|went|got|met|saw|made|took|came|bought|told|said|left|found|began|ate"
    r"|gave|lost|won|ran|drove|flew|wrote|read|felt|thought|taught|broke|moved|\w{2,}ed)\b|[了过]",
    re.IGNORECASE,
)
_IS = re.compile(
    r"\b(?:am|is|are|isn't|aren't|'m|'s|'re|have|has|own|live|lives|work|works|like|likes|love"
    r"|loves|hate|hates|prefer|prefers|enjoy|enjoys|want|wants|need|needs|believe|believes|know"
    r"|knows|speak|speaks|called|named|favou?rite|allergic|always|usually|never|means)\b"
    r"|[是有住爱]|喜欢|讨厌|叫|想要|需要|认为|总是|从不",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"\b(?:not|never|no longer|cannot|nobody|nothing|without|\w+n['’]t|anymore|stopped|quit)\b"
    r"|[不没无别]",
    re.IGNORECASE,
)
_STEP = re.compile(
    r"\s*(?:(?:\d+[.)]|[-*•]|step \d+:?|first,?|then,?|next,?|finally,?|always|never|remember to"
    r"|please|(?:to|if|when) [^.,]{1,80},)\s+){0,2}"
    r"(?:use|run|open|click|add|set|install|call|check|write|read|put|press|start|stop|create"
    r"|delete|remove|copy|make sure|ensure|avoid|try|choose|select|enter|type|save|restart|mix|heat"
    r"|bake|stir|turn|go to|send|book|sort|keep|don't|do not|never|always|import|export|build|test"
    r"|deploy|commit|push|pull|merge|update|upgrade|configure|connect|wait|return|follow)\b"
    r"|\s*(?:首先|然后|接着|最后|请|第[一二三四五六七八九十]步|步骤)",
    re.IGNORECASE,
)
_HOW = re.compile(r"\bhow to\b|\bsteps? (?:to|for|is|are)\b|步骤|方法", re.IGNORECASE)
# What is said for politeness, and what assistants say around their answers.
_POLITE = re.compile(
    r"\W*(?:(?:hi|hey|hello|dear|good (?:morning|afternoon|evening|night|day)|thanks?|thank you"
    r"|thx|ok(?:ay)?|sure|yes|yeah|yep|no|nope|cool|great|nice|wow|awesome|perfect|got it|i see"
    r"|alright|bye|goodbye|see (?:you|ya)|take care|cheers|welcome|you(?:'|’)re welcome|no problem"
    r"|(?:that |it )?sounds \w+|congrat\w*|haha\w*|lol|of course|certainly|absolutely|sorry|please"
    r"|how are you|how(?:'|’)s it going|nice to (?:meet|see|hear)|long time no see"
    r"|你好|您好|谢谢|好的|再见|嗯|哈哈)(?:[\s,!.~]|\W|$)+)",
    re.IGNORECASE,
)
_FILLER = re.compile(
    r"\W*(?:i(?:'|’)?d be (?:happy|glad)|i(?:'|’)m (?:happy|glad|here) to|happy to help|let me know"
    r"|feel free|here(?:'|’)s (?:a|an|the|some|my)|here (?:is|are)|i hope (?:this|that|you)"
    r"|great question|that(?:'|’)s (?:great|awesome|amazing|wonderful|cool|nice)|i(?:'|’)m an? "
    r"(?:ai|language model)|as an ai|is there anything)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")
_IDEOGRAPH = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
_ASKS = ("?", "？", "吗", "呢")
_CODE = re.compile(r"[{};=<>|\\]|\w\(|::|->|^\s*(?:\.|#!|@)")


def polite(sentence: str) -> bool:
    """Whether nothing is said but what is said for politeness, or around an answer."""
    seen = sentence[:_READ]
    if _FILLER.match(seen):
        return True
    greeting = _POLITE.match(seen)
    if greeting is None:
        return False
    left = seen[greeting.end() :] if greeting.end() < len(seen) else ""
    return _size(left) <= 3 and not _NUMBER.search(left) and not _IS.search(left)


def weight(sentence: str) -> float:
    """How much a sentence states, in [0, 1]: names, numbers, times, the first person, negation."""
    seen = sentence[:_READ]
    size = _size(seen)
    if size < 2 or polite(seen):
        return 0.0
    person = _FIRST_PERSON.search(seen) is not None
    named = _NAME.search(seen) is not None or _FIRST_NAME.match(seen) is not None
    told = 0.3 * person + 0.3 * named + 0.2 * bool(_NUMBER.search(seen))
    told += 0.15 * bool(_WHEN.search(seen)) + 0.15 * bool(_NOT.search(seen))
    told += 0.1 * bool(_IS.search(seen) or _PAST.search(seen))
    if _STEP.match(seen) or _HOW.search(seen):
        told += 0.3
    if size < 3:
        told *= 0.7
    if seen.rstrip().endswith(_ASKS):
        told *= 0.3
    return round(min(1.0, told), 4)


def sort_of(sentence: str) -> Sort:
    """What sort of knowledge a sentence is: of what happened, what is so, or how it is done."""
    seen = sentence[:_READ]
    if _STEP.match(seen) or _HOW.search(seen):
        return Sort.PROCEDURAL
    past = _PAST.search(seen)
    if past is not None and (_WHEN.search(seen) or not _IS.search(seen)):
        return Sort.EPISODIC
    return Sort.SEMANTIC


def statements(text: str, least: float = LEAST) -> list[tuple[int, int, Sort, float]]:
    """The sentences of a text that state something: span, sort, and weight in (0, 1]; in order.

    No questions that only ask, nothing said for politeness, no lines of code or of logs.
    """
    found: list[tuple[int, int, Sort, float]] = []
    for first, last in sentences(text):
        sentence = text[first : min(last, first + _READ)]
        told = weight(sentence)
        if told >= least and not is_line(sentence) and not _is_code(sentence):
            found.append((first, last, sort_of(sentence), told))
    return found


def _is_code(sentence: str) -> bool:
    return len(_CODE.findall(sentence)) * 12 > len(sentence)


def _size(text: str) -> int:
    """How many words, two ideographs being one."""
    return len(_WORD.findall(text)) + len(_IDEOGRAPH.findall(text)) // 2
