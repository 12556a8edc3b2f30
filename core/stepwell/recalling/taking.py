"""What is taken of the answers that policies give, and how hits of several rounds become one.

Each of these is a check of an answer (see `plugins`): it returns what may be relied on, and raises
Unfit, or whatever it comes upon, where nothing can be made of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np

from stepwell.contracts import STATUS_CODES, Block, Candidates, Packing, Plan, Query
from stepwell.filters import Filter
from stepwell.models import Hit, LeftOut, Record, storable
from stepwell.plugins import Unfit
from stepwell.searching import ScopeView, Side


def planned(answer: object, asked: Query) -> Plan:
    """A plan for this question: whom it is for, how much of it, and what is trusted, stays."""
    if not isinstance(answer, Plan):
        raise Unfit("no Plan")
    query: object = answer.query
    if not isinstance(query, Query):
        raise Unfit("a plan of no Query")
    if query is not asked:
        levels, where = query.levels, asked.where if query.where is None else query.where
        if not (_are(levels, int) and all(0 <= level <= 100 for level in levels)):
            raise Unfit("levels that are no whole numbers from 0 to 100")
        if not (where is None or isinstance(where, Filter)):
            raise Unfit("a filter that is none")
        query = replace(asked, text=storable(query.text), levels=levels, where=where)
    flaw = _flaw(answer)
    if flaw:
        raise Unfit(flaw)
    return answer if query is answer.query else replace(answer, query=query)


def _flaw(plan: Plan) -> str:
    """What is wrong with a plan beside its query."""
    texts = (*plan.queries, *plan.parts, plan.role or "", plan.task or "")
    look: object = plan.look
    if not (_are(texts, str) and all(storable(text) == text for text in texts)):
        return "queries or parts that are no texts"
    if not (_are(plan.weights, str) and all(map(_number, plan.weights.values()))):
        return "weights that are no finite numbers by channel"
    if not (_are(plan.instead, str) and _are(plan.instead.values(), str)):
        return "channels in place of others that are no names"
    if not all(_is_span(span) for span in plan.spans):
        return "times that are no pairs, timezone-aware and in order"
    if not (look is None or (isinstance(look, int) and look >= 0)):
        return "a number of hits to look at that is none"
    return "" if _number(plan.spread) else "a spread that is no number"


def _is_span(span: tuple[datetime, datetime]) -> bool:
    begin, end = span
    return begin.tzinfo is not None and end.tzinfo is not None and begin <= end


def candidates(answer: object, side: Side, view: ScopeView) -> list[Candidates]:
    """What a search policy has found on one side. Pairs of id and score have no channel's name."""
    if isinstance(answer, Candidates):
        answer = [answer]
    if isinstance(answer, Mapping):
        answer = list(answer.items())
    if not isinstance(answer, (list, tuple)):
        raise Unfit("no candidates")
    if answer and all(isinstance(a, Candidates) for a in answer):
        return [_sound(a, len(side)) for a in answer]
    found: dict[int, float] = {}
    for name, score in answer:
        place = view.place_of_id(side, name)
        if place is None or not _number(score):
            raise Unfit("no candidates of this scope")
        found[place] = score
    places, scores = np.array(list(found), np.int64), np.array(list(found.values()), np.float32)
    return [_ascending(Candidates("", places, np.clip(scores, 0, 1)))]


def _sound(c: Candidates, size: int) -> Candidates:
    places, scores = np.asarray(c.places), np.asarray(c.scores, np.float32)
    spans = None if c.spans is None else np.asarray(c.spans, np.int64)
    channel: object = c.channel
    if not isinstance(channel, str) or places.ndim != 1 or places.shape != scores.shape:
        raise Unfit("candidates of which not each has a score")
    if spans is not None and spans.shape != (len(places), 2):
        raise Unfit("candidates of which not each has a span")
    if not len(places):
        return Candidates(channel, places.astype(np.int64), scores, spans)
    if places.dtype.kind not in "iu" or int(places.min()) < 0 or int(places.max()) >= size:
        raise Unfit("no candidates of this scope")
    # Not a number is neither at least 0 nor at most 1.
    if not (scores.min() >= 0 and scores.max() <= np.float32(1.000001)):
        raise Unfit("scores that are not from 0 to 1")
    return _ascending(Candidates(channel, np.asarray(places, np.int64), scores, spans))


def _ascending(c: Candidates) -> Candidates:
    """The same answer by place, as the view's own are; of a place named twice the better score."""
    places, scores = c.places, c.scores
    if bool((np.diff(places) > 0).all()):
        return c
    order = np.lexsort((-scores, places))
    order = order[np.append(True, np.diff(places[order]) > 0)]
    spans = None if c.spans is None else c.spans[order]
    return Candidates(c.channel, places[order], scores[order], spans)


def refined(answer: object, offered: dict[str, Hit], view: ScopeView) -> tuple[Hit, ...]:
    """Hits of this scope, each once, with the text that the store holds. `offered` learns them."""
    if not isinstance(answer, (list, tuple)) or not all(isinstance(hit, Hit) for hit in answer):
        raise Unfit("no hits")
    kept: dict[str, Hit] = {}
    named: set[str] = set()
    for hit in answer:
        name = hit.record.id
        if name in kept:
            continue
        known = offered.get(name)
        if known is not None and known is hit:
            kept[name] = known
            continue
        held = view.get(name) if known is None else known.record
        if held is None or held.id != name or hit.record.scope != view.scope:
            raise Unfit("a record that this scope does not hold")
        if STATUS_CODES[held.status] not in view.statuses:
            continue  # hidden, say: a policy that follows edges need not know
        if known is None or hit.sources != known.sources:
            named.update(_strings(hit.sources))
        kept[name] = _as_held(hit, held, min(1.0, max(0.0, _score(hit))))
    _ours(named, view)
    offered.update(kept)
    return tuple(kept.values())


def _as_held(hit: Hit, held: Record, score: float) -> Hit:
    """A hit with the record that the store holds, and a span and reasons that fit it."""
    span: Any = hit.span
    if span is not None:
        begin, end = span
        if not (isinstance(begin, int) and isinstance(end, int) and 0 <= begin <= end):
            raise Unfit("a span that is none")
        span = None if begin >= len(held.text) else (begin, min(end, len(held.text)))
    why: object = hit.why
    if not (isinstance(why, dict) and _are(why, str) and all(map(_number, why.values()))):
        raise Unfit("reasons that are no numbers by name")
    if hit.record is held and hit.score == score and hit.span == span:
        return hit
    return replace(hit, record=held, score=score, span=span)


def _score(hit: Hit) -> float:
    if not _number(hit.score):
        raise Unfit("a score that is no number")
    return float(hit.score)


def _ours(names: set[str], view: ScopeView) -> None:
    """Refuse turns that a hit says it rests on, and the scope does not hold."""
    row = view.row
    if names and (row is None or len(view.reader.find(row, sorted(names))) < len(names)):
        raise Unfit("hits that rest on turns which this scope does not hold")


def packed(answer: object, hits: Sequence[Hit]) -> Packing:
    """A packing of these hits only, with the records that were offered."""
    if not isinstance(answer, Packing):
        raise Unfit("no Packing")
    offered = {hit.record.id: hit for hit in hits}
    if not (_are(answer.blocks, Block) and _are(answer.left_out, LeftOut)):
        raise Unfit("no blocks")
    if not {out.record_id for out in answer.left_out} <= offered.keys():
        raise Unfit("what is left out was not offered")
    return replace(answer, blocks=tuple(_block(block, offered) for block in answer.blocks))


def _block(block: Block, offered: Mapping[str, Hit]) -> Block:
    hit, given = block.hit, offered.get(block.hit.record.id)
    if given is None or given.record is not hit.record:
        raise Unfit("a block of a record that was not offered")
    if block.text is not None:
        storable(block.text)
    hit = _as_held(hit, given.record, _score(hit))
    if hit.sources != given.sources:
        hit = replace(hit, sources=given.sources)
    return block if hit is block.hit else replace(block, hit=hit)


def _number(value: object) -> bool:
    """Whether it is a finite number, of Python's or numpy's."""
    return isinstance(value, (int, float, np.number)) and math.isfinite(value)


def _are(values: Any, kind: type) -> bool:
    """Whether all of several things are of one kind."""
    return all(isinstance(value, kind) for value in values)


def _strings(values: object) -> tuple[str, ...]:
    if not (isinstance(values, tuple) and _are(values, str)):
        raise Unfit("hits that rest on what are no turns")
    return values


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
