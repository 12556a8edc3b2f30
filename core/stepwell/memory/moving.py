"""A scope into a file, and out of one."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import IO, Any

from stepwell.errors import InvalidQuery
from stepwell.filters import Filter
from stepwell.memory.arguments import query_of
from stepwell.memory.engine import Engine
from stepwell.models import Report
from stepwell.transfer import opened

Progress = Callable[[int, int], None]
Path = tuple[str, ...]


def export(
    engine: Engine, path: Path, to: str | os.PathLike[str] | IO[str], form: str,
    where: Filter | None, progress: Progress | None,
) -> Report:  # fmt: skip
    """See Scope.export."""
    query_of("", where=where)
    writes = {"jsonl": engine.exporter.lines, "markdown": engine.exporter.markdown}
    if form not in writes:
        raise InvalidQuery(f"format is one of {', '.join(writes)}")
    if not engine.store.read_only:
        engine.flush()
    with opened(to) as target:
        return writes[form](path, target, where, progress)


def import_(
    engine: Engine, path: Path, source: str | os.PathLike[str] | IO[Any], form: str | None,
    progress: Progress | None,
) -> Report:  # fmt: skip
    """See Scope.import_."""
    with engine.traffic():
        engine.shown.store(path)
        report = engine.arrivals.take(path, source, form, progress)
    if engine.background is not None:
        engine.background.wake(path)
    return report
