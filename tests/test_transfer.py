"""What a scope holds goes into a file and comes out of it the same, and nothing forgotten does."""

import io
import json
import os
import signal
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from moving import (
    NOON,
    WORDS,
    apply,
    derived,
    exported,
    imported,
    lines,
    live,
    steps,
    turns,
)

from stepwell import (
    Edge,
    EdgeKind,
    Filter,
    Kind,
    Memory,
    Supersede,
    Turn,
    hookimpl,
)
from stepwell.errors import InvalidFilter
from stepwell.ops import Hide, Link, SetState
from stepwell.testing.fakes import HashingEmbedder


@settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)  # fmt: skip
@given(st.lists(turns, min_size=1, max_size=12), steps, st.sampled_from([None, 16]))
def test_a_scope_that_went_through_a_file_is_the_same(said, story, dimension):
    embedder = HashingEmbedder(dimension) if dimension else None
    with (
        Memory.open(":memory:", embedder=embedder) as one,
        Memory.open(":memory:", embedder=embedder) as two,
    ):
        here, there = one.scope("acme", "alice"), two.scope("acme", "alice")
        live(here, said, story)
        text = exported(here)
        report = imported(there, text)
        assert report.ok, report.problems
        assert exported(there) == text
        assert two.check().ok
        # The vector of a group that is older than the words of its members is made anew.
        whats = [what for what, _, _ in story]
        grouped = min((whats.index(w) for w in ("consolidate", "group") if w in whats), default=9)
        aged = dimension is not None and "revise" in whats[grouped:]
        for query in () if aged else ("ferry to Oslo", "雨", said[0].text):
            # A group that has got later turns stands after these, and so has other neighbours.
            stay = [r.id for r in here.records()] == [r.id for r in there.records()]
            for levels in ((0,), (0, 1, 2, 3))[: 1 + stay]:
                ours, theirs = (s.recall(query, levels=levels, now=NOON) for s in (here, there))
                assert [(h.record.id, h.text) for h in ours] == [
                    (h.record.id, h.text) for h in theirs
                ]
        again = imported(there, text)
        assert again.ok
        assert sum(again.counts.values()) == again.counts["known"]
        assert exported(there) == text
        assert imported(here, text).ok  # where it comes from everything is known
        assert exported(here) == text


def test_everything_that_a_scope_holds_is_in_the_file():
    with Memory.open(":memory:", embedder=None) as memory:
        scope = memory.scope("acme", "alice")
        scope.remember("I moved to Oslo in May.", id="t1", actor="Alice", session="s1", at=NOON)
        scope.remember("Noted.", id="t2", role="assistant", upstream=("t1",))
        fact = derived(scope, "Alice lives in Oslo", "t1")
        with scope.task("book a flight", id="flight") as task:
            task.recall("Oslo")
            task.outcome(1.0)
        scope.set_slot("profile", "Alice, Oslo", sources=("t1",))
        scope.documents.put(("notes",), "a", {"n": 1})
        text = exported(scope)
        (header, *_, end) = map(json.loads, text.splitlines())
        assert header == {
            "stepwell": "export",
            "version": 1,
            "scope": ["acme", "alice"],
            "preset": "default",
        }
        assert end == {"end": {"turns": 3, "derived": 2, "slots": 1, "documents": 1}}
        by_id = {line["id"]: line for line in lines(text, "turn")}
        assert by_id["t1"]["said_at"] == NOON.isoformat()
        assert by_id["t2"]["edges"] == [{"kind": "next", "of": "t1"}]
        assert by_id["t1"]["usage"]["success"] == 1.0
        kinds = {line["kind"]: line for line in lines(text, "record")}
        assert kinds["fact"]["id"] == fact
        assert kinds["task"]["payload"] == {"outcome": 1.0}
        assert {"kind": "mentions", "to": "t1", "weight": 2.0} in kinds["task"]["edges"]
        assert lines(text, "slot")[0]["text"] == "Alice, Oslo"
        assert lines(text, "document")[0]["value"] == {"n": 1}


def test_work_that_was_queued_is_done_after_the_import():
    with (
        Memory.open(":memory:", embedder=None) as one,
        Memory.open(":memory:", embedder=None) as two,
    ):
        here, there = one.scope("a"), two.scope("a")
        said = [
            Turn(id=f"t{i}", text=f"{WORDS[i % 4]} and {WORDS[i % 3]} {i}", session="s")
            for i in range(30)
        ]
        here.remember_many(said[:20])
        here.consolidate()
        here.remember_many(said[20:])
        imported(there, exported(here))
        held = there.count(~Filter(level=0))
        for scope in (here, there):
            scope.consolidate()
        assert there.count(~Filter(level=0)) > held
        told = [
            [(r.level, r.kind, r.text) for r in s.records(~Filter(level=0))] for s in (here, there)
        ]
        assert sorted(told[0]) == sorted(told[1])


# forgetting ---------------------------------------------------------------------------------------


def test_what_was_forgotten_does_not_come_back_from_an_older_export():
    with Memory.open(":memory:", embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember("the vault code is quokka7788", id="t1")
        scope.remember("the ferry leaves at noon", id="t2")
        old = scope.get("t2").id
        derived(scope, "the code is quokka7788", "t1")
        both = derived(scope, "quokka7788 at noon", "t1", "t2", kind=Kind.TRACE, contains=True)
        lone = derived(scope, "noon it is", "t2")
        apply(scope, Supersede(id="t1", replaces="t2"))
        edge = Edge(
            source="t2", kind=EdgeKind.RELATED, target="t2", label="as quokka7788", sources=("t1",)
        )
        apply(scope, Link(edge=edge))
        scope.set_slot("profile", "knows quokka7788", sources=("t1",))
        text = exported(scope)
        scope.forget("t1")
        scope.forget(lone)
        now = exported(scope)
        assert "quokka7788" not in now
        report = imported(scope, text)
        assert report.ok
        assert (
            report.counts["forgotten"] == 4
        )  # the turn, what rests on it alone, the other fact, and the slot
        assert exported(scope) == now
        assert scope.get("t2").id == old
        assert scope.get("t2").status == "active"
        assert scope.get(both).status == "stale"
        scope.consolidate()
        assert "quokka7788" not in exported(scope)


def test_what_was_forgotten_elsewhere_leaves_what_it_had_superseded():
    with (
        Memory.open(":memory:", embedder=None) as one,
        Memory.open(":memory:", embedder=None) as two,
    ):
        here, there = one.scope("a"), two.scope("a")
        here.remember("I live in Bergen", id="t1")
        here.remember("I live in Oslo", id="t2")
        apply(here, Supersede(id="t2", replaces="t1"))
        there.remember("whatever", id="t2")
        there.forget("t2")
        report = imported(there, exported(here))
        assert report.counts["forgotten"] == 1
        assert there.get("t1").status == "active"
        assert there.get("t1").valid_to is None


def test_rebuilding_and_importing_an_older_export_doubles_nothing():
    with Memory.open(":memory:", embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember_many(
            Turn(text=f"{WORDS[i % 4]} and bread {i}", session="s") for i in range(20)
        )
        scope.consolidate()
        text = exported(scope)
        scope.rebuild()
        count = scope.count()
        assert imported(scope, text).ok
        assert scope.count() == count


# what differs here --------------------------------------------------------------------------------


def test_a_turn_with_the_id_of_another_is_a_conflict_and_nothing_is_lost():
    with (
        Memory.open(":memory:", embedder=None) as one,
        Memory.open(":memory:", embedder=None) as two,
    ):
        here, there = one.scope("a"), two.scope("a")
        here.remember("I live in Bergen", id="t1")
        derived(here, "Bergen it is", "t1")
        there.remember("I live in Oslo", id="t1")
        report = imported(there, exported(here))
        assert report.counts["conflicts"] == 1
        assert report.counts["refused"] == 1  # what rests on the other text
        assert [p.where for p in report.problems] == ["line 2", "line 3"]
        assert "Bergen" not in repr(report)
        assert [r.text for r in there.records()] == ["I live in Oslo"]


class Redacts:
    @hookimpl
    def screen_turns(self, turns, view):
        return [
            turn.model_copy(update={"text": turn.text.replace("4711", "[pin]")}) for turn in turns
        ]


def test_screening_plugins_see_imported_turns_and_nothing_slips_past_them():
    with (
        Memory.open(":memory:", embedder=None) as one,
        Memory.open(":memory:", embedder=None, plugins=[Redacts()]) as two,
    ):
        here, there = one.scope("a"), two.scope("a")
        here.remember("the pin is 4711", id="t1")
        here.remember("the ferry leaves", id="t2")
        derived(here, "4711 is the pin", "t1")
        derived(here, "a ferry leaves", "t2")
        here.set_slot("profile", "pin 4711", sources=("t1",))
        text = exported(here)
        for _ in range(2):
            report = imported(there, text)
            assert report.counts["refused"] == 2
            assert "4711" not in exported(there)
            assert there.get("t1").text == "the pin is [pin]"
            assert there.count(~Filter(level=0)) == 1


def test_states_ids_and_times_are_kept_in_a_scope_of_another_name():
    with (
        Memory.open(":memory:", embedder=None) as one,
        Memory.open(":memory:", embedder=None) as two,
    ):
        here, there = one.scope("a"), two.scope("b", "c")
        here.remember_many([Turn(id=f"t{i}", text=f"said {i}") for i in range(3)])
        apply(here, Hide(id="t0"), SetState(id="t1", status="quarantined", trust=0.25))
        imported(there, exported(here))
        for name in ("t0", "t1", "t2"):
            ours, theirs = here.get(name), there.get(name)
            assert theirs == ours.model_copy(update={"scope": ("b", "c")})
        assert [h.record.turn for h in there.recall("said")] == ["t2"]


def test_a_filter_picks_turns_and_what_rests_on_nothing_else():
    with (
        Memory.open(":memory:", embedder=None) as one,
        Memory.open(":memory:", embedder=None) as two,
    ):
        here, there = one.scope("a"), two.scope("a")
        here.remember_many(
            [Turn(id=f"t{i}", text=f"said {i}", session=f"s{i % 2}") for i in range(4)]
        )
        kept = derived(here, "of both", "t0", "t2")
        derived(here, "of one and another", "t0", "t1")
        here.set_slot("profile", "left here")
        text = exported(here, where=Filter(session="s0"))
        assert imported(there, text).ok
        assert [r.turn or r.id for r in there.records()] == ["t0", "t2", kept]
        assert not there.slots()
        with pytest.raises(InvalidFilter):
            here.export(io.StringIO(), where="s0")


# cut short ----------------------------------------------------------------------------------------

CHILD = """
import sys
from stepwell import Memory
with Memory.open(sys.argv[1], embedder=None) as memory:
    def told(done, of):
        print(done, flush=True)
    memory.scope("a").import_(sys.argv[2], progress=told)
"""


def test_an_import_killed_in_the_middle_and_begun_again_is_the_same_as_once(tmp_path):
    source = tmp_path / "a.jsonl"
    with Memory.open(":memory:", embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember_many(
            Turn(text=f"{WORDS[i % 5]} said {i}", session=f"s{i // 40}") for i in range(3000)
        )
        scope.remember_many(Turn(id=f"t{i}", text="…") for i in range(5))
        scope.feedback("t1", 1.0)
        for i in range(5):
            derived(scope, f"made {i}", f"t{i}")
        scope.export(source)
    whole = source.read_text(encoding="utf-8")
    for kill_after in (1, 3):
        path = tmp_path / f"{kill_after}.db"
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), str(source)], stdout=subprocess.PIPE
        )
        for _ in range(kill_after):
            child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        with Memory.open(path, embedder=None) as memory:
            scope = memory.scope("a")
            assert 0 < scope.count() < 3010
            assert memory.check().ok
            report = scope.import_(source)
            assert report.ok
            assert report.counts["known"] > 0
            assert exported(scope) == whole
            assert memory.check().ok
