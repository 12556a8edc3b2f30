"""A bar of progress on the error stream, where somebody is looking."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from stepwell_bench.data import DataSet, chosen


class Bar:
    """One bar at a time. Silent when `quiet`, and when the error stream is no terminal."""

    def __init__(self, quiet: bool = False) -> None:
        self._silent = quiet or not sys.stderr.isatty()
        self._bar: Any = None

    def start(
        self, data: DataSet, systems: int, left_out: Iterable[str] | None = None,
        limit: int | None = None,
    ) -> None:  # fmt: skip
        """Begin anew, for a set that each of so many systems is asked all questions of."""
        self._stop()
        asked = chosen(data, left_out, limit)[1].asked
        self._bar = tqdm(
            total=asked * systems, desc=data.name, unit="q", disable=self._silent, leave=False
        )

    def say(self, what: str) -> None:
        """Tell what is being done, where there is no counting."""
        self._stop()
        self._bar = tqdm(desc=what, bar_format="{desc} ...", disable=self._silent, leave=False)

    def __call__(self, system: str, answered: int) -> None:
        """So many questions more, answered by a system."""
        if self._bar is not None:
            self._bar.set_postfix_str(system, refresh=False)
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
