"""Tasks: a goal, the turns said on the way to it, what was shown meanwhile, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from types import TracebackType
from typing import Any, Self

from stepwell.contracts import Event
from stepwell.errors import InvalidQuery, InvalidTurn, UnknownRecord, VersionConflict
from stepwell.filters import Filter
from stepwell.identity import keyed
from stepwell.mechanisms.interacting import interaction
from stepwell.memory.arguments import fraction, query_of, seconds_of, turn_of, turns_of
from stepwell.memory.crediting import sums, told
from stepwell.memory.engine import Engine
from stepwell.memory.telling import MANY, tells
from stepwell.models import (
    CREDITED,
    SHOWN,
    Context,
    Edge,
    EdgeKind,
    Interaction,
    Kind,
    Origin,
    Recall,
    Receipt,
    Record,
    Turn,
)  # fmt: skip
from stepwell.ops import Add, Link, Op, SetState
from stepwell.searching import ScopeView

_TRIES = 5
_ALL = 2**62
_TASKS = Filter(kind=Kind.TASK, level=1)
_NAMED = {"__enter__": "task", "value": "task.value"}


@tells(attrgetter("_path"), apart=("showed",), named=MANY | _NAMED)
class Task:
    """A task that is being worked on. Made by `Scope.task`.

    The goal is remembered as a turn of its own, whose id is the task's, and the task rests on it:
    who forgets the task forgets both. Turns remembered through the task carry its id; what is
    shown through it is credited with its outcome, also after the task was joined again.
    """

    def __init__(
        self, engine: Engine, path: tuple[str, ...], goal: str | Turn | Mapping[str, Any],
        name: str | None, team: str | None, session: str | None,
    ) -> None:  # fmt: skip
        self._engine = engine
        self._path = path
        # Checked at once: a name that no turn may have, or a goal that is no text.
        told = {"id": name, "session": session}
        given = {"role": "user"} if isinstance(goal, str) else {}
        given |= {key: value for key, value in told.items() if value is not None}
        self._given = turn_of(goal, given)
        if self._given.id is None and not self._given.text.strip():
            raise InvalidTurn("a task needs a goal")
        self.goal = self._given.text
        self.team = team
        self.session = self._given.session
        self.id: str | None = None
        self._record: str | None = None
        self._shown: set[str] = set()

    def __enter__(self) -> Self:
        """Remember the goal, and open the task; or join it, if it is there."""
        engine = self._engine.ready()
        found = None if self._given.id is None else _stored(engine, self._path, self._given.id)
        if found is not None:
            if self.goal not in ("", found.text):
                raise InvalidTurn("there is a task of that id with another goal")
            return self._join(found)
        if not self.goal.strip():
            raise UnknownRecord("this scope holds no task of that id")
        said = self._given
        if self.team:
            said = turn_of(said, {"payload": {**said.payload, "team": self.team}})
        name = _goal(engine, self._path, said)
        with engine.searcher.view(self._path) as view:
            row, goal = view.row, view.get(name)
            if row is None or goal is None:
                raise InvalidQuery("the task's goal was forgotten meanwhile")
            record = Record(
                id="", scope=self._path, level=1, kind=Kind.TASK, text=goal.text, task=name,
                session=self.session, origin=Origin.USER, stored_at=goal.stored_at,
                said_at=goal.said_at, payload={"team": self.team} if self.team else {},
            )  # fmt: skip
            keys, failed = engine.searcher.keys_of(record, view)
        op = Add(
            record=record,
            keys=tuple(keys if failed is None else ()),
            sources=(goal.id,),
            who="task",
        )
        made = engine.committer.apply(row, [op], strict=True).ids[0]
        return self._join(record.model_copy(update={"id": made}))

    def _join(self, record: Record) -> Self:
        team = record.payload.get("team")
        self.goal, self.session = record.text, record.session
        self.team = team if isinstance(team, str) else None
        self.id, self._record = record.task, record.id
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The task stays as it is; say how it ended by `outcome`."""

    @property
    def value(self) -> float | None:
        """How it ended, as far as it was said."""
        held = _stored(self._engine.ready(), self._path, self._begun())
        return None if held is None else _outcome(held)

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
        deadline = seconds_of(options.pop("deadline", None), "deadline")
        asked = query_of(query, task=self._begun(), **options)
        found = self._engine.ready().recall(self._path, asked, deadline=deadline)
        self._note(found.shown)
        return found

    def context(self, /, query: str, *, budget: int = 800, **options: Any) -> Context:
        """See Scope.context. What is shown is credited with the task's outcome."""
        deadline = seconds_of(options.pop("deadline", None), "deadline")
        asked = query_of(query, task=self._begun(), budget=budget, **options)
        found = self._engine.ready().context(self._path, asked, deadline=deadline)
        self._note([hit.record.id for hit in found.hits])
        return found

    def showed(self, found: Recall | Context) -> None:
        """Say that this was shown on the way to the goal: it is credited with the task's outcome.

        For what was not asked for through the task itself.
        """
        self._begun()
        hits = found.hits if isinstance(found, Context) else tuple(found)
        self._note([hit.record.id for hit in hits])

    def graph(self) -> Interaction:
        """Who said what on the way, and in answer to what: the goal and the task's turns."""
        name = self._begun()
        with self._engine.ready().searcher.view(self._path) as view:
            goal = view.get(name)
            turns = view.records(Filter(task=name, level=0), limit=_ALL)
        first = [] if goal is None or any(t.id == goal.id for t in turns) else [goal]
        return interaction(name, [*first, *turns])

    def outcome(self, value: float, *, feedback: str = "") -> None:
        """Say how the task ended, from 0 (failed) to 1. What was shown is credited with it, once.

        Said again it takes the place of what was said before, in the ledger too: the same value
        credits only what was shown since. Policies are told of it by the event "outcome".
        """
        good = fraction(value, "an outcome")
        if feedback:
            self.remember(feedback, role="user")
        engine, name = self._engine.ready(), self._begun()
        engine.shown.store(self._path)
        for attempt in range(_TRIES):
            with engine.searcher.view(self._path) as view:
                row = view.row
                ops, more = self._credits(engine, view, good)
            if row is None or not ops:
                return
            try:
                engine.committer.apply(row, ops, strict=True)
            except (VersionConflict, UnknownRecord):
                # Somebody else has said it, or forgotten something that was shown: once more.
                if attempt == _TRIES - 1:
                    raise
                continue
            with engine.taking(self._path) as usage:
                engine.committer.apply(row, [*usage, *more])
            return
        raise AssertionError(name)

    def _credits(self, engine: Engine, view: ScopeView, good: float) -> tuple[list[Op], list[Op]]:
        """What an outcome changes, and what policies make of it."""
        held = None if view.row is None else _of(view, self._begun())
        if held is None:
            raise InvalidQuery("the task was forgotten meanwhile")
        was = _outcome(held)
        edges = view.links([held.id], SHOWN).get(held.id, ())
        new = [edge.target for edge in edges if edge.weight < CREDITED]
        old = [edge.target for edge in edges if edge.weight >= CREDITED and was not in (None, good)]
        if was == good and not new:
            return [], []
        state = SetState(id=held.id, payload={"outcome": good}, expects=held.version, who="task")
        ops: list[Op] = [state]
        ops += [op.model_copy(update={"shown": 1}) for op in sums(new, good, "task")]
        gain = good - (was or 0.0)
        ops += [SetState(id=i, success=gain, failure=-gain, who="task") for i in old]
        for name in new:
            edge = Edge(source=held.id, kind=SHOWN, target=name, weight=CREDITED)
            ops.append(Link(edge=edge, who="task"))
        more = told(engine, view, Event("outcome", tuple(new), good, task=held.id))
        if old:
            more += told(engine, view, Event("outcome", tuple(old), good, task=held.id, was=was))
        return ops, more

    def _note(self, record_ids: Iterable[str]) -> None:
        fresh = [name for name in record_ids if name not in self._shown]
        if fresh and self._record is not None:
            self._shown.update(fresh)
            self._engine.shown.note(self._path, self._record, fresh)

    def _begun(self) -> str:
        if self.id is None:
            raise InvalidQuery("a task begins with `with scope.task(goal) as task:`")
        return self.id


def tasks(
    engine: Engine, path: tuple[str, ...], where: Filter | None, after: str | None, limit: int
) -> list[Task]:
    """Tasks in order of their beginning, each joined."""
    with engine.ready().searcher.view(path) as view:
        last = None if after is None else _of(view, after)
        if after is not None and last is None:
            raise UnknownRecord("this scope holds no task of that id")
        fitting = _TASKS if where is None else where & _TASKS
        found = view.records(fitting, after=None if last is None else last.id, limit=limit)
    made = [r for r in found if r.task is not None]
    return [Task(engine, path, r.text, r.task, None, r.session)._join(r) for r in made]  # noqa: SLF001 - its own


def _goal(engine: Engine, path: tuple[str, ...], said: Turn) -> str:
    """Store the goal of a new task as a turn of it; its id. Raises InvalidTurn."""
    with engine.searcher.view(path) as view:
        row = view.row
        known = 0 if row is None else view.reader.count(row, _TASKS, active=False)
    number = known
    while True:
        name = said.id or "t_" + keyed(engine.key_of(path), "task", said.text, str(number)).hex()
        fresh = said.model_copy(update={"id": name, "task": name})
        receipt = engine.remember(path, [fresh])
        if receipt.stored:
            return name
        reason = receipt.skipped[0].reason
        if said.id is not None and reason == "duplicate":
            return name  # the goal was said, but the task not begun
        if said.id is not None or reason not in ("duplicate", "conflict", "forgotten"):
            raise InvalidTurn(f"the task's goal was not stored: {reason}")
        number += 1


def _stored(engine: Engine, path: tuple[str, ...], task: str) -> Record | None:
    with engine.searcher.view(path) as view:
        return _of(view, task)


def _of(view: ScopeView, task: str) -> Record | None:
    """The record of a task: the first one that rests on its goal."""
    goal = view.get(task)
    if goal is None or goal.turn != task:
        return None
    edges = view.links([goal.id], EdgeKind.DERIVED_FROM, into=True).get(goal.id, ())
    above = (view.get(edge.source) for edge in edges)
    return next((r for r in above if r and r.kind is Kind.TASK and r.task == task), None)


def _outcome(record: Record) -> float | None:
    value = record.payload.get("outcome")
    return float(value) if isinstance(value, (int, float)) else None
