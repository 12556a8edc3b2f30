"""An export is read line by line, and stored again batch by batch, one transaction each.

Cut short anywhere and begun again, it comes to the same: what is there already is known by its id.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from stepwell.committing import STAINED, Committer, Fate, Kept, screened
from stepwell.contracts import Rejected, ScopeRow
from stepwell.errors import InvalidTurn
from stepwell.models import Document, EdgeKind, Problem, Report, Slot, Status
from stepwell.plugins import Plugins
from stepwell.searching import Searcher, averaged
from stepwell.transfer.lines import (
    FORMAT,
    VERSION,
    kept_document,
    kept_record,
    kept_slot,
    kept_turn,
    reasons,
    screened_as,
)
from stepwell.transfer.reading import Source, Unusable, line_of

#: Records of one transaction at most, and bytes of their lines.
BATCH, _BATCH_BYTES = 500, 4 * 1024 * 1024
#: What was refused is told one by one up to so many times; all of it is counted.
_TOLD = 1000

Progress = Callable[[int, int], None]

_COUNTS = (
    "turns", "derived", "slots", "documents", "known", "forgotten", "conflicts", "refused",
)  # fmt: skip


@dataclass
class Tally:
    """What an import comes to. Problems name a place, and never what stands there."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTS, 0))
    problems: list[Problem] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)

    def count(self, name: str, by: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + by

    def refuse(self, where: str, why: str, name: str = "refused") -> None:
        """Count what does not come in, and say where it stands."""
        self.count(name)
        if len(self.problems) < _TOLD:
            self.problems.append(Problem(why, where))

    def fated(self, stored: str, fate: tuple[Fate, str], where: str) -> None:
        """Count what became of something; `stored` is the count it is for if it was stored."""
        became, why = fate
        if became is Fate.STORED:
            self.count(stored)
        elif became in (Fate.KNOWN, Fate.DIFFERS):
            self.count("known")
        elif became is Fate.FORGOTTEN:
            self.count("forgotten")
        else:
            self.refuse(where, why, "conflicts" if became is Fate.CONFLICT else "refused")

    def report(self, *, finished: bool = True) -> Report:
        return Report(
            dict(self.counts), problems=tuple(self.problems), finished=finished,
            notes=tuple(self.notes),
        )  # fmt: skip


class Restorer:
    """Stores what exports hold in the scopes of one store."""

    def __init__(
        self, committer: Committer, searcher: Searcher, plugins: Plugins,
        secret_of: Callable[[tuple[str, ...]], bytes], preset: Callable[[], str],
    ) -> None:  # fmt: skip
        self._committer = committer
        self._searcher = searcher
        self._plugins = plugins
        self._secret_of = secret_of
        self._preset = preset

    def restore(
        self, path: tuple[str, ...], source: Source, tally: Tally, progress: Progress | None
    ) -> None:
        """Store what an export holds. Raises ImportFailed where it cannot be read any further."""
        with self._committer.store.writing(self._committer.clock()) as writer:
            row = writer.open_scope(path, self._secret_of(path))
        _Run(self, row, source, tally, progress).run()

    # what a run is made of --------------------------------------------------------------------

    def started(self, said: dict[str, Any], tally: Tally) -> None:
        """Note what a header says."""
        mine, theirs = self._preset(), said.get("preset")
        if isinstance(theirs, str) and theirs != mine:
            tally.notes["it comes from another preset; rebuild() derives anew under this one"] = (
                None
            )

    def screen(self, row: ScopeRow, batch: list[Kept]) -> list[Kept | str]:
        """Turns as screening plugins leave them, or why one is refused."""
        sent = [kept.sent for kept in batch if kept.sent is not None]
        if not sent or not self._plugins.has("screen_turns"):
            return list(batch)
        with self._searcher.view(row.path) as view:
            answers = iter(screened(self._plugins, sent, view))
        made: list[Kept | str] = []
        for kept in batch:
            answer = None if kept.sent is None else next(answers)
            if isinstance(answer, Rejected):
                made.append(answer.reason or "rejected")
            else:
                made.append(kept if answer is None else screened_as(kept, answer))
        return made

    def awaits(self, kept: Kept, batch: list[tuple[int, Kept]]) -> bool:
        """Whether the vector of a group is made of those of records that are not stored yet."""
        if self._searcher.models.space is None:
            return False
        members = {e.target for e in kept.edges if e.kind is EdgeKind.CONTAINS}
        return any(held.name in members for _, held in batch)

    def keyed(self, row: ScopeRow, batch: list[Kept]) -> list[Kept]:
        """The same with keys, made here and now."""
        made: list[Kept] = []
        with self._searcher.view(row.path) as view:
            view.models.announce(kept.record for kept in batch)
            for kept in batch:
                if kept.record.status is Status.STALE:
                    made.append(kept)
                    continue
                keys, failed = self._searcher.keys_of(kept.record, view)
                held = [
                    name
                    for edge in kept.edges
                    if edge.kind is EdgeKind.CONTAINS and edge.source == kept.name
                    for name in [view.get(edge.target)]
                ]
                members = [record.id for record in held if record is not None]
                made.append(
                    replace(kept, keys=averaged(view, keys, members), degraded=failed is not None)
                )
            view.models.done()
        return made

    def store(self, row: ScopeRow, batch: list[Kept], other: set[str]) -> list[tuple[Fate, str]]:
        """One transaction. See Committer.restore."""
        alone = self._searcher.models.space is None
        return self._committer.restore(row, batch, other, alone=alone)

    def store_slot(self, row: ScopeRow, slot: Slot) -> tuple[Fate, str]:
        """One transaction."""
        return self._committer.restore_slot(row, slot)

    def store_documents(self, row: ScopeRow, some: list[Document]) -> list[tuple[Fate, str]]:
        """Those that are not here, in one transaction."""
        store, fates = self._committer.store, []
        with store.writing(self._committer.clock()) as writer:
            for one in some:
                held = store.document(writer, row, one.namespace, one.key)
                if held is None:
                    store.put_document(writer, row, one)
                    fates.append((Fate.STORED, ""))
                elif held.value == one.value:
                    fates.append((Fate.KNOWN, ""))
                else:
                    fates.append((Fate.CONFLICT, "the document has another value here"))
        return fates


class _Run:
    """One reading of one export."""

    def __init__(
        self, restorer: Restorer, row: ScopeRow, source: Source, tally: Tally,
        progress: Progress | None,
    ) -> None:  # fmt: skip
        self._restorer = restorer
        self._row = row
        self._source = source
        self._tally = tally
        self._progress = progress
        self._batch: list[tuple[int, Kept]] = []
        self._documents: list[tuple[int, Document]] = []
        self._bytes = 0
        #: Names of turns and records that are not here as they are in the file.
        self._other: set[str] = set()

    def run(self) -> None:
        ended = False
        try:
            for number, name, said in self._lines():
                if ended:
                    raise self._source.fails("there is more after the end", number)
                ended = name == "end"
                if not ended:
                    self._take(number, name, said)
        finally:
            # What could be read is stored, also where reading fails.
            self._flush()
        if not ended:
            raise self._source.fails("the file is cut off: its last line is missing")

    def _lines(self) -> Iterator[tuple[int, str, Any]]:
        begun = False
        for number, data, whole in self._source.lines():
            where = f"line {number}"
            if data is None:
                self._tally.refuse(where, "the line is too long")
                continue
            if not data.strip():
                continue
            self._bytes += len(data)
            try:
                line = line_of(data)
            except Unusable as error:
                self._tally.refuse(where, str(error))
                continue
            except UnicodeDecodeError:
                raise self._source.fails("is not UTF-8", number) from None
            except ValueError:
                why = "is not JSON" if whole else "is cut off"
                raise self._source.fails(why, number) from None
            if not begun:
                self._begin(line, number)
                begun = True
            elif not isinstance(line, dict) or len(line) != 1:
                self._tally.refuse(where, "is no line of an export")
            else:
                ((name, said),) = line.items()
                yield number, name, said
        if not begun:
            raise self._source.fails("is empty")

    def _begin(self, line: Any, number: int) -> None:
        if not isinstance(line, dict) or line.get("stepwell") != FORMAT:
            raise self._source.fails("is not the first line of an export", number)
        if line.get("version") != VERSION:
            raise self._source.fails("is of another version of the format", number)
        self._restorer.started(line, self._tally)

    def _take(self, number: int, name: str, said: Any) -> None:
        where = f"line {number}"
        try:
            if name == "turn":
                self._batch.append((number, kept_turn(said, self._row.path)))
            elif name == "record":
                kept = kept_record(said, self._row.path)
                if self._restorer.awaits(kept, self._batch):
                    self._flush()
                self._batch.append((number, kept))
            elif name == "slot":
                self._flush()
                self._slot(where, kept_slot(said))
            elif name == "document":
                self._documents.append((number, kept_document(said)))
            else:
                self._tally.refuse(where, "is no line of an export")
        except InvalidTurn as error:
            self._tally.refuse(where, _short(error))
        except ValueError as error:
            self._tally.refuse(where, reasons(error))
        except RecursionError:
            self._tally.refuse(where, "is nested too deep")
        if len(self._batch) + len(self._documents) >= BATCH or self._bytes >= _BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        batch, documents = self._batch, self._documents
        self._batch, self._documents, self._bytes = [], [], 0
        if batch:
            self._store(batch)
        if documents:
            fates = self._restorer.store_documents(self._row, [one for _, one in documents])
            for (number, _), fate in zip(documents, fates, strict=True):
                self._tally.fated("documents", fate, f"line {number}")
        if self._progress is not None:
            self._progress(self._source.done, self._source.size)

    def _store(self, batch: list[tuple[int, Kept]]) -> None:
        going: list[tuple[int, Kept]] = []
        answers = self._restorer.screen(self._row, [kept for _, kept in batch])
        for (number, kept), answer in zip(batch, answers, strict=True):
            if isinstance(answer, str):
                self._other.add(kept.name)
                self._tally.refuse(f"line {number}", f"screened out: {answer}")
            else:
                going.append((number, answer))
        keyed = self._restorer.keyed(self._row, [kept for _, kept in going])
        fates = self._restorer.store(self._row, keyed, self._other)
        for (number, kept), fate in zip(going, fates, strict=True):
            name = "derived" if kept.sent is None else "turns"
            self._tally.fated(name, fate, f"line {number}")

    def _slot(self, where: str, slot: Slot) -> None:
        if not self._other.isdisjoint(slot.sources):
            self._tally.refuse(where, STAINED)
        else:
            self._tally.fated("slots", self._restorer.store_slot(self._row, slot), where)


def _short(error: InvalidTurn) -> str:
    """Why a turn cannot be used, without its id, which anybody may have made."""
    return str(error).rpartition(": ")[2]


def is_export(source: Source) -> bool:
    """Whether a source begins like an export."""
    first = source.head().removeprefix(b"\xef\xbb\xbf").lstrip()[:4096].split(b"\n", 1)[0]
    try:
        said = json.loads(first)
    except (ValueError, RecursionError):
        return first.startswith(b'{"stepwell":')
    return isinstance(said, dict) and "stepwell" in said
