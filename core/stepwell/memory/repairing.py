"""A sound store made of a damaged one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stepwell.defaults.sqlite.repairing import repaired
from stepwell.memory.opening import OPTIONS, open_engine
from stepwell.models import Problem, Report

_UNREAD = "some of it could not be read"
_ANEW = "what is derived is to be made again: consolidate()"
_AGAIN = "not all is known that was forgotten: sent again, some of it would be taken in"
_EARLIER = "turns were told by their texts alone: one that was revised may say what it said before"


def repair(
    path: str, to: str, progress: Callable[[int, int], None] | None, options: dict[str, Any]
) -> Report:
    """See Memory.repair."""
    made = repaired(path, to, progress)
    try:
        engine = open_engine(to, **{**OPTIONS, **options, "rebuild": made.anew})
        anew = made.anew
        try:
            problems = engine.store.check()
            if problems and not anew:
                engine.rebuild()
                anew, problems = True, engine.store.check()
        finally:
            engine.close()
    except BaseException:
        for side in ("", "-wal", "-shm"):
            Path(to + side).unlink(missing_ok=True)
        raise
    notes: tuple[str, ...] = (_ANEW,) if anew else ()
    if "handles" in made.unread or "scopes without a name" in made.counts:
        notes += (_AGAIN,)
    if "turns restated" in made.counts and {"journal", "records"} & set(made.unread):
        notes += (_EARLIER,)
    unread = [Problem(_UNREAD, table) for table in made.unread]
    return Report(made.counts, problems=(*unread, *problems), notes=notes)
