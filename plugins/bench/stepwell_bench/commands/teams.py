"""`teams`: what a memory of tasks finds, and how fast."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from stepwell_bench import runs
from stepwell_bench import teams as measuring
from stepwell_bench.bootstrap import Estimate
from stepwell_bench.commands.options import DATA, QUIET, several, together
from stepwell_bench.data import find
from stepwell_bench.progress import Bar

_SETS = click.option(
    "--sets", default="who_when,gmemory_alfworld,tau_airline", show_default=True, callback=several,
    help="Logs of agents at work, by file name.",
)  # fmt: skip


@click.command()
@click.option("--preset", default="g-memory", show_default=True, help="One that remembers tasks.")
@click.option("--tasks", default=10_000, show_default=True, type=click.IntRange(min=0))
@click.option(
    "--budget", default=0, type=click.IntRange(min=0),
    help="Measure contexts of so many tokens within each task, and nothing else.",
)  # fmt: skip
@together(DATA, _SETS, QUIET)
def teams(
    data: tuple[Path, ...], sets: list[str], preset: str, tasks: int, budget: int, quiet: bool
) -> None:
    """Measure what a memory of tasks finds for a new one, and how fast.

    On logs of agents: how fast and how large they are taken in, how many of the nearest tasks are
    of the same sort, and what a stream of tasks is shown with and without credit for outcomes,
    beside BM25 and vectors over goals. Then how long a new task waits among many made-up ones.
    """
    logs = {path: runs.load(path) for path in find(data, sets)} if data else {}
    with Bar(quiet) as bar:
        for path, log in logs.items():
            name = path.name.partition(".")[0]
            if budget:
                bar.say(f"{name} is worked on")
                held = measuring.working(log, preset, budget)
                click.echo(
                    f"{name}: {held.contexts} contexts within tasks, {held.tokens:.0f} tokens of "
                    f"{held.whole:.0f} said; the latest turn in {held.last:.1%}, the latest "
                    f"action in {held.acted:.1%}"
                )
                continue
            bar.say(f"{name} is taken in")
            took = measuring.ingested(log, preset)
            click.echo(
                f"{name}: {took.tasks} tasks, {took.turns:,} turns, {took.text / 1e6:.2f} MB said; "
                f"{took.turns / took.seconds:,.0f} turns/s, consolidated in "
                f"{took.consolidated:.1f} s, {took.stored / 1e6:.2f} MB stored "
                f"({took.stored / took.text:.1f} times), {took.insights} insights"
            )
            if any(run.sort for run in log):
                bar.say(f"{name}: nearest tasks")
                _table(f"{name}: others of the same sort", measuring.nearest(log, preset))
            if len({run.good for run in log}) > 1:
                _table(f"{name}: a stream", measuring.replayed(log, preset, bar.say))
        if tasks and not budget:
            told = measuring.timed(tasks, preset, step=bar.say)
            click.echo(f"{tasks:,} tasks of four turns, milliseconds of a recall: median, 95 %")
            for row, (median, high) in told.items():
                click.echo(f"  {row:28} {median:8.1f} {high:8.1f}")


def _table(head: str, rows: Mapping[str, Mapping[str, Estimate]]) -> None:
    """A line a system; a gain whose interval holds zero is in brackets."""
    click.echo(head)
    for name, figures in rows.items():
        line = f"  {name:28}"
        for what, one in figures.items():
            told = f"{one.mean:+.3f}" if what.startswith("gain") else f"{one.mean:.3f}"
            bounds = f"[{one.low:+.3f} {one.high:+.3f}]"
            if what.startswith("gain"):
                told = f"{told} {bounds}" if one.decided else f"({told} {bounds})"
            line += f"  {what} {told}"
        click.echo(line)
