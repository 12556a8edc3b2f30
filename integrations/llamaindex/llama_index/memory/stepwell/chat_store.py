"""The writing side of LlamaIndex's own Memory: every message reaches the scope when it is put."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.storage.chat_store.base_db import MessageStatus
from llama_index.core.storage.chat_store.sql import SQLAlchemyChatStore
from pydantic import PrivateAttr

from llama_index.memory.stepwell.messages import LOGGER, to_turn
from stepwell import AsyncScope, Scope
from stepwell.adapting import Keeper, Tally, scope_of, session_name


class StepwellChatStore(SQLAlchemyChatStore):
    """A chat store that a scope listens to, beside a StepwellMemoryBlock that recalls from it.

        Memory.from_defaults(
            session_id="s1", chat_store=StepwellChatStore(scope),
            memory_blocks=[StepwellMemoryBlock(scope=scope)],
        )

    The short-term queue is LlamaIndex's own, in its database. Nothing of the scope's raises into
    it; what was lost is counted in `tally` and logged. Needs a version of LlamaIndex whose Memory
    takes a `chat_store` (0.14.24).
    """

    _scope: Scope = PrivateAttr()
    _keeper: Keeper = PrivateAttr()

    def __init__(
        self, scope: Scope | AsyncScope | str, *, table_name: str = "llama_index_memory",
        patience: float = 5.0, **settings: Any,
    ) -> None:  # fmt: skip
        super().__init__(table_name=table_name, **settings)
        self._scope = scope_of(scope)
        self._keeper = Keeper(LOGGER, patience=patience)

    @property
    def tally(self) -> Tally:
        """What was recorded, and what was lost or waits."""
        return self._keeper.tally

    async def add_message(
        self, key: str, message: ChatMessage, status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Add a message to a session."""
        await super().add_message(key, message, status)
        await self._record(key, [message])

    async def add_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Add messages to a session."""
        await super().add_messages(key, messages, status)
        await self._record(key, messages)

    async def set_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Make these the messages of a session. What is known of them is not stored again."""
        await super().set_messages(key, messages, status)
        await self._record(key, messages, history=True)

    async def _record(
        self, key: str, messages: Sequence[ChatMessage], *, history: bool = False
    ) -> None:
        session, now = session_name(key), None if history else self._scope.now
        turns = [to_turn(each, session=session, at=now) for each in messages]
        await self._keeper.arecord(self._scope, turns, history=history)
