"""The one line by which an agent of LangChain gains a memory."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.runtime import Runtime

from langchain_stepwell.messages import to_turn
from langchain_stepwell.runs import LOGGER, Run, run_of, user_id
from langchain_stepwell.tools import TOOLS, forgotten_in, holds, make_tools
from stepwell import AsyncScope, Scope, Turn
from stepwell.adapting import Keeper, Tally, quoted, scope_of, turn_name, user_scope

log = logging.getLogger(LOGGER)

#: Conversations whose stored turns are kept in mind, and runs whose messages are.
_AT_HAND: Final = 1_000
_GOING: Final = 200

#: A conversation: its scope's path, its thread, and, where it has none, how it began.
_Place = tuple[tuple[str, ...], str | None, str]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of the memory for one call of the model."""

    scope: Scope
    run: Run
    query: str
    messages: Sequence[AnyMessage]


class StepwellMiddleware(AgentMiddleware[AgentState[Any], Any, Any]):
    """Gives an agent a memory: `create_agent(model, middleware=[StepwellMiddleware(scope)])`.

    Before the model is called, what the scope remembers of the user's message is put before that
    message, fenced as quoted data, in at most `budget` tokens: for this call alone, never in the
    agent's state. What the prompt holds already is not told again. When a run is over, everything
    that was said in it is recorded once: the user's messages, the agent's, tool calls and results.
    The thread's id is the session, so threads share what is remembered and keep separate histories.

    - `scope`: a Scope, an AsyncScope or the URI of one.
    - `per_user`: remember for each user apart, in a scope beneath the given one, by the `user_id`
      of the run's context or config. A run that names no user goes without memory.
    - `deadline`: seconds that recalling may take; then the model is called without it.
    - `patience`: seconds that the end of a run waits for what was said to be stored.
    - `min_trust`: turns of less trust are not recalled.
    - `into`: where the quotation goes, before the user's message or behind the system's.
    - `recall`, `record`: what the middleware does by itself.
    - `tools`: for the model's own use, names out of "recall", "remember", "forget"; none unless
      asked for.
    - `name`: for several of them in one agent.

    Nothing of the memory's raises into the agent. What was lost is logged under
    "langchain_stepwell" and counted in `tally`.
    """

    def __init__(
        self, scope: Scope | AsyncScope | str, *, per_user: bool = False, budget: int = 800,
        deadline: float = 1.0, patience: float = 5.0, min_trust: float = 0.0,
        into: Literal["user", "system"] = "user", recall: bool = True, record: bool = True,
        tools: Collection[str] = (), name: str = "StepwellMiddleware",
    ) -> None:  # fmt: skip
        super().__init__()
        if into not in {"user", "system"}:
            raise ValueError(f"into is 'user' or 'system', not {into!r}")
        given: tuple[object, object] = (budget, min_trust)
        if not isinstance(given[0], int) or given[0] < 0:
            raise ValueError("a budget is a whole number of tokens from 0 on")
        if not isinstance(given[1], (int, float)) or not 0 <= given[1] <= 1:
            raise ValueError("min_trust is a number from 0 to 1")
        self.scope = scope_of(scope)
        self.per_user = per_user
        self.budget = budget
        self.deadline = deadline
        self.min_trust = min_trust
        self.into = into
        self.recall = recall
        self.record = record
        self._name = name
        self._keeper = Keeper(LOGGER, deadline=deadline, patience=patience)
        self._known = _Known()
        self._going = _Going()
        self.tools = make_tools(
            tools, self.scope, self._mine, self._keeper, budget=budget, min_trust=min_trust
        )

    @property
    def name(self) -> str:
        """What the agent's graph calls it."""
        return self._name

    @property
    def tally(self) -> Tally:
        """What was recorded, what was lost or waits, and which recalls came to nothing."""
        return self._keeper.tally

    def flush(self, seconds: float | None = None) -> bool:
        """Wait until nothing waits to be recorded, at most `seconds`; whether that is so."""
        return self._keeper.flush(seconds)

    # recalling --------------------------------------------------------------------------------

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Call the model with what is remembered."""
        asked = self._asked(request)
        told = None if asked is None else self._keeper.ask(lambda: self._quoted(asked))
        return handler(self._with(request, told or ""))

    async def awrap_model_call(
        self, request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:  # fmt: skip
        """The same for an agent that is awaited."""
        asked = self._asked(request)
        told = None if asked is None else await self._keeper.aask(lambda: self._quoted(asked))
        return await handler(self._with(request, told or ""))

    def _asked(self, request: ModelRequest[Any]) -> _Asked | None:
        """What to ask for; None where there is nothing to, or nobody to ask."""
        messages = request.state["messages"]
        run = self._run(request.runtime, messages)
        scope = None if run is None else self._whose(run)
        if run is None or scope is None:
            return None
        if self.record:
            self._going.note(scope, run, messages)
        if not self.recall or not any(isinstance(m, HumanMessage) for m in request.messages):
            return None
        # As it was said: another middleware may have put something before it.
        query = next((m.text for m in reversed(messages) if isinstance(m, HumanMessage)), "")
        return _Asked(scope, run, query, request.messages)

    def _quoted(self, asked: _Asked) -> str:
        return quoted(
            asked.scope, asked.query, present=self._present(asked), budget=self.budget,
            min_trust=self.min_trust, deadline=self.deadline,
        )  # fmt: skip

    def _present(self, asked: _Asked) -> list[str]:
        """The turns that the prompt holds already."""
        session = asked.run.session_in(asked.scope)
        if asked.run.lasting:
            return [turn_name(session, message.id) for message in asked.messages if message.id]
        said = filter(_is_said, asked.messages)
        turns = [to_turn(message, session=session, without=TOOLS) for message in said]
        names = asked.scope.identify([turn for turn in turns if turn is not None])
        return [name for name in names if name is not None]

    def _with(self, request: ModelRequest[Any], told: str) -> ModelRequest[Any]:
        """The request with what is told; itself where that is nothing."""
        if not told:
            return request
        if self.into == "system":
            system = request.system_message
            fresh = SystemMessage(told) if system is None else _joined(system, told)
            return request.override(system_message=fresh)
        messages = list(request.messages)
        at = max(n for n, message in enumerate(messages) if isinstance(message, HumanMessage))
        messages[at] = _before(messages[at], told)
        return request.override(messages=messages)

    # recording --------------------------------------------------------------------------------

    def after_agent(self, state: AgentState[Any], runtime: Runtime[Any]) -> None:
        """Record what was said in the run."""
        saying = self._saying(state, runtime)
        if saying is not None:
            scope, run, turns = saying
            done = self._keeper.record(scope, turns, history=not run.lasting)
            self._known.add(scope, run, turns, stored=done is not None)

    async def aafter_agent(self, state: AgentState[Any], runtime: Runtime[Any]) -> None:
        """The same for an agent that is awaited."""
        saying = self._saying(state, runtime)
        if saying is not None:
            scope, run, turns = saying
            done = await self._keeper.arecord(scope, turns, history=not run.lasting)
            self._known.add(scope, run, turns, stored=done is not None)

    def _saying(
        self, state: AgentState[Any], runtime: Runtime[Any]
    ) -> tuple[Scope, Run, list[Turn]] | None:
        """The turns that a run has added, or, where messages have no lasting ids, all of them."""
        if not self.record:
            return None
        messages = state["messages"]
        run = self._run(runtime, messages)
        scope = None if run is None else self._whose(run)
        if run is None or scope is None:
            self._keeper.lost(len(messages), "nobody to remember them for")
            return None
        try:
            turns = self._turns(scope, run, self._going.all(scope, run, messages))
        except Exception as error:  # noqa: BLE001 - the agent has done its work
            self._keeper.lost(len(messages), type(error).__name__)
            return None
        return (scope, run, turns) if turns else None

    def _turns(self, scope: Scope, run: Run, messages: Sequence[AnyMessage]) -> list[Turn]:
        known, session = self._known.of(scope, run), run.session_in(scope)
        now, begun = scope.now, _beginning(messages)
        # Of a thread that several users share, each is remembered what was said in runs for them:
        # what stands unanswered before the latest message may be another's.
        others = _latest(messages) if self.per_user and run.lasting else 0
        forgotten = forgotten_in(messages)
        turns = []
        for number, message in enumerate(messages):
            name = turn_name(session, message.id) if run.lasting and message.id else None
            if known.get(name, number < others) or not _is_said(message):
                continue
            turn = to_turn(
                message, session=session, name=name, at=now if number >= begun else None,
                without=TOOLS,
            )  # fmt: skip
            if turn is not None and not holds(turn.text, forgotten):
                turns.append(turn)
        return turns

    # whose ------------------------------------------------------------------------------------

    def _run(self, runtime: Runtime[Any], messages: Sequence[AnyMessage]) -> Run | None:
        try:
            return run_of(runtime, messages)
        except Exception as error:  # noqa: BLE001 - the agent goes on without memory
            log.warning("the run cannot be told: %s; going on without memory", type(error).__name__)
            return None

    def _whose(self, run: Run) -> Scope | None:
        try:
            return user_scope(self.scope, run.user) if self.per_user else self.scope
        except (LookupError, ValueError) as error:
            log.warning("no scope for this user: %s; going on without memory", type(error).__name__)
            return None

    def _mine(self) -> Scope:
        """The scope that a tool is to use in the run that is going on."""
        return user_scope(self.scope, user_id()) if self.per_user else self.scope


def _joined(system: SystemMessage, told: str) -> SystemMessage:
    """A copy of the system's message with a text behind it."""
    content = system.content
    if isinstance(content, str):
        return system.model_copy(update={"content": f"{content}\n\n{told}"})
    return system.model_copy(update={"content": [*content, {"type": "text", "text": told}]})


def _before(message: AnyMessage, told: str) -> AnyMessage:
    """A copy of a message with a text before it."""
    content = message.content
    fresh: Any
    if isinstance(content, str):
        fresh = f"{told}\n\n{content}"
    else:
        fresh = [{"type": "text", "text": told}, *content]
    return message.model_copy(update={"content": fresh})


def _latest(messages: Sequence[AnyMessage]) -> int:
    """Where the latest message of the user's stands; behind all where there is none."""
    return max(
        (n for n, m in enumerate(messages) if isinstance(m, HumanMessage)), default=len(messages)
    )


def _beginning(messages: Sequence[AnyMessage]) -> int:
    """Where the latest run begins: with what came in after the answer before."""
    at = min(_latest(messages) + 1, len(messages))
    while at and not isinstance(messages[at - 1], (AIMessage, ToolMessage)):
        at -= 1
    return at


def _is_said(message: AnyMessage) -> bool:
    """Whether somebody said it: instructions, and summaries of what was taken away, nobody did."""
    summary = message.additional_kwargs.get("lc_source") == "summarization"
    return not summary and not isinstance(message, SystemMessage)


def _place(scope: Scope, run: Run) -> _Place:
    return scope.path, run.thread, "" if run.thread is not None else run.beginning


class _Going:
    """The messages of runs that go on: a middleware may take some away before a run is over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: OrderedDict[_Place, dict[str, AnyMessage]] = OrderedDict()

    def note(self, scope: Scope, run: Run, messages: Sequence[AnyMessage]) -> None:
        """Keep in mind what stands in a run's state; of runs that never ended, the latest ones."""
        with self._lock:
            held = self._runs.setdefault(_place(scope, run), {})
            held.update({message.id: message for message in messages if message.id})
            while len(self._runs) > _GOING:
                self._runs.popitem(last=False)

    def all(self, scope: Scope, run: Run, messages: Sequence[AnyMessage]) -> Sequence[AnyMessage]:
        """What was taken away since, and what is there; the run is over."""
        with self._lock:
            held = self._runs.pop(_place(scope, run), {})
        there = {message.id for message in messages}
        return [*(message for name, message in held.items() if name not in there), *messages]


class _Known:
    """Which turns are stored and which could not be, by conversation; of the latest ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: OrderedDict[_Place, dict[str | None, bool]] = OrderedDict()

    def of(self, scope: Scope, run: Run) -> Mapping[str | None, bool]:
        with self._lock:
            return dict(self._names.get(_place(scope, run), {}))

    def add(self, scope: Scope, run: Run, turns: Sequence[Turn], *, stored: bool) -> None:
        if not run.lasting:
            return
        place = _place(scope, run)
        with self._lock:
            held = self._names.setdefault(place, {})
            held.update({turn.id: stored for turn in turns if turn.id is not None})
            self._names.move_to_end(place)
            if len(self._names) > _AT_HAND:
                self._names.popitem(last=False)
