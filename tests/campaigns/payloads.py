"""Texts that somewhere meant more than themselves, made by a grammar of their own.

The shapes are those of attacks that have happened to stores like this one: through keys of filters
(CVE-2025-67644), through operators (CVE-2025-8709), through names that became filter strings, and
through keys of JSON that became objects (CVE-2025-68664); beside them whatever a shell, a template,
a pattern, a path, a full-text query or a terminal reads as an instruction.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

_QUOTES = (
    "'", '"', "`", "''", "\\'", "')", '")', "']", "$$", "´", "\u2019", "\uff07",
)  # fmt: skip
_ALWAYS = (
    "OR '1'='1", "OR 1=1", "or true or", "|| 1", "UNION SELECT text FROM contents", "AND 0",
    "OR scope LIKE '/%", "; DROP TABLE records", "; ATTACH 'x' AS y", "; PRAGMA x=1",
    "UNION ALL SELECT NULL,NULL,NULL", "HAVING 1", "OR EXISTS(SELECT 1)",
)  # fmt: skip
_ENDS = (
    "", " --", " #", "/*", " -- \n", "*/", ";", "\x00", "\n", "\r\n", " \u2028", ")", "'",
)  # fmt: skip
_OPERATORS = (
    "NEAR(a b, 5)", "a AND b", "NOT a", "a*", "^a", '"a b"', "text:a", "{text}: a", "a + b", "-a",
    "(a", "a)", "OR", "NEAR", "a OR b", "a^2", "+a", "~a", "a:b:c",
)  # fmt: skip
_PATHS = (
    "$.a", "$", "$.*", "$..a", "$[0]", "$[#-1]", "$.\"a\"", "a.b.c", "a'.b", "$.a') = 1 OR ('1",
    "x') OR '1'='1", "a\\\".b", "payload.a", "$.a.b\n", "a\n", ".a", "a.", "a..b",
)  # fmt: skip
_WILD = (
    "%", "_", "*", "?", "a%", "%a%", "[a-z]", "\\%", "%%", "a_c", "**/*", "{a,b}", "!(a)",
)  # fmt: skip
_FILES = (
    "../../etc/passwd", "..", ".", "/", "//", "/etc/passwd", "C:\\x", "a/../b", "%2e%2e%2f",
    "file:///etc/passwd", "~/.ssh", "\\\\host\\x", "a\x00.db", "CON", "x.db?mode=memory", "x#y",
    "stepwell+sqlite:///x?scope=a", "a/b", "a%2Fb", "?scope=b", "&scope=b",
)  # fmt: skip
_TEMPLATES = (
    "{}", "{0}", "{0.__class__.__mro__}", "%s", "%n%n", "%(x)s", "${jndi:ldap://x}", "$(id)",
    "{{7*7}}", "{% raw %}", "<%= 1 %>", "#{1}", "`id`", "__import__('os')", "$HOME", "!x",
    '{"$ne": null}', '{"lc": 1}', "{'$gt': ''}", "$where", "$ne", "$eq", "__class__", "__proto__",
    "constructor", '{"__class__": "os"}', "!!python/object:os",
)  # fmt: skip
_SCRIPTS = (
    "\u202e", "\u2066", "\u200b", "\ufeff", "\u00ad", "\u200f", "\u0301", "e\u0301", "é", "ß",
    "\u0430", "ａ", "İ", "ı", "𝒶", "🏳️‍🌈", "\u0378", "\ufdd0", "\U0010ffff", "א", "ع", "你好", "㍿",
    "ǆ", "\u1e9e", "\u0345", "\u3000", "\u00a0", "\u2003", "\u180e", "\x85",
)  # fmt: skip
_BROKEN = (
    "\ud800", "\udc00a", "a\udfff", "\ud83d", "\x00", "a\x00b", "\x1b[31m", "\x07", "\x08",
    "\x7f", "\x9b31m", "\r", "\n", "\t", "\x1f", " ", "  ", "",
)  # fmt: skip
_NUMBERS = (
    "0", "-1", "1e999", "NaN", "null", "NULL", "None", "true", "undefined", "9" * 400, "0x41",
    "1_000", "٣", "²", "Infinity", "1;2", "r_", "r_0", "r_" + "0" * 32, "R_" + "0" * 32,
)  # fmt: skip
_BOMBS = (
    "a" * 5000, "a" * 30 + "!", "(a+)+$" * 20, "((((((((((" * 60, "[" * 3000, "{" * 3000,
    "\\" * 999, "a." * 2000, "x=" * 3000, "a@" * 3000, "1.1." * 2000, "\u0301" * 2000, "'" * 4001,
    " " * 5000, "last week " * 400, "said by " * 400, "-" * 5000, "0:" * 2000, "a\n" * 2000,
    "%" * 3000, "9" * 5000, "é" * 3000, "\u200b" * 3000, "and " * 1500,
)  # fmt: skip


def _sql(draw: random.Random) -> str:
    """A quote, what holds for all rows, and an end."""
    before = draw.choice(("", "x", "1", "admin"))
    return f"{before}{draw.choice(_QUOTES)} {draw.choice(_ALWAYS)}{draw.choice(_ENDS)}"


def _mixed(draw: random.Random) -> str:
    """Pieces of all kinds beside each other."""
    return draw.choice(("", " ", ".", "/")).join(
        draw.choice(draw.choice(_LISTS)) for _ in range(draw.randrange(2, 5))
    )


def _around(draw: random.Random) -> str:
    """A plain word with something before, behind or within it."""
    mark = draw.choice(draw.choice((_QUOTES, _ENDS, _WILD, _SCRIPTS, _BROKEN)))
    return draw.choice((f"{mark}ferry", f"ferry{mark}", f"fer{mark}ry", f"{mark}ferry{mark}"))


_LISTS = (
    _OPERATORS,
    _PATHS,
    _WILD,
    _FILES,
    _TEMPLATES,
    _SCRIPTS,
    _BROKEN,
    _NUMBERS,
    _QUOTES,
    _ALWAYS,
)
_MAKERS: tuple[Callable[[random.Random], str], ...] = (_sql, _sql, _mixed, _mixed, _around)


def payloads(count: int, seed: int) -> Iterator[str]:
    """So many different texts: every single piece as far as they go, then what is made of them."""
    draw = random.Random(seed)
    pieces = [piece for some in (*_LISTS, _BOMBS) for piece in some]
    draw.shuffle(pieces)
    known: set[str] = set()
    for text in pieces[: count * 2 // 3]:
        if text not in known:
            known.add(text)
            yield text
    while len(known) < count:
        text = draw.choice(_MAKERS)(draw)
        if text not in known:
            known.add(text)
            yield text
