"""The path of `rebuild`, `check`, `compact` and `backup`: work over whole scopes and files."""

from __future__ import annotations

from collections.abc import Callable

from stepwell.committing import Committer, outdated
from stepwell.contracts import LATER, ScopeRow
from stepwell.filters import Filter
from stepwell.models import Report
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
        if turns:
            with store.writing(clock()) as writer:
                if writer.again(row) is not None:
                    writer.enqueue(row, "segment", turns[0], turns[-1])
        self._searcher.caches.drop(row.number)
        store.settle()
        return Report({"scopes": 1, "turns": len(turns), "dropped": len(derived)})

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
