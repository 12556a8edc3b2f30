"""A second dense key for each record, made while nobody waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import stepwell
from stepwell import Candidates, Embedder, Key, Plan, Record, View, hookimpl
from stepwell.mechanisms.passages import pieces
from stepwell_onnx.embedders import OnnxEmbedder
from stepwell_onnx.folders import InvalidInput
from stepwell_onnx.pooling import FloatArray, unit

CHANNEL = "sentences"


class Sentences:
    """Finds records by the vectors of a sentence transformer, beside whatever else finds them.

    `model` is a folder, or any Embedder. It is opened here, so that what is wrong with it is said
    at once: raises InvalidInput. `consolidate` makes the keys, one for each passage; `remember`
    and `recall` never wait for them. A record without one is found as before. Where the embedder
    of the memory is of the same space, this has nothing to add and does nothing.
    """

    name = CHANNEL

    def __init__(self, model: str | Path | Embedder) -> None:
        made = OnnxEmbedder(model) if isinstance(model, str | Path) else model
        if not isinstance(made, Embedder):
            raise InvalidInput("a model is a folder, or has a name, a dim and embed(texts)")
        self._embedder: Embedder = made
        self._space = f"{made.name}/{made.dim}"

    @property
    def space(self) -> str:
        """The name of the vector space of its keys. Another model makes its keys beside these."""
        return self._space

    @property
    def params(self) -> dict[str, object]:
        """What the file remembers of it in a preset."""
        return {"space": self._space}

    @hookimpl
    def later_keys(self, records: Sequence[Record], view: View) -> list[list[Key]] | None:
        """Keys of each record in turn. Raises BadVectors."""
        if view.models.space == self._space:
            return None
        # Captions, action and observation belong to a text that is whole.
        cut = [pieces(record.text, record.spoken) for record in records]
        texts = [text for each in cut for _, text in each]
        bodies = iter([row.astype("<f4").tobytes() for row in self._vectors(texts, query=False)])
        return [
            [
                Key(channel="vectors", space=self._space, body=next(bodies), span=span)
                for span, _ in each
            ]
            for each in cut
        ]

    @hookimpl
    def search(self, plan: Plan, view: View) -> Candidates | None:
        """What is nearest to the question; None, and no work, where nothing has a key yet."""
        if view.models.space == self._space or not view.holds(self._space):
            return None
        vectors = self._vectors(list(plan.queries or (plan.query.text,)), query=True)
        found = [view.nearest(self._space, vector) for vector in vectors]
        if len(found) == 1:
            return replace(found[0], channel=CHANNEL)
        # A place may stand here once for each text: its best score counts.
        spans = [each.spans for each in found if each.spans is not None]
        return Candidates(
            CHANNEL,
            np.concatenate([each.places for each in found]),
            np.concatenate([each.scores for each in found]),
            np.concatenate(spans) if len(spans) == len(found) else None,
        )

    def _vectors(self, texts: list[str], *, query: bool) -> FloatArray:
        made = np.asarray(self._embedder.embed(texts, query=query), np.float32)
        if made.shape != (len(texts), self._embedder.dim) or not np.isfinite(made).all():
            raise stepwell.errors.BadVectors(
                f"embedder {self._embedder.name!r} returned another shape, NaN or infinity"
            )
        return unit(made)
