"""Systems side by side: on each set what was found, what it cost, and the gain over one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Final

from stepwell_bench.bootstrap import Estimate
from stepwell_bench.data import own_k
from stepwell_bench.documents import Document, Figures, SetFigures
from stepwell_bench.errors import BadResult
from stepwell_bench.summing import gains_over
from stepwell_bench.trusting import thin_set

#: What gains are over, unless something else is named.
USUAL: Final = "default"
#: What gains are of.
GAINED: Final = ("recall@10", "evidence@1024")


@dataclass(frozen=True, slots=True)
class Column:
    """A figure that is shown of every system; `value` is None where it was not measured."""

    name: str
    value: Callable[[SetFigures, str], float | None]
    form: str

    def cell(self, value: float | None) -> str:
        """A value as text."""
        return "–" if value is None else f"{value:{self.form}}"


def _scored(metric: str) -> Column:
    def value(one: SetFigures, system: str) -> float | None:
        found = one.systems[system].overall.get(metric)
        return None if found is None else found.mean

    return Column(metric, value, ".3f")


def _own(one: SetFigures, system: str) -> float:
    return one.systems[system].overall[f"recall@{own_k(one.name, one.k)}"].mean


FOUND: Final = (
    _scored("recall@10"),
    Column("recall@k", _own, ".3f"),
    _scored("evidence@512"),
    _scored("evidence@1024"),
)
#: Of a store of one's own, where an answer is one turn and words are shared with it.
FOUND_OWN: Final = (_scored("any@1"), _scored("any@10"), _scored("mrr"))
COST: Final = (
    Column("turns/s", lambda one, name: one.systems[name].speed.turns_per_s, ",.0f"),
    Column("consolidate s", lambda one, name: one.systems[name].speed.consolidate_s, ",.2f"),
    Column("p50 ms", lambda one, name: one.systems[name].speed.search_p50_ms, ",.2f"),
    Column("bytes/turn", lambda one, name: one.systems[name].speed.bytes_per_turn, ",.0f"),
)


@dataclass(frozen=True, slots=True)
class Side:
    """One set. `systems` are all in the order of the run, those that failed among them.

    `gains` are over the system `over`, by system; `thin` is why their intervals mean little, or "".
    """

    one: SetFigures
    title: str
    systems: tuple[str, ...]
    over: str
    gains: Mapping[str, Figures] = field(default_factory=dict)
    thin: str = ""

    @property
    def k(self) -> int:
        """By how many of the first answers the set is judged."""
        return own_k(self.one.name, self.one.k)

    def gain(self, system: str, metric: str) -> Estimate | None:
        """The gain of a system, if there is one to tell."""
        return self.gains.get(system, {}).get(metric)

    def failure(self, system: str) -> str:
        """Why a system has no figures here; "" when it has."""
        if system in self.one.systems:
            return ""
        failed = self.one.failed.get(system)
        return f"{failed.error} while {failed.during}" if failed else "not measured"


def columns(document: Document) -> tuple[Column, ...]:
    """What is shown of every system: of these, what was measured of any, and nothing twice."""
    found: tuple[Column, ...] = FOUND_OWN if document.kind == "own" else FOUND
    if all(own_k(one.name, one.k) == 10 for one in document.sets):
        found = tuple(column for column in found if column.value is not _own)
    return tuple(
        column
        for column in (*found, *COST)
        if any(column.value(o, name) is not None for o in document.sets for name in o.systems)
    )


def sides(document: Document, against: str | None = None) -> list[Side]:
    """All sets. Raises BadResult when `against` was measured on none of them."""
    if against is not None and document.sets:
        there = dict.fromkeys(name for one in document.sets for name in one.systems)
        if against not in there:
            raise BadResult(f"no system {against!r} was measured; there are {', '.join(there)}")
    return [_side(document, one, against) for one in document.sets]


def averaged(shown: Sequence[Side]) -> list[Side]:
    """The sets of which means are taken: those that are not thin, if there are two or more."""
    solid = [side for side in shown if not side.thin]
    return solid if len(solid) > 1 else []


def means(solid: Sequence[Side], column: Column) -> dict[str, float]:
    """The mean of a column over sets, for the systems that have it on all of them."""
    made = {}
    for name in every_system(solid):
        values = [
            column.value(side.one, name) if name in side.one.systems else None for side in solid
        ]
        if all(value is not None for value in values):
            made[name] = fmean(value for value in values if value is not None)
    return made


def every_system(shown: Sequence[Side]) -> list[str]:
    """All systems of all sets, in order."""
    return list(dict.fromkeys(name for side in shown for name in side.systems))


def _side(document: Document, one: SetFigures, against: str | None) -> Side:
    title = " ".join(filter(None, (one.name, one.split)))
    names = {*one.systems, *one.failed}
    order = [*(name for name in document.settings if name in names), *one.systems, *one.failed]
    over = against or _over(one)
    gains = gains_over(one, over, document.seed) if over in one.systems else {}
    return Side(one, title, tuple(dict.fromkeys(order)), over, gains, thin_set(one))


def _over(one: SetFigures) -> str:
    """What gains are over when nobody says so; without scores there is no choice."""
    return USUAL if USUAL in one.systems and one.scores is not None else one.main
