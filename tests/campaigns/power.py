"""Power cuts: what was acknowledged before is there after, whatever the disk had not synchronised.

    python -m tests.campaigns.power --cuts 2000 --seed 1

A process works on a file while a preloaded library (power.c) keeps a log of its writes, sizes,
names, and what it synchronises. From the log the disk is made as it may be after a cut at any
place: what was not synchronised is there or not, sector by sector. Then the file is looked at.

The same with `synchronous = NORMAL` shows what that would lose, and that a loss would be seen.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.campaigns.disks import Disk, Entry, mark, places, read_log
from tests.campaigns.telling import progress

from stepwell import Memory, Turn
from stepwell.defaults.sqlite import connection as sqlite_connection

ROOT = Path(__file__).resolve().parents[2]
_MARK = re.compile(rb"mark-([0-9a-z]+)-end")
#: Verbs of one process, and cuts made of its log.
_VERBS, _CUTS = 60, 200


class Lax(sqlite3.Connection):
    """Synchronises where SQLite's NORMAL does, and not at every commit."""

    def execute(self, sql: str, *bound: Any) -> sqlite3.Cursor:
        return super().execute(sql.replace("synchronous = FULL", "synchronous = NORMAL"), *bound)


# the process that works ---------------------------------------------------------------------------


def text_of(name: str, version: int = 0) -> str:
    """What was said in a turn: a mark that stands nowhere else."""
    return f"this was said in mark-{name}{'r' * version}-end"


class Life:
    """Verbs on one file, each told before and after."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._draw = random.Random(seed)
        self._folder = folder
        self._marks = os.open(folder / "marks", os.O_WRONLY)
        self._texts: dict[str, str] = {}
        self._made = 0
        self._open()

    def _open(self) -> None:
        self._memory = Memory.open(self._folder / "a.db", embedder=None)
        self._scope = self._memory.scope("power")

    def _say(self, *words: object) -> None:
        os.write(self._marks, json.dumps(words).encode())

    def live(self, verbs: int) -> None:
        for _ in range(verbs):
            chance = self._draw.random()
            if chance < 0.4 or len(self._texts) < 5:
                self._add(1)
            elif chance < 0.5:
                self._add(self._draw.choice((3, 30, 200)))
            elif chance < 0.7:
                self._forget()
            elif chance < 0.8:
                self._revise()
            elif chance < 0.85:
                self._put()
            else:
                self._rest(self._draw.choice(("consolidate", "consolidate", "compact", "reopen",
                                              "backup")))  # fmt: skip
        self._say("begin", "close", {})
        self._memory.close()
        self._say("done", {})

    def _add(self, count: int) -> None:
        names = [f"{self._made + n}" for n in range(count)]
        self._made += count
        texts = {name: text_of(name) for name in names}
        self._say("begin", "add", texts)
        turns = [Turn(id=i, text=text, session=f"s{int(i) // 9}") for i, text in texts.items()]
        if count == 1:
            self._scope.remember(turns[0])
        else:
            self._scope.remember_many(turns)
        self._say("done", {})
        self._texts |= texts

    def _forget(self) -> None:
        names = self._draw.sample(sorted(self._texts), self._draw.choice((1, 1, 4)))
        self._say("begin", "forget", dict.fromkeys(names))
        receipt = self._scope.forget(names)
        self._say("done", {"complete": receipt.complete})
        for name in names:
            del self._texts[name]

    def _revise(self) -> None:
        name = self._draw.choice(sorted(self._texts))
        text = text_of(name, self._texts[name].count("r-end") + 1)
        self._say("begin", "add", {name: text})
        self._scope.revise(name, text)
        self._say("done", {})
        self._texts[name] = text

    def _put(self) -> None:
        key, value = f"k{self._draw.randrange(9)}", self._draw.randrange(10**6)
        self._say("begin", "put", {key: value})
        self._scope.documents.put(("kept",), key, {"value": value})
        self._say("done", {})

    def _rest(self, verb: str) -> None:
        name = f"copy{self._made}-{self._draw.randrange(10**6)}.db"
        self._say("begin", verb, {"name": name})
        if verb == "consolidate":
            self._scope.consolidate()
        elif verb == "compact":
            self._memory.compact()
        elif verb == "backup":
            self._memory.backup(self._folder / name)
        else:
            self._memory.close()
            self._open()
        self._say("done", {})


def lived(folder: Path, library: Path, seed: int, verbs: int, lax: bool) -> list[Entry]:
    """The log of a process that works on a file in a folder of its own."""
    work, log = folder / "work", folder / "log"
    work.mkdir()
    subprocess.run(
        [sys.executable, "-m", "tests.campaigns.power", "--live", str(work),
         "--seed", str(seed), "--verbs", str(verbs), *(["--lax"] if lax else [])],
        cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
        env={**os.environ, "LD_PRELOAD": str(library), "POWER_FOLDER": str(work),
             "POWER_LOG": str(log)},
    )  # fmt: skip
    entries = read_log(log) if log.exists() else []
    shutil.rmtree(work)
    log.unlink(missing_ok=True)
    return entries


# what must be there -------------------------------------------------------------------------------


@dataclass
class Expected:
    """What was acknowledged by some place of the log, and what had been begun there."""

    texts: dict[str, str] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)
    copies: dict[str, int] = field(default_factory=dict)
    verb: str = ""
    told: dict[str, Any] = field(default_factory=dict)

    def take(self, said: list[Any]) -> None:
        if said[0] == "begin":
            _, self.verb, self.told = said
            return
        if self.verb == "add":
            self.texts |= self.told
        elif self.verb == "put":
            self.values |= self.told
        elif self.verb == "backup":
            self.copies[self.told["name"]] = len(self.texts)
        elif self.verb == "forget":
            self.gone |= set(self.told)
            self.texts = {i: text for i, text in self.texts.items() if i not in self.told}
            self.erased |= set(self.told) if said[1]["complete"] else set()
        self.verb, self.told = "", {}


def look(folder: Path, expected: Expected, draw: random.Random) -> tuple[list[str], int]:
    """What is wrong with what opens, and how many acknowledged turns are lost."""
    wrong = _bytes(folder, expected)
    with Memory.open(folder / "a.db", embedder=None) as memory:
        scope = memory.scope("power")
        held = {r.turn: r.text for r in scope.records(limit=10**6) if r.level == 0}
        told = expected.told if expected.verb in ("add", "forget") else {}
        lost = sum(
            held.get(name) != text for name, text in expected.texts.items() if name not in told
        )
        if lost:
            wrong.append(f"{lost} acknowledged turns are lost, or as they were before")
        wrong += _half(expected, held, told)
        extra = set(held) - set(expected.texts) - set(told)
        if extra:
            wrong.append(f"{len(extra)} turns are back, or from nowhere")
        values = {d.key: d.value["value"] for d in scope.documents.list(("kept",))}
        if values not in (expected.values, {**expected.values, **expected.told}):
            wrong.append("documents are lost")
        wrong += [f"check: {problem.what}" for problem in memory.check().problems]
        for name in draw.sample(sorted(expected.gone), min(2, len(expected.gone))):
            if scope.remember("again", id=name).stored:
                wrong.append("a forgotten turn could be sent again")
        if not scope.remember("life goes on", id="next").stored:
            wrong.append("nothing can be stored any more")
    if expected.copies:
        wrong += _copied(folder, *draw.choice(sorted(expected.copies.items())))
    return wrong, lost


def _bytes(folder: Path, expected: Expected) -> list[str]:
    """What was erased and said to be gone, and lies in a file."""
    wrong = []
    for path in folder.glob("a.db*"):
        back = {m.decode().rstrip("r") for m in _MARK.findall(path.read_bytes())}
        if back & expected.erased:
            wrong.append(f"{len(back & expected.erased)} texts that were erased lie in {path.name}")
    return wrong


def _half(expected: Expected, held: Mapping[str | None, str], told: Mapping[str, Any]) -> list[str]:
    """What had been begun is wholly there, or not at all."""
    if expected.verb not in ("add", "forget"):
        return []
    before = {name: expected.texts.get(name) for name in told}
    if {name: held.get(name) for name in told} in (before, dict(told)):
        return []
    return [f"half of a verb ({expected.verb}) is there"]


def _copied(folder: Path, name: str, turns: int) -> list[str]:
    if not (folder / name).exists():
        return ["an acknowledged backup is lost"]
    with Memory.open(folder / name, embedder=None) as memory:
        there = sum(r.level == 0 for r in memory.scope("power").records(limit=10**6))
        wrong = [f"check of a backup: {p.what}" for p in memory.check().problems]
    return wrong if there == turns else [*wrong, "turns of an acknowledged backup are lost"]


# the campaign -------------------------------------------------------------------------------------


def cut(folder: Path, entries: list[Entry], count: int, draw: random.Random) -> list[list[Any]]:
    """What was found at so many cuts: the place, what was under way, what was wrong, and losses."""
    disk, expected, done, found = Disk(), Expected(), 0, []
    for place in places(entries, count, draw):
        for entry in entries[done:place]:
            if entry.what == "M":
                expected.take(mark(entry))
            else:
                disk.step(entry)
        done = place
        here = folder / "after"
        here.mkdir()
        unsure = disk.unsure
        for name, held in disk.cut(draw).items():
            (here / name).write_bytes(held)
        try:
            wrong, lost = look(here, expected, draw)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is wrong
            wrong, lost = [f"{type(error).__name__}: {error}"], 0
        found.append([place, expected.verb, wrong, lost, unsure])
        shutil.rmtree(here)
    return found


def missing(folder: Path) -> tuple[Path | None, str]:
    """The library, or why there is none."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if not sys.platform.startswith("linux"):
        return None, "what a process writes is seen on Linux alone"
    if compiler is None:
        return None, "there is no C compiler"
    library = folder / "power.so"
    source = Path(__file__).with_suffix(".c")
    made = subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl", "-lpthread"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    return (library, "") if made.returncode == 0 else (None, "power.c does not compile here")


def campaign(cuts: int, seed: int, folder: Path, shown: bool = False) -> dict[str, Any]:
    """The whole campaign; `wrong` is empty when every promise held, and the control did not."""
    library, reason = missing(folder)
    if library is None:
        return {"cuts": 0, "skipped": reason, "wrong": []}
    draw, begun = random.Random(seed), time.monotonic()
    kept: dict[bool, list[list[Any]]] = {False: [], True: []}
    wrong: list[str] = []
    with progress(cuts + cuts // 4, shown) as step:
        for lax, wanted in ((False, cuts), (True, cuts // 4)):
            while len(kept[lax]) < wanted:
                life = draw.randrange(10**6)
                entries = lived(folder, library, life, _VERBS, lax)
                if not any(entry.what == "S" for entry in entries):
                    return {"cuts": 0, "skipped": "SQLite's calls are not seen here", "wrong": []}
                some = cut(folder, entries, min(_CUTS, wanted - len(kept[lax])), draw)
                kept[lax] += some
                if not lax:
                    wrong += [f"life {life} at {p}, {verb or 'idle'}: {w}"
                              for p, verb, bad, *_ in some for w in bad]  # fmt: skip
                step(len(some), "NORMAL" if lax else "FULL")
    losses = [lost for *_, lost, _ in kept[True] if lost]
    if not losses:
        wrong.append("the control lost nothing: a loss would not be seen")
    unsure = [each[-1] for each in kept[False]]
    return {
        "cuts": len(unsure), "with something unsynchronised": sum(map(bool, unsure)),
        "NORMAL": {
            "cuts": len(kept[True]), "with losses": len(losses), "turns": max(losses, default=0),
        },
        "seconds": round(time.monotonic() - begun, 1), "wrong": wrong[:20],
    }  # fmt: skip


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cuts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--live", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--verbs", type=int, default=_VERBS, help=argparse.SUPPRESS)
    parser.add_argument("--lax", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.live is not None:
        if options.lax:
            sqlite_connection.CONNECTION = Lax
        Life(options.live, options.seed).live(options.verbs)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        result = campaign(options.cuts, options.seed, Path(folder), shown=True)
    print(json.dumps(result))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
