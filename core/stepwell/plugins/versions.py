"""Which version of its distribution a plugin is of, as far as that is known."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable

from stepwell.plugins.implementing import PROJECT, Plugin


def versions(
    plugins: Iterable[Plugin], entries: Iterable[importlib.metadata.EntryPoint]
) -> dict[str, str | None]:
    """Versions by the plugins' names; None for an object of a module that no distribution tells."""
    brought = {_root(entry.module): entry.dist for entry in entries if entry.dist is not None}
    known: dict[str, str | None] = {}
    told: dict[str, str | None] = {}
    for plugin in plugins:
        thing = plugin.thing
        of = getattr(thing, "__module__", None) or getattr(thing, "__name__", None)
        root = _root(of) if isinstance(of, str) else ""
        if root not in known:
            known[root] = None
            try:
                if root == PROJECT:
                    known[root] = importlib.metadata.version(PROJECT)
                elif root in brought:
                    known[root] = str(brought[root].version)
            except Exception:  # noqa: BLE001, S110 - metadata are text files, as anybody left them
                pass
        told[plugin.name] = known[root]
    return told


def _root(module: str) -> str:
    return module.partition(".")[0]
