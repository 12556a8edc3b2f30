"""The policy of bounds: how much of a scope takes part, and for how long. It hides, and never more.

What is hidden stays in the file, word for word, and a filter for hidden records finds it. Only
`Memory.open(retention=...)`, which the user says, forgets it after a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from stepwell.contracts import View
from stepwell.errors import InvalidInput
from stepwell.filters import Filter
from stepwell.hookspecs import hookimpl
from stepwell.models import EdgeKind, Kind, Record, aware
from stepwell.ops import Hide

_ALL: Final = 1_000_000
#: Ops of one step.
_STEP: Final = 500
#: What a turn takes in the caches beside its words and its vector, about.
_OVERHEAD: Final = 200


@dataclass(frozen=True)
class Bounds:
    """Hides turns that are too many, too large together, too old, or unused for too long.

    `records` and `size` (bytes, of the words and vectors that searching holds in memory, about) are
    of a scope, and count what is active alone. `age` is since it was said, `unused` since it was
    last used or said. Of too many, those go first that were used or said longest ago. A trace is
    hidden with the last of its turns. Without a bound nothing is hidden. Raises InvalidInput for a
    bound below 0.
    """

    records: int | None = None
    size: int | None = None
    age: timedelta | None = None
    unused: timedelta | None = None
    name: str = "bounds"

    def __post_init__(self) -> None:
        for bound in (self.records, self.size):
            if bound is not None and bound < 0:
                raise InvalidInput("a bound is a whole number from 0 on")
        for time in (self.age, self.unused):
            if time is not None and time < timedelta(0):
                raise InvalidInput("a bound of time is 0 or more")

    @property
    def params(self) -> dict[str, object]:
        """What the file remembers of it."""
        return {
            "records": self.records,
            "size": self.size,
            "age": None if self.age is None else self.age.total_seconds(),
            "unused": None if self.unused is None else self.unused.total_seconds(),
        }

    @hookimpl
    def maintain(self, view: View) -> Sequence[Hide]:
        """What is beyond the bounds, a step at a time; then the traces that hold nothing more."""
        if (self.records, self.size, self.age, self.unused) == (None, None, None, None):
            return ()
        turns = view.records(Filter(level=0), limit=_ALL)
        gone = self._beyond(turns, view)[:_STEP]
        return [Hide(id=name) for name in gone or self._emptied(turns, view)]

    def _beyond(self, turns: Sequence[Record], view: View) -> list[str]:
        old = {t.id for t in turns if self.age is not None and view.now - _said(t) > self.age}
        left = [turn for turn in turns if turn.id not in old]
        sizes: dict[str, int] = {}
        if self.size is not None:
            each = 4 * view.vectors([]).shape[1] + _OVERHEAD
            sizes = {turn.id: len(turn.text.encode()) + each for turn in left}
        total = sum(sizes.values())
        over = self.records is not None and len(left) > self.records
        if self.unused is None and not over and (self.size is None or total <= self.size):
            return [turn.id for turn in turns if turn.id in old]
        used = {turn.id: _used(turn, view) for turn in left}
        gone = [turn.id for turn in turns if turn.id in old]
        count = len(left)
        for turn in sorted(left, key=lambda turn: (used[turn.id], turn.id)):
            idle = self.unused is not None and view.now - used[turn.id] > self.unused
            many = self.records is not None and count > self.records
            large = self.size is not None and total > self.size
            if not (idle or many or large):
                break  # the others were used later
            gone.append(turn.id)
            count -= 1
            total -= sizes.get(turn.id, 0)
        return gone

    def _emptied(self, turns: Sequence[Record], view: View) -> list[str]:
        """Traces of which no turn takes part."""
        active = {turn.id for turn in turns}
        traces = [trace.id for trace in view.records(Filter(kind=Kind.TRACE), limit=_ALL)]
        inside = view.links(traces, EdgeKind.CONTAINS)
        return [
            name for name in traces if not any(e.target in active for e in inside.get(name, ()))
        ][:_STEP]


def _said(turn: Record) -> datetime:
    return aware(turn.said_at or turn.stored_at)


def _used(turn: Record, view: View) -> datetime:
    """When it was last used, or said if it was not used since."""
    last = view.usage(turn.id).last_used
    return _said(turn) if last is None else max(aware(last), _said(turn))
