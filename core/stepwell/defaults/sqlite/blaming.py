"""Errors that come of what a damaged file holds are told as that."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from stepwell.defaults.sqlite.checking import problems
from stepwell.defaults.sqlite.meanings import Connection
from stepwell.errors import StepwellError, StoreDamaged, StoreError

#: What reading damaged values can end in.
_BY_DAMAGE = (
    TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError,
    RecursionError,
)  # fmt: skip


@contextlib.contextmanager
def damage_told(
    path: str, look: Callable[[], AbstractContextManager[Connection]]
) -> Iterator[None]:
    """An error that comes of what the file holds is told as that; any other is let through.

    Values of a damaged file can break whatever reads them. Which it was, the file itself says.
    """
    try:
        yield
    except StepwellError:
        raise
    except _BY_DAMAGE:
        damage = _damage(look)
        if damage is None:
            raise
    else:
        return
    # Not from the error: its words may be remembered ones.
    raise StoreDamaged(f"{path}: the file is damaged: {damage}; run check()") from None


def _damage(look: Callable[[], AbstractContextManager[Connection]]) -> str | None:
    """The first thing that is wrong with what the file holds; None when all is well."""
    try:
        with look() as db:
            return next((problem.what for problem in problems(db, pages=False)), None)
    except StoreDamaged:
        return "SQLite cannot read all of it"
    except StoreError:
        return None
