"""The command: `python -m stepwell_bench`.

Exit codes: 0 done, 1 done but a preset failed, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

import stepwell
from stepwell_bench.commands import COMMANDS
from stepwell_bench.commands.settings import INTERRUPTED
from stepwell_bench.errors import BenchError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    try:
        code = cli.main(arguments, prog_name="stepwell-bench", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return 2
    except (BenchError, stepwell.errors.StepwellError) as error:
        click.echo(f"Error: {error}", err=True)
        return 2
    return int(code or 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(stepwell.__version__, package_name="stepwell-bench")
def cli() -> None:
    """Measure how well and how fast stepwell recalls."""


for _command in COMMANDS:
    cli.add_command(_command)

if __name__ == "__main__":
    sys.exit(main())
