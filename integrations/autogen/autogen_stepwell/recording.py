"""Three ways to record a team: on a team that is there, by its runtime, or on its stream."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Self

from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.messages import BaseChatMessage
from autogen_agentchat.teams import BaseGroupChat
from autogen_core import (
    AgentId,
    CancellationToken,
    SingleThreadedAgentRuntime,
    TopicId,
)

from autogen_stepwell.hearing import Line
from autogen_stepwell.messages import USER
from autogen_stepwell.recorder import Recording, TeamRecorder
from stepwell import AsyncScope, Scope, Task


class Attached:
    """A team that is being recorded, until `detach()`. Made by `attach`."""

    def __init__(self, recorder: TeamRecorder, taps: list[_Tap]) -> None:
        self._recorder = recorder
        self._taps = taps

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.detach()

    @property
    def task(self) -> Task | None:
        """The task of the latest run: say how it ended by `task.outcome(...)`."""
        return self._recorder.task

    @property
    def recording(self) -> Recording:
        """What was recorded so far, and what was not."""
        return self._recorder.recording()

    def flush(self, seconds: float | None = None) -> bool:
        """Wait until all is stored, for `seconds`, or else for `patience`; whether it is."""
        return self._recorder.flush(seconds)

    async def aflush(self) -> bool:
        """The same for a host that has a loop."""
        return await self._recorder.aflush()

    def detach(self) -> Recording:
        """Record no more, and say what was recorded and what was not.

        Waits for what is still being stored, for `patience` seconds at most. The team is as it was.
        """
        for tap in self._taps:
            tap.close()
        self._recorder.leave()
        self._recorder.flush()
        return self._recorder.recording()


def attach(
    team: BaseGroupChat, scope: Scope | AsyncScope | str, *, session: str | None = None,
    name: str | None = None, patience: float = 5.0,
) -> Attached:  # fmt: skip
    """Record what a team says from now on, and what is said in the teams within it.

        with attach(team, memory.scope("acme")) as attached:
            await team.run(task="Plan the trip.")
        attached.task.outcome(1.0)

    Each run is a task with the team's name, or `name`, and a session of its own, unless `session`
    is given. When a run returns, all of it is stored; where storing is late it has waited for
    `patience` seconds at most. Raises TypeError for what is no team of AgentChat's.
    """
    recorder = TeamRecorder(scope, session=session, team=name, patience=patience)
    taps: dict[int, _Tap] = {}
    for each in _teams(team):
        runtime, number = getattr(each, "_runtime", None), getattr(each, "_team_id", None)
        if not hasattr(runtime, "publish_message") or not isinstance(number, str):
            raise TypeError(f"{type(each).__name__} has no runtime to listen to; see observe()")
        recorder.name(number, each.name)
        tap = taps.setdefault(id(runtime), _Tap(recorder, runtime))
        tap.teams.add(number)
    for tap in taps.values():
        tap.open()
    return Attached(recorder, list(taps.values()))


def _teams(team: object) -> Iterator[BaseGroupChat]:
    """A team, and the teams within it, those inside of an agent among them."""
    if not isinstance(team, BaseGroupChat):
        raise TypeError(f"a team of autogen_agentchat is wanted, not {type(team).__name__}")
    yield team
    for member in getattr(team, "_participants", ()):
        within = member if isinstance(member, BaseGroupChat) else getattr(member, "_team", None)
        if isinstance(within, BaseGroupChat):
            yield from _teams(within)


class _Tap:
    """Stands before the two verbs of a runtime by which everything passes."""

    def __init__(self, recorder: TeamRecorder, runtime: Any) -> None:
        self.teams: set[str] = set()
        self._recorder = recorder
        self._runtime = runtime
        self._here = False
        self._before: dict[str, Any] = {}
        self._plain: dict[str, Callable[..., Any]] = {}

    def open(self) -> None:
        held = vars(self._runtime)
        for verb, ours in self._verbs().items():
            if verb in held:
                self._before[verb] = held[verb]
            self._plain[verb] = getattr(self._runtime, verb)
            held[verb] = ours
        self._here = True

    def close(self) -> None:
        """Take it away; where something else stands before it by now, let everything through."""
        held = vars(self._runtime)
        for verb, ours in self._verbs().items():
            if self._here and held.get(verb) == ours:
                del held[verb]
                held.update({v: b for v, b in self._before.items() if v == verb})
        self._here = False

    def _verbs(self) -> dict[str, Callable[..., Any]]:
        return {"publish_message": self._publish, "send_message": self._send}

    async def _publish(self, message: Any, topic_id: TopicId, **rest: Any) -> None:
        if self._here and topic_id.type.rpartition("_")[2] in self.teams:
            await self._recorder.published(message, topic_id.type, _sender(rest.get("sender")))
        await self._plain["publish_message"](message, topic_id, **rest)

    async def _send(self, message: Any, recipient: AgentId, **rest: Any) -> Any:
        if self._here and recipient.type.rpartition("_")[2] in self.teams:
            self._recorder.sent(message, recipient.type)
        return await self._plain["send_message"](message, recipient, **rest)


def _sender(sender: AgentId | None) -> str | None:
    return None if sender is None else sender.type


class StepwellRuntime(SingleThreadedAgentRuntime):
    """A runtime that records the teams that run on it: `RoundRobinGroupChat([...], runtime=...)`.

    It starts by itself with the first message, and stays; `stop()` it, or leave it to the end of
    the loop. A team within the team records each of its messages, too, if it is given the same
    runtime; else its messages are recorded when it hands over what it has said.

    - `scope`, `session`, `team`, `patience`: see `TeamRecorder`.
    """

    def __init__(
        self, scope: Scope | AsyncScope | str, *, session: str | None = None,
        team: str | None = None, patience: float = 5.0, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.recorder = TeamRecorder(scope, session=session, team=team, patience=patience)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def publish_message(
        self, message: Any, topic_id: TopicId, *, sender: AgentId | None = None,
        cancellation_token: CancellationToken | None = None, message_id: str | None = None,
    ) -> None:  # fmt: skip
        """Publish, and record what is."""
        await self.recorder.published(message, topic_id.type, _sender(sender))
        await super().publish_message(
            message, topic_id, sender=sender, cancellation_token=cancellation_token,
            message_id=message_id,
        )  # fmt: skip

    async def send_message(
        self, message: Any, recipient: AgentId, *, sender: AgentId | None = None,
        cancellation_token: CancellationToken | None = None, message_id: str | None = None,
    ) -> Any:  # fmt: skip
        """Send, having started if need be."""
        self.recorder.sent(message, recipient.type)
        await self._run()
        return await super().send_message(
            message, recipient, sender=sender, cancellation_token=cancellation_token,
            message_id=message_id,
        )  # fmt: skip

    async def _run(self) -> None:
        """Start, unless started on this loop. Of a loop that is gone nothing runs any more."""
        loop = asyncio.get_running_loop()
        if self._loop not in {None, loop}:
            with contextlib.suppress(RuntimeError, asyncio.CancelledError):
                await self.stop()
        self._loop = loop
        with contextlib.suppress(RuntimeError):  # it runs already
            self.start()


async def observe(
    stream: AsyncIterator[Any], scope: Scope | AsyncScope | str, *, session: str | None = None,
    name: str | None = None, patience: float = 5.0,
) -> AsyncGenerator[Any, None]:  # fmt: skip
    """Pass on the messages of `team.run_stream(...)`, and record them.

        async for message in observe(team.run_stream(task="Plan the trip."), scope): ...

    It is the team that is recorded, as by `attach`, for this run. Of a stream that does not tell
    whose it is, one that another function has wrapped, the messages are recorded in their order,
    each as an answer to all since the speaker's last: who spoke at the same time cannot be told.
    """
    frame = getattr(stream, "ag_frame", None)
    team = None if frame is None else frame.f_locals.get("self")
    try:
        if isinstance(team, BaseGroupChat):
            attached = attach(team, scope, session=session, name=name, patience=patience)
            try:
                async for message in stream:
                    yield message
            finally:
                await attached.aflush()
                attached.detach()
            return
        recorder = TeamRecorder(scope, session=session, team=name, patience=patience)
        try:
            async for message in _overheard(stream, recorder):
                yield message
        finally:
            recorder.leave()
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


async def _overheard(stream: AsyncIterator[Any], recorder: TeamRecorder) -> AsyncIterator[Any]:
    """A stream whose team is not known."""
    line, task = Line(), list[BaseChatMessage]()
    async for message in stream:
        if isinstance(message, BaseChatMessage):
            if line.run is None and message.source == USER:
                task.append(message)
            else:
                _say(recorder, line, task, message)
        elif isinstance(message, TaskResult):
            await recorder.aflush()
        yield message


def _say(
    recorder: TeamRecorder, line: Line, task: list[BaseChatMessage], message: BaseChatMessage
) -> None:
    if line.run is None:
        recorder.begin(line, task)
    response = Response(chat_message=message)
    recorder.utter(line, message.source, response, line.upstream(message.source))
