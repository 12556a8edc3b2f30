"""What `import_` is given is recognised, and read by the importer of its format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import PurePath
from typing import Any

from stepwell.committing import sized
from stepwell.errors import ImportFailed, InvalidQuery, InvalidTurn
from stepwell.models import Receipt, Report, Turn, aware
from stepwell.transfer.importers import IMPORTERS, Importer
from stepwell.transfer.importers.fields import moment
from stepwell.transfer.importing import BATCH, Progress, Restorer, Tally, is_export
from stepwell.transfer.lines import reasons
from stepwell.transfer.reading import Source, sources

#: The format of our own.
OWN = "jsonl"
#: What `import_` can read, by name.
FORMATS = (OWN, *IMPORTERS)

Path = tuple[str, ...]
_Value = tuple[tuple[int, int], int, Any]


class Arrivals:
    """Takes files in. `remember` stores turns as the verb does."""

    def __init__(
        self, restorer: Restorer, remember: Callable[[Path, Sequence[Turn]], Receipt]
    ) -> None:
        self._restorer = restorer
        self._remember = remember

    def take(
        self, path: Path, given: object, format: str | None, progress: Progress | None  # noqa: A002 - as the verb calls it
    ) -> Report:  # fmt: skip
        """Store what a file, a folder or an archive holds. Raises ImportFailed, InvalidQuery."""
        if format is not None and format not in FORMATS:
            raise InvalidQuery(f"format is one of {', '.join(FORMATS)}, or None to find out")
        tally = Tally()
        try:
            with sources(given) as found:
                for source in found:
                    if format == OWN or (format is None and is_export(source)):
                        self._restorer.restore(path, source, tally, progress)
                    else:
                        self._foreign(path, source, format, tally, progress)
        except ImportFailed as error:
            error.report = tally.report(finished=False)
            raise
        return tally.report()

    def _foreign(
        self, path: Path, source: Source, format: str | None, tally: Tally,  # noqa: A002
        progress: Progress | None,
    ) -> None:  # fmt: skip
        values = source.values()
        first = next(values, None)
        if first is None:
            raise source.fails("is empty")
        kind = _recognised(first, format)
        if kind is None:
            raise source.fails(f"is none of the formats {', '.join(FORMATS)}")
        importer = kind(PurePath(source.name.partition(": ")[0]).stem[:128] or "import")
        waiting: list[tuple[str, Turn]] = []
        try:
            for where, turn in self._read(importer, chain([first], values), tally):
                waiting.append((where, turn))
                if len(waiting) >= BATCH:
                    self._store(path, waiting, tally)
                    waiting = []
                    if progress is not None:
                        progress(source.done, source.size)
        finally:
            self._store(path, waiting, tally)
            for name, count in importer.left_out.items():
                tally.count(name, count)
        if progress is not None:
            progress(source.done, source.size)

    def _read(
        self, importer: Importer, values: Iterator[_Value], tally: Tally
    ) -> Iterator[tuple[str, Turn]]:
        for (number, _), line, value in values:
            said = _unwrapped(value)
            where = f"line {line}"
            if not importer.knows(said):
                tally.refuse(where, "is not of this format")
                continue
            for place, given in importer.turns(number, said):
                try:
                    turn = _turn(given)
                except InvalidTurn as error:
                    tally.refuse(f"{where}, {place}", str(error).rpartition(": ")[2])
                except ValueError as error:
                    tally.refuse(f"{where}, {place}", reasons(error))
                else:
                    yield f"{where}, {place}", turn

    def _store(self, path: Path, waiting: list[tuple[str, Turn]], tally: Tally) -> None:
        if not waiting:
            return
        places = {turn.id: where for where, turn in waiting}
        receipt = self._remember(path, [turn for _, turn in waiting])
        tally.count("turns", len(receipt.stored))
        for note in receipt.notes:
            tally.notes[note] = None
        for turn in receipt.skipped:
            if turn.reason == "duplicate":
                tally.count("known")
            elif turn.reason == "forgotten":
                tally.count("forgotten")
            elif turn.reason == "conflict":
                tally.refuse(places[turn], "another turn has this id", "conflicts")
            else:
                tally.refuse(places[turn], f"screened out: {turn.reason}")


def _turn(given: dict[str, Any]) -> Turn:
    """The turn of some fields. Raises ValueError, InvalidTurn."""
    if not given:
        raise ValueError("is not of this format")
    try:
        turn = Turn.model_validate({**given, "at": moment(given.get("at"))})
        sized(turn)
    except RecursionError:
        raise ValueError("is nested too deep") from None
    if turn.at is not None:
        aware(turn.at)
    return turn


def _recognised(first: _Value, format: str | None) -> type[Importer] | None:  # noqa: A002
    if format is not None:
        return IMPORTERS[format]
    said = _unwrapped(first[2])
    return next((kind for kind in IMPORTERS.values() if kind.knows(said)), None)


def _unwrapped(value: Any) -> Any:
    """What stood in a long list that an object began with."""
    return value["value"] if isinstance(value, dict) and set(value) == {"in", "value"} else value
