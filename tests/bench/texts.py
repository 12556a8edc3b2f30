"""Texts to measure with: real ones from a data folder, or made-up ones with Zipf's distribution."""

from __future__ import annotations

import gzip
import itertools
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stepwell import Turn

START = datetime(2024, 1, 1, tzinfo=UTC)


class Texts:
    """A supply of texts and of questions, the same for the same seed."""

    def __init__(self, data: Path | None, seed: int = 1) -> None:
        self._draw = random.Random(seed)
        self.texts: list[str] = []
        self.questions: list[str] = []
        for path in sorted(data.glob("qmsum.json.gz")) if data else []:
            with gzip.open(path, "rt", encoding="utf-8") as file:
                for conversation in json.load(file)["conversations"]:
                    self.texts += [t["text"] for t in conversation["turns"] if t["text"].strip()]
                    self.questions += [q["question"] for q in conversation["questions"]]
        self.real = bool(self.texts)
        if not self.real:
            self.texts = [self._made_up(self._draw.randrange(5, 60)) for _ in range(20_000)]
            self.questions = [self._made_up(8) for _ in range(300)]
        self._draw.shuffle(self.questions)

    def _made_up(self, length: int) -> str:
        if not hasattr(self, "_words"):
            syllables = [c + v for c in "bcdfghklmnprst" for v in "aeiou"]
            self._words = [
                "".join(self._draw.choices(syllables, k=1 + i % 3)) for i in range(20_000)
            ]
            self._weights = list(itertools.accumulate(1 / (i + 1) for i in range(20_000)))
        return " ".join(self._draw.choices(self._words, cum_weights=self._weights, k=length))

    def turns(self, count: int, start: int = 0) -> list[Turn]:
        """So many turns of a conversation of two, forty a session, a minute apart."""
        return [
            Turn(
                id=f"t{i}",
                text=self.texts[i % len(self.texts)],
                actor=("Ann", "Ben")[i % 2],
                session=f"s{i // 40}",
                at=START + timedelta(minutes=i),
            )
            for i in range(start, start + count)
        ]
