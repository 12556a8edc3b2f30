"""What a scope remembers, as documents: for chains that take a retriever."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field, PrivateAttr, field_serializer, field_validator

from langchain_stepwell.runs import LOGGER
from stepwell import AsyncScope, Hit, Recall, Scope, errors
from stepwell.adapting import Keeper, described, scope_of

#: Seconds that a question may take where nobody says how long.
_LONG: Final = 60.0


class StepwellRetriever(BaseRetriever):
    """Recalls from a scope: `StepwellRetriever(scope=scope, k=5)`.

    - `scope`: a Scope, an AsyncScope or the URI of one.
    - `k`: documents at most; `retriever.invoke(question, k=3)` for one question.
    - `levels`: which levels are wanted, (0,) unless given: what was said, word for word.
    - `search_kwargs`: anything else that `Scope.recall` takes, such as `where`, `min_score`,
      `min_trust`, `now`.
    - `deadline`: seconds, and then nothing is found.

    A document's text is the record's, or the passage of a long one that was found. Its metadata
    tells level, kind, score, sources (turn ids), why, and actor, role, session, said_at and the
    span of a passage where they are known. A question that cannot be asked raises stepwell's
    InvalidInput. A store that fails or is late gives nothing, and a line of the log; with `strict`
    it raises.
    """

    # A misspelt setting would change nothing, in silence.
    model_config = ConfigDict(extra="forbid")

    scope: Any
    k: int = 5
    levels: tuple[int, ...] | None = None
    search_kwargs: dict[str, Any] = Field(default_factory=dict)
    deadline: float | None = None
    strict: bool = False
    _keeper: Keeper = PrivateAttr()

    @field_validator("scope")
    @classmethod
    def _scope(cls, given: object) -> Scope:
        return scope_of(given)

    @field_serializer("scope", when_used="json")
    def _uri(self, scope: Scope) -> str:
        return scope.uri

    @classmethod
    def from_texts(
        cls, texts: Iterable[str], metadatas: Iterable[Mapping[str, Any]] | None = None, *,
        scope: Scope | AsyncScope | str, ids: Iterable[str] | None = None, **settings: Any,
    ) -> Self:  # fmt: skip
        """A retriever on a scope that remembers these texts.

        Doing it again with the same texts adds nothing: where there are no `ids` they are made of
        texts and metadata, which become the turns' payloads. Raises InvalidTurn.
        """
        mine = scope_of(scope)
        held = list(texts)
        told = [dict(each) for each in metadatas] if metadatas is not None else [{} for _ in held]
        names = list(ids) if ids is not None else list(map(_name, held, told))
        if not len(held) == len(told) == len(names):
            raise errors.InvalidTurn("there is not one metadata and one id for each text")
        receipt = mine.remember_many(
            {"id": name, "text": text, "origin": "unknown", "payload": payload}
            for name, text, payload in zip(names, held, told, strict=True)
        )
        if any(skip.reason == "conflict" for skip in receipt.skipped):
            raise errors.InvalidTurn("a text of one of these ids is there, and another one")
        return cls(scope=mine, **settings)

    @classmethod
    def from_documents(
        cls, documents: Iterable[Document], *, scope: Scope | AsyncScope | str, **settings: Any
    ) -> Self:
        """The same for documents: their ids, metadata and texts."""
        given = list(documents)
        # Documents that were recalled have the ids of records, which no turn may have.
        ids = [
            each.id if each.id and not each.id.startswith("r_")
            else _name(each.page_content, each.metadata)
            for each in given
        ]  # fmt: skip
        texts, metadatas = [d.page_content for d in given], [d.metadata for d in given]
        return cls.from_texts(texts, metadatas, ids=ids, scope=scope, **settings)

    def model_post_init(self, context: Any, /) -> None:
        """A keeper for the deadline."""
        super().model_post_init(context)
        self._keeper = Keeper(LOGGER, deadline=_LONG if self.deadline is None else self.deadline)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        _ = run_manager  # nobody is asked but the store
        return self._found(self._keeper.ask(self._question(query, k)))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        _ = run_manager
        return self._found(await self._keeper.aask(self._question(query, k)))

    def _question(self, query: str, k: int | None) -> Callable[[], Recall | Exception]:
        """The question, as a call; what is to be raised comes back as well."""
        told = {"k": self.k, "levels": self.levels, "deadline": self.deadline, **self.search_kwargs}
        asked = told if k is None else {**told, "k": k}

        def call() -> Recall | Exception:
            try:
                recall: Recall = self.scope.recall(query, **asked)
            except errors.InvalidInput as error:
                return error
            except (errors.StepwellError, TypeError) as error:
                if self.strict or isinstance(error, TypeError):
                    return error
                raise
            return recall

        return call

    def _found(self, answer: Recall | Exception | None) -> list[Document]:
        if isinstance(answer, Exception):
            raise answer
        if answer is None and self.strict:
            raise errors.StoreBusy("the memory has not answered in time")
        return [] if answer is None else [_document(hit) for hit in answer]


def _name(text: str, metadata: Mapping[str, Any]) -> str:
    """The turn id of a text that comes without one."""
    told = json.dumps([text, metadata], sort_keys=True, default=str)
    return f"document-{hashlib.blake2b(told.encode(), digest_size=16).hexdigest()}"


def _document(hit: Hit) -> Document:
    """A hit as a document. What it brought along stands where its chain looks for it."""
    metadata = {**hit.record.payload, **described(hit)}
    return Document(id=hit.record.id, page_content=hit.text, metadata=metadata)
