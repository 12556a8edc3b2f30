"""`run`: labelled questions, asked of stepwell under each setting and of plain rankers alike."""

from __future__ import annotations

from pathlib import Path

import click

from stepwell_bench import speed
from stepwell_bench.ablating import ablated
from stepwell_bench.baselines import baselines
from stepwell_bench.commands.options import (
    DATA,
    EMBEDDER,
    HTML,
    JSON,
    OUTPUT,
    PLUGINS,
    QUIET,
    SEED,
    SETS,
    SIZES,
    presets,
    together,
)
from stepwell_bench.commands.settings import deliver, document, systems_of
from stepwell_bench.data import OWN, DataSet, chosen, find, load
from stepwell_bench.documents import peak_rss_mb, write
from stepwell_bench.errors import NothingToAsk
from stepwell_bench.progress import Bar
from stepwell_bench.resuming import Results
from stepwell_bench.running import Bench
from stepwell_bench.texts import Texts


@click.command()
@presets("default")
@together(DATA, SETS, EMBEDDER, PLUGINS)
@click.option(
    "--exclude", multiple=True, help="A category to leave out, instead of the protocol's."
)
@click.option("--limit", type=click.IntRange(min=1), help="At most so many conversations of each.")
@click.option("--limit-questions", type=click.IntRange(min=1), help="At most so many of each set.")
@click.option("--contexts/--no-contexts", default=True, help="Evidence inside of contexts too.")
@click.option("--consolidate/--no-consolidate", default=True, help="Before the first question.")
@click.option("--baselines/--no-baselines", "plain", default=True, help="BM25 and the like too.")
@click.option("--ablate", is_flag=True, help="The default preset without each channel too.")
@click.option("--speed", "with_speed", is_flag=True, help="Figures of speed too.")
@click.option("--resume", is_flag=True, help="Go on with what the file of --json holds already.")
@click.option("--results", type=OUTPUT, help="Write figures to publish: none of single questions.")
@together(SIZES, JSON, HTML, SEED, QUIET)
def run(
    presets: list[str], data: tuple[Path, ...], sets: list[str], embedders: list[str],
    plugins: list[str], exclude: tuple[str, ...], limit: int | None, limit_questions: int | None,
    contexts: bool, consolidate: bool, plain: bool, ablate: bool, with_speed: bool, resume: bool,
    results: Path | None, sizes: list[int], json_to: Path | None, html_to: Path | None, seed: int,
    quiet: bool,
) -> int:  # fmt: skip
    """Ask labelled questions, of Stepwell and of plain rankers alike."""
    if resume and json_to is None:
        raise click.UsageError("--resume goes on with the file of --json: name it")
    if ablate and presets != ["default"]:
        raise click.UsageError("--ablate is about the default preset alone")
    files = find(data or [OWN], sets)
    ours, notes = systems_of(presets, embedders, plugins)
    ours += ablated(ours[0]) if ablate else []
    systems = [*ours, *(baselines([one.embedder for one in ours]) if plain else [])]
    made = document(
        "run", ours, notes, seed, f"--presets={','.join(presets)}",
        f"--embedder={','.join(embedders)}", *(f"--exclude={e}" for e in exclude),
        f"--limit={limit}" if limit else "",
        f"--limit-questions={limit_questions}" if limit_questions else "",
        "" if contexts else "--no-contexts", "" if consolidate else "--no-consolidate",
        "" if plain else "--no-baselines",
    )  # fmt: skip
    taken = Results(made, ours[0].name, json_to)
    if resume:
        taken.go_on()
    with Bar(quiet) as bar:
        bench = Bench(
            systems, contexts=contexts, consolidate=consolidate, keep_going=True, progress=bar
        )
        asking = _Asking(bench, bar, taken, exclude or None, limit_questions, limit)
        interrupted = False
        try:
            loaded = []
            for file in files:
                loaded.append(load(file))
                asking.ask(loaded[-1])
            if with_speed and not made.speed:
                made.speed = speed.measure(Texts(loaded), sizes, bar.say)
        except KeyboardInterrupt:
            interrupted = True
    if not made.sets and not interrupted:
        raise NothingToAsk("no set has a question with evidence")
    made.peak_rss_mb = max(made.peak_rss_mb, peak_rss_mb())
    if interrupted:
        made.notes.append("Interrupted: only what was finished by then is here.")
    if results is not None:
        write(made.without_scores(), results)
    return deliver(made, json_to, html_to, interrupted=interrupted)


class _Asking:
    """One set after the other, as far as there is something left to ask."""

    def __init__(
        self, bench: Bench, bar: Bar, taken: Results, left_out: tuple[str, ...] | None,
        limit: int | None, conversations: int | None,
    ) -> None:  # fmt: skip
        self._bench = bench
        self._bar = bar
        self._taken = taken
        self._left_out = left_out
        self._limit = limit
        self._conversations = conversations

    def ask(self, data: DataSet) -> None:
        """Measure a set; interrupted, take in what was done of it."""
        known = self._taken.known(data)
        if known is not None and known.complete:
            return
        which = (self._left_out, self._limit, self._conversations)
        total = chosen(data, *which)[1].asked * self._bench.width
        self._bar.start(data.name, total)
        try:
            measured = self._bench.measure(
                data, left_out=self._left_out, limit=self._limit, after=self._taken.after,
                conversations=self._conversations, begun=self._taken.begun(data),
            )  # fmt: skip
        except NothingToAsk as error:
            self._taken.document.notes.append(f"Left out: {error}.")
        except KeyboardInterrupt:
            for measured in self._bench.measured[-1:]:
                if measured.name == data.name and not measured.complete:
                    self._taken.take(measured)
            raise
        else:
            self._taken.take(measured)
