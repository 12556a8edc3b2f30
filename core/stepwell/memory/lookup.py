"""Documents in the order in which they fit a question, by words and by vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np

from stepwell.contracts import FloatArray
from stepwell.errors import EmbedderError
from stepwell.mechanisms.paths import texts_at
from stepwell.mechanisms.products import products
from stepwell.mechanisms.words import terms
from stepwell.models import Document
from stepwell.searching import GuardedModels

#: Bytes of vectors kept at most, and words of texts; then all are dropped.
_VECTOR_BYTES = 64 * 1024 * 1024
_WORDS = 1_000_000


class Lookup:
    """Ranks documents. Of a text that it has met before it knows the words and the vector.

    What is known is kept by a hash, per scope, in memory only. A document counts by whichever of
    its texts is nearest to the question, and by the words of all of them.
    """

    def __init__(self, models: GuardedModels) -> None:
        self._models = models
        self._words: dict[bytes, frozenset[int]] = {}
        self._counted = 0
        self._vectors: dict[bytes, FloatArray] = {}

    def rank(
        self, path: tuple[str, ...], documents: Sequence[Document], query: str
    ) -> list[Document]:
        """Best first, ties as they came, each with its score; then what has no text to compare.

        The score is the share of the question's words that a document holds, rare ones counting
        more; with an embedder the mean of that and of the nearness. Raises EmbedderError.
        """
        texts = [_texts(document) for document in documents]
        compared = [i for i, said in enumerate(texts) if said]
        names = [[_name(path, text) for text in texts[i]] for i in compared]
        known = {
            name: text
            for i, called in zip(compared, names, strict=True)
            for name, text in zip(called, texts[i], strict=True)
        }
        shares, told = self._shares(names, known, query)
        near = self._nearness(names, known, query)
        if near is not None:
            shares = [(s + n) / 2 if told else n for s, n in zip(shares, near, strict=True)]
        found = [
            replace(documents[i], score=score) for i, score in zip(compared, shares, strict=True)
        ]
        found.sort(key=lambda document: -(document.score or 0.0))
        return found + [
            replace(documents[i], score=None) for i, said in enumerate(texts) if not said
        ]

    def _shares(
        self, names: list[list[bytes]], known: Mapping[bytes, str], query: str
    ) -> tuple[list[float], bool]:
        """What share of the question's words each holds, and whether any holds one at all."""
        words = self._words
        if self._counted > _WORDS:
            words, self._counted = {}, 0
            self._words = words
        for name, text in known.items():
            if name not in words:
                words[name] = frozenset(terms(text).tolist())
                self._counted += len(words[name]) + 1
        asked = np.unique(terms(query)).tolist()
        held = [frozenset().union(*(words[name] for name in called)) for called in names]
        frequency = {term: sum(term in said for said in held) for term in asked}
        weight = {t: float(np.log1p(len(held) / n)) for t, n in frequency.items() if n}
        total = sum(weight.values())
        if not total:
            return [0.0] * len(held), False
        shares = [sum(w for t, w in weight.items() if t in said) / total for said in held]
        return [min(1.0, share) for share in shares], True

    def _nearness(
        self, names: list[list[bytes]], known: Mapping[bytes, str], query: str
    ) -> list[float] | None:
        """How near each is to the question in [0, 1]; None without an embedder."""
        models = self._models.pinned()
        if models.embedder is None or models.space is None or not names:
            return None
        space = models.space.encode()
        keys = {name: _keyed(space, name) for name in known}
        vectors = self._vectors
        if len(vectors) * models.embedder.dim * 4 > _VECTOR_BYTES:
            vectors = self._vectors = {}
        new = [name for name in known if keys[name] not in vectors]
        made, asked = _embedded(models, [known[name] for name in new], query)
        vectors.update((keys[name], row) for name, row in zip(new, made, strict=True))
        rows = np.stack([vectors[keys[name]] for called in names for name in called])
        # Rounded: where a row stands may change the last bits of its product, and equal texts tie.
        cosines = np.clip(np.round(products(rows, asked), 5), 0.0, 1.0)
        starts = np.cumsum([0, *(len(called) for called in names[:-1])])
        near: list[float] = np.maximum.reduceat(cosines, starts).astype(float).tolist()
        return near


def _embedded(
    models: GuardedModels, texts: Sequence[str], query: str
) -> tuple[FloatArray, FloatArray]:
    """The vectors of texts and of a question. What an embedder raises may hold text: its kind."""
    try:
        return models.vectors(texts), models.embed(query, query=True)
    except EmbedderError:
        raise
    except Exception as error:  # noqa: BLE001 - an embedder may raise anything
        kind = type(error).__name__
    raise EmbedderError(f"the embedder failed on documents with {kind}")


def _name(path: tuple[str, ...], text: str) -> bytes:
    """What a text of a scope is known by. Scopes do not share: one must not tell of another."""
    digest = blake2b(digest_size=16)
    for part in (*path, text):
        raw = part.encode()
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.digest()


def _keyed(space: bytes, name: bytes) -> bytes:
    return blake2b(space + name, digest_size=16).digest()


def _texts(document: Document) -> list[str]:
    if document.index is None:
        return [_words(document.value)]
    if document.index is False:
        return []
    return [
        text
        for path in document.index
        for text in (
            [_words(document.value)] if path in {"", "$"} else texts_at(document.value, path)
        )
    ]


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{k} {_words(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return " ".join(_words(v) for v in value)
    return value if isinstance(value, str) else str(value)
