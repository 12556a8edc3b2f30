"""The path of `rebuild`, `export` and `import_`: whole scopes, and into and out of files."""

from __future__ import annotations

from stepwell.transfer.arriving import FORMATS, Arrivals
from stepwell.transfer.exporting import Exporter, opened
from stepwell.transfer.importing import Restorer
from stepwell.transfer.rebuilding import Rebuilder

__all__ = ["FORMATS", "Arrivals", "Exporter", "Rebuilder", "Restorer", "opened"]
