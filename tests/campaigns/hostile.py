"""Files by who wishes ill: each opens with a typed error or a right answer, and never harms.

    python -m tests.campaigns.hostile --files 10000 --seed 1

Good files, some with a log that was not written back, are damaged in their bytes, their tables and
their values (see `tests.campaigns.hostilities`); then every verb is used on them, in children that
the parent watches. Wrong is any exception but stepwell's own, a crash, more than five seconds of
work for a verb, more than 130 MB of memory beside the 70 of Python with stepwell, and whatever was
run.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from tests.campaigns.hostilities import ATTACKS, MARK, very_large

from stepwell import Filter, Memory, Scope, Turn
from stepwell.cli import main as command
from stepwell.errors import StepwellError

#: Seconds of work a verb may take, and of waiting; and MB that it may add to the process.
SECONDS, WAITING, MEGABYTES = 5, 60, 130
_BATCH = 50
_SAID = (
    "I live in Oslo.", "The ferry leaves at noon.", "Roses want sun and rain.",
    "I moved to Bergen.", "She works at the library.", "The code is in the drawer.",
    "The meeting is on Monday.",
)  # fmt: skip


def make(path: Path, embedder: str | None, *, die: bool) -> None:
    """A good file in which everything is used; if it dies, the last of it stands in the log."""
    child = os.fork()
    if child == 0:
        memory = Memory.open(path, embedder=embedder, seed=1)
        for name in ("ann", "ben"):
            scope = memory.scope("acme", name)
            scope.remember_many(
                Turn(
                    id=f"t{n}", session=f"s{n // 4}", actor="AB"[n % 2], text=f"{said} {n}",
                    payload={"n": n, "in": {"city": "Oslo"}}, upstream=("t0",) if n else (),
                )
                for n, said in enumerate(_SAID * 3)
            )  # fmt: skip
            scope.consolidate()
            scope.set_slot("profile", f"{name} lives in Oslo.")
            scope.documents.put(("notes",), "a", {"text": _SAID[0]}, ttl=1e6)
            scope.revise("t0", "I have moved to Bergen.")
            scope.feedback(scope.recall("Where?", k=3))
            with scope.task("find the code") as task:
                task.outcome(1.0)
            scope.forget("t5")
            scope.remember("The last of it.", id="last", task="x", step=3, action="look")
        if not die:
            memory.close()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def verbs(path: Path, draw: random.Random) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every use of a file, each by its name."""
    with _open(path, draw) as memory:
        yield "check", memory.check
        yield "stats", memory.stats
        paths: list[tuple[str, ...]] = [("acme", "ann"), ("acme", "ben")]
        yield "scopes", memory.scopes
        with contextlib.suppress(Exception):  # it was told of by the line above
            paths += memory.scopes()[:3]
        for name in dict.fromkeys(paths):
            with contextlib.suppress(StepwellError):
                for verb, use in _of_scope(memory.scope(*name)).items():
                    if name == paths[0] or draw.random() < 0.4:
                        yield verb, use
        whole: dict[str, Callable[[], object]] = {
            "rebuild": memory.rebuild,
            "compact": memory.compact,
            "backup": lambda: memory.backup(f"{path}.copy"),
        }
        some = draw.choice(list(whole))
        yield some, whole[some]
    if draw.random() < 0.25:
        yield "the command check", lambda: _command("check", "--store", str(path))


def _open(path: Path, draw: random.Random) -> Memory:
    options: dict[str, Any] = {"embedder": draw.choice(["default", "default", None])}
    if draw.random() < 0.15:
        options["read_only"] = True
    elif draw.random() < 0.1:
        options["rebuild"] = True
    return Memory.open(path, **options)


def _of_scope(scope: Scope) -> dict[str, Callable[[], object]]:
    """What a file is read by, then what it is written by."""
    return {
        "recall": lambda: [(h.text, h.why) for h in scope.recall("Where does she live?", k=30)],
        "levels": lambda: list(scope.recall("ferry to Oslo", levels=range(4))),
        "context": lambda: scope.context("When does the ferry leave?", budget=200).text,
        "records": lambda: scope.records(limit=10_000),
        "where": lambda: scope.records(Filter(payload={"in.city": "Oslo"}) | Filter(actor="A")),
        "count": lambda: scope.count(~Filter(session="s1")),
        "tree": lambda: [(node.record, node.sources) for node in scope.tree()],
        "history": lambda: scope.history("t0"),
        "explain": lambda: scope.explain("t1", "ferry"),
        "at": lambda: list(scope.at(scope.now, known=scope.now).recall("ferry")),
        "usage": lambda: scope.usage("t1"),
        "slots": scope.slots,
        "tasks": lambda: [task.goal for task in scope.tasks()],
        "documents": lambda: scope.documents.search(query="Oslo"),
        "namespaces": scope.documents.namespaces,
        "remember": lambda: scope.remember("Something new is said.", session="s1"),
        "put": lambda: scope.documents.put(("notes",), "a", {"text": "b"}),
        "set_slot": lambda: scope.set_slot("profile", "Other."),
        "feedback": lambda: scope.feedback("t1"),
        "revise": lambda: scope.revise("t2", "Revised."),
        "consolidate": scope.consolidate,
        "export": lambda: scope.export(io.StringIO()),
        "forget": lambda: scope.forget("t3"),
        "forget where": lambda: scope.forget(where=Filter(session="s2")),
        "again": lambda: scope.recall("Where?", k=5),
        "erase": scope.erase,
    }


def _command(*words: str) -> None:
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        command(words)


def used(path: Path, draw: random.Random, pipe: int) -> tuple[list[str], Counter[str]]:
    """What is wrong with how a file is taken, and how often it was told by what error."""
    wrong: list[str] = []
    told: Counter[str] = Counter()
    use = verbs(path, draw)
    while True:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_REAL, WAITING)
        try:
            name = "open or close"
            name, verb = next(use)
            os.write(pipe, f'{{"verb": "{name}"}}\n'.encode())
            verb()
        except StopIteration:
            break
        except StepwellError as error:
            told[type(error).__name__] += 1
            if name == "open or close":
                break
        except BaseException as error:  # noqa: BLE001 - told to the parent
            frames = traceback.extract_tb(error.__traceback__)
            ours = [
                f"{Path(f.filename).name}:{f.lineno}" for f in frames if "stepwell" in f.filename
            ]
            wrong.append(
                f"{name}: {type(error).__name__} at {' < '.join(ours[:-5:-1])}: {error!s:.80}"
            )
            if name == "open or close":
                break
    use.close()
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return wrong, told


def batch(numbers: range, sources: list[Path], folder: Path, seed: int, pipe: int) -> None:
    """The work of a child: damage copies, use them, and say so line by line."""
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    for number in numbers:
        draw = random.Random(f"{seed}/{number}")
        path = folder / f"hostile{number}.db"
        source = draw.choice(sources)
        for side in ("", "-wal"):
            if Path(f"{source}{side}").exists():
                shutil.copy(f"{source}{side}", f"{path}{side}")
        large = number % 250 == 249
        attack = very_large if large else draw.choice(ATTACKS)
        # Whoever wishes ill may take as much memory as it likes: that is not counted.
        what = _aside(lambda: attack(path, draw)) if large else attack(path, draw)  # noqa: B023 - called at once
        os.write(
            pipe,
            (json.dumps({"number": number, "what": f"{attack.__name__}: {what}"}) + "\n").encode(),
        )
        wrong, told = used(path, draw, pipe)
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        if (folder / MARK).exists():
            wrong.append("what a file holds was run")
        line = {"wrong": wrong, "told": told, "most": most, "more": most - begun}
        os.write(pipe, (json.dumps(line) + "\n").encode())
        for left in folder.glob(f"hostile{number}.db*"):
            left.unlink()
        if most - begun > MEGABYTES // 2:
            return  # a new child begins anew


def _aside(do: Callable[[], str]) -> str:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, do().encode("utf-8", "replace")[:1000])
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        said = told.read().decode("utf-8", "replace")
    os.waitpid(child, 0)
    return said


@dataclass
class Found:
    """What was found by now; `at` is the file that is being looked at."""

    at: int = 0
    files: int = 0
    most: int = 0
    what: str = ""
    verb: str = ""
    wrong: Counter[str] = field(default_factory=Counter)
    example: dict[str, str] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)

    def blame(self, problem: str) -> None:
        """Count what is wrong, with the first file that showed it."""
        self.wrong[problem] += 1
        self.example.setdefault(problem, f"file {self.at}: {self.what}")

    def hear(self, said: dict[str, Any]) -> None:
        """Take in a line of a child's."""
        if "verb" in said:
            self.verb = said["verb"]
        elif "what" in said:
            self.at, self.what, self.verb = said["number"], said["what"], "open"
        else:
            self.errors.update(said["told"])
            self.most = max(self.most, said["most"])
            for problem in said["wrong"]:
                self.blame(problem)
            if said["more"] > MEGABYTES:
                self.blame(f"more than {MEGABYTES} MB")
            self.at, self.files, self.what = self.at + 1, self.files + 1, ""


def _life(
    numbers: range, sources: list[Path], folder: Path, seed: int, found: Found,
    progress: Callable[[int], None],
) -> None:  # fmt: skip
    """One child, which ends with its files, or with one of them."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            batch(numbers, sources, folder, seed, writing)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as lines:
        for line in lines:
            found.hear(json.loads(line))
            progress(found.files)
    _, status = os.waitpid(child, 0)
    if found.what:
        ended = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "exit"
        found.blame(f"{found.verb}: the process ended by {ended}")
        found.at, found.files, found.what = found.at + 1, found.files + 1, ""


def campaign(
    folder: Path, files: int, seed: int, progress: Callable[[int], None] = lambda _: None,
    first: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """The whole campaign; `wrong` is empty when every file was taken as it should be."""
    sources = [folder / f"source{n}.db" for n in range(4)]
    for n, source in enumerate(sources):
        make(source, "default" if n < 2 else None, die=n % 2 == 1)
    found = Found(first)
    with contextlib.suppress(KeyboardInterrupt):  # what was found by then is told
        while found.at < files:
            numbers = range(found.at, min(found.at + _BATCH, files))
            _life(numbers, sources, folder, seed, found, progress)
    wrong = [f"{n} x {problem} ({found.example[problem]})" for problem, n in found.wrong.items()]
    return {
        "files": found.files, "typed errors": dict(found.errors.most_common()),
        "peak MB": found.most, "wrong": wrong,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="begin with this file")
    given = parser.parse_args()
    # Also in the background of a shell: whoever has enough of it is told what was found.
    signal.signal(signal.SIGINT, signal.default_int_handler)
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
        task = bar.add_task("hostile files", total=given.files - given.first)
        result = campaign(
            Path(folder),
            given.files,
            given.seed,
            lambda n: bar.update(task, completed=n),
            given.first,
        )
    print(json.dumps(result, indent=2))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
