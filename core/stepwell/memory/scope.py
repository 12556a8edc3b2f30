"""Scope: the verbs. Each is thin; the paths beneath do the work."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import IO, Any

from pydantic_core import CoreSchema

from stepwell.contracts import ScopeRow
from stepwell.errors import InvalidQuery, UnknownRecord
from stepwell.filters import Filter, names_field
from stepwell.memory import histories, moving
from stepwell.memory.arguments import (
    fraction,
    from_uri,
    id_of,
    moment_of,
    query_of,
    seconds_of,
    segments,
    slot_name,
    slot_op,
    text_of,
    to_uri,
    turn_of,
    turns_of,
    whole,
)
from stepwell.memory.crediting import judge, named
from stepwell.memory.documents import Documents
from stepwell.memory.engine import Engine
from stepwell.memory.opening import OPTIONS, open_engine
from stepwell.memory.past import Past
from stepwell.memory.tasks import Task, tasks
from stepwell.memory.telling import MANY, tells
from stepwell.memory.trees import grow, told
from stepwell.memory.uris import as_uri
from stepwell.models import (
    Change,
    Context,
    ErasureReceipt,
    Explanation,
    Node,
    Recall,
    Receipt,
    Record,
    Report,
    Slot,
    Stats,
    Turn,
    Usage,
)  # fmt: skip
from stepwell.searching import Moment


@tells(attrgetter("path"), apart=("within", "at", "task", "close"), named=MANY)
class Scope:
    """One tenant's memory. No verb reads or writes anything of another scope.

    Every verb raises StoreClosed after close(), and the StoreError family when the file fails.
    """

    def __init__(self, engine: Engine, path: tuple[str, ...]) -> None:
        self._engine = engine
        self.path = path

    def __repr__(self) -> str:
        return f"Scope{self.path!r}"

    @property
    def uri(self) -> str:
        """Where this scope lies. Raises InvalidScope for a store in memory."""
        return to_uri(self._engine.store.path, self.path)

    @property
    def now(self) -> datetime:
        """The time by the clock of this memory."""
        return self._engine.clock()

    def within(self, *path: str) -> Scope:
        """A scope beneath this one, as walled off as any other. Raises InvalidScope."""
        return Scope(self._engine, segments((*self.path, *path)))

    @property
    def documents(self) -> Documents:
        """Keyed JSON values inside this scope."""
        return Documents(self._engine, self.path)

    # taking in --------------------------------------------------------------------------------

    def remember(self, /, text: str | Turn | Mapping[str, Any], **fields: Any) -> Receipt:
        """Store one turn. When this returns, neither kill -9 nor a power cut takes it back.

        `fields` are those of Turn: actor, role, session, at, id, origin, upstream, task, step ...
        The receipt holds the turn's id, given or generated, under stored or skipped. Raises
        InvalidTurn, or PluginFailed when a screening plugin fails; then nothing was stored.
        """
        return self._engine.ready().remember(self.path, [turn_of(text, fields)])

    def remember_many(self, turns: Iterable[Turn | Mapping[str, Any] | str]) -> Receipt:
        """Store turns in one transaction: all that are new, or, if it fails, none."""
        return self._engine.ready().remember(self.path, turns_of(turns))

    def remember_history(self, turns: Iterable[Turn | Mapping[str, Any]]) -> Receipt:
        """Store what is new of a history: a session from its beginning on, or the last of it.

        For hosts that send it again with every call and give no ids. All turns name the same
        session; those that have ids keep them. Raises InvalidTurn.
        """
        return histories.remember(self._engine.ready(), self.path, turns_of(turns))

    def identify(self, turns: Iterable[Turn | Mapping[str, Any]]) -> list[str | None]:
        """The ids under which the turns of such a history are, or would be, stored.

        None for turns without an id where the scope holds nothing yet. Raises InvalidTurn.
        """
        return histories.identified(self._engine.ready(), self.path, turns_of(turns))

    def revise(self, record_or_turn_id: str, text: str) -> Record:
        """Give a record another text; the old one stays in its history. The record as it is now.

        The text is screened as a turn's is. Raises UnknownRecord, InvalidTurn, VersionConflict.
        """
        checked = text_of(text)
        name = self._engine.ready().writer.revise(self.path, record_or_turn_id, checked)
        revised = self.get(name)
        if revised is None:
            raise UnknownRecord("the record was forgotten meanwhile")
        return revised

    # recalling --------------------------------------------------------------------------------

    def recall(
        self, query: str, *, k: int = 10, now: datetime | None = None, where: Filter | None = None,
        levels: Iterable[int] | None = None, min_trust: float = 0.0, min_score: float = 0.0,
        role: str | None = None, task: str | None = None, without: Collection[str] = (),
        deadline: float | None = None, track: bool = False,
    ) -> Recall:  # fmt: skip
        """The records that best answer a question, best first, at most k.

        `now` is the time the question is asked at (the clock's, unless given): what "last week"
        means. `levels` are (0,) unless given. `without` are turn ids that the reader sees already.
        `deadline` is in seconds from now; when it is missed, what was found by then comes back and
        `degraded` names it. `track` counts what was shown, stored with the next write; nothing else
        of recall ever writes. Raises InvalidQuery.
        """
        asked = query_of(
            query, k=k, now=now, where=where, levels=levels, min_trust=min_trust,
            min_score=min_score, role=role, task=task, without=without,
        )  # fmt: skip
        found = self._engine.ready().recall(
            self.path, asked, deadline=seconds_of(deadline, "deadline")
        )
        if track and found.shown:
            self._engine.track(self.path, found.shown)
        return found

    def context(
        self, query: str, *, budget: int = 800, now: datetime | None = None,
        where: Filter | None = None, levels: Iterable[int] | None = None, min_trust: float = 0.0,
        role: str | None = None, task: str | None = None, without: Collection[str] = (),
        deadline: float | None = None,
    ) -> Context:  # fmt: skip
        """A text to put before a model: what matters for a question, quoted as data, in time order.

        Never more than `budget` tokens. The whole scope, when it fits. `without` are the ids of
        turns that the model sees already. Raises InvalidQuery.
        """
        asked = query_of(
            query, now=now, where=where, levels=levels, min_trust=min_trust, role=role, task=task,
            budget=budget, without=without,
        )  # fmt: skip
        return self._engine.ready().context(
            self.path, asked,
            deadline=seconds_of(deadline, "deadline"),
        )  # fmt: skip

    def explain(
        self, record_or_turn_id: str, query: str, *, k: int = 10, now: datetime | None = None,
        where: Filter | None = None, min_trust: float = 0.0, min_score: float = 0.0,
    ) -> Explanation:  # fmt: skip
        """Why a record was, or was not, recalled: rank, score by channel, and what stood above."""
        asked = query_of(query, k=k, now=now, where=where, min_trust=min_trust, min_score=min_score)
        return self._engine.ready().recaller.explain(self.path, record_or_turn_id, asked)

    def at(self, when: datetime, *, known: datetime | None = None) -> Past:
        """This scope as it was: what was said by `when` and held then.

        With `known`, only as far as the store knew at that time. Raises InvalidQuery.
        """
        at, by = moment_of(when, "at"), moment_of(known, "known")
        if at is None:
            raise InvalidQuery("at takes a datetime")
        return Past(self._engine, self.path, Moment(at, by))

    # looking ----------------------------------------------------------------------------------

    def get(self, record_or_turn_id: str) -> Record | None:
        """A record by its id or its turn's; None when unknown, forgotten, or of another scope."""
        with self._engine.ready().searcher.view(self.path) as view:
            return view.get(id_of(record_or_turn_id))

    def records(
        self, where: Filter | None = None, after: str | None = None, limit: int = 100
    ) -> list[Record]:
        """Active records of all levels in order of arrival, after a record id.

        A filter that names a status gives those of that status.
        """
        engine = self._engine.ready()
        most = min(whole(limit, "limit"), 2**62)
        query_of("", where=where)
        with engine.store.reading() as reader:
            row = reader.scope_of(self.path)
            if row is None:
                return []
            start = 0 if after is None else reader.find(row, [id_of(after)]).get(after) or 0
            refs = reader.select(row, where, start, most, active=not names_field(where, "status"))
            return [record for _, record in reader.load(row, refs)]

    def count(self, where: Filter | None = None) -> int:
        """How many records `records` would give in all."""
        query_of("", where=where)
        with self._engine.ready().store.reading() as reader:
            row = reader.scope_of(self.path)
            active = not names_field(where, "status")
            return 0 if row is None else reader.count(row, where, active=active)

    def stats(self) -> Stats:
        """What the scope holds, in numbers."""
        return self._engine.ready().stats(self.path)

    def tree(self) -> list[Node]:
        """The levels as trees, highest first; turns that nothing contains yet stand at the end."""
        with self._engine.ready().store.reading() as reader:
            row = reader.scope_of(self.path)
            return [] if row is None else grow(reader, row)

    def history(self, record_or_turn_id: str) -> list[Change]:
        """Every change of a record, oldest first: who, why, when, and how it was before."""
        with self._engine.ready().store.reading() as reader:
            row = reader.scope_of(self.path)
            name = id_of(record_or_turn_id)
            ref = None if row is None else reader.find(row, [name]).get(name)
            if row is None or ref is None:
                raise UnknownRecord("this scope holds no record of that id")
            return told(reader, row, ref)

    def usage(self, record_or_turn_id: str) -> Usage:
        """The ledger's line of a record."""
        with self._engine.ready().searcher.view(self.path) as view:
            return view.usage(id_of(record_or_turn_id))

    # slots ------------------------------------------------------------------------------------

    def slot(self, name: str) -> Slot:
        """A slot's text as it is now; version 0 when it was never set."""
        with self._engine.ready().searcher.view(self.path) as view:
            return view.slot(slot_name(name))

    def set_slot(
        self, name: str, text: str, *, budget: int = 256, sources: Sequence[str] = (), why: str = ""
    ) -> Slot:
        """Give a slot another text of at most `budget` tokens. `sources` are turn ids.

        Raises InvalidQuery when the text is too long.
        """
        op = slot_op(name, text, budget, sources, why)
        engine = self._engine.ready()
        with engine.store.reading() as reader:
            row = reader.scope_of(self.path)
        row = row or ScopeRow(0, self.path, engine.secret_of(self.path), 0, 0)
        engine.committer.apply(row, [op], strict=True)
        return self.slot(name)

    def slots(self) -> list[Slot]:
        """All slots, by name."""
        with self._engine.ready().store.reading() as reader:
            row = reader.scope_of(self.path)
            return [] if row is None else reader.slots(row)

    # judging, making levels -------------------------------------------------------------------

    def feedback(self, shown: Recall | Context | str | Iterable[str], outcome: float = 1.0) -> None:
        """Say how useful what was shown has been, from 0 (not at all) to 1.

        Takes a Recall, a Context, a record or turn id, or several. The ledger keeps the sums.
        """
        good = fraction(outcome, "an outcome")
        judge(self._engine.ready(), self.path, named(shown), good, strict=isinstance(shown, str))

    def consolidate(self, budget: float | None = None) -> Report:
        """Work on what is queued now, for at most `budget` seconds; what was made, what failed."""
        engine = self._engine.ready()
        return engine.consolidate(self.path, seconds_of(budget, "budget"))

    def rebuild(self) -> Report:
        """Drop everything derived and make it again from the turns."""
        engine = self._engine.ready()
        with engine.store.reading() as reader:
            row = reader.scope_of(self.path)
        if row is None:
            return Report()
        report = engine.rebuilder.scope(row)
        again = engine.consolidator.consolidate(self.path)
        return Report({**report.counts, **again.counts}, again.parked)

    def task(
        self, goal: str | Turn | Mapping[str, Any] = "", *, id: str | None = None,  # noqa: A002 - as turns call it
        team: str | None = None, session: str | None = None,
    ) -> Task:  # fmt: skip
        """A task to work on: `with scope.task("book a flight") as task: ...; task.outcome(1.0)`.

        The goal is a text, or a turn if more is known of it. `id` joins a task again, in this
        process or another, or, with a goal, begins one of that id. Entering raises UnknownRecord
        for an unknown id without a goal, InvalidTurn for others.
        """
        return Task(self._engine, self.path, goal, id, team, session)

    def tasks(
        self, where: Filter | None = None, after: str | None = None, limit: int = 100
    ) -> list[Task]:
        """Tasks in order of their beginning, each joined; after a task's id."""
        query_of("", where=where)
        most = min(whole(limit, "limit"), 2**62)
        return tasks(self._engine, self.path, where, None if after is None else id_of(after), most)

    # forgetting -------------------------------------------------------------------------------

    def forget(
        self, record_or_turn_id: str | Iterable[str] | None = None, *, where: Filter | None = None
    ) -> ErasureReceipt:
        """Forget for good: the text, its keys, old versions, and what rests on it alone.

        Takes one id, several, or a filter (an empty one raises InvalidFilter). In one transaction;
        then the bytes leave the file. A forgotten turn id is refused from now on.
        Raises UnknownRecord, and then nothing was forgotten.
        """
        if record_or_turn_id is None and where is None:
            raise InvalidQuery("forget takes an id or a filter; erase() forgets the whole scope")
        if record_or_turn_id is not None and where is not None:
            raise InvalidQuery("forget takes an id or a filter, not both")
        query_of("", where=where)
        ids: list[str] = []
        if isinstance(record_or_turn_id, str):
            ids = [record_or_turn_id]
        elif record_or_turn_id is not None:
            ids = [id_of(name) for name in record_or_turn_id]
        return self._engine.ready().eraser.forget(self.path, ids, where)

    def erase(self) -> ErasureReceipt:
        """Erase the whole scope, its name and tombstones included."""
        return self._engine.ready().erase(self.path)

    # into a file and out of one ---------------------------------------------------------------

    def export(
        self, to: str | os.PathLike[str] | IO[str], *, format: str = "jsonl",  # noqa: A002 - as files call it
        where: Filter | None = None, progress: Callable[[int, int], None] | None = None,
    ) -> Report:  # fmt: skip
        """Write everything this scope holds to a new file, as it is at one moment.

        As "jsonl" for `import_`, as "markdown" for reading. With a filter, the turns that it picks
        and what rests on these alone. `progress` is told (records done, records in all). Raises
        ExportFailed where there is a file already, or none can be written.
        """
        return moving.export(self._engine.ready(), self.path, to, format, where, progress)

    def import_(
        self, source: str | os.PathLike[str] | IO[Any], *, format: str | None = None,  # noqa: A002 - see export
        progress: Callable[[int, int], None] | None = None,
    ) -> Report:  # fmt: skip
        """Store what an export holds: ours, or another program's, which is recognised by itself.

        What is known already is passed over, so that it may be done again, or go on after it was
        cut short; what was forgotten here stays forgotten. `progress` is told (bytes done, bytes in
        all). Raises ImportFailed where a file cannot be read any further; what came before stays.
        """
        return moving.import_(self._engine.ready(), self.path, source, format, progress)

    # as a value in other models ---------------------------------------------------------------

    def close(self) -> None:
        """Close the Memory that this scope belongs to."""
        self._engine.close()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> CoreSchema:
        """Serialises to the scope's URI; `Memory.from_uri` joins a URI where one is needed."""
        return as_uri(cls, join)


def join(uri: object, **options: Any) -> Scope:
    """The scope that a URI names, in a Memory opened for it. See Memory.from_uri."""
    path, named = from_uri(uri)
    return Scope(open_engine(path, **{**OPTIONS, **options}), named)
