"""Commands that take something in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import click

from stepwell.cli.opening import Place, placed
from stepwell.errors import InvalidTurn
from stepwell.memory import Scope
from stepwell.models import Receipt, Turn

#: Turns that are stored in one transaction.
_AT_ONCE = 500


@click.command(short_help="Store what somebody said.")
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option("--actor", metavar="NAME", help="Who said it.")
@click.option("--role", metavar="NAME", help='"user", "assistant", "tool" ...')
@click.option("--session", metavar="NAME", help="The conversation it was said in.")
@click.option("--at", metavar="TIME", help="When it was said, as ISO 8601; UTC unless it says.")
@click.option("--id", "name", metavar="ID", help="Its id: sent again, it is not stored twice.")
@click.option("--lines", is_flag=True, help="Of standard input, each line is a turn as JSON.")
@placed
def remember(place: Place, texts: tuple[str, ...], *, lines: bool, **told: Any) -> int:
    """Store what somebody said, word for word. When this returns, it is on disk.

    Several texts are several turns. Without one, or with "-", standard input is one turn, or with
    --lines a turn in each line. The store is made if it is not there.

    \b
    stepwell remember "I moved to Oslo in May." --actor Alice --store team.db --scope acme/alice
    """
    fields = {key: value for key, value in told.items() if value is not None and key != "name"}
    if "at" in fields:
        fields["at"] = time_of(fields["at"])
    if told["name"] is not None:
        fields["id"] = told["name"]
    if lines and (texts or told["name"] is not None):
        raise click.UsageError("--lines reads turns from standard input, each with its own id")
    if len(texts) > 1 and told["name"] is not None:
        raise click.UsageError("one id is for one text")
    with place.scope(make=True) as scope:
        receipts = list(_stored(scope, texts, fields, lines=lines))
    told_all = Receipt(
        stored=tuple(name for each in receipts for name in each.stored),
        skipped=tuple(name for each in receipts for name in each.skipped),
        degraded=tuple(name for each in receipts for name in each.degraded),
        notes=tuple(dict.fromkeys(note for each in receipts for note in each.notes)),
    )
    place.screen.answer(told_all, lambda: _show(place, told_all))
    return 0


def _stored(
    scope: Scope, texts: tuple[str, ...], fields: dict[str, Any], *, lines: bool
) -> Iterator[Receipt]:
    if not lines:
        given = [sys.stdin.read() if text == "-" else text for text in texts or ("-",)]
        yield scope.remember_many([{**fields, "text": text} for text in given])
        return
    turns = (
        _turn(number, line, fields) for number, line in enumerate(sys.stdin, 1) if line.strip()
    )
    while batch := list(islice(turns, _AT_ONCE)):
        yield scope.remember_many(batch)


def _turn(number: int, line: str, fields: dict[str, Any]) -> Turn:
    try:
        said = Turn.model_validate_json(line)
        return Turn.model_validate({**said.model_dump(), **fields}) if fields else said
    except ValueError:
        raise InvalidTurn(f"line {number} of standard input is no turn as JSON") from None


def _show(place: Place, receipt: Receipt) -> None:
    screen = place.screen
    for name in receipt.stored[:20]:
        screen.say("stored  ", name, style="")
    if len(receipt.stored) > 20:
        screen.remark(f"… and {len(receipt.stored) - 20} more")
    for noted in receipt.skipped:
        screen.say("skipped ", f"{noted}  ({noted.reason})", style="yellow")
    for noted in receipt.degraded:
        screen.say("waits   ", f"{noted}  (a key is missing: {noted.reason})", style="yellow")
    for note in receipt.notes:
        screen.remark(note)


def time_of(text: str) -> datetime:
    """A time as it is given to a command."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(
            f"{text[:40]!r} is no time such as 2026-05-03 or 2026-05-03T18:00:00+02:00"
        ) from None


COMMANDS = (remember,)
