"""The built-in parts and presets keep the contracts that plugin authors inherit."""

from pathlib import Path

import stepwell_redact
from stepwell.defaults.sqlite.store import SqliteStore
from stepwell.defaults.vector_index import VectorIndex
from stepwell.defaults.word_index import WordIndex
from stepwell.testing import (
    EmbedderContract,
    HashingEmbedder,
    IndexContract,
    PolicyContract,
    StoreContract,
    WordsContract,
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


class TestVectorIndex(IndexContract):
    def open(self, dim: int):
        return VectorIndex(dim)


class TestWordIndex(WordsContract):
    def open(self):
        return WordIndex()


class TestHashingEmbedder(EmbedderContract):
    def open(self):
        return HashingEmbedder()


class TestDefault(PolicyContract):
    def open(self):
        return "default"


class TestDefaultOnWords(PolicyContract):
    def open(self):
        return "default"

    def embedder(self):
        return None


class TestFlat(PolicyContract):
    def open(self):
        return "flat"


class TestFullContext(PolicyContract):
    def open(self):
        return "full-context"


class TestRedact(PolicyContract):
    def open(self):
        return stepwell_redact
