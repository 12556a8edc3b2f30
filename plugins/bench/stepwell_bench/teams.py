"""What a memory of tasks is good for: nearest tasks of the same sort, credit, and speed.

Everything is measured in one run on the same tasks: stepwell under a preset that remembers tasks,
beside BM25 and vectors over the goals.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from stepwell import Embedder, Hit, Memory, Scope, Turn
from stepwell_bench.baselines import Bm25, Dense
from stepwell_bench.bootstrap import Estimate, Resamples
from stepwell_bench.data import Spoken
from stepwell_bench.metrics import tokens
from stepwell_bench.runs import Run
from stepwell_bench.systems import Ask, Log

KS: Final = (1, 3, 5)
#: What a task is shown in a replay.
SHOWN: Final = 3
#: A run that ended so well was solved.
GOOD: Final = 0.5
TASK: Final = (1,)

_VERBS = ("put", "clean and put", "heat and put", "cool and put", "find", "examine")
_PLACES = ("cupboard", "shelf", "drawer", "fridge", "sink", "table", "desk", "bin", "sofa", "bed")
_LOOKS = ("red", "blue", "old", "new", "big", "small", "wooden", "glass", "cold", "hot")
_THINGS = (
    "cup", "mug", "pan", "pot", "jug", "bowl", "plate", "knife", "fork", "spoon", "lamp", "book",
    "towel", "soap", "candle", "watch", "phone", "box", "vase", "chair",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ingested:
    """What taking a log in took."""

    tasks: int
    turns: int
    text: int
    stored: int
    seconds: float
    consolidated: float
    insights: int


def work(scope: Scope, run: Run, outcome: bool = True) -> None:
    """A run, as if it went on now."""
    with scope.task(run.goal, id=run.id) as task:
        if run.turns:
            task.remember_many(run.turns)
        if outcome and run.good is not None:
            task.outcome(run.good)


def ingested(runs: Sequence[Run], preset: str) -> Ingested:
    """Take a whole log in, on disk; bytes are those of the file after it was closed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "teams.db"
        with Memory.open(path, preset=preset) as memory:
            scope = memory.scope("team")
            begun = time.perf_counter()
            for run in runs:
                work(scope, run)
            seconds = time.perf_counter() - begun
            begun = time.perf_counter()
            scope.consolidate()
            consolidated = time.perf_counter() - begun
            insights = sum(record.kind == "insight" for record in scope.records(limit=10**6))
        return Ingested(
            len(runs), sum(len(run.turns) for run in runs), sum(run.size for run in runs),
            path.stat().st_size, seconds, consolidated, insights,
        )  # fmt: skip


# nearest tasks of the same sort ---------------------------------------------------------------


def nearest(runs: Sequence[Run], preset: str) -> dict[str, dict[str, Estimate]]:
    """Recall@k of other runs of the same sort, by system: over what could be found among k."""
    asked = [n for n, run in enumerate(runs) if _same(runs, n)]
    found: dict[str, list[list[int]]] = {}
    place = {run.id: n for n, run in enumerate(runs)}
    embedder = None
    for credit in (True, False):
        lists = found[f"{preset} {'with' if credit else 'without'} credit"] = []
        with Memory.open(preset=preset) as memory:
            scope, embedder = memory.scope("team"), memory.embedder
            for run in runs:
                work(scope, run, outcome=credit)
            scope.consolidate()
            for n in asked:
                hits = scope.recall(runs[n].goal, k=max(KS) + 1, levels=TASK)
                lists.append(_tasks_of(hits, place, scope))
    for name, order in _rankers(runs, embedder).items():
        found[name] = [order(n, None) for n in asked]
    return _scored(found, runs, asked)


def _tasks_of(hits: Iterable[Hit], place: Mapping[str, int], scope: Scope) -> list[int]:
    """The places of the tasks that hits are of, or whose turns they rest on, each once."""
    order: dict[int, None] = {}
    for hit in hits:
        turns = [] if hit.record.task else map(scope.get, hit.sources)
        names = [hit.record.task, *(turn.task for turn in turns if turn is not None)]
        order |= {place[name]: None for name in names if name is not None and name in place}
    return list(order)


def _same(runs: Sequence[Run], n: int) -> set[int]:
    return {
        m for m, run in enumerate(runs)
        if m != n and run.sort is not None and run.sort == runs[n].sort
    }  # fmt: skip


def _rankers(
    runs: Sequence[Run], embedder: Embedder | None
) -> dict[str, Callable[[int, int | None], list[int]]]:
    """Plain rankings of goals: places of runs for the goal of one, of those before another."""
    spoken = tuple(Spoken(str(n), run.goal, run.goal, n) for n, run in enumerate(runs))
    log = Log(spoken, stream=True)
    readers = {"bm25": Bm25().read(log)}
    if embedder is not None:
        readers["dense"] = Dense(embedder).read(log)

    def order(name: str) -> Callable[[int, int | None], list[int]]:
        def ranked(n: int, before: int | None) -> list[int]:
            ask = Ask(runs[n].goal, as_of=len(runs) if before is None else before)
            return [int(found) for found in readers[name].search(ask, len(runs))]

        return ranked

    return {name: order(name) for name in readers}


def _scored(
    found: Mapping[str, Sequence[Sequence[int]]], runs: Sequence[Run], asked: Sequence[int]
) -> dict[str, dict[str, Estimate]]:
    """Each system's recall@k, and its gain over the last one, paired, with intervals."""
    draws = Resamples(asked)
    rows: dict[str, np.ndarray[tuple[int, int], np.dtype[np.float64]]] = {}
    for name, lists in found.items():
        made = np.zeros((len(asked), len(KS)))
        for row, n, places in zip(made, asked, lists, strict=True):
            same, others = _same(runs, n), [place for place in places if place != n]
            for column, k in enumerate(KS):
                row[column] = len(same.intersection(others[:k])) / min(k, len(same))
        rows[name] = made
    base = rows[list(rows)[-1]]
    told: dict[str, dict[str, Estimate]] = {}
    for name, values in rows.items():
        own, gain = draws.estimates(values), draws.estimates(values - base)
        told[name] = {f"recall@{k}": one for k, one in zip(KS, own, strict=True)}
        told[name] |= {f"gain@{k}": one for k, one in zip(KS, gain, strict=True)}
    return told


# a stream, with and without credit ------------------------------------------------------------


def replayed(
    runs: Sequence[Run], preset: str, step: Callable[[str], None] | None = None
) -> dict[str, dict[str, Estimate]]:
    """What each run would have been shown when it began: shares of the first few tasks.

    "same": of its own sort; "solved": that ended well; "both". With credit the outcome of each run
    is said afterwards, without it none ever is. Gains are over vectors alone, or BM25 without them.
    """
    tell = step or (lambda _: None)
    asked = [n for n in range(SHOWN, len(runs)) if runs[n].good is not None]
    found: dict[str, list[list[int]]] = {}
    embedder = None
    for credit in (True, False):
        name = f"{preset} {'with' if credit else 'without'} credit"
        tell(name)
        place = {run.id: n for n, run in enumerate(runs)}
        with Memory.open(preset=preset) as memory:
            scope, embedder = memory.scope("team"), memory.embedder
            lists = []
            for run in runs:
                with scope.task(run.goal, id=run.id) as task:
                    shown = task.recall(run.goal, k=SHOWN + 1, levels=TASK)
                    lists.append(_tasks_of(shown, place, scope))
                work(scope, run, outcome=credit)
                scope.consolidate()
            found[name] = [[m for m in lists[n] if m != n][:SHOWN] for n in asked]
    for name, order in _rankers(runs, embedder).items():
        found[name] = [order(n, n)[:SHOWN] for n in asked]
    return _shares(found, runs, asked)


def _shares(
    found: Mapping[str, Sequence[Sequence[int]]], runs: Sequence[Run], asked: Sequence[int]
) -> dict[str, dict[str, Estimate]]:
    draws = Resamples(asked)
    rows = {}
    for name, lists in found.items():
        made = np.zeros((len(asked), 3))
        for at, (n, places) in enumerate(zip(asked, lists, strict=True)):
            for place in places:
                same = runs[place].sort == runs[n].sort
                good = (runs[place].good or 0.0) >= GOOD
                made[at] += np.array([same, good, same and good]) / SHOWN
        rows[name] = made
    base = rows[list(rows)[-1]]
    told: dict[str, dict[str, Estimate]] = {}
    for name, values in rows.items():
        own, gain = draws.estimates(values), draws.estimates(values - base)
        told[name] = dict(zip(("same", "solved", "both"), own, strict=True))
        told[name] |= dict(zip(("gain same", "gain solved", "gain both"), gain, strict=True))
    return told


# within a task --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Working:
    """What contexts within tasks hold: tokens beside those of all that was said until then.

    `last` and `acted` are the shares of contexts that show the latest turn, and the latest action.
    """

    contexts: int
    tokens: float
    whole: float
    last: float
    acted: float


def working(runs: Sequence[Run], preset: str, budget: int, every: int = 4) -> Working:
    """Contexts for the goal at every few steps of each task, where not all that was said fits."""
    rows: list[tuple[float, float, float, float]] = []
    for run in runs:
        with Memory.open(preset=preset) as memory:
            scope = memory.scope("team")
            with scope.task(run.goal, id=run.id) as task:
                whole, acted = tokens(run.goal), None
                for step, turn in enumerate(run.turns, 1):
                    task.remember(turn)
                    said = (turn.text, turn.action or "", turn.observation or "")
                    whole += sum(map(tokens, said))
                    acted = turn.id if turn.action else acted
                    if step % every == 0:
                        scope.consolidate()
                    if step % every != every - 1 or whole <= budget:
                        continue
                    found = task.context(run.goal, budget=budget)
                    shown = {hit.record.turn for hit in found.hits}
                    rows.append(
                        (found.tokens, whole, turn.id in shown, acted is None or acted in shown)
                    )
    if not rows:
        return Working(0, 0.0, 0.0, 0.0, 0.0)
    return Working(len(rows), *np.mean(np.array(rows, np.float64), axis=0).tolist())


# speed ----------------------------------------------------------------------------------------


def made_up(count: int, seed: int = 0, steps: int = 4) -> list[Run]:
    """Household tasks that nobody has done."""
    draw = random.Random(seed)  # noqa: S311 - to be drawn again, no secret
    made = []
    for n in range(count):
        thing = f"{draw.choice(_LOOKS)} {draw.choice(_THINGS)}"
        place, name = draw.choice(_PLACES), f"job {n}"
        acts = [f"go to {draw.choice(_PLACES)}", f"take {thing}", f"go to {place}", f"put {thing}"]
        turns = tuple(
            Turn(
                id=f"{name}.{i}", text=f"I {act}", actor="solver", step=i, action=act,
                upstream=(f"{name}.{i - 1}" if i else name,),
            )
            for i, act in enumerate(acts[:steps])
        )  # fmt: skip
        goal = f"{draw.choice(_VERBS)} a {thing} in the {place}"
        made.append(Run(name, goal, turns, float(draw.random() < 0.7), None))
    return made


def timed(
    count: int, preset: str, *, steps: int = 4, asked: int = 100,
    step: Callable[[str], None] | None = None,
) -> dict[str, tuple[float, float]]:  # fmt: skip
    """Median and 95 % of milliseconds that a new task waits for, among so many that have ended.

    Beside it the same goals asked of the same turns under the preset `flat`.
    """
    tell = step or (lambda _: None)
    runs, fresh = made_up(count, steps=steps), made_up(asked, seed=1)
    told: dict[str, tuple[float, float]] = {}
    with Memory.open(preset=preset) as memory, Memory.open(preset="flat") as plain:
        scope, beside = memory.scope("team"), plain.scope("team")
        tell(f"{count:,} tasks are worked on")
        for run in runs:
            work(scope, run)
            beside.remember_many([Turn(id=run.id, text=run.goal), *run.turns])
        tell("they are learnt from")
        begun = time.perf_counter()
        scope.consolidate()
        told["consolidating, s"] = (time.perf_counter() - begun, 0.0)
        asks: dict[str, Callable[[str], object]] = {
            "tasks": lambda goal: scope.recall(goal, levels=TASK),
            "insights and trajectories": scope.recall,
            "with a role": lambda goal: scope.recall(goal, role="solver"),
            "flat": beside.recall,
        }
        times: dict[str, list[float]] = {name: [] for name in asks}
        for ask in asks.values():
            ask(runs[0].goal)
        for run in fresh:
            for name, ask in asks.items():
                begun = time.perf_counter()
                ask(run.goal)
                times[name].append(1000 * (time.perf_counter() - begun))
    for name, taken in times.items():
        told[name] = (statistics.median(taken), float(np.quantile(taken, 0.95)))
    return told
