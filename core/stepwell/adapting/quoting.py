"""What is put before a host's model."""

from __future__ import annotations

from collections.abc import Collection

from stepwell.memory import Scope
from stepwell.models import Context

#: Characters of a long message that are asked for: as many of its beginning as of its end.
_ASKED = 4_000


def quoted(
    scope: Scope, query: str, *, present: Collection[str] = (), budget: int = 800,
    min_trust: float = 0.0, role: str | None = None, task: str | None = None,
    deadline: float | None = None,
) -> str:  # fmt: skip
    """The fenced text that answers a message, without the turns that its prompt holds already.

    `present` are the ids of these turns. The empty text where there is nothing else to tell: a host
    then sends what it would send without a memory. Raises TimeoutError when `deadline` was missed.
    """
    found = told(
        scope, query, present=present, budget=budget, min_trust=min_trust, role=role, task=task,
        deadline=deadline,
    )  # fmt: skip
    return "" if found is None else found.text


def told(
    scope: Scope, query: str, *, present: Collection[str] = (), budget: int = 800,
    min_trust: float = 0.0, role: str | None = None, task: str | None = None,
    deadline: float | None = None,
) -> Context | None:  # fmt: skip
    """The same with the hits that it quotes; None where there is nothing to tell."""
    asked = query if len(query) <= _ASKED else f"{query[: _ASKED // 2]}\n{query[-_ASKED // 2 :]}"
    if not asked.strip():
        return None
    found = scope.context(
        asked, budget=budget, without=present, min_trust=min_trust, role=role, task=task,
        deadline=deadline,
    )  # fmt: skip
    if "deadline" in found.degraded:
        raise TimeoutError("the deadline was missed")
    return found if found.hits else None
