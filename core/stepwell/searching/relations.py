"""Edges and vectors of many records at once, for policies that look at a whole level."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from stepwell.contracts import EdgeRow, FloatArray, ScopeRow, StoreReader
from stepwell.identity import id_text
from stepwell.models import Edge, EdgeKind
from stepwell.searching.dense import VECTORS, dim_of


def linked(
    reader: StoreReader, row: ScopeRow, record_ids: Sequence[str], known: Mapping[str, int],
    kind: EdgeKind, *, into: bool,
) -> dict[str, tuple[Edge, ...]]:  # fmt: skip
    """Edges of one kind out of each record, or into it; ids of no record are left out.

    `known` are refs of some of them.
    """
    refs: dict[str, int | None] = {name: known[name] for name in record_ids if name in known}
    refs |= reader.find(row, [name for name in record_ids if name not in known])
    names_of = {ref: name for name, ref in refs.items() if ref is not None}
    found = reader.links(row, list(names_of), kind, into=into)
    ends = {e.source for e in found} | {e.target for e in found}
    names = {entry[0]: id_text(entry[1]) for entry in reader.entries(row, sorted(ends))}
    made: dict[str, list[Edge]] = {name: [] for name in names_of.values()}
    for e in found:
        edge = Edge(
            source=names[e.source], kind=kind, target=names[e.target], weight=e.weight,
            label=e.label, sources=e.sources,
        )  # fmt: skip
        made[names_of[e.target if into else e.source]].append(edge)
    return {name: tuple(edges) for name, edges in made.items()}


def named(found: Iterable[EdgeRow], names: Mapping[int, str]) -> list[Edge]:
    """Edges between records whose ids are known."""
    return [
        Edge(source=names[e.source], kind=e.kind, target=names[e.target], weight=e.weight,
             label=e.label, sources=e.sources)
        for e in found if e.source in names and e.target in names
    ]  # fmt: skip


def mean_vectors(
    reader: StoreReader, row: ScopeRow | None, record_ids: Sequence[str], space: str | None
) -> FloatArray:
    """The normalised mean of each record's vectors in a space; zeros for one that has none."""
    if space is None:
        return np.zeros((len(record_ids), 0), np.float32)
    sums = np.zeros((len(record_ids), dim_of(space)), np.float32)
    if row is None:
        return sums
    places: dict[int, list[int]] = {}
    refs = reader.find(row, record_ids)
    for place, name in enumerate(record_ids):
        ref = refs.get(name)
        if ref is not None:
            places.setdefault(ref, []).append(place)
    for _, ref, _, _, body in reader.keys(row, VECTORS, space, list(places)):
        sums[places[ref]] += np.frombuffer(body, "<f4")
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    made: FloatArray = (sums / np.where(norms > 0, norms, 1)).astype(np.float32)
    return made
