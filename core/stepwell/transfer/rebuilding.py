"""Everything derived is dropped, and made again from the turns."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from stepwell.committing import Committer, outdated
from stepwell.contracts import LATER, ScopeRow, StoreReader
from stepwell.filters import Filter
from stepwell.models import SHOWN, TOLD, EdgeKind, Kind, Report
from stepwell.plugins import Plugins
from stepwell.searching import Searcher

_PAGE = 500


class Rebuilder:
    """Drops what was derived, makes every key again from the turns, and queues the rest."""

    def __init__(self, committer: Committer, searcher: Searcher, plugins: Plugins) -> None:
        self._committer = committer
        self._searcher = searcher
        self._plugins = plugins

    def every(self, progress: Callable[[int, int], None] | None = None) -> Report:
        """All scopes of the file, one after the other."""
        counts: dict[str, int] = {}
        after = 0
        while True:
            with self._committer.store.reading() as reader:
                page = reader.scopes(after, 100)
            if not page:
                return Report(counts)
            for row in page:
                for name, count in self.scope(row, progress).counts.items():
                    counts[name] = counts.get(name, 0) + count
            after = page[-1].number

    def scope(self, row: ScopeRow, progress: Callable[[int, int], None] | None = None) -> Report:
        """One scope. Interrupted, it leaves turns whole and can be called again."""
        store, clock = self._committer.store, self._committer.clock
        with store.reading() as reader:
            turns = reader.select(row, Filter(level=0), 0, 2**62, active=False)
            derived = reader.select(row, ~Filter(level=0), 0, 2**62, active=False)
            tasks = _tasks(reader, row)
        derived = [ref for ref in derived if ref not in tasks]
        with store.writing(clock()) as writer:
            if writer.again(row) is None:
                return Report({"scopes": 0})
            writer.blank_orphans(row)
        for start in range(0, len(derived), _PAGE):
            with store.writing(clock()) as writer:
                if writer.again(row) is None:
                    return Report({"scopes": 0})
                writer.purge(row, derived[start : start + _PAGE], ())
        if derived:
            store.mark_pending()
        for start in range(0, len(turns), _PAGE):
            self._rekey(row, turns[start : start + _PAGE])
            if progress is not None:
                progress(min(start + _PAGE, len(turns)), len(turns))
        for start in range(0, len(tasks), _PAGE):
            self._anew(row, list(tasks)[start : start + _PAGE], tasks)
        if turns:
            with store.writing(clock()) as writer:
                if writer.again(row) is not None:
                    writer.enqueue(row, "segment", turns[0], turns[-1])
        self._searcher.caches.drop(row.number)
        store.settle()
        return Report({"scopes": 1, "turns": len(turns), "dropped": len(derived)})

    def _anew(self, row: ScopeRow, refs: list[int], tasks: Mapping[int, int]) -> None:
        """Tasks as the caller has made them: without what policies noted of them or linked."""
        with self._committer.store.writing(self._committer.clock()) as writer:
            if writer.again(row) is None:
                return
            for ref, record in writer.load(row, refs):
                for edge in writer.edges(row, ref):
                    said = edge.kind is SHOWN or edge.target == tasks[ref]
                    if edge.source == ref and not said:
                        writer.unlink(row, ref, edge.kind, edge.target)
                kept = {name: record.payload[name] for name in TOLD if name in record.payload}
                if kept != record.payload:
                    content = writer.new_text(row, ref, None, json.dumps(kept, ensure_ascii=False))
                    before = writer.set_state(row, ref, content=content)
                    writer.journal_op(row, "set_state", ref, who="rebuild", before=before)
        self._rekey(row, refs)

    def _rekey(self, row: ScopeRow, refs: list[int]) -> None:
        with self._searcher.view(row.path) as view:
            records = view.load(refs)
            view.models.announce(record for _, record in records)
            made = [(ref, *self._searcher.keys_of(record, view)) for ref, record in records]
            view.models.done()
        versions = {ref: record.version for ref, record in records}
        with self._committer.store.writing(self._committer.clock()) as writer:
            if writer.again(row) is None:
                return
            for ref, keys, failed in made:
                now = dict(writer.load(row, [ref]))
                if ref not in now:
                    continue  # forgotten since it was read: its keys must not come back
                if now[ref].version != versions[ref]:
                    continue  # revised since: it has the keys of its new text
                writer.blank_keys(row, ref)
                writer.add_keys(row, ref, keys)
                writer.journal_op(row, "rekey", ref, who="rebuild")
                if failed is not None or outdated(writer, keys):
                    writer.enqueue(row, "keys", ref, ref)
            for start in range(0, len(refs) if self._plugins.has("later_keys") else 0, LATER):
                some = refs[start : start + LATER]
                writer.enqueue(row, "later", some[0], some[-1])


def _tasks(reader: StoreReader, row: ScopeRow) -> dict[int, int]:
    """The tasks that the caller has begun, each with the ref of its goal: they are not derived."""
    refs = reader.select(row, Filter(kind=Kind.TASK, level=1), 0, 2**62, active=False)
    found = {ref: record.task for ref, record in reader.load(row, refs) if record.task is not None}
    goals = reader.find(row, sorted(set(found.values())))
    made: dict[int, int] = {}
    for ref, name in found.items():
        goal = goals.get(name)
        if goal is not None and goal in reader.targets(row, ref, EdgeKind.DERIVED_FROM):
            made[ref] = goal
    return made
