"""`own`: which settings suit a store of one's own."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import click

from stepwell_bench import known_items, summing
from stepwell_bench.baselines import baselines
from stepwell_bench.commands.options import (
    EMBEDDER,
    HTML,
    JSON,
    PLUGINS,
    QUIET,
    SEED,
    presets,
    together,
)  # fmt: skip
from stepwell_bench.commands.settings import deliver, document, systems_of
from stepwell_bench.data import chosen
from stepwell_bench.documents import peak_rss_mb
from stepwell_bench.progress import Bar
from stepwell_bench.running import Bench


@click.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--scope", help="Such as acme/alice (%2F for a slash inside a name); else the largest."
)
@click.option("--questions", "count", default=200, show_default=True, type=click.IntRange(min=1),
              help="Turns to make questions of, one of each kind.")  # fmt: skip
@presets("default,flat")
@together(EMBEDDER, PLUGINS, JSON, HTML, SEED, QUIET)
def own(
    store: Path, scope: str | None, count: int, presets: list[str], embedders: list[str],
    plugins: list[str], json_to: Path | None, html_to: Path | None, seed: int, quiet: bool,
) -> int:  # fmt: skip
    """Make questions from your own STORE, and tell which settings suit it.

    The store is only read. What is written holds figures, and no text of yours.
    """
    path = [unquote(segment) for segment in scope.split("/")] if scope else None
    data = known_items.questions(store, path, count=count, seed=seed, plugins=plugins)
    # The copies are of turns that were screened: plugins are not asked again.
    ours, notes = systems_of(presets, embedders, ())
    systems = [*ours, *baselines([one.embedder for one in ours])]
    made = document("own", ours, notes, seed, f"--questions={count}")
    interrupted = False
    with Bar(quiet) as bar:
        bench = Bench(systems, contexts=False, keep_going=True, progress=bar)
        bar.start(data.name, chosen(data)[1].asked * len(systems))
        try:
            bench.measure(data)
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        made.notes.append("Interrupted, before any figure was ready.")
        return deliver(made, json_to, html_to, interrupted=True)
    names = [system.name for system in ours if system.name in bench.measured[0].rows]
    figures = summing.figures(bench.measured[0], ours[0].name, seed)
    if names:
        best = known_items.best_of(figures, names)
        figures = summing.figures(bench.measured[0], best, seed)
        made.advice = known_items.advise(figures, names)
    made.sets = [figures]
    made.peak_rss_mb = peak_rss_mb()
    return deliver(made, json_to, html_to)
