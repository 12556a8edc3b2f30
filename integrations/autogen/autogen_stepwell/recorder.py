"""The recorder of a team: hears what is published, and has it stored off the team's loop."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, UserInputRequestedEvent

from autogen_stepwell.hearing import Line, Run, Said
from autogen_stepwell.messages import (
    USER,
    attachments_of,
    payload_of,
    stored_text,
    text_of,
    tools_of,
)
from autogen_stepwell.storing import Entry, Storing
from stepwell import AsyncScope, Scope, Task
from stepwell.adapting import Keeper, heard_in, mark_of, scope_of, session_name, usable_name

#: Where everything that goes wrong is logged.
LOGGER: Final = "autogen_stepwell"
#: Messages that are kept in mind, to know them again where another team passes them on.
_AT_HAND: Final = 50_000
_OUTPUT: Final = "output_topic"
_GROUP: Final = "group_topic"


@dataclass(frozen=True, slots=True)
class Recording:
    """What became of what was said: turns that were recorded, that were not, and that still wait.

    `tasks` are the ids of the runs' tasks, in their order.
    """

    recorded: int
    unrecorded: int
    waiting: int
    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Event:
    """Something that is published: on which of a team's topics, or for whom, and by whom."""

    message: Any
    kind: str
    sender: str | None


class TeamRecorder:
    """Records what a team says, and what is said in the teams within it, as turns of a scope.

    Nothing of it raises into a team, and nothing is stored on its loop. At the end of a run it is
    waited for until all is stored, for `patience` seconds at most; what takes longer goes on by
    itself, what fails is counted and logged.

    - `scope`: a Scope, an AsyncScope or the URI of one.
    - `session`: of all runs; else each run is a session of its own.
    - `team`: what the team is called; else its own name, where that can be told.
    """

    def __init__(
        self, scope: Scope | AsyncScope | str, *, session: str | None = None,
        team: str | None = None, patience: float = 5.0,
    ) -> None:  # fmt: skip
        self.scope = scope_of(scope)
        self._session = session
        self._team = team
        self._keeper = Keeper(LOGGER, patience=patience)
        self._heard = heard_in(self.scope)
        self._heard.listen(self)
        self._storing = Storing(self.scope, self._keeper, self._heard)
        self._lines: dict[str, Line] = {}
        self._said: dict[str, Said] = {}
        self._runs: list[Run] = []
        self._numbers = itertools.count(1)

    # what was recorded ------------------------------------------------------------------------

    def recording(self) -> Recording:
        """What became of what was said so far."""
        tally = self._keeper.tally
        tasks = [run.task.id for run in self._runs if run.task is not None]
        return Recording(
            tally.recorded, tally.unrecorded, tally.waiting,
            tuple(name for name in tasks if name is not None),
        )  # fmt: skip

    @property
    def task(self) -> Task | None:
        """The task of the latest run: say how it ended by `task.outcome(...)`."""
        return next((run.task for run in reversed(self._runs) if run.task is not None), None)

    def flush(self, seconds: float | None = None) -> bool:
        """Wait until all is stored, for `seconds` or else for `patience`; whether it is.

        Without `seconds` there is no wait behind what is late itself.
        """
        return self._keeper.settle() if seconds is None else self._keeper.flush(seconds)

    def leave(self) -> None:
        """Nothing more will be published to it."""
        self._heard.leave(self)

    def awaits(self, actor: str) -> bool:
        """Whether an agent has been asked to speak, and has not done so yet."""
        lines = list(self._lines.values())
        return any(line.asked(actor) for line in lines if line.run and not line.run.over)

    def tasks(self) -> list[Run]:
        """The runs that are going on and have a task."""
        return [run for run in self._runs if not run.over and run.goal]

    async def aflush(self) -> bool:
        """The same for a host that has a loop."""
        return await self._keeper.asettle()

    # hearing ----------------------------------------------------------------------------------

    def name(self, team: str, name: str) -> None:
        """What the team of an id is called."""
        self._lines.setdefault(team, Line()).team = name

    async def published(self, message: Any, topic: str, sender: str | None) -> None:
        """Something is published to a team, or within it. Waits at the end of a run."""
        try:
            hear = _HEARING.get(type(message).__name__)
            if hear is None:
                return
            kind, _, team = topic.rpartition("_")
            over = hear(self, self._lines.setdefault(team, Line()), _Event(message, kind, sender))
        except Exception as error:  # noqa: BLE001 - a team hangs on what is raised here
            self._keeper.lost(1, type(error).__name__)
            return
        if over:
            await self._keeper.asettle()

    def sent(self, message: Any, recipient: str) -> None:
        """Something is sent to a member of a team, or to its manager."""
        if type(message).__name__ == "GroupChatReset":
            name, _, team = recipient.rpartition("_")
            line = self._lines.get(team)
            if line is not None:
                line.clear(name)
                if name == line.manager and line.run is not None and line.run.root is line:
                    line.run = None

    def _started(self, line: Line, event: _Event) -> bool:
        messages = event.message.messages or []
        if event.kind == _OUTPUT:
            line.manager = None if event.sender is None else event.sender.rpartition("_")[0]
            self.begin(line, messages)
        elif event.kind == _GROUP:
            line.tell_all([self._said[each.id] for each in messages if each.id in self._said])
        return False

    def _requested(self, line: Line, event: _Event) -> bool:
        if line.run is None or (line.run.over and line.run.root is line):
            self.begin(line, ())
        line.ask(event.kind)
        return False

    def _responded(self, line: Line, event: _Event) -> bool:
        if event.kind == _GROUP:
            name = event.message.name
            self.utter(line, name, event.message.response, line.upstream(name))
        return False

    def _team_responded(self, line: Line, event: _Event) -> bool:
        """What another team has said: recorded where it was said, or, if not heard there, here."""
        message = event.message
        if event.kind != _GROUP:
            return False
        within = line.within(message.name)
        for said in line.upstream(message.name):
            within.say("", said)
        for each in message.result.messages:
            if not isinstance(each, BaseChatMessage):
                continue
            known = self._said.get(each.id)
            if known is not None and known.run is line.run:
                within.say(each.source, known)
            else:
                before = within.upstream(each.source)
                known = self.utter(within, each.source, Response(chat_message=each), before)
            line.say(message.name, known)
        return False

    def _messaged(self, line: Line, event: _Event) -> bool:
        """Inner events; of them only counts that somebody is asked who is a person, then."""
        if isinstance(event.message.message, UserInputRequestedEvent):
            line.people.add(event.message.message.source)
        return False

    def _terminated(self, line: Line, _: _Event) -> bool:
        if line.run is None or line.run.root is not line:
            return False
        line.run.over = True
        return True

    # recording --------------------------------------------------------------------------------

    def begin(self, line: Line, messages: Sequence[BaseChatMessage]) -> None:
        """A run begins with these messages.

        Messages of a run that is going on come from the team around this one. A run that is given
        nothing to do goes on with what was to be done before.
        """
        around = self._around(line, messages)
        goal = _goal(messages)
        if around is not None:
            line.run = around
        elif line.run is None or line.run.root is not line or goal is not None:
            line.run = self._run(line, messages, goal)
        else:
            line.run.over = False
        for message in messages:
            known = self._said.get(message.id)
            if around is None or known is None or known.run is not around:
                known = self._asked_for(line, line.run, message, goal=message is goal)
            line.say("", known, to_all=False)

    def _around(self, line: Line, messages: Sequence[BaseChatMessage]) -> Run | None:
        for message in messages:
            known = self._said.get(message.id)
            if known is not None and not known.run.over and known.run.root is not line:
                return known.run
        return None

    def _run(
        self, line: Line, messages: Sequence[BaseChatMessage], goal: BaseChatMessage | None
    ) -> Run:
        team = self._team or line.team or line.manager or "team"
        number = next(self._numbers)
        made = f"{team} {self.scope.now:%Y-%m-%dT%H:%M:%S.%fZ} {number}"
        told: dict[str, Any] = {}
        if goal is not None:
            told = _told(goal, person=True) | {"step": list(messages).index(goal)}
        run = Run(told, stored_text(team), session_name(self._session or made), line)
        self._runs.append(run)
        return run

    def _asked_for(self, line: Line, run: Run, message: BaseChatMessage, *, goal: bool) -> Said:
        """A message from outside of the team. The goal is remembered by the task itself."""
        if not goal:
            return self._record(line, message.source, message, run, (), {})
        said = self._new(run, message)
        mark = mark_of(run.goal["actor"], run.goal["text"])
        self._storing.put(Entry(said, mark, run.step(), True, {}, ()))
        return said

    def utter(
        self, line: Line, speaker: str, response: Response, upstream: Sequence[Said]
    ) -> Said:  # fmt: skip
        """A member of the team has spoken."""
        if line.run is None:
            self.begin(line, ())
        assert line.run is not None  # noqa: S101 - begun
        did, got = tools_of(response.inner_messages)
        fields: dict[str, Any] = {"action": did or None, "observation": got or None}
        said = self._record(line, speaker, response.chat_message, line.run, upstream, fields)
        line.say(speaker, said)
        return said

    def _record(
        self, line: Line, speaker: str, message: BaseChatMessage, run: Run,
        upstream: Sequence[Said], fields: Mapping[str, Any],
    ) -> Said:  # fmt: skip
        said = self._new(run, message)
        told = _told(message, person=speaker == USER or speaker in line.people)
        told |= {"actor": usable_name(speaker), "session": run.session, **fields}
        if run.root is not line and line.team:
            told["payload"] |= {"team": line.team}
        mark = mark_of(told["actor"], told["text"])
        self._storing.put(Entry(said, mark, run.step(), False, told, upstream))
        return said

    def _new(self, run: Run, message: BaseChatMessage) -> Said:
        said = Said(run)
        self._said.pop(message.id, None)
        self._said[message.id] = said
        if len(self._said) > _AT_HAND:
            self._said.pop(next(iter(self._said)))
        return said


#: What is listened to, by the names of AutoGen's own classes, which lie in a private module.
_HEARING: Final[Mapping[str, Callable[[TeamRecorder, Line, _Event], bool]]] = {
    "GroupChatStart": TeamRecorder._started,  # noqa: SLF001 - of the same module
    "GroupChatRequestPublish": TeamRecorder._requested,  # noqa: SLF001
    "GroupChatAgentResponse": TeamRecorder._responded,  # noqa: SLF001
    "GroupChatTeamResponse": TeamRecorder._team_responded,  # noqa: SLF001
    "GroupChatMessage": TeamRecorder._messaged,  # noqa: SLF001
    "GroupChatError": TeamRecorder._terminated,  # noqa: SLF001 - it may be the last of a run
    "GroupChatTermination": TeamRecorder._terminated,  # noqa: SLF001
}


def _told(message: BaseChatMessage, *, person: bool) -> dict[str, Any]:
    """What a message says, as the fields of a turn."""
    return {
        "text": stored_text(text_of(message)),
        "actor": usable_name(message.source),
        "role": "user" if person else "assistant",
        "at": message.created_at,
        "attachments": attachments_of(message),
        "payload": payload_of(message),
    }


def _goal(messages: Iterable[BaseChatMessage]) -> BaseChatMessage | None:
    """The last message that says something, a user's if there is one."""
    speaking = [message for message in messages if text_of(message).strip()]
    users = [message for message in speaking if message.source == USER]
    return next(reversed(users or speaking), None)
