"""`compare`: what changed from one run to another."""

from __future__ import annotations

from pathlib import Path

import click

from stepwell_bench import summing
from stepwell_bench.commands.options import HTML, JSON, PATH, SEED, together
from stepwell_bench.documents import read, write
from stepwell_bench.printing import changes
from stepwell_bench.report import comparison_page


@click.command()
@click.argument("old", type=PATH)
@click.argument("new", type=PATH)
@together(JSON, HTML, SEED)
def compare(
    old: Path, new: Path, json_to: Path | None, html_to: Path | None, seed: int
) -> int:  # fmt: skip
    """Tell what changed from one run to another, both written by `run --json`."""
    made = summing.compare(read(old), read(new), seed)
    if json_to is not None:
        write(made, json_to)
    if html_to is not None:
        html_to.write_text(comparison_page(made), encoding="utf-8")
    for line in changes(made):
        click.echo(line)
    return 0
