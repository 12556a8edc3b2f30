"""What readers notice while a scope is consolidated beside them."""

from __future__ import annotations

import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from stepwell import Memory, Scope
from stepwell_bench.scaling import Varied

#: Turns of one call while the store is made.
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Beside:
    """Latencies of `recall` in ms, idle and while consolidating, and what was consolidated."""

    turns: int
    idle: list[float]
    busy: list[float]
    seconds: float
    finished: bool

    def figure(self, share: float, *, busy: bool) -> float:
        """A quantile of the latencies."""
        told = sorted(self.busy if busy else self.idle)
        return told[min(len(told) - 1, int(share * len(told)))]


def measure(texts: Varied, turns: int, questions: int, *, pause: float, most: float) -> Beside:
    """Ask the same questions of a scope that is idle, and of it while another thread consolidates.

    `pause` seconds lie between two questions; after `most` seconds nothing more is asked.
    """
    with tempfile.TemporaryDirectory() as folder, Memory.open(Path(folder) / "m.db") as memory:
        scope = memory.scope("one")
        for start in range(0, turns, _BATCH):
            scope.remember_many(texts.turns(_BATCH, start))
        asked = list(texts.questions[:questions])
        _ask(scope, asked[:5], pause)
        idle = _ask(scope, asked, pause)
        reports = []
        done = threading.Event()

        def work() -> None:
            while not done.is_set():
                report = scope.consolidate(budget=5)
                reports.append(report)
                if report.finished:
                    break

        worker = threading.Thread(target=work)
        began = time.perf_counter()
        worker.start()
        busy: list[float] = []
        while worker.is_alive() and time.perf_counter() - began < most:
            busy += _ask(scope, asked, pause, worker)
        done.set()
        worker.join()
        spent = time.perf_counter() - began
        return Beside(turns, idle, busy, spent, bool(reports and reports[-1].finished))


def _ask(
    scope: Scope, questions: list[str], pause: float, beside: threading.Thread | None = None
) -> list[float]:
    told = []
    for question in questions:
        if beside is not None and not beside.is_alive():
            break
        began = time.perf_counter()
        scope.recall(question)
        told.append(1e3 * (time.perf_counter() - began))
        time.sleep(pause)
    return told
