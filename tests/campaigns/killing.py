"""What the processes of the campaign `kill` do: some live until they are killed, one looks."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepwell import Filter, Memory, Turn
from stepwell.errors import WrongEmbedder
from stepwell.testing import HashingEmbedder

#: More turns of its own than this a process forgets some of.
_MANY = 300


@dataclass
class Expected:
    """What must be there and what must not, kept outside of the processes that are killed.

    Of the scope that all share, by id; and by the number of a process, the ids of the turns in the
    scope that it has to itself, its slot, and its document.
    """

    there: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    side: dict[str, list[str]] = field(default_factory=dict)
    slot: dict[str, str] = field(default_factory=dict)
    note: dict[str, str] = field(default_factory=dict)


def text_of(turn_id: str, version: int = 0) -> str:
    """What was said in a turn: a mark that stands nowhere else."""
    return f"this was said in mark-{turn_id}-end, {version} times revised"


def opened(path: str) -> Memory:
    """The store, under the embedder that it has."""
    for name in ("one", "other") * 10:  # meanwhile, another process may change it
        try:
            return Memory.open(path, embedder=HashingEmbedder(8, name), discover=False)
        except WrongEmbedder:
            continue
    raise AssertionError("an embedder that nobody changed to")


class Life:
    """A process that works on the file until it is killed, and says what it begins and has done."""

    def __init__(self, path: str, pipe: int, seed: int, number: str, expected: Expected) -> None:
        self._path, self._pipe, self._seed, self._number = path, pipe, seed, number
        self._draw = random.Random(f"{seed}-{number}")
        mine = [name for name in expected.there if name.startswith(f"{number}-")]
        self._mine = dict.fromkeys(mine, 0)
        self._side = len(expected.side.get(number, ()))
        self._largest = self._draw.choice((3, 40, 200))
        self._count = 0
        self._memory = opened(path)

    def _say(self, *words: object) -> None:
        os.write(self._pipe, (json.dumps(words) + "\n").encode())

    def run(self) -> None:
        """For ever."""
        verbs: dict[Callable[[], None], int] = {
            self._remember: 30, self._remember_many: 12, self._revise: 8, self._forget: 12,
            self._forget_session: 4, self._side_story: 6, self._notes: 6, self._consolidate: 8,
            self._rebuild: 2, self._reembed: 2, self._compact: 3, self._copy: 3, self._reopen: 4,
        }  # fmt: skip
        while True:
            self._count += 1
            self._scope = self._memory.scope("campaign")
            if len(self._mine) > _MANY:
                self._drop(self._draw.sample(sorted(self._mine), _MANY // 2))
            self._draw.choices(list(verbs), list(verbs.values()))[0]()

    def _new(self, count: int) -> list[str]:
        return [f"{self._number}-{self._seed}-{self._count}-{i}" for i in range(count)]

    def _add(self, ids: list[str], session: str) -> None:
        self._say("begin", "add", {name: text_of(name) for name in ids})
        turns = [Turn(id=name, text=text_of(name), session=session) for name in ids]
        assert len(self._scope.remember_many(turns).stored) == len(ids)
        self._say("done")
        self._mine |= dict.fromkeys(ids, 0)

    def _remember(self) -> None:
        (name,) = self._new(1)
        self._say("begin", "add", {name: text_of(name)})
        receipt = self._scope.remember(text_of(name), id=name, session=f"s{self._number}")
        assert receipt.stored == (name,)
        self._say("done")
        self._mine[name] = 0

    def _remember_many(self) -> None:
        self._add(self._new(self._draw.randrange(2, self._largest)), f"s{self._draw.randrange(9)}")

    def _revise(self) -> None:
        if self._mine:
            name = self._draw.choice(sorted(self._mine))
            text = text_of(name, self._mine[name] + 1)
            self._say("begin", "revise", {name: text})
            self._scope.revise(name, text)
            self._say("done")
            self._mine[name] += 1

    def _drop(self, ids: list[str]) -> None:
        self._say("begin", "forget", ids)
        self._scope.forget(ids)
        self._say("done")
        for name in ids:
            del self._mine[name]

    def _forget(self) -> None:
        if self._mine:
            self._drop(self._draw.sample(sorted(self._mine), 1))

    def _forget_session(self) -> None:
        ids = self._new(self._draw.randrange(2, 20))
        session = f"{self._number}-{self._seed}-{self._count}"
        self._add(ids, session)
        self._say("begin", "forget", ids)
        self._scope.forget(where=Filter(session=session))
        self._say("done")
        for name in ids:
            del self._mine[name]

    def _side_story(self) -> None:
        side = self._memory.scope("side", self._number)
        if self._side > 5:
            self._say("begin", "erase", self._number)
            side.erase()
            self._side = 0
        else:
            (name,) = self._new(1)
            self._say("begin", "side", self._number, name)
            side.remember(text_of(name), id=name)
            self._side += 1
        self._say("done")

    def _notes(self) -> None:
        value = f"{self._seed}-{self._count}"
        what = self._draw.choice(("slot", "note"))
        self._say("begin", what, self._number, value)
        if what == "slot":
            self._scope.set_slot(f"profile {self._number}", value)
        else:
            self._scope.documents.put(("notes",), self._number, {"value": value})
        self._say("done")

    def _consolidate(self) -> None:
        self._scope.consolidate(self._draw.choice((0.02, 1.0)))

    def _rebuild(self) -> None:
        self._scope.rebuild()

    def _reembed(self) -> None:
        self._memory.reembed(HashingEmbedder(8, self._draw.choice(("one", "other"))))

    def _compact(self) -> None:
        self._memory.compact()

    def _copy(self) -> None:
        copy = Path(f"{self._path}.copy{self._number}")
        copy.unlink(missing_ok=True)
        if self._draw.random() < 0.5:
            self._memory.backup(copy)
        else:
            self._scope.export(copy)
            self._memory.scope("taken", self._number).import_(copy)

    def _reopen(self) -> None:
        self._memory.close()
        self._memory = opened(self._path)


def look(
    path: str, expected: Expected, doing: list[list[Any]], draw: random.Random
) -> tuple[list[str], Expected, float]:
    """What is wrong after some lives, what is there now, and how many ms opening and asking took.

    `doing` is what was begun and not acknowledged.
    """
    begun = time.perf_counter()
    with opened(path) as memory:
        scope = memory.scope("campaign")
        scope.recall("said", k=1)
        taken = 1000 * (time.perf_counter() - begun)
        for taken_in in [names for names in memory.scopes() if names[0] == "taken"]:
            memory.scope(*taken_in).erase()  # what others forget is not forgotten in copies
        turns = scope.records(Filter(level=0), limit=10**6)
        held = {str(turn.turn): turn.text for turn in turns}
        wrong = [said for each in doing for said in _settle(memory, expected, held, *each)]
        if held != expected.there:
            lost = sorted(expected.there.keys() - held.keys())
            more = sorted(held.keys() - expected.there.keys())
            wrong.append(f"lost {lost[:3]}, {len(lost)} in all; back {more[:3]}, {len(more)}")
        wrong += _beside(memory, expected) + _back(memory, expected, draw)
        wrong += [f"check: {p.what}: {p.where}" for p in memory.check().problems]
    return wrong, expected, taken


def _slot(memory: Memory, number: str) -> str:
    return memory.scope("campaign").slot(f"profile {number}").text


def _note(memory: Memory, number: str) -> Any:
    document = memory.scope("campaign").documents.get(("notes",), number)
    return None if document is None else document.value["value"]


def _side(memory: Memory, number: str) -> list[str]:
    there = memory.scope("side", number).records(Filter(level=0), limit=10**6)
    return sorted(str(turn.turn) for turn in there)


def _beside(memory: Memory, expected: Expected) -> list[str]:
    """What is wrong with all that is not in the shared scope's turns."""
    wrong = []
    if any(_slot(memory, number) != text for number, text in expected.slot.items()):
        wrong.append("a slot is lost")
    if any(_note(memory, number) != value for number, value in expected.note.items()):
        wrong.append("a document is lost")
    if any(_side(memory, number) != sorted(names) for number, names in expected.side.items()):
        wrong.append("another scope is not as it was")
    return wrong


def _back(memory: Memory, expected: Expected, draw: random.Random) -> list[str]:
    """What is wrong with some of what was forgotten."""
    scope = memory.scope("campaign")
    wrong = []
    for name in draw.sample(sorted(expected.gone), min(len(expected.gone), 20)):
        if scope.recall(f"mark-{name}-end", k=1, where=Filter(id=name)):
            wrong.append(f"forgotten turn {name} is found")
        if scope.remember("again", id=name).stored:
            wrong.append(f"forgotten turn {name} could be sent again")
    return wrong


def _settle(
    memory: Memory, expected: Expected, held: dict[str, str], verb: str, *what: Any
) -> list[str]:
    """Take in what was under way when a process was killed: all of it is done, or none."""
    number = what[0]
    if verb in ("add", "forget"):
        ids = list(what[0])
        there = [name for name in ids if name in held]
        if len(there) not in (0, len(ids)):
            return [f"half of a verb is done: {verb}"]
        if verb == "add":
            expected.there |= {name: what[0][name] for name in there}
        elif not there:
            forgotten(expected, ids)
    elif verb == "revise":
        expected.there |= {n: text for n, text in what[0].items() if held.get(n) == text}
    elif verb in ("side", "erase"):
        expected.side[number] = _side(memory, number)
        if verb == "erase" and expected.side[number] and len(expected.side[number]) < 6:
            return ["half of a scope is erased"]
    else:
        now = {"slot": _slot, "note": _note}[verb](memory, number)
        if now == what[1]:
            getattr(expected, verb)[number] = now
    return []


def forgotten(expected: Expected, ids: list[str]) -> None:
    """Some turns are gone."""
    for name in ids:
        del expected.there[name]
    expected.gone |= set(ids)


def acknowledged(lines: list[str], expected: Expected) -> tuple[list[list[Any]], list[str]]:
    """Take in what a process said; what it had begun without an end, and what is wrong."""
    doing: list[Any] | None = None
    wrong: list[str] = []
    for line in lines:
        said = json.loads(line)
        if said[0] == "failed":
            wrong.append(f"a process failed: {said[1:]}")
        elif said[0] == "begin":
            doing = said[1:]
        elif doing is not None:
            _done(expected, *doing)
            doing = None
    return [] if doing is None else [doing], wrong


def _done(expected: Expected, verb: str, *what: Any) -> None:
    if verb in ("add", "revise"):
        expected.there |= what[0]
    elif verb == "forget":
        forgotten(expected, what[0])
    elif verb == "slot":
        expected.slot[what[0]] = what[1]
    elif verb == "note":
        expected.note[what[0]] = what[1]
    elif verb == "side":
        expected.side.setdefault(what[0], []).append(what[1])
    else:
        expected.side[what[0]] = []
