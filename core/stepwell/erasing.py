"""The path of `forget` and `erase`: what goes, everything that rests on it, and the bytes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from stepwell.committing import Committer
from stepwell.contracts import ScopeRow, StoreWriter
from stepwell.errors import InvalidFilter, UnknownRecord
from stepwell.filters import Filter
from stepwell.mechanisms.wordpieces import forget_pieces
from stepwell.mechanisms.words import forget_words
from stepwell.models import ErasureReceipt
from stepwell.searching import Caches

_PAGE = 10_000


class Eraser:
    """Forgets for good."""

    def __init__(self, committer: Committer, caches: Caches) -> None:
        self._committer = committer
        self._caches = caches

    def forget(
        self, path: tuple[str, ...], ids: Sequence[str] = (), where: Filter | None = None
    ) -> ErasureReceipt:
        """Forget records by id or by filter, of whatever status.

        Raises UnknownRecord for an id that is not there, InvalidFilter for an empty filter; then
        nothing was forgotten. A turn that was forgotten before is not an error.
        """
        if where is not None and (where.empty or where.everything):
            raise InvalidFilter(
                "forget takes a filter that says what; erase() forgets the whole scope"
            )
        with self._committer.store.reading() as reader:
            row = reader.scope_of(path)
        if row is None:
            if ids:
                raise UnknownRecord("this scope holds no record of that id")
            return ErasureReceipt(complete=self._settle())
        scope = row

        def select(writer: StoreWriter) -> list[int]:
            found = writer.find(scope, ids)
            for name in ids:
                if name not in found:
                    raise UnknownRecord("this scope holds no record of that id")
            refs = {ref for ref in found.values() if ref is not None}
            if where is not None:
                refs.update(_all(writer, scope, where))
            return sorted(refs)

        counts = self._committer.purge(scope, select)
        return self._receipt(scope, counts)

    def expire(self, path: tuple[str, ...], before: datetime) -> int:
        """Forget hidden turns that were stored before a time; how many."""
        with self._committer.store.reading() as reader:
            row = reader.scope_of(path)
        if row is None:
            return 0
        scope, gone = row, 0
        old = Filter(level=0, status="hidden", stored_before=before)

        def select(writer: StoreWriter) -> list[int]:
            return writer.select(scope, old, 0, _PAGE, active=False)

        while count := self._committer.purge(scope, select).get("turns", 0):
            gone += count
        if gone:
            self._receipt(scope, {})
        return gone

    def erase(self, path: tuple[str, ...]) -> ErasureReceipt:
        """Erase a scope wholly: turns, levels, documents, journal, tombstones, its name."""
        with self._committer.store.writing(self._committer.clock()) as writer:
            row = writer.scope_of(path)
            counts = {} if row is None else writer.erase(row)
        if row is None:
            return ErasureReceipt(complete=self._settle())
        self._committer.forgotten()
        return self._receipt(row, counts)

    def _receipt(self, scope: ScopeRow, counts: dict[str, int]) -> ErasureReceipt:
        # What this process keeps in memory goes too; the next verb reads the store anew.
        self._caches.drop(scope.number)
        forget_words()
        forget_pieces()
        return ErasureReceipt(**counts, complete=self._settle())

    def _settle(self) -> bool:
        store = self._committer.store
        return not store.pending if store.read_only else store.settle()


def _all(writer: StoreWriter, scope: ScopeRow, where: Filter) -> list[int]:
    refs: list[int] = []
    after = 0
    while page := writer.select(scope, where, after, _PAGE, active=False):
        refs += page
        after = page[-1]
    return refs
