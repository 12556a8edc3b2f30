"""Which keys a cache can take in."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from stepwell.models.records import MAX_NAME_CHARS, Key, storable


def usable(key: object, text: str) -> bool:
    """Whether caches can take a key of this text in: its body and its span are what they say."""
    if not isinstance(key, Key) or not _is_span(key.span, text):
        return False
    body: object = key.body
    names = (key.channel, key.space, *key.sources)
    if not (isinstance(body, bytes) and all(map(_is_name, names))):
        return False
    if key.channel == "words":
        return len(key.body) % 8 == 0
    if key.channel == "vectors":
        dim = key.space.rpartition("/")[2]
        fits = dim.isdecimal() and len(key.body) == 4 * int(dim)
        return fits and bool(np.isfinite(np.frombuffer(key.body, "<f4")).all())
    return True


def _is_span(span: Any, text: str) -> bool:
    """Whether a span is of this text, or of the whole of it."""
    if span is None:
        return True
    first, last = span
    return type(first) is int and type(last) is int and 0 <= first < last <= len(text)


@lru_cache(4096)
def _is_name(text: object) -> bool:
    """Whether a name may stand in a key. The names are few, and the keys many."""
    if not isinstance(text, str) or len(text) > MAX_NAME_CHARS:
        return False
    try:
        return bool(storable(text))
    except ValueError:
        return False
