"""A bar of progress on the error stream, where somebody is looking."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm


class Bar:
    """One bar at a time. Silent when `quiet`, and when the error stream is no terminal."""

    def __init__(self, quiet: bool = False) -> None:
        self._silent = quiet or not sys.stderr.isatty()
        self._bar: Any = None

    def start(self, name: str, total: int) -> None:
        """Begin anew, for a set of which so many questions are asked, of all systems together."""
        self._stop()
        self._bar = tqdm(total=total, desc=name, unit="q", disable=self._silent, leave=False)

    def say(self, what: str) -> None:
        """Tell what is being done, where there is no counting."""
        self._stop()
        self._bar = tqdm(desc=what, bar_format="{desc} ...", disable=self._silent, leave=False)

    def __call__(self, system: str, answered: int) -> None:
        """So many questions more, answered by a system; none when it begins with something."""
        if self._bar is not None:
            self._bar.set_postfix_str(system, refresh=not answered)
            self._bar.update(answered)

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
