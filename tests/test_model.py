"""The whole face in any order, through two handles on one file, beside a plain model of it."""

from __future__ import annotations

import io
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from stepwell import Add, Filter, Kind, Memory, Record, Turn, errors, hookimpl
from stepwell.testing import FakeClock

START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
SCOPES = (("a",), ("a", "b"), ("A",))
SESSIONS = ("s1", "s2", None)
SAID = ("I live in {}.", "The meeting with {} is on Monday.", "{} wants sun and water.", "{}?")
OPTIONS = ({"embedder": None}, {}, {"embedder": None, "plugins": ["redact"]})

which = st.sampled_from(SCOPES)
handle = st.integers(0, 1)


class Noter:
    """A plugin that is there in some processes and not in others: a note of what was said last."""

    name = "noter"

    @hookimpl
    def extract(self, trace, view):
        note = Record(
            id="@note", scope=view.scope, level=2, kind=Kind.SUMMARY, stored_at=view.now,
            text=f"They said: {trace.text[-40:]}",
        )  # fmt: skip
        return [Add(record=note, sources=[trace.id])]

    @hookimpl
    def refine(self, hits, plan, view):
        return sorted(hits, key=lambda hit: hit.record.id)


class Town:
    """What one scope should hold."""

    def __init__(self) -> None:
        self.turns: dict[str, tuple[str, str | None]] = {}
        self.gone: set[str] = set()
        self.words: set[str] = set()  # … that must be nowhere
        self.documents: dict[str, int] = {}
        self.slot = ""
        self.tasks: dict[str, float | None] = {}
        self.story: list[tuple[datetime, dict[str, str]]] = []  # what it held, and when


class Face(RuleBasedStateMachine):
    """Each rule is a verb, on the memory and on the model."""

    @initialize(option=st.sampled_from(range(len(OPTIONS))))
    def begin(self, option: int) -> None:
        # In memory, where that can be had: this is about what verbs do, not about disks.
        quick = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(dir=quick if quick.is_dir() else None))
        self.option = OPTIONS[option]
        self.clock = FakeClock(START)
        self.towns = {path: Town() for path in SCOPES}
        self.number = 0
        self.memories = [self.opened(), self.opened(noter=True)]
        self.exports = []

    def opened(self, noter: bool = False) -> Memory:
        option = {**self.option}
        if noter:
            option["plugins"] = [*option.get("plugins", ()), Noter()]
        return Memory.open(self.folder / "a.db", clock=self.clock, **option)

    def scope(self, at: int, path: tuple[str, ...]):
        return self.memories[at].scope(*path)

    def fresh(self, shape: int) -> tuple[str, str]:
        """A new id, and a text with a word that stands nowhere else."""
        self.number += 1
        return f"t{self.number}", SAID[shape % len(SAID)].format(f"Zq{self.number}x")

    # taking in

    @rule(at=handle, path=which, shape=st.integers(0, 3), session=st.sampled_from(SESSIONS),
          back=st.integers(0, 90))  # fmt: skip
    def remember(self, at, path, shape, session, back):
        name, text = self.fresh(shape)
        said = self.clock.now() - timedelta(days=back)
        receipt = self.scope(at, path).remember(text, id=name, session=session, at=said, actor="A")
        assert receipt.stored == (name,)
        self.towns[path].turns[name] = (text, session)

    @rule(at=handle, path=which, count=st.integers(0, 12), session=st.sampled_from(SESSIONS))
    def remember_many(self, at, path, count, session):
        fresh = [self.fresh(n) for n in range(count)]
        turns = [Turn(id=name, text=text, session=session) for name, text in fresh]
        assert self.scope(at, path).remember_many(turns).stored == tuple(n for n, _ in fresh)
        self.towns[path].turns |= {name: (text, session) for name, text in fresh}

    @rule(at=handle, path=which, data=st.data())
    def send_again(self, at, path, data):
        town = self.towns[path]
        if not town.turns and not town.gone:
            return
        name = data.draw(st.sampled_from(sorted(town.turns.keys() | town.gone)))
        receipt = self.scope(at, path).remember("another text", id=name)
        assert not receipt.stored
        assert receipt.skipped[0].reason == ("forgotten" if name in town.gone else "conflict")

    @rule(at=handle, path=which, data=st.data())
    def revise(self, at, path, data):
        town = self.towns[path]
        if town.turns:
            name = data.draw(st.sampled_from(sorted(town.turns)))
            _, text = self.fresh(0)
            self.scope(at, path).revise(name, text)
            town.turns[name] = (text, town.turns[name][1])

    @rule(at=handle, path=which, key=st.sampled_from("xy"), value=st.integers(0, 9))
    def put(self, at, path, key, value):
        self.scope(at, path).documents.put(("n",), key, {"value": value})
        self.towns[path].documents[key] = value

    @rule(at=handle, path=which, key=st.sampled_from("xy"))
    def delete(self, at, path, key):
        self.scope(at, path).documents.delete(("n",), key)
        self.towns[path].documents.pop(key, None)

    @rule(at=handle, path=which, value=st.sampled_from(["one", "two"]))
    def set_slot(self, at, path, value):
        self.scope(at, path).set_slot("profile", value)
        self.towns[path].slot = value

    @rule(at=handle, path=which, value=st.sampled_from([None, 0.0, 1.0]))
    def work_on(self, at, path, value):
        name, text = self.fresh(1)
        with self.scope(at, path).task(text, id=name) as task:
            task.recall("meeting", k=2)
            if value is not None:
                task.outcome(value)
        town = self.towns[path]
        town.turns[name], town.tasks[name] = (text, None), value

    # taking away

    def take(self, path, names):
        town = self.towns[path]
        for name in names:
            text, _ = town.turns.pop(name)
            town.gone.add(name)
            town.tasks.pop(name, None)
            town.words |= {w.strip(".?") for w in text.split() if w.startswith("Zq")}

    @rule(at=handle, path=which, data=st.data())
    def forget(self, at, path, data):
        town = self.towns[path]
        if town.turns:
            names = data.draw(st.lists(st.sampled_from(sorted(town.turns)), min_size=1, unique=True,
                                       max_size=4))  # fmt: skip
            assert self.scope(at, path).forget(names).turns == len(names)
            self.take(path, names)

    @rule(at=handle, path=which, session=st.sampled_from(["s1", "s2"]))
    def forget_session(self, at, path, session):
        names = [n for n, (_, s) in self.towns[path].turns.items() if s == session]
        receipt = self.scope(at, path).forget(where=Filter(session=session, level=0))
        assert receipt.turns == len(names)
        self.take(path, names)

    @rule(at=handle, path=which)
    def forget_what_is_unknown(self, at, path):
        try:
            self.scope(at, path).forget("nobody")
        except errors.UnknownRecord:
            return
        raise AssertionError("it should have been refused")

    @rule(at=handle, path=which)
    def erase(self, at, path):
        self.scope(at, path).erase()
        self.towns[path] = Town()

    # deriving

    @rule(at=handle, path=which)
    def consolidate(self, at, path):
        report = self.scope(at, path).consolidate()
        assert report.ok, report.parked

    @rule(at=handle, path=which)
    def rebuild(self, at, path):
        report = self.scope(at, path).rebuild()
        assert report.ok, report.parked

    @rule(at=handle)
    def compact(self, at):
        self.memories[at].compact()

    @rule(at=handle, noter=st.booleans())
    def reopen(self, at, noter):
        self.memories[at].close()
        self.memories[at] = self.opened(noter)

    # out and in again

    @rule(at=handle, path=which)
    def export(self, at, path):
        to = io.StringIO()
        assert self.scope(at, path).export(to).ok
        town = self.towns[path]
        assert not any(word in to.getvalue() for word in town.words)
        held = dict(town.turns), dict(town.documents), town.slot, dict(town.tasks)
        self.exports = [*self.exports[-5:], (path, to.getvalue(), held)]

    @rule(at=handle, data=st.data())
    def import_(self, at, data):
        if not self.exports:
            return
        path, text, (turns, documents, slot, tasks) = data.draw(st.sampled_from(self.exports))
        town, scope = self.towns[path], self.scope(at, path)
        report = scope.import_(io.StringIO(text))
        back = {name: said for name, said in turns.items() if name not in town.gone}
        assert report.counts["turns"] == len(back.keys() - town.turns.keys())
        town.turns = {**back, **town.turns}
        town.story = []  # what comes back was stored when it was stored first
        # What is there stays; what is not comes back, but for what rests on something forgotten.
        kept = {d.key: d.value["value"] for d in scope.documents.search(("n",))}
        assert town.documents.items() <= kept.items() <= {**documents, **town.documents}.items()
        town.documents = kept
        assert scope.slot("profile").text in (town.slot or slot, town.slot)
        town.slot = scope.slot("profile").text
        now = {task.id: task.value for task in scope.tasks()}
        assert town.tasks.items() <= now.items() <= {**tasks, **town.tasks}.items()
        town.tasks = now

    @rule(hours=st.integers(1, 100))
    def wait(self, hours):
        self.clock.advance(timedelta(hours=hours))

    # asking

    @rule(at=handle, path=which, query=st.sampled_from(["live", "meeting Monday", "Zq3x", "?"]),
          levels=st.sampled_from([(0,), (0, 1, 2, 3)]))  # fmt: skip
    def recall(self, at, path, query, levels):
        town, scope = self.towns[path], self.scope(at, path)
        recall = scope.recall(query, k=50, levels=levels)
        for hit in recall:
            assert set(hit.sources) <= town.turns.keys()
            if hit.record.level == 0:
                assert hit.record.text == town.turns[hit.record.turn][0]
        scope.feedback(recall)
        context = scope.context(query, budget=200)
        assert context.tokens <= 200
        told = context.text + "".join(hit.text for hit in recall)
        assert not any(word in told for word in town.words)

    @rule(at=handle, path=which, days=st.integers(0, 90))
    def look_back(self, at, path, days):
        town = self.towns[path]
        past = self.scope(at, path).at(self.clock.now() - timedelta(days=days))
        for hit in past.recall("live meeting", k=20):
            assert set(hit.sources) <= town.turns.keys()
            assert not any(word in hit.text for word in town.words)

    @rule(at=handle, path=which)
    def remember_the_moment(self, at, path):
        town = self.towns[path]
        town.story.append(
            (self.clock.now(), {name: said for name, (said, _) in town.turns.items()})
        )

    @rule(at=handle, path=which, data=st.data())
    def look_back_to_a_moment(self, at, path, data):
        town = self.towns[path]
        if town.story:
            when, held = data.draw(st.sampled_from(town.story))
            past = self.scope(at, path).at(when, known=when)
            for name in town.turns:
                record = past.get(name)
                assert (record and record.text) == held.get(name)
            assert past.count(Filter(level=0)) == len(held.keys() & town.turns.keys())

    # what is always true

    @invariant()
    @precondition(lambda self: hasattr(self, "memories"))
    def all_is_there(self):
        for path, town in self.towns.items():
            for memory in self.memories:
                scope = memory.scope(*path)
                held = {r.turn: r.text for r in scope.records(Filter(level=0), limit=10_000)}
                assert held == {name: text for name, (text, _) in town.turns.items()}
                documents = scope.documents.search(("n",))
                assert {d.key: d.value["value"] for d in documents} == town.documents
                assert scope.slot("profile").text == town.slot
                assert {t.id: t.value for t in scope.tasks()} == town.tasks
                derived = scope.records(~Filter(level=0), limit=10_000)
                assert not any(word in r.text for word in town.words for r in derived)

    def teardown(self):
        if hasattr(self, "memories"):
            try:
                report = self.memories[0].check()
                assert report.ok, report.problems
            finally:
                for memory in self.memories:
                    memory.close()
                held = b"".join(path.read_bytes() for path in self.folder.iterdir())
                shutil.rmtree(self.folder)
            for town in self.towns.values():
                assert not any(word.encode() in held for word in town.words)


def lived(days: int, steps: int) -> None:
    """So many days of so many verbs each."""
    settled = settings(
        max_examples=days, stateful_step_count=steps, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(Face, settings=settled)


def test_all_verbs_in_any_order_are_as_the_model_says():
    lived(days=25, steps=30)
