"""Gists: the sentences that say most of what some texts say, as they were said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from stepwell.fencing import count_tokens
from stepwell.mechanisms.sentences import sentences
from stepwell.mechanisms.stating import polite, weight
from stepwell.mechanisms.words import terms

FloatArray = npt.NDArray[np.float32]
TermArray = npt.NDArray[np.uint64]

#: The source of what stood in the summary that a gist goes on from.
BEFORE: Final = -1
#: How much it counts that a sentence is like those that were chosen.
DIVERSITY: Final = 0.5
#: A sentence that shares more of its words with a chosen one says nothing new.
REPEATED: Final = 0.8
#: Sentences that are weighed against each other, the best by themselves.
WEIGHED: Final = 400
# No word is longer than this in what fits a budget of tokens: a blob is one token, however long.
_TOKEN_SIZE = 16
_FULL: Final = "。！？｡」』）"


@dataclass(frozen=True, slots=True)
class Piece:
    """Characters of one of the texts: its place among them, or -1 for the summary before."""

    source: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Gist:
    """A shorter text, and the pieces that it is made of, in its order."""

    text: str
    pieces: tuple[Piece, ...] = ()

    @property
    def sources(self) -> tuple[int, ...]:
        """The places of the texts that it rests on, each once, in order."""
        return tuple(sorted({piece.source for piece in self.pieces} - {BEFORE}))


def gist(
    texts: Sequence[str],
    tokens: int = 64,
    vectors: FloatArray | None = None,
    before: str = "",
    *,
    count: Callable[[str], int] = count_tokens,
) -> Gist:
    """The sentences of some texts that say most, in order, in at most `tokens` tokens.

    A sentence weighs by what it has in common with all of them (words, and the vector of its text
    where `vectors` has a row for each), by how much it states, and less the more it is like one
    that was chosen. Greetings are taken only where there is nothing else. Sentences of an earlier
    summary take part in at most half of the budget. No sentence is cut, except for one that alone
    is too long. Takes time about linear in the texts.
    """
    found = _pieces(before, BEFORE) if before else []
    for source, text in enumerate(texts):
        found += _pieces(text, source)
    said = [before if p.source < 0 else texts[p.source] for p in found]
    quoted = [text[p.first : p.last] for p, text in zip(found, said, strict=True)]
    telling = [i for i in _first_of_each(quoted) if not polite(quoted[i])]
    kept = telling or _first_of_each(quoted)
    if not kept or tokens < 1:
        return Gist("")
    found, quoted = [found[i] for i in kept], [quoted[i] for i in kept]
    chosen = _choose(found, quoted, tokens, vectors, count)
    if not chosen:
        piece = _shortened(found[0], quoted[0], tokens, count)
        return _written([piece], [quoted[0][: piece.last - piece.first]])
    return _written([found[i] for i in chosen], [quoted[i] for i in chosen])


def leading(text: str, tokens: int, count: Callable[[str], int] = count_tokens) -> str:
    """The first sentences of a text that fit a budget; of the first, its beginning at least."""
    end = 0
    left = tokens
    spans = sentences(text)
    for first, last in spans:
        left -= count(text[first:last])
        if left < 0 or last > _TOKEN_SIZE * tokens:
            break
        end = last
    if spans and not end and tokens > 0:
        first, last = spans[0]
        end = _shortened(Piece(0, first, last), text[first:last], tokens, count).last
    return text[:end].strip()


def _pieces(text: str, source: int) -> list[Piece]:
    return [Piece(source, first, last) for first, last in sentences(text)]


def _first_of_each(quoted: Sequence[str]) -> list[int]:
    """The places of sentences that are not said before, but for case and white space."""
    firsts: dict[str, int] = {}
    for i, sentence in enumerate(quoted):
        firsts.setdefault(" ".join(sentence.casefold().split()), i)
    return list(firsts.values())


def _choose(
    found: Sequence[Piece], quoted: Sequence[str], tokens: int, vectors: FloatArray | None,
    count: Callable[[str], int],
) -> list[int]:  # fmt: skip
    """Places of the sentences to take, ascending: best first, as long as the budget lasts."""
    said = [terms(sentence[: _TOKEN_SIZE * tokens]) for sentence in quoted]
    scores = _central(said) + np.array([weight(sentence) for sentence in quoted], np.float32)
    if vectors is not None and vectors.ndim == 2 and vectors.shape[1]:
        near = _towards_all(vectors)
        scores += np.array([near[p.source] if p.source >= 0 else 0.5 for p in found], np.float32)
    heads = np.argsort(-scores, kind="stable")[:WEIGHED].tolist()
    sets = {i: frozenset(said[i].tolist()) for i in heads}
    costs = {i: count(quoted[i]) for i in heads}
    likeness = dict.fromkeys(heads, 0.0)
    # So much of the budget may be of the earlier summary: without it, new things crowd it out.
    left, old = tokens, tokens // 2
    room = _TOKEN_SIZE * tokens
    chosen: list[int] = []
    while heads:
        best = max(heads, key=lambda i: (float(scores[i]) - DIVERSITY * likeness[i], -i))
        heads.remove(best)
        before = found[best].source == BEFORE
        fits = costs[best] <= (min(left, old) if before else left) and len(quoted[best]) <= room
        if not fits or likeness[best] > REPEATED:
            continue
        chosen.append(best)
        left -= costs[best]
        old -= costs[best] if before else 0
        room -= len(quoted[best])
        for i in heads:
            likeness[i] = max(likeness[i], _alike(sets[i], sets[best]))
    return sorted(chosen)


def _central(said: Sequence[TermArray]) -> FloatArray:
    """How much each sentence has in common with all of them, in [0, 1]: cosines with their sum."""
    sizes = np.array([len(each) for each in said])
    if not sizes.sum():
        return np.zeros(len(said), np.float32)
    owner = np.repeat(np.arange(len(said)), sizes)
    _, word = np.unique(np.concatenate(said), return_inverse=True)
    pairs, often = np.unique(owner * (int(word.max()) + 1) + word, return_counts=True)
    owner, word = np.divmod(pairs, int(word.max()) + 1)
    rare = np.log1p(len(said) / np.bincount(word))
    weights = (1 + np.log(often)) * rare[word]
    total = np.bincount(word, weights)
    dots = np.bincount(owner, weights * total[word], minlength=len(said))
    lengths = np.sqrt(np.bincount(owner, weights**2, minlength=len(said)))
    # What is said in two words is near to whatever has them.
    lengths = np.sqrt(lengths**2 + float(np.mean(rare)) ** 2 * 4)
    return np.asarray(dots / lengths / np.linalg.norm(total), np.float32)


def _towards_all(vectors: FloatArray) -> FloatArray:
    """How near each text is to the mean of all, from 0 to 1 among themselves."""
    mean = vectors.mean(axis=0)
    norms = np.linalg.norm(vectors, axis=1) * (np.linalg.norm(mean) or 1.0)
    near = (vectors @ mean) / np.where(norms > 0, norms, 1.0)
    return np.asarray(np.clip(near, 0, 1), np.float32)


def _alike(one: frozenset[int], other: frozenset[int]) -> float:
    """How much of the smaller of two sets of words the other one has."""
    smaller = min(len(one), len(other))
    return len(one & other) / smaller if smaller else 0.0


def _shortened(piece: Piece, quoted: str, tokens: int, count: Callable[[str], int]) -> Piece:
    """The beginning of a sentence that fits, by whole words where it has any."""
    low, high = 0, min(len(quoted), _TOKEN_SIZE * tokens)
    while low < high:  # the longest beginning that fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count(quoted[:middle]) <= tokens else (low, middle - 1)
    end = low
    if end < len(quoted):
        space = max(quoted.rfind(mark, end // 2, end) for mark in " \t\n，、")
        end = space if space > 0 else end
    end = len(quoted[:end].rstrip()) or low
    return Piece(piece.source, piece.first, piece.first + end)


def _written(pieces: Sequence[Piece], quoted: Sequence[str]) -> Gist:
    """One line for each text."""
    parts: list[str] = []
    for i, sentence in enumerate(quoted):
        if i:
            same = pieces[i - 1].source == pieces[i].source
            parts.append("\n" if not same else "" if parts[-1][-1] in _FULL else " ")
        parts.append(sentence)
    return Gist("".join(parts), tuple(pieces))
