"""The context of an agent's model: sees all that is said, and is told only what is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from autogen_core import Component, ComponentModel
from autogen_core.model_context import ChatCompletionContext, UnboundedChatCompletionContext
from autogen_core.models import LLMMessage
from pydantic import BaseModel

from autogen_stepwell.agents import Mind, Place, is_told
from autogen_stepwell.messages import last_asked
from stepwell import AsyncScope, Scope
from stepwell.adapting import Tally


class StepwellChatCompletionContextConfig(BaseModel):
    """What a StepwellChatCompletionContext is made of again."""

    uri: str
    inner: ComponentModel
    role: str | None = None
    session: str | None = None
    budget: int = 800
    deadline: float = 1.0
    patience: float = 5.0
    min_trust: float = 0.0
    inject_as: Place = "user"
    recall: bool = True
    record: bool = True


class StepwellChatCompletionContext(
    ChatCompletionContext, Component[StepwellChatCompletionContextConfig]
):
    """A context with a memory: `model_context=StepwellChatCompletionContext(scope)`.

    It wraps any other context, an unbounded one unless `inner` is given, which goes on deciding
    what the model is sent. Everything that is added is recorded, the agent's last answer and the
    results of its tools among it. With each call of the model, what the scope remembers of the last
    message that came in is put before it, fenced as quoted data, in at most `budget` tokens: for
    that call alone, never in the context, its state or the memory.

    The other settings are those of StepwellMemory; `recall` and `record` are what it does by
    itself. With "system" for `inject_as` the quotation stands first. Nothing of the memory's raises
    into the agent: what fails is logged under "autogen_stepwell" and counted in `tally`.
    """

    component_config_schema = StepwellChatCompletionContextConfig
    component_provider_override = "autogen_stepwell.StepwellChatCompletionContext"
    component_description = "A model's context with hierarchical memory."

    def __init__(
        self, scope: Scope | AsyncScope | str, *, inner: ChatCompletionContext | None = None,
        role: str | None = None, session: str | None = None, budget: int = 800,
        deadline: float = 1.0, patience: float = 5.0, min_trust: float = 0.0,
        inject_as: Place = "user", recall: bool = True, record: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self._inner = UnboundedChatCompletionContext() if inner is None else inner
        self._mind = Mind(
            scope, role=role, session=session, budget=budget, deadline=deadline, patience=patience,
            min_trust=min_trust, inject_as=inject_as,
        )  # fmt: skip
        self._recall = recall
        self._record = record

    @property
    def scope(self) -> Scope:
        """Whose memory it is."""
        return self._mind.scope

    @property
    def inner(self) -> ChatCompletionContext:
        """The context that is wrapped."""
        return self._inner

    @property
    def tally(self) -> Tally:
        """What was recorded, what was lost or waits, and which recalls came to nothing."""
        return self._mind.keeper.tally

    async def add_message(self, message: LLMMessage) -> None:
        """Add a message, and record it."""
        await self._inner.add_message(message)
        if self._record and not is_told(message):
            await self._mind.add(message)

    async def get_messages(self) -> list[LLMMessage]:
        """What the wrapped context gives, and what is remembered of it."""
        messages = list(await self._inner.get_messages())
        at = last_asked(messages)
        if not self._recall or at is None:
            return messages
        # Asked for each time: what is forgotten meanwhile is not told again.
        told = await self._mind.told(messages)
        if told is not None:
            at = 0 if self._mind.inject_as == "system" else at
            messages.insert(at, self._mind.injected(told))
        return messages

    async def clear(self) -> None:
        """Clear the context. What was recorded stays remembered."""
        await self._inner.clear()
        self._mind.restart([])

    async def save_state(self) -> Mapping[str, Any]:
        """The state of the wrapped context."""
        return await self._inner.save_state()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take on a state that was saved."""
        await self._inner.load_state(state)
        self._mind.restart(await self._inner.get_messages())

    def _to_config(self) -> StepwellChatCompletionContextConfig:
        mind = self._mind
        return StepwellChatCompletionContextConfig(
            uri=mind.scope.uri, inner=self._inner.dump_component(), role=mind.role,
            session=mind.session, budget=mind.budget, deadline=mind.deadline,
            patience=mind.patience, min_trust=mind.min_trust, inject_as=mind.inject_as,
            recall=self._recall, record=self._record,
        )  # fmt: skip

    @classmethod
    def _from_config(cls, config: StepwellChatCompletionContextConfig) -> Self:
        inner = ChatCompletionContext.load_component(config.inner)
        settings = config.model_dump(exclude={"uri", "inner"})
        return cls(config.uri, inner=inner, **settings)
