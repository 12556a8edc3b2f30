"""The built-in parts and presets keep the contracts that plugin authors inherit."""

from pathlib import Path

from stepwell.defaults.sqlite.store import SqliteStore
from stepwell.testing import (
    StoreContract,
)


class TestSqliteStore(StoreContract):
    def open(self, tmp_path: Path):
        return SqliteStore(str(tmp_path / "memory.db"))

    def open_read_only(self, tmp_path: Path):
        return SqliteStore(str(tmp_path / "memory.db"), read_only=True)


class TestSqliteStoreInMemory(StoreContract):
    reopens = False

    def open(self, tmp_path: Path):
        return SqliteStore(":memory:")
