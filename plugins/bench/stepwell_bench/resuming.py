"""The figures of a run as they come in: what is done is on disk, and can be gone on with."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from stepwell import Preset
from stepwell_bench import summing
from stepwell_bench.data import DataSet
from stepwell_bench.documents import Document, SetFigures, read, write
from stepwell_bench.errors import BadResult
from stepwell_bench.running import Measured

#: So many seconds of measuring may be lost to a crash; to an interrupt, one conversation.
EVERY: Final = 60.0


class Results:
    """Takes sets into a document, and writes it to a file, if there is to be one."""

    def __init__(self, document: Document, main: str, path: Path | None = None) -> None:
        self.document = document
        self._main = main
        self._path = path
        self._written = time.monotonic()

    def go_on(self) -> None:
        """Take over what the file holds already, if it is there.

        Raises BadResult, naming what differs, when it was measured in another way or by other code.
        """
        if self._path is None or not self._path.exists():
            return
        old, new = read(self._path), self.document
        for what, before, now in (
            ("kind", old.kind, new.kind),
            ("version of stepwell", old.stepwell, new.stepwell),
            ("code", old.code, new.code),
            ("command", old.command, new.command),
            ("settings", old.settings, new.settings),
        ):
            if before != now:
                raise BadResult(
                    f"{self._path.name}: cannot be gone on with, its {what} is another; measure "
                    "anew without --resume, or to another file"
                )
        new.sets, new.speed, new.at = old.sets, old.speed, old.at
        new.peak_rss_mb = old.peak_rss_mb
        if old.machine != new.machine:
            new.notes.append("Begun on another machine: times are of both.")

    def known(self, data: DataSet) -> SetFigures | None:
        """What is there of a set. Raises BadResult when it was of other data."""
        for one in self.document.sets:
            if (one.name, one.split) == (data.name, data.split):
                if one.sha256 != data.sha256:
                    raise BadResult(f"the set {data.name!r}: the file of data has changed since")
                return one
        return None

    def begun(self, data: DataSet) -> Measured | None:
        """What there is to go on with; None to begin."""
        one = self.known(data)
        return None if one is None else summing.begun(one)

    def take(self, measured: Measured) -> None:
        """Take in a set, or what there is of it, and write."""
        if not measured.keys:
            return
        made = summing.figures(measured, self._main, self.document.seed)
        by_name = {(one.name, one.split): one for one in self.document.sets}
        self.document.sets = list((by_name | {(made.name, made.split): made}).values())
        if self._path is not None:
            write(self.document, self._path)
        self._written = time.monotonic()

    def after(self, measured: Measured) -> None:
        """Take in what there is of a set, if that has not been done for a while."""
        if self._path is not None and time.monotonic() - self._written >= EVERY:
            self.take(measured)


def code_of(presets: Iterable[Preset]) -> str:
    """A digest of all Python code that is measured, and measured with."""
    policies = [policy for preset in presets for policy in preset.policies]
    named = {type(policy).__module__ for policy in policies if not isinstance(policy, str)}
    roots = {"stepwell", "stepwell_bench", *(name.partition(".")[0] for name in named)}
    made = hashlib.blake2b(digest_size=8)
    for root in sorted(roots):
        file = getattr(sys.modules.get(root), "__file__", None)
        if file is None:
            continue
        path = Path(file)
        whole = path.name == "__init__.py"
        for one in sorted(path.parent.rglob("*.py")) if whole else [path]:
            made.update(f"{root}/{one.relative_to(path.parent).as_posix()}\0".encode())
            made.update(one.read_bytes())
    return made.hexdigest()
