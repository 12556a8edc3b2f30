"""Make the store of the newest format anew, with what stands in it: `python -m tests.formats.make`.

Only before a format is released; afterwards its files stay as they are.
"""

from __future__ import annotations

import gzip
import io
import json
import tempfile
from pathlib import Path
from typing import Any

from tests.campaigns.verbs import asked, furnish, opened, state

from stepwell import Memory
from stepwell.defaults.sqlite.schema import VERSION

FOLDER = Path(__file__).parent


def told(memory: Memory) -> dict[str, Any]:
    """Everything that a file tells, as JSON: what it holds, exports and answers."""
    exports = {}
    for path in memory.scopes():
        to = io.StringIO()
        memory.scope(*path).export(to)
        exports["/".join(path)] = to.getvalue().splitlines()
    found = {
        "state": state(memory),
        "exports": exports,
        "asked": asked(memory),
        "forgotten": {"/".join(p): memory.scope(*p).stats().forgotten for p in memory.scopes()},
        "waiting": {"/".join(p): memory.scope(*p).stats().waiting for p in memory.scopes()},
    }
    return json.loads(json.dumps(found))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        furnish(path)
        with opened(path) as memory:
            memory.compact()
            lines = json.dumps(told(memory), indent=1, ensure_ascii=False)
        (FOLDER / f"format-{VERSION}.json").write_text(f"{lines}\n", encoding="utf-8")
        packed = gzip.compress(path.read_bytes(), mtime=0)
        (FOLDER / f"format-{VERSION}.db.gz").write_bytes(packed)


if __name__ == "__main__":
    main()
