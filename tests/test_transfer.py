"""What a scope holds goes into a file and comes out of it the same, and nothing forgotten does."""

import io
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stepwell import (
    AsyncMemory,
    Edge,
    EdgeKind,
    Filter,
    Kind,
    Memory,
    Record,
    Supersede,
    Turn,
    hookimpl,
)
from stepwell.errors import ExportFailed, InvalidFilter, InvalidQuery
from stepwell.ops import Add, Hide, Link, SetState
from stepwell.searching import averaged
from stepwell.testing.fakes import HashingEmbedder

NOON = datetime(2026, 5, 17, 12, tzinfo=UTC)
WORDS = [
    "ferry",
    "Oslo",
    "rain",
    "bread",
    "雨が降る",
    "渡船去奥斯陆",
    "naïve",
    "🚢",
    "def f(x):",
    "\u2028",
    "\x01",
]


def exported(scope, **options):
    file = io.StringIO()
    scope.export(file, **options)
    return file.getvalue()


def imported(scope, text, **options):
    return scope.import_(io.StringIO(text), **options)


def lines(text, kind):
    return [said[kind] for said in map(json.loads, text.split("\n")[:-1]) if kind in said]


def apply(scope, *ops):
    engine = scope._engine
    with engine.store.reading() as reader:
        row = reader.scope_of(scope.path)
    return engine.committer.apply(row, ops, strict=True).ids


def derived(scope, text, *sources, kind=Kind.FACT, level=1, contains=False):
    record = Record(id="", scope=scope.path, level=level, kind=kind, text=text, stored_at=NOON)
    with scope._engine.searcher.view(scope.path) as view:
        keys, _ = scope._engine.searcher.keys_of(record, view)
        if contains:
            keys = averaged(view, keys, [view.get(name).id for name in sources])
    (made,) = apply(scope, Add(record=record, keys=keys, sources=sources, contains=contains))
    return made


# the same again -----------------------------------------------------------------------------------

texts = st.one_of(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join),
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20
    ).filter(str.strip),
)
names = st.sampled_from(["Alice", "Bob", "王", 'O"Neil\\', "\u202e"])
times = st.integers(-(10**15), 10**15).map(lambda n: NOON + timedelta(microseconds=n))
payloads = st.dictionaries(
    st.sampled_from(["a", "b ", "雨"]),
    st.one_of(
        st.integers(-(2**60), 2**60),
        st.floats(allow_nan=False, allow_infinity=False),
        st.none(),
        texts,
        st.lists(st.booleans()),
    ),
    max_size=2,
)
turns = st.builds(
    Turn,
    text=texts,
    actor=st.none() | names,
    role=st.none() | st.sampled_from(["user", "tool", "ai"]),
    session=st.none() | st.sampled_from(["s1", "s2", "会"]),
    at=st.none() | times,
    payload=payloads,
    trust=st.none() | st.floats(0, 1),
    step=st.none() | st.integers(-5, 5),
    reward=st.none() | st.floats(-1, 1),
    action=st.none() | texts,
    attachments=st.lists(st.builds(dict, ref=texts, caption=texts), max_size=1).map(tuple),
)


def a_document(scope, one, other, number, text):
    ttl = 9e9 if number % 2 else None
    value = {"v": text, "n": number / 3}
    scope.documents.put((text, "x")[: 1 + number % 2], str(number % 3), value, ttl=ttl)


def a_task(scope, one, other, number, text):
    with scope.task(text + " goal") as task:
        task.recall(text)
        if number % 2:
            task.outcome(0.25)


def an_edge(scope, one, other, number, text):
    edge = Edge(
        source=one.id, kind=EdgeKind.RELATED, target=other.id, weight=number / 7, label=text,
        sources=(other.id,),
    )  # fmt: skip
    apply(scope, Link(edge=edge))


def forgotten(scope, one, other, number, text):
    if scope.count() > 3 and one.level == 0:
        scope.forget(one.id)


def superseded(scope, one, other, number, text):
    if one.id != other.id:
        apply(scope, Supersede(id=one.id, replaces=other.id))


def revised(scope, one, other, number, text):
    if one.level < 2:  # the vector of a group is made of its members again, whatever it says
        scope.revise(one.id, text)


STORY = {
    "revise": revised,
    "supersede": superseded,
    "forget": forgotten,
    "consolidate": lambda scope, *_: scope.consolidate(),
    "feedback": lambda scope, one, other, number, text: scope.feedback(one.id, number % 5 / 4),
    "slot": lambda scope, one, other, number, text: scope.set_slot(
        f"slot {number % 2}", text, sources=(one.turn,) if one.turn else ()
    ),
    "document": a_document,
    "task": a_task,
    "fact": lambda scope, one, other, number, text: derived(scope, text, one.id, level=number % 3),
    "group": lambda scope, one, other, number, text: derived(
        scope, text, one.id, other.id, kind=Kind.CATEGORY, level=2, contains=True
    ),
    "hide": lambda scope, one, *_: apply(scope, Hide(id=one.id)),
    "quarantine": lambda scope, one, *_: apply(scope, SetState(id=one.id, status="quarantined")),
    "link": an_edge,
    "more": lambda scope, one, other, number, text: scope.remember(
        text, upstream=(one.turn,) if one.turn else ()
    ),
}


def live(scope, said, story):
    """A scope with a life behind it."""
    scope.remember_many(said)
    for what, number, text in story:
        held = scope.records(limit=10_000)
        STORY[what](scope, held[number % len(held)], held[number // 7 % len(held)], number, text)
        if not scope.count():
            scope.remember("something is left")


steps = st.lists(
    st.tuples(st.sampled_from(sorted(STORY)), st.integers(0, 10**6), texts), max_size=8
)


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
        for query in ("ferry to Oslo", "雨", said[0].text):
            for levels in ((0,), (0, 1, 2, 3)):
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


# the target ---------------------------------------------------------------------------------------


def test_an_export_never_overwrites_and_is_whole_or_not_there(tmp_path):
    with Memory.open(":memory:", embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember("a text")
        target = tmp_path / "a.jsonl"
        scope.export(target)
        assert target.stat().st_mode & 0o777 == 0o600
        with pytest.raises(ExportFailed, match="never overwrites"):
            scope.export(target)

        def cut(done, of):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            scope.export(tmp_path / "b.jsonl", progress=cut)
        with pytest.raises(ExportFailed):
            scope.export(tmp_path / "no" / "b.jsonl")
        with pytest.raises(ExportFailed):
            scope.export(17)
        with pytest.raises(InvalidQuery):
            scope.export(io.StringIO(), format="xml")
        assert [p.name for p in tmp_path.iterdir()] == ["a.jsonl"]


def test_progress_is_told_to_the_end(tmp_path):
    with (
        Memory.open(":memory:", embedder=None) as one,
        Memory.open(":memory:", embedder=None) as two,
    ):
        here, there = one.scope("a"), two.scope("a")
        here.remember_many(Turn(text=f"said {i}") for i in range(1200))
        told, heard = [], []
        here.export(tmp_path / "a.jsonl", progress=lambda *at: told.append(at))
        assert told[-1] == (1200, 1200)
        there.import_(tmp_path / "a.jsonl", progress=lambda *at: heard.append(at))
        size = (tmp_path / "a.jsonl").stat().st_size
        assert heard[-1] == (size, size)
        assert heard == sorted(heard)


def test_a_scope_that_is_empty_goes_through_a_file_too():
    with Memory.open(":memory:", embedder=None) as memory:
        text = exported(memory.scope("a"))
        assert imported(memory.scope("b"), text).ok
        assert memory.scope("b").count() == 0


def test_the_async_verbs_do_the_same(tmp_path):
    import asyncio

    async def story():
        async with AsyncMemory.open(":memory:", embedder=None) as memory:
            await memory.scope("a").remember("a text", id="t1")
            await memory.scope("a").export(tmp_path / "a.jsonl")
            assert (await memory.scope("b").import_(tmp_path / "a.jsonl")).counts["turns"] == 1

    asyncio.run(story())


# for reading --------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.text("`~#\n *x\r", min_size=1, max_size=30).filter(str.strip), min_size=1, max_size=5
    )
)
def test_no_text_breaks_out_of_a_page_that_is_made_for_reading(said):
    with Memory.open(":memory:", embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember_many(
            Turn(text=text, session="# no\n# heading", actor="**x**\n# y") for text in said
        )
        page = exported(scope, format="markdown")
    fence, outside, inside = None, [], []
    for line in page.split("\n"):
        if fence is None:
            if line.startswith("```") and line.endswith("text"):
                fence, held = line.removesuffix("text"), []
            else:
                outside.append(line)
        elif line == fence:
            inside.append("\n".join(held))
            fence = None
        else:
            held.append(line)
    assert fence is None
    assert inside == said
    assert all(
        line.startswith(("# a", "## \\# no", "### Day unknown", "**", "")) for line in outside
    )
    assert sum(line.startswith("#") for line in outside) == 3


def test_a_page_tells_insights_tasks_sessions_and_days():
    with Memory.open(":memory:", embedder=None) as memory:
        scope = memory.scope("acme", "alice")
        scope.remember("I moved.", id="t1", actor="Alice", session="s1", at=NOON)
        scope.remember("And rest.", id="t2", actor="Bob", session="s1", at=NOON + timedelta(days=1))
        derived(scope, "Alice has moved", "t1")
        with scope.task("book a flight") as task:
            task.outcome(0.5)
        page = exported(scope, format="markdown")
    marks = ["# acme / alice", "## Insights", "Alice has moved", "## Tasks", "outcome 0.5", "## s1",
             "### 2026-05-17", "**Alice** (2026-05-17 12:00 UTC)", "### 2026-05-18"]  # fmt: skip
    places = [page.index(mark) for mark in marks]
    assert places == sorted(places)
