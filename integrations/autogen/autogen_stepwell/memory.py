"""The memory of an agent: `AssistantAgent(..., memory=[StepwellMemory(scope, role="planner")])`."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from autogen_core import CancellationToken, Component, Image
from autogen_core.memory import (
    Memory,
    MemoryContent,
    MemoryQueryResult,
    UpdateContextResult,
)
from autogen_core.model_context import ChatCompletionContext, UnboundedChatCompletionContext
from autogen_core.models import LLMMessage
from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

import stepwell
from autogen_stepwell.agents import Mind, Place, content_of, is_told
from stepwell import AsyncScope, Attachment, Filter, Recall, Scope
from stepwell.adapting import Tally, cut, fitting, plain, session_name, usable, usable_name

_MESSAGES: TypeAdapter[list[LLMMessage]] = TypeAdapter(list[LLMMessage])
#: What a recall can be told.
_OPTIONS: Final = frozenset(inspect.signature(Scope.recall).parameters) - {"self", "query"}
#: Where the payload of what was added says to which memory.
_ADDED: Final = "autogen_memory"


class StepwellMemoryConfig(BaseModel):
    """What a StepwellMemory is made of again: the scope's URI, and its settings."""

    uri: str
    role: str | None = None
    session: str | None = None
    budget: int = 800
    deadline: float = 1.0
    patience: float = 5.0
    min_trust: float = 0.0
    inject_as: Place = "user"
    record: bool = True


class StepwellMemory(Memory, Component[StepwellMemoryConfig]):
    """Hierarchical memory of one agent, in one line: `memory=[StepwellMemory(scope)]`.

    Whenever it is the agent's turn, what the scope remembers of the last message is put behind it,
    fenced as quoted data, in at most `budget` tokens: one message, which takes the place of the one
    of the turn before. What the context holds already is not told again, and what was said in it is
    stored once, whoever else sees it. The agent's last answer is stored with its next turn: where
    that may never come, record the team (`attach`), or use StepwellChatCompletionContext.

    - `scope`: a Scope, an AsyncScope or the URI of one; agents of a team may share it.
    - `role`: the agent's, to be told what matters to it.
    - `session`: of the conversation; else made of how it begins.
    - `deadline`, `patience`: seconds that the agent waits for recalling, and for storing.
    - `min_trust`: turns of less trust are not recalled.
    - `inject_as`: "user" suits all models; "system" those that take several such messages.
    - `record`: whether what is said is stored.

    `update_context` and `query` never raise for a memory that fails: that is logged under
    "autogen_stepwell" and counted in `tally`. `add` and `clear` raise what stepwell raises, and
    TimeoutError after `patience` seconds; `clear` forgets what was added to this memory, for good.
    """

    component_config_schema = StepwellMemoryConfig
    component_provider_override = "autogen_stepwell.StepwellMemory"
    component_description = "Hierarchical memory in one file."

    def __init__(
        self, scope: Scope | AsyncScope | str, *, role: str | None = None,
        session: str | None = None, budget: int = 800, deadline: float = 1.0, patience: float = 5.0,
        min_trust: float = 0.0, inject_as: Place = "user", record: bool = True,
    ) -> None:  # fmt: skip
        self._mind = Mind(
            scope, role=role, session=session, budget=budget, deadline=deadline, patience=patience,
            min_trust=min_trust, inject_as=inject_as,
        )  # fmt: skip
        self._record = record
        self._injected = False

    @property
    def scope(self) -> Scope:
        """Whose memory it is."""
        return self._mind.scope

    @property
    def tally(self) -> Tally:
        """What was recorded, what was lost or waits, and which recalls came to nothing."""
        return self._mind.keeper.tally

    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        """Put what is remembered into a context, in place of what was put there before."""
        messages = list(await model_context.get_messages())
        if self._record:
            await self._mind.record(messages)
        told = await self._mind.told(messages)
        free = True
        # A context may hold more than it shows.
        if self._injected or any(map(is_told, messages)):
            free = await _cleared(model_context, messages)
            self._mind.saw(await model_context.get_messages())
        if told is None or not free:
            return UpdateContextResult(memories=MemoryQueryResult(results=[]))
        self._injected = True
        await model_context.add_message(self._mind.injected(told))
        results = [content_of(hit) for hit in told.hits]
        return UpdateContextResult(memories=MemoryQueryResult(results=results))

    async def query(
        self, query: str | MemoryContent, cancellation_token: CancellationToken | None = None,
        **kwargs: Any,
    ) -> MemoryQueryResult:  # fmt: skip
        """What answers a question, best first; `kwargs` are those of `Scope.recall`.

        Raises InvalidQuery for others: they would be no failure of the memory's.
        """
        _ = cancellation_token  # there is a deadline
        for name in kwargs:
            if name not in _OPTIONS:
                raise stepwell.errors.InvalidQuery(f"a recall has no option {name!r}")
        asked = usable(query) if isinstance(query, str) else _turn(query)["text"]
        if not asked.strip():
            return MemoryQueryResult(results=[])
        told = {
            "role": usable_name(self._mind.role), "min_trust": self._mind.min_trust,
            "deadline": self._mind.deadline, **kwargs,
        }  # fmt: skip

        def ask() -> Recall:
            return self.scope.recall(asked, **told)

        found = await self._mind.keeper.aask(ask)
        return MemoryQueryResult(results=[content_of(hit) for hit in found or ()])

    async def add(
        self, content: MemoryContent, cancellation_token: CancellationToken | None = None
    ) -> None:
        """Remember something. Bytes and images are kept as references, by their digest.

        Of the metadata, `actor`, `role`, `session`, `id` and `uri` say who, in which conversation,
        under which id, and where the bytes lie; the rest is kept beside the text.
        """
        _ = cancellation_token  # what is begun is stored
        turn = _turn(content, session=self._mind.session, own={_ADDED: {**self._own()}})
        async with asyncio.timeout(self._mind.patience):
            await asyncio.to_thread(self.scope.remember_many, [turn])

    async def clear(self) -> None:
        """Forget what was added to this memory, and what rests on that alone, to the byte.

        A memory is known by its scope, role and session, also after a restart. What was said in
        conversations stays, and what was added to other memories of the scope: that is forgotten
        by `scope.forget` and `scope.erase`.
        """
        mine = {f"{_ADDED}.{name}": value for name, value in self._own().items()}
        async with asyncio.timeout(self._mind.patience):
            await asyncio.to_thread(self.scope.forget, where=Filter(level=0, payload=mine))

    async def close(self) -> None:
        """Wait for what is still to be stored, for `patience` seconds at most."""
        await self._mind.keeper.asettle()

    def _own(self) -> dict[str, str]:
        """What tells this memory from others of its scope."""
        names = {"role": self._mind.role, "session": self._mind.session}
        return {what: usable(name or "") for what, name in names.items()}

    def _to_config(self) -> StepwellMemoryConfig:
        mind = self._mind
        return StepwellMemoryConfig(
            uri=mind.scope.uri, role=mind.role, session=mind.session, budget=mind.budget,
            deadline=mind.deadline, patience=mind.patience, min_trust=mind.min_trust,
            inject_as=mind.inject_as, record=self._record,
        )  # fmt: skip

    @classmethod
    def _from_config(cls, config: StepwellMemoryConfig) -> Self:
        settings = config.model_dump()
        return cls(settings.pop("uri"), **settings)


async def _cleared(context: ChatCompletionContext, messages: Sequence[LLMMessage]) -> bool:
    """Take out what was injected before; whether that was possible without losing anything else."""
    if type(context) is UnboundedChatCompletionContext:
        await context.clear()
        for message in messages:
            if not is_told(message):
                await context.add_message(message)
        return True
    # Other contexts hold more than they show: what they save is all of it.
    state = dict(await context.save_state())
    try:
        held = _MESSAGES.validate_python(state["messages"])
    except (KeyError, ValidationError):
        return False
    state["messages"] = [message.model_dump() for message in held if not is_told(message)]
    await context.load_state(state)
    return True


def _turn(
    content: MemoryContent, session: str | None = None, own: Mapping[str, JsonValue] | None = None
) -> dict[str, Any]:  # fmt: skip
    """The turn that holds what is to be remembered; `own` goes with its payload as it is."""
    given = content.content
    rest = dict(content.metadata or {})
    who = {name: rest.pop(name, None) for name in ("actor", "role", "session", "id")}
    fields = {name: usable(str(value)) for name, value in who.items() if value is not None}
    attached: tuple[Attachment, ...] = ()
    if isinstance(given, str):
        text = usable(given)
    elif isinstance(given, dict):
        text = usable(json.dumps(given, ensure_ascii=False, sort_keys=True, default=str))
    else:
        raw = given if isinstance(given, bytes) else _pixels(given)
        kept = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        attached = (Attachment(ref=usable(str(rest.pop("uri", kept)))),)
        text = usable(str(rest.pop("caption", f"[{_mime(content)}]")))
    payload = {**fitting(plain(rest), [cut]), **(own or {})}
    if session is not None:
        fields = {"session": session_name(session), **fields}
    return {"text": text, "attachments": attached, "payload": payload, **fields}


def _pixels(image: Image) -> bytes:
    return image.image.tobytes()


def _mime(content: MemoryContent) -> str:
    return usable(str(getattr(content.mime_type, "value", content.mime_type)))
