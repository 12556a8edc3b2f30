"""Backups while two processes write: each is whole, and of one moment between its begin and end."""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

from stepwell import Filter, Memory, Turn

_MARK = re.compile(rb"mark-(\d)-(\d+)-end")
_WRITERS = 2
#: Turns that are there before: so many that a copy is made in several steps.
_BEFORE = 3000
_WORDS = "what was said long ago, and is to be copied with everything else that was said " * 40


def _text(writer: int, number: int) -> str:
    return f"said in mark-{writer}-{number}-end"


def there(done: int) -> set[int]:
    """The turns of a writer after so many steps: two are added, then the older one is forgotten."""
    added = {n for n in range(done) if n % 3 < 2}
    return added - {n - 2 for n in range(done) if n % 3 == 2}


def _write(path: Path, writer: int, begun: ctypes.c_uint64, done: ctypes.c_uint64) -> None:
    """Steps without end, each noted before and after where another process can read it."""
    memory = Memory.open(path, embedder=None)
    scope, number = memory.scope("copied"), 0
    while True:
        begun.value = number + 1
        if number % 3 == 2:
            scope.forget(f"{writer}-{number - 2}")
        else:
            scope.remember(_text(writer, number), id=f"{writer}-{number}", session=f"s{writer}")
        number += 1
        done.value = number
        if number % 50 == 0:
            scope.consolidate(budget=0.02)


def look(copy: Path, before: list[int], after: list[int]) -> list[str]:
    """What is wrong with a copy, made after so many steps of each writer and before so many."""
    marks = {(int(w), int(n)) for w, n in _MARK.findall(copy.read_bytes())}
    wrong = []
    with Memory.open(copy, embedder=None) as memory:
        wrong += [f"check: {problem.what}" for problem in memory.check().problems]
        scope = memory.scope("copied")
        for writer in range(_WRITERS):
            held = scope.records(Filter(session=f"s{writer}", level=0), limit=10**6)
            numbers = {int(str(record.turn).partition("-")[2]) for record in held}
            moments = range(before[writer], after[writer] + 1)
            if not any(numbers == there(moment) for moment in moments):
                wrong.append("it is of no moment between begin and end")
            gone = {n for w, n in marks if w == writer} - numbers
            if gone:
                wrong.append(f"{len(gone)} forgotten texts lie in it")
        if scope.count(Filter(session="before", level=0)) != _BEFORE:
            wrong.append("what was there before is not all there")
    return wrong


def copied(
    folder: Path, times: int, draw: random.Random, step: Callable[[], None]
) -> tuple[dict[str, object], list[str]]:
    """So many backups: figures, and what was wrong."""
    path = folder / "written.db"
    with Memory.open(path, embedder=None) as memory:
        memory.scope("copied").remember_many(
            Turn(id=f"b{n}", text=f"{_WORDS} {n}", session="before") for n in range(_BEFORE)
        )
    shared = mmap.mmap(-1, 16 * _WRITERS)
    counts = [ctypes.c_uint64.from_buffer(shared, 8 * n) for n in range(2 * _WRITERS)]
    writers = []
    for writer in range(_WRITERS):
        child = os.fork()
        if child == 0:
            try:
                _write(path, writer, counts[2 * writer], counts[2 * writer + 1])
            finally:
                os._exit(1)
        writers.append(child)
    wrong: list[str] = []
    longest, steps = 0.0, 0
    try:
        while not all(count.value for count in counts):
            time.sleep(0.01)
        with Memory.open(path, embedder=None) as memory:
            for number in range(times):
                time.sleep(draw.uniform(0, 0.03))
                copy = folder / f"copy{number}.db"
                before = [counts[2 * w + 1].value for w in range(_WRITERS)]
                begun = time.monotonic()
                memory.backup(copy)
                longest = max(longest, time.monotonic() - begun)
                after = [counts[2 * w].value for w in range(_WRITERS)]
                steps += sum(after) - sum(before)
                found = look(copy, before, after)
                wrong += [f"backup {number}: {w}" for w in found]
                for left in folder.glob(f"copy{number}.db*"):
                    left.unlink()
                step()
    finally:
        for child in writers:
            ended = os.waitpid(child, os.WNOHANG)[0]
            if ended:
                wrong.append("a writer failed")
            else:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
    figures = {
        "backups": times, "steps of others meanwhile": steps, "longest s": round(longest, 2),
    }  # fmt: skip
    return figures, wrong
