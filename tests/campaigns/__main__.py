"""All campaigns, one after the other: what is promised, the command, and what came out.

    python -m tests.campaigns            # some hours
    python -m tests.campaigns --short    # some minutes
    python -m tests.campaigns walls torn

Ends with 1 if any of them found something. Interrupted, it tells what it has found by then.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Campaign:
    """One of them: what it is about, and how long it runs, in full and in short."""

    name: str
    promise: str
    full: str
    short: str


CAMPAIGNS = (
    Campaign("kill", "kill -9 takes nothing back, brings nothing back",
             "--kills 10000 --processes 4", "--kills 60 --processes 3"),
    Campaign("points", "killed before any statement of a verb, a file is as before, or as after",
             "--points 100000", "--points 2"),
    Campaign("torn", "a torn log opens as a clean prefix", "--cuts 1000", "--cuts 60"),
    Campaign("power", "a power cut takes nothing back that was acknowledged",
             "--cuts 20000", "--cuts 400"),
    Campaign("failing", "whichever statement fails, it is as before or as after",
             "--points 100000", "--points 1"),
    Campaign("disk", "a full, lost or other file is told at once, and loses nothing",
             "--trials 2000 --backups 500", "--trials 60 --backups 20"),
    Campaign("crowd", "processes with threads lose nothing and see no lock",
             "--processes 4 --threads 8 --seconds 180", "--processes 2 --threads 4 --seconds 10"),
    Campaign("planted", "check finds every damage, and raises no false alarm",
             "--good 1000 --pages 1000", "--good 20 --pages 10"),
    Campaign("model", "all verbs in any order are as a plain model says",
             "--days 1000 --steps 50", "--days 30 --steps 40"),
    Campaign("walls", "no scope tells anything of another",
             "--steps 10000", "--steps 2000"),
    Campaign("hostile", "a file by who wishes ill ends in typed errors, and runs nothing",
             "--files 10000", "--files 400"),
    Campaign("injected", "a text means itself, wherever it is put, or is refused",
             "--payloads 500", "--payloads 25"),
    Campaign("poisoned", "min_trust keeps planted turns out, forgetting takes all of it",
             "--turns 10000", "--turns 2000 --asked 50"),
    Campaign("redacted", "with stepwell-redact no personal data is stored, told, shown or logged",
             "--records 1000", "--records 100"),
    Campaign("same", "the same said, seed and clock give the same answers in any process",
             "--runs 100", "--runs 4"),
    Campaign("cancelled", "a cancelled verb is wholly there, or not at all",
             "--times 5000", "--times 500"),
    Campaign("asking", "who asks while others consolidate is answered as soon",
             "--turns 100000", "--turns 5000 --seconds 5"),
    Campaign("soak", "memory, file and times do not grow with use",
             "--turns 1000000", "--turns 20000"),
)  # fmt: skip


def run(campaign: Campaign, options: str) -> dict[str, Any]:
    """What one of them has found."""
    command = [sys.executable, "-m", f"tests.campaigns.{campaign.name}", *options.split()]
    begun = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    told = done.stdout[done.stdout.find("{") :]
    try:
        found = json.loads(told)
    except ValueError:
        found = {"failed": done.stderr.strip().splitlines()[-1:]}
    return {
        "command": f"python -m tests.campaigns.{campaign.name} {options}",
        "ok": done.returncode == 0, "seconds": round(time.monotonic() - begun), "found": found,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *(each.name for each in CAMPAIGNS)])
    parser.add_argument("--short", action="store_true", help="minutes instead of hours")
    parser.add_argument("--out", type=Path, help="a file for all that was found, as JSON")
    given = parser.parse_args()
    chosen = [each for each in CAMPAIGNS if not given.names or each.name in given.names]
    results: dict[str, dict[str, Any]] = {}
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("", total=len(chosen))
            for campaign in chosen:
                progress.update(task, description=f"{campaign.name}: {campaign.promise}")
                options = campaign.short if given.short else campaign.full
                results[campaign.name] = run(campaign, options)
                progress.advance(task)
    except KeyboardInterrupt:
        console.print("interrupted; what was found by then:")
    table = Table("campaign", "promise", "s", "", "found", box=None, header_style="dim")
    for campaign in chosen:
        result = results.get(campaign.name)
        if result is not None:
            told = json.dumps(result["found"])
            told = told if len(told) < 300 else f"{told[:300]} …"
            mark = "[green]holds[/]" if result["ok"] else "[bold red]BROKEN[/]"
            table.add_row(campaign.name, campaign.promise, str(result["seconds"]), mark, told)
    console.print(table)
    if given.out is not None:
        given.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    complete = len(results) == len(chosen)
    return 0 if complete and all(result["ok"] for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
