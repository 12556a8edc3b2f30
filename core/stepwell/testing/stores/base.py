"""How a contract gets at a store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from stepwell.contracts import ScopeRow, Store
from stepwell.errors import StoreClosed
from stepwell.testing.samples import scope_in

ALICE = ("acme", "alice")


class Base:
    """Opens a store for each test, and looks for damage after it."""

    #: Whether a store that is opened again under the same `tmp_path` holds what it held.
    reopens: ClassVar[bool] = True

    def open(self, tmp_path: Path) -> Store:
        """The store to be tested, writable: a new one, or the one that lies under `tmp_path`."""
        raise NotImplementedError("a contract is inherited by a class that says how to open")

    def open_read_only(self, tmp_path: Path) -> Store:  # noqa: ARG002 - for those who override it
        """The store that lies under `tmp_path`, for reading alone."""
        pytest.skip("this store has no read-only form")

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        """A new store, in which nothing may be wrong in the end."""
        store = self.open(tmp_path)
        yield store
        try:
            problems = store.check()
            store.close()
        except StoreClosed:
            return
        assert problems == []

    @pytest.fixture
    def alice(self, store: Store) -> ScopeRow:
        """An empty scope."""
        return scope_in(store, *ALICE)
