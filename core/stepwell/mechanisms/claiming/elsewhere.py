"""Claims in German and Chinese: a few sure wordings of a home, a job, a date and a habit."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stepwell.mechanisms.claiming.claim import Claim
from stepwell.mechanisms.claiming.values import topic

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_UNSURE_ZH = re.compile(r"想|打算|如果|要是|可能|也许|希望|以前|曾经|小时候|听说|计划|会不会|说")
_LIVE_ZH = re.compile(r"我(?P<now>现在|目前)?(?:还)?住在(?P<v>[\u3400-\u9fff]{2,8})")
_MOVED_ZH = re.compile(
    r"我(?:已经|刚|最近|又|们)?(?:刚刚)?搬(?:家)?(?:到|去)了?(?P<v>[\u3400-\u9fff]{2,8}?)了?$"
)
_WORK_ZH = re.compile(r"(?:我)?(?P<now>现在|目前)?在(?P<v>[\u3400-\u9fff]{2,12}?)(?:工作|上班)$")
_NO_MORE_ZH = re.compile(r"我(?:已经)?(?:不再|再也不)(?P<v>[\u3400-\u9fff]{2,12}?)了?$")
_HABIT_ZH = re.compile(r"我(?:每天|经常|常|天天)?(?P<v>(?:喝|吃|抽|学|打|练)[\u3400-\u9fff]{1,6})$")
_AT_WORK_ZH = re.compile(r"在(?P<v>[\u3400-\u9fff]{2,12}?)(?:工作|上班)")

_PLACE = r"(?P<v>[A-ZÄÖÜ][\w-]+(?: [A-ZÄÖÜ][\w-]+)?)"
_NOW = r"(?: (?P<now>jetzt|nun|inzwischen|mittlerweile|seit \w+))?"
_LIVE_DE = re.compile(rf"[Ii]ch (?:wohne|lebe){_NOW}(?P<no> nicht mehr)? in {_PLACE}")
_MOVED_DE = re.compile(r"[Ii]ch bin (?:[\w.]+ ){0,3}?nach " + _PLACE + r" (?:gezogen|umgezogen)")
_WORK_DE = re.compile(
    rf"[Ii]ch arbeite{_NOW}(?P<no> nicht mehr)? (?P<how>bei|für|als) (?:der |dem |einer |einem )?{_PLACE}"
)
_WHEN_DE = r"(?:am|um) (?P<v>\w[\w.: ]{1,30}?)"
_IS_DE = re.compile(rf"(?:Der|Die|Das|Mein|Meine) (?P<s>\w+) (?:ist|war) {_NOW}? ?{_WHEN_DE}$")
_MOVED_TO_DE = re.compile(
    r"(?:Der|Die|Das|Mein|Meine) (?P<s>\w+) wurde (?:von \w+ )?auf (?P<v>[\w.: ]{1,30}?) "
    r"(?:verschoben|verlegt|vorgezogen)$"
)


def latin(text: str) -> bool:
    """Whether a text is not in Chinese or the like."""
    return _CJK.search(text) is None


def german(clause: str, who: str) -> Iterator[Claim]:
    """What a German clause claims."""
    if found := _MOVED_DE.match(clause):
        yield Claim(who, "home", found["v"], confidence=0.9, changed=True)
    elif found := _LIVE_DE.match(clause):
        yield Claim(who, "home", found["v"], holds=not found["no"], changed=bool(found["now"]))
    elif found := _WORK_DE.match(clause):
        attribute = "role" if found["how"] == "als" else "employer"
        holds, now = not found["no"], bool(found["now"])
        yield Claim(who, attribute, found["v"], holds=holds, changed=now)
    elif found := _MOVED_TO_DE.match(clause):
        yield Claim("", f"{topic(found['s'])}#date", found["v"], confidence=0.9, changed=True)
    elif found := _IS_DE.match(clause):
        yield Claim("", f"{topic(found['s'])}#date", found["v"], confidence=0.7)


def chinese(sentence: str, who: str) -> Iterator[Claim]:
    """What a Chinese sentence claims."""
    if _UNSURE_ZH.search(sentence):
        return
    for clause in re.split("[，、；,]", sentence[:600]):
        if found := _LIVE_ZH.match(clause):
            yield Claim(who, "home", found["v"], changed=bool(found["now"]))
        elif found := _MOVED_ZH.match(clause):
            yield Claim(who, "home", found["v"], confidence=0.9, changed=True)
        elif found := _NO_MORE_ZH.match(clause):
            work = _AT_WORK_ZH.match(found["v"])
            name, value = ("employer", work["v"]) if work else ("do", found["v"])
            yield Claim(who, name, value, holds=False, exclusive=False, changed=True)
        elif found := _WORK_ZH.match(clause):
            yield Claim(who, "employer", found["v"], changed=bool(found["now"]))
        elif found := _HABIT_ZH.match(clause):
            yield Claim(who, "do", found["v"], confidence=0.6, exclusive=False)
