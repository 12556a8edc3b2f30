"""Texts to measure speed with: of data sets, or made up with the distribution that words have."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from stepwell import Turn
from stepwell_bench.data import DataSet

_START: Final = datetime(2024, 1, 1, tzinfo=UTC)
_VOCABULARY: Final = 20_000


class Texts:
    """A supply of texts and of questions, the same for the same seed and sets."""

    def __init__(self, sets: Sequence[DataSet] = (), seed: int = 1) -> None:
        draw = random.Random(seed)  # noqa: S311 - to be drawn again, no secret
        conversations = [c for one in sets for c in one.conversations]
        self.texts = [t.words for c in conversations for t in c.turns if t.words.strip()]
        self.questions = [q.text for c in conversations for q in c.questions]
        self.real = bool(self.texts and self.questions)
        if not self.real:
            words = _Words(draw)
            self.texts = [words.text(draw.randrange(5, 60)) for _ in range(20_000)]
            self.questions = [words.text(8) for _ in range(300)]
        draw.shuffle(self.questions)

    def turns(self, count: int, start: int = 0) -> list[Turn]:
        """So many turns of a conversation of two, forty a session, a minute apart."""
        return [
            Turn(
                id=f"t{i}",
                text=self.texts[i % len(self.texts)],
                actor=("Ann", "Ben")[i % 2],
                session=f"s{i // 40}",
                at=_START + timedelta(minutes=i),
            )
            for i in range(start, start + count)
        ]


class _Words:
    """Made-up words, the n-th most frequent of them n times as rare as the first."""

    def __init__(self, draw: random.Random) -> None:
        syllables = [c + v for c in "bcdfghklmnprst" for v in "aeiou"]
        self._draw = draw
        self._words = [
            "".join(draw.choices(syllables, k=1 + i % 3)) for i in range(_VOCABULARY)
        ]  # fmt: skip
        self._weights = list(itertools.accumulate(1 / (i + 1) for i in range(_VOCABULARY)))

    def text(self, length: int) -> str:
        return " ".join(self._draw.choices(self._words, cum_weights=self._weights, k=length))
