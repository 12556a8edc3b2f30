"""What a host's messages hold beside their text, as something that a turn can keep."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

#: Characters of a text, and of a name, that a turn surely holds.
TEXT: Final = 2_000_000
NAME: Final = 512
#: Bytes of data that fit a payload.
_FITS: Final = 1_000_000
#: Where data does not fit: how much is kept of a text, in characters, and of a list, in parts.
_CUT: Final = 1_000
_PARTS: Final = 20
#: How deep a payload may be.
_DEEP: Final = 40


def usable(text: str) -> str:
    """A text without what no UTF-8 text can hold."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def usable_name(given: str | None) -> str | None:
    """A name that a turn can hold; None for none."""
    return usable(given)[:NAME] or None if given else None


def plain(value: Any, deep: int = 0) -> Any:
    """A value as JSON that can be stored."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if deep < _DEEP and isinstance(value, Mapping):
        return {usable(str(key)): plain(each, deep + 1) for key, each in value.items()}
    if deep < _DEEP and isinstance(value, (list, tuple)):
        return [plain(each, deep + 1) for each in value]
    return usable(str(value))


def cut(value: Any) -> Any:
    """The same without its longest texts, and of the longest lists only the beginning."""
    if isinstance(value, str):
        left = len(value) - _CUT
        return value if left <= 0 else f"{value[:_CUT]}… [{left} characters left out]"
    if isinstance(value, dict):
        return {key: cut(each) for key, each in list(value.items())[:_PARTS]}
    return [cut(each) for each in value[:_PARTS]] if isinstance(value, list) else value


def fitting(
    data: dict[str, Any], ways: Iterable[Callable[[dict[str, Any]], dict[str, Any]]]
) -> dict[str, Any]:
    """Data as it is, or the first of some ways to shorten it that fits a payload; else none."""
    for way in (dict, *ways):
        made: dict[str, Any] = way(data)
        if len(json.dumps(made, ensure_ascii=False).encode()) <= _FITS:
            return made
    return {}
