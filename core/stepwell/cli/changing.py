"""Commands that take something away, or have it derived: after asking, where it is for good."""

from __future__ import annotations

import sys

import click
from rich.table import Table
from rich.text import Text

from stepwell.cli.choosing import choosing
from stepwell.cli.opening import Place, named, placed
from stepwell.cli.screen import one_line
from stepwell.errors import UnknownRecord
from stepwell.filters import Filter
from stepwell.memory import Scope
from stepwell.models import ErasureReceipt, Record, Report

_SURE = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
_DRY = click.option("--dry-run", is_flag=True, help="Only say what would go.")
_MANY = 1_000_000


@click.command(short_help="Forget for good, with a receipt.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@choosing
@_SURE
@_DRY
@placed
def forget(
    place: Place, ids: tuple[str, ...], *, where: Filter | None, yes: bool, dry_run: bool
) -> int:
    """Forget turns or records, by their ids or by a filter, and whatever rests on them alone.

    The bytes leave the file. Asks first, unless --yes is given.

    \b
    stepwell forget t1 --store team.db --scope acme/alice
    stepwell forget --session chat-1 --store team.db --scope acme/alice
    """
    if bool(ids) == (where is not None):
        raise click.UsageError(
            "Forget what? Give ids, or a filter such as --session, and not both."
        )
    with place.scope() as scope:
        found = _meant(scope, ids, where)
        if dry_run:
            _show_meant(place, found)
            return 0
        if not found:
            place.screen.remark("nothing is to be forgotten")
            receipt = ErasureReceipt()
        else:
            _sure(place, f"Forget {_counted(found)} for good?", found, yes=yes)
            receipt = scope.forget(ids) if where is None else scope.forget(where=where)
    place.screen.answer(receipt, lambda: show_receipt(place, receipt))
    return 0 if receipt.complete else 1


def _meant(scope: Scope, ids: tuple[str, ...], where: Filter | None) -> list[Record]:
    if where is not None:
        return scope.records(where & _ANY, limit=_MANY)
    held = [scope.get(name) for name in ids]
    found = [record for record in held if record is not None]
    if len(found) < len(held):
        raise UnknownRecord("this scope holds no record of one of these ids; nothing was forgotten")
    return found


#: Hidden and superseded records are forgotten with the others.
_ANY = Filter(status=["active", "superseded", "hidden", "stale", "quarantined"])


@click.command(short_help="Erase a whole scope.")
@_SURE
@_DRY
@placed
def erase(place: Place, *, yes: bool, dry_run: bool) -> int:
    """Erase a whole scope: all that it holds, its name, and what it was told to forget.

    \b
    stepwell erase --store team.db --scope acme/alice
    """
    if place.scope_name is None and "?scope=" not in (place.store or ""):
        raise click.UsageError("Which scope? To erase one, name it by --scope.")
    with place.scope() as scope:
        found = scope.records(Filter(level=0), limit=_MANY)
        if dry_run:
            _show_meant(place, found)
            return 0
        _sure(place, f"Erase {named(scope.path)}, {_counted(found)}, for good?", found, yes=yes)
        receipt = scope.erase()
    place.screen.answer(receipt, lambda: show_receipt(place, receipt))
    return 0 if receipt.complete else 1


@click.command(short_help="Do the work that waits: levels, facts, missing keys.")
@click.option("--budget", type=float, metavar="SECONDS", help="No longer than this.")
@click.option("--all", "everyone", is_flag=True, help="In all scopes of the store.")
@placed
def consolidate(place: Place, *, budget: float | None, everyone: bool) -> int:
    """Do the work that waits: traces, categories, domains, facts, missing keys.

    \b
    stepwell consolidate --store team.db --scope acme/alice
    """
    reports: dict[str, Report] = {}
    with place.memory() as memory:
        paths = memory.scopes() if everyone else [place.chosen(memory).path]
        for path in paths:
            reports[named(path)] = memory.scope(*path).consolidate(budget)
    if place.screen.as_json:
        place.screen.json(reports if everyone else next(iter(reports.values()), Report()))
    else:
        for name, report in reports.items():
            show_report(place, report, name if everyone else "")
    return 0 if all(report.ok for report in reports.values()) else 1


def counted(report: Report) -> str:
    """What a longer work came to in numbers, but for what there is none of."""
    return ", ".join(f"{count} {what}" for what, count in report.counts.items() if count)


def show_report(place: Place, report: Report, name: str = "") -> None:
    """What a longer work made, and what is wrong or left."""
    screen = place.screen
    screen.say(f"{name}  " if name else "", counted(report) or "nothing was to be done")
    for parked in report.parked:
        screen.say("parked: ", parked, style="yellow")
    for problem in report.problems:
        screen.say(f"{problem.what}: {problem.where}", style="bold red")
        if problem.remedy:
            screen.say(f"   {problem.remedy}")
    if not report.finished:
        screen.remark("there is more to do: call it again")


def _sure(place: Place, question: str, found: list[Record], *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to be asked: give --yes if you are sure.")
    _show_meant(place, found)
    click.confirm(question, abort=True, err=True)


def _show_meant(place: Place, found: list[Record]) -> None:
    if place.screen.as_json:
        place.screen.json([record.turn or record.id for record in found])
        return
    for record in found[:10]:
        line = place.screen.head(record).append("  ").append(one_line(record.text, 60))
        place.screen.console.print(line)
    if len(found) > 10:
        place.screen.remark(f"… and {len(found) - 10} more")
    place.screen.remark(f"{_counted(found)}, and whatever rests on nothing else")


def _counted(found: list[Record]) -> str:
    turns = sum(record.level == 0 for record in found)
    others = len(found) - turns
    more = f" and {others} derived" if others else ""
    return f"{turns} turn{'s' * (turns != 1)}{more}"


def show_receipt(place: Place, receipt: ErasureReceipt) -> None:
    """What was forgotten, and whether its bytes are gone."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="right", style="bold")
    table.add_column()
    for count, what in (
        (receipt.turns, "turns forgotten"),
        (receipt.derived, "derived records that rested on them alone"),
        (receipt.stale, "derived records to be made again without them"),
        (receipt.keys, "keys they were found by"),
        (receipt.edges, "edges to them"),
        (receipt.documents, "documents"),
    ):
        if count:
            table.add_row(str(count), Text(what))
    place.screen.console.print(table)
    if receipt.complete:
        place.screen.say("The bytes have left the file and its log.", style="green")
    else:
        place.screen.say(
            "Another process still reads old pages: the bytes leave with the next write.",
            style="yellow",
        )


COMMANDS = (forget, erase, consolidate)
