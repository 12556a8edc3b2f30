"""How far a campaign is, on the terminal that somebody watches it from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())


class Step:
    """Counts what is done; `what` says what is being done now."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total)

    def __call__(self, done: int = 1, what: str | None = None) -> None:
        self._progress.update(self._task, advance=done, description=what)


@contextmanager
def progress(total: int, shown: bool = True) -> Iterator[Step]:
    """A bar on standard error; none where that is no terminal, or nobody wants it."""
    console = Console(stderr=True)
    columns = (*_COLUMNS, TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not (shown and console.is_terminal)
    ) as bar:
        yield Step(bar, total)
