"""Options that several commands have."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from stepwell_bench import speed

PATH: Final = click.Path(path_type=Path)


class Output(click.Path):
    """A file to write, in a folder that is there: told before anything is measured."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not path.parent.is_dir():
            self.fail(f"{path.parent}: there is no such folder", param, ctx)
        return path


OUTPUT: Final = Output(path_type=Path, dir_okay=False)


def several(context: click.Context, option: click.Parameter, value: str) -> list[str]:  # noqa: ARG001 - click's signature
    """What stands between commas."""
    return [part.strip() for part in value.split(",") if part.strip()]


def whole_numbers(context: click.Context, option: click.Parameter, value: str) -> list[int]:
    """Numbers between commas, ascending, each at least 1."""
    try:
        sizes = sorted({int(part) for part in several(context, option, value)})
    except ValueError:
        raise click.BadParameter("numbers, with commas between them") from None
    if not sizes or sizes[0] < 1:
        raise click.BadParameter("at least one number, each at least 1")
    return sizes


def together(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options as one decorator, in this order."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def presets(default: str) -> Callable[[Any], Any]:
    """Which presets, with a default."""
    return click.option(
        "--presets", default=default, show_default=True, callback=several,
        help='Several with commas; "all" is every other one that is installed. The first one is '
        "compared with everything else.",
    )  # fmt: skip


JSON = click.option("--json", "json_to", type=OUTPUT, help="Write all figures to this file.")
HTML = click.option("--html", "html_to", type=OUTPUT, help="Write the report to this file.")
SEED = click.option("--seed", default=0, show_default=True, help="Of all that is drawn.")
QUIET = click.option("--quiet", is_flag=True, help="No progress bar.")
SIZES = click.option(
    "--sizes", default=",".join(map(str, speed.SIZES)), show_default=True, callback=whole_numbers,
    help="Numbers of turns to measure a question among.",
)  # fmt: skip
DATA = click.option(
    "--data", multiple=True, type=PATH,
    help="A folder, or files; else what comes along.",
)  # fmt: skip
SETS = click.option("--sets", default="", callback=several, help="Only these, by file name.")
PLUGINS = click.option("--plugins", default="", callback=several, help="Active beside a preset.")
EMBEDDER = click.option(
    "--embedder", "embedders", default="default", show_default=True, callback=several,
    help='"default", "none", or what a plugin offers; several with commas.',
)  # fmt: skip
AGAINST = click.option("--against", help="The system that gains are over; else the first one.")
