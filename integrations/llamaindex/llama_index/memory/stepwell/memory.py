"""The one line by which an agent, a workflow or a chat engine of LlamaIndex gains a memory."""

from __future__ import annotations

import threading
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, Self

from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock
from llama_index.core.memory.types import BaseMemory
from llama_index.core.utils import get_tokenizer
from pydantic import Field, PrivateAttr, field_serializer, field_validator

from llama_index.memory.stepwell.messages import LOGGER, said, to_message, to_turn
from stepwell import AsyncScope, Filter, Receipt, Scope, Turn
from stepwell.adapting import Keeper, Tally, quoted, scope_of, session_name, turn_name

_PAGE: Final = 1_000
#: Where a session's window is noted: what a host has set, or that it began anew.
_NOTES: Final = ("llama_index", "windows")

#: A message and the id of its turn.
_Held = tuple[str, ChatMessage]


class StepwellMemory(BaseMemory):
    """A memory: `agent.run(text, memory=StepwellMemory.from_scope(scope, session_id="s1"))`.

    It gives back the messages of its session, as they were, in at most `token_limit` tokens. What
    else its scope remembers of the latest message is put before that message, fenced as quoted
    data, in at most `budget` tokens: for this call alone, never into the session. What the session
    shows already is not told again. Every message that is put is stored in the scope; a history
    that is set again costs nothing, and a session goes on where it stood after a restart.

    - `scope`: a Scope, an AsyncScope or the URI of one. `to_dict` tells its URI, `from_dict` joins
      it again; a scope in memory has none.
    - `role`: whose part is played, for presets that tell roles apart.
    - `deadline`: seconds that recalling and reading may take; then it goes on without.
    - `patience`: seconds that `put` waits until what was said is stored.
    - `min_trust`: turns of less trust are not recalled.

    `reset` begins the session anew: nothing of it is shown any more, and the scope remembers it.
    Nothing of the store's raises into an app. What was lost is logged under
    "llama_index.memory.stepwell" and counted in `tally`.
    """

    scope: Any
    session_id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    role: str | None = None
    budget: int = 800
    token_limit: int = 21_000
    min_trust: float = 0.0
    deadline: float = 1.0
    patience: float = 5.0
    _keeper: Keeper = PrivateAttr()
    _lock: threading.RLock = PrivateAttr(default_factory=threading.RLock)
    _held: list[_Held] = PrivateAttr(default_factory=list)
    _left: list[Turn] = PrivateAttr(default_factory=list)
    _loaded: bool = PrivateAttr(default=False)
    _speaker: str | None = PrivateAttr(default=None)

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

    @classmethod
    def class_name(cls) -> str:
        """What it is called in serialised components."""
        return "StepwellMemory"

    @classmethod
    def from_scope(cls, scope: Scope | AsyncScope | str, **settings: Any) -> Self:
        """A memory on a scope; see the class for its settings."""
        return cls(scope=scope, **settings)

    @classmethod
    def from_defaults(cls, **settings: Any) -> Self:
        """The same; `scope` is needed. A `chat_history` is set.

        What LlamaIndex's own memories are given beside, such as an `llm`, is not needed.
        """
        history = settings.pop("chat_history", None)
        for ignored in ("llm", "chat_store", "chat_store_key", "tokenizer_fn"):
            settings.pop(ignored, None)
        made = cls(**settings)
        if history:
            made.set(history)
        return made

    @property
    def tally(self) -> Tally:
        """What was recorded, what was lost or waits, and which recalls came to nothing."""
        return self._keeper.tally

    # reading ----------------------------------------------------------------------------------

    def get(self, input: str | None = None, **kwargs: Any) -> list[ChatMessage]:  # noqa: A002 - the base's
        """The session's messages, and what is recalled for the input, else the latest message."""
        _ = kwargs
        self._read()
        window = self._window()
        query = _query(window, input)
        told = self._keeper.ask(lambda: self._quoted(query, window)) if query else None
        return _shown(window, input, told or "")

    async def aget(self, input: str | None = None, **kwargs: Any) -> list[ChatMessage]:  # noqa: A002 - as above
        """The same, without blocking the loop."""
        _ = kwargs
        await self._aread()
        window = self._window()
        query = _query(window, input)
        told = await self._keeper.aask(lambda: self._quoted(query, window)) if query else None
        return _shown(window, input, told or "")

    def get_all(self) -> list[ChatMessage]:
        """All messages of the session, nothing else."""
        self._read()
        with self._lock:
            return [message for _, message in self._held]

    async def aget_all(self) -> list[ChatMessage]:
        """The same, without blocking the loop."""
        await self._aread()
        with self._lock:
            return [message for _, message in self._held]

    def _quoted(self, query: str, window: Sequence[_Held]) -> str:
        return quoted(
            self.scope, query, present=[name for name, _ in window], budget=self.budget,
            min_trust=self.min_trust, role=self.role, deadline=self.deadline,
        )  # fmt: skip

    def _window(self) -> list[_Held]:
        """The latest messages that fit, from one of the user's on."""
        with self._lock:
            held = list(self._held)
        # No text has more tokens than characters.
        if sum(len(said(message)) for _, message in held) <= self.token_limit:
            return held
        count, room, start = get_tokenizer(), self.token_limit, len(held)
        while start and (cost := len(count(said(held[start - 1][1])))) <= room:
            room, start = room - cost, start - 1
        users = (n for n in range(start, len(held)) if held[n][1].role == MessageRole.USER)
        return held[next(users, min(start, len(held) - 1)) :]

    async def follow(self, handler: Any) -> AsyncIterator[Any]:
        """The events of a running workflow; what an agent of it says is stored under its name.

        In place of `handler.stream_events()`: the memory of a workflow is not told who speaks, and
        its events tell.
        """
        try:
            async for event in handler.stream_events():
                speaker = getattr(event, "current_agent_name", None)
                if isinstance(speaker, str):
                    self._speaker = speaker
                yield event
        finally:
            self._speaker = None

    # putting ----------------------------------------------------------------------------------

    def put(self, message: ChatMessage) -> None:
        """Add a message; it is a turn of its own."""
        self.put_messages([message])

    async def aput(self, message: ChatMessage) -> None:
        """The same, without blocking the loop."""
        await self.aput_messages([message])

    def put_messages(self, messages: list[ChatMessage]) -> None:
        """Add messages, in their order."""
        self._read()
        turns = self._added(messages)
        self._settle(turns, self._keeper.record(self.scope, turns))

    async def aput_messages(self, messages: list[ChatMessage]) -> None:
        """The same, without blocking the loop."""
        await self._aread()
        turns = self._added(messages)
        self._settle(turns, await self._keeper.arecord(self.scope, turns))

    def set(self, messages: list[ChatMessage]) -> None:
        """Show these messages from now on. What is known of them is not stored again."""
        self._read()
        names = self._keeper.ask(lambda: self._known(messages), "reading a session")
        turns, anew = self._replaced(messages, names)
        self._settle(turns, self._keeper.record(self.scope, turns))
        if anew:
            self._keeper.ask(self._note, "noting a session")

    async def aset(self, messages: list[ChatMessage]) -> None:
        """The same, without blocking the loop."""
        await self._aread()
        names = await self._keeper.aask(lambda: self._known(messages), "reading a session")
        turns, anew = self._replaced(messages, names)
        self._settle(turns, await self._keeper.arecord(self.scope, turns))
        if anew:
            await self._keeper.aask(self._note, "noting a session")

    def reset(self) -> None:
        """Begin the session anew. The scope goes on remembering it."""
        self.set([])

    async def areset(self) -> None:
        """The same, without blocking the loop."""
        await self.aset([])

    def _added(self, messages: Sequence[ChatMessage]) -> list[Turn]:
        now = self.scope.now
        with self._lock:
            for message in messages:
                name = turn_name(self.session_id, uuid.uuid4().hex)
                # Workflows go on with the very object: what is held is a copy of it.
                self._held.append((name, message.model_copy(deep=True)))
                turn = to_turn(message, session=self._session, name=name, at=now)
                if turn.role == "assistant" and turn.actor is None:
                    turn = turn.model_copy(update={"actor": self._speaker})
                self._left.append(turn)
            return list(self._left)

    def _known(self, messages: Sequence[ChatMessage]) -> list[str | None]:
        turns = [to_turn(each, session=self._session) for each in messages]
        names: list[str | None] = self.scope.identify(turns)
        return names

    def _replaced(
        self, messages: Sequence[ChatMessage], names: list[str | None] | None
    ) -> tuple[list[Turn], bool]:
        """What of a history is to be stored, and whether it is another one than was shown."""
        with self._lock:
            before = self._held
            same = 0
            while same < min(len(before), len(messages)) and before[same][1] == messages[same]:
                same += 1
            known = {name for name, _ in before}
            held = before[:same]
            for number, message in enumerate(messages[same:], same):
                told = names[number] if names else None
                if told is None or (told in known and any(told == name for name, _ in held)):
                    told = turn_name(self.session_id, uuid.uuid4().hex)
                held.append((told, message.model_copy(deep=True)))
                if told not in known:
                    self._left.append(to_turn(message, session=self._session, name=told))
            self._held = held
            return list(self._left), same < len(before)

    def _settle(self, turns: Sequence[Turn], receipt: Receipt | None) -> None:
        """What is stored no longer waits."""
        if receipt is not None:
            done = {turn.id for turn in turns}
            with self._lock:
                self._left = [turn for turn in self._left if turn.id not in done]

    # the session in the scope -----------------------------------------------------------------

    @property
    def _session(self) -> str:
        return session_name(self.session_id)

    def _read(self) -> None:
        if not self._loaded:
            self._load(self._keeper.ask(self._stored, "reading a session"))

    async def _aread(self) -> None:
        if not self._loaded:
            self._load(await self._keeper.aask(self._stored, "reading a session"))

    def _load(self, stored: list[_Held] | None) -> None:
        """Go on where the session stood."""
        if stored is None:
            return
        with self._lock:
            if not self._loaded:
                # What was put while it could not be read is among what is stored by now.
                known = {name for name, _ in stored}
                self._held = [*stored, *(each for each in self._held if each[0] not in known)]
                self._loaded = True

    def _stored(self) -> list[_Held]:
        note = self.scope.documents.get(_NOTES, self._session)
        told = {} if note is None else note.value
        after = told.get("after")
        found: list[_Held] = []
        for name in told.get("shown", ()):
            record = self.scope.get(name)
            message = None if record is None else to_message(record)
            if message is not None:
                found.append((name, message))
        where = Filter(session=self._session, level=0)
        while page := self.scope.records(where, after=after, limit=_PAGE):
            after = page[-1].id
            for record in page:
                message = to_message(record)
                if message is not None:
                    found.append((record.turn or record.id, message))
        return found

    def _note(self) -> None:
        """Note what is shown: what a host has set is not all that was said."""
        where, last = Filter(session=self._session, level=0), None
        while page := self.scope.records(where, after=last, limit=_PAGE):
            last = page[-1].id
        with self._lock:
            shown = [name for name, _ in self._held]
        self.scope.documents.put(_NOTES, self._session, {"shown": shown, "after": last})


def _query(window: Sequence[_Held], given: str | None) -> str:
    """What is asked for: the input, else the latest message of the user's."""
    if given:
        return given
    users = (said(m) for _, m in reversed(window) if m.role == MessageRole.USER)
    return next(users, "")


def _shown(window: Sequence[_Held], given: str | None, told: str) -> list[ChatMessage]:
    """The messages, with what is told before the one that it answers.

    A chat engine asks before it puts the user's message: there it comes last, right before it.
    """
    messages = [message for _, message in window]
    if not told:
        return messages
    users = [n for n, message in enumerate(messages) if message.role == MessageRole.USER]
    if users and given in {None, said(messages[users[-1]]), messages[users[-1]].content}:
        last = messages[users[-1]]
        blocks = [TextBlock(text=f"{told}\n"), *last.blocks]
        messages[users[-1]] = last.model_copy(update={"blocks": blocks})
        return messages
    return [*messages, ChatMessage(role=MessageRole.USER, content=told)]
