"""The report: one static page, readable without network or script, in light and in dark.

It shows figures and names of sets, systems and categories; there is no other text in the files
that it is made from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final

from stepwell_bench.bootstrap import Estimate
from stepwell_bench.documents import Document, Figures, SetFigures
from stepwell_bench.markup import code, figure, table, whole
from stepwell_bench.metrics import HELD, KS
from stepwell_bench.plots import legend, lines, whiskers
from stepwell_bench.sides import (
    COST,
    FOUND_OWN,
    GAINED,
    Column,
    Side,
    averaged,
    columns,
    every_system,
    means,
    sides,
)
from stepwell_bench.summing import Comparison, SetChange
from stepwell_bench.trusting import interval, thin, thin_set

#: The metrics that are shown at once; the others fold out.
HEADLINE: Final = ("recall@1", "recall@5", "recall@10", "recall@50", "ndcg@10", "mrr", *HELD)
#: The metrics that are drawn as dots with whiskers.
PLOTTED: Final = ("recall@10", "evidence@1024")
#: The metrics by which systems are set against each other.
GAINS: Final = ("recall@1", "recall@5", "recall@10", "ndcg@10", "mrr", "evidence@1024")

_TITLES: Final = {
    "run": "Stepwell, measured",
    "own": "Which settings suit this store",
    "speed": "Stepwell, how fast",
    "scale": "Stepwell, and how it grows",
}


def page(document: Document, against: str | None = None) -> str:
    """The report of a run as HTML, with gains over the system `against`.

    Raises BadResult when that was not measured.
    """
    parts = [_head(document)]
    if document.advice:
        items = "".join(f"<li>{code(line)}</li>" for line in document.advice)
        parts.append(f'<section class="advice"><h2>In short</h2><ul>{items}</ul></section>')
    shown = sides(document, against)
    if shown:
        parts.append(_READING)
    if len(shown) > 1 or any(len(side.systems) > 1 for side in shown):
        parts.append(_side_by_side(document, shown))
    parts += [_set(side) for side in shown]
    if document.speed:
        rows = [[name, f"{value:,.3f}"] for name, value in document.speed.items()]
        parts.append(f"<section><h2>Speed</h2>{table(('figure', 'value'), rows)}</section>")
    if document.settings:
        rows = [
            [name, s.preset, str(s.version or "–"), s.embedder, ", ".join(s.plugins) or "–"]
            for name, s in document.settings.items()
        ]
        made = table(("system", "preset", "version", "embedder", "plugins"), rows)
        parts.append(f"<section><h2>Settings</h2>{made}</section>")
    return whole(_TITLES[document.kind], parts)


def comparison_page(comparison: Comparison) -> str:
    """The report of two runs as HTML."""
    head = (
        f"<header><h1>Two runs compared</h1><p>From {escape(comparison.old)} to "
        f"{escape(comparison.new)}. Gains are of the new run, over the questions that both asked, "
        "with 95 % intervals of a paired bootstrap over conversations.</p></header>"
    )
    return whole("Two runs compared", [head, *(_changed(one) for one in comparison.sets)])


def _head(document: Document) -> str:
    machine = document.machine
    facts = [
        f"stepwell {document.stepwell}",
        f"{document.at:%Y-%m-%d %H:%M} UTC" if document.at else "",
        f"{machine.cpus} CPUs, {machine.system}, Python {machine.python}",
        f"at most {document.peak_rss_mb:,.0f} MB of memory" if document.peak_rss_mb else "",
    ]
    said = " · ".join(escape(fact) for fact in facts if fact)
    notes = "".join(f'<p class="note">{code(note)}</p>' for note in document.notes)
    title = _TITLES[document.kind]
    return f"<header><h1>{title}</h1><p>{said}</p>{notes}</header>"


_READING: Final = """<details class="reading"><summary>How to read this</summary><dl>
<dt>recall@10</dt><dd>the share of a question's evidence turns among the first ten answers; any@10:
at least one of them; all@10: every one</dd>
<dt>nDCG@10, MRR</dt><dd>as above, and the earlier the better</dd>
<dt>evidence@B</dt><dd>the share of evidence turns that stand whole and word for word in a context
of B tokens. Stepwell packs and quotes it; of the plain rankers the best turns are taken, bare,
until the next would overflow.</dd>
<dt>intervals</dt><dd>95 %, by a bootstrap that draws whole conversations, then questions in them.
Two systems are compared by the interval of the gain, which is paired, not by their own two. Of
fewer than 10 questions, or than 3 conversations, an interval would mean little: there none is
given.</dd>
<dt>recall@k</dt><dd>at the k by which a set is judged: 10, where it has no other of its own</dd>
<dt>times</dt><dd>of one search with k = 100, one after another, in memory; of consolidating, over
the whole set</dd>
<dt>bytes a turn</dt><dd>of the file, after consolidating, beyond those of an empty one</dd>
</dl></details>"""


def _side_by_side(document: Document, shown: Sequence[Side]) -> str:
    """Systems by sets: what is found with the gain, and what it costs."""
    every = columns(document)
    found = [column for column in every if column not in COST]
    parts = [_matrix(shown, column) for column in found if column.name in GAINED]
    rest = [column for column in every if column.name not in GAINED]
    if document.kind == "own":
        parts, rest = [_matrix(shown, column) for column in FOUND_OWN], list(COST)
    parts += [
        f"<details><summary>{escape(column.name)}</summary>{_matrix(shown, column)}</details>"
        for column in rest
        if column in every
    ]
    over = ", ".join(dict.fromkeys(side.over for side in shown))
    return (
        f"<section><h2>Side by side</h2><p>Small: the gain over {escape(over)}, paired. {_MARKS}"
        f"</p>{''.join(parts)}</section>"
    )


def _matrix(shown: Sequence[Side], column: Column) -> str:
    solid = averaged(shown)
    mean = means(solid, column)
    rows = [
        [name, *(_beside(side, name, column) for side in shown)]
        + ([column.cell(mean.get(name))] if solid else [])
        for name in every_system(shown)
    ]
    heads = ["", *(_heading(side, column) for side in shown)]
    heads += [f"mean of {len(solid)}"] if solid else []
    return f"<h3>{escape(column.name)}</h3>{table(heads, rows)}"


def _heading(side: Side, column: Column) -> str:
    return f"{side.title}, k = {side.k}" if column.name == "recall@k" else side.title


def _beside(side: Side, name: str, column: Column) -> str:
    if failure := side.failure(name):
        return f"–\n{failure}"
    metric = f"recall@{side.k}" if column.name == "recall@k" else column.name
    gain = side.gain(name, metric)
    cell = column.cell(column.value(side.one, name))
    return cell if gain is None else f"{cell}\n{_sign(gain, side.thin)} {gain.mean:+.3f}"


def _set(side: Side) -> str:
    one = side.one
    overall = {name: one.systems[name].overall for name in side.systems if name in one.systems}
    parts = [f"<h2>{escape(one.name)}{_split(one.split)}</h2><p>{_counts(one)}</p>"]
    parts += [f'<p class="note">{escape(remark)}</p>' for remark in _remarks(side)]
    if not overall:
        return f"<section>{''.join(parts)}</section>"
    measured = next(iter(overall.values()))
    curve = {name: [f[f"recall@{k}"].mean for k in KS] for name, f in overall.items()}
    dots = "".join(
        figure(
            metric, whiskers(metric, {n: _dot(f[metric], side.thin) for n, f in overall.items()})
        )
        for metric in PLOTTED
        if metric in measured
    )
    over_k = figure("recall@k over k", lines("recall at k", KS, curve) + legend(list(overall)))
    parts.append(f'<div class="plots"><div>{dots}</div>{over_k}</div>')
    shown = [metric for metric in HEADLINE if metric in measured]
    parts.append(_estimates("Every system", "system", overall, shown, side.thin))
    if side.gains:
        parts.append(_gains(f"Gain over {side.over}", "system", side.gains, side.thin))
    if len(one.categories) > 1:
        parts.append(_categories(one, list(overall)))
    parts.append(_costs(one, list(overall)))
    every = _estimates("", "metric", _turned(overall), list(overall), side.thin)
    parts.append(f"<details><summary>All metrics</summary>{every}</details>")
    return f"<section>{''.join(parts)}</section>"


def _remarks(side: Side) -> Iterator[str]:
    """What has to be known before the figures of a set are read."""
    if not side.one.complete:
        yield "Interrupted: these are the conversations done by then."
    if side.thin:
        yield f"Of {side.thin} only: too little for intervals, and differences mean little."
    for name in side.systems:
        if failure := side.failure(name):
            yield f"{name} has no figures: {failure}."
    for name, figures in side.one.systems.items():
        for trouble, count in figures.troubles.items():
            yield f"{name}, in part not itself, {count:,} times: {trouble}"


def _costs(one: SetFigures, names: Sequence[str]) -> str:
    rows = []
    for name in names:
        system = one.systems[name]
        costs = [column.cell(column.value(one, name)) for column in COST]
        refused = f"{system.unknown_ids + system.unsaid_ids:,}"
        rows.append([name, *costs, f"{system.speed.search_p95_ms:,.2f}", refused])
    heads = ("system", *(column.name for column in COST), "p95 ms", "ids refused")
    return f"<h3>Cost</h3>{table(heads, rows)}"


def _changed(one: SetChange) -> str:
    parts = [f"<h2>{escape(one.name)}</h2><p>{one.asked:,} questions in both runs.</p>"]
    few = thin(one.asked, one.conversations)
    if few:
        parts.append(f'<p class="note">Of {few} only: differences mean little.</p>')
    if not one.same_data:
        parts.append('<p class="note">The two data files are not the same.</p>')
    if one.only_old or one.only_new:
        parts.append(
            f'<p class="note">{one.only_old:,} questions only in the old run, {one.only_new:,} '
            "only in the new one; neither count here.</p>"
        )
    gains = {name: change.gain for name, change in one.systems.items()}
    dots = {name: _dot(gain["recall@10"], few) for name, gain in gains.items()}
    plot = whiskers("gain in recall@10", dots, signed=True)
    parts.append(f'<div class="plots">{figure("gain in recall@10", plot)}</div>')
    parts.append(_gains("Gain", "system", gains, few))
    for name, change in one.systems.items():
        both = {"old": change.old, "new": change.new, "gain": change.gain}
        every = _estimates("", "metric", _turned(both), list(both), few)
        parts.append(f"<details><summary>All metrics of {escape(name)}</summary>{every}</details>")
    return f"<section>{''.join(parts)}</section>"


def _categories(one: SetFigures, names: Sequence[str]) -> str:
    rows = []
    for label, count in one.categories.items():
        few = thin_set(one, label)
        found = [one.systems[name].by_category[label]["recall@10"] for name in names]
        rows.append([label, f"{count:,}", *(_estimate(estimate, few) for estimate in found)])
    return f"<h3>recall@10 by category</h3>{table(('category', 'n', *names), rows)}"


_MARKS: Final = "▲ more, ▼ less, ○ within noise: the interval holds zero, ? too few to tell."


def _gains(title: str, head: str, gains: Mapping[str, Figures], few: str) -> str:
    some = next(iter(gains.values()))
    shown = [metric for metric in GAINS if metric in some]
    rows = [[name] + [_gain(figures[m], few) for m in shown] for name, figures in gains.items()]
    made = table((head, *shown), rows)
    return f'<h3>{escape(title)}</h3>{made}<p class="small">{_MARKS}</p>'


def _estimates(
    title: str, head: str, rows: Mapping[str, Figures], columns: Sequence[str], few: str
) -> str:
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    cells = [[name] + [_estimate(f[c], few) for c in columns] for name, f in rows.items()]
    return heading + table((head, *columns), cells)


def _turned(rows: Mapping[str, Figures]) -> dict[str, Figures]:
    metrics = next(iter(rows.values()))
    return {metric: {name: rows[name][metric] for name in rows} for metric in metrics}


def _dot(estimate: Estimate, few: str) -> Estimate:
    """An estimate to be drawn: without an interval where that would mean little."""
    return Estimate(estimate.mean, estimate.mean, estimate.mean) if few else estimate


def _estimate(estimate: Estimate, few: str) -> str:
    return f"{estimate.mean:.3f}\n{interval(estimate, few)}"


def _gain(estimate: Estimate, few: str) -> str:
    told = interval(estimate, few, signed=True)
    return f"{_sign(estimate, few)} {estimate.mean:+.3f}\n{told}"


def _sign(gain: Estimate, few: str) -> str:
    if few:
        return "?"
    return ("▲" if gain.mean > 0 else "▼") if gain.decided else "○"


def _counts(one: SetFigures) -> str:
    talks = "conversation" if one.conversations == 1 else "conversations"
    said = [
        f"{one.asked:,} questions about {one.conversations:,} {talks} of {one.turns:,} turns",
        *(
            f"{count:,} {why}"
            for count, why in (
                (one.left_out, "of categories left out"),
                (one.no_evidence, "without evidence"),
                (one.unscored, "not to be scored"),
            )
            if count
        ),
    ]
    return escape("; ".join(said)) + "."


def _split(split: str) -> str:
    return f" <small>{escape(split)}</small>" if split else ""
