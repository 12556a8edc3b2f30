"""A tour of stepwell in a few seconds: `make demo`, or `python examples/quickstart.py`.

Nadia and Piet have been writing to each other from January to August 2026. She moves house, he
falls off a step stool, a party changes its date, and one evening should never have been written
down. `conversation.jsonl` holds all of it, one turn a line; this script puts it into a memory and
asks about it. Nothing here needs a server, an API key or a network.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from stepwell import ErasureReceipt, Filter, Hit, Memory, Scope, Turn

CONVERSATION = Path(__file__).with_name("conversation.jsonl")
NOW = datetime(2026, 8, 10, 9, 0, tzinfo=UTC)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
WIDTH = 88

QUESTIONS = (
    "Why does Piet's dog stay away from the kitchen?",
    "When is the birthday party for Piet's father?",
    "How many slats fit on one board?",
    "What did Nadia find in the gearbox of the tram?",
    "Who keeps bees on the roof?",
    "Does Piet drink coffee or tea?",
)

# Only SQLite may open a database in the process that uses it: closing a second descriptor would
# drop SQLite's locks. So the bytes of the files are searched by a child.
SEARCH = """
import pathlib, sys
folder, words = pathlib.Path(sys.argv[1]), sys.argv[2].encode()
print(sum(file.read_bytes().count(words) for file in folder.iterdir()))
"""


def main() -> None:
    """Remember, recall, look back, fit a budget, forget."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Memory.open(str(folder / "letters.db")) as memory:
            friends = memory.scope("demo", "nadia-and-piet")
            remember(friends)
            ask(friends)
            look_back(friends)
            fit_a_budget(friends)
            forget(friends, folder)
            check(memory)


def remember(friends: Scope) -> None:
    """One call a session; each call is one transaction, and what it acknowledges is on disk."""
    title("1", "Remember: eight conversations, turn by turn, word for word")
    lines = CONVERSATION.read_text(encoding="utf-8").splitlines()
    turns = [Turn.model_validate_json(line) for line in lines]
    for session, group in groupby(turns, key=lambda turn: turn.session):
        said = list(group)
        receipt = friends.remember_many(said)
        print(f"   {session}   {said[0].at:%d %B %Y}   {len(receipt.stored):>2} turns stored")
    again = friends.remember_many(turns)
    print(f"\n   Sent once more: {len(again.stored)} stored,", end=" ")
    print(f"{len(again.skipped)} skipped ({again.skipped[0].reason}).")

    friends.consolidate()
    traces = friends.records(Filter(level=1))
    print(f"   One level up, made off the hot path: {len(traces)} traces, the first of them")
    print(f"   “{traces[0].text}”.")


def ask(friends: Scope) -> None:
    """The best hits of each question, and how much each channel had to say about it."""
    title("2", "Recall: who said it, when, and why it was found")
    for question in QUESTIONS:
        print(f"\n   {question}")
        for hit in friends.recall(question, k=2, now=NOW):
            show(hit)


def look_back(friends: Scope) -> None:
    """What changed is still there as it was: both statements, and the answer of an earlier day."""
    title("3", "What changed: two statements, in order of time")
    question = "Where does Nadia live?"
    said = Filter(actor="Nadia")
    print(f"\n   {question}")
    both = [
        hit for hit in friends.recall(question, k=5, where=said, now=NOW) if "I live in" in hit.text
    ]
    for hit in sorted(both, key=spoken_at, reverse=True):
        show(hit)
    print(f"\n   The same question, as of {MARCH:%d %B}:")
    for hit in friends.at(MARCH).recall(question, k=1, where=said):
        show(hit)


def fit_a_budget(friends: Scope) -> None:
    """A text to put before a model: fenced, sourced, in order of time, never above its budget."""
    title("4", "Context: what a model would be given, in at most 300 tokens")
    context = friends.context("What happened to the kayak week in July?", budget=300, now=NOW)
    print()
    for line in context.text.splitlines():
        print(textwrap.fill(line, WIDTH, initial_indent="   | ", subsequent_indent="   |     "))
    print(f"\n   {context.tokens} of {context.budget} tokens:", end=" ")
    print(f"{len(context.hits)} turns shown, {len(context.left_out)} left out.")
    for left in context.left_out[:3]:
        turn = friends.get(left.record_id)
        print(f"   left out: {turn.turn if turn else '?'} ({left.tokens} tokens, {left.reason})")


def forget(friends: Scope, folder: Path) -> None:
    """Piet asked for one evening to be taken out; this is what it takes."""
    title("5", "Forget: an evening that was not his to tell")
    question, word = "Where does Femke train as a glassblower?", "Leerdam"
    print(f"\n   {question}")
    for hit in friends.recall(question, k=1, now=NOW):
        show(hit)
    print(f"   {word!r} stands {times(folder, word)} in the files on disk.")

    receipt = friends.forget(where=Filter(session="s7"))
    print("\n   friends.forget(where=Filter(session='s7'))")
    print_receipt(receipt)

    found = [hit for hit in friends.recall(question, k=80, now=NOW) if hit.record.session == "s7"]
    print(f"\n   Asked again, recall finds {len(found)} turns of that evening.")
    print(f"   {word!r} stands {times(folder, word)} in the files on disk.")


def check(memory: Memory) -> None:
    """The file says of itself whether it is sound."""
    title("6", "Check: is everything in the file as it should be?")
    report = memory.check()
    print("   Everything is in order.\n" if report.ok else f"   {report.problems}\n")


# Printing -----------------------------------------------------------------------------------------


def title(number: str, words: str) -> None:
    """A heading."""
    print(f"\n{number}. {words}\n   {'-' * len(words)}")


def show(hit: Hit) -> None:
    """One hit: who, when, the words, and a bar for each channel's share of the score."""
    part = f", characters {hit.span[0]} to {hit.span[1]}" if hit.span else ""
    print(f"     {hit.score:.2f}  {hit.record.actor}, {spoken_at(hit):%d %b}{part}")
    lines = [
        wrapped for line in hit.text.splitlines() for wrapped in textwrap.wrap(line, WIDTH - 13)
    ]
    for line in [*lines[:5], "…"] if len(lines) > 5 else lines:
        print(f"           | {line}")
    print(f"             {'  '.join(bars(hit.why.items()))}")


def bars(why: Iterable[tuple[str, float]]) -> list[str]:
    """The strongest reasons as little bars."""
    best = sorted(why, key=lambda reason: -reason[1])[:3]
    return [f"{name} {'▇' * max(1, round(20 * share))} {share:.2f}" for name, share in best]


def print_receipt(receipt: ErasureReceipt) -> None:
    """An ErasureReceipt, line by line."""
    print(f"     turns      {receipt.turns:>3}    derived records  {receipt.derived}")
    print(f"     keys       {receipt.keys:>3}    edges            {receipt.edges}")
    print(f"     documents  {receipt.documents:>3}    to derive anew   {receipt.stale}")
    print(f"     complete   {receipt.complete}")


def spoken_at(hit: Hit) -> datetime:
    """When it was said; for a turn of unknown time, when it was stored."""
    return hit.record.said_at or hit.record.stored_at


def times(folder: Path, words: str) -> str:
    """How often the bytes of some words stand in the files of a folder, as words."""
    command = [sys.executable, "-c", SEARCH, str(folder), words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own
    number = int(done.stdout)
    return {0: "nowhere", 1: "once", 2: "twice"}.get(number, f"{number} times")


if __name__ == "__main__":
    main()
