"""What is taken of the answers that policies give, and how hits of several rounds become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from stepwell.contracts import Block, Packing
from stepwell.models import Hit, LeftOut, Record


def is_packing(answer: object, hits: Sequence[Hit]) -> bool:
    """Whether it packs these hits only, with the records that were offered."""
    if not isinstance(answer, Packing):
        return False
    offered = {hit.record.id: hit.record for hit in hits}
    shown = all(_shows(block, offered) for block in answer.blocks)
    return shown and all(isinstance(out, LeftOut) for out in answer.left_out)


def _shows(block: object, offered: Mapping[str, Record]) -> bool:
    hit: object = block.hit if isinstance(block, Block) else None
    return isinstance(hit, Hit) and offered.get(hit.record.id) is hit.record


def merged(hits: list[Hit], found: list[Hit]) -> list[Hit]:
    """Hits of this round and of those before, each record once with its better score."""
    best: dict[str, Hit] = {}
    for hit in (*hits, *found):
        held = best.get(hit.record.id)
        if held is None or hit.score > held.score:
            best[hit.record.id] = hit
    if not found and len(best) == len(hits):
        return hits if _sorted(hits) else sorted(hits, key=lambda h: -h.score)
    return sorted(best.values(), key=lambda h: -h.score)


def _sorted(hits: list[Hit]) -> bool:
    return all(a.score >= b.score for a, b in pairwise(hits))
