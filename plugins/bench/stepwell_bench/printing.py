"""Figures as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from stepwell_bench.bootstrap import Estimate
from stepwell_bench.documents import Document
from stepwell_bench.sides import Column, Side, averaged, columns, means, sides
from stepwell_bench.summing import Comparison
from stepwell_bench.trusting import interval, thin

GAINS = ("recall@10", "mrr", "evidence@1024")
_GAP = "  "


def summary(document: Document, against: str | None = None) -> Iterator[str]:
    """The figures that matter most, as one table, and what there is to say about them.

    Raises BadResult when `against`, the system that gains are over, was not measured.
    """
    shown = sides(document, against)
    if shown:
        yield from _table(document, shown)
    for name, value in document.speed.items():
        yield f"{name:36} {value:14,.3f}"
    yield from document.advice
    yield from (f"Note: {note}" for note in document.notes)


def changes(comparison: Comparison) -> Iterator[str]:
    """The gains of a newer run, line by line."""
    yield f"from {comparison.old} to {comparison.new}"
    for one in comparison.sets:
        other = "" if one.same_data else "; the data files are not the same"
        yield f"{one.name}: {one.asked:,} questions in both{other}"
        few = thin(one.asked, one.conversations)
        for system, change in one.systems.items():
            yield f"  {system}: {'; '.join(_gains(change.gain, few))}"


def _table(document: Document, shown: Sequence[Side]) -> Iterator[str]:
    """Sets one below the other, each with all systems; at the end their means over all sets."""
    every = columns(document)
    gained = "mrr" if document.kind == "own" else "recall@10"
    heads = ["set", "system", *(column.name for column in every), f"gain in {gained}"]
    rows: list[list[str]] = []
    for side in shown:
        rows.append([])
        for place, name in enumerate(side.systems):
            rows.append([side.title if place == 0 else "", *_row(side, name, every, gained)])
    if solid := averaged(shown):
        rows.append([])
        over = [means(solid, column) for column in every]
        for place, name in enumerate(over[0]):
            cells = [column.cell(m.get(name)) for column, m in zip(every, over, strict=True)]
            rows.append([f"mean of {len(solid)} sets" if place == 0 else "", name, *cells])
    widths = [len(head) for head in heads]
    for row in rows:
        # Of a row that failed, what it says of that may be as long as it is.
        for i, cell in enumerate(row[: 2 if len(row) == 3 else None]):
            widths[i] = max(widths[i], len(cell))
    for row in [heads, *rows]:
        if row:
            yield _aligned(row, widths)
        else:
            yield "-" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    yield ""
    yield from _remarks(shown)


def _row(side: Side, name: str, every: Sequence[Column], gained: str) -> list[str]:
    if failure := side.failure(name):
        return [name, f"failed: {failure}"]
    mark = " !" if side.one.systems[name].troubles else ""
    cells = []
    for column in every:
        cell = column.cell(column.value(side.one, name))
        cells.append(f"@{side.k} {cell}" if column.name == "recall@k" else cell)
    gain = side.gain(name, gained)
    told = "" if gain is None else _gain(gain, side.thin)
    return [f"{name}{mark}", *cells, "±0 by definition" if name == side.over else told]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    """Names and words to the left, figures to the right."""
    left = (0, 1, 2 if len(row) == 3 else len(widths) - 1)
    return _GAP.join(
        f"{cell:{'<' if i in left else '>'}{widths[i]}}" for i, cell in enumerate(row)
    ).rstrip()


def _remarks(shown: Sequence[Side]) -> Iterator[str]:
    for side in shown:
        one = side.one
        talks = "conversation" if one.conversations == 1 else "conversations"
        cut = "" if one.complete else "; interrupted, this is what was done"
        yield (
            f"{side.title}: {one.asked:,} questions about {one.conversations:,} {talks} of "
            f"{one.turns:,} turns; gains are over {side.over}{cut}"
        )
        for name, figures in one.systems.items():
            for trouble, count in figures.troubles.items():
                yield f"  ! {name}, {count:,} times: {trouble}"
    yield ""


def _gains(gain: Mapping[str, Estimate], few: str) -> Iterator[str]:
    for metric in GAINS:
        if metric in gain:
            yield f"{metric} {_gain(gain[metric], few)}"


def _gain(gain: Estimate, few: str) -> str:
    noise = "" if gain.decided or few else ", within noise"
    return f"{gain.mean:+.3f} ({interval(gain, few, signed=True)}{noise})"
