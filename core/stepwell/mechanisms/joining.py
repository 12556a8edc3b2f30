"""Join or create: what comes in joins the group it is most like, if that is enough, or begins one.

Likeness is F = cosine with the group's mean + Jaccard index of key words (MemoryOS, arXiv
2506.06326, section 3.2), and both are made anew with each member.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stepwell.contracts import FloatArray
from stepwell.mechanisms.products import products

#: Key words of a group that are compared: its most frequent ones; and how many are counted at all.
COMPARED, COUNTED = 10, 40


@dataclass(slots=True)
class Group:
    """A group as its members have made it. `counts` are (word, how many of its members have it)."""

    mean: FloatArray
    size: int = 0
    counts: tuple[tuple[str, int], ...] = ()
    words: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.words = frozenset(word for word, _ in self.counts[:COMPARED])

    def take(self, vector: FloatArray, words: frozenset[str]) -> None:
        """One member more: the mean and the key words follow."""
        mean = self.mean * self.size + vector
        self.mean = np.asarray(mean / (float(np.linalg.norm(mean)) or 1.0), np.float32)
        self.size += 1
        counts = Counter(dict(self.counts))
        counts.update(sorted(words))
        self.counts = tuple(counts.most_common(COUNTED))
        self.words = frozenset(word for word, _ in self.counts[:COMPARED])


def key_words(words: Sequence[str]) -> frozenset[str]:
    """Key words as they are compared."""
    return frozenset(word.casefold() for word in words[:COMPARED])


def jaccards(words: frozenset[str], groups: Sequence[frozenset[str]]) -> FloatArray:
    """The Jaccard index of key words with those of each group; 0 where there are none."""
    told = np.zeros(len(groups), np.float32)
    for n, others in enumerate(groups):
        both = len(words & others)
        if both:
            told[n] = both / (len(words) + len(others) - both)
    return told


def join(
    groups: list[Group], vectors: FloatArray, words: Sequence[frozenset[str]], least: float
) -> list[int]:
    """Put members into groups, one after the other; the place of each one's group.

    A member joins the group of the highest F, of equals the first, or begins one below `least`.
    Groups change, and new ones are appended.
    """
    held = [group.mean for group in groups]
    matrix = np.zeros((len(groups) + len(vectors), vectors.shape[1]), np.float32)
    matrix[: len(held)] = held or 0.0
    places = []
    for vector, said in zip(vectors, words, strict=True):
        scores = products(matrix[: len(groups)], vector) + jaccards(said, [g.words for g in groups])
        best = int(np.argmax(scores)) if groups else 0
        if not groups or scores[best] < least:
            best = len(groups)
            groups.append(Group(np.zeros_like(vector)))
        groups[best].take(vector, said)
        matrix[best] = groups[best].mean
        places.append(best)
    return places
