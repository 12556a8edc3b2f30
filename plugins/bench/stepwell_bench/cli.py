"""The command: `python -m stepwell_bench`. Exit codes: 0 done, 2 bad input, 130 interrupted."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import click

import stepwell
from stepwell_bench import known_items, scaling, speed, summing
from stepwell_bench.ablating import ablated
from stepwell_bench.baselines import baselines
from stepwell_bench.data import OWN, find, load
from stepwell_bench.documents import Document, Setting, peak_rss_mb, read, write
from stepwell_bench.errors import BenchError, NothingToAsk
from stepwell_bench.printing import changes, summary
from stepwell_bench.progress import Bar
from stepwell_bench.report import comparison_page, page
from stepwell_bench.running import Bench, Measured
from stepwell_bench.systems import Stepwell, embedder_name, resolve, stepwells
from stepwell_bench.texts import Texts

INTERRUPTED: Final = 130
_PATH: Final = click.Path(path_type=Path)


class _Output(click.Path):
    """A file to write, in a folder that is there: told before anything is measured."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not path.parent.is_dir():
            self.fail(f"{path.parent}: there is no such folder", param, ctx)
        return path


_OUTPUT: Final = _Output(path_type=Path, dir_okay=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    try:
        code = cli.main(arguments, prog_name="stepwell-bench", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return 2
    except (BenchError, stepwell.errors.StepwellError) as error:
        click.echo(f"Error: {error}", err=True)
        return 2
    return int(code or 0)


def _several(context: click.Context, option: click.Parameter, value: str) -> list[str]:  # noqa: ARG001 - click's signature
    return [part.strip() for part in value.split(",") if part.strip()]


def _sizes(context: click.Context, option: click.Parameter, value: str) -> list[int]:
    try:
        sizes = sorted({int(part) for part in _several(context, option, value)})
    except ValueError:
        raise click.BadParameter("numbers, with commas between them") from None
    if not sizes or sizes[0] < 1:
        raise click.BadParameter("at least one number, each at least 1")
    return sizes


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_JSON = click.option("--json", "json_to", type=_OUTPUT, help="Write all figures to this file.")
_HTML = click.option("--html", "html_to", type=_OUTPUT, help="Write the report to this file.")
_SEED = click.option("--seed", default=0, show_default=True, help="Of all that is drawn.")
_QUIET = click.option("--quiet", is_flag=True, help="No progress bar.")
_OUT = _options(_JSON, _HTML)
_SIZES = click.option(
    "--sizes", default=",".join(map(str, speed.SIZES)), show_default=True, callback=_sizes,
    help="Numbers of turns to measure a question among.",
)  # fmt: skip
_PLUGINS = click.option("--plugins", default="", callback=_several, help="Active beside a preset.")
_EMBEDDER = click.option(
    "--embedder", "embedders", default="default", show_default=True, callback=_several,
    help='"default", "none", or what a plugin offers; several with commas.',
)  # fmt: skip


def _presets(default: str) -> Callable[[Any], Any]:
    return click.option(
        "--presets", default=default, show_default=True, callback=_several,
        help="The first one is compared with everything else.",
    )  # fmt: skip


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(stepwell.__version__, package_name="stepwell-bench")
def cli() -> None:
    """Measure how well and how fast stepwell recalls."""


@cli.command()
@click.option(
    "--data", multiple=True, type=_PATH,
    help="A folder, or files; else the made-up conversations that come along.",
)  # fmt: skip
@click.option("--sets", default="", callback=_several, help="Only these, by file name.")
@_presets("default")
@_options(_EMBEDDER, _PLUGINS)
@click.option(
    "--exclude", multiple=True, help="A category to leave out, instead of the protocol's."
)
@click.option("--limit-questions", type=click.IntRange(min=1), help="At most so many of each set.")
@click.option("--contexts/--no-contexts", default=True, help="Evidence inside of contexts too.")
@click.option("--baselines/--no-baselines", "plain", default=True, help="BM25 and the like too.")
@click.option("--ablate", is_flag=True, help="The default preset without each channel too.")
@click.option("--speed", "with_speed", is_flag=True, help="Figures of speed too.")
@click.option("--results", type=_OUTPUT, help="Write figures to publish: none of single questions.")
@_options(_SIZES, _OUT, _SEED, _QUIET)
def run(
    data: tuple[Path, ...], sets: list[str], presets: list[str], embedders: list[str],
    plugins: list[str], exclude: tuple[str, ...], limit_questions: int | None, contexts: bool,
    plain: bool, ablate: bool, with_speed: bool, results: Path | None, sizes: list[int],
    json_to: Path | None, html_to: Path | None, seed: int, quiet: bool,
) -> int:  # fmt: skip
    """Ask labelled questions, of Stepwell and of plain rankers alike."""
    files = find(data or [OWN], sets)
    ours, notes = _ours(presets, embedders, plugins)
    if ablate and presets != ["default"]:
        raise click.UsageError("--ablate is about the default preset alone")
    ours += ablated(ours[0]) if ablate else []
    systems = [*ours, *(baselines([one.embedder for one in ours]) if plain else [])]
    document = _document("run", ours, notes, seed, f"--presets={','.join(presets)}",
                         f"--embedder={','.join(embedders)}", *(f"--exclude={e}" for e in exclude),
                         *([f"--limit-questions={limit_questions}"] if limit_questions else []),
                         "" if contexts else "--no-contexts")  # fmt: skip
    interrupted = False
    with Bar(quiet) as bar:
        bench = Bench(systems, contexts=contexts, progress=bar)
        try:
            loaded = []
            for file in files:
                loaded.append(load(file))
                bar.start(loaded[-1], len(systems), exclude or None, limit_questions)
                try:
                    bench.measure(loaded[-1], left_out=exclude or None, limit=limit_questions)
                except NothingToAsk as error:
                    notes.append(f"Left out: {error}.")
            if with_speed:
                document.speed = speed.measure(Texts(loaded), sizes, bar.say)
        except KeyboardInterrupt:
            interrupted = True
    _take_in(document, bench.measured, ours[0].name)
    if not document.sets and not interrupted:
        raise NothingToAsk("no set has a question with evidence")
    if interrupted:
        notes.append("Interrupted: only what was finished by then is here.")
    document.notes = notes
    if results is not None:
        write(document.without_scores(), results)
    return _deliver(document, json_to, html_to, interrupted)


@cli.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--scope", help="Such as acme/alice (%2F for a slash inside a name); else the largest."
)
@click.option("--questions", "count", default=200, show_default=True, type=click.IntRange(min=1),
              help="Turns to make questions of, one of each kind.")  # fmt: skip
@_presets("default,flat")
@_options(_EMBEDDER, _PLUGINS, _OUT, _SEED, _QUIET)
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
    ours, notes = _ours(presets, embedders, ())
    systems = [*ours, *baselines([one.embedder for one in ours])]
    document = _document("own", ours, notes, seed, f"--questions={count}")
    names = [system.name for system in ours]
    interrupted = False
    with Bar(quiet) as bar:
        bench = Bench(systems, contexts=False, progress=bar)
        bar.start(data, len(systems))
        try:
            bench.measure(data)
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        document.notes.append("Interrupted, before any figure was ready.")
        return _deliver(document, json_to, html_to, interrupted)
    first = summing.figures(bench.measured[0], names[0], seed)
    best = known_items.best_of(first, names)
    document.sets = [summing.figures(bench.measured[0], best, seed)]
    document.advice = known_items.advise(document.sets[0], names)
    document.peak_rss_mb = peak_rss_mb()
    return _deliver(document, json_to, html_to, interrupted)


@cli.command("speed")
@click.option("--data", multiple=True, type=_PATH, help="Texts to measure with, else made-up ones.")
@click.option("--sets", default="", callback=_several, help="Only these, by file name.")
@click.option("--words", is_flag=True, help="On words alone, without an embedder.")
@_options(_SIZES, _OUT, _QUIET)
def speed_command(
    data: tuple[Path, ...], sets: list[str], words: bool, sizes: list[int], json_to: Path | None,
    html_to: Path | None, quiet: bool,
) -> int:  # fmt: skip
    """Measure how fast it is here, beside bare SQLite."""
    texts = Texts([load(file) for file in find(data, sets)] if data else [])
    document = _document("speed", [], [] if texts.real else ["Texts are made up."], 0)
    with Bar(quiet) as bar:
        document.speed = speed.measure(texts, sizes, bar.say, embedder=None if words else "default")
    return _deliver(document, json_to, html_to, False)


@cli.command("scale")
@click.option("--data", multiple=True, type=_PATH, help="Texts to measure with, else made-up ones.")
@click.option("--sets", default="", callback=_several, help="Only these, by file name.")
@click.option("--sizes", default=",".join(map(str, scaling.SIZES)), show_default=True,
              callback=_sizes, help="Numbers of turns in one scope.")  # fmt: skip
@click.option("--questions", "count", default=200, show_default=True, type=click.IntRange(min=1))
@_options(_JSON, _QUIET)
def scale_command(
    data: tuple[Path, ...], sets: list[str], sizes: list[int], count: int, json_to: Path | None,
    quiet: bool,
) -> int:  # fmt: skip
    """Measure how recall, and indexes over vectors, grow with a scope."""
    texts = scaling.Varied([load(file) for file in find(data, sets)] if data else [])
    document = _document("scale", [], [] if texts.real else ["Texts are made up."], 0)
    with Bar(quiet) as bar:
        for row in scaling.measure(texts, sizes, count, bar.say):
            document.speed |= {f"{row.name} {row.size} {k}": v for k, v in row.figures.items()}
            click.echo(scaling.lines(row))
    if json_to is not None:
        write(document, json_to)
    return 0


@cli.command()
@click.argument("old", type=_PATH)
@click.argument("new", type=_PATH)
@_options(_OUT, _SEED)
def compare(
    old: Path, new: Path, json_to: Path | None, html_to: Path | None, seed: int
) -> int:  # fmt: skip
    """Tell what changed from one run to another, both written by `run --json`."""
    made = summing.compare(read(old), read(new), seed)
    if json_to is not None:
        write(made, json_to)
    if html_to is not None:
        html_to.write_text(comparison_page(made), encoding="utf-8")
    for line in changes(made):
        click.echo(line)
    return 0


@cli.command("report")
@click.argument("figures", type=_PATH)
@click.argument("html", type=_OUTPUT)
def report_command(figures: Path, html: Path) -> int:
    """Make the report of a file of FIGURES."""
    html.write_text(page(read(figures)), encoding="utf-8")
    return 0


def _ours(
    presets: Sequence[str], embedders: Sequence[str], plugins: Sequence[str]
) -> tuple[list[Stepwell], list[str]]:
    """Stepwell under each setting, tried once, with what there is to say about it."""
    if not presets or not embedders:
        raise click.UsageError("name at least one preset and one embedder")
    resolved = [resolve(name) for name in dict.fromkeys(embedders)]
    made = stepwells(list(dict.fromkeys(presets)), list(dict.fromkeys(resolved)), plugins)
    for system in made:
        system.open().close()
    notes = []
    if any(isinstance(one, str) for one in resolved):
        notes.append("This stepwell does not hand out its embedder: no `dense`, no `rrf`.")
    elif all(one is None for one in resolved):
        notes.append("No embedder: on words alone, without `dense` and `rrf`.")
    return made, notes


def _document(
    kind: Any, ours: Sequence[Stepwell], notes: list[str], seed: int, *said: str
) -> Document:
    settings = {
        one.name: Setting(
            preset=one.preset if isinstance(one.preset, str) else one.preset.name,
            embedder=embedder_name(one.embedder),
            plugins=list(one.plugins),
        )
        for one in ours
    }
    return Document(
        kind=kind, at=datetime.now(UTC).replace(microsecond=0), notes=notes, seed=seed,
        command=[kind, *filter(None, said), f"--seed={seed}"], settings=settings,
    )  # fmt: skip


def _take_in(document: Document, measured: Sequence[Measured], main_system: str) -> None:
    document.sets = [
        summing.figures(one, main_system, document.seed) for one in measured if one.keys
    ]
    document.peak_rss_mb = peak_rss_mb()


def _deliver(
    document: Document, json_to: Path | None, html_to: Path | None, interrupted: bool
) -> int:
    if json_to is not None:
        write(document, json_to)
    if html_to is not None:
        html_to.write_text(page(document), encoding="utf-8")
    with suppress(BrokenPipeError):
        for line in summary(document):
            click.echo(line)
    return INTERRUPTED if interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
