"""LangChain's models as parts of a memory: any embeddings, any chat model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig

from stepwell import Embedder, LanguageModel, errors

#: A memory may ask its model while an app runs. That is no part of what the app streams.
_APART: RunnableConfig = {"callbacks": []}
#: Embedded once, to learn how long the vectors are.
_PROBE = "stepwell"


class _Embedder:
    """Embeddings as an Embedder."""

    def __init__(self, embeddings: Embeddings, name: str, dim: int) -> None:
        self._embeddings = embeddings
        self.name = name
        self.dim = dim

    def embed(self, texts: Sequence[str], *, query: bool = False) -> Any:
        """One row a text, (n, dim)."""
        if not texts:
            return np.empty((0, self.dim), np.float32)
        # Services refuse an empty text, and the others sent with it.
        asked = [text or " " for text in texts]
        if query:
            return np.asarray([self._embeddings.embed_query(text) for text in asked], np.float32)
        return np.asarray(self._embeddings.embed_documents(asked), np.float32)


class _LanguageModel:
    """A chat model as a LanguageModel."""

    def __init__(self, model: BaseChatModel, name: str, structured: bool) -> None:
        self._model = model
        self._structured = structured
        self.name = name

    def generate(self, prompt: str, *, schema: Mapping[str, Any] | None = None) -> str:
        """The model's answer."""
        if schema is None or not self._structured:
            return str(self._model.invoke(prompt, _APART).text)
        answer = self._model.with_structured_output(dict(schema)).invoke(prompt, _APART)
        return json.dumps(answer, ensure_ascii=False, default=str)


def embedder_of(embeddings: Embeddings, *, name: str, dim: int | None = None) -> Embedder:
    """Any LangChain embeddings as the embedder of a memory.

        Memory.open("team.db", embedder=embedder_of(OpenAIEmbeddings(model="..."), name="..."))

    `name` is the model's, its version included: vectors of another name are made anew. `dim` is
    found by embedding one word, unless given. Raises InvalidInput for a name that is empty.
    """
    if not name.strip():
        raise errors.InvalidInput("embeddings need the name of their model")
    length = len(embeddings.embed_query(_PROBE)) if dim is None else dim
    return _Embedder(embeddings, f"langchain:{name}", length)


def language_model_of(
    model: BaseChatModel, *, name: str | None = None, structured: bool = False
) -> LanguageModel:
    """Any chat model as the language model of a memory.

        Memory.open("team.db", language_model=language_model_of(ChatOpenAI(model="...")))

    With `structured` the model is held to the schema by `with_structured_output`, where its
    integration can do that; else it is asked for JSON, and its answer checked.
    """
    named = name or getattr(model, "model_name", None) or getattr(model, "model", None)
    return _LanguageModel(model, f"langchain:{named or type(model).__name__}", structured)
