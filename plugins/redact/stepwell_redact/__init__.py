"""Takes personal data and secrets out of turns before they are stored.

Caught, and replaced by a tag, in the text, action, observation, captions and payload of a turn:

- `[key]`    keys of AWS, GitHub, GitLab, Slack, Stripe, OpenAI, Anthropic, Google and Hugging Face,
             JSON web tokens, bearer tokens, PEM private keys
- `[email]`  e-mail addresses in Latin, Greek and Cyrillic letters
- `[iban]`   bank accounts, if their check digits are right
- `[card]`   payment cards, if issuer, length and check digit are right
- `[phone]`  numbers after a `+`; those with a trunk `0`, and North American ones, if written in
             groups; digits without any mark only after a word such as "phone" or "手机号"

Not caught: names, postal addresses, birthdays, passwords and whatever else has no form of its own;
what is spelled out, encoded, or split over two turns. Left as they are: what turns are found by
(id, actor, session, task), the references of attachments, the names in a payload.

Every pattern takes time linear in the text, whatever the text is.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pydantic import JsonValue

from stepwell import Turn, hookimpl

#: What it is called, however it is given.
name = "redact"

_ISSUER = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}"
    r"|(?:35|6[245])\d{14}|6011\d{12}|62\d{15,17}"
)
_LETTER = r"0-9A-Za-z\u00C0-\u058F"


def _is_iban(text: str) -> bool:
    moved = text[4:] + text[:4]
    return len(text) >= 15 and int("".join(str(int(char, 36)) for char in moved)) % 97 == 1


def _is_card(text: str) -> bool:
    if not _ISSUER.fullmatch(text):
        return False
    digits = [int(digit) for digit in reversed(text)]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _is_trunk_number(text: str) -> bool:
    return 9 <= sum(map(str.isdigit, text)) <= 12


class _Rule(NamedTuple):
    """The part named `it` of what the pattern finds becomes the tag, if `holds` does not object."""

    tag: str
    pattern: re.Pattern[str]
    holds: Callable[[str], bool] | None


def _rule(tag: str, pattern: str, holds: Callable[[str], bool] | None = None) -> _Rule:
    return _Rule(tag, re.compile(pattern, re.ASCII | re.VERBOSE), holds)


# What keeps them linear: every repetition is bounded, or possessive (`++`) and begun only after a
# fixed opening, or where the character before could not be part of it.
_RULES = (
    _rule(
        "[key]",
        r"""(?P<it> -----BEGIN[ ] [A-Z ]{0,30} PRIVATE[ ]KEY (?:[ ]BLOCK)? -----
            [^-]*+ (?:-(?!----) [^-]*+)*+
            -----END[ ] [A-Z ]{0,30} PRIVATE[ ]KEY (?:[ ]BLOCK)? -----)""",
    ),
    _rule("[key]", r"\b[Bb]earer [ ]++ (?P<it> (?=[a-zA-Z_.~+/-]{0,64}\d) [\w.~+/-]{16,}+ =*+)"),
    _rule(
        "[key]",
        r"""(?<![\w-]) (?P<it>
            (?:AKIA|ASIA) [0-9A-Z]{16} (?!\w)                         # AWS
            | gh[opsur]_ \w{36,}+ | github_pat_ \w{22,}+ | glpat- [\w-]{20,}+
            | xox[a-z]- [\w-]{10,}+ | xapp- [\w-]{10,}+               # Slack
            | [rs]k_(?:live|test)_ \w{16,}+                           # Stripe
            | sk- (?=[\w-]{0,40}\d) [\w-]{20,}+                       # OpenAI, Anthropic
            | AIza [\w-]{35,}+                                        # Google
            | hf_ \w{30,}+                                            # Hugging Face
            | eyJ [\w-]{8,}+ \.eyJ [\w-]{8,}+ (?:\.[\w-]*+)?          # a JSON web token
        )""",
    ),
    _rule(
        "[email]",
        rf"""(?<![{_LETTER}.%+_-]) (?P<it> [{_LETTER}.%+_-]++ (?:'[{_LETTER}.%+_-]++){{0,2}}+
            @ (?:[{_LETTER}_-]++\.){{1,20}} [A-Za-z\u00C0-\u058F]{{2,}}+)""",
    ),
    _rule(
        "[iban]",
        r"""(?<!\w) (?P<it> [A-Z]{2}\d\d
            (?:[0-9A-Z]{11,30} | (?:[ ][0-9A-Z]{4}){2,7} (?:[ ][0-9A-Z]{1,4})?)) (?!\w)""",
        _is_iban,
    ),
    _rule(
        "[card]",
        r"""(?<![\w.]) (?P<it> \d{13,19}
            | (?:\d{4}[ -]){3} \d{4} (?:[ -]\d{3})? | \d{4}[ -]\d{6}[ -]\d{4,5}) (?!\w|\.\d)""",
        _is_card,
    ),
    _rule(  # +12125550100, +1 (212) 555-0100, +44 20 7946 0958; but not a number, as +12.345678 is
        "[phone]",
        r"""(?<![\w+]) (?P<it> \+ (?! \d{1,3}\.\d++ (?![ ./()-]?\d))
            (?:[1-9]\d{7,14} | 1(?:[ ./-]?\(?\d\)?){10} | [1-9](?:[ ./-]?\(?\d\)?){7,14}))
            (?!\w)""",
    ),
    _rule(  # 212-555-0100, (212) 555-0100, 1 212 555 0100
        "[phone]",
        r"""(?<![\w.+-]) (?P<it> (?:1[ .-])? (?:\([2-9]\d\d\)[ ]?|[2-9]\d\d[ .-])
            [2-9]\d\d [ .-] \d{4}) (?![\w-]|\.\d)""",
    ),
    _rule(  # 020 7946 0958, (020) 7946 0958, 06-12-34-56-78
        "[phone]",
        r"""(?<![\w.+-]) (?P<it> \(0\d{1,4}\)[ ]? \d{2,8} (?:[ -]\d{2,4}){0,3}
            | 0\d{1,4} (?P<gap>[ ./-]) \d{2,8} (?:(?P=gap)\d{2,4}){0,4}) (?![\w:-]|\.\d)""",
        _is_trunk_number,
    ),
    _rule(
        "[phone]",
        r"""(?:(?<!\w)(?i:(?:tele)?phone|mobile|cell|tel|fax|whatsapp)(?:[ ](?:number|no|nr))?
            |电话|手机) (?:号码|号)?\.? (?:[ ]is|是)? [:=:]? [ ]?
            (?P<it> \d (?:[ .-]?\d){6,14}+) (?!\w)""",
    ),
)


def redact(text: str) -> str:
    """Return the text with a tag in the place of whatever a rule finds."""
    for rule in _RULES:
        text = _apply(rule, text)
    return text


def _apply(rule: _Rule, text: str) -> str:
    pieces: list[str] = []
    done = at = 0
    while found := rule.pattern.search(text, at):
        start, end = found.span("it")
        # A group that merely follows ("4111 1111 1111 1111 123") is shed, from the right.
        while rule.holds and start < end:
            if rule.holds(text[start:end].replace(" ", "").replace("-", "")):
                break
            end = max(start, text.rfind(" ", start, end), text.rfind("-", start, end))
        if start == end:
            at = found.start() + 1
        else:
            pieces += text[done:start], rule.tag
            done = at = end
    return "".join(pieces) + text[done:]


def _redact_json(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, int) and not isinstance(value, bool):
        told = redact(str(value))  # the number of a card
        return value if told == str(value) else told
    if isinstance(value, list):
        return [_redact_json(item) for item in value]
    if isinstance(value, dict):
        return {name: _redact_json(item) for name, item in value.items()}
    return value


def _redact_turn(turn: Turn) -> Turn:
    return turn.model_copy(
        update={
            "text": redact(turn.text),
            "action": turn.action and redact(turn.action),
            "observation": turn.observation and redact(turn.observation),
            "attachments": tuple(
                attachment.model_copy(update={"caption": redact(attachment.caption)})
                for attachment in turn.attachments
            ),
            "payload": _redact_json(turn.payload),
        }
    )


@hookimpl
def screen_turns(turns: Sequence[Turn]) -> list[Turn]:
    """Hand on the turns, redacted. A hook names only those of its arguments that it uses."""
    return [_redact_turn(turn) for turn in turns]
