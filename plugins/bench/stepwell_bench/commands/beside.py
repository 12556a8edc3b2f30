"""`beside`: what readers notice while a scope is consolidated."""

from __future__ import annotations

from pathlib import Path

import click

from stepwell_bench import beside as besides
from stepwell_bench import scaling
from stepwell_bench.commands.options import DATA, SETS, together
from stepwell_bench.data import find, load


@click.command()
@click.option("--turns", default=100_000, show_default=True, type=click.IntRange(min=100))
@click.option("--questions", default=200, show_default=True, type=click.IntRange(min=1))
@click.option("--pause", default=0.05, show_default=True, help="Seconds between two questions.")
@click.option("--most", default=300.0, show_default=True, help="Seconds after which it is enough.")
@together(DATA, SETS)
def beside(
    data: tuple[Path, ...], sets: list[str], turns: int, questions: int, pause: float, most: float
) -> None:
    """Measure recall in a scope that is idle, and while a thread consolidates it."""
    texts = scaling.Varied([load(file) for file in find(data, sets)] if data else [])
    told = besides.measure(texts, turns, questions, pause=pause, most=most)
    click.echo(f"{turns:,} turns, {len(told.idle)} questions idle, {len(told.busy)} beside")
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        idle, busy = told.figure(share, busy=False), told.figure(share, busy=True)
        click.echo(f"{name} {idle:8.1f} ms idle {busy:8.1f} ms beside  {busy / idle:.2f} times")
    end = "all was done" if told.finished else "it was not done yet"
    click.echo(f"{told.seconds:.0f} s of consolidating; {end}")
