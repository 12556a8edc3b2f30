"""LlamaIndex's models as parts of a memory: any embeddings, any LLM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import LLM

from stepwell import Embedder, LanguageModel, errors

#: Embedded once, to learn how long the vectors are; and what is embedded in place of nothing.
_PROBE: Final = "stepwell"


class _Embedder:
    """Embeddings as an Embedder."""

    def __init__(self, embeddings: BaseEmbedding, name: str, dim: int) -> None:
        self._embeddings = embeddings
        self.name = name
        self.dim = dim

    def embed(self, texts: Sequence[str], *, query: bool = False) -> Any:
        """One row a text, (n, dim)."""
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        said = [text if text.strip() else "." for text in texts]
        if query:
            return np.asarray([self._embeddings.get_query_embedding(t) for t in said], np.float32)
        return np.asarray(self._embeddings.get_text_embedding_batch(said), np.float32)


class _LanguageModel:
    """An LLM as a LanguageModel."""

    def __init__(self, llm: LLM, name: str) -> None:
        self._llm = llm
        self.name = name

    def generate(self, prompt: str, *, schema: Mapping[str, Any] | None = None) -> str:
        """The model's answer. It is asked for JSON in the prompt, and its answer is checked."""
        _ = schema
        return str(self._llm.complete(prompt).text)


def embedder_of(
    embeddings: BaseEmbedding, *, name: str | None = None, dim: int | None = None
) -> Embedder:
    """Any LlamaIndex embeddings as the embedder of a memory.

        Memory.open("team.db", embedder=embedder_of(OpenAIEmbedding(model="...")))

    `name` is the model's, its version included, unless given: vectors of another name are made
    anew. `dim` is found by embedding one word. Raises InvalidInput for embeddings without a name.
    """
    named = (name or embeddings.model_name).strip()
    if not named or named == "unknown":
        raise errors.InvalidInput("embeddings need the name of their model")
    length = len(embeddings.get_query_embedding(_PROBE)) if dim is None else dim
    return _Embedder(embeddings, f"llama-index:{named}", length)


def language_model_of(llm: LLM, *, name: str | None = None) -> LanguageModel:
    """Any LLM as the language model of a memory.

    Memory.open("team.db", language_model=language_model_of(OpenAI(model="...")))
    """
    return _LanguageModel(llm, f"llama-index:{name or llm.metadata.model_name}")
