"""From scores to figures: means, intervals, gains, and comparisons of two runs."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from stepwell_bench.bootstrap import Estimate, Resamples
from stepwell_bench.data import Counted, own_k
from stepwell_bench.documents import (
    Document,
    Figures,
    Model,
    Scores,
    SetFigures,
    SoFar,
    Speed,
    SystemFigures,
    Timing,
)
from stepwell_bench.errors import BadResult
from stepwell_bench.running import Measured

#: A group across categories: questions with a long turn among their evidence.
LONG_TURNS = "(evidence in a long turn)"


def figures(measured: Measured, main: str, seed: int = 0) -> SetFigures:
    """What a set's scores come to: intervals of 95 %, by category, and gains of `main`.

    If `main` failed, the gains are those of the first system that did not. ValueError when no
    conversation was measured.
    """
    samples = Resamples(measured.clusters, seed=seed)
    clusters = np.array(measured.clusters)
    labels = np.array(measured.categories)
    groups = {label: labels == label for label in sorted(set(measured.categories))}
    if any(measured.long):
        groups[LONG_TURNS] = np.array(measured.long)
    tables = {name: measured.table(name) for name in measured.rows}
    main = main if main in tables else next(iter(tables), main)
    names = measured.metrics
    systems = {}
    for name, table in tables.items():
        timing = measured.timings[name]
        systems[name] = SystemFigures(
            overall=dict(zip(names, samples.estimates(table), strict=True)),
            by_category={
                label: dict(zip(names, samples.estimates(table, group), strict=True))
                for label, group in groups.items()
            },
            speed=_speed(timing),
            unknown_ids=timing.unknown, unsaid_ids=timing.unsaid, troubles=timing.troubles,
        )  # fmt: skip
    counted = measured.counted
    return SetFigures(
        name=measured.name, split=measured.split, sha256=measured.sha256,
        asked=len(measured.keys), left_out=counted.left_out, no_evidence=counted.no_evidence,
        unscored=counted.unscored, conversations=measured.conversations, turns=measured.turns,
        complete=measured.complete,
        categories={label: int(group.sum()) for label, group in groups.items()},
        drawn_from={"": len(set(measured.clusters))}
        | {label: len(set(clusters[group])) for label, group in groups.items()},
        k=measured.k, main=main, systems=systems, failed=measured.failed,
        gains={
            name: dict(zip(names, samples.estimates(tables[main] - table), strict=True))
            for name, table in tables.items()
            if name != main
        },
        scores=Scores(
            keys=measured.keys, clusters=measured.clusters, categories=measured.categories,
            metrics=list(names), rows=measured.rows,
        ),
        so_far=None if measured.complete else SoFar(long=measured.long, timings=measured.timings),
    )  # fmt: skip


def begun(one: SetFigures) -> Measured:
    """What `figures` were made from, to be gone on with. BadResult if too little was written."""
    if one.scores is None or one.so_far is None:
        raise BadResult(f"the set {one.name!r} was written without what it takes to go on")
    k = own_k(one.name, one.k)
    return Measured(
        one.name, one.split, one.sha256, Counted(), tuple(one.scores.metrics), k,
        one.conversations, one.turns, one.complete, one.scores.keys, one.scores.clusters,
        one.scores.categories, one.so_far.long, one.scores.rows, one.so_far.timings, one.failed,
    )  # fmt: skip


def gains_over(one: SetFigures, system: str, seed: int = 0) -> dict[str, Figures]:
    """The gain of each other system over this one, paired.

    Raises BadResult when it was not measured, or when the figures were written without the scores
    of single questions, and are not about this one.
    """
    if system not in one.systems:
        why = f"failed with {one.failed[system].error}" if system in one.failed else "is not there"
        raise BadResult(f"the set {one.name!r}: the system {system!r} {why}")
    if one.scores is not None:
        samples = Resamples(one.scores.clusters, seed=seed)
        tables = {name: np.array(rows, np.float64) for name, rows in one.scores.rows.items()}
        return {
            name: dict(
                zip(one.scores.metrics, samples.estimates(table - tables[system]), strict=True)
            )
            for name, table in tables.items()
            if name != system
        }
    if system != one.main:
        raise BadResult(
            f"the set {one.name!r}: without scores of single questions, which `run --json` writes, "
            f"gains are over {one.main!r} alone"
        )
    return {
        name: {m: Estimate(-e.mean, -e.high, -e.low) for m, e in gain.items()}
        for name, gain in one.gains.items()
    }


class Change(Model):
    """One system before and after, over the questions that both runs asked."""

    old: Figures
    new: Figures
    gain: Figures


class SetChange(Model):
    """One set in two runs. `same_data` is whether both files had the same bytes."""

    name: str
    same_data: bool
    asked: int
    conversations: int = 0
    only_old: int = 0
    only_new: int = 0
    systems: dict[str, Change]


class Comparison(Model):
    """Two runs side by side: the sets, systems and questions that they have in common."""

    kind: str = "comparison"
    old: str
    new: str
    sets: list[SetChange] = Field(default_factory=list)


def compare(old: Document, new: Document, seed: int = 0) -> Comparison:
    """What changed from one run to another, by a paired bootstrap over conversations.

    Raises BadResult when a run holds no scores of single questions, or they have no set in common.
    """
    before = {(one.name, one.split): one for one in old.sets}
    made = Comparison(old=_label(old), new=_label(new))
    for after in new.sets:
        if (after.name, after.split) in before:
            made.sets.append(_changed(before[after.name, after.split], after, seed))
    if not made.sets:
        raise BadResult("the two runs have no set in common")
    return made


def _changed(old: SetFigures, new: SetFigures, seed: int) -> SetChange:
    if old.scores is None or new.scores is None:
        raise BadResult(f"the set {old.name!r}: a run without scores of single questions")
    places = {key: place for place, key in enumerate(old.scores.keys)}
    pairs = [(places[key], i) for i, key in enumerate(new.scores.keys) if key in places]
    systems = [name for name in new.scores.rows if name in old.scores.rows]
    metrics = [name for name in new.scores.metrics if name in old.scores.metrics]
    if not pairs or not systems:
        raise BadResult(f"the set {old.name!r}: the runs have no question or no system in common")
    samples = Resamples([new.scores.clusters[i] for _, i in pairs], seed=seed)
    changes = {}
    for system in systems:
        tables = []
        for scores, side in ((old.scores, 0), (new.scores, 1)):
            columns = [scores.metrics.index(metric) for metric in metrics]
            rows = [pair[side] for pair in pairs]
            tables.append(np.array(scores.rows[system], np.float64)[rows][:, columns])
        before, after = tables
        changes[system] = Change(
            old=dict(zip(metrics, samples.estimates(before), strict=True)),
            new=dict(zip(metrics, samples.estimates(after), strict=True)),
            gain=dict(zip(metrics, samples.estimates(after - before), strict=True)),
        )
    return SetChange(
        name=new.name,
        same_data=old.sha256 == new.sha256,
        asked=len(pairs),
        conversations=len({new.scores.clusters[i] for _, i in pairs}),
        only_old=len(old.scores.keys) - len(pairs),
        only_new=len(new.scores.keys) - len(pairs),
        systems=changes,
    )


def _label(document: Document) -> str:
    when = f" of {document.at:%Y-%m-%d %H:%M}" if document.at else ""
    return f"stepwell {document.stepwell}{when}"


def _speed(timing: Timing) -> Speed:
    taken = timing.searching or [0.0]
    return Speed(
        search_p50_ms=1e3 * float(np.quantile(taken, 0.5)),
        search_p95_ms=1e3 * float(np.quantile(taken, 0.95)),
        turns_per_s=timing.turns / timing.reading if timing.reading else 0.0,
        consolidate_s=timing.consolidating,
        bytes_per_turn=None if timing.size is None else timing.size / max(1, timing.turns),
    )
