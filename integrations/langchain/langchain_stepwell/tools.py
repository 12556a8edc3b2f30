"""Tools by which a model uses the memory itself: only where an app asks for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import BaseTool
from pydantic import BaseModel, Field, field_validator

from langchain_stepwell.runs import LOGGER, settings
from stepwell import Receipt, Scope, Turn
from stepwell.adapting import Keeper, quoted, scope_of, session_name

#: What the tools are called, by what an app asks for.
NAMES: Final = {
    "recall": "recall_memory",
    "remember": "remember_this",
    "forget": "forget_memory",
}
TOOLS: Final = frozenset(NAMES.values())

#: The model is told this where the memory does not answer.
_SILENT: Final = "The memory does not answer now."
#: Turns that one call may forget; and how much of a text has to be quoted for it.
_FORGET: Final = 5
_QUOTE: Final = 8


class _Question(BaseModel):
    """What is asked of the memory."""

    query: str = Field(description="What you want to know, in plain words.")


class _Statement(BaseModel):
    """What is to be remembered."""

    text: str = Field(description="One statement that is true by itself, with names and dates.")


class _Quotation(BaseModel):
    """What is to be forgotten."""

    quote: str = Field(description="The exact words of what is to be forgotten, as recalled.")


class _MemoryTool(BaseTool):
    """A tool on a scope, or on that of whoever the run is for."""

    scope: Any
    whose: Callable[[], Scope] | None = Field(default=None, exclude=True, repr=False)
    keeper: Keeper = Field(default_factory=lambda: Keeper(LOGGER), exclude=True, repr=False)

    @field_validator("scope")
    @classmethod
    def _scope(cls, given: object) -> Scope:
        return scope_of(given)

    def _mine(self) -> Scope | None:
        """Whose memory is meant; None where nobody can tell."""
        try:
            return self.scope if self.whose is None else self.whose()
        except (LookupError, ValueError):
            return None

    def _ask(self, call: Callable[[Scope], str], what: str) -> str:
        scope = self._mine()
        answer = None if scope is None else self.keeper.ask(lambda: call(scope), what)
        return _SILENT if answer is None else answer

    async def _aask(self, call: Callable[[Scope], str], what: str) -> str:
        scope = self._mine()
        answer = None if scope is None else await self.keeper.aask(lambda: call(scope), what)
        return _SILENT if answer is None else answer


class StepwellRecallTool(_MemoryTool):
    """Recalls: gives the fenced text that answers a question. `StepwellRecallTool(scope=scope)`."""

    name: str = NAMES["recall"]
    description: str = (
        "Looks up what was said before, in this conversation's past or in earlier ones. "
        "Gives quotations with their dates."
    )
    args_schema: Any = _Question
    budget: int = 800
    min_trust: float = 0.0

    def _run(self, query: str) -> str:
        return self._ask(lambda scope: self._quoted(scope, query), "recall")

    async def _arun(self, query: str) -> str:
        return await self._aask(lambda scope: self._quoted(scope, query), "recall")

    def _quoted(self, scope: Scope, query: str) -> str:
        told = quoted(scope, query, budget=self.budget, min_trust=self.min_trust)
        return told or "Nothing is remembered about that."


class StepwellRememberTool(_MemoryTool):
    """Remembers a statement, as said by the assistant. `StepwellRememberTool(scope=scope)`."""

    name: str = NAMES["remember"]
    description: str = "Keeps a statement, so that it is known in later conversations."
    args_schema: Any = _Statement

    def _run(self, text: str) -> str:
        scope = self._mine()
        if scope is None:
            return _SILENT
        return _told(self.keeper.record(scope, self._turns(scope, text)))

    async def _arun(self, text: str) -> str:
        scope = self._mine()
        if scope is None:
            return _SILENT
        return _told(await self.keeper.arecord(scope, self._turns(scope, text)))

    def _turns(self, scope: Scope, text: str) -> list[Turn]:
        thread = settings().get("thread_id")
        session = None if thread in {None, ""} else session_name(str(thread))
        try:
            return [Turn(text=text, role="assistant", session=session, at=scope.now)]
        except ValueError as error:
            self.keeper.lost(1, type(error).__name__)
            return []


class StepwellForgetTool(_MemoryTool):
    """Forgets for good what contains a quotation. `StepwellForgetTool(scope=scope)`.

    A few turns at most. The messages of the conversation that is going on are the agent's own: they
    stay in its state, and those that hold the quotation are not recorded.
    """

    name: str = NAMES["forget"]
    description: str = (
        "Forgets for good whatever contains a quotation. Only when the user asks for it. "
        "Quote the exact words."
    )
    args_schema: Any = _Quotation

    def _run(self, quote: str) -> str:
        return self._ask(lambda scope: _forgotten(scope, quote), "forgetting")

    async def _arun(self, quote: str) -> str:
        return await self._aask(lambda scope: _forgotten(scope, quote), "forgetting")


def _told(receipt: Receipt | None) -> str:
    return "It will be remembered." if receipt is not None and receipt.stored else _SILENT


def _forgotten(scope: Scope, quote: str) -> str:
    wanted = _plain(quote)
    if len(wanted) < _QUOTE:
        return "That is too short to tell what is meant: quote more of it."
    meant = [hit.record.id for hit in scope.recall(quote, k=50) if wanted in _plain(hit.text)]
    if not meant:
        return "Nothing that is remembered contains these words."
    if len(meant) > _FORGET:
        return f"{len(meant)} things contain these words: quote more of what is meant."
    receipt = scope.forget(meant)
    return f"Forgotten: {receipt.turns}."


def forgotten_in(messages: Iterable[BaseMessage]) -> list[str]:
    """What a model was asked to forget in a conversation: it is not to be stored with it."""
    return [
        _plain(str(call["args"].get("quote", "")))
        for message in messages
        if isinstance(message, AIMessage)
        for call in message.tool_calls
        if call["name"] == NAMES["forget"]
    ]


def holds(text: str, quotes: Iterable[str]) -> bool:
    """Whether a text contains any of some quotations."""
    plain = _plain(text)
    return any(len(quote) >= _QUOTE and quote in plain for quote in quotes)


def make_tools(
    wanted: Collection[str], scope: Scope, whose: Callable[[], Scope], keeper: Keeper, *,
    budget: int, min_trust: float,
) -> list[BaseTool]:  # fmt: skip
    """The tools an app asks for. Raises ValueError for one that there is not."""
    if isinstance(wanted, str) or not set(wanted) <= set(NAMES):
        raise ValueError(f"tools are names out of {', '.join(NAMES)}")
    same: dict[str, Any] = {"scope": scope, "whose": whose, "keeper": keeper}
    made: list[BaseTool] = []
    if "recall" in wanted:
        made.append(StepwellRecallTool(**same, budget=budget, min_trust=min_trust))
    if "remember" in wanted:
        made.append(StepwellRememberTool(**same))
    if "forget" in wanted:
        made.append(StepwellForgetTool(**same))
    return made


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()
