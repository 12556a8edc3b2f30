"""The one way from policies to an embedder or a language model."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from stepwell.contracts import Embedder, FloatArray, LanguageModel
from stepwell.errors import BadVectors

_MANY = 256


def space_of(embedder: Embedder | None) -> str | None:
    """The name of an embedder's vector space."""
    return None if embedder is None else f"{embedder.name}/{embedder.dim}"


class GuardedModels:
    """An embedder and a language model, checked. Texts announced together are embedded together."""

    def __init__(self, embedder: Embedder | None, language_model: LanguageModel | None) -> None:
        self._embedder = embedder
        self._former: Embedder | None = None
        self._language_model = language_model
        self._batch = threading.local()

    def use(self, embedder: Embedder | None, former: Embedder | None = None) -> None:
        """Go on with another embedder. `former` answers for what has no vector of it yet."""
        self._embedder = embedder
        self._former = None if space_of(former) == space_of(embedder) else former

    @property
    def former(self) -> Embedder | None:
        """The embedder before this one, as long as vectors of it are left."""
        return self._former

    @property
    def spaces(self) -> tuple[str, ...]:
        """The embedder's space, and the former's."""
        both = (space_of(self._embedder), space_of(self._former))
        return tuple(space for space in both if space is not None)

    def vector(self, space: str, query: str) -> FloatArray:
        """A question's normalised vector in one of `spaces`. Raises as `embed`."""
        embedder = self._embedder if space == self.space else self._former
        made: FloatArray = _vectors(embedder, [query], query=True)[0]
        return made

    @property
    def embedder(self) -> Embedder | None:
        return self._embedder

    @property
    def language_model(self) -> LanguageModel | None:
        return self._language_model

    @property
    def space(self) -> str | None:
        """The name of the vector space, or None without an embedder."""
        return space_of(self._embedder)

    def announce(self, texts: Sequence[str]) -> None:
        """These texts will be asked for one by one; the first asking embeds a batch of them."""
        self._batch.waiting = list(dict.fromkeys(texts))
        self._batch.ready = {}

    def embed(self, text: str, *, query: bool = False) -> FloatArray:
        """One normalised vector. Raises BadVectors, or whatever the embedder raises."""
        if query:
            asked: FloatArray = _vectors(self._embedder, [text], query=True)[0]
            return asked
        ready: dict[str, FloatArray] = getattr(self._batch, "ready", {})
        if text not in ready:
            waiting: list[str] = getattr(self._batch, "waiting", [])
            if text in waiting[:_MANY]:
                batch, self._batch.waiting = waiting[:_MANY], waiting[_MANY:]
            else:
                batch = [text]
            ready.update(zip(batch, _vectors(self._embedder, batch, query=False), strict=True))
            self._batch.ready = ready
        return ready[text]

    def done(self) -> None:
        """Forget what was announced."""
        self._batch.waiting, self._batch.ready = [], {}


def _vectors(embedder: Embedder | None, texts: Sequence[str], *, query: bool) -> FloatArray:
    if embedder is None:
        raise BadVectors("there is no embedder")
    try:
        made = np.asarray(embedder.embed(list(texts), query=query), dtype=np.float32)
    except (TypeError, ValueError):
        made = np.empty((0, 0), dtype=np.float32)
    if made.shape != (len(texts), embedder.dim):
        raise BadVectors(
            f"embedder {embedder.name!r} returned shape {made.shape} for {len(texts)} texts "
            f"of dimension {embedder.dim}"
        )
    if not np.isfinite(made).all():
        raise BadVectors(f"embedder {embedder.name!r} returned NaN or infinity")
    norms = np.linalg.norm(made, axis=1, keepdims=True)
    return np.asarray(made / np.where(norms > 0, norms, 1.0), dtype=np.float32)
