"""What is put before a host's model."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from stepwell.adapting.payloads import usable, usable_name
from stepwell.memory import Scope
from stepwell.models import Context, Hit, Record

#: Characters of a long message that are asked for: as many of its beginning as of its end.
_ASKED = 4_000
#: Characters for each token of a budget, at most; and how often a text is made smaller.
_CHARACTERS = 6
_TRIES = 6


def quoted(
    scope: Scope, query: str, *, present: Collection[str] = (), budget: int = 800,
    min_trust: float = 0.0, role: str | None = None, task: str | None = None,
    deadline: float | None = None,
) -> str:  # fmt: skip
    """The fenced text that answers a message, without the turns that its prompt holds already.

    `present` are the ids of these turns. The empty text where there is nothing else to tell: a host
    then sends what it would send without a memory. Never more than six characters for each token of
    the budget: what has no spaces is many tokens to a model. Raises TimeoutError when `deadline`
    was missed.
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
    asked = usable(query)
    if len(asked) > _ASKED:
        asked = f"{asked[: _ASKED // 2]}\n{asked[-_ASKED // 2 :]}"
    if not asked.strip():
        return None
    seen, room = set(present), budget
    for _ in range(_TRIES):
        found = scope.context(
            asked, budget=room, without=seen, min_trust=min_trust, role=usable_name(role),
            task=usable_name(task), deadline=deadline,
        )  # fmt: skip
        if "deadline" in found.degraded:
            raise TimeoutError("the deadline was missed")
        if not found.hits:
            return None
        if len(found.text) <= _CHARACTERS * budget:
            return found
        # First goes what is too long by itself, then whatever is least worth its place.
        long = [hit for hit in found.hits if 2 * len(hit.text) > _CHARACTERS * budget]
        seen.update(name for hit in long for name in hit.sources)
        if not long:
            room = room * _CHARACTERS * budget // len(found.text)
    return None


def described(hit: Hit | Record) -> dict[str, Any]:
    """What frameworks call the metadata of a hit, or of a record: JSON, without what is unknown.

    Level, kind, turn, actor, role, session, task, said_at and stored_at; of a hit its score, its
    sources (turn ids), why, and the span of what was found as well.
    """
    record = hit.record if isinstance(hit, Hit) else hit
    known: dict[str, Any] = {
        "level": record.level,
        "kind": record.kind.value,
        "turn": record.turn,
        "actor": record.actor,
        "role": record.role,
        "session": record.session,
        "task": record.task,
        "said_at": None if record.said_at is None else record.said_at.isoformat(),
        "stored_at": record.stored_at.isoformat(),
    }
    if isinstance(hit, Hit):
        known |= {"score": hit.score, "sources": list(hit.sources), "why": dict(hit.why)}
        known["span"] = None if hit.span is None else list(hit.span)
    return {name: value for name, value in known.items() if value is not None}
