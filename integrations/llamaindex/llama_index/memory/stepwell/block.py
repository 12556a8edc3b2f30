"""A block of LlamaIndex's own Memory that recalls from a scope, and takes what overflows."""

from __future__ import annotations

from typing import Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.memory.memory import BaseMemoryBlock
from pydantic import PrivateAttr, field_serializer, field_validator

from llama_index.memory.stepwell.messages import LOGGER, said, to_turn
from stepwell import Scope
from stepwell.adapting import Keeper, Tally, quoted, scope_of, session_name


class StepwellMemoryBlock(BaseMemoryBlock[str]):
    """A block: `Memory.from_defaults(memory_blocks=[StepwellMemoryBlock(scope=scope)])`.

    Tells what the scope remembers of the latest message, fenced as quoted data, in at most
    `budget` tokens. LlamaIndex puts into a block only what its short-term memory no longer holds:
    that is stored in the scope, under its session. It keeps nothing of any session itself, so one
    block may serve many. `StepwellMemory` stores every message when it is said.
    """

    name: str = "stepwell"
    scope: Any
    budget: int = 800
    min_trust: float = 0.0
    deadline: float = 1.0
    patience: float = 5.0
    _keeper: Keeper = PrivateAttr()

    @field_validator("scope")
    @classmethod
    def _scope(cls, given: object) -> Scope:
        return scope_of(given)

    @field_serializer("scope")
    def _uri(self, scope: Scope) -> str:
        return scope.uri

    def model_post_init(self, context: Any, /) -> None:
        """A keeper for the deadline and the patience."""
        super().model_post_init(context)
        self._keeper = Keeper(LOGGER, deadline=self.deadline, patience=self.patience)

    @property
    def tally(self) -> Tally:
        """What was recorded, what was lost or waits, and which recalls came to nothing."""
        return self._keeper.tally

    async def _aget(self, messages: list[ChatMessage] | None = None, **block_kwargs: Any) -> str:
        held = messages or []
        query = next((said(m) for m in reversed(held) if m.role == MessageRole.USER), "")
        if not query:
            return ""
        told = block_kwargs.get("session_id")
        session = None if told is None else session_name(str(told))
        return await self._keeper.aask(lambda: self._quoted(query, held, session)) or ""

    def _quoted(self, query: str, held: list[ChatMessage], session: str | None) -> str:
        names: list[str | None] = []
        if session is not None:
            names = self.scope.identify([to_turn(each, session=session) for each in held])
        return quoted(
            self.scope, query, present=[name for name in names if name], budget=self.budget,
            min_trust=self.min_trust, deadline=self.deadline,
        )  # fmt: skip

    async def _aput(self, messages: list[ChatMessage]) -> None:
        by_session: dict[str | None, list[ChatMessage]] = {}
        for message in messages:
            told = message.additional_kwargs.get("session_id")
            named = None if told is None else session_name(str(told))
            bare = {k: v for k, v in message.additional_kwargs.items() if k != "session_id"}
            plain = message.model_copy(update={"additional_kwargs": bare})
            by_session.setdefault(named, []).append(plain)
        for session, some in by_session.items():
            turns = [to_turn(each, session=session) for each in some]
            await self._keeper.arecord(self.scope, turns)

    async def atruncate(self, content: str, tokens_to_truncate: int) -> str | None:
        """Nothing of it: half a quotation is none."""
        _ = content, tokens_to_truncate
        return None
