"""Built-in plugins: found only through the hooks, with no privilege."""

from __future__ import annotations

from stepwell.defaults.bounds import Bounds
from stepwell.defaults.policies import POLICIES, WORDS_SPACE, Fallback
from stepwell.defaults.presets import DEFAULT_PRESET, Indexes, Presets, Sqlite
from stepwell.defaults.ranking import Ranker
from stepwell.defaults.table import Tables

BUILTINS: tuple[tuple[str, object], ...] = (
    ("sqlite", Sqlite()),
    ("indexes", Indexes()),
    ("presets", Presets()),
    ("tables", Tables()),
    # The policies by name, for presets of others to name in their lists.
    *((policy.name, policy) for policy in POLICIES),
)
FALLBACK = Fallback()

__all__ = ["BUILTINS", "DEFAULT_PRESET", "FALLBACK", "WORDS_SPACE", "Bounds", "Ranker"]
