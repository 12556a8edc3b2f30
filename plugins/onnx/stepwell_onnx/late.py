"""Late interaction: the best hits are judged again, token by token."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from stepwell import Hit, Op, Plan, hookimpl
from stepwell_onnx.embedders import OnnxEmbedder
from stepwell_onnx.folders import InvalidInput
from stepwell_onnx.pooling import FloatArray, maxsim
from stepwell_onnx.sessions import Mutex

CHANNEL = "late-interaction"
#: How much of the states of past hits is kept in memory.
CACHE_BYTES: Final = 32 * 2**20

States = npt.NDArray[np.float16]


class TokenEmbedder(Protocol):
    """What OnnxEmbedder does for this."""

    def tokens(self, texts: Sequence[str], *, query: bool = False) -> list[FloatArray]:
        """The states of each text's tokens, (tokens, width), each row of length 1."""
        ...


class LateInteraction:
    """Orders the first `head` hits anew: `share` of the score is by MaxSim, the rest as it was.

    `model` is a folder or an OnnxEmbedder; raises InvalidInput for one that cannot be used, or has
    no states of tokens. A question waits for it: each hit that is not in the cache is run through
    the model, some 5 ms for a turn of 40 tokens. The states are nowhere on disk; the last
    `cache_bytes` of them are kept in memory, until a purge is told or `forget` is called.
    """

    name = CHANNEL

    def __init__(
        self,
        model: str | Path | TokenEmbedder,
        *,
        head: int = 50,
        share: float = 0.1,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        if head < 1 or not 0.0 <= share <= 1.0 or cache_bytes < 0:
            raise InvalidInput(
                "head must be at least 1, share from 0 to 1, and cache_bytes at least 0"
            )
        self._embedder = OnnxEmbedder(model) if isinstance(model, str | Path) else model
        self._embedder.tokens([])
        self._head = head
        self._share = share
        self._cache = _Cache(cache_bytes)

    @property
    def params(self) -> dict[str, object]:
        """What the file remembers of it in a preset."""
        return {"head": self._head, "share": self._share}

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan) -> list[Hit]:
        """The same hits: the head in its new order, then the others as they were.

        The scores of the head stay between its worst and its best.
        """
        head, rest = list(hits[: self._head]), list(hits[self._head :])
        if len(head) < 2 or not self._share:
            return [*head, *rest]
        asked = self._embedder.tokens(list(plan.queries or (plan.query.text,)), query=True)
        states = self._states(head)
        found = [_best(asked, each) for each in states]
        mixed = [
            hit if score is None else _mixed(hit, score, self._share)
            for hit, score in zip(head, _rescaled(found, [hit.score for hit in head]), strict=True)
        ]
        mixed.sort(key=lambda hit: -hit.score)
        return [*mixed, *rest]

    @hookimpl
    def on_committed(self, ops: Sequence[Op]) -> None:
        """Keeps nothing of what was forgotten."""
        if any(op.name == "purge" for op in ops):
            self.forget()

    def forget(self) -> None:
        """Empty the cache."""
        self._cache.clear()

    def _states(self, hits: Sequence[Hit]) -> list[States]:
        """The states of each hit's tokens, computed where they are not in the cache."""
        texts = {_key(hit): _text(hit) for hit in hits}
        era = self._cache.era
        held = {key: found for key in texts if (found := self._cache.get(key)) is not None}
        missing = [key for key in texts if key not in held]
        if missing:
            made = self._embedder.tokens([texts[key] for key in missing])
            for key, rows in zip(missing, made, strict=True):
                held[key] = rows.astype(np.float16)
                self._cache.put(key, held[key], era)
        return [held[_key(hit)] for hit in hits]


class _Cache:
    """The states that were used last, up to so many bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._mutex = Mutex()
        self._held: OrderedDict[bytes, States] = OrderedDict()
        self._bytes = 0
        #: Counts the clearings: what was computed before one is not taken in after it.
        self.era = 0

    def get(self, key: bytes) -> States | None:
        with self._mutex:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
            return found

    def put(self, key: bytes, states: States, era: int) -> None:
        with self._mutex:
            if era != self.era or key in self._held:
                return
            self._held[key] = states
            self._bytes += states.nbytes
            while self._bytes > self._most:
                self._bytes -= self._held.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        with self._mutex:
            self.era += 1
            self._held.clear()
            self._bytes = 0


def _key(hit: Hit) -> bytes:
    """What the cache knows a hit's text by: no scope meets what another one has put there."""
    told = "\0".join((*hit.record.scope, _text(hit)))
    return blake2b(told.encode("utf-8", "replace"), digest_size=16).digest()


def _text(hit: Hit) -> str:
    return hit.record.spoken if hit.span is None else hit.text


def _best(asked: Sequence[FloatArray], states: States) -> float | None:
    """By the question, or by that of several which fits best."""
    scores = [score for each in asked if (score := maxsim(each, states)) is not None]
    return max(scores, default=None)


def _rescaled(found: Sequence[float | None], scores: Sequence[float]) -> list[float | None]:
    """What was found, stretched from the worst to the best of the scores.

    None where there is nothing to tell by; a text without tokens counts as the worst.
    """
    known = [each for each in found if each is not None]
    if not known or min(known) == max(known):
        return [None] * len(found)
    low, high = min(known), max(known)
    least, most = min(scores), max(scores)
    return [
        least + (most - least) * ((low if each is None else each) - low) / (high - low)
        for each in found
    ]


def _mixed(hit: Hit, score: float, share: float) -> Hit:
    why = {channel: (1.0 - share) * part for channel, part in hit.why.items()}
    mixed = (1.0 - share) * hit.score + share * score
    return replace(hit, score=min(1.0, max(0.0, mixed)), why=why | {CHANNEL: share * score})
