"""`stepwell demo`: what the library does, told on a conversation of our own in a few seconds.

Nadia and Piet have been writing to each other from January to August 2026. She moves house, he
falls off a step stool, a party changes its date, and one evening should never have been written
down. `conversation.jsonl` holds all of it, one turn a line.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Final

import click
from rich.rule import Rule
from rich.text import Text

from stepwell.cli.changing import show_receipt
from stepwell.cli.opening import Place, named
from stepwell.cli.screen import Screen
from stepwell.filters import Filter
from stepwell.memory import Memory, Scope
from stepwell.models import Turn

CONVERSATION: Final = Path(__file__).with_name("conversation.jsonl")
_NOW: Final = datetime(2026, 8, 10, 9, 0, tzinfo=UTC)
_MARCH: Final = datetime(2026, 3, 1, tzinfo=UTC)
_PATH: Final = ("demo", "nadia-and-piet")
_QUESTIONS: Final = (
    "Why does Piet's dog stay away from the kitchen?",
    "When is the birthday party for Piet's father?",
    "What did Nadia find in the gearbox of the tram?",
)
# Another process that reads along: it opens the same file, waits to be asked, and answers.
_READER: Final = """
import sys
from stepwell import Memory
with Memory.open(sys.argv[1]) as memory:
    scope = memory.scope(*sys.argv[2:])
    print("ready", flush=True)
    for question in sys.stdin:
        print(scope.recall(question.strip(), k=1)[0].text, flush=True)
"""
# Only SQLite may open a database in the process that uses it: closing a second descriptor would
# drop SQLite's locks. So the bytes of the files are searched by a child.
_SEARCH: Final = """
import pathlib, sys
folder, words = pathlib.Path(sys.argv[1]), sys.argv[2].encode()
print(sum(file.read_bytes().count(words) for file in folder.iterdir()))
"""


@click.command(short_help="What it does, told in a few seconds.")
@click.option("--color/--no-color", default=None, help="Colours, whatever the terminal is.")
def demo(*, color: bool | None) -> int:
    """What stepwell does, told on a conversation of eight months in a few seconds.

    It runs in a folder of its own, which is gone when it is over.

    \b
    stepwell demo
    """
    screen = Screen(colour=color)
    place = Place(None, named(_PATH), "default", None, (), screen)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Memory.open(folder / "letters.db") as memory:
            friends = memory.scope(*_PATH)
            with _reader(folder / "letters.db") as other:
                _learn(screen, friends)
                _ask(screen, friends)
                _look_back(screen, friends)
                _fit_a_budget(screen, friends)
                _read_along(screen, friends, other)
            _forget(place, friends, folder)
            report = memory.check()
            _title(screen, "7", "Check: is everything in the file as it should be?")
            screen.say("   ", "Everything is in order." if report.ok else str(report.problems))
    return 0 if report.ok else 1


def _learn(screen: Screen, friends: Scope) -> None:
    """One call a session; each call is one transaction, and what it acknowledges is on disk."""
    _title(screen, "1", "Remember: eight conversations, turn by turn, word for word")
    lines = CONVERSATION.read_text(encoding="utf-8").splitlines()
    turns = [Turn.model_validate_json(line) for line in lines]
    for session, group in groupby(turns, key=lambda turn: turn.session):
        said = list(group)
        receipt = friends.remember_many(said)
        when = f"{said[0].at:%d %B %Y}" if said[0].at else ""
        screen.say(f"   {session}   {when:<17} {len(receipt.stored):>3} turns stored")
    again = friends.remember_many(turns)
    screen.say(
        f"   Sent once more: {len(again.stored)} stored, {len(again.skipped)} skipped"
        f" ({again.skipped[0].reason}).", style="dim",
    )  # fmt: skip
    friends.consolidate()
    made = [friends.count(Filter(level=level)) for level in (1, 2, 3)]
    screen.say(
        f"   Derived when there was time for it: {made[0]} traces and facts, {made[1]} categories,"
        f" {made[2]} domains, each with its turns."
    )


def _ask(screen: Screen, friends: Scope) -> None:
    """The best hit of each question, and how much each channel had to say about it."""
    _title(screen, "2", "Recall: who said it, when, and why it was found")
    for question in _QUESTIONS:
        _question(screen, question)
        screen.hit(1, friends.recall(question, k=1, now=_NOW)[0])


def _look_back(screen: Screen, friends: Scope) -> None:
    """What changed is still there as it was: the answer of today, and that of an earlier day."""
    _title(screen, "3", "What has changed: now, and as of an earlier day")
    question, said = "Where does Nadia live now?", Filter(actor="Nadia")
    _question(screen, question)
    screen.hit(1, friends.recall(question, k=1, where=said, now=_NOW)[0])
    _question(screen, f"The same, as of {_MARCH:%d %B}:")
    screen.hit(1, friends.at(_MARCH).recall(question, k=1, where=said)[0])


def _fit_a_budget(screen: Screen, friends: Scope) -> None:
    """A text to put before a model: fenced, sourced, in order of time, never above its budget."""
    _title(screen, "4", "Context: what a model would be given, in at most 300 tokens")
    context = friends.context("What happened to the kayak week in July?", budget=300, now=_NOW)
    for line in context.text.splitlines():
        for part in Text(line).wrap(screen.console, screen.console.width - 8):
            screen.console.print(Text("   | ", style="dim").append_text(part))
    screen.say(
        f"   {context.tokens} of {context.budget} tokens: {len(context.hits)} turns shown,"
        f" {len(context.left_out)} left out.", style="dim",
    )  # fmt: skip


def _read_along(screen: Screen, friends: Scope, other: subprocess.Popen[str]) -> None:
    """What one process has remembered another one recalls, a moment later."""
    _title(screen, "5", "Two processes, one file: the other one reads along")
    friends.remember("The bees have moved to the roof of the library.", actor="Nadia", at=_NOW)
    screen.say("   here        remember: The bees have moved to the roof of the library.")
    answer = _asked(other, "Where have the bees moved?")
    screen.say(f"   process {other.pid:<6} recalls: {answer}")


def _forget(place: Place, friends: Scope, folder: Path) -> None:
    """Piet asked for one evening to be taken out; this is what it takes."""
    screen, word = place.screen, "Leerdam"
    _title(screen, "6", "Forget: an evening that was not his to tell")
    question = "Where does Femke train as a glassblower?"
    _question(screen, question)
    screen.hit(1, friends.recall(question, k=1, now=_NOW)[0])
    screen.say(f"   {word!r} stands {_times(folder, word)} in the bytes of the files.")
    receipt = friends.forget(where=Filter(session="s7"))
    screen.say("\n   friends.forget(where=Filter(session='s7'))", style="bold")
    show_receipt(place, receipt)
    found = [hit for hit in friends.recall(question, k=80, now=_NOW) if hit.record.session == "s7"]
    screen.say(f"   Asked again, recall finds {len(found)} turns of that evening.")
    screen.say(f"   {word!r} stands {_times(folder, word)} in the bytes of the files.")


def _title(screen: Screen, number: str, words: str) -> None:
    screen.console.print()
    screen.console.print(Rule(Text(f"{number}. {words}", style="bold"), align="left", style="dim"))


def _question(screen: Screen, words: str) -> None:
    screen.say("\n   ", Text(words, style="italic"))


@contextmanager
def _reader(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process with the same file, which is started while there is something to read."""
    command = [sys.executable, "-c", _READER, str(path), *_PATH]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as other:
        try:
            yield other
        finally:
            other.communicate(timeout=60)


def _asked(other: subprocess.Popen[str], question: str) -> str:
    """What the other process answers."""
    if other.stdin is None or other.stdout is None:
        raise BrokenPipeError
    other.stdout.readline()  # it is ready
    other.stdin.write(question + "\n")
    other.stdin.flush()
    return other.stdout.readline().strip()


def _times(folder: Path, words: str) -> str:
    """How often the bytes of some words stand in the files of a folder, as words."""
    command = [sys.executable, "-c", _SEARCH, str(folder), words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own
    number = int(done.stdout)
    return {0: "nowhere", 1: "once", 2: "twice"}.get(number, f"{number} times")
