"""Choosing what to show within a budget of tokens, and writing it out so that the budget holds.

`pack_flat` chooses, to the token with the default counter. `fit` writes out any packing, a
plugin's too, counts the result, and drops what has the lowest score until it fits.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final

from stepwell.contracts import Block, Counter, Packing
from stepwell.fencing import (
    STAND_IN,
    Quote,
    count_tokens,
    frame_cost,
    header_cost,
    quote_cost,
    render,
    unused,
)  # fmt: skip
from stepwell.models import Hit, Kind, LeftOut, Origin, Record, aware

#: Tokens, fence included, from which a whole record is long. Only long ones are ever cut.
LONG: Final = 128
#: Tokens that an excerpt may always take, if there is room; of more room it takes a third.
EXCERPT: Final = 64
#: Tokens below which an excerpt says too little to be worth its place.
LEAST: Final = 24

# Where a text may be cut: after a word and what clings to it. Scripts without spaces: after a
# clause.
_WORD = re.compile(r"[^\s，。；！？、]+[，。；！？、]*|[，。；！？、]+")


def pack_flat(
    hits: Sequence[Hit],
    budget: int,
    *,
    density: float = 0.0,
    count: Counter = count_tokens,
    arrival: Callable[[str], int | None] | None = None,
    nonce: str = STAND_IN,
) -> Packing:
    """The hits that fit, taken best first, shown in order of time.

    Best first is as given; with a `density`, by score for the cost: score / (tokens + 8) **
    density, equal ones as given. By score alone a few long records take the room of many short
    ones; by cost alone short ones that say nothing come first.

    A hit that does not fit is passed over for the next. Only a long record, or a found span, is
    then cut to an excerpt: words from the beginning of what was found; its hit carries the span. A
    text that is shown already, by the same actor, is left out as "duplicate", everything else as
    "budget". Time is `said_at`, else `stored_at`; of one moment, what has no `said_at` comes last,
    then `arrival` (a record's place in order of arrival, as `View.place` tells it) decides, or
    without it `stored_at` and the id.
    """
    shelf = _Shelf(budget, nonce, count)
    seen: set[tuple[str | None, str]] = set()
    left = []
    for number, (block, quote, cost) in enumerate(_offers(hits, shelf, density)):
        hit = block.hit
        same = (quote.actor, quote.text)
        if same in seen:
            left.append(LeftOut(hit.record.id, hit.score, cost, "duplicate"))
            continue
        key = (*_moment(hit.record, arrival), number)
        if shelf.add(key, block, quote, cost) or _add_excerpt(shelf, key, hit, quote, cost):
            seen.add(same)
        else:
            left.append(LeftOut(hit.record.id, hit.score, cost, "budget"))
    return Packing(tuple(shelf.blocks), tuple(left))


def _offers(hits: Sequence[Hit], shelf: _Shelf, density: float) -> list[tuple[Block, Quote, int]]:
    """What may be shown of each hit, and what that costs, best first."""
    blocks = [Block(_trimmed(hit)) for hit in hits]
    quotes = [quoted(block) for block in blocks]
    offers = [(b, q, shelf.cost(q)) for b, q in zip(blocks, quotes, strict=True)]
    if density:
        offers.sort(key=lambda each: -each[0].hit.score / math.pow(each[2] + 8, density))
    return offers


def cost_of(record: Record, *, count: Counter = count_tokens, nonce: str = STAND_IN) -> int:
    """Tokens that a whole record takes in a context, without the lines above it."""
    return quote_cost(quoted(Block(Hit(record, 0.0, (), {}))), nonce=nonce, count=count)


def fit(
    packing: Packing, budget: int, *, nonce: str, count: Counter = count_tokens
) -> tuple[str, int, tuple[Hit, ...], tuple[LeftOut, ...]]:
    """A packing written out: the text, its tokens, the hits shown in order, and what was left out.

    `count(text)` is at most the budget, whatever packing and counter do; when nothing fits, the
    text is "" with 0 tokens. Blocks that do not fit are dropped by their score, lowest first.
    """
    blocks = packing.blocks
    quotes = [quoted(block) for block in blocks]
    word = unused(nonce, quotes)

    def written(places: Iterable[int]) -> tuple[str, int]:
        text = render([quotes[place] for place in places], nonce=word)
        return text, count(text) if text else 0

    shown: Sequence[int] = range(len(blocks))
    text, tokens = written(shown)
    if text and tokens > budget:
        best = _chosen(blocks, quotes, _Shelf(budget, word, count))
        # With the default counter they all fit; another one may count the whole as more than its
        # parts. Halving the doubt makes few counts, even of a counter that knows no order.
        text, tokens, shown = "", 0, ()
        low, high, trial = 0, len(best), len(best)
        while low < high:
            places = sorted(best[:trial])
            tried, counted = written(places)
            if counted <= budget:
                text, tokens, shown, low = tried, counted, places, trial
            else:
                high = trial - 1
            trial = (low + high + 1) // 2
    kept = set(shown)
    dropped = []
    for place, (block, quote) in enumerate(zip(blocks, quotes, strict=True)):
        if place not in kept:
            cost = quote_cost(quote, nonce=word, count=count)
            dropped.append(LeftOut(block.hit.record.id, block.hit.score, cost, "budget"))
    hits = tuple(blocks[place].hit for place in shown)
    return text, tokens, hits, (*packing.left_out, *dropped)


def quoted(block: Block) -> Quote:
    """How a block is quoted: what is shown of it, by whom, when, and where.

    A turn shown whole is all that was said and done in it; a part of it is marked as "excerpt", a
    text that its record does not hold as "gist", and what was derived by its kind.
    """
    hit, record = block.hit, block.hit.record
    marks = [] if record.kind is Kind.EPISODE else [record.kind.value]
    text = hit.text if block.text is None else block.text
    if text == record.text:
        text = record.spoken
    elif text in record.text:
        marks.append("excerpt")
    elif text != record.spoken:
        marks.append("gist")
    return Quote(text, _speaker(record), record.said_at, record.session, ", ".join(marks))


def _trimmed(hit: Hit) -> Hit:
    """The hit without empty lines around its found span: they cost tokens and say nothing."""
    if hit.span is None:
        return hit
    begin, end, _ = slice(*hit.span).indices(len(hit.record.text))
    begun = hit.text.lstrip("\n")
    begin = max(begin, end - len(begun))
    return replace(hit, span=(begin, begin + len(begun.rstrip("\n"))))


def _speaker(record: Record) -> str | None:
    if record.actor or record.role:
        return record.actor or record.role
    if record.kind is not Kind.EPISODE:
        return "memory"  # what was derived was said by nobody
    return None if record.origin is Origin.UNKNOWN else record.origin.value


def _moment(record: Record, arrival: Callable[[str], int | None] | None) -> tuple[Any, ...]:
    """What puts records in order of time."""
    place = arrival(record.id) if arrival else None
    stored = aware(record.stored_at)
    said = stored if record.said_at is None else aware(record.said_at)
    return (said, record.said_at is None, place is None, place or 0, stored, record.id)


@dataclass(slots=True)
class _Shelf:
    """Blocks in the order of showing, and the room that is left, exact to the token."""

    budget: int
    nonce: str
    count: Counter
    room: int = 0
    keys: list[Any] = field(default_factory=list)
    quotes: list[Quote] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.room = self.budget - frame_cost(nonce=self.nonce, count=self.count)

    def cost(self, quote: Quote) -> int:
        return quote_cost(quote, nonce=self.nonce, count=self.count)

    def room_at(self, key: Any, quote: Quote) -> int:
        """Tokens left for the lines of a quote in that place, its headers paid."""
        place = bisect_left(self.keys, key)
        before = self.quotes[place - 1] if place else None
        spent = self._header(quote, before)
        if place < len(self.keys):
            after = self.quotes[place]
            spent += self._header(after, quote) - self._header(after, before)
        return self.room - spent

    def add(self, key: Any, block: Block, quote: Quote, cost: int) -> bool:
        """Put it in its place, if there is room."""
        room = self.room_at(key, quote)
        if cost > room:
            return False
        place = bisect_left(self.keys, key)
        self.keys.insert(place, key)
        self.quotes.insert(place, quote)
        self.blocks.insert(place, block)
        self.room = room - cost
        return True

    def _header(self, quote: Quote, previous: Quote | None) -> int:
        return header_cost(quote, previous, nonce=self.nonce, count=self.count)


def _chosen(blocks: Sequence[Block], quotes: Sequence[Quote], shelf: _Shelf) -> list[int]:
    """The places of the blocks that fit, taken by score; equal scores in their order."""

    def rank(place: int) -> float:
        score = blocks[place].hit.score
        return -score if score == score else float("inf")  # noqa: PLR0124 - only NaN is not itself

    return [
        place
        for place in sorted(range(len(blocks)), key=rank)
        if shelf.add(place, blocks[place], quotes[place], shelf.cost(quotes[place]))
    ]


def _add_excerpt(shelf: _Shelf, key: Any, hit: Hit, quote: Quote, cost: int) -> bool:
    """Put in as much of a long record as may be shown of it, if that is enough to say anything."""
    if hit.span is None and cost < LONG:
        return False
    room = shelf.room_at(key, quote)
    allowed = max(room // 3, min(room, EXCERPT))
    if allowed < LEAST:
        return False
    text = hit.record.text
    first, last = (0, len(text)) if hit.span is None else hit.span
    # A word costs a token at least, so that no more of them than tokens need to be looked at.
    words = list(islice(_WORD.finditer(text, first, last), allowed))

    def excerpt(size: int) -> Block:
        return Block(replace(hit, span=(words[0].start(), words[size - 1].end())))

    sizes = range(1, len(words) + 1)
    size = bisect_right(sizes, allowed, key=lambda size: shelf.cost(quoted(excerpt(size))))
    if not size:
        return False
    block = excerpt(size)
    quote = quoted(block)
    return shelf.add(key, block, quote, shelf.cost(quote))
