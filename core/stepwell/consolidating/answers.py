"""What policies answered, as ops that may be applied: checked, marked as theirs, named apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from stepwell.errors import InvalidOp, PluginFailed
from stepwell.ops import ALIAS, Op, aliases, allowed, renamed
from stepwell.plugins import Answers, Unfit

# Two answers may give one name to two records: each name gets a number of its own. It lives no
# longer than the transaction.
_NUMBERS = count()


def sound_ops(answer: object) -> list[Op]:
    """The ops that a policy returned, each of them checked. Raises Unfit."""
    if not isinstance(answer, (list, tuple)):
        raise Unfit(f"it returned {type(answer).__name__} instead of ops")
    try:
        return [allowed(op) for op in answer]
    except InvalidOp as error:
        raise Unfit(str(error)) from None  # its words are ours


def marked(ops: Sequence[Op], who: str) -> list[Op]:
    """The ops as those of a plugin."""
    return [op if op.who == who else op.model_copy(update={"who": who}) for op in ops]


def ops_of(answers: Answers) -> list[Op]:
    """Sound ops of several policies, as one answer. Raises PluginFailed if one of them failed."""
    ops: list[Op] = []
    for name, answer in answers:
        if isinstance(answer, PluginFailed):
            raise answer
        mine = marked(answer, name)
        fresh = {
            each: f"{ALIAS}{next(_NUMBERS)}/{name}" for each in aliases(mine) if "/" not in each
        }
        ops += [renamed(op, fresh) for op in mine]
    return ops
