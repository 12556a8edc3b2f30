"""The path of `consolidate`: the durable queue is worked, one task at a time.

Each task ends in one transaction that also takes it off the queue, so it may be interrupted
anywhere and is done once. A task that a plugin fails is parked with its error and tried again next
time.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from stepwell.committing import Committer, Seen, unkeyed, unseen
from stepwell.consolidating.answers import marked, sound_ops
from stepwell.consolidating.batching import ONE_BY_ONE, STEP, batches
from stepwell.consolidating.deriving import Deriver
from stepwell.consolidating.keying import Keyer, whole, within
from stepwell.consolidating.tracing import Tracer
from stepwell.contracts import EMBEDDER, LATER, ScopeRow, StoreReader, StoreWriter, Work
from stepwell.errors import InvalidInput, PluginFailed
from stepwell.filters import Filter
from stepwell.models import Record, Report
from stepwell.ops import Op, Rekey, Revise
from stepwell.plugins import Plugins
from stepwell.searching import ScopeView, Searcher

__all__ = ["Consolidator", "marked", "sound_ops"]

_MANY = 2**62
#: Tasks that are looked at at once.
_PAGE = 1000
#: How often maintaining policies are asked in one `consolidate`, at most.
_ROUNDS = 1000


Then = Callable[[StoreWriter, Sequence[str]], None]


@dataclass(slots=True)
class _Run:
    """One piece of work: how long it may take, and what came of it."""

    until: float | None = None
    proceed: Callable[[], bool] | None = None
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    ended: bool = False

    @property
    def left(self) -> float | None:
        """Seconds that are left."""
        return None if self.until is None else max(0.0, self.until - time.monotonic())

    def goes_on(self) -> bool:
        """Whether there is time for another step."""
        late = self.until is not None and time.monotonic() >= self.until
        self.ended = late or (self.proceed is not None and not self.proceed())
        return not self.ended

    def seen(self, view: ScopeView, *, whole: bool = False) -> Seen:
        """What was proposed from a view; what a language model failed in it is noted."""
        self.notes += view.models.take_notes()
        row = view.row
        return Seen(view.purges or 0, row.head if whole and row is not None else None)


def _unversioned(op: Op) -> Op:
    """An op whatever version of its record it was meant for."""
    return op.model_copy(update={"expects": None}) if hasattr(op, "expects") else op


class Consolidator:
    """Works the queue of one scope. `pause` lets calls go first that somebody waits for."""

    def __init__(
        self, committer: Committer, searcher: Searcher, plugins: Plugins,
        pause: Callable[[], None],
    ) -> None:  # fmt: skip
        self._committer = committer
        # Where reads take turns, whoever stands still in one would keep others from it.
        self._pause = pause if committer.store.concurrent else None
        self._searcher = searcher
        self._plugins = plugins
        self._keyer = Keyer(searcher, plugins)
        self._tracer = Tracer(plugins, self._keyer)
        self._deriver = Deriver(plugins, self._tracer)
        self._kinds = {
            "keys": self._keys, "segment": self._segment, "derive": self._derive,
            "extract": self._extract, "organize": self._organize, "later": self._later,
        }  # fmt: skip

    def consolidate(
        self, path: tuple[str, ...], budget: float | None = None,
        proceed: Callable[[], bool] | None = None, *, tidy: bool = True,
    ) -> Report:  # fmt: skip
        """Work on the queue until it is empty or `budget` seconds have passed; then `tidy`.

        `proceed` is asked before every step; False ends the work there.
        """
        until = None if budget is None else time.monotonic() + budget
        run = _Run(until, proceed)
        counts = run.counts
        row = self._row(path)
        if row is None:
            return Report(counts)
        self._unpark(row)
        finished, failed = self._drain(row, run), []
        if finished and tidy:
            failed = self._maintain(row, run)
            finished = self._drain(row, run)  # what was proposed may be in need of keys
        with self._committer.store.reading() as reader:
            parked = [f"{w.kind}: {w.error}" for w in reader.work(row, _MANY, parked=True)]
            if self._left_behind(reader) and any(w.kind == "keys" for w in reader.work(row, _MANY)):
                parked.append("keys: the file has another embedder by now; open it again")
        notes = tuple(dict.fromkeys(run.notes))
        finished = finished and not run.ended
        return Report(counts, (*parked, *failed), finished=finished, notes=notes)

    def _drain(self, row: ScopeRow, run: _Run) -> bool:
        """Work on the queue until it is empty, or there is no more time: then it is False."""
        while tasks := self._tasks(row):
            for batch in batches(tasks):
                if not run.goes_on():
                    return False
                self._work(row, batch, run)
        return True

    def rekey(self, path: tuple[str, ...], proceed: Callable[[int], bool]) -> list[str]:
        """Work on the queued keys alone, one task after the other; what failed.

        `proceed` is told how many records have been keyed, and says whether to go on.
        """
        row = self._row(path)
        run = _Run()
        if row is None:
            return []
        self._unpark(row, "keys")
        going = True
        while going and (tasks := [t for t in self._tasks(row, _MANY) if t.kind == "keys"]):
            for task in tasks:
                going = proceed(run.counts.get("keyed", 0))
                if not going:
                    break
                self._work(row, [task], run)
        proceed(run.counts.get("keyed", 0))
        with self._committer.store.reading() as reader:
            parked = reader.work(row, _MANY, parked=True)
        return [f"{task.kind}: {task.error}" for task in parked if task.kind == "keys"]

    def _row(self, path: tuple[str, ...]) -> ScopeRow | None:
        with self._committer.store.reading() as reader:
            return reader.scope_of(path)

    def _view(self, row: ScopeRow) -> AbstractContextManager[ScopeView]:
        return self._searcher.view(row.path, pause=self._pause)

    def _tasks(self, row: ScopeRow, limit: int = _PAGE) -> list[Work]:
        """What is to be done, but for keys of an embedder that others have changed to meanwhile."""
        with self._committer.store.reading() as reader:
            if not self._left_behind(reader):
                return reader.work(row, limit)
            return [task for task in reader.work(row, _MANY) if task.kind != "keys"][:limit]

    def _left_behind(self, reader: StoreReader) -> bool:
        """Whether the file has another embedder by now than this process."""
        mine = self._searcher.models.space
        return mine is not None and reader.meta(EMBEDDER) != mine

    def _unpark(self, row: ScopeRow, kind: str | None = None) -> None:
        with self._committer.store.reading() as reader:
            parked = reader.work(row, _MANY, parked=True)
        parked = [task for task in parked if kind in (None, task.kind)]
        if parked:
            with self._committer.store.writing(self._committer.clock()) as writer:
                for task in parked:
                    writer.park(row, task.number, None)

    def _work(self, row: ScopeRow, batch: Sequence[Work], run: _Run) -> None:
        """Work on a batch of tasks of one kind, bit by bit; what fails is parked."""
        do, left = self._kinds[batch[0].kind], list(batch)
        while left:
            try:
                left = left[do(row, left, run) :]
            except (PluginFailed, InvalidInput) as error:
                failed = left[:1] if left[0].kind in ONE_BY_ONE else left
                left = left[len(failed) :]
                with self._committer.store.writing(self._committer.clock()) as writer:
                    for task in failed:
                        writer.park(row, task.number, str(error))
            if left and not run.goes_on():
                return

    def _done(
        self,
        row: ScopeRow,
        ops: Sequence[Op],
        batch: Sequence[Work],
        run: _Run,
        *,
        seen: Seen | None = None,
        then: Then | None = None,
    ) -> int:
        """Apply ops and take their tasks off the queue, in one transaction; how many were kept.

        Where others were faster, nothing is applied, and it is -1; tasks that are left come again.
        """
        if not ops and not batch:
            return 0
        words_alone = self._searcher.models.space is None

        def and_then(writer: StoreWriter, made: Sequence[str]) -> None:
            keyed = made or any(isinstance(op, (Revise, Rekey)) for op in ops)
            if words_alone and keyed:
                unkeyed(writer)
            if then is not None:
                then(writer, made)

        applied = self._committer.apply(
            row, ops, tasks=[t.number for t in batch], seen=seen, then=and_then
        )
        if applied.outrun:
            return -1
        counts = run.counts
        for name in [op.name for op in applied.kept] + ["dropped"] * len(applied.dropped):
            counts[name] = counts.get(name, 0) + 1
        return len(applied.kept)

    # tasks ------------------------------------------------------------------------------------

    def _keys(self, row: ScopeRow, batch: Sequence[Work], run: _Run) -> int:
        """Make keys that are missing: a plugin failed, or the embedder is another one."""
        with self._view(row) as view:
            refs = within(view.reader, row, batch[0].ref or 0, batch[0].until or 0)
            records, gone = whole(view, refs), self._keyer.outgoing(view, refs)
        # Nothing is read while an embedder takes its time: others may write, and logs be emptied.
        with self._view(row) as view:
            ops, bad = self._keyer.missing(view, records)

        def then(writer: StoreWriter, _: Sequence[str]) -> None:
            # What fails for a text of its own fails by itself from now on.
            for ref in writer.find(row, [record.id for record in bad]).values():
                writer.enqueue(row, "keys", ref, ref)

        left = {record.id for record in bad}  # they keep the vectors of former embedders
        ops += [op for op in gone if op.id not in left]
        self._done(row, ops, batch, run, then=then)
        run.counts["keyed"] = run.counts.get("keyed", 0) + len(records) - len(bad)
        return len(batch)

    def _later(self, row: ScopeRow, batch: Sequence[Work], run: _Run) -> int:
        """Make the keys that take too long for `remember`."""
        with self._view(row) as view:
            spans = [within(view.reader, row, t.ref or 0, t.until or 0) for t in batch]
            records = whole(view, sorted({ref for span in spans for ref in span}))

        def then(writer: StoreWriter, _: Sequence[str]) -> None:
            if not self._plugins.has("later_keys"):
                unseen(writer)

        for start in range(0, max(1, len(records)), LATER):
            with self._view(row) as view:
                ops = self._keyer.later(view, records[start : start + LATER])
            last = start + LATER >= len(records)
            self._done(row, ops, batch if last else (), run, then=then)
        return len(batch)

    def _segment(self, row: ScopeRow, batch: Sequence[Work], run: _Run) -> int:
        """Traces of the sessions that got new turns; then what policies make of them is queued.

        Of many turns that came at once, some are cut now, and the rest is queued again.
        """
        wanted = self._deriver.wanted
        with self._view(row) as view:
            fresh, rest = self._fresh(view.reader, row, batch)
            cut = self._tracer.cut(view, row, fresh)
            seen = run.seen(view)
        revised = [op.id for op in cut.ops if isinstance(op, Revise)]

        def then(writer: StoreWriter, made: Sequence[str]) -> None:
            if rest is not None:
                writer.enqueue(row, "segment", *rest)
            if not wanted:
                return
            traces = writer.find(row, [*made, *revised])
            for ref in sorted({ref for ref in (*traces.values(), *cut.loose) if ref is not None}):
                writer.enqueue(row, wanted[0], ref)

        self._done(row, cut.ops, batch, run, seen=seen, then=then)
        return len(batch)

    def _fresh(
        self, reader: StoreReader, row: ScopeRow, batch: Sequence[Work]
    ) -> tuple[list[int], tuple[int, int] | None]:
        """The active turns that a batch of tasks is about, ascending; the span that is too much."""
        # In order of arrival, so the span that may hold a record is the last one begun before it.
        spans = sorted((task.ref or 0, task.until or 0) for task in batch)
        firsts = [first for first, _ in spans]
        last = max(until for _, until in spans)
        # One task may be about very many turns; only the last of a batch is.
        most = max(STEP, sum(min(until - first + 1, STEP) for first, until in spans))
        fresh = [
            ref
            for ref in reader.select(row, Filter(level=0), firsts[0] - 1, most + 1)
            if ref <= spans[bisect_right(firsts, ref) - 1][1]
        ]
        if len(fresh) <= most:
            return fresh, None
        return fresh[:most], (fresh[most], last)

    def _extract(self, row: ScopeRow, batch: Sequence[Work], run: _Run) -> int:
        """Candidates from traces or turns; both these and they are to be organized."""
        refs, ops, seen, _ = self._asked(row, batch, run, self._deriver.extract)

        def then(writer: StoreWriter, made: Sequence[str]) -> None:
            if "organize" in self._deriver.wanted:
                for fresh in (*refs, *writer.find(row, made).values()):
                    writer.enqueue(row, "organize", fresh)

        self._done(row, ops, batch[: len(refs)], run, seen=seen, then=then)
        return len(refs)

    def _organize(self, row: ScopeRow, batch: Sequence[Work], run: _Run) -> int:
        """Parents and edges of records; new parents are to be organized, too."""
        refs, ops, seen, level = self._asked(row, batch, run, self._deriver.organize)

        def then(writer: StoreWriter, made: Sequence[str]) -> None:
            fresh = [ref for ref in writer.find(row, made).values() if ref is not None]
            for ref, parent in writer.load(row, fresh):
                if parent.level > level:
                    writer.enqueue(row, "organize", ref)

        self._done(row, ops, batch[: len(refs)], run, seen=seen, then=then)
        return len(refs)

    def _asked(
        self, row: ScopeRow, batch: Sequence[Work], run: _Run,
        ask: Callable[[ScopeView, Record], list[Op]],
    ) -> tuple[list[int], list[Op], Seen, int]:  # fmt: skip
        """Ask about one record after the other, until there is something to be done.

        The refs asked about, what the last of them gave, what was seen for it, and its level. So
        each call sees what the one before has made, and those without an answer cost no commit.
        """
        refs: list[int] = []
        ops: list[Op] = []
        level = 0
        with self._view(row) as view:
            for task in batch:
                if refs and (ops or not run.goes_on()):
                    break
                ref = task.ref or 0
                try:
                    for record in whole(view, [ref]):
                        ops, level = ask(view, record), record.level
                except (PluginFailed, InvalidInput):
                    if not refs:
                        raise
                    break  # those before it are done first
                refs.append(ref)
            seen = run.seen(view)
        return refs, ops, seen, level

    def _derive(self, row: ScopeRow, batch: Sequence[Work], run: _Run) -> int:
        """A derived record lost a source: it is made again of what is left."""
        with self._view(row) as view:
            ops = self._deriver.stale(view, row, batch[0].ref or 0)
            seen = run.seen(view)
        self._done(row, ops, batch, run, seen=seen)
        return len(batch)

    def _maintain(self, row: ScopeRow, run: _Run) -> list[str]:
        """What the passing of time and maintaining policies propose, step by step; what failed."""
        failed: list[str] = []
        if self._plugins.has("observe"):
            with self._view(row) as view:
                ops = self._deriver.tick(view)
            self._done(row, ops, (), run)
        if not self._plugins.has("maintain"):
            return failed
        before: list[Op] = []
        for _ in range(_ROUNDS):
            if not run.goes_on():
                break
            with self._view(row) as view:
                ops, flaws = self._deriver.maintain(view, run.left)
                # What is proposed for the whole must not miss what another has made of it since.
                seen = run.seen(view, whole=True)
            failed += [flaw for flaw in flaws if flaw not in failed]
            # Who proposes the same again would for ever: it has not become what was proposed.
            same, before = before, [_unversioned(op) for op in ops]
            if before == same:
                break
            if not ops or not self._done(row, ops, (), run, seen=seen):
                break
        else:
            run.ended = True  # the rest is for the next time
        return failed
