"""Texts that mean more than themselves elsewhere, in every place where a text is taken.

    python -m tests.campaigns.injected --payloads 500 --seed 1

Each payload of `tests.campaigns.payloads` goes into each place of `tests.campaigns.places`. It is
refused by an error of stepwell's, or it means itself: what was stored under it is found under it
and nothing else is, a word of another scope never turns up, and SQLite is sent no statement that it
is not sent for plain words too.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from tests.campaigns.payloads import payloads
from tests.campaigns.places import PLACES, World

from stepwell import Memory, Scope, Turn
from stepwell.defaults.sqlite import connection as sqlite_connection
from stepwell.errors import StepwellError

CANARY = "canaryxyzzy"
#: Seconds of work that one payload may take in one place.
SECONDS = 5.0
#: Words by which a payload is plain: what is sent to SQLite for these may be sent for any.
PLAIN = (
    "plain", "many words " * 600, "r_" + "1" * 32, "Two words", "user", "7", "a.b", "name", "Ab1",
)  # fmt: skip


class Watching(sqlite3.Connection):
    """A connection that keeps the texts it is sent."""

    seen: set[str] = set()  # noqa: RUF012 - shared by all connections, on purpose

    def execute(self, sql: str, *bound: Any) -> sqlite3.Cursor:
        """Keep the text, and do it."""
        self.seen.add(sql)
        return super().execute(sql, *bound)

    def executemany(self, sql: str, bound: Any) -> sqlite3.Cursor:
        """Keep the text, and do it."""
        self.seen.add(sql)
        return super().executemany(sql, bound)

    def executescript(self, *given: Any) -> Any:
        """Nothing of ours asks for it: what it would be sent is not seen."""
        raise AssertionError("a script")


def neighbour(scope: Scope) -> None:
    """Somebody else, whose every text has a word of its own."""
    scope.remember_many(
        Turn(
            id=f"{CANARY}{n}", text=f"I keep the {CANARY} of ferry {n} here.", session=CANARY,
            actor=CANARY, task=CANARY, role=CANARY, payload={"a": CANARY, CANARY: n},
        )
        for n in range(6)
    )  # fmt: skip
    scope.consolidate()
    scope.set_slot(CANARY, CANARY)
    scope.documents.put((CANARY,), CANARY, {CANARY: CANARY})


def tried(place: Callable[[World, str], object], world: World, payload: str) -> list[str]:
    """What is wrong with how a place takes a payload."""
    begun = time.process_time()
    answer: object = None
    wrong = []
    try:
        answer = place(world, payload)
    except (StepwellError, *world.refusals) as error:
        answer = str(error) if CANARY in str(error) else ""
    except AssertionError as error:
        wrong.append(f"it does not mean itself: {error}")
    except Exception as error:  # noqa: BLE001 - each is a finding
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f"{Path(f.filename).name}:{f.lineno}" for f in frames if "stepwell" in f.filename]
        wrong.append(f"{type(error).__name__} at {' < '.join(ours[:-4:-1])}: {error!s:.80}")
    if CANARY in repr(answer):
        wrong.append("another scope's word is told")
    if time.process_time() - begun > SECONDS:
        wrong.append(f"more than {SECONDS:g} seconds")
    return wrong


def campaign(
    folder: Path, count: int, seed: int, progress: Callable[[int], None] = lambda _: None,
    words: tuple[str, ...] = PLAIN,
) -> dict[str, Any]:  # fmt: skip
    """The whole campaign; `wrong` is empty when every text meant itself or was refused."""
    wrong: Counter[str] = Counter()
    example: dict[str, str] = {}
    before = Path.cwd()
    os.chdir(folder)
    done = 0
    try:
        with mock.patch.object(sqlite_connection, "CONNECTION", Watching):
            Watching.seen = set()
            with Memory.open(folder / "a.db", embedder=None, seed=1) as memory:
                neighbour(memory.scope("other"))
                for number, payload in enumerate((*words, *payloads(count, seed))):
                    plain = number < len(words)
                    known = set(Watching.seen)
                    world = World(memory, memory.scope("mine", str(number)), folder, number)
                    for name, place in PLACES.items():
                        problems = tried(place, world, payload)
                        if not plain and Watching.seen - known:
                            new = min(Watching.seen - known, key=len)
                            problems.append(f"another statement: {new[:200]}")
                            known |= Watching.seen
                        for problem in problems:
                            wrong[f"{name}: {problem}"] += 1
                            example.setdefault(f"{name}: {problem}", f"{payload[:60]!a}")
                        done += 1
                    world.tidy()
                    progress(number + 1)
                ok = memory.check().ok
    finally:
        os.chdir(before)
    if not ok:
        wrong["the file is damaged"] += 1
    return {
        "payloads": count, "places": len(PLACES), "tried": done, "statements": len(Watching.seen),
        "wrong": [f"{n} x {what} ({example.get(what)})" for what, n in wrong.most_common()],
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--payloads", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        Progress(*columns, console=Console(stderr=True), transient=True) as bar,
    ):
        task = bar.add_task("payloads", total=given.payloads + len(PLAIN))
        result = campaign(
            Path(folder), given.payloads, given.seed, lambda n: bar.update(task, completed=n)
        )
    print(json.dumps(result, indent=2))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
