"""For those who write plugins and applications: contracts to inherit from, and fakes to test with.

    from stepwell.testing import StoreContract

    class TestMyStore(StoreContract):
        def open(self, tmp_path):
            return MyStore(tmp_path / "memory")

pytest collects the tests of a contract with the class that inherits it; each is one promise. The
contracts need pytest and hypothesis, and are imported when they are first asked for; the fakes need
neither.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from stepwell.testing.fakes import (
    BROKEN_JSON,
    BrokenPlugin,
    FakeClock,
    HashingEmbedder,
    ScriptedModel,
)

if TYPE_CHECKING:
    from stepwell.testing.embedders import EmbedderContract
    from stepwell.testing.evaluating import matches
    from stepwell.testing.fences import FenceContract
    from stepwell.testing.indexes import IndexContract, WordsContract
    from stepwell.testing.policies import PolicyContract
    from stepwell.testing.stores import StoreContract

__all__ = [
    "BROKEN_JSON", "BrokenPlugin", "EmbedderContract", "FakeClock", "FenceContract",
    "HashingEmbedder", "IndexContract", "PolicyContract", "ScriptedModel", "StoreContract",
    "WordsContract", "matches",
]  # fmt: skip

_ROOMS = {
    "EmbedderContract": "stepwell.testing.embedders",
    "FenceContract": "stepwell.testing.fences",
    "IndexContract": "stepwell.testing.indexes",
    "PolicyContract": "stepwell.testing.policies",
    "StoreContract": "stepwell.testing.stores",
    "WordsContract": "stepwell.testing.indexes",
    "matches": "stepwell.testing.evaluating",
}

# A failing promise then shows both sides, as in a test file.
if (_pytest := sys.modules.get("pytest")) is not None:
    _pytest.register_assert_rewrite(*sorted(set(_ROOMS.values())))


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)
