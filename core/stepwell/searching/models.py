"""The one way from policies to an embedder or a language model."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol

import numpy as np

from stepwell.asking import Asker, Caller
from stepwell.contracts import Embedder, FloatArray, LanguageModel, ScopeRow
from stepwell.errors import BadVectors
from stepwell.mechanisms.passages import pieces
from stepwell.models import Annotation, Fact, Parsed, Record, Relation, Summary

_MANY = 256


def space_of(embedder: Embedder | None) -> str | None:
    """The name of an embedder's vector space."""
    return None if embedder is None else f"{embedder.name}/{embedder.dim}"


class Holder(Protocol):
    """A view, as far as models need one."""

    @property
    def row(self) -> ScopeRow | None: ...
    def let_go(self) -> None: ...


class GuardedModels:
    """An embedder and a language model, checked. Texts announced together are embedded together.

    A Memory has one, whose embedder may change at any moment. Every view works with a copy of its
    own (`pinned`): what it calls a space and what makes its vectors are always of one embedder.
    """

    def __init__(
        self, embedder: Embedder | None, language_model: LanguageModel | None,
        former: Sequence[Embedder] = (), *, caller: Caller | None = None,
    ) -> None:  # fmt: skip
        self._language_model = language_model
        if caller is None and language_model is not None:
            caller = Caller(language_model)
        self._caller = caller
        self.use(embedder, former)
        self._waiting: list[str] = []
        self._ready: dict[str, FloatArray] = {}

    def use(self, embedder: Embedder | None, former: Sequence[Embedder] = ()) -> None:
        """Go on with another embedder. `former` ones answer for what has no vector of it yet."""
        left = {space_of(each): each for each in former}
        left.pop(space_of(embedder), None)
        self._held = (embedder, tuple(left.values()))  # one assignment: nobody sees it half done
        embed = None if embedder is None else partial(_vectors, embedder, query=False)
        self._asker = Asker(self._caller, embed)

    def pinned(self, holder: Holder | None = None) -> GuardedModels:
        """These models as they are now, for one piece of work of a view.

        It lets go before a language model thinks, and its scope's secret fences what is quoted.
        """
        embedder, former = self._held
        pinned = GuardedModels(embedder, self._language_model, former, caller=self._caller)
        if holder is not None:
            # No circle: a view goes, with all that it holds, when its block ends.
            mine = weakref.ref(holder)
            pinned._asker.held_by(partial(_let_go, mine), partial(_secret, mine))
        return pinned

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

    def vectors(self, texts: Sequence[str]) -> FloatArray:
        """Normalised vectors of texts that are remembered, one a row. Raises as `embed`."""
        embedder = self.embedder
        pages = [texts[i : i + _MANY] for i in range(0, len(texts), _MANY)]
        made = [_vectors(embedder, page, query=False) for page in pages]
        return np.concatenate(made) if made else np.empty((0, 0), dtype=np.float32)

    def done(self) -> None:
        """Forget what was announced."""
        self._waiting, self._ready = [], {}

    # typed calls: see stepwell.contracts.Models -----------------------------------------------

    def facts(self, texts: Sequence[str], *, known: Sequence[str] = ()) -> tuple[Fact, ...]:
        return self._asker.facts(texts, known=known)

    def annotate(self, text: str) -> Annotation:
        return self._asker.annotate(text)

    def summarize(self, texts: Sequence[str], *, tokens: int = 64, before: str = "") -> Summary:
        return self._asker.summarize(texts, tokens=tokens, before=before)

    def relate(self, newer: str, older: Sequence[str]) -> tuple[Relation, ...]:
        return self._asker.relate(newer, older)

    def same_topic(self, one: str, other: str) -> bool:
        return self._asker.same_topic(one, other)

    def parse_query(self, text: str) -> Parsed:
        return self._asker.parse_query(text)

    def next_query(self, question: str, found: Sequence[str]) -> str | None:
        return self._asker.next_query(question, found)

    def merge_profile(self, profile: str, facts: Sequence[str], *, tokens: int = 256) -> str:
        return self._asker.merge_profile(profile, facts, tokens=tokens)

    def take_notes(self) -> tuple[str, ...]:
        """Which calls rules have answered in a model's place, and why; they are told once."""
        return self._asker.take_notes()


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


def _let_go(holder: weakref.ref[Holder]) -> None:
    held = holder()
    if held is not None:
        held.let_go()


def _secret(holder: weakref.ref[Holder]) -> bytes | None:
    """The scope's secret; None where nothing is stored yet."""
    held = holder()
    row = None if held is None else held.row
    return None if row is None else row.secret
