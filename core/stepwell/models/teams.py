"""Teams: who said what on the way to a task's goal, and what it was an answer to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from stepwell.models.records import EdgeKind

#: From a task's record to each record that was shown in it.
SHOWN: Final = EdgeKind.MENTIONS
#: The weight of such an edge once the record has been credited with the task's outcome.
CREDITED: Final = 2.0
#: What a task's payload tells, whatever policies note there: they are its caller's.
TOLD: Final = ("team", "outcome")


@dataclass(frozen=True, slots=True)
class Utterance:
    """A turn in an interaction graph, by its turn id."""

    id: str
    actor: str | None = None
    role: str | None = None
    step: int | None = None


@dataclass(frozen=True)
class Interaction:
    """The interaction graph of a task: its turns in order of arrival, the goal before them.

    An edge (upstream, turn) says that the turn answers its upstream. There is no cycle.
    """

    task: str
    turns: tuple[Utterance, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()

    @cached_property
    def _above(self) -> Mapping[str, tuple[str, ...]]:
        above: dict[str, list[str]] = defaultdict(list)
        for upstream, turn in self.edges:
            above[turn].append(upstream)
        return {turn: tuple(ids) for turn, ids in above.items()}

    def upstream(self, turn: str) -> tuple[str, ...]:
        """What a turn answers, in order of arrival."""
        return self._above.get(turn, ())

    def before(self, turns: str | Iterable[str]) -> frozenset[str]:
        """All that led to some turns, by any number of edges, and these themselves."""
        left = [turns] if isinstance(turns, str) else list(turns)
        seen: set[str] = set()
        while left:
            turn = left.pop()
            if turn not in seen:
                seen.add(turn)
                left += self._above.get(turn, ())
        return frozenset(seen)
