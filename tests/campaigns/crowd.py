"""Several processes with several threads each, on one file: nothing is lost, nobody sees a lock.

python -m tests.campaigns.crowd --processes 2 --threads 4 --seconds 30
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from stepwell import Memory, Turn


def member(path: str, number: int, threads: int, seconds: float, results: Any) -> None:
    """One process of the crowd."""
    memory = Memory.open(path, embedder=None)
    scope = memory.scope("crowd")
    stored: list[str] = []
    wrong: list[str] = []
    taken: list[float] = []

    def work(thread: int) -> None:
        end = time.monotonic() + seconds
        count = 0
        while time.monotonic() < end:
            count += 1
            name = f"p{number}t{thread}c{count}"
            begun = time.perf_counter()
            try:
                if count % 10 == 0:
                    turns = [Turn(id=f"{name}-{i}", text=f"bulk {name} {i}") for i in range(20)]
                    receipt = scope.remember_many(turns)
                else:
                    receipt = scope.remember(f"said {name} once", id=name, session=f"s{thread}")
                taken.append(time.perf_counter() - begun)
                stored.extend(receipt.stored)
                if count % 7 == 0 and count % 10:
                    hits = scope.recall(name, k=1)
                    if not hits or hits[0].record.turn != name:
                        wrong.append(f"{name} was not found at once")
            except Exception as error:  # noqa: BLE001 - every error is a finding
                wrong.append(f"{type(error).__name__}: {error}")

    crowd = [threading.Thread(target=work, args=(t,)) for t in range(threads)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    memory.close()
    results.put((stored, wrong, taken))


def campaign(processes: int, threads: int, seconds: float, folder: str) -> dict[str, Any]:
    """The whole campaign; `wrong` is empty when every promise held."""
    path = str(Path(folder) / "crowd.db")
    spawning = multiprocessing.get_context("spawn")
    results = spawning.Queue()
    crowd = [
        spawning.Process(target=member, args=(path, n, threads, seconds, results))
        for n in range(processes)
    ]
    for process in crowd:
        process.start()
    answers = [results.get(timeout=seconds + 120) for _ in crowd]
    for process in crowd:
        process.join()
    wrong = [w for _, found, _ in answers for w in found]
    stored = [i for ids, _, _ in answers for i in ids]
    taken = sorted(t for _, _, some in answers for t in some)
    with Memory.open(path, embedder=None) as memory:
        scope = memory.scope("crowd")
        lost = [i for i in stored if scope.get(i) is None]
        wrong += [f"turn {i} is lost" for i in lost[:10]]
        if scope.count() != len(stored):
            wrong.append(f"{scope.count()} turns instead of {len(stored)}")
        wrong += [f"check: {p.what}" for p in memory.check().problems]
    return {
        "acknowledged": len(stored), "lost": len(lost), "calls": len(taken),
        "p50_ms": round(1e3 * taken[len(taken) // 2], 2),
        "p99_ms": round(1e3 * taken[int(len(taken) * 0.99)], 2), "wrong": wrong[:20],
    }  # fmt: skip


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = campaign(options.processes, options.threads, options.seconds, folder)
    print(json.dumps(result))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
