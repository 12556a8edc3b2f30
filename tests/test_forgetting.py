"""Forgetting is real: in the answers, in what rests on it, and in the bytes of the file."""

import json
import random
import subprocess
import sys

import pytest

from stepwell import Edge, EdgeKind, Filter, Kind, Memory, Record, Supersede, Turn
from stepwell.errors import InvalidFilter, InvalidQuery, UnknownRecord
from stepwell.mechanisms.words import terms
from stepwell.ops import Add, Hide, Link, Merge, SetSlot, SetState, Unlink
from stepwell.testing.fakes import HashingEmbedder

# No code opens the files but SQLite, so the search runs in a process of its own.
SEARCH = """
import json, pathlib, sys
marks = [bytes.fromhex(mark) for mark in json.load(sys.stdin)]
held = b"".join(pathlib.Path(p).read_bytes() for p in sys.argv[1:] if pathlib.Path(p).exists())
print(json.dumps([mark.hex() for mark in marks if mark in held]))
"""


def left(path, *marks):
    """Which of these bytes are still somewhere in the files."""
    raw = [mark if isinstance(mark, bytes) else mark.encode() for mark in marks]
    done = subprocess.run(
        [sys.executable, "-c", SEARCH, str(path), f"{path}-wal", f"{path}-shm"],
        input=json.dumps([mark.hex() for mark in raw]),
        capture_output=True,
        text=True,
        check=True,
    )
    return [bytes.fromhex(mark) for mark in json.loads(done.stdout)]


def words(text):
    """The bytes of a text's terms as an index holds them."""
    return terms(text).astype("<u8").tobytes()


def test_a_forgotten_turn_leaves_no_bytes_behind(tmp_path):
    path = tmp_path / "f.db"
    embedder = HashingEmbedder(16)
    secret = "the vault code is quokka7788 tangerine"
    with Memory.open(path, embedder=embedder) as memory:
        scope = memory.scope("acme", "alice")
        scope.remember(
            secret, id="turn-secretid", actor="Zebediah", session="session-hidden",
            payload={"note": "payload-hidden"}, action="act-hidden",
        )  # fmt: skip
        scope.remember("something harmless", id="t2", session="session-open")
        scope.consolidate()
        scope.revise("turn-secretid", "the vault code is wombat5566")
        marks = [
            "quokka7788", "wombat5566", "turn-secretid", "Zebediah", "session-hidden",
            "payload-hidden", "act-hidden", words("quokka7788"), words("wombat5566"),
        ]  # fmt: skip
        assert len(left(path, *marks)) >= 7  # they are there before
        receipt = scope.forget("turn-secretid")
        assert receipt.complete
        assert receipt.turns == 1
        assert receipt.derived == 1  # the trace of its session rested on it alone
        assert left(path, *marks) == []
        assert scope.get("t2").text == "something harmless"
        assert memory.check().ok
    assert left(path, *marks) == []


def commit(scope, *ops):
    """Ops by the door that a policy's ops take; the ids of what they made."""
    with scope._engine.store.reading() as reader:
        row = reader.scope_of(scope.path)
    return scope._engine.committer.apply(row, ops, strict=True).ids


def fact(scope, text, *sources):
    """The id of a new derived record."""
    made = Record(
        id="",
        scope=scope.path,
        level=1,
        kind=Kind.FACT,
        text=text,
        stored_at=scope.get("b").stored_at,
    )
    return commit(scope, Add(record=made, sources=sources))[0]


@pytest.mark.parametrize("by", ["turn", "id", "above"])
def test_a_reason_that_rests_on_a_forgotten_turn_leaves_no_bytes_behind(by, tmp_path):
    """Whether it names the turn, its record, or what rests on it among its evidence."""
    path = tmp_path / "f.db"
    with Memory.open(path, embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember("the vault code is quokka7788", id="turn-secretid")
        scope.remember("something harmless", id="b")
        scope.remember("something else", id="c")
        above = fact(scope, "a code", "turn-secretid", "c")
        secret, b, c = (scope.get(name).id for name in ("turn-secretid", "b", "c"))
        told = {"turn": "turn-secretid", "id": secret, "above": above}[by]
        said = {"why": "quokka7788 was said", "evidence": ("c", told)}
        commit(
            scope,
            SetState(id=b, trust=0.5, **said),
            Hide(id=c, why="kept", evidence=("b",)),
            Link(edge=Edge(source=b, kind=EdgeKind.RELATED, target=c, label="quokka7788"), **said),
            Unlink(source=b, kind=EdgeKind.NEXT, target=c, **said),
            SetSlot(slot="mine", text="quokka7788", **said),
            SetSlot(slot="other", text="kept", evidence=("b",)),
        )
        assert left(path, "quokka7788 was said") != []
        before = scope.history("b")
        assert scope.forget("turn-secretid").complete
        assert left(path, "quokka7788", "turn-secretid", secret) == []
        after = scope.history("b")
        assert [(c.op, c.who, c.before) for c in after] == [(c.op, c.who, c.before) for c in before]
        assert {(c.why, c.evidence) for c in after} == {("", ())}
        assert scope.get("b").trust == 0.5
        assert [(c.why, c.evidence) for c in scope.history("c")][-1] == ("kept", ("b",))
        assert [slot.name for slot in scope.slots()] == ["other"]
        memory.compact()
        assert memory.check().ok
        assert scope.history("b") == after
    assert left(path, "quokka7788", "turn-secretid", secret) == []


def test_a_reason_that_speaks_of_what_the_op_names_leaves_no_bytes_behind(tmp_path):
    """The other end of an edge, what supersedes and what is merged need not be evidence too."""
    path = tmp_path / "f.db"
    with Memory.open(path, embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember("quokka7788", id="a")
        scope.remember("something harmless", id="b")
        a, b = (scope.get(name).id for name in ("a", "b"))
        one, two = fact(scope, "quokka7788", "a"), fact(scope, "harmless", "b")
        record = scope.get(two).model_copy(update={"id": "", "text": "both"})
        why = "quokka7788 was said"
        (both,) = commit(
            scope,
            Link(edge=Edge(source=b, kind=EdgeKind.RELATED, target=a), why=why),
            Unlink(source=b, kind=EdgeKind.RELATED, target=a, why=why),
            Supersede(id=a, replaces=b, why=why),
            Merge(ids=(one, two), record=record, why=why),
        )
        assert len(scope.history("b")) == 4
        assert scope.get(both).text == "both"
        receipt = scope.forget("a")
        assert (receipt.derived, receipt.stale) == (1, 1)
        assert left(path, "quokka7788") == []
        assert scope.get("b").status == "active"
        assert scope.get(two).status == "hidden"
        assert memory.check().ok


def test_why_records_were_merged_is_forgotten_with_what_they_became(tmp_path):
    path = tmp_path / "f.db"
    with Memory.open(path, embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember("something harmless", id="b")
        one, two = fact(scope, "harmless", "b"), fact(scope, "something", "b")
        record = scope.get(two).model_copy(update={"id": "", "text": "quokka7788"})
        (both,) = commit(scope, Merge(ids=(one, two), record=record, why="it is quokka7788"))
        assert left(path, "quokka7788") != []
        scope.forget(both)
        assert left(path, "quokka7788") == []


@pytest.mark.parametrize("seed", range(3))
def test_no_history_of_changes_leaves_a_forgotten_byte(seed, tmp_path):
    """Interleaved scopes, long and short texts, revisions: what made SQLite move cells about."""
    draw = random.Random(seed)
    path = tmp_path / "f.db"
    live: dict[tuple[str, str], list[str]] = {}
    gone: list[str | bytes] = []
    with Memory.open(path, embedder=HashingEmbedder(16)) as memory:
        for step in range(250):
            scope = memory.scope("t", f"s{draw.randrange(5)}")
            chance = draw.random()
            if chance < 0.55 or not live:
                turn = f"id{step}z"
                text = f"first{step}z " + "lorem ipsum " * draw.choice((1, 3, 40, 400))
                scope.remember(
                    text, id=turn, session=draw.choice(("common", f"session{step}z")),
                    actor=draw.choice(("Ann", f"actor{step}z")), payload={"p": f"payload{step}z"},
                )  # fmt: skip
                live[scope.path[1], turn] = [f"first{step}z"]
            elif chance < 0.65:
                name, turn = draw.choice(list(live))
                memory.scope("t", name).revise(turn, f"again{step}z is what was said")
                live[name, turn].append(f"again{step}z")
            elif chance < 0.88:
                name, turn = draw.choice(list(live))
                said = live.pop((name, turn))
                assert memory.scope("t", name).forget(turn).complete
                number = turn[2:]
                gone += [*said, turn, *(words(w) for w in said)]
                gone += [f"{kind}{number}" for kind in ("session", "actor", "payload")]
            elif chance < 0.93:
                scope.consolidate()
            elif chance < 0.95:
                scope.rebuild()
            elif chance < 0.97:
                scope.documents.put(("n",), "k", {"v": f"document{step}z"})
                scope.documents.delete(("n",), "k")
                gone.append(f"document{step}z")
            else:
                memory.compact()
        assert left(path, *gone) == []
        still = [said[-1] for said in live.values()]
        assert len(left(path, *still)) == len(still)
        assert memory.check().ok
    assert left(path, *gone) == []


def test_what_is_forgotten_never_comes_back(tmp_path):
    path = tmp_path / "f.db"
    with Memory.open(path, embedder=None) as memory, Memory.open(path, embedder=None) as other:
        scope, there = memory.scope("a"), other.scope("a")
        turns = [Turn(id=f"t{i}", text=f"fact number {i}", session="s") for i in range(5)]
        scope.remember_many(turns)
        scope.consolidate()
        assert there.recall("fact number 3")[0].record.turn == "t3"
        scope.forget("t3")
        assert "t3" not in [hit.record.turn for hit in there.recall("fact number 3")]
        assert there.get("t3") is None
        resent = scope.remember_many(turns)
        assert resent.stored == ()
        assert {str(s): s.reason for s in resent.skipped}["t3"] == "forgotten"
        scope.consolidate()
        scope.rebuild()
        assert scope.get("t3") is None
        assert "number 3" not in json.dumps([n.record.text for n in scope.tree()])
    with Memory.open(path, embedder=None) as memory:
        assert memory.scope("a").remember("fact number 3", id="t3").skipped[0].reason == "forgotten"


def test_what_rested_on_more_keeps_its_id_and_is_made_again():
    with Memory.open(embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember_many([Turn(id=f"t{i}", text=f"said {i}", session="s") for i in range(3)])
        scope.consolidate()
        (trace,) = [node.record for node in scope.tree()]
        receipt = scope.forget("t1")
        assert receipt.stale == 1
        stale = scope.get(trace.id)
        assert (stale.status, stale.text) == ("stale", "")
        scope.consolidate()
        (again,) = [node.record for node in scope.tree()]
        assert again.id == trace.id
        assert again.text.startswith("s: 2 turns")


def test_a_supersession_by_a_forgotten_turn_is_undone():
    with Memory.open(embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember("I live in Oslo", id="old")
        scope.remember("I live in Bergen", id="new")
        engine = scope._engine
        with engine.store.reading() as reader:
            row = reader.scope_of(scope.path)
        op = Supersede(id=scope.get("new").id, replaces=scope.get("old").id)
        engine.committer.apply(row, [op], strict=True)
        assert scope.get("old").status == "superseded"
        scope.forget("new")
        assert scope.get("old").status == "active"
        assert scope.get("old").valid_to is None


def test_a_filter_takes_out_all_that_it_names_and_nothing_else():
    with Memory.open(embedder=None) as memory:
        scope = memory.scope("a")
        for i in range(6):
            scope.remember(f"page {i} of the web", id=f"w{i}", origin="web", session="s")
            scope.remember(f"word {i} of the user", id=f"u{i}", origin="user", session="s")
        receipt = scope.forget(where=Filter(origin="web"))
        assert receipt.turns == 6
        assert scope.count(Filter(level=0)) == 6
        with pytest.raises(InvalidFilter):
            scope.forget(where=Filter())
        with pytest.raises(InvalidQuery):
            scope.forget()
        with pytest.raises(UnknownRecord):
            scope.forget("nobody")
        assert scope.count(Filter(level=0)) == 6


def test_erasing_a_scope_leaves_its_neighbours_alone(tmp_path):
    path = tmp_path / "f.db"
    with Memory.open(path, embedder=None) as memory:
        for name in ("alice-secretname", "bob"):
            scope = memory.scope("acme", name)
            scope.remember(f"diary of {name} canary", session="s")
            scope.set_slot("profile", f"slot of {name}")
            scope.documents.put(("d",), "k", {"of": name})
            scope.consolidate()
        receipt = memory.scope("acme", "alice-secretname").erase()
        assert receipt.complete
        assert memory.scopes() == [("acme", "bob")]
        assert left(path, "alice-secretname") == []
        assert memory.scope("acme", "bob").recall("diary")[0].text == "diary of bob canary"
        assert memory.check().ok


def test_bytes_that_another_reader_holds_up_go_at_a_later_verb(tmp_path):
    path = tmp_path / "f.db"
    with Memory.open(path, embedder=None) as memory, Memory.open(path, embedder=None) as other:
        scope = memory.scope("a")
        scope.remember("the canary sings", id="t1")
        with other.scope("a")._engine.store.reading() as reader:
            assert reader.scopes()
            receipt = scope.forget("t1")
            assert not receipt.complete
            assert receipt.pending
        scope.count()
        assert left(path, "canary") == []


def test_compacting_gives_the_space_back_and_keeps_everything_else(tmp_path):
    path = tmp_path / "f.db"
    with Memory.open(path, embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember_many([Turn(id=f"t{i}", text=f"turn {i} " * 50) for i in range(400)])
        scope.forget([f"t{i}" for i in range(1, 400)])
        before = path.stat().st_size
        assert memory.compact() > 0
        assert path.stat().st_size < before / 4
        assert scope.get("t0").text == "turn 0 " * 50
        assert scope.recall("turn")[0].record.turn == "t0"
        assert scope.remember("x", id="t7").skipped[0].reason == "forgotten"
        assert memory.check().ok


class Meddling(HashingEmbedder):
    """Does something else in the middle of embedding: what another thread might do."""

    meddle = None

    def embed(self, texts, *, query=False):
        if self.meddle is not None:
            meddle, self.meddle = self.meddle, None
            meddle()
        return super().embed(texts, query=query)


@pytest.mark.parametrize("work", ["rebuild", "consolidate"])
def test_keys_made_before_a_forgetting_do_not_come_back_after_it(work, tmp_path):
    path, embedder = tmp_path / "f.db", Meddling(16)
    with Memory.open(path, embedder=embedder) as memory:
        scope = memory.scope("a")
        scope.remember_many([Turn(id="t1", text="zebra", session="s"), Turn(id="t2", text="ok")])
        scope.consolidate()
        scope.remember("another", session="s")
        embedder.meddle = lambda: scope.forget("t1")
        getattr(scope, work)()
        scope.consolidate()
        assert memory.check().ok
        assert left(path, "zebra", words("zebra")) == []


def test_keys_made_before_a_revision_do_not_replace_those_of_the_new_text():
    embedder = Meddling(16)
    with Memory.open(embedder=embedder) as memory:
        scope = memory.scope("a")
        scope.remember("zebra", id="t1")
        embedder.meddle = lambda: scope.revise("t1", "quokka")
        scope.rebuild()
        assert "words" in scope.recall("quokka")[0].why
        assert not any("words" in hit.why for hit in scope.recall("zebra"))


def test_a_rebuild_passes_over_what_is_erased_meanwhile():
    embedder = Meddling(16)
    with Memory.open(embedder=embedder) as memory:
        memory.scope("a").remember("zebra")
        memory.scope("b").remember("quokka", id="t")
        embedder.meddle = memory.scope("a").erase
        memory.rebuild()
        assert memory.scopes() == [("b",)]
        assert memory.scope("b").recall("quokka")[0].record.turn == "t"


def test_a_filter_that_lets_everything_through_is_no_filter_to_forget_by():
    with Memory.open(embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember("one", id="t1", session="s")
        some = Filter(session="s")
        for where in (Filter() | some, Filter() & Filter(), ~Filter(session=[]), ~~Filter()):
            with pytest.raises(InvalidFilter):
                scope.forget(where=where)
        with pytest.raises(InvalidQuery):
            scope.forget("t1", where=some)
        assert scope.forget(where=~Filter(session=[]) & some).turns == 1
