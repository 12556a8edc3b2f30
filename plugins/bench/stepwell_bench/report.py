"""The report: one static page, readable without network or script, in light and in dark.

It shows figures and names of sets, systems and categories; there is no other text in the files
that it is made from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final

from stepwell_bench.bootstrap import Estimate
from stepwell_bench.documents import Document, Figures, SetFigures
from stepwell_bench.metrics import HELD, KS
from stepwell_bench.plots import legend, lines, whiskers
from stepwell_bench.style import CSS
from stepwell_bench.summing import Comparison, SetChange

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
}


def page(document: Document) -> str:
    """The report of a run as HTML."""
    parts = [_head(document)]
    if document.advice:
        items = "".join(f"<li>{_code(line)}</li>" for line in document.advice)
        parts.append(f'<section class="advice"><h2>In short</h2><ul>{items}</ul></section>')
    if document.sets:
        parts.append(_READING)
    parts += [_set(one) for one in document.sets]
    if document.speed:
        rows = [[name, f"{value:,.3f}"] for name, value in document.speed.items()]
        parts.append(f"<section><h2>Speed</h2>{_table(('figure', 'value'), rows)}</section>")
    if document.settings:
        rows = [
            [name, s.preset, s.embedder, ", ".join(s.plugins) or "–"]
            for name, s in document.settings.items()
        ]
        table = _table(("system", "preset", "embedder", "plugins"), rows)
        parts.append(f"<section><h2>Settings</h2>{table}</section>")
    return _page(_TITLES[document.kind], parts)


def comparison_page(comparison: Comparison) -> str:
    """The report of two runs as HTML."""
    head = (
        f"<header><h1>Two runs compared</h1><p>From {escape(comparison.old)} to "
        f"{escape(comparison.new)}. Gains are of the new run, over the questions that both asked, "
        "with 95 % intervals of a paired bootstrap over conversations.</p></header>"
    )
    return _page("Two runs compared", [head, *(_changed(one) for one in comparison.sets)])


def _head(document: Document) -> str:
    machine = document.machine
    facts = [
        f"stepwell {document.stepwell}",
        f"{document.at:%Y-%m-%d %H:%M} UTC" if document.at else "",
        f"{machine.cpus} CPUs, {machine.system}, Python {machine.python}",
        f"at most {document.peak_rss_mb:,.0f} MB of memory" if document.peak_rss_mb else "",
    ]
    said = " · ".join(escape(fact) for fact in facts if fact)
    notes = "".join(f'<p class="note">{_code(note)}</p>' for note in document.notes)
    return f"<header><h1>{_TITLES[document.kind]}</h1><p>{said}</p>{notes}</header>"


_READING: Final = """<details class="reading"><summary>How to read this</summary><dl>
<dt>recall@k</dt><dd>the share of a question's evidence turns among the first k answers; any@k: at
least one of them; all@k: every one</dd>
<dt>nDCG@10, MRR</dt><dd>as above, and the earlier the better</dd>
<dt>evidence@B</dt><dd>the share of evidence turns that stand whole and word for word in a context
of B tokens. Stepwell packs and quotes it; of the plain rankers the best turns are taken, bare,
until the next would overflow.</dd>
<dt>intervals</dt><dd>95 %, by a bootstrap that draws whole conversations, then questions in them.
Two systems are compared by the interval of the gain, which is paired, not by their own two.</dd>
<dt>times</dt><dd>of one search with k = 100, one after another, in memory</dd>
</dl></details>"""


def _set(one: SetFigures) -> str:
    names = [one.main, *(name for name in one.systems if name != one.main)]
    systems = {name: one.systems[name] for name in names}
    overall = {name: figures.overall for name, figures in systems.items()}
    parts = [f"<h2>{escape(one.name)}{_split(one.split)}</h2><p>{_counts(one)}</p>"]
    if not one.complete:
        parts.append('<p class="note">Interrupted: these are the conversations done by then.</p>')
    curve = {name: [f[f"recall@{k}"].mean for k in KS] for name, f in overall.items()}
    dots = "".join(
        _figure(metric, whiskers(metric, {name: f[metric] for name, f in overall.items()}))
        for metric in PLOTTED
        if metric in overall[one.main]
    )
    over_k = _figure("recall@k over k", lines("recall at k", KS, curve) + legend(names))
    parts.append(f'<div class="plots"><div>{dots}</div>{over_k}</div>')
    shown = [metric for metric in HEADLINE if metric in overall[one.main]]
    parts.append(_estimates("Every system", "system", overall, shown))
    if one.gains:
        parts.append(_gains(f"Gain of {one.main}", "over", one.gains))
    if len(one.categories) > 1:
        parts.append(_categories(one, names))
    speeds = [
        [name, f"{s.speed.search_p50_ms:.2f}", f"{s.speed.search_p95_ms:.2f}",
         f"{s.speed.turns_per_s:,.0f}", str(s.unknown_ids + s.unsaid_ids)]
        for name, s in systems.items()
    ]  # fmt: skip
    heads = ("system", "search p50, ms", "p95, ms", "taken in, turns/s", "ids refused")
    parts.append(f"<h3>Speed</h3>{_table(heads, speeds)}")
    every = _estimates("", "metric", _turned(overall), names)
    parts.append(f"<details><summary>All metrics</summary>{every}</details>")
    return f"<section>{''.join(parts)}</section>"


def _changed(one: SetChange) -> str:
    parts = [f"<h2>{escape(one.name)}</h2><p>{one.asked:,} questions in both runs.</p>"]
    if not one.same_data:
        parts.append('<p class="note">The two data files are not the same.</p>')
    if one.only_old or one.only_new:
        parts.append(
            f'<p class="note">{one.only_old:,} questions only in the old run, {one.only_new:,} '
            "only in the new one; neither count here.</p>"
        )
    gains = {name: change.gain for name, change in one.systems.items()}
    plot = whiskers("gain in recall@10", {n: g["recall@10"] for n, g in gains.items()}, signed=True)
    parts.append(f'<div class="plots">{_figure("gain in recall@10", plot)}</div>')
    parts.append(_gains("Gain", "system", gains))
    for name, change in one.systems.items():
        both = {"old": change.old, "new": change.new, "gain": change.gain}
        table = _estimates("", "metric", _turned(both), list(both))
        parts.append(f"<details><summary>All metrics of {escape(name)}</summary>{table}</details>")
    return f"<section>{''.join(parts)}</section>"


def _categories(one: SetFigures, names: Sequence[str]) -> str:
    rows = [
        [label, f"{count:,}"]
        + [_estimate(one.systems[name].by_category[label]["recall@10"]) for name in names]
        for label, count in one.categories.items()
    ]
    return f"<h3>recall@10 by category</h3>{_table(('category', 'n', *names), rows)}"


def _gains(title: str, head: str, gains: Mapping[str, Figures]) -> str:
    some = next(iter(gains.values()))
    shown = [metric for metric in GAINS if metric in some]
    rows = [[name] + [_gain(figures[m]) for m in shown] for name, figures in gains.items()]
    return (
        f"<h3>{escape(title)}</h3>{_table((head, *shown), rows)}"
        '<p class="small">▲ more, ▼ less, ○ within noise: the interval holds zero.</p>'
    )


def _estimates(
    title: str, head: str, rows: Mapping[str, Figures], columns: Sequence[str]
) -> str:  # fmt: skip
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    cells = [[name] + [_estimate(figures[c]) for c in columns] for name, figures in rows.items()]
    return heading + _table((head, *columns), cells)


def _turned(rows: Mapping[str, Figures]) -> dict[str, Figures]:
    metrics = next(iter(rows.values()))
    return {metric: {name: rows[name][metric] for name in rows} for metric in metrics}


def _estimate(estimate: Estimate) -> str:
    return f"{estimate.mean:.3f}\n{estimate.low:.3f}–{estimate.high:.3f}"


def _gain(estimate: Estimate) -> str:
    sign = ("▲" if estimate.mean > 0 else "▼") if estimate.decided else "○"
    return f"{sign} {estimate.mean:+.3f}\n{estimate.low:+.3f} to {estimate.high:+.3f}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column names the row; a cell's second line is written small."""
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = ""
    for first, *others in rows:
        cells = "".join(f"<td>{_cell(other)}</td>" for other in others)
        body += f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>'
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="table">'
        f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(text: str) -> str:
    first, _, second = text.partition("\n")
    return escape(first) + (f"<small>{escape(second)}</small>" if second else "")


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


def _figure(caption: str, inside: str) -> str:
    return f"<figure><figcaption>{escape(caption)}</figcaption>{inside}</figure>"


def _code(text: str) -> str:
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _page(title: str, parts: Iterable[str]) -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head>\n<body><main>"
        + "\n".join(parts)
        + "</main></body></html>\n"
    )
