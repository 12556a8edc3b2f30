"""Tasks: a goal, the turns said on the way to it, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from stepwell.errors import InvalidQuery, InvalidTurn
from stepwell.memory.arguments import fraction, query_of, turn_of, turns_of
from stepwell.memory.engine import Engine
from stepwell.models import Kind, Origin, Recall, Receipt, Record, Turn
from stepwell.ops import Add, Op, SetState


class Task:
    """A task that is being worked on. Made by `Scope.task`.

    The goal is remembered as a turn of its own, and the task rests on it. Turns remembered through
    the task carry its id; records recalled through it are credited with its outcome.
    """

    def __init__(
        self,
        engine: Engine,
        path: tuple[str, ...],
        goal: str,
        team: str | None,
        session: str | None,
    ) -> None:
        self._engine = engine
        self._path = path
        self.goal = turn_of(goal, {}).text
        if not self.goal.strip():
            raise InvalidTurn("a task needs a goal")
        self.team = team
        self.session = session
        self.id: str | None = None
        self._record: str | None = None
        self._shown: dict[str, None] = {}

    def __enter__(self) -> Self:
        """Remember the goal, and open the task."""
        said = turn_of(
            self.goal,
            {
                "role": "user",
                "session": self.session,
                "payload": {"team": self.team} if self.team else {},
            },
        )
        self.id = self._engine.ready().remember(self._path, [said]).stored[0]
        with self._engine.searcher.view(self._path) as view:
            row, goal = view.row, view.get(self.id)
            if row is None or goal is None:
                raise InvalidQuery("the task's goal was forgotten meanwhile")
            record = Record(
                id="", scope=self._path, level=1, kind=Kind.TASK, text=self.goal, task=self.id,
                session=self.session, origin=Origin.USER, stored_at=goal.stored_at,
                payload={"team": self.team} if self.team else {},
            )  # fmt: skip
            keys, failed = self._engine.searcher.keys_of(record, view)
        op = Add(
            record=record,
            keys=tuple(keys if failed is None else ()),
            sources=(goal.id,),
            who="task",
        )
        self._record = self._engine.committer.apply(row, [op], strict=True).ids[0]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The task stays as it is; say how it ended by `outcome`."""

    def remember(self, /, text: str | Turn | Mapping[str, Any], **fields: Any) -> Receipt:
        """See Scope.remember. The turn carries the task's id."""
        turn = turn_of(text, {"session": self.session, **fields, "task": self._begun()})
        return self._engine.ready().remember(self._path, [turn])

    def remember_many(self, turns: Iterable[Turn | Mapping[str, Any] | str]) -> Receipt:
        """See Scope.remember_many. The turns carry the task's id."""
        made = [turn.model_copy(update={"task": self._begun()}) for turn in turns_of(turns)]
        return self._engine.ready().remember(self._path, made)

    def recall(self, /, query: str, **options: Any) -> Recall:
        """See Scope.recall. What is shown is credited with the task's outcome."""
        asked = query_of(query, task=self._begun(), **options)
        found = self._engine.ready().recall(self._path, asked)
        self._shown.update(dict.fromkeys(found.shown))
        return found

    def outcome(self, value: float, *, feedback: str = "") -> None:
        """Say how the task ended, from 0 (failed) to 1; may be said again."""
        good = fraction(value, "an outcome")
        if feedback:
            self.remember(feedback, role="user")
        self._begun()
        engine = self._engine.ready()
        with engine.store.reading() as reader:
            row = reader.scope_of(self._path)
        if row is None or self._record is None:
            raise InvalidQuery("the task was forgotten meanwhile")
        ops: list[Op] = [SetState(id=self._record, payload={"outcome": good}, who="task")]
        ops += [
            SetState(id=i, shown=1, used=1, success=good, failure=1.0 - good, who="task")
            for i in self._shown
        ]
        engine.committer.apply(row, ops)

    def _begun(self) -> str:
        if self.id is None:
            raise InvalidQuery("a task begins with `with scope.task(goal) as task:`")
        return self.id
