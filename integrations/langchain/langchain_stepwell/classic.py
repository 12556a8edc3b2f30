"""The memory of chains before LangChain 1.0. Needs the extra `classic`."""

from __future__ import annotations

from typing import Any

from langchain_classic.memory import ConversationBufferMemory
from langchain_classic.memory.utils import get_prompt_input_key
from langchain_core.messages import BaseMessage, HumanMessage, get_buffer_string
from pydantic import PrivateAttr

from langchain_stepwell.history import StepwellChatMessageHistory
from langchain_stepwell.runs import LOGGER
from stepwell import AsyncScope, Scope
from stepwell.adapting import Keeper, quoted, scope_of


class StepwellClassicMemory(ConversationBufferMemory):
    """A ConversationBufferMemory that recalls: `StepwellClassicMemory(scope, session_id="s1")`.

    It has the same settings and gives a chain the same history. Where the scope remembers more that
    matters for the input, that stands before the history, fenced as quoted data, in at most
    `budget` tokens: as text, or with `return_messages` as a message of its own. With a `recall_key`
    it is a variable of that name instead, empty where nothing is to be told.

    Nothing of the store's raises into a chain: see StepwellChatMessageHistory.
    """

    scope: Any
    session_id: str
    recall_key: str | None = None
    budget: int = 800
    min_trust: float = 0.0
    deadline: float = 1.0
    _keeper: Keeper = PrivateAttr()

    def __init__(
        self, scope: Scope | AsyncScope | str, *, session_id: str, **settings: Any
    ) -> None:
        mine = scope_of(scope)
        log = StepwellChatMessageHistory(mine, session_id)
        own: dict[str, Any] = {"scope": mine, "session_id": session_id, "chat_memory": log}
        super().__init__(**{**own, **settings})
        self._keeper = Keeper(LOGGER, deadline=self.deadline)

    @property
    def memory_variables(self) -> list[str]:
        """The history, and what is recalled if it has a variable of its own."""
        return [self.memory_key, *([] if self.recall_key is None else [self.recall_key])]

    def load_memory_variables(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The session's history, and what else the scope remembers for these inputs."""
        said = self.chat_memory.messages
        return self._variables(said, self._keeper.ask(lambda: self._recalled(inputs)))

    async def aload_memory_variables(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The same, without blocking the loop."""
        said = await self.chat_memory.aget_messages()
        return self._variables(said, await self._keeper.aask(lambda: self._recalled(inputs)))

    def _recalled(self, inputs: dict[str, Any]) -> str:
        key = self.input_key
        if key is None:
            try:
                key = get_prompt_input_key(inputs, self.memory_variables)
            except ValueError:
                return ""  # several inputs: none of them is the question
        log = self.chat_memory
        shown = log.turns if isinstance(log, StepwellChatMessageHistory) else ()
        return quoted(
            self.scope, str(inputs.get(key, "")), present=shown, budget=self.budget,
            min_trust=self.min_trust, deadline=self.deadline,
        )  # fmt: skip

    def _variables(self, said: list[BaseMessage], told: str | None) -> dict[str, Any]:
        before = told or ""
        apart = {} if self.recall_key is None else {self.recall_key: before}
        if apart:
            before = ""
        if self.return_messages:
            messages = [HumanMessage(before), *said] if before else said
            return {self.memory_key: messages, **apart}
        text = get_buffer_string(said, human_prefix=self.human_prefix, ai_prefix=self.ai_prefix)
        return {self.memory_key: f"{before}\n\n{text}" if before else text, **apart}
