"""Commands that move a scope into a file, and out of one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO

import click

from stepwell.cli.changing import counted, show_report
from stepwell.cli.choosing import choosing
from stepwell.cli.opening import Place, placed
from stepwell.errors import ImportFailed
from stepwell.filters import Filter
from stepwell.models import Report
from stepwell.transfer import FORMATS


@click.command(short_help="Write a scope to a file.")
@click.argument("target", type=click.Path(dir_okay=False, allow_dash=True))
@click.option(
    "--format", "form", type=click.Choice(["jsonl", "markdown"]), default="jsonl",
    show_default=True, help='"markdown" is for reading.',
)  # fmt: skip
@choosing
@placed
def export(place: Place, target: str, form: str, *, where: Filter | None) -> int:
    """Write everything a scope holds to a new file, or with "-" to standard output.

    Of what is asked for by a filter only the turns are written, and what rests on these alone. What
    was forgotten is in no export; what was exported before, forgetting does not reach.

    \b
    stepwell export alice.jsonl --store team.db --scope acme/alice
    """
    to: str | IO[str] = sys.stdout if target == "-" else target
    with place.scope() as scope, place.screen.progress("exporting") as step:
        report = scope.export(to, format=form, where=where, progress=step)
    if target != "-":
        place.screen.answer(report, lambda: show_report(place, report, target))
    return 0


@click.command("import", short_help="Take in what was exported, by stepwell or others.")
@click.argument("source", type=click.Path(allow_dash=True))
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="What it is, if it is not recognised."
)
@placed
def import_(place: Place, source: str, form: str | None) -> int:
    """Take in an export: a file, a folder, an archive, or with "-" standard input.

    What is there already is passed over, so that an import which was interrupted goes on when it is
    called again. What was forgotten stays forgotten. The store is made if it is not there.
    Exit code 1 if something was refused.

    \b
    stepwell import alice.jsonl --store team.db --scope acme/alice
    stepwell import chatgpt-export.zip --store team.db --scope acme/alice
    """
    if source != "-":
        Path(source).stat()  # before a store is made for what is not there
    given: str | IO[bytes] = sys.stdin.buffer if source == "-" else source
    try:
        with place.scope(make=True) as scope, place.screen.progress("importing") as step:
            report = scope.import_(given, format=form, progress=step)
    except ImportFailed as error:
        if isinstance(error.report, Report):
            _told_before(place, error.report)
        raise
    _told(place, report)
    return 0 if report.ok else 1


def _told(place: Place, report: Report) -> None:
    def show() -> None:
        show_report(place, report)
        for note in report.notes:
            place.screen.remark(note)

    place.screen.answer(report, show)


def _told_before(place: Place, report: Report) -> None:
    """What came in before an import failed; that stays."""
    counts = counted(report)
    said = f"{counts} before it failed; what came in stays" if counts else "nothing came in"
    place.screen.answer(report, lambda: place.screen.say(said))


COMMANDS = (export, import_)
