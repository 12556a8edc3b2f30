"""`report`: what a file of figures says, as a table and as a page."""

from __future__ import annotations

from pathlib import Path

import click

from stepwell_bench.commands.options import AGAINST, HTML, PATH, together
from stepwell_bench.commands.settings import tell
from stepwell_bench.documents import read


@click.command()
@click.argument("figures", type=PATH)
@together(HTML, AGAINST)
def report(figures: Path, html_to: Path | None, against: str | None) -> int:
    """Tell what a file of FIGURES says, as a table, and with `--html` as a page too."""
    tell(read(figures), html_to, against)
    return 0
