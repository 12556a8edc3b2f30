"""Storing what a team says: in order, off its loop, and at once what has come in meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from autogen_stepwell.hearing import Run, Said
from stepwell import Receipt, Scope, Turn
from stepwell.adapting import Heard, Keeper

#: Turns that are stored in one transaction.
_AT_ONCE: Final = 100


@dataclass(slots=True, eq=False)
class Entry:
    """Something that was said, on its way into the scope; `goal` is what a run is to do.

    `fields` are those of its turn. Of the next one is known as soon as it is there.
    """

    said: Said
    mark: bytes
    step: int
    goal: bool
    fields: dict[str, Any]
    upstream: Sequence[Said]
    receipt: Receipt | None = None
    next: Entry | None = None


class Storing:
    """Stores entries, each as a job of a Keeper, which often finds it done by the one before."""

    def __init__(self, scope: Scope, keeper: Keeper, heard: Heard) -> None:
        self._scope = scope
        self._keeper = keeper
        self._heard = heard
        self._last: Entry | None = None

    def put(self, entry: Entry) -> None:
        """Have an entry stored, behind those before."""
        self._heard.add(entry.mark)
        if self._last is not None:
            self._last.next = entry
        self._last = entry
        self._keeper.queue(lambda: self._stored(entry), 1)

    def _stored(self, entry: Entry) -> Receipt:
        if entry.receipt is None:
            try:
                self._store(entry)
            except BaseException:
                self._heard.drop(entry.mark)  # what is not stored has not been heard either
                raise
        return entry.receipt or Receipt()

    def _store(self, entry: Entry) -> None:
        run = entry.said.run
        task = self._opened(run) if run.goal or run.task is not None else None
        if entry.goal:
            entry.said.id = task
            entry.receipt = Receipt(stored=() if task is None else (task,))
            self._heard.add(entry.mark, task)
            return
        batch = [entry] if task is None else _batch(entry)
        try:
            self._write(run, task, batch)
        except Exception:
            if len(batch) == 1:
                raise
            self._write(run, task, [entry])  # it may be another one that is refused

    def _write(self, run: Run, task: str | None, batch: Sequence[Entry]) -> None:
        """Store entries of one run together. Those of a task are named by its id and their step."""
        for entry in batch:
            entry.said.id = None if task is None else f"{task}:{entry.step}"
        into = self._scope if run.task is None else run.task
        try:
            receipt = into.remember_many([_turn(entry) for entry in batch])
        except BaseException:
            for entry in batch:
                entry.said.id = None
            raise
        for entry in batch:
            if task is None:
                entry.said.id = receipt.stored[0] if receipt.stored else None
            name = entry.said.id
            stored = (name,) if name is not None and name in receipt.stored else ()
            skipped = tuple(each for each in receipt.skipped if task is None or each == name)
            entry.receipt = Receipt(stored=stored, skipped=skipped)
            entry.said.id = name if stored else None
            self._heard.add(entry.mark, entry.said.id)

    def _opened(self, run: Run) -> str | None:
        """The id of a run's task, which is opened by the first that is said in it."""
        if run.task is None:
            task = self._scope.task(run.goal, team=run.team, session=run.session)
            run.task = task.__enter__()  # it stays open: more is said in it later
            run.credit()
        return run.task.id


def _batch(entry: Entry) -> list[Entry]:
    """An entry, and those of the same run that wait right behind it."""
    batch, after = [entry], entry.next
    while (
        after is not None
        and after.said.run is entry.said.run
        and not after.goal
        and after.receipt is None
        and len(batch) < _AT_ONCE
    ):
        batch.append(after)
        after = after.next
    return batch


def _turn(entry: Entry) -> Turn:
    upstream = (said.id for said in entry.upstream if said.id is not None)
    return Turn.model_validate(
        {
            **entry.fields,
            "id": entry.said.id,
            "step": entry.step,
            "upstream": tuple(dict.fromkeys(upstream)),
        }
    )
