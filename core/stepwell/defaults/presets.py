"""The built-in presets, and the parts that a store is opened with."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from stepwell.contracts import Index, IndexSpec
from stepwell.defaults.facts import Current, Facts
from stepwell.defaults.levels import Levels
from stepwell.defaults.overview import Overview
from stepwell.defaults.policies import (
    CHANNELS,
    Channel,
    FixedRanker,
    FlatPacker,
    Packer,
    VectorKeys,
    WordKeys,
)  # fmt: skip
from stepwell.defaults.ranking import Ranker
from stepwell.defaults.sqlite.store import SqliteStore
from stepwell.defaults.together import Together
from stepwell.defaults.vector_index import VectorIndex
from stepwell.defaults.word_index import WordIndex
from stepwell.hookspecs import hookimpl
from stepwell.identity import SCHEME
from stepwell.plugins import Preset

DEFAULT_PRESET = "default"


class Sqlite:
    """Opens the embedded store."""

    name = "sqlite"

    @hookimpl
    def open_store(self, uri: str) -> object | None:
        """A file, or ":memory:"."""
        parts = urlsplit(uri)
        if parts.scheme != SCHEME:
            return None
        path = unquote(parts.path).removeprefix("/")
        return SqliteStore(path, read_only=parts.query == "mode=ro")


class Indexes:
    """Opens the indexes of the caches."""

    name = "indexes"

    @hookimpl
    def open_index(self, spec: IndexSpec) -> Index | None:
        """Exact inner product for vectors, postings for words."""
        if spec.kind == "vectors":
            return VectorIndex(spec.dim)
        return WordIndex() if spec.kind == "words" else None


class Presets:
    """Offers `default`, `flat` and `full-context`."""

    name = "presets"

    @hookimpl
    def presets(self) -> Mapping[str, Preset]:
        """By name."""
        keys = (WordKeys(), VectorKeys())
        plain, whole = {"words": 1.0, "vectors": 1.0}, {"order": 1.0}
        made = (
            Preset(
                "default",
                3,
                (
                    *keys,
                    Levels(),
                    Facts(),
                    Ranker(),
                    Together(),
                    Current(),
                    Overview(),
                    *map(Channel, CHANNELS[:-1]),
                    Packer(),
                ),
            ),
            # Plain retrieval over raw turns: what every mechanism has to beat.
            Preset("flat", 2, (*keys, FixedRanker(plain), *map(Channel, plain), FlatPacker())),
            # All of it, or as much of the latest as fits.
            Preset(
                "full-context", 2, (*keys, FixedRanker(whole), *map(Channel, whole), FlatPacker())
            ),
        )
        return {preset.name: preset for preset in made}
