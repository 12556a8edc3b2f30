"""Implements View: caches over the store, and every channel that a policy can ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from stepwell.contracts import Index, IndexSpec, Query, Store
from stepwell.errors import PluginFailed
from stepwell.models import Key, Record, usable
from stepwell.plugins import Plugins, Unfit
from stepwell.searching.averaging import averaged, members_of
from stepwell.searching.caches import WORDS, Caches, Flavour, ScopeCache
from stepwell.searching.dense import VECTORS
from stepwell.searching.models import GuardedModels, space_of
from stepwell.searching.short import WANTED, Narrow
from stepwell.searching.side import Side
from stepwell.searching.view import ACTIVE, ALL, HELD, Moment, ScopeView

__all__ = [
    "ACTIVE", "ALL", "HELD", "VECTORS", "WANTED", "WORDS", "Caches", "Flavour", "GuardedModels",
    "Moment", "Narrow", "ScopeCache", "ScopeView", "Searcher", "Side", "averaged", "members_of",
    "space_of",
]  # fmt: skip


class Searcher:
    """Makes views over one store, and the keys of records."""

    def __init__(
        self, store: Store, plugins: Plugins, models: GuardedModels, clock: Callable[[], datetime],
        words_space: str, cache_bytes: int,
    ) -> None:  # fmt: skip
        self.models = models
        self.caches = Caches(self._open_index, words_space, cache_bytes)
        self._store = store
        self._plugins = plugins
        self._clock = clock

    def _open_index(self, spec: IndexSpec) -> Index:
        index = self._plugins.open_part("open_index", spec, Index)
        if not isinstance(index, Index):
            raise PluginFailed(f"no plugin opens an index of kind {spec.kind!r}")
        return index

    @contextmanager
    def view(
        self,
        path: tuple[str, ...],
        *,
        now: datetime | None = None,
        moment: Moment | None = None,
        statuses: frozenset[int] | None = None,
        min_trust: float = 0.0,
        pause: Callable[[], None] | None = None,
    ) -> Iterator[ScopeView]:
        """A view of a scope; it reads only when asked, and ends with the block."""
        view = ScopeView(
            self._store, path, self.caches, self.models, now or self._clock(), moment=moment,
            statuses=statuses, min_trust=min_trust, keys_of=lambda record: self.keys_of(record)[0],
            told=now is not None, pause=pause,
        )  # fmt: skip
        with view:
            yield view

    def keys_of(
        self, record: Record | Query, view: ScopeView | None = None
    ) -> tuple[Sequence[Key], str | None]:
        """A record's keys, and the plugin that failed to make some, if one did."""
        if view is None:
            with self.view(() if isinstance(record, Query) else record.scope) as made:
                return self.keys_of(record, made)
        keys: list[Key] = []
        failed: str | None = None
        for name, answer in self._plugins.collect(
            "keys", lambda answer: _keys_in(answer, record.text), record_or_query=record, view=view
        ):
            if isinstance(answer, PluginFailed):
                failed = name
            else:
                keys += answer
        return keys, failed


def _keys_in(answer: object, text: str) -> Sequence[Key]:
    """Keys of this text. Raises Unfit."""
    if isinstance(answer, (list, tuple)) and all(usable(key, text) for key in answer):
        return answer
    raise Unfit("it returned what are no keys of the text")
