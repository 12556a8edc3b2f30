"""The path of `consolidate`: the durable queue is worked, one task at a time.

Each task ends in one transaction that also takes it off the queue, so it may be interrupted
anywhere and is done once. A task that a plugin fails is parked with its error and tried again next
time.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from stepwell.committing import Committer, unseen
from stepwell.consolidating.keying import Keyer, whole, within
from stepwell.contracts import DUE, EMBEDDER, LATER, ScopeRow, Skip, StoreReader, StoreWriter, Work
from stepwell.errors import InvalidInput, PluginFailed
from stepwell.filters import Filter
from stepwell.models import Edge, EdgeKind, Kind, Record, Report, Status
from stepwell.ops import Add, Link, Op, Revise, SetState, allowed
from stepwell.plugins import Plugins
from stepwell.searching import WORDS, ScopeView, Searcher

_MANY = 2**62
#: Tasks that are looked at at once.
_PAGE = 1000
_WHO = "segment"


class Consolidator:
    """Works the queue of one scope."""

    def __init__(self, committer: Committer, searcher: Searcher, plugins: Plugins) -> None:
        self._committer = committer
        self._searcher = searcher
        self._plugins = plugins
        self._keyer = Keyer(searcher, plugins)
        self._kinds = {
            "keys": self._keys, "segment": self._segment, "derive": self._derive,
            "extract": self._extract, "later": self._later,
        }  # fmt: skip

    def consolidate(
        self, path: tuple[str, ...], budget: float | None = None, usage: Sequence[SetState] = ()
    ) -> Report:
        """Work on the queue until it is empty or `budget` seconds have passed."""
        until = None if budget is None else time.monotonic() + budget
        counts: dict[str, int] = {}
        row = self._row(path)
        if row is None:
            return Report(counts)
        if usage:
            self._committer.apply(row, usage)
        self._unpark(row)
        finished = True
        while tasks := self._tasks(row):
            for batch in _batches(tasks):
                if until is not None and time.monotonic() >= until:
                    finished = False
                    break
                self._work(row, batch, counts)
            if not finished:
                break
        failed = self._maintain(row, until, counts) if finished else []
        with self._committer.store.reading() as reader:
            parked = [f"{w.kind}: {w.error}" for w in reader.work(row, _MANY, parked=True)]
            if self._left_behind(reader) and any(w.kind == "keys" for w in reader.work(row, _MANY)):
                parked.append("keys: the file has another embedder by now; open it again")
        return Report(counts, (*parked, *failed), finished=finished)

    def rekey(self, path: tuple[str, ...], proceed: Callable[[int], bool]) -> list[str]:
        """Work on the queued keys alone, one task after the other; what failed.

        `proceed` is told how many records have been keyed, and says whether to go on.
        """
        row = self._row(path)
        counts: dict[str, int] = {}
        if row is None:
            return []
        self._unpark(row, "keys")
        for task in self._tasks(row, _MANY):
            if task.kind != "keys":
                continue
            if not proceed(counts.get("keyed", 0)):
                break
            self._work(row, [task], counts)
        proceed(counts.get("keyed", 0))
        with self._committer.store.reading() as reader:
            parked = reader.work(row, _MANY, parked=True)
        return [f"{task.kind}: {task.error}" for task in parked if task.kind == "keys"]

    def _row(self, path: tuple[str, ...]) -> ScopeRow | None:
        with self._committer.store.reading() as reader:
            return reader.scope_of(path)

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

    def _work(self, row: ScopeRow, batch: Sequence[Work], counts: dict[str, int]) -> None:
        do = self._kinds[batch[0].kind]
        try:
            do(row, batch, counts)
        except (PluginFailed, InvalidInput) as error:
            with self._committer.store.writing(self._committer.clock()) as writer:
                for task in batch:
                    writer.park(row, task.number, str(error))

    def _done(
        self,
        row: ScopeRow,
        ops: Sequence[Op],
        batch: Sequence[Work],
        counts: dict[str, int],
        then: Callable[[StoreWriter, Sequence[str]], None] | None = None,
    ) -> None:
        applied = self._committer.apply(row, ops, tasks=[t.number for t in batch], then=then)
        for name in [op.name for op in applied.kept] + ["dropped"] * len(applied.dropped):
            counts[name] = counts.get(name, 0) + 1

    # tasks ------------------------------------------------------------------------------------

    def _keys(self, row: ScopeRow, batch: Sequence[Work], counts: dict[str, int]) -> None:
        """Make keys that are missing: a plugin failed, or the embedder is another one."""
        with self._searcher.view(row.path) as view:
            refs = within(view.reader, row, batch[0].ref or 0, batch[0].until or 0)
            records, gone = whole(view, refs), self._keyer.outgoing(view, refs)
        # Nothing is read while an embedder takes its time: others may write, and logs be emptied.
        with self._searcher.view(row.path) as view:
            ops = self._keyer.missing(view, records)
            space = view.models.space

        def then(writer: StoreWriter, _: Sequence[str]) -> None:
            if space is None and writer.meta(EMBEDDER) is not None:
                writer.set_meta(DUE, "1")  # they still lack a vector

        self._done(row, ops + gone, batch, counts, then=then)
        counts["keyed"] = counts.get("keyed", 0) + len(records)

    def _later(self, row: ScopeRow, batch: Sequence[Work], counts: dict[str, int]) -> None:
        """Make the keys that take too long for `remember`."""
        with self._searcher.view(row.path) as view:
            spans = [within(view.reader, row, t.ref or 0, t.until or 0) for t in batch]
            records = whole(view, sorted({ref for span in spans for ref in span}))

        def then(writer: StoreWriter, _: Sequence[str]) -> None:
            if not self._plugins.has("later_keys"):
                unseen(writer)

        for start in range(0, max(1, len(records)), LATER):
            with self._searcher.view(row.path) as view:
                ops = self._keyer.later(view, records[start : start + LATER])
            last = start + LATER >= len(records)
            self._done(row, ops, batch if last else (), counts, then=then)

    def _segment(self, row: ScopeRow, batch: Sequence[Work], counts: dict[str, int]) -> None:
        """Traces of the sessions that got new turns, and what policies make of them."""
        ops: list[Op] = []
        with self._searcher.view(row.path) as view:
            for session in self._sessions(view.reader, row, batch):
                ops += self._traces(view, row, session)
        self._done(row, ops, batch, counts, then=self._queue_extraction(row, ops))

    def _queue_extraction(
        self, row: ScopeRow, ops: Sequence[Op]
    ) -> Callable[[StoreWriter, Sequence[str]], None]:
        revised = [op.id for op in ops if isinstance(op, Revise)]
        wanted = self._plugins.has("extract") or self._plugins.has("organize")

        def then(writer: StoreWriter, made: Sequence[str]) -> None:
            for ref in writer.find(row, [*made, *revised]).values() if wanted else ():
                writer.enqueue(row, "extract", ref)

        return then

    def _traces(self, view: ScopeView, row: ScopeRow, session: str) -> list[Op]:
        refs = view.reader.select(row, Filter(session=session, level=0), 0, _MANY)
        buffer = [record for _, record in view.load(refs)]
        answer, name = self._plugins.first("segment", buffer=tuple(buffer), view=view)
        ops: list[Op] = []
        for first, last in pairwise([-1, *_ends(answer, len(buffer), name)]):
            members = slice(first + 1, last + 1)
            ops += self._trace(view, row, buffer[members], refs[members])
        return ops

    def _sessions(self, reader: StoreReader, row: ScopeRow, batch: Sequence[Work]) -> list[str]:
        """The sessions that a batch of tasks is about, each once."""
        # In order of arrival, so the span that may hold a record is the last one begun before it.
        spans = sorted((task.ref or 0, task.until or 0) for task in batch)
        firsts = [first for first, _ in spans]
        refs = [
            ref
            for ref in reader.select(row, None, firsts[0] - 1, _MANY)
            if ref <= spans[bisect_right(firsts, ref) - 1][1]
        ]
        entries = reader.entries(row, refs)
        return list(dict.fromkeys(e[10] for e in entries if e[2] == 0 and e[10] is not None))

    def _trace(
        self, view: ScopeView, row: ScopeRow, members: Sequence[Record], refs: Sequence[int]
    ) -> list[Op]:
        """Ops for a new trace, or for the one that is there already."""
        text = heading(members)
        began = min((m.said_at for m in members if m.said_at), default=None)
        above = view.reader.edges(row, refs[0], EdgeKind.CONTAINS)
        for ref, trace in view.reader.load(
            row, sorted({e.source for e in above if e.target == refs[0]})
        ):
            if trace.kind is not Kind.TRACE:
                continue
            known = set(view.reader.targets(row, ref, EdgeKind.CONTAINS))
            ops: list[Op] = [
                Link(edge=Edge(source=trace.id, kind=EdgeKind.CONTAINS, target=m.id), who=_WHO)
                for m, r in zip(members, refs, strict=True)
                if r not in known
            ]
            if trace.text != text or trace.status is Status.STALE:
                named = trace.model_copy(update={"text": text})
                keys = self._keyer.whole_keys(named, view)
                # A turn that is forgotten meanwhile bumps the version: its words must not return.
                held = trace.version
                ops.append(
                    Revise(id=trace.id, text=text, keys=keys, said_at=began, who=_WHO, expects=held)
                )
                if trace.status is Status.STALE:
                    replaced = any(
                        edge.target == ref
                        for edge in view.reader.edges(row, ref, EdgeKind.SUPERSEDES)
                    )
                    status = Status.SUPERSEDED if replaced else Status.ACTIVE
                    ops.append(SetState(id=trace.id, status=status, who=_WHO, expects=held + 1))
            return ops
        record = Record(
            id="", scope=row.path, level=1, kind=Kind.TRACE, text=text, session=members[0].session,
            said_at=began,
            stored_at=members[-1].stored_at, trust=min(m.trust for m in members),
        )  # fmt: skip
        keys = self._keyer.whole_keys(record, view)
        sources = tuple(m.id for m in members)
        return [Add(record=record, keys=keys, sources=sources, contains=True, who=_WHO)]

    def _extract(self, row: ScopeRow, batch: Sequence[Work], counts: dict[str, int]) -> None:
        """What extracting, reconciling and organising policies make of a trace."""
        settled: list[Op] = []
        with self._searcher.view(row.path) as view:
            for _, trace in view.load([batch[0].ref or 0]):
                for candidate in _ops(self._plugins.collect("extract", trace=trace, view=view)):
                    settled += self._reconciled(candidate, view)
                settled += _ops(self._plugins.collect("organize", record=trace, view=view))
            settled = [self._keyed(op, view) for op in settled]
        self._done(row, settled, batch, counts)

    def _keyed(self, op: Op, view: ScopeView) -> Op:
        """A new record with its keys: else each of them would be a task of its own."""
        if not isinstance(op, Add) or op.keys:
            return op
        return op.model_copy(update={"keys": self._keyer.whole_keys(op.record, view)})

    def _reconciled(self, candidate: Op, view: ScopeView) -> list[Op]:
        near: list[Record] = []
        if isinstance(candidate, Add):
            side = view.side(episodes=False)
            if side is not None and len(side):
                found = side.candidates(WORDS, candidate.record.text, 10)
                near = [r for _, r in view.load([int(side.cache.refs[p]) for p in found.places])]
            fresh = candidate.record
            if any(_again(fresh, r) for r in near):
                return []  # a trace that grew is read again; what is there already stays as it is
        answer, name = self._plugins.first(
            "reconcile", candidate=candidate, neighbours=tuple(near), view=view
        )
        if answer is None:
            return [candidate]
        if isinstance(answer, Skip):
            return []
        return _ops([(name or "", answer)])

    def _derive(self, row: ScopeRow, batch: Sequence[Work], counts: dict[str, int]) -> None:
        """A derived record lost a source: traces are made again, others wait for their policy."""
        with self._searcher.view(row.path) as view:
            loaded = view.reader.load(row, [batch[0].ref or 0])
            ops: list[Op] = []
            if loaded and loaded[0][1].kind is Kind.TRACE and loaded[0][1].status is Status.STALE:
                members = view.reader.targets(row, loaded[0][0], EdgeKind.CONTAINS)
                left = [record for _, record in view.load(members)]
                if left:
                    ops = self._trace(view, row, left, members)
        self._done(row, ops, batch, counts)

    def _maintain(self, row: ScopeRow, until: float | None, counts: dict[str, int]) -> list[str]:
        """What maintaining policies propose; what failed."""
        if not self._plugins.has("maintain"):
            return []
        left = None if until is None else max(0.0, until - time.monotonic())
        ops: list[Op] = []
        failed: list[str] = []
        with self._searcher.view(row.path) as view:
            for answer in self._plugins.collect(
                "maintain", trigger="consolidate", budget=left, view=view
            ):
                try:
                    ops += _ops([answer])
                except (PluginFailed, InvalidInput) as error:
                    failed.append(f"maintain: {error}")
        self._done(row, ops, (), counts)
        return failed


def _batches(tasks: Sequence[Work]) -> Iterator[list[Work]]:
    """What is best done together: all segmenting, so that a session is read once; slow keys."""
    together = [task for task in tasks if task.kind == "segment"]
    if together:
        yield together
    slow: list[Work] = []
    for task in tasks:
        if task.kind == "later":
            if slow and _size([*slow, task]) > LATER:
                yield slow
                slow = []
            slow.append(task)
        elif task.kind != "segment":
            yield [task]
    if slow:
        yield slow


def _size(tasks: Sequence[Work]) -> int:
    """How many records tasks are about at most."""
    return sum((task.until or 0) - (task.ref or 0) + 1 for task in tasks)


def heading(members: Sequence[Record]) -> str:
    """What a trace is, in words that are sure: its session, speakers, length and days."""
    actors = sorted({m.actor for m in members if m.actor})
    days = sorted({m.said_at.date().isoformat() for m in members if m.said_at})
    parts = [f"{members[0].session}: {len(members)} turn{'s' if len(members) > 1 else ''}"]
    if actors:
        parts.append("by " + ", ".join(actors[:8]))
    if days:
        parts.append(f"on {days[0]}" if len(days) == 1 else f"from {days[0]} to {days[-1]}")
    return " ".join(parts)


def _again(fresh: Record, known: Record) -> bool:
    """Whether a candidate is there already. What somebody else says, or at another time, is not."""
    return (
        (known.kind, known.text, known.actor) == (fresh.kind, fresh.text, fresh.actor)
        and (fresh.actor is None or known.said_at == fresh.said_at)
        and all(known.payload.get(name) == value for name, value in fresh.payload.items())
    )


def _ends(answer: object, size: int, name: str | None) -> list[int]:
    """Where traces end, checked: ascending, within the buffer; the rest is a trace of its own."""
    if answer is None:
        return []
    sound = isinstance(answer, (list, tuple)) and all(
        isinstance(end, int) and 0 <= end < size for end in answer
    )
    if not sound or not isinstance(answer, (list, tuple)) or sorted(set(answer)) != list(answer):
        raise PluginFailed(f"plugin {name!r} failed in hook 'segment': not ascending places")
    ends = list(answer)
    return ends if ends and ends[-1] == size - 1 else [*ends, size - 1]


def _ops(answers: Sequence[tuple[str, object]]) -> list[Op]:
    """Ops that policies returned, marked as theirs. Raises PluginFailed or InvalidOp."""
    ops: list[Op] = []
    for name, answer in answers:
        if isinstance(answer, PluginFailed):
            raise answer
        if not isinstance(answer, (list, tuple)):
            raise PluginFailed(f"plugin {name!r} returned {type(answer).__name__} instead of ops")
        ops += [allowed(op, name) for op in answer]
    return ops
