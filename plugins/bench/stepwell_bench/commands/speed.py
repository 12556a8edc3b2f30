"""`speed`: how fast it is on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from stepwell_bench import speed as measuring
from stepwell_bench.commands.options import DATA, HTML, JSON, QUIET, SETS, SIZES, together
from stepwell_bench.commands.settings import deliver, document
from stepwell_bench.data import find, load
from stepwell_bench.progress import Bar
from stepwell_bench.texts import Texts


@click.command()
@click.option("--words", is_flag=True, help="On words alone, without an embedder.")
@together(DATA, SETS, SIZES, JSON, HTML, QUIET)
def speed(
    data: tuple[Path, ...], sets: list[str], words: bool, sizes: list[int], json_to: Path | None,
    html_to: Path | None, quiet: bool,
) -> int:  # fmt: skip
    """Measure how fast it is here, beside bare SQLite."""
    texts = Texts([load(file) for file in find(data, sets)] if data else [])
    made = document("speed", [], [] if texts.real else ["Texts are made up."], 0)
    with Bar(quiet) as bar:
        made.speed = measuring.measure(
            texts, sizes, bar.say, embedder=None if words else "default"
        )  # fmt: skip
    return deliver(made, json_to, html_to)
