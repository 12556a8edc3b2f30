"""The n-th statement of a verb fails, for every n: what is left is as before, or as after.

    python -m tests.campaigns.failing --points 100000 --seed 1

For all public verbs that touch the store, for all that SQLite may say, for reading what it found,
and for being interrupted before or after a statement. `--points` bounds how many places are tried
of each verb and failure; which, is drawn.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.campaigns.telling import progress
from tests.campaigns.verbs import (
    MANY,
    ONE,
    SECRET,
    VERBS,
    Verb,
    asked,
    furnish,
    opened,
    said,
    state,
)

from stepwell.defaults.sqlite import connection as sqlite_connection
from stepwell.errors import StoreError


def _says(name: str, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> Callable[[], Any]:
    def made() -> sqlite3.Error:
        error = kind(f"planted, with {SECRET}")
        error.sqlite_errorcode = getattr(sqlite3, name)
        error.sqlite_errorname = name
        return error

    return made


#: What may happen at a statement. A MemoryError is what Python makes of SQLITE_NOMEM.
FAILURES: dict[str, Callable[[], BaseException]] = {
    "FULL": _says("SQLITE_FULL"),
    "IOERR": _says("SQLITE_IOERR_FSYNC"),
    "BUSY": _says("SQLITE_BUSY"),
    "NOMEM": MemoryError,
    "CORRUPT": _says("SQLITE_CORRUPT", sqlite3.DatabaseError),
    "interrupted": KeyboardInterrupt,
    "interrupted after": KeyboardInterrupt,
}


class Plan:
    """What fails when: the n-th of what is counted, while `left` is a number."""

    left: int | None = None
    count = 0
    failure = ""
    struck = ""

    @classmethod
    def at(cls, n: int | None, failure: str = "") -> None:
        cls.left, cls.failure, cls.count, cls.struck = n, failure, 0, ""

    @classmethod
    def step(cls, what: str) -> bool:
        """Count; whether this is the one, which is raised now unless it comes after."""
        if cls.left is None:
            return False
        cls.count += 1
        cls.left -= 1
        if cls.left >= 0:
            return False
        cls.left, cls.struck = None, what
        if cls.failure.endswith("after"):
            return True
        made = FAILURES[cls.failure]
        raise made()


def _through(what: str, do: Callable[..., Any], *given: Any, **named: Any) -> Any:
    strikes = Plan.step(what)
    answer = do(*given, **named)
    if strikes:
        made = FAILURES[Plan.failure]
        raise made()
    return answer


@cache
def _both(kind: type[sqlite3.Cursor]) -> type[sqlite3.Cursor]:
    return _Cursor if kind is sqlite3.Cursor else type("Both", (kind, _Cursor), {})


class _Cursor(sqlite3.Cursor):
    def fetchone(self) -> Any:
        return _through("fetchone", super().fetchone)

    def fetchall(self) -> Any:
        return _through("fetchall", super().fetchall)

    def __next__(self) -> Any:
        return _through("next", super().__next__)


class Faulty(sqlite3.Connection):
    """Statements, reading their rows, and copying are counted, and fail as planned."""

    def cursor(self, factory: Any = sqlite3.Cursor) -> Any:
        return super().cursor(_both(factory))

    def execute(self, sql: str, *bound: Any) -> Any:
        return _through(sql, super().execute, sql, *bound)

    def executemany(self, sql: str, bound: Any) -> Any:
        return _through(sql, super().executemany, sql, bound)

    def backup(self, *given: Any, **named: Any) -> Any:
        return _through("backup", super().backup, *given, **named)


class Trial:
    """One verb on copies of one file."""

    def __init__(self, folder: Path, verb: Verb) -> None:
        self._verb = verb
        self._source = folder
        self._here = folder / "here"
        self.before = self._asked_of(folder / "a.db")
        self.points, self.answer, self.after, self.twice = self._whole()

    def _asked_of(self, path: Path) -> Any:
        with opened(path) as memory:
            return state(memory)

    def _fresh(self) -> Path:
        shutil.rmtree(self._here, ignore_errors=True)
        self._here.mkdir()
        for name in ("a.db", "export.jsonl"):
            shutil.copy(self._source / name, self._here / name)
        return self._here / "a.db"

    def _call(self, memory: Any) -> Any:
        return self._verb.call(memory, memory.scope("a"), self._here)

    def _whole(self) -> tuple[int, Any, Any, Any]:
        """The verb without a failure: how much is counted in it, what it gives, and leaves."""
        with opened(self._fresh()) as memory:
            asked(memory)
            Plan.at(10**9)
            answer = self._call(memory)
            points = Plan.count
            Plan.at(None)
            after = state(memory)
            if self._verb.whole == MANY:
                self._call(memory)
            return points, answer, after, state(memory)

    def fails(self, n: int, failure: str) -> list[str]:
        """What is wrong when this fails at the n-th place."""
        memory = opened(self._fresh())
        wrong: list[str] = []
        try:
            asked(memory)
            Plan.at(n, failure)
            try:
                given = self._call(memory)
            except BaseException as error:  # noqa: BLE001 - whatever comes, it is looked at
                Plan.left = None
                wrong += _unfit(error, failure)
            else:
                Plan.left = None
                # To find damage is what `check` is for.
                found = self._verb.name == "check" and failure == "CORRUPT" and given is False
                if self._verb.whole != MANY and not found and not _same(given, self.answer):
                    wrong.append("no error, and another answer")
            where = Plan.struck.partition("FROM")[0][:60]
            wrong += self._left(memory)
        except Exception as error:  # noqa: BLE001 - the next verb fails: that is wrong
            wrong.append(f"afterwards {type(error).__name__}: {error}")
            where = Plan.struck[:60]
        finally:
            memory.close()
        return [f"{self._verb.name}, {failure} at {n} of {self.points} ({where}): {w}"
                for w in wrong]  # fmt: skip

    def _left(self, memory: Any) -> list[str]:
        wrong: list[str] = []
        now = state(memory)
        if self._verb.whole == MANY:
            turns = [r for r in self.before["a"]["records"] if r[-1] == 0]
            if not {t[0] for t in turns} <= {r[0] for r in now["a"]["records"]}:
                wrong.append("a turn is lost")
            self._call(memory)
            if state(memory) not in (self.after, self.twice):
                wrong.append(
                    f"called again, it ends otherwise: {_apart(state(memory), self.after)}"
                )
        elif now not in (self.before, self.after):
            wrong.append(f"between before and after: {_apart(now, self.after)}")
        told = asked(memory)
        memory._engine.searcher.caches.drop()
        if told != asked(memory):
            wrong.append("recall answers otherwise than from the store")
        if not memory.scope("a").remember(said("next", 20)).stored:
            wrong.append("nothing can be stored any more")
        found = memory.scope("a").recall("red canoe 20", k=3)
        if self._verb.whole == ONE and "next" not in [hit.record.turn for hit in found]:
            wrong.append("what is stored next is not found")
        return wrong + [f"check: {p.what}" for p in memory.check().problems]


def _unfit(error: BaseException, failure: str) -> list[str]:
    """What is wrong with an error."""
    fit = KeyboardInterrupt if failure.startswith("interrupted") else StoreError
    wrong = [] if isinstance(error, fit) else [f"raises {type(error).__name__}: {error}"]
    return [*wrong, "the error tells what is remembered"] if SECRET in str(error) else wrong


def _same(given: Any, expected: Any) -> bool:
    """Whether an answer is as it should be; receipts of erasing may say that bytes wait."""
    if hasattr(given, "complete"):
        return True
    return bool(given == expected)


def _apart(one: Any, other: Any) -> str:
    """Where two states differ."""
    if set(one) != set(other):
        return f"scopes {sorted(set(one) ^ set(other))}"
    return ", ".join(
        f"{s}.{part}" for s in one for part in one[s] if one[s][part] != other[s][part]
    )


def campaign(
    folder: Path,
    points: int,
    seed: int,
    shown: bool = False,
    verbs: Sequence[Verb] = VERBS,
    failures: Sequence[str] = tuple(FAILURES),
) -> dict[str, Any]:
    """The whole campaign; `wrong` is empty when every promise held."""
    draw, begun = random.Random(seed), time.monotonic()
    furnish(folder / "a.db")
    plain, sqlite_connection.CONNECTION = sqlite_connection.CONNECTION, Faulty
    wrong: list[str] = []
    tried: Counter[str] = Counter()
    try:
        with progress(len(verbs) * len(failures), shown) as step:
            for verb in verbs:
                trial = Trial(folder, verb)
                for failure in failures:
                    places = range(trial.points)
                    if len(places) > points:
                        places = sorted(draw.sample(places, points))
                    for n in places:
                        wrong += trial.fails(n, failure)
                    tried[verb.name] += len(places)
                    step(what=f"{verb.name}: {failure}")
    finally:
        sqlite_connection.CONNECTION = plain
        Plan.at(None)
    return {
        "verbs": len(verbs), "failures": sum(tried.values()),
        "seconds": round(time.monotonic() - begun, 1), "wrong": wrong,
    }  # fmt: skip


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("verbs", nargs="*", help="some of them alone")
    options = parser.parse_args()
    verbs = tuple(verb for verb in VERBS if verb.name in (options.verbs or (verb.name,)))
    with tempfile.TemporaryDirectory() as folder:
        result = campaign(Path(folder), options.points, options.seed, shown=True, verbs=verbs)
    print(json.dumps({**result, "wrong": result["wrong"][:40], "in all": len(result["wrong"])}))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
