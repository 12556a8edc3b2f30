"""A cache as the store was at an earlier time. What was forgotten since stays gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stepwell.contracts import ScopeRow, StoreReader
from stepwell.models import Key, Record
from stepwell.searching.caches import WORDS, ScopeCache
from stepwell.searching.dense import VECTORS

#: Where a change of the state stands in a row in the shape of `Entry`.
_STATE = (("status", 4), ("trust", 5), ("valid_from", 8), ("valid_to", 9))


def fill_as_known(
    cache: ScopeCache,
    reader: StoreReader,
    row: ScopeRow,
    limit: int,
    overlay: Mapping[int, Mapping[str, Any]],
    keys_of: Callable[[Record], Sequence[Key]] | None,
    space: str | None,
) -> None:
    """Fill an empty cache with what was stored by `limit` (in microseconds) and held then.

    `overlay` says how records that changed since were before. Keys of a text that was there then
    and is another one now are made again by `keys_of`; `space` is that of its vectors, if it makes
    some.
    """
    kept = _entries(cache, reader, row, limit, overlay)
    if not kept:
        return
    refs = {entry[0] for entry in kept}
    rewritten = {ref for ref in refs if "content" in overlay.get(ref, {})}
    same = refs - rewritten
    words = [k for k in reader.keys(row, WORDS, cache.words_space) if k[1] in same]
    stored = [] if space is None else reader.keys(row, VECTORS, space)
    vectors = [k for k in stored if k[1] in same]
    kid = max((k[0] for k in (*words, *vectors)), default=0)
    for ref in sorted(rewritten):
        record = reader.version(row, ref, overlay[ref]["content"])
        for key in keys_of(record) if record is not None and keys_of is not None else ():
            kid += 1
            first, last = key.span if key.span is not None else (None, None)
            if (key.channel, key.space) == (WORDS, cache.words_space):
                words.append((kid, ref, first, last, key.body))
            elif (key.channel, key.space) == (VECTORS, space):
                vectors.append((kid, ref, first, last, key.body))
    cache.rewritten = frozenset(rewritten)
    cache.load(kept, words, {} if space is None else {space: vectors})


def _entries(
    cache: ScopeCache,
    reader: StoreReader,
    row: ScopeRow,
    limit: int,
    overlay: Mapping[int, Mapping[str, Any]],
) -> list[tuple[Any, ...]]:
    """The entries of the records that are for this cache, in the state they had."""
    kept: list[tuple[Any, ...]] = []
    for entry in reader.entries(row):
        before = overlay.get(entry[0], {})
        fields = list(entry)
        for name, i in _STATE:
            if name in before:
                fields[i] = before[name]
        level, status, stored_at = fields[2], fields[4], fields[7]
        wanted = status in cache.flavour.statuses and (level == 0) is cache.flavour.episodes
        if wanted and stored_at <= limit:
            kept.append(tuple(fields))
    return kept
