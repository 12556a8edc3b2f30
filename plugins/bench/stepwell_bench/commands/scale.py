"""`scale`: how recall, and indexes over vectors, grow with a scope."""

from __future__ import annotations

from pathlib import Path

import click

from stepwell_bench import scaling
from stepwell_bench.commands.options import DATA, JSON, QUIET, SETS, together, whole_numbers
from stepwell_bench.commands.settings import document
from stepwell_bench.data import find, load
from stepwell_bench.documents import write
from stepwell_bench.progress import Bar

_SIZES = click.option(
    "--sizes", default=",".join(map(str, scaling.SIZES)), show_default=True,
    callback=whole_numbers, help="Numbers of turns in one scope.",
)  # fmt: skip


@click.command()
@click.option("--questions", "count", default=200, show_default=True, type=click.IntRange(min=1))
@together(DATA, SETS, _SIZES, JSON, QUIET)
def scale(
    data: tuple[Path, ...], sets: list[str], sizes: list[int], count: int, json_to: Path | None,
    quiet: bool,
) -> None:  # fmt: skip
    """Measure how recall, and indexes over vectors, grow with a scope."""
    texts = scaling.Varied([load(file) for file in find(data, sets)] if data else [])
    made = document("scale", [], [] if texts.real else ["Texts are made up."], 0)
    with Bar(quiet) as bar:
        for row in scaling.measure(texts, sizes, count, bar.say):
            made.speed |= {f"{row.name} {row.size} {k}": v for k, v in row.figures.items()}
            click.echo(scaling.lines(row))
    if json_to is not None:
        write(made, json_to)
