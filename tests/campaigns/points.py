"""kill -9 before the n-th statement of a verb, for every n: the file is as before, or as after.

    python -m tests.campaigns.points --points 100000 --seed 1

For every verb that writes, for making a file, and for bringing one to a newer schema, which begins
with every older one. `--points` bounds how many places are tried of each; which, is drawn. A forked
process does the verb and kills itself; another one looks at what is left.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.campaigns.telling import progress
from tests.campaigns.verbs import MANY, READS, SECRET, VERBS, Verb, furnish, opened, said, state

from stepwell.defaults.sqlite import connection as sqlite_connection
from stepwell.defaults.sqlite.schema import APPLICATION_ID, MIGRATIONS, VERSION
from stepwell.errors import WrongEmbedder
from stepwell.testing import HashingEmbedder

#: What a forgotten text held, by the verb that forgets it.
_GONE = {"forget": ("ferry at noon 1",), "forget where": ("meeting on Monday 3",)}


class Deadly(sqlite3.Connection):
    """Kills its process before the n-th statement; `left` None lets it live."""

    left: int | None = None
    count = 0

    @staticmethod
    def step() -> None:
        Deadly.count += 1
        if Deadly.left is not None:
            Deadly.left -= 1
            if Deadly.left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def execute(self, sql: str, *bound: Any) -> Any:
        self.step()
        return super().execute(sql, *bound)

    def executemany(self, sql: str, bound: Any) -> Any:
        self.step()
        return super().executemany(sql, bound)


def elsewhere(do: Callable[[], Any]) -> tuple[bool, Any]:
    """Do something in a process that is forked; whether it lived to the end, and what it gave."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            told = do()
        except BaseException:  # noqa: BLE001 - told to the parent
            told = {"failed": traceback.format_exc(limit=3)}
        with os.fdopen(writing, "w") as pipe:
            pipe.write(json.dumps(told, default=str))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    lived = os.WIFEXITED(os.waitpid(child, 0)[1])
    return lived, json.loads(told) if told else None


def reopened(path: Path) -> Any:
    """The store, under the embedder that it has by now."""
    try:
        return opened(path)
    except WrongEmbedder:
        return opened(path, embedder=HashingEmbedder(8, "other"))


class Trial:
    """One verb on copies of one file."""

    def __init__(self, source: Path, verb: Verb) -> None:
        self._source, self._verb = source, verb
        self._here = source / "here"
        self._fresh()
        _, self.before = elsewhere(self._state)
        _, told = elsewhere(self._whole)
        if "failed" in told:
            raise AssertionError(told["failed"])
        self.points, self.after = told

    def _fresh(self) -> Path:
        shutil.rmtree(self._here, ignore_errors=True)
        self._here.mkdir()
        for name in ("a.db", "export.jsonl"):
            shutil.copy(self._source / name, self._here / name)
        return self._here / "a.db"

    def _state(self) -> Any:
        with reopened(self._here / "a.db") as memory:
            return state(memory)

    def _call(self, n: int | None) -> int:
        memory = opened(self._here / "a.db")
        Deadly.count, Deadly.left = 0, n
        self._verb.call(memory, memory.scope("a"), self._here)
        Deadly.left = None
        count = Deadly.count
        memory.close()
        return count

    def _whole(self) -> tuple[int, Any]:
        """The verb undisturbed: how many statements it makes, and what it leaves."""
        self._fresh()
        return self._call(None), self._state()

    def killed(self, n: int) -> list[str]:
        """What is wrong after the process was killed before its n-th statement."""
        self._fresh()
        lived, told = elsewhere(lambda: self._call(n))
        wrong = ["it was not killed"] if lived else []
        wrong += [f"the verb failed: {told}"] if told else []
        _, found = elsewhere(self._looked)
        if not isinstance(found, list):
            found = [f"looking failed: {found}"]
        return [f"{self._verb.name}, killed at {n} of {self.points}: {w}" for w in wrong + found]

    def _looked(self) -> list[str]:
        wrong = []
        with reopened(self._here / "a.db") as memory:
            now = json.loads(json.dumps(state(memory), default=str))
            if self._verb.whole == MANY:
                wrong += self._again(memory, now)
            elif now not in (self.before, self.after):
                wrong.append("between before and after")
            forgotten = now == self.after
            if not memory.scope("a").remember(said("next", 20)).stored:
                wrong.append("nothing can be stored any more")
            wrong += [f"check: {p.what}" for p in memory.check().problems]
        if forgotten:
            held = b"".join(path.read_bytes() for path in self._here.glob("a.db*"))
            for text in _GONE.get(self._verb.name, ()):
                if f"{SECRET} {text}".encode() in held:
                    wrong.append("forgotten bytes are in the file")
        return wrong

    def _again(self, memory: Any, now: Any) -> list[str]:
        turns = {tuple(r[:2]) for r in self.before["a"]["records"] if r[-1] == 0}
        if not turns <= {tuple(r[:2]) for r in now["a"]["records"]}:
            return ["a turn is lost"]
        self._verb.call(memory, memory.scope("a"), self._here)
        after = {tuple(r[:2]) for r in state(memory)["a"]["records"] if r[-1] == 0}
        return [] if turns <= after else ["called again, a turn is lost"]


def made(path: Path, version: int) -> None:
    """A file of an older schema; of 0, an empty one."""
    with sqlite3.connect(path) as db:
        for statements in MIGRATIONS[:version]:
            for statement in statements:
                db.execute(statement)
        if version:
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {version}")
    db.close()


def migrated(folder: Path, version: int, n: int) -> tuple[bool, list[str]]:
    """Whether opening came to its end before its n-th statement; what is wrong if it was killed."""
    path = folder / "migrated.db"
    for file in folder.glob("migrated.db*"):
        file.unlink()
    if version:
        made(path, version)

    def opening() -> None:
        Deadly.count, Deadly.left = 0, n
        opened(path).close()

    def looked() -> list[str]:
        wrong = []
        if path.exists() and path.stat().st_size:
            plain = sqlite3.connect(path)
            held = plain.execute("PRAGMA user_version").fetchone()[0]
            tables = plain.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            plain.close()
            if not version <= held <= VERSION or bool(tables) != bool(held):
                wrong.append("between two schemas")
        with opened(path) as memory:
            if not memory.scope("a").remember("hello", id="h").stored or not memory.check().ok:
                wrong.append("opened again, it is not sound")
        return wrong

    lived, _ = elsewhere(opening)
    _, found = elsewhere(looked)
    found = found if isinstance(found, list) else [f"looking failed: {found}"]
    return lived, [f"migrating from {version}, killed at {n}: {w}" for w in found]


def campaign(folder: Path, points: int, seed: int, shown: bool = False) -> dict[str, Any]:
    """The whole campaign; `wrong` is empty when every promise held."""
    draw, begun = random.Random(seed), time.monotonic()
    elsewhere(lambda: furnish(folder / "a.db"))
    plain, sqlite_connection.CONNECTION = sqlite_connection.CONNECTION, Deadly
    wrong: list[str] = []
    kills = migrations = 0
    verbs = [verb for verb in VERBS if verb.whole != READS]
    try:
        with progress(len(verbs) + VERSION, shown) as step:
            for verb in verbs:
                step(what=verb.name)
                trial = Trial(folder, verb)
                places = list(range(trial.points))
                if len(places) > points:
                    places = sorted(draw.sample(places, points))
                for n in places:
                    wrong += trial.killed(n)
                kills += len(places)
            for version in range(VERSION):
                step(what=f"migrating from {version}")
                ended, n = False, 0
                while not ended and migrations < points:
                    ended, found = migrated(folder, version, n)
                    wrong, n, migrations = wrong + found, n + 1, migrations + 1
    finally:
        sqlite_connection.CONNECTION = plain
    return {
        "verbs": len(verbs), "kills": kills, "kills of migrations": migrations,
        "seconds": round(time.monotonic() - begun, 1), "wrong": wrong,
    }  # fmt: skip


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = campaign(Path(folder), options.points, options.seed, shown=True)
    print(json.dumps({**result, "wrong": result["wrong"][:40], "in all": len(result["wrong"])}))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
