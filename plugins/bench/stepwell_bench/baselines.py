"""Plain rankers, to be measured in the same run: BM25, BM25 over neighbours, vectors, and fusion.

They read turns as rendered ("Ann: hello"). BM25 is Lucene's with k1 = 1.5 and b = 0.75, on lower
case words without English stop words, stemmed by Snowball; where most letters are Chinese, Japanese
or Korean, on characters and pairs of them. A turn that shares no word with the question is not
returned.

In a stream only turns said before the question are ranked. How rare a word is, is counted over the
whole log, which favours these baselines a little; stepwell counts what had been said.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import bm25s
import numpy as np
import numpy.typing as npt
import Stemmer

from stepwell import Embedder
from stepwell_bench.data import Spoken
from stepwell_bench.metrics import DEPTH
from stepwell_bench.systems import Ask, Log, System

Scores = npt.NDArray[np.float32]

_FUSED_AFTER: Final = 60
_EAST_ASIAN = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")
_CHARACTERS = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]|[a-z0-9]+")


class Bm25:
    """BM25 over turns."""

    name = "bm25"

    def read(self, log: Log) -> _Ranked:
        words = _Words([turn.text for turn in log.turns])
        return _Ranked(log, lambda ask: words.scores(ask.text))


class Bm25Windows:
    """BM25 over each turn together with the one before and the one after it in its session.

    In a stream the turn after the last one had not been said yet when a question was asked. Each
    turn is indexed there without its later neighbour as well, and the last visible one is scored
    so.
    """

    name = "bm25 turn±1"

    def read(self, log: Log) -> _Ranked:
        turns = log.turns
        full = [_window(turns, place, place + 1) for place in range(len(turns))]
        if not log.stream:
            words = _Words(full)
            return _Ranked(log, lambda ask: words.scores(ask.text))
        both = _Words(full + [_window(turns, place, place) for place in range(len(turns))])
        seqs = np.array([turn.seq for turn in turns])

        def scored(ask: Ask) -> Scores:
            scores = both.scores(ask.text)
            made, cut = scores[: len(turns)].copy(), scores[len(turns) :]
            before = np.flatnonzero(seqs < ask.as_of) if ask.as_of is not None else seqs[:0]
            if len(before):
                last = before[np.argmax(seqs[before])]
                made[last] = cut[last]
            return made

        return _Ranked(log, scored)


class Dense:
    """Vectors alone: the cosine of a turn's and the question's embedding."""

    def __init__(self, embedder: Embedder, name: str = "dense") -> None:
        self.name = name
        self._embedder = embedder

    def read(self, log: Log) -> _Ranked:
        rows = _unit(np.asarray(self._embedder.embed([turn.text for turn in log.turns])))

        def scored(ask: Ask) -> Scores:
            row = _unit(np.asarray(self._embedder.embed([ask.text], query=True)))[0]
            # Above zero, as what is returned has to be: even the least alike has a rank.
            return np.asarray(2.0 + rows @ row, np.float32)

        return _Ranked(log, scored)


class Fused:
    """BM25 and vectors by reciprocal ranks, 1 / (60 + rank), of the best 100 of each."""

    def __init__(self, embedder: Embedder, name: str = "rrf(bm25, dense)") -> None:
        self.name = name
        self._parts = (Bm25(), Dense(embedder))

    def read(self, log: Log) -> _Ranked:
        readers = [part.read(log) for part in self._parts]

        def scored(ask: Ask) -> Scores:
            made = np.zeros(len(log.turns), np.float32)
            for reader in readers:
                order = reader.order(ask)[:DEPTH]
                made[order] += 1.0 / (_FUSED_AFTER + 1 + np.arange(len(order)))
            return made

        return _Ranked(log, scored)


def baselines(embedders: Iterable[str | Embedder | None] = ()) -> list[System]:
    """All of them; those of vectors once for each embedder that can be used alone."""
    made: list[System] = [Bm25(), Bm25Windows()]
    usable = {one.name: one for one in embedders if isinstance(one, Embedder)}
    for embedder in usable.values():
        told = f" {embedder.name}" if len(usable) > 1 else ""
        made += [
            Dense(embedder, f"dense{told}"), Fused(embedder, f"rrf(bm25, dense{told})")
        ]  # fmt: skip
    return made


class _Ranked:
    """Turns by score, best first; the later one of two that are equal."""

    def __init__(self, log: Log, score: Callable[[Ask], Scores]) -> None:
        self._ids = [turn.id for turn in log.turns]
        self._seqs = np.array([turn.seq for turn in log.turns])
        self._score = score

    def order(self, ask: Ask) -> npt.NDArray[np.intp]:
        """Places of all turns that had been said and score at all."""
        scores = self._score(ask)
        if ask.as_of is not None:
            scores = np.where(self._seqs < ask.as_of, scores, 0)
        order = np.argsort(scores, kind="stable")[::-1]
        return order[: int((scores > 0).sum())]

    def search(self, ask: Ask, k: int) -> list[str]:
        return [self._ids[place] for place in self.order(ask)[:k]]

    def context(self, ask: Ask, budget: int) -> None:  # noqa: ARG002 - it has no packer of its own
        return None

    def close(self) -> None: ...


class _Words:
    """An index of BM25 over texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        letters = sum(len(text) for text in texts)
        self._east_asian = 2 * sum(len(_EAST_ASIAN.findall(text)) for text in texts) > letters
        self._stemmer = Stemmer.Stemmer("english")
        self._count = len(texts)
        split = self._split(texts)
        # bm25s cannot index a corpus without any word.
        self._index: Any = None
        if any(split):
            self._index = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
            self._index.index(split, show_progress=False)

    def scores(self, question: str) -> Scores:
        """One score per text, 0 for one that shares no word with the question."""
        words = self._split([question])[0] if self._index is not None else []
        known = [word for word in words if word in self._index.vocab_dict]
        if not known:
            return np.zeros(self._count, np.float32)
        return np.asarray(self._index.get_scores(known), np.float32)

    def _split(self, texts: Sequence[str]) -> list[list[str]]:
        if self._east_asian:
            return [_characters(text) for text in texts]
        return bm25s.tokenize(  # type: ignore[no-any-return]  # it ships no types
            list(texts), lower=True, stopwords="en", stemmer=self._stemmer, return_ids=False,
            show_progress=False,
        )  # fmt: skip


def _characters(text: str) -> list[str]:
    single = _CHARACTERS.findall(text.lower())
    return single + [one + other for one, other in itertools.pairwise(single)]


def _window(turns: Sequence[Spoken], place: int, last: int) -> str:
    """A turn with the one before it, up to `last`, as far as they are of its session."""
    return "\n".join(
        turns[i].text
        for i in range(max(0, place - 1), min(last, len(turns) - 1) + 1)
        if turns[i].session == turns[place].session
    )


def _unit(rows: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), np.float32)
