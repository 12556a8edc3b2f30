"""The subcommands, one file each under its own name; to add one, write it and name it here."""

from __future__ import annotations

from typing import Final

import click

from stepwell_bench.commands.beside import beside
from stepwell_bench.commands.changes import changes
from stepwell_bench.commands.compare import compare
from stepwell_bench.commands.own import own
from stepwell_bench.commands.report import report
from stepwell_bench.commands.run import run
from stepwell_bench.commands.scale import scale
from stepwell_bench.commands.speed import speed
from stepwell_bench.commands.teams import teams

#: In the order of the help.
COMMANDS: Final[tuple[click.Command, ...]] = (
    run,
    report,
    compare,
    own,
    changes,
    speed,
    scale,
    beside,
    teams,
)
