"""Figures as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from stepwell_bench.bootstrap import Estimate
from stepwell_bench.documents import Document, SetFigures
from stepwell_bench.summing import Comparison

COLUMNS = (
    "recall@1", "recall@5", "recall@10", "recall@20", "recall@50", "any@10", "ndcg@10", "mrr",
    "evidence@512", "evidence@1024", "evidence@2048",
)  # fmt: skip
GAINS = ("recall@10", "mrr", "evidence@1024")


def summary(document: Document) -> Iterator[str]:
    """The figures that matter most, line by line."""
    for one in document.sets:
        yield from _set(one)
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
        for system, change in one.systems.items():
            yield from _gains(f"  {system}", change.gain)


def _set(one: SetFigures) -> Iterator[str]:
    name = " ".join(filter(None, (one.name, one.split)))
    cut = "" if one.complete else "; interrupted, this is what was done"
    yield f"{name}: {one.asked:,} questions about {one.turns:,} turns{cut}"
    wide = max(len(name) for name in one.systems) + 2
    shown = [c for c in COLUMNS if c in one.systems[one.main].overall]
    yield (
        " " * wide
        + "".join(f"{c:>{max(9, len(c) + 2)}}" for c in shown)
        + "    p50 ms    p95 ms   turns/s"
    )
    for name, figures in one.systems.items():
        values = "".join(f"{figures.overall[c].mean:{max(9, len(c) + 2)}.3f}" for c in shown)
        speed = figures.speed
        yield (
            f"{name:{wide}}{values}{speed.search_p50_ms:10.2f}{speed.search_p95_ms:10.2f}"
            f"{speed.turns_per_s:10,.0f}"
        )
    for name, gain in one.gains.items():
        yield from _gains(f"  {one.main} over {name}", gain)
    yield ""


def _gains(title: str, gain: Mapping[str, Estimate]) -> Iterator[str]:
    parts = []
    for metric in GAINS:
        if metric in gain:
            of = gain[metric]
            noise = "" if of.decided else ", within noise"
            parts.append(f"{metric} {of.mean:+.3f} ({of.low:+.3f} to {of.high:+.3f}{noise})")
    yield f"{title}: {'; '.join(parts)}"
