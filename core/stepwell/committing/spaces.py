"""Which vectors of a file come from embedders that it has left."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar

from stepwell.contracts import DUE, EMBEDDER, FORMER, PAST, SLOW, StoreReader, StoreWriter
from stepwell.errors import StoreDamaged
from stepwell.models import Key

T = TypeVar("T", dict[str, Any], list[str])


def noted(reader: StoreReader, name: str) -> dict[str, Any]:
    """What a file has noted under a name, as a mapping. Raises StoreDamaged."""
    return _noted(reader, name, {})


def listed(reader: StoreReader, name: str) -> list[str]:
    """What a file has noted under a name, as a list of texts. Raises StoreDamaged."""
    return _noted(reader, name, [])


def _noted(reader: StoreReader, name: str, default: T) -> T:
    said = reader.meta(name)
    try:
        held = default if said is None else json.loads(said)
    except (ValueError, RecursionError):
        held = None
    texts = isinstance(held, dict | list) and all(isinstance(each, str) for each in held)
    if not texts or not isinstance(held, type(default)):
        raise StoreDamaged(f"what the file says of its {name} cannot be read")
    return held


def left_spaces(reader: StoreReader) -> set[str]:
    """The spaces of a file's earlier embedders, but for those in which plugins key later."""
    past = set(listed(reader, PAST))
    return past - set(map(str, noted(reader, SLOW).values())) if past else past


def outdated(writer: StoreWriter, keys: Iterable[Key]) -> bool:
    """Whether keys come from an embedder that the file has left since; then that is noted."""
    past = left_spaces(writer)
    late = {key.space for key in keys if key.channel == "vectors"} & past if past else set()
    if late:
        former = noted(writer, FORMER)
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
        away = {f"?{name}": space for name, space in noted(writer, SLOW).items()}
        writer.set_meta(SLOW, json.dumps(away, sort_keys=True))
