"""Commands for who looks after a store: is it sound, copy it, make it again."""

from __future__ import annotations

import click

from stepwell.cli.changing import show_report
from stepwell.cli.opening import Place, placed
from stepwell.models import Report


@click.command(short_help="Look for everything that can be wrong.")
@placed
def check(place: Place) -> int:
    """Look for everything that can be wrong inside of a store. Exit code 1 if something is.

    \b
    stepwell check --store team.db
    """
    with place.memory() as memory:
        report = memory.check()

    def show() -> None:
        if report.ok:
            place.screen.say("Everything is in order.", style="green")
        else:
            show_report(place, report)

    place.screen.answer({"ok": report.ok, "problems": report.problems}, show)
    return 0 if report.ok else 1


@click.command(short_help="Copy a store while others go on using it.")
@click.argument("target", type=click.Path(dir_okay=False))
@placed
def backup(place: Place, target: str) -> int:
    """Copy a store to a new file while others go on using it.

    \b
    stepwell backup copy.db --store team.db
    """
    with place.memory() as memory, place.screen.progress("copying") as step:
        memory.backup(target, progress=step)
    place.screen.answer({"target": target}, lambda: place.screen.say("copied to ", target))
    return 0


@click.command(short_help="Make a sound store of a damaged one.")
@click.argument("target", type=click.Path(dir_okay=False))
@placed
def repair(place: Place, target: str) -> int:
    """Make a sound store, in a new file, of what can be read of a damaged one.

    The damaged file stays as it is; nobody may use it meanwhile. What was lost is told.

    \b
    stepwell repair sound.db --store damaged.db
    """
    with place.screen.progress("repairing") as step:
        report = place.repair(target, step)
    return _told(place, report)


@click.command(short_help="Make everything derived again from the turns.")
@click.option("--to-preset", metavar="NAME", help="Under this preset from now on.")
@placed
def rebuild(place: Place, *, to_preset: str | None) -> int:
    """Drop everything derived, in all scopes, and make it again from the turns.

    Interrupted, no turn is lost, and it can be called again.

    \b
    stepwell rebuild --store team.db
    """
    with place.memory() as memory, place.screen.progress("rebuilding") as step:
        report = memory.rebuild(to_preset, progress=step)
    return _told(place, report)


@click.command(short_help="Change what makes the vectors.")
@click.argument("name")
@placed
def reembed(place: Place, name: str) -> int:
    """Change the embedder of a store, and nothing else; it goes on where it was interrupted.

    \b
    stepwell reembed default --store team.db
    """
    with place.memory() as memory, place.screen.progress("embedding") as step:
        report = memory.reembed(name, progress=step)
    return _told(place, report)


@click.command(short_help="Give back the space of what was forgotten.")
@placed
def compact(place: Place) -> int:
    """Write a store anew without the space that forgotten records held.

    \b
    stepwell compact --store team.db
    """
    with place.memory() as memory:
        rows = memory.compact()
    place.screen.answer({"rows": rows}, lambda: place.screen.say(f"{rows} empty rows are gone"))
    return 0


def _told(place: Place, report: Report) -> int:
    def show() -> None:
        show_report(place, report)
        for note in report.notes:
            place.screen.remark(note)

    place.screen.answer(report, show)
    return 0 if report.ok else 1


COMMANDS = (check, backup, repair, rebuild, reembed, compact)
