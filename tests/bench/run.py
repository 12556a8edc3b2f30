"""All benchmarks: speed always, retrieval where there is data (DATA=folder)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """The command behind `make bench`."""
    data = Path(os.environ.get("DATA", ""))
    there = os.environ.get("DATA") and (data / "eval_retrieval.py").is_file()
    commands = [["tests.bench.speed", *(["--data", str(data)] if there else [])]]
    if there:
        commands.append(["tests.bench.retrieval", "--data", str(data)])
    else:
        print("No data folder: speed only, with made-up texts. Give one by DATA=folder.")
    return max(subprocess.run([sys.executable, "-m", *c], check=False).returncode for c in commands)


if __name__ == "__main__":
    sys.exit(main())
