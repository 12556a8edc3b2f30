"""Whole histories that a host sends again and again: which of their turns are stored already.

A host that gives its messages no ids hands over all that was said so far with every call, or the
last of it. Each turn gets its id from the turn before it and its own content, so that the same
history gives the same ids again, and a turn that was forgotten is refused wherever it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from stepwell.contracts import ScopeRow, StoreReader
from stepwell.errors import InvalidTurn
from stepwell.filters import Filter
from stepwell.identity import content_hash, keyed
from stepwell.memory.engine import Engine
from stepwell.models import Receipt, Turn

#: Turns of a session, the latest ones, that the last of a history is laid against.
_TAIL: Final = 2_000


def identified(engine: Engine, path: tuple[str, ...], turns: Sequence[Turn]) -> list[str | None]:
    """The ids under which the turns of a history are, or would be, stored.

    None where the scope holds nothing yet. Raises InvalidTurn unless all are of one named session.
    """
    if not turns:
        return []
    session = turns[0].session
    if session is None or any(turn.session != session for turn in turns):
        raise InvalidTurn("the turns of a history are of one session, and name it")
    with engine.store.reading() as reader:
        row = reader.scope_of(path)
        if row is None:
            return [turn.id for turn in turns]
        names: list[str | None] = []
        names += _History(reader, row, session, turns).names()
        return names


def remember(engine: Engine, path: tuple[str, ...], turns: Sequence[Turn]) -> Receipt:
    """Store what is new of a history."""
    if not turns:
        return Receipt()
    with engine.store.reading() as reader:
        row = reader.scope_of(path)
    if row is None:
        with engine.store.writing(engine.clock()) as writer:
            writer.open_scope(path, engine.secret_of(path))
    names = identified(engine, path, turns)
    named = [turn.model_copy(update={"id": name}) for turn, name in zip(turns, names, strict=True)]
    return engine.remember(path, named)


class _History:
    """One history beside what is stored of its session."""

    def __init__(
        self, reader: StoreReader, row: ScopeRow, session: str, turns: Sequence[Turn]
    ) -> None:
        self._reader = reader
        self._row = row
        self._turns = turns
        self._said = [
            content_hash(row.secret, turn.text, turn.role, turn.actor, turn.session)
            for turn in turns
        ]
        refs = reader.select(row, Filter(session=session, level=0), 0, 2**62, active=False)
        self._refs = refs[-_TAIL:]

    def names(self) -> list[str]:
        """An id for each turn.

        From the beginning, if that leads to the latest turn that is stored. Else the stored ones
        from some turn on to the latest, if they all stand in the history in this order: it is the
        last of what was said. Else from the beginning again, if its first two turns are known: the
        conversation went another way from some turn on. Else all of it is new, and follows the
        latest: the same may be said twice.
        """
        whole = list(self._chain("", 0))
        last = self._named(self._refs[-1:])
        if not last or last[0] in whole:
            return whole
        laid = self._laid()
        if laid is not None:
            return laid
        if len(whole) > 1 and all(self._identity(name) is not None for name in whole[:2]):
            return whole
        return list(self._chain(last[0], 0))

    def _chain(self, before: str, start: int) -> Iterator[str]:
        """Ids of the turns from `start` on, each made from the id before it."""
        for turn, said in zip(self._turns[start:], self._said[start:], strict=True):
            before = turn.id or _next(self._row.secret, before, said)
            yield before

    def _laid(self) -> list[str] | None:
        """The history laid upon what is stored; None where it does not fit."""
        stored = self._named(self._refs)
        said = [None if (known := self._identity(name)) is None else known[1] for name in stored]
        for start, first in enumerate(said):
            if first == self._said[0]:
                names = self._along(stored[start:], said[start:])
                if names is not None:
                    return names
        return None

    def _along(self, stored: Sequence[str], said: Sequence[bytes | None]) -> list[str] | None:
        """Ids along a run of stored turns, if every one of them is met."""
        names: list[str] = []
        at = 0
        for turn, content in zip(self._turns, self._said, strict=True):
            if at < len(stored) and said[at] == content:
                names.append(stored[at])
                at += 1
            else:
                before = names[-1] if names else ""
                names.append(turn.id or _next(self._row.secret, before, content))
        return names if at == len(stored) else None

    def _named(self, refs: Sequence[int]) -> list[str]:
        return [r.turn for _, r in self._reader.load(self._row, refs) if r.turn is not None]

    def _identity(self, name: str) -> tuple[int | None, bytes | None] | None:
        return self._reader.identity(self._row, keyed(self._row.secret, "turn", name))


def _next(secret: bytes, before: str, said: bytes) -> str:
    return "t_" + keyed(secret, "after", before, said.hex()).hex()
