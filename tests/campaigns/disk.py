"""Full disks, read-only ones, files that are gone or others: the right error at once, nothing lost.

    python -m tests.campaigns.disk --trials 400 --backups 100 --seed 1

Each verb is called on a file system of 8 MiB on which next to nothing is free: ext4 in a file where
one may be mounted (with blocks of 4096 bytes, and with smaller ones), else a tmpfs. Each is called
on a file that was removed or replaced, too. And backups are made while two processes write.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.campaigns.copies import copied
from tests.campaigns.small import done, fill, small
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

from stepwell import Memory
from stepwell.errors import (
    ExportFailed,
    NotAStore,
    StepwellError,
    StoreFull,
    StoreGone,
)  # fmt: skip

#: How long an error may take, in seconds, on a machine that does other things too.
_AT_ONCE = 1.0
_REFUSED = "there is not enough room"


# full disks ---------------------------------------------------------------------------------------


def apart(do: Callable[[], list[str]]) -> list[str]:
    """What a function finds, in a process of its own: some ways to fail end the process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            found = do()
        except BaseException as error:  # noqa: BLE001 - told to the parent
            found = [f"{type(error).__name__}: {error}"]
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(json.dumps(found).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    status = os.waitpid(child, 0)[1]
    if not told:
        return [f"the process died: {os.waitstatus_to_exitcode(status)}"]
    found_there: list[str] = json.loads(told)
    return found_there


def _unfit(error: BaseException, fit: tuple[type[BaseException], ...], took: float) -> list[str]:
    wrong = [] if isinstance(error, fit) else [f"raises {type(error).__name__}: {error}"]
    wrong += ["the error tells what is remembered"] if SECRET in str(error) else []
    return wrong + ([f"takes {took:.1f} s to fail"] if took > _AT_ONCE else [])


def full(place: Path, source: Path, verb: Verb, left: int) -> list[str]:
    """A verb where so many bytes are free: what is wrong then, and when there is room again.

    Begins with `_REFUSED` where the verb did not find enough room.
    """
    path = place / "a.db"
    shutil.copy(source / "a.db", path)
    shutil.copy(source / "export.jsonl", place)
    wrong: list[str] = []
    refused = []
    memory = opened(path)
    before = state(memory)
    ballast = fill(place, left)
    begun = time.monotonic()
    try:
        verb.call(memory, memory.scope("a"), place)
    except StepwellError as error:
        refused = [_REFUSED]
        fit = (StoreFull, ExportFailed) if verb.name == "export" else (StoreFull,)
        wrong += _unfit(error, fit, time.monotonic() - begun)
    wrong += _kept(memory, before, verb)  # what is there is read on a full disk, too
    wrong += [] if asked(memory) else ["recall finds nothing"]
    ballast.unlink()
    verb.call(memory, memory.scope("a"), place) if _again(memory, verb) else None
    if not memory.scope("a").remember(said("next", 20)).stored:
        wrong.append("nothing can be stored any more")
    memory.close()
    with opened(path, embedder=None) as again:
        wrong += [f"check: {problem.what}" for problem in again.check().problems]
        wrong += [] if again.scope("a").get("next") else ["what was acknowledged is lost"]
    return refused + [f"{verb.name}, {left} bytes free: {w}" for w in wrong]


def _again(memory: Memory, verb: Verb) -> bool:
    """Whether a verb can be called again: what it forgets is still there."""
    names = {"forget": "t1", "forget where": "t3", "erase": "t0", "revise": "t2"}
    name = names.get(verb.name)
    return name is None or memory.scope("a").get(name) is not None


def _kept(memory: Memory, before: dict[str, Any], verb: Verb) -> list[str]:
    """Whether everything is as before, where a verb changes nothing or has lost no turn."""
    now = state(memory)
    if now == before or verb.whole == ONE:
        return []
    if verb.whole != MANY:
        return ["a verb that reads has changed something"]
    turns = {record[0] for record in before["a"]["records"] if record[-1] == 0}
    left = {record[0] for record in now["a"]["records"]}
    return [] if turns <= left else ["a turn is lost"]


def forgetting_makes_room(place: Path) -> dict[str, Any]:
    """A store that has filled its disk alone: what forgetting and compacting do there."""
    told: dict[str, Any] = {}
    with Memory.open(place / "alone.db", embedder=None) as memory:
        scope, count = memory.scope("a"), 0
        with contextlib.suppress(StoreFull):
            while True:
                scope.remember(f"{'word ' * 300}{count}", id=f"t{count}")
                count += 1
        told["turns that fit"] = count
        told["still there"] = scope.count()
        told["forget on the full disk"] = _said(lambda: scope.forget([f"t{n}" for n in range(9)]))
        told["compact on it"] = _said(memory.compact)
    return told


def _said(do: Callable[[], object]) -> str:
    try:
        do()
    except StepwellError as error:
        return type(error).__name__
    return "done"


# other files --------------------------------------------------------------------------------------


def _gone(path: Path) -> None:
    path.unlink()


def _another(path: Path) -> None:
    other = path.with_name("other.db")
    with Memory.open(other, embedder=None) as memory:
        memory.scope("a").remember("of somebody else")
    other.replace(path)


def _no_database(path: Path) -> None:
    other = path.with_name("other.txt")
    other.write_bytes(b"this is no database " * 400)
    other.replace(path)


SWAPS: dict[str, Callable[[Path], None]] = {
    "removed": _gone, "replaced by a store": _another, "replaced by no database": _no_database,
}  # fmt: skip


def swapped(folder: Path, source: Path, verb: Verb, swap: str) -> list[str]:
    """A verb on a file that is not there any more."""
    folder.mkdir()
    path = folder / "a.db"
    shutil.copy(source / "a.db", path)
    shutil.copy(source / "export.jsonl", folder)
    memory = opened(path)
    SWAPS[swap](path)
    there = path.read_bytes() if path.exists() else None
    begun, wrong = time.monotonic(), []
    try:
        verb.call(memory, memory.scope("a"), folder)
    except StepwellError as error:
        fit = (StoreGone, NotAStore) if verb.name == "reopening" else (StoreGone,)
        wrong += _unfit(error, fit, time.monotonic() - begun)
    else:
        wrong += [] if verb.name in ("opening", "reopening") else ["no error"]
    with contextlib.suppress(StoreGone):
        memory.close()
    if verb.name not in ("opening", "reopening"):
        held = path.read_bytes() if path.exists() else None
        wrong += [] if held == there else ["what lies there now has changed"]
    shutil.rmtree(folder)
    return [f"{verb.name}, {swap}: {w}" for w in wrong]


def strangers(folder: Path) -> list[str]:
    """Opening what is no store of ours; each is as it was afterwards."""
    folder.mkdir()
    held = {
        "empty": b"", "one byte": b"S", "a page": b"no database" * 400,
        "a torn head": b"SQLite format 3\x00" + bytes(4080), "zeros": bytes(8192),
    }  # fmt: skip
    for name, data in held.items():
        (folder / name).write_bytes(data)
    (folder / "a folder").mkdir()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "a socket"))
    os.mkfifo(folder / "a pipe")
    other = sqlite3.connect(folder / "another program's")
    other.execute("CREATE TABLE theirs (word)")
    other.close()
    held["another program's"] = (folder / "another program's").read_bytes()
    (folder / "a link to nowhere").symlink_to(folder / "nowhere" / "a.db")
    wrong = []
    for path in sorted(folder.iterdir()):
        begun = time.monotonic()
        try:
            Memory.open(path, embedder=None).close()
        except StepwellError as error:
            took = time.monotonic() - begun
            wrong += [f"{path.name}: {w}" for w in _unfit(error, (NotAStore,), took)]
            if path.name in held and path.read_bytes() != held[path.name]:
                wrong.append(f"{path.name}: it has changed")
        else:
            wrong += [] if path.name == "empty" else [f"{path.name}: it opens"]
    return wrong


def unwritable(place: Path, source: Path) -> list[str]:
    """A disk that is mounted read-only: it is read, and all else is told."""
    shutil.copy(source / "a.db", place / "a.db")
    if not done("mount", "-o", "remount,ro", str(place)):
        return []
    wrong = []
    try:
        with opened(place / "a.db", read_only=True) as memory:
            wrong += [] if memory.scope("a").recall("ferry") else ["it is not read"]
            for verb in VERBS:
                if verb.whole == ONE and _said(lambda v=verb: _call(v, memory)) != "StoreReadOnly":  # type: ignore[misc]
                    wrong.append(f"{verb.name}, read-only: not refused")
        for path in (place / "a.db", place / "new.db"):
            if _said(lambda p=path: opened(p).close()) != "StoreReadOnly":  # type: ignore[misc]
                wrong.append(f"opening {path.name} on a read-only disk: not refused")
    finally:
        done("mount", "-o", "remount,rw", str(place))
    return wrong


def _call(verb: Verb, memory: Memory) -> None:
    verb.call(memory, memory.scope("a"), Path(memory.path).parent)


# the campaign -------------------------------------------------------------------------------------


def campaign(
    folder: Path,
    trials: int,
    backups: int,
    seed: int,
    shown: bool = False,
    verbs: Sequence[Verb] = VERBS,
) -> dict[str, Any]:
    """The whole campaign; `wrong` is empty when every promise held."""
    draw, begun = random.Random(seed), time.monotonic()
    source = folder / "source"
    source.mkdir()
    furnish(source / "a.db")
    result: dict[str, Any] = {}
    wrong: list[str] = []
    with progress(2 * trials + len(SWAPS) * len(verbs) + backups, shown) as step:
        for block in (4096, 1024):
            with small(folder, block) as disk:
                if disk is None:
                    result.setdefault("skipped", []).append(f"no file system of {block} to mount")
                    step(trials)
                    continue
                place, kind = disk
                found = _filled(place, source, trials, draw, step)
                refused = found.count(_REFUSED)
                wrong += [f"{kind}: {w}" for w in found if w != _REFUSED]
                wrong += apart(lambda: unwritable(place, source))  # noqa: B023 - called at once
                result[kind] = {"verbs": trials, "no room": refused, **_alone(place)}
        for verb in verbs:
            for swap in SWAPS:
                here = folder / "swapped"
                wrong += apart(lambda: swapped(here, source, verb, swap))  # noqa: B023 - called at once
                shutil.rmtree(here, ignore_errors=True)
                step(what=f"{verb.name}: {swap}")
        wrong += apart(lambda: strangers(folder / "strangers"))
        figures, found = copied(folder, backups, draw, lambda: step(what="backups"))
    return {
        **result, "swapped": len(SWAPS) * len(verbs), **figures,
        "seconds": round(time.monotonic() - begun, 1), "wrong": [*wrong, *found],
    }  # fmt: skip


def _filled(
    place: Path, source: Path, trials: int, draw: random.Random, step: Callable[..., None]
) -> list[str]:
    wrong: list[str] = []
    for number in range(trials):
        verb = VERBS[number % len(VERBS)]
        left = draw.choice((0, 0, 4096, 16384, 32768, 65536, 131072, 262144, 524288))
        wrong += apart(lambda: full(place, source, verb, left))  # noqa: B023 - called at once
        _clear(place)
        step(what=f"{verb.name}: {left} bytes free")
    return wrong


def _alone(place: Path) -> dict[str, Any]:
    told: dict[str, Any] = {}
    said = apart(lambda: [json.dumps(forgetting_makes_room(place))])
    with contextlib.suppress(ValueError):
        told = json.loads(said[0])
    _clear(place)
    return told or {"alone": said}


def _clear(place: Path) -> None:
    for path in place.iterdir():
        if path.name != "lost+found":
            path.unlink()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--backups", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = campaign(Path(folder), given.trials, given.backups, given.seed, shown=True)
    print(json.dumps(result))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
