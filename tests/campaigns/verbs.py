"""Every public verb that touches the store, on a scope that holds something of everything."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from stepwell import Filter, Memory, Scope, Turn
from stepwell.testing import FakeClock, HashingEmbedder

#: A word that stands in everything remembered, and in no error.
SECRET = "quokka7788"
WHEN = datetime(2026, 3, 1, 12, tzinfo=UTC)
#: How a verb is whole: it changes nothing, or it is one transaction, or several that may be made
#: again, or what stood before it is of no use after it.
READS, ONE, MANY = "reads", "one transaction", "several transactions"


def opened(path: Path, **options: Any) -> Memory:
    """The store, always with the same clock, seed and embedder."""
    options = {"embedder": HashingEmbedder(8), **options}
    still = FakeClock(WHEN, timedelta(0))
    return Memory.open(path, clock=still, seed=1, discover=False, **options)


def said(name: str, number: int) -> Turn:
    """A turn with words of its own."""
    words = ("moved to Oslo", "ferry at noon", "roses want sun", "meeting on Monday", "red canoe")
    return Turn(
        id=name, text=f"{SECRET} {words[number % 5]} {number}", session=f"s{number // 3}",
        actor="AB"[number % 2], at=WHEN - timedelta(hours=40 - number),
    )  # fmt: skip


def furnish(path: Path) -> None:
    """A file with something of everything: levels, a queue, slots, documents, tasks, tombstones."""
    with opened(path) as memory:
        scope = memory.scope("a")
        scope.remember_many([said(f"t{n}", n) for n in range(6)])
        scope.consolidate()
        scope.remember_many([said(f"t{n}", n) for n in range(6, 9)])
        scope.revise("t3", f"{SECRET} the ferry leaves at one")
        scope.set_slot("profile", f"{SECRET} lives in Oslo")
        scope.documents.put(("notes", "b"), "k1", {"text": f"{SECRET} a note"})
        scope.documents.put(("notes",), "k2", {"text": f"{SECRET} another"})
        with scope.task(f"{SECRET} book a boat", id="job") as task:
            task.remember(f"{SECRET} the canoe is free", id="j1")
        scope.feedback("t1", 1.0)
        scope.forget("t5")
        memory.scope("b").remember(f"{SECRET} next door", id="n1")
    bigger = path.with_name("export.jsonl")
    with opened(path) as memory:
        memory.scope("a").export(bigger)


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb as it is called, and how it is whole. `told` is what its answer is compared by."""

    name: str
    whole: str
    call: Callable[[Memory, Scope, Path], Any]


def _hits(found: Any) -> Any:
    return [(hit.record.id, hit.score) for hit in found], found.degraded


def _tracked(memory: Memory, scope: Scope, folder: Path) -> Any:
    """What was shown waits in memory, and is counted with the next write."""
    scope.recall("ferry", k=2, track=True)
    return scope.remember(said("new", 11))


def _task(memory: Memory, scope: Scope, folder: Path) -> None:
    with scope.task(f"{SECRET} buy a kayak", id="second") as task:
        task.remember(f"{SECRET} the shop opens at nine", id="j2")
        task.recall("shop")
        task.outcome(0.5)


def _import(memory: Memory, scope: Scope, folder: Path) -> None:
    memory.scope("c").import_(folder / "export.jsonl")


def _export(memory: Memory, scope: Scope, folder: Path) -> Any:
    to = io.StringIO()
    scope.export(to)
    return to.getvalue()


def _backup(memory: Memory, scope: Scope, folder: Path) -> Any:
    copy = folder / "copy.db"
    for path in folder.glob("copy.db*"):
        path.unlink()
    memory.backup(copy)
    return copy.exists()


def _open(memory: Memory, scope: Scope, folder: Path) -> Any:
    with opened(folder / "other.db") as other:
        return other.scope("a").remember(f"{SECRET} hello", id="h").stored


def _join(memory: Memory, scope: Scope, folder: Path) -> Any:
    with opened(Path(memory.path)) as other:
        return other.scope("a").count()


VERBS = (
    Verb("recall", READS, lambda m, s, f: _hits(s.recall("When does the ferry leave?"))),
    Verb("recall of levels", READS,
         lambda m, s, f: _hits(s.recall("ferry", levels=(0, 1, 2, 3), where=Filter(actor="A")))),
    Verb("recall of before", READS,
         lambda m, s, f: _hits(s.at(WHEN, known=WHEN).recall("Oslo"))),
    Verb("context", READS, lambda m, s, f: s.context("Where is the canoe?", budget=60).text),
    Verb("explain", READS, lambda m, s, f: repr(s.explain("t1", "Oslo"))),
    Verb("get", READS, lambda m, s, f: s.get("t2")),
    Verb("records", READS, lambda m, s, f: s.records(Filter(actor="B"))),
    Verb("count", READS, lambda m, s, f: s.count()),
    Verb("tree", READS, lambda m, s, f: len(s.tree())),
    Verb("history", READS, lambda m, s, f: s.history("t3")),
    Verb("stats", READS, lambda m, s, f: s.stats()),
    Verb("usage", READS, lambda m, s, f: s.usage("t1")),
    Verb("slots", READS, lambda m, s, f: s.slots()),
    Verb("tasks", READS, lambda m, s, f: [(t.id, t.value) for t in s.tasks()]),
    Verb("documents.get", READS, lambda m, s, f: s.documents.get(("notes",), "k2")),
    Verb("documents.list", READS, lambda m, s, f: s.documents.list(("notes",))),
    Verb("documents.search", READS, lambda m, s, f: s.documents.search((), query="note")),
    Verb("namespaces", READS, lambda m, s, f: s.documents.namespaces()),
    Verb("scopes", READS, lambda m, s, f: m.scopes()),
    Verb("check", READS, lambda m, s, f: m.check().ok),
    Verb("export", READS, _export),
    Verb("backup", READS, _backup),
    Verb("reopening", READS, _join),
    Verb("opening", READS, _open),
    Verb("remember", ONE, lambda m, s, f: s.remember(said("new", 11))),
    Verb("remember after recall", ONE, _tracked),
    Verb("remember elsewhere", ONE, lambda m, s, f: m.scope("d").remember(said("new", 11))),
    Verb("remember_many", ONE,
         lambda m, s, f: s.remember_many([said(f"n{n}", n) for n in range(12, 17)])),
    Verb("remember_history", ONE,
         lambda m, s, f: s.remember_history(
             [Turn(text=f"{SECRET} h{n}", session="h") for n in range(3)])),
    Verb("revise", ONE, lambda m, s, f: s.revise("t2", f"{SECRET} said otherwise")),
    Verb("forget", ONE, lambda m, s, f: s.forget("t1")),
    Verb("forget where", ONE, lambda m, s, f: s.forget(where=Filter(session="s1"))),
    Verb("erase", ONE, lambda m, s, f: s.erase()),
    Verb("feedback", ONE, lambda m, s, f: s.feedback(["t2", "t7"], 0.5)),
    Verb("set_slot", ONE, lambda m, s, f: s.set_slot("profile", f"{SECRET} lives in Bergen")),
    Verb("set_slot elsewhere", ONE, lambda m, s, f: m.scope("d").set_slot("a", f"{SECRET} new")),
    Verb("documents.put elsewhere", ONE,
         lambda m, s, f: m.scope("d").documents.put(("a",), "k", {"text": f"{SECRET} new"})),
    Verb("documents.put", ONE,
         lambda m, s, f: s.documents.put(("notes",), "k3", {"text": f"{SECRET} a third"})),
    Verb("documents.put over", ONE,
         lambda m, s, f: s.documents.put(("notes",), "k2", {"text": f"{SECRET} other"})),
    Verb("documents.delete", ONE, lambda m, s, f: s.documents.delete(("notes",), "k2")),
    Verb("task", MANY, _task),
    Verb("consolidate", MANY, lambda m, s, f: s.consolidate()),
    Verb("rebuild", MANY, lambda m, s, f: s.rebuild()),
    Verb("rebuild all", MANY, lambda m, s, f: m.rebuild()),
    Verb("reembed", MANY, lambda m, s, f: m.reembed(HashingEmbedder(8, "other"))),
    Verb("compact", MANY, lambda m, s, f: m.compact()),
    Verb("import_", MANY, _import),
)  # fmt: skip


def state(memory: Memory) -> dict[str, Any]:
    """Everything that a user can see of a file, in words that two runs share."""
    return {"/".join(path): _seen(memory.scope(*path)) for path in memory.scopes()}


def _seen(scope: Scope) -> dict[str, Any]:
    every = scope.records(Filter(status=("active", "superseded", "hidden", "stale")), limit=10**6)
    names = {record.id: record.turn or (record.kind, record.text) for record in every}
    return {
        "records": sorted(
            (str(names[r.id]), r.text, r.version, str(r.status), r.level) for r in every
        ),
        "usage": sorted((str(names[r.id]), str(scope.usage(r.id))) for r in every),
        "slots": [(slot.name, slot.text, slot.version) for slot in scope.slots()],
        "documents": [
            (d.namespace, d.key, str(d.value)) for d in scope.documents.search((), limit=99)
        ],
        "tasks": [(task.id, task.value) for task in scope.tasks()],
    }  # fmt: skip


def asked(memory: Memory) -> list[Any]:
    """What recall answers, so that caches are looked at."""
    return [
        (path, [(h.record.id, h.record.text, round(h.score, 6)) for h in found])
        for path in memory.scopes()
        for scope in [memory.scope(*path)]
        for found in (
            scope.recall("ferry Oslo canoe", k=50),
            scope.recall("roses on Monday", levels=(1, 2, 3)),
        )
    ]
