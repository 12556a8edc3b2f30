"""The path of `rebuild`, `export` and `import_`: whole scopes, and into and out of files."""

from __future__ import annotations

from stepwell.transfer.rebuilding import Rebuilder

__all__ = ["Rebuilder"]
