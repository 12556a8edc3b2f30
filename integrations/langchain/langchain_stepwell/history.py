"""A chat history in a scope: for apps on RunnableWithMessageHistory and the memories before it."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Sequence

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage, BaseMessageChunk, message_chunk_to_message

from langchain_stepwell.messages import to_message, to_turn
from langchain_stepwell.runs import LOGGER
from stepwell import AsyncScope, Filter, Scope, Turn
from stepwell.adapting import Keeper, Tally, scope_of, session_name, turn_name

#: Turns that are read at once.
_PAGE = 1_000


class StepwellChatMessageHistory(BaseChatMessageHistory):
    """The messages of one session: `StepwellChatMessageHistory(scope, session_id="s1")`.

    A faithful log: it holds what was added, as it was added, and nothing that was recalled. The
    scope remembers it all the same. A turn that was forgotten is gone from it, and `clear` forgets
    the whole session for good.

    A store that fails does not break a chain. What could not be stored stays in this history, is
    counted in `tally`, logged, and stored with the next messages; what cannot be read is as it was
    last read. `deadline` is for reading, `patience` for writing, in seconds. Only `clear` raises:
    whoever asks for it has to know whether it was done.
    """

    def __init__(
        self, scope: Scope | AsyncScope | str, session_id: str, *, deadline: float = 5.0,
        patience: float = 5.0,
    ) -> None:  # fmt: skip
        self.scope = scope_of(scope)
        self.session_id = session_id
        self._session = session_name(session_id, "")
        self._keeper = Keeper(LOGGER, deadline=deadline, patience=patience)
        self._lock = threading.Lock()
        self._read: list[tuple[str, BaseMessage]] = []
        self._left: list[tuple[Turn, BaseMessage]] = []

    @property
    def tally(self) -> Tally:
        """What was stored, what was lost or waits, and which readings came to nothing."""
        return self._keeper.tally

    @property
    def turns(self) -> tuple[str, ...]:
        """The turn ids of the messages that were read last."""
        with self._lock:
            return tuple(name for name, _ in self._read)

    # reading ----------------------------------------------------------------------------------

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override] # as the base's docs have it
        """All messages of the session, in their order."""
        return self._all(self._keeper.ask(self._stored, "reading a history"))

    async def aget_messages(self) -> list[BaseMessage]:
        """The same, without blocking the loop."""
        return self._all(await self._keeper.aask(self._stored, "reading a history"))

    def _stored(self) -> list[tuple[str, BaseMessage]]:
        where, after = Filter(session=self._session, level=0), None
        found = []
        while page := self.scope.records(where, after=after, limit=_PAGE):
            after = page[-1].id
            for record in page:
                message = to_message(record)
                if message is not None:
                    found.append((record.turn or record.id, message))
        return found

    def _all(self, stored: list[tuple[str, BaseMessage]] | None) -> list[BaseMessage]:
        with self._lock:
            if stored is not None:
                self._read = stored
            known = {name for name, _ in self._read}
            left = [message for turn, message in self._left if turn.id not in known]
            return [message for _, message in self._read] + left

    # adding -----------------------------------------------------------------------------------

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Add messages, in their order; each is a turn of its own."""
        turns = self._added(messages)
        stored = self._keeper.record(self.scope, turns)
        self._settle(turns, stored=stored is not None)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """The same, without blocking the loop."""
        turns = self._added(messages)
        stored = await self._keeper.arecord(self.scope, turns)
        self._settle(turns, stored=stored is not None)

    def _added(self, messages: Sequence[BaseMessage]) -> list[Turn]:
        """What is to be stored: what was left over, and these. Ids make doing it twice harmless."""
        now = self.scope.now
        with self._lock:
            for message in messages:
                name = turn_name(self._session, uuid.uuid4().hex)
                turn = to_turn(message, session=self._session, name=name, at=now, whole=True)
                if isinstance(message, BaseMessageChunk):
                    message = message_chunk_to_message(message)  # noqa: PLW2901 - it has ended
                if turn is not None:
                    self._left.append((turn, message))
            return [turn for turn, _ in self._left]

    def _settle(self, turns: Sequence[Turn], *, stored: bool) -> None:
        if not stored:
            return
        names = {turn.id for turn in turns}
        with self._lock:
            self._read += [(t.id or "", message) for t, message in self._left if t.id in names]
            self._left = [each for each in self._left if each[0].id not in names]

    # clearing ---------------------------------------------------------------------------------

    def clear(self) -> None:
        """Forget the session for good, in this scope's memory too. Raises StoreError."""
        where = Filter(session=self._session, level=0)
        # What waits to be stored would come back after this.
        self._keeper.flush()
        if self.scope.count(where):
            self.scope.forget(where=where)
        with self._lock:
            self._read, self._left = [], []

    async def aclear(self) -> None:
        """The same, without blocking the loop."""
        await asyncio.to_thread(self.clear)
