"""What policies answered, as ops that may be applied: checked, marked as theirs, named apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from stepwell.errors import PluginFailed
from stepwell.ops import ALIAS, Op, aliases, allowed, renamed

# Two answers may give one name to two records: each name gets a number of its own. It lives no
# longer than the transaction.
_NUMBERS = count()


def ops_of(answers: Sequence[tuple[str, object]]) -> list[Op]:
    """Ops that policies returned. Raises PluginFailed or InvalidOp."""
    ops: list[Op] = []
    for name, answer in answers:
        if isinstance(answer, PluginFailed):
            raise answer
        if not isinstance(answer, (list, tuple)):
            raise PluginFailed(f"plugin {name!r} returned {type(answer).__name__} instead of ops")
        mine = [allowed(op, name) for op in answer]
        fresh = {
            each: f"{ALIAS}{next(_NUMBERS)}/{name}" for each in aliases(mine) if "/" not in each
        }
        ops += [renamed(op, fresh) for op in mine]
    return ops
