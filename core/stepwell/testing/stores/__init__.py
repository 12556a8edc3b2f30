"""The contract of a Store: inherit StoreContract and say how your store is opened."""

from __future__ import annotations

from stepwell.testing.stores.forgetting import Forgetting
from stepwell.testing.stores.histories import Histories
from stepwell.testing.stores.records import Records
from stepwell.testing.stores.relations import Relations
from stepwell.testing.stores.scopes import Scopes
from stepwell.testing.stores.transactions import Transactions

__all__ = ["StoreContract"]


class StoreContract(Transactions, Records, Relations, Histories, Scopes, Forgetting):
    """What every Store promises, one promise a test.

        class TestMine(StoreContract):
            def open(self, tmp_path):
                return MyStore(tmp_path / "memory")

            def open_read_only(self, tmp_path):  # leave it out if there is no such thing
                return MyStore(tmp_path / "memory", read_only=True)

    Opening under the same `tmp_path` again must find what was stored; a store that keeps nothing
    says `reopens = False`. After every test `check()` must find nothing wrong.
    """
