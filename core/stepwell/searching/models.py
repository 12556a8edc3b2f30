"""The one way from policies to an embedder or a language model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from stepwell.contracts import Embedder, FloatArray, LanguageModel
from stepwell.errors import BadVectors
from stepwell.mechanisms.passages import pieces
from stepwell.models import Record

_MANY = 256


def space_of(embedder: Embedder | None) -> str | None:
    """The name of an embedder's vector space."""
    return None if embedder is None else f"{embedder.name}/{embedder.dim}"


class GuardedModels:
    """An embedder and a language model, checked. Texts announced together are embedded together.

    A Memory has one, whose embedder may change at any moment. Every view works with a copy of its
    own (`pinned`): what it calls a space and what makes its vectors are always of one embedder.
    """

    def __init__(
        self, embedder: Embedder | None, language_model: LanguageModel | None,
        former: Sequence[Embedder] = (),
    ) -> None:  # fmt: skip
        self._language_model = language_model
        self.use(embedder, former)
        self._waiting: list[str] = []
        self._ready: dict[str, FloatArray] = {}

    def use(self, embedder: Embedder | None, former: Sequence[Embedder] = ()) -> None:
        """Go on with another embedder. `former` ones answer for what has no vector of it yet."""
        left = {space_of(each): each for each in former}
        left.pop(space_of(embedder), None)
        self._held = (embedder, tuple(left.values()))  # one assignment: nobody sees it half done

    def pinned(self) -> GuardedModels:
        """These models as they are now, for one piece of work."""
        embedder, former = self._held
        return GuardedModels(embedder, self._language_model, former)

    @property
    def former(self) -> tuple[Embedder, ...]:
        """The embedders before this one of which vectors may be left."""
        return self._held[1]

    @property
    def spaces(self) -> tuple[str, ...]:
        """The embedder's space, and those of the former ones."""
        embedder, former = self._held
        every = (space_of(each) for each in (embedder, *former))
        return tuple(space for space in every if space is not None)

    def vector(self, space: str, query: str) -> FloatArray:
        """A question's normalised vector in one of `spaces`. Raises as `embed`."""
        embedder, former = self._held
        fitting = [each for each in (embedder, *former) if space_of(each) == space]
        made: FloatArray = _vectors(fitting[0] if fitting else None, [query], query=True)[0]
        return made

    @property
    def embedder(self) -> Embedder | None:
        return self._held[0]

    @property
    def language_model(self) -> LanguageModel | None:
        return self._language_model

    @property
    def space(self) -> str | None:
        """The name of the vector space, or None without an embedder."""
        return space_of(self._held[0])

    def announce(self, records: Iterable[Record]) -> None:
        """Pieces of these will be asked for one by one; the first asking embeds a batch of them."""
        if self.embedder is not None:
            texts = (text for r in records for _, text in pieces(r.text, r.spoken))
            self._waiting, self._ready = list(dict.fromkeys(texts)), {}

    def embed(self, text: str, *, query: bool = False) -> FloatArray:
        """One normalised vector. Raises BadVectors, or whatever the embedder raises."""
        made: FloatArray | None = None if query else self._ready.get(text)
        if made is None and not query and text in self._waiting[:_MANY]:
            # If the batch fails, its other texts are asked for alone.
            batch, self._waiting = self._waiting[:_MANY], self._waiting[_MANY:]
            vectors = _vectors(self.embedder, batch, query=False)
            self._ready.update(zip(batch, vectors, strict=True))
            made = self._ready[text]
        if made is None:
            made = _vectors(self.embedder, [text], query=query)[0]
        return made

    def done(self) -> None:
        """Forget what was announced."""
        self._waiting, self._ready = [], {}


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
