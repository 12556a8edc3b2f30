"""What commands begin with, the systems and the document, and what they end with."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import click

import stepwell
from stepwell import Preset
from stepwell_bench.documents import Document, Setting, write
from stepwell_bench.printing import summary
from stepwell_bench.report import page
from stepwell_bench.resuming import code_of
from stepwell_bench.systems import Stepwell, embedder_name, offered, resolve, stepwells

FAILED: Final = 1
INTERRUPTED: Final = 130
#: Stands for every preset that is not named beside it.
ALL: Final = "all"


def systems_of(
    presets: Sequence[str], embedders: Sequence[str], plugins: Sequence[str]
) -> tuple[list[Stepwell], list[str]]:
    """Stepwell under each setting, tried once, with what there is to say about it.

    One that cannot be opened is left in, to fail on each set; unless none can. Raises what
    Memory.open raises.
    """
    if not presets or not embedders:
        raise click.UsageError("name at least one preset and one embedder")
    resolved = [resolve(name) for name in dict.fromkeys(embedders)]
    there = offered(plugins)
    made = stepwells(_named(presets, there), list(dict.fromkeys(resolved)), plugins)
    notes, troubles = [], []
    for system in made:
        try:
            system.open().close()
        except stepwell.errors.PresetUnknown:
            raise
        except stepwell.errors.StepwellError as error:
            troubles.append(error)
            notes.append(f"`{system.name}` cannot be opened: {error}")
    if len(troubles) == len(made):
        raise troubles[0]
    if any(isinstance(one, str) for one in resolved):
        notes.append("This stepwell does not hand out its embedder: no `dense`, no `rrf`.")
    elif all(one is None for one in resolved):
        notes.append("No embedder: on words alone, without `dense` and `rrf`.")
    return made, notes


def document(
    kind: Literal["run", "own", "speed", "scale"], ours: Sequence[Stepwell], notes: list[str],
    seed: int, *said: str,
) -> Document:  # fmt: skip
    """A document without figures. `said` are the options that make a difference to them."""
    there = offered(ours[0].plugins) if ours else {}
    used = [there[one.preset] if isinstance(one.preset, str) else one.preset for one in ours]
    settings = {
        one.name: Setting(
            preset=preset.name,
            version=preset.version,
            embedder=embedder_name(one.embedder),
            plugins=list(one.plugins),
        )
        for one, preset in zip(ours, used, strict=True)
    }
    return Document(
        kind=kind, at=datetime.now(UTC).replace(microsecond=0), notes=notes, seed=seed,
        code=code_of(used), command=[kind, *filter(None, said), f"--seed={seed}"],
        settings=settings,
    )  # fmt: skip


def deliver(
    made: Document, json_to: Path | None, html_to: Path | None, *, interrupted: bool = False
) -> int:
    """Write and tell; the exit code."""
    if json_to is not None:
        write(made, json_to)
    tell(made, html_to)
    if interrupted:
        return INTERRUPTED
    short = any(
        one.failed or any(system.troubles for system in one.systems.values()) for one in made.sets
    )
    return FAILED if short else 0


def tell(made: Document, html_to: Path | None, against: str | None = None) -> None:
    """Write the page, and print the table. Raises BadResult when `against` is not there."""
    lines = list(summary(made, against))
    if html_to is not None:
        html_to.write_text(page(made, against), encoding="utf-8")
    with suppress(BrokenPipeError):
        for line in lines:
            click.echo(line)


def _named(presets: Sequence[str], there: dict[str, Preset]) -> list[str]:
    """The names, each once; "all" is every other one that is there, `default` before the rest."""
    rest = sorted(there.keys() - set(presets), key=lambda name: (name != "default", name))
    return list(
        dict.fromkeys(
            one for name in presets for one in (rest if name == ALL else [name])
        )
    )  # fmt: skip
