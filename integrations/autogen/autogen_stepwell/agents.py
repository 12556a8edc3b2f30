"""What one agent's context is to the memory: turns to record, and a question to answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from autogen_core.memory import MemoryContent, MemoryMimeType
from autogen_core.models import AssistantMessage, LLMMessage, SystemMessage, UserMessage

from autogen_stepwell.messages import SOURCE, USER, is_answer, last_asked, said
from autogen_stepwell.recorder import LOGGER
from stepwell import AsyncScope, Context, Hit, Scope, Turn
from stepwell.adapting import (
    Keeper,
    conversation,
    described,
    heard_in,
    keyed_names,
    mark_of,
    scope_of,
    session_name,
    told,
    turn_name,
)

#: So often is asked for what does not stand in the context.
_AGAIN: Final = 4
#: How what is injected begins, where a message has no source.
_TITLE: Final = "Memory (stepwell), quoted:\n"

Place = Literal["user", "system"]


class Mind:
    """One agent's share of a memory. No method raises an Exception of the memory's.

    A turn's id is made of its session, who says it, what, and how often that was said before: the
    contexts of all agents of a conversation give the same, so what they all see is stored once.
    """

    def __init__(
        self, scope: Scope | AsyncScope | str, *, role: str | None, session: str | None,
        budget: int, deadline: float, patience: float, min_trust: float, inject_as: Place,
    ) -> None:  # fmt: skip
        if inject_as not in {"user", "system"}:
            raise ValueError(f"inject_as is 'user' or 'system', not {inject_as!r}")
        self.scope = scope_of(scope)
        self.role = role
        self.session = session
        self.budget = budget
        self.deadline = deadline
        self.patience = patience
        self.min_trust = min_trust
        self.inject_as: Place = inject_as
        self.keeper = Keeper(LOGGER, deadline=deadline, patience=patience)
        self._heard = heard_in(self.scope)
        self._begun: str | None = None
        self._seen: list[_Spoken] = []
        self._often: dict[bytes, int] = {}

    # recording --------------------------------------------------------------------------------

    async def record(self, messages: Sequence[LLMMessage]) -> None:
        """Store what is new of a context: once, whoever else sees it."""
        try:
            new = self._new(messages)
        except Exception as error:  # noqa: BLE001 - the agent goes on without memory
            self.keeper.lost(len(messages), type(error).__name__)
            return
        if new:
            await self.keeper.arecord(self.scope, new)

    async def add(self, message: LLMMessage) -> None:
        """Store one more message of a context that is told of each."""
        try:
            spoken = _spoken([message])
            self._begin(spoken, anew=False)
            new = self._turns(spoken)
        except Exception as error:  # noqa: BLE001 - the agent goes on without memory
            self.keeper.lost(1, type(error).__name__)
            return
        if new:
            await self.keeper.arecord(self.scope, new)

    def restart(self, messages: Sequence[LLMMessage]) -> None:
        """The context is another one from now on, which holds these."""
        self._begun = None
        spoken = _spoken(messages)
        if spoken:
            self._begin(spoken, anew=True)
        for one in spoken:
            self._often[one.mark] = self._often.get(one.mark, 0) + 1

    def saw(self, messages: Sequence[LLMMessage]) -> None:
        """This is what the context holds, and it is known."""
        self._seen = _spoken(messages)

    def _new(self, messages: Sequence[LLMMessage]) -> list[Turn]:
        """Turns of what a context did not hold before."""
        spoken = _spoken(messages)
        self._begin(spoken, anew=not any(map(is_answer, messages)))
        before, self._seen = self._seen, spoken
        return self._turns(self._fresh(before, spoken))

    def _fresh(self, before: Sequence[_Spoken], now: Sequence[_Spoken]) -> list[_Spoken]:
        """What is new: messages that were not there.

        Where all are others, as after a restart, what comes after those that say the same; else so
        much as was said oftener than before.
        """
        there = {id(one.message) for one in before}
        if any(id(one.message) in there for one in now):
            return [one for one in now if id(one.message) not in there]
        known = _overlap([one.mark for one in before], [one.mark for one in now])
        if known or not before:
            return list(now[known:])
        left, fresh = dict(self._often), []
        for one in now:
            left[one.mark] = left.get(one.mark, 0) - 1
            fresh += [one] if left[one.mark] < 0 else []
        return fresh

    def _turns(self, fresh: Sequence[_Spoken]) -> list[Turn]:
        """What was said, as turns, without what somebody else stores."""
        mine: list[tuple[_Spoken, int]] = []
        for one in fresh:
            often = self._often[one.mark] = self._often.get(one.mark, 0) + 1
            takes = self._heard.takes(one.mark)
            if not takes and not (one.answers and self._heard.expects(one.actor or "")):
                mine.append((one, often))
        names = self._names([(one.mark, often) for one, often in mine])
        session = self.session_now
        return [
            Turn(text=one.text, id=name, role=one.role, actor=one.actor, session=session)
            for (one, _), name in zip(mine, names, strict=True)
        ]

    def _names(self, said: Sequence[tuple[bytes, int]]) -> list[str]:
        """The ids of what was said so often before."""
        keys = keyed_names(self.scope, [f"{mark.hex()}-{often}" for mark, often in said])
        return [turn_name(self.session_now, key) for key in keys]

    def _begin(self, spoken: Sequence[_Spoken], *, anew: bool) -> None:
        """The conversation is called as it is told, else by how it began, as long as it goes on."""
        if spoken and (self._begun is None or anew):
            begun = self._named(spoken[0].text)
            if begun != self._begun:
                self._begun, self._seen = begun, []
                self._often = {}

    @property
    def session_now(self) -> str:
        """The name of the conversation that goes on."""
        return self._begun or self._named("")

    def _named(self, beginning: str) -> str:
        if self.session is not None:
            return session_name(self.session)
        return conversation(self.scope, beginning)

    # recalling --------------------------------------------------------------------------------

    async def told(self, messages: Sequence[LLMMessage]) -> Context | None:
        """What answers the last message that came in, and does not stand in the context yet."""
        at = last_asked(messages)
        if at is None:
            return None
        query = said(messages[at])[2]
        often, task = dict(self._often), self._heard.task()

        def ask() -> Context | None:
            marks = {one.mark for one in _spoken(messages)}
            present = set(self._heard.names(marks))
            present.update(self._names([(m, n + 1) for m in marks for n in range(often.get(m, 0))]))
            # What another process has stored, or has been stored just now, shows itself.
            for _ in range(_AGAIN):
                found = told(
                    self.scope, query, present=present, budget=self.budget, role=self.role,
                    task=None if task is None else task.id, min_trust=self.min_trust,
                    deadline=self.deadline,
                )  # fmt: skip
                hits = () if found is None else found.hits
                known = {name for hit in hits if _mark(hit) in marks for name in hit.sources}
                if not known - present:
                    if task is not None and found is not None:
                        task.showed(found)  # the outcome of the run credits it
                    return found
                present |= known
            return None

        return await self.keeper.aask(ask)

    def injected(self, context: Context) -> LLMMessage:
        """What is told, as the one message that is put before the model."""
        if self.inject_as == "system":
            return SystemMessage(content=_TITLE + context.text)
        return UserMessage(content=context.text, source=SOURCE)


@dataclass(frozen=True, slots=True)
class _Spoken:
    """What a message of a context says, and by whom."""

    role: str
    actor: str | None
    text: str
    mark: bytes
    message: LLMMessage

    @property
    def answers(self) -> bool:
        """Whether it is what an agent says in the end, and not what it asks of a tool."""
        message = self.message
        return isinstance(message, AssistantMessage) and isinstance(message.content, str)


def _spoken(messages: Sequence[LLMMessage]) -> list[_Spoken]:
    """What was said in a context: no instructions, nothing that was injected, nothing empty."""
    made = []
    for message in messages:
        role, actor, text = said(message)
        if role is not None and text.strip() and not is_told(message):
            made.append(_Spoken(role, actor, text, mark_of(actor, text), message))
    return made


def _mark(hit: Hit) -> bytes:
    """Who says what, in a hit. A task's goal has no actor: it is the user's."""
    record = hit.record
    return mark_of(record.actor or (USER if record.role == USER else None), record.text)


def _overlap(before: Sequence[bytes], now: Sequence[bytes]) -> int:
    """With how many of the last ones of before it begins now."""
    for count in range(min(len(before), len(now)), 0, -1):
        if before[len(before) - count] == now[0] and before[len(before) - count :] == now[:count]:
            return count
    return 0


def is_told(message: LLMMessage) -> bool:
    """Whether a message is one that a memory has injected."""
    if isinstance(message, UserMessage):
        return message.source == SOURCE
    return isinstance(message, SystemMessage) and message.content.startswith(_TITLE)


def content_of(hit: Hit) -> MemoryContent:
    """A hit as AutoGen's memories give it: its text as it was said, and where it comes from."""
    metadata = {"id": hit.record.id, **described(hit)}
    return MemoryContent(content=hit.text, mime_type=MemoryMimeType.TEXT, metadata=metadata)
