"""Options that say which records a command is about."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from stepwell.cli.taking import time_of
from stepwell.filters import Filter
from stepwell.models import Kind, Origin

Command = TypeVar("Command", bound=Callable[..., Any])

_FIELDS = ("session", "actor", "role", "task")
_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    *(click.option(f"--{name}", multiple=True, metavar="NAME", help=f"Of this {name}.")
      for name in _FIELDS),
    click.option("--origin", multiple=True, type=click.Choice([each.value for each in Origin])),
    click.option("--kind", multiple=True, type=click.Choice([each.value for each in Kind])),
    click.option("--after", metavar="TIME", help="Said at this time or later."),
    click.option("--before", metavar="TIME", help="Said before this time."),
)  # fmt: skip


def choosing(command: Command) -> Command:
    """Give a command options to choose records by; it gets a Filter, or None, as `where`."""

    @wraps(command)
    def run(*args: Any, after: str | None, before: str | None, **rest: Any) -> Any:
        fields: dict[str, Any] = {}
        for name in (*_FIELDS, "origin", "kind"):
            wanted = rest.pop(name)
            if wanted:
                fields[name] = list(wanted)
        if after is not None:
            fields["said_after"] = time_of(after)
        if before is not None:
            fields["said_before"] = time_of(before)
        return command(*args, where=Filter(**fields) if fields else None, **rest)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run  # type: ignore[return-value]  # click's decorators keep what they are given
