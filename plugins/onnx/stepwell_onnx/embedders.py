"""The embedder: texts to vectors, and to the states of their tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

import stepwell
from stepwell_onnx.folders import (
    MAX_TOKENS,
    POOLINGS,
    InvalidInput,
    digests,
    read_folder,
    verify,
)
from stepwell_onnx.pooling import FloatArray, batches, pool, unit
from stepwell_onnx.sessions import Encoded, Mutex, Runner

#: How many tokens are run together, about.
BATCH_TOKENS: Final = 512


class _How(NamedTuple):
    """Which output is read, how it is pooled if it is not yet, and how wide it is."""

    output: str
    pooling: str | None
    dim: int


class OnnxEmbedder:
    """A sentence transformer in a local folder: `model.onnx` and `tokenizer.json`.

    `file` is the model's path within the folder, if it is none of `model.onnx`,
    `onnx/model.onnx`, `model_quantized.onnx` and `onnx/model_quantized.onnx`.

    What is not given is taken from the folder: `pooling` ("cls", "mean", "max") from
    `1_Pooling/config.json`, else "mean"; `max_tokens` from `sentence_bert_config.json` or
    `tokenizer_config.json`, else 512; the prefixes of questions and of passages from the prompts
    of `config_sentence_transformers.json`, else none. A model that pools by itself, into an output
    `sentence_embedding`, is let do so unless `pooling` is given.

    `sha256` is what the model's file must hash to, in hex, or a mapping of several files' paths
    within the folder to theirs. `label` stands in the name in place of the folder's own. `threads`
    are those that one run may use; 0 leaves it to onnxruntime. Texts of like length are run
    together, up to `batch_tokens` padded tokens; 1 runs each alone, so that not even a model that
    scales its numbers to the batch (dynamic int8) gives a text another vector in other company.

    The model is opened when it is first needed. Thread safe, and safe to fork. Raises InvalidInput
    for a folder, file or parameter that cannot be used; it names the folder and what is wrong.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        file: str | None = None,
        pooling: str | None = None,
        max_tokens: int | None = None,
        query_prefix: str | None = None,
        passage_prefix: str | None = None,
        sha256: str | Mapping[str, str] | None = None,
        label: str | None = None,
        threads: int = 0,
        batch_tokens: int = BATCH_TOKENS,
    ) -> None:
        self._folder = read_folder(folder, file)
        if pooling is not None and pooling not in POOLINGS:
            raise InvalidInput(f"pooling is one of {', '.join(POOLINGS)}, not {pooling!r}")
        if max_tokens is not None and max_tokens < 3:
            raise InvalidInput(f"max_tokens must be at least 3, not {max_tokens}")
        if threads < 0 or batch_tokens < 1:
            raise InvalidInput("threads must be at least 0, and batch_tokens at least 1")
        said = self._folder.prompts
        self._pooling = pooling
        self._max_tokens = max_tokens or self._folder.max_tokens or MAX_TOKENS
        self._query = _prefix(query_prefix, said, ("query",))
        self._passage = _prefix(passage_prefix, said, ("passage", "document"))
        self._label = self._folder.label if label is None else label
        self._batch_tokens = batch_tokens
        self._runner = Runner(self._folder, max_tokens=self._max_tokens, threads=threads)
        self._mutex = Mutex()
        self._digests: dict[str, str] | None = None
        self._how: _How | None = None
        if sha256 is not None:
            verify(self._folder, sha256, self._files())

    def __repr__(self) -> str:
        return f"OnnxEmbedder({str(self._folder.path)!r})"

    # what it is -----------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Such as `onnx:bge-small@0f1e2d3c4b5a`: the label, and what the vectors depend on.

        Those 12 digits change with the weights, the tokenizer, the pooling, the length and the
        prefix of passages. No path stands in it. Opens the model.
        """
        facts = (*sorted(self._files().items()), self._ready(), self._max_tokens, self._passage)
        return f"onnx:{self._label}@{hashlib.sha256(repr(facts).encode()).hexdigest()[:12]}"

    @property
    def dim(self) -> int:
        """How many numbers a vector has. Opens the model."""
        return self._ready().dim

    def _files(self) -> dict[str, str]:
        """The hashes of the files, read once."""
        if self._digests is None:
            with self._mutex:
                if self._digests is None:
                    self._digests = digests(self._folder)
        return self._digests

    def _ready(self) -> _How:
        """What is to be done with this model. Opens it; raises InvalidInput if it cannot."""
        if self._how is None:
            self._how = self._look()
        return self._how

    def _look(self) -> _How:
        own, states = self._runner.outputs()
        if own is not None and self._pooling is None:
            return _How(own, None, self._width(own))
        where = self._folder.path
        if states is None:
            raise InvalidInput(f"{where}: the model gives no states of tokens to pool")
        if self._folder.extra and self._pooling is None:
            layers = ", ".join(self._folder.extra)
            raise InvalidInput(f"{where}: after the pooling it needs {layers}, which is not there")
        pooling = self._pooling or self._folder.pooling or "mean"
        if pooling not in POOLINGS:
            raise InvalidInput(f"{where}: it pools by {pooling!r}, which is not one of {POOLINGS}")
        return _How(states, pooling, self._width(states))

    def _width(self, output: str) -> int:
        said = self._runner.width(output)
        if said is None:
            probe = [each for each in self._runner.encode(["a probe"]) if each.ids]
            said = int(self._runner.run(probe, output)[0].shape[-1])
        return said

    # what it does ---------------------------------------------------------------------------------

    def embed(self, texts: Sequence[str], *, query: bool = False) -> FloatArray:
        """One row of length 1 for each text, float32 (texts, dim), in their order.

        `query` puts the prefix of questions in front instead of that of passages. A text longer
        than the model takes is cut; one without any token has a row of zeros. Raises BadVectors
        when the model gives NaN or infinity.
        """
        how = self._ready()
        rows = np.zeros((len(texts), how.dim), np.float32)
        encoded = self._encode(texts, query=query)
        for batch in batches([len(each.ids) for each in encoded], self._batch_tokens):
            made, mask = self._runner.run([encoded[i] for i in batch], how.output)
            rows[batch] = made if how.pooling is None else pool(made, mask, how.pooling)
        return unit(self._finite(rows))

    def tokens(self, texts: Sequence[str], *, query: bool = False) -> list[FloatArray]:
        """The states of each text's tokens, float32 (tokens, width), each row of length 1.

        Special tokens and those of a prefix are left out, so a text may have none. Raises
        InvalidInput for a model that gives no states, BadVectors for NaN or infinity.
        """
        states = self._runner.outputs()[1]
        if states is None:
            raise InvalidInput(f"{self._folder.path}: the model gives no states of tokens")
        encoded = self._encode(texts, query=query)
        lead = len(self._query if query else self._passage)
        found = [np.empty((0, self._width(states)), np.float32)] * len(texts)
        for batch in batches([len(each.ids) for each in encoded], self._batch_tokens):
            made = self._runner.run([encoded[i] for i in batch], states)[0]
            for row, i in enumerate(batch):
                found[i] = unit(self._finite(made[row][_own(encoded[i], lead)]))
        return found

    def _encode(self, texts: Sequence[str], *, query: bool) -> list[Encoded]:
        prefix = self._query if query else self._passage
        return self._runner.encode([prefix + text for text in texts])

    def _finite(self, rows: FloatArray) -> FloatArray:
        if not np.isfinite(rows).all():
            raise stepwell.errors.BadVectors(f"{self._folder.path}: it returned NaN or infinity")
        return rows


def _prefix(given: str | None, said: Mapping[str, str], names: Sequence[str]) -> str:
    if given is not None:
        return given
    return next((said[name] for name in names if name in said), "")


def _own(encoded: Encoded, lead: int) -> list[int]:
    """Positions of the tokens that stand for the text itself, after `lead` characters of prefix."""
    return [
        at
        for at, special in enumerate(encoded.special_tokens_mask)
        if not special and encoded.offsets[at][1] > lead
    ]
