"""Scores of one ranking against the turns that hold the evidence. All lie from 0 to 1."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

KS: Final = (1, 3, 5, 10, 20, 50)
BUDGETS: Final = (512, 1024, 2048)
#: As deep as a ranking is looked at.
DEPTH: Final = 100

RANKED: Final = (
    *(f"{kind}@{k}" for kind in ("recall", "any", "all") for k in KS),
    "ndcg@10",
    "mrr",
)
HELD: Final = tuple(f"evidence@{budget}" for budget in BUDGETS)

_TOKEN = re.compile(r"\w+|[^\w\s]")
_FENCE = re.compile(r"(\w+)# ")


def scores(ranked: Sequence[str], evidence: Collection[str]) -> dict[str, float]:
    """All scores of one question by name (`RANKED`): recall, any, all at k, nDCG@10 and MRR.

    `ranked` are ids without repetition, best first; what lies deeper than `DEPTH` does not count.
    ValueError when there is no evidence: such a question has no score.
    """
    wanted = set(evidence)
    if not wanted:
        raise ValueError("a question without evidence has no score")
    places = [place for place, name in enumerate(ranked[:DEPTH]) if name in wanted]
    made: dict[str, float] = {}
    for k in KS:
        found = sum(place < k for place in places)
        made[f"recall@{k}"] = found / len(wanted)
        made[f"any@{k}"] = float(found > 0)
        made[f"all@{k}"] = float(found == len(wanted))
    made["ndcg@10"] = _gain(p for p in places if p < 10) / _gain(range(min(len(wanted), 10)))
    made["mrr"] = 1 / (places[0] + 1) if places else 0.0
    return {name: made[name] for name in RANKED}


def tokens(text: str) -> int:
    """How many tokens a text has: words and punctuation marks, as stepwell counts them."""
    return len(_TOKEN.findall(text))


def packed(
    ranked: Sequence[str], texts: Mapping[str, str], evidence: Collection[str], budget: int
) -> float:
    """The share of evidence among the turns that fit a budget of tokens.

    Turns are taken in order of rank until the next one would overflow: what a ranker without a
    packer of its own could put before a model.
    """
    wanted, taken, left = set(evidence), 0, budget
    for name in ranked:
        left -= tokens(texts[name])
        if left < 0:
            break
        taken += name in wanted
    return taken / len(wanted)


def quoted(context: str, words: Sequence[str]) -> float:
    """The share of these texts that stand whole and verbatim in a context of stepwell's.

    A context quotes: its own word stands before each line. It is taken off before texts of several
    lines are looked for, as a model would read over it. A part of a text counts for nothing.
    """
    fence = _FENCE.match(context)
    if fence:
        context = re.sub(rf"^{fence[1]}\| ?", "", context, flags=re.MULTILINE)
    return sum("\n".join(text.splitlines()) in context for text in words) / len(words)


def _gain(places: Iterable[int]) -> float:
    return sum(1 / math.log2(place + 2) for place in places)
