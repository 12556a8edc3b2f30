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
from stepwell import AsyncScope, Filter, Receipt, Scope, Status, Turn, errors
from stepwell.adapting import Keeper, Tally, scope_of, session_name, turn_name

#: Turns that are read at once.
_PAGE = 1_000
#: A turn that no longer takes part in recall was said all the same; what is stale was forgotten.
_SAID = [status for status in Status if status is not Status.STALE]


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
        self, scope: Scope | AsyncScope | str, session_id: object, *, deadline: float = 5.0,
        patience: float = 5.0,
    ) -> None:  # fmt: skip
        if session_id is None or session_id == "":
            raise errors.InvalidInput("a history needs the id of its session")
        self.scope = scope_of(scope)
        self.session_id = str(session_id)
        self._session = session_name(self.session_id)
        self._patience = patience
        self._keeper = Keeper(LOGGER, deadline=deadline, patience=patience)
        self._lock = threading.Lock()
        self._read: list[tuple[str, BaseMessage]] = []
        self._left: list[tuple[Turn, BaseMessage]] = []
        self._refused = 0
        self._failed = False

    @property
    def tally(self) -> Tally:
        """What was stored, what was refused or waits, and which readings came to nothing."""
        asked = self._keeper.tally
        with self._lock:
            return Tally(asked.recorded, self._refused, len(self._left), asked.unanswered)

    @property
    def turns(self) -> tuple[str, ...]:
        """The turn ids of the messages that were read last, and of those that wait."""
        with self._lock:
            return (*(n for n, _ in self._read), *(t.id or "" for t, _ in self._left))

    # reading ----------------------------------------------------------------------------------

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override] # as the base's docs have it
        """All messages of the session, in their order."""
        return self._all(self._keeper.ask(self._stored, "reading a history"))

    async def aget_messages(self) -> list[BaseMessage]:
        """The same, without blocking the loop."""
        return self._all(await self._keeper.aask(self._stored, "reading a history"))

    def _stored(self) -> list[tuple[str, BaseMessage]]:
        found, after = [], None
        while page := self.scope.records(self._where(), after=after, limit=_PAGE):
            after = page[-1].id
            for record in page:
                message = to_message(record)
                if message is not None:
                    found.append((record.turn or record.id, message))
        return found

    def _where(self) -> Filter:
        return Filter(session=self._session, level=0, status=_SAID)

    def _all(self, stored: list[tuple[str, BaseMessage]] | None) -> list[BaseMessage]:
        """What was read, and what waits.

        A runnable with a history reads it before and after its call, and takes as new what is
        beyond its length. So a reading that failed is followed by one that says the same.
        """
        with self._lock:
            if stored is not None and not self._failed:
                self._read = stored
            self._failed = stored is None
            known = {name for name, _ in self._read}
            left = [message for turn, message in self._left if turn.id not in known]
            return [message for _, message in self._read] + left

    # adding -----------------------------------------------------------------------------------

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Add messages, in their order; each is a turn of its own."""
        turns = self._added(messages)
        self._settle(turns, self._keeper.record(self.scope, turns))

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """The same, without blocking the loop."""
        turns = self._added(messages)
        self._settle(turns, await self._keeper.arecord(self.scope, turns))

    def _added(self, messages: Sequence[BaseMessage]) -> list[Turn]:
        """What is to be stored: what was left over, and these. Ids make doing it twice harmless."""
        now = self.scope.now
        with self._lock:
            self._failed = False
            for message in messages:
                if isinstance(message, BaseMessageChunk):
                    message = message_chunk_to_message(message)  # noqa: PLW2901 - it has ended
                name = turn_name(self._session, uuid.uuid4().hex)
                try:
                    turn = to_turn(message, session=self._session, name=name, at=now, whole=True)
                except Exception as error:  # noqa: BLE001 - the others are to be stored
                    self._refused += 1
                    self._keeper.lost(1, type(error).__name__)
                    continue
                if turn is not None:
                    self._left.append((turn, message))
            return [turn for turn, _ in self._left]

    def _settle(self, turns: Sequence[Turn], receipt: Receipt | None) -> None:
        """What is stored, or refused for good, no longer waits."""
        if receipt is None:
            return
        refused = {str(skip) for skip in receipt.skipped if skip.reason != "duplicate"}
        names = {turn.id for turn in turns}
        with self._lock:
            done = [(t.id or "", message) for t, message in self._left if t.id in names]
            self._left = [each for each in self._left if each[0].id not in names]
            self._read += [each for each in done if each[0] not in refused]
            self._refused += len(refused & {name for name, _ in done})

    # clearing ---------------------------------------------------------------------------------

    def clear(self) -> None:
        """Forget the session for good, in this scope's memory too. Raises StoreError."""
        if not self._keeper.flush(self._patience):
            raise errors.StoreBusy("what still waits to be stored would come back after this")
        if self.scope.count(self._where()):
            self.scope.forget(where=self._where())
        with self._lock:
            self._read, self._left = [], []

    async def aclear(self) -> None:
        """The same, without blocking the loop."""
        await asyncio.to_thread(self.clear)
