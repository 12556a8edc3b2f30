"""Which vectors of a file come from embedders that it has left."""

from __future__ import annotations

import json
from collections.abc import Iterable

from stepwell.contracts import DUE, EMBEDDER, FORMER, PAST, SLOW, StoreReader, StoreWriter
from stepwell.models import Key


def left_spaces(reader: StoreReader) -> set[str]:
    """The spaces of a file's earlier embedders, but for those in which plugins key later."""
    past = reader.meta(PAST)
    if past is None:
        return set()
    return set(json.loads(past)) - set(json.loads(reader.meta(SLOW) or "{}").values())


def outdated(writer: StoreWriter, keys: Iterable[Key]) -> bool:
    """Whether keys come from an embedder that the file has left since; then that is noted."""
    past = left_spaces(writer)
    late = {key.space for key in keys if key.channel == "vectors"} & past if past else set()
    if late:
        former = json.loads(writer.meta(FORMER) or "{}")
        former |= {space: former.get(space, 0) + 1 for space in late}
        writer.set_meta(FORMER, json.dumps(former, sort_keys=True))
    return bool(late)


def unkeyed(writer: StoreWriter) -> None:
    """Note that something was stored by words alone, if the file has an embedder."""
    if writer.meta(EMBEDDER) is not None and writer.meta(DUE) != "1":
        writer.set_meta(DUE, "1")


def unseen(writer: StoreWriter) -> None:
    """Note that plugins which key later, and are not here, have not seen something.

    Their spaces stay noted, under names that none of them has.
    """
    seen = writer.meta(SLOW)
    if seen is not None and not seen.startswith('{"?'):
        away = {f"?{name}": space for name, space in json.loads(seen).items()}
        writer.set_meta(SLOW, json.dumps(away, sort_keys=True))
