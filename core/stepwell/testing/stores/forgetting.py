"""Forgetting: what goes, what stays, and what holds again."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell.contracts import EdgeRow, ScopeRow, Store
from stepwell.errors import InvalidOp
from stepwell.identity import gone, keyed
from stepwell.models import EdgeKind, Slot, Status, Usage
from stepwell.testing.samples import (
    MANY,
    NOW,
    VECTORS,
    WORDS,
    add_derived,
    append,
    change,
    dump,
    fill,
    later,
    scope_in,
    supersede,
    turn,
    vector_key,
    words_key,
)  # fmt: skip
from stepwell.testing.stores.base import ALICE, Base


class Forgetting(Base):
    """See StoreContract."""

    def test_a_forgotten_turn_is_gone_from_every_read(self, store: Store, alice: ScopeRow) -> None:
        """No record, key, entry, edge, usage, old version or reason is left of it."""
        mark = "xyzzy"
        filled = fill(store, ALICE, mark)
        with store.writing(later(1)) as writer:
            content = writer.set_state(alice, filled.turns[3], trust=1.0, content=filled.turns[3])
            writer.journal_op(alice, "hide", filled.turns[3], why=mark, before=content)
            text = writer.new_text(alice, filled.turns[3], f"{mark} again", None)
            change(writer, alice, filled.turns[3], "revise", content=text)
            counts = writer.purge(alice, [*filled.turns, *filled.facts], ())
        assert (counts["turns"], counts["derived"], counts["stale"]) == (4, 2, 0)
        assert counts["keys"] == 10
        left = dump(store, ALICE)
        assert left is not None
        with store.reading() as reader:
            assert reader.select(alice, None, 0, MANY, active=False) == []
            for ref in (*filled.turns, *filled.facts):
                assert reader.load(alice, [ref]) == []
                assert reader.edges(alice, ref) == []
                assert reader.usage(alice, ref) == Usage()
                for row in range(1, text + 1):
                    assert reader.version(alice, ref, row) is None
            assert reader.spaces(alice) == []
        # The document is not what was forgotten; everything else was made of these turns.
        left.pop("documents")
        assert mark not in repr(left)

    def test_a_forgotten_turn_is_remembered_as_forgotten(
        self, store: Store, alice: ScopeRow
    ) -> None:
        """Its id leads to None, not to nothing, so that a re-sent history cannot bring it back."""
        item = turn(alice, "t1")
        (ref,) = append(store, alice, item)
        with store.writing(later(1)) as writer:
            writer.purge(alice, [ref], ())
        handle = keyed(alice.secret, "turn", "t1")
        with store.reading() as reader:
            assert reader.find(alice, ["t1", item.record.id]) == {"t1": None}
            assert reader.identity(alice, handle) == (None, None)

    def test_a_derived_record_that_went_is_known_to_be_gone(
        self, store: Store, alice: ScopeRow
    ) -> None:
        """Its id leads nowhere, but an export that still holds it cannot bring it back."""
        (a,) = append(store, alice, turn(alice, "a"))
        with store.writing(later(1)) as writer:
            fact = add_derived(writer, alice, "xyzzy", [a])
            name = writer.load(alice, [fact])[0][1].id
        handle = gone(alice.secret, name)
        with store.writing(later(2)) as writer:
            assert writer.identity(alice, handle) is None
            writer.purge(alice, [fact], ())
        with store.reading() as reader:
            assert reader.find(alice, [name]) == {}
            assert reader.identity(alice, handle) == (None, None)

    def test_an_unknown_turn_can_be_forgotten_beforehand(
        self, store: Store, alice: ScopeRow
    ) -> None:
        """Its id is refused from then on; one that is stored stays."""
        (ref,) = append(store, alice, turn(alice, "t1"))
        with store.writing(later(1)) as writer:
            writer.forget_unknown(alice, "t2")
            writer.forget_unknown(alice, "t1")
        with store.reading() as reader:
            assert reader.find(alice, ["t1", "t2"]) == {"t1": ref, "t2": None}

    def test_what_lost_a_source_waits_to_be_derived_again(
        self, store: Store, alice: ScopeRow
    ) -> None:
        """A stale record keeps its id and the edges to sources that remain, and not one word."""
        a, b = append(store, alice, turn(alice, "a"), turn(alice, "b"))
        with store.writing(later(1)) as writer:
            fact = add_derived(
                writer,
                alice,
                "xyzzy",
                [a, b],
                payload={"p": "xyzzy"},
                actor="xyzzy",
                session="xyzzy",
            )
            writer.credit(alice, fact, shown=1, used=0, success=0.0, failure=0.0, strength=None)
            name = writer.load(alice, [fact])[0][1].id
        with store.writing(later(2)) as writer:
            counts = writer.purge(alice, [a, fact], {fact})
        assert (counts["turns"], counts["derived"], counts["stale"]) == (1, 0, 1)
        with store.reading() as reader:
            assert reader.find(alice, [name]) == {name: fact}
            ((_, record),) = reader.load(alice, [fact])
            assert reader.origins(alice, fact) == [b]
            assert [row[1] for row in reader.keys(alice, *WORDS)] == [b]
            assert reader.select(alice, None, 0, MANY) == [b]
            assert [(task.kind, task.ref) for task in reader.work(alice)] == [("derive", fact)]
            assert reader.usage(alice, fact) == Usage()
        assert record.status is Status.STALE
        assert (record.text, record.payload, record.actor, record.session) == ("", {}, None, None)
        assert "xyzzy" not in repr(dump(store, ALICE))

    def test_what_was_stale_can_speak_again(self, store: Store, alice: ScopeRow) -> None:
        """A stale record takes a new text, and shows nothing of the old one."""
        a, b = append(store, alice, turn(alice, "a"), turn(alice, "b", session="s1"))
        with store.writing(later(1)) as writer:
            fact = add_derived(writer, alice, "xyzzy", [a, b], payload={"p": "xyzzy"})
            writer.purge(alice, [a, fact], {fact})
        with store.writing(later(2)) as writer:
            text = writer.new_text(alice, fact, "new", None)
            change(writer, alice, fact, "revise", content=text, status=Status.ACTIVE)
            writer.add_keys(alice, fact, [words_key(5)])
            writer.done(alice, writer.work(alice)[0].number)
        with store.reading() as reader:
            ((_, record),) = reader.load(alice, [fact])
            assert [row[1] for row in reader.keys(alice, *WORDS)] == [b, fact]
        assert (record.text, record.payload, record.status) == ("new", {}, Status.ACTIVE)
        assert "xyzzy" not in repr(dump(store, ALICE))

    def test_forgetting_is_counted_and_told_to_caches(self, store: Store, alice: ScopeRow) -> None:
        """The scope's `purges` goes up, its head too, and `changed` names what went."""
        a, b = append(store, alice, turn(alice, "a"), turn(alice, "b"))
        with store.reading() as reader:
            before = reader.again(alice)
        with store.writing(later(1)) as writer:
            writer.purge(alice, [a], ())
        with store.reading() as reader:
            after = reader.again(alice)
            assert before is not None
            assert after is not None
            assert after.purges > before.purges
            assert after.head > before.head
            assert reader.changed(alice, before.head) == [a]
            assert [c.op for _, c, _ in reader.journal(alice, a)] == ["add", "purge"]
            assert reader.select(alice, None, 0, MANY) == [b]

    def test_forgetting_twice_is_forgetting_once(self, store: Store, alice: ScopeRow) -> None:
        """Refs that are not there are passed over."""
        (a,) = append(store, alice, turn(alice, "a"))
        with store.writing(later(1)) as writer:
            writer.purge(alice, [a], ())
            assert not any(writer.purge(alice, [a, 10**9], ()).values())

    @pytest.mark.parametrize("stale", [False, True])
    def test_what_was_superseded_holds_again(
        self, store: Store, alice: ScopeRow, stale: bool
    ) -> None:
        """When the newer record is forgotten, or loses its text, the older is as it was before."""
        a, b, c = append(
            store, alice, turn(alice, "a"), turn(alice, "b"), turn(alice, "c", valid_to=later(99))
        )  # fmt: skip
        with store.writing(later(1)) as writer:
            newer = add_derived(writer, alice, "newer", [a, b])
            supersede(writer, alice, newer, c, later(5))
            supersede(writer, alice, newer, b, later(5))
        with store.writing(later(2)) as writer:
            writer.purge(alice, [a, newer], {newer} if stale else ())
        with store.reading() as reader:
            records = dict(reader.load(alice, [b, c]))
            assert reader.edges(alice, c, EdgeKind.SUPERSEDES) == []
        assert (records[b].status, records[b].valid_to) == (Status.ACTIVE, None)
        assert (records[c].status, records[c].valid_to) == (Status.ACTIVE, later(99))

    @pytest.mark.parametrize("first", [0, 1])
    def test_what_two_records_superseded_holds_when_both_are_gone(
        self, store: Store, alice: ScopeRow, first: int
    ) -> None:
        """As long as one that stands in its place is there, the older does not hold again."""
        old, *newer = append(
            store,
            alice,
            turn(alice, "old", valid_to=later(99)),
            turn(alice, "x", said_at=later(3)),
            turn(alice, "y", said_at=later(4)),
        )
        with store.writing(later(5)) as writer:
            supersede(writer, alice, newer[0], old, later(3))
            supersede(writer, alice, newer[1], old, later(4))
        with store.writing(later(6)) as writer:
            writer.purge(alice, [newer[first]], ())
        with store.reading() as reader:
            ((_, record),) = reader.load(alice, [old])
            assert [e.source for e in reader.edges(alice, old)] == [newer[1 - first]]
        assert (record.status, record.valid_to) == (Status.SUPERSEDED, later(4 - first))
        with store.writing(later(7)) as writer:
            writer.purge(alice, [newer[1 - first]], ())
        with store.reading() as reader:
            ((_, record),) = reader.load(alice, [old])
        assert (record.status, record.valid_to) == (Status.ACTIVE, later(99))

    def test_what_was_hidden_stays_hidden(self, store: Store, alice: ScopeRow) -> None:
        """Undoing a supersession brings back the state before it, not more than that."""
        hidden, late, newer = append(store, alice, *(turn(alice, name) for name in "abc"))
        with store.writing(later(1)) as writer:
            change(writer, alice, hidden, "hide", status=Status.HIDDEN)
            supersede(writer, alice, newer, hidden, later(1))
            supersede(writer, alice, newer, late, later(1))
            change(writer, alice, late, "hide", status=Status.HIDDEN)
        with store.writing(later(2)) as writer:
            writer.purge(alice, [newer], ())
        with store.reading() as reader:
            assert [r.status for _, r in reader.load(alice, [hidden, late])] == [Status.HIDDEN] * 2

    def test_what_names_a_forgotten_turn_as_its_source_goes_too(
        self, store: Store, alice: ScopeRow
    ) -> None:
        """Labels, keys, slots and supersessions of other records; those of other turns stay."""
        a, b, c, d = append(store, alice, *(turn(alice, name, keys=()) for name in "abcd"))
        with store.writing(later(1)) as writer:
            writer.link(alice, EdgeRow(b, EdgeKind.RELATED, c, 0.5, "xyzzy", ("b", "a")))
            writer.link(alice, EdgeRow(b, EdgeKind.MENTIONS, c, 0.5, "kept", ("b",)))
            writer.add_keys(alice, b, [words_key(1, sources=("a",)), words_key(2, sources=("b",))])
            writer.add_keys(alice, c, [vector_key(sources=("c", "a"))])
            supersede(writer, alice, b, c, later(1), sources=("a",))
            supersede(writer, alice, b, d, later(1), sources=("b",))
            for name, text, sources in (
                ("old", "xyzzy", ("a",)),
                ("old", "later text", ("b",)),
                ("mine", "xyzzy", ("b", "a")),
                ("other", "kept", ("b",)),
                ("free", "kept", ()),
            ):
                writer.set_slot(alice, Slot(name=name, text=text, sources=sources), "p", "")
            head = writer.journal(alice, limit=MANY)[-1][0]
        with store.writing(later(2)) as writer:
            writer.purge(alice, [a], ())
        with store.reading() as reader:
            labels = {(e.kind, e.target): e.label for e in reader.edges(alice, b)}
            keys = reader.keys(alice, *WORDS)
            assert labels.pop((EdgeKind.RELATED, c), None) is None
            assert labels == {(EdgeKind.MENTIONS, c): "kept", (EdgeKind.SUPERSEDES, d): None}
            assert [row[4] for row in keys] == [words_key(2).body]
            assert reader.keys(alice, *VECTORS) == []
            assert {b, c} <= set(reader.changed(alice, head))
            states = [record.status for _, record in reader.load(alice, [c, d])]
            assert states == [Status.ACTIVE, Status.SUPERSEDED]
            assert [slot.name for slot in reader.slots(alice)] == ["free", "other"]
            assert reader.slot(alice, "old") == Slot(name="old")
        assert "xyzzy" not in repr(dump(store, ALICE))

    @pytest.mark.parametrize("count", [1, 30])
    def test_a_reason_goes_with_the_evidence_of_it(
        self, store: Store, alice: ScopeRow, count: int
    ) -> None:
        """Named by either id, forgotten or to be derived again; how it was before stays told."""
        gone = append(store, alice, *(turn(alice, f'g"é{n}') for n in range(count)))
        a, b = append(store, alice, turn(alice, "a"), turn(alice, "b"))
        with store.writing(later(1)) as writer:
            fact = add_derived(writer, alice, "fact", [gone[0], b])
            names = {ref: record.id for ref, record in writer.load(alice, [gone[-1], b, fact])}
            writer.set_slot(alice, Slot(name="s", text='"evidence":["b"]'), "p", '"evidence":["a"]')
            for evidence in ([f'g"é{count - 1}'], ["b", names[gone[-1]]], [names[fact]]):
                said: dict[str, Any] = {"who": "p", "why": "xyzzy", "evidence": evidence}
                before = writer.set_state(alice, a, trust=0.5)
                writer.journal_op(alice, "set_state", a, before=before, **said)
                writer.journal_op(alice, "hide", **said)
            writer.journal_op(alice, "set_state", a, why="kept", evidence=["b", names[b]])
            journal = writer.journal(alice, a)
        with store.writing(later(2)) as writer:
            writer.purge(alice, [*gone, fact], [fact])
        with store.reading() as reader:
            told = reader.journal(alice, a)
            slot = reader.slot(alice, "s")
        assert [c.before for _, c, _ in told] == [c.before for _, c, _ in journal]
        assert [(p, c.op, c.who, c.at) for p, c, _ in told] == [
            (p, c.op, c.who, c.at) for p, c, _ in journal
        ]
        assert [c.why for _, c, _ in told] == ["", "", "", "", "kept"]
        assert [c.evidence for _, c, _ in told] == [(), (), (), (), ("b", names[b])]
        assert slot.text == '"evidence":["b"]'
        left = dump(store, ALICE)
        assert "xyzzy" not in repr(left)
        assert "é" not in repr(left)

    def test_what_names_a_derived_record_as_its_source_goes_with_it(
        self, store: Store, alice: ScopeRow
    ) -> None:
        """Labels, keys and slots made of a record that is forgotten or loses a source."""
        a, b, c = append(store, alice, *(turn(alice, name, keys=()) for name in "abc"))
        with store.writing(later(1)) as writer:
            facts = [add_derived(writer, alice, f"f{i}", s) for i, s in enumerate(([a], [a, b]))]
            for n, (_, fact) in enumerate(writer.load(alice, facts)):
                kind = (EdgeKind.RELATED, EdgeKind.MENTIONS)[n]
                writer.link(alice, EdgeRow(b, kind, c, 0.5, "xyzzy", (fact.id,)))
                writer.add_keys(alice, b, [words_key(1, sources=(fact.id,))])
                slot = Slot(name=f"s{n}", text="xyzzy", sources=("b", fact.id))
                writer.set_slot(alice, slot, "p", "")
        with store.writing(later(2)) as writer:
            writer.purge(alice, [a, *facts], facts[1:])
        with store.reading() as reader:
            assert {e.label for e in reader.edges(alice, c)} == {None}
            assert reader.keys(alice, *WORDS, [b]) == []
            assert reader.slots(alice) == []
        assert "xyzzy" not in repr(dump(store, ALICE))

    def test_a_scope_is_erased_wholly(self, store: Store) -> None:
        """Nothing is left of it, its tombstones included; a new one of its name is another."""
        filled = fill(store, ALICE, "xyzzy")
        with store.writing(later(1)) as writer:
            counts = writer.erase(filled.scope)
        assert (counts["turns"], counts["derived"], counts["documents"]) == (4, 2, 1)
        with store.reading() as reader:
            assert reader.scope_of(ALICE) is None
            assert reader.again(filled.scope) is None
            assert reader.scopes() == []
            assert reader.find(filled.scope, ["t1", "never"]) == {}
            assert reader.entries(filled.scope) == []
            assert reader.journal(filled.scope) == []
            assert list(store.documents(reader, filled.scope)) == []
        with store.writing(later(2)) as writer:
            again = writer.open_scope(ALICE, b"n" * 32)
        assert again.number != filled.scope.number
        assert again.secret == b"n" * 32
        assert "xyzzy" not in repr(dump(store, ALICE))
        with store.reading() as reader:
            assert reader.find(again, ["t1", "never"]) == {}

    def test_nothing_is_written_to_an_erased_scope(self, store: Store, alice: ScopeRow) -> None:
        """Who still holds the scope is told by InvalidOp, and nothing is stored."""
        append(store, alice, turn(alice, "a"))
        with store.writing(later(1)) as writer:
            writer.erase(alice)
        scope_in(store, *ALICE)
        before = dump(store, ALICE)
        with pytest.raises(InvalidOp), store.writing(NOW) as writer:
            writer.append(alice, [turn(alice, "b")])
        assert dump(store, ALICE) == before
        assert store.check() == []
