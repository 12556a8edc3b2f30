"""The wall between scopes: nothing of one is ever told, changed or counted in another."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell.contracts import EdgeRow, ScopeRow, Store
from stepwell.filters import Filter
from stepwell.models import EdgeKind, Slot
from stepwell.testing.samples import (
    MANY,
    NOW,
    VECTORS,
    WORDS,
    a_document,
    append,
    change,
    dump,
    fill,
    later,
    scope_in,
    secret_of,
    turn,
    words_key,
)  # fmt: skip
from stepwell.testing.stores.base import ALICE, Base

#: Scopes that are easily taken for ("acme", "alice").
TWINS = [
    pytest.param(("acme",), id="prefix"),
    pytest.param(("acme", "alice", "x"), id="longer"),
    pytest.param(("acme", "alice2"), id="longer name"),
    pytest.param(("acme", "alic"), id="shorter name"),
    pytest.param(("acme", "Alice"), id="case"),
    pytest.param(("ACME", "alice"), id="case of the first"),
    pytest.param(("alice", "acme"), id="order"),
    pytest.param(("acmealice",), id="joined"),
    pytest.param(("acme/alice",), id="slash"),
    pytest.param(("acme", "alice "), id="space"),
    pytest.param(("acme", "%"), id="like"),
    pytest.param(("acme", "*"), id="glob"),
    pytest.param(("acme", "ali_e"), id="underscore"),
    pytest.param(("acme", "аlice"), id="Cyrillic a"),
    pytest.param(("acme", "ａlice"), id="full width"),
    pytest.param(("acme", "alice\u0301"), id="accent"),
    pytest.param(("acme", "alice\u200b"), id="zero width"),
    pytest.param(("acme", "' OR 1=1 --"), id="quote"),
    pytest.param(("acme", "..", "acme", "alice"), id="parent"),
]


def words_of(dumped: dict[str, Any] | None) -> str:
    """All that is told of a scope, as one text to look into."""
    return repr(dumped)


class Scopes(Base):
    """See StoreContract."""

    def test_a_scope_is_made_once(self, store: Store) -> None:
        """Opening a scope again gives the one that is there, whatever secret is offered."""
        with store.writing(NOW) as writer:
            made = writer.open_scope(ALICE, b"a" * 32)
            assert writer.open_scope(ALICE, b"b" * 32) == made
        with store.reading() as reader:
            assert reader.scope_of(ALICE) == made == reader.again(made)
        assert (made.path, made.secret) == (ALICE, b"a" * 32)

    def test_the_numbers_of_a_scope_are_its_own(self, store: Store) -> None:
        """Whatever its neighbours hold."""
        ours, theirs = fill(store, ALICE, "a"), fill(store, ("acme", "ben"), "b")
        with store.reading() as reader:
            before = reader.stats(ours.scope)
            assert sum(before.records.values()) == reader.count(ours.scope, None)
            assert sum(before.levels.values()) == sum(before.records.values())
            assert before.levels[0] == reader.count(ours.scope, Filter(level=0))
            assert before.turns == reader.count(ours.scope, Filter(level=0))
            assert before.waiting == len(reader.work(ours.scope, MANY))
            assert before.slots == len(reader.slots(ours.scope))
        with store.writing(NOW) as writer:
            writer.erase(theirs.scope)
        with store.reading() as reader:
            assert reader.stats(ours.scope) == before
        assert store.size[0] > 0
        assert store.format >= 1

    def test_scopes_are_listed_in_the_order_of_their_making(self, store: Store) -> None:
        """Page by page, each once."""
        paths = [("b",), ("a",), ("a", "b"), ("Ä",), ("日本", "x")]
        for path in paths:
            scope_in(store, *path)
        with store.reading() as reader:
            found: list[ScopeRow] = []
            while page := reader.scopes(found[-1].number if found else 0, 2):
                found += page
        assert [row.path for row in found] == paths

    def test_asking_for_a_scope_makes_none(self, store: Store) -> None:
        """A look at a scope that is not there leaves no trace."""
        with store.reading() as reader:
            assert reader.scope_of(ALICE) is None
            assert reader.scopes() == []

    @pytest.mark.parametrize("twin", TWINS)
    def test_two_scopes_never_meet(self, store: Store, twin: tuple[str, ...]) -> None:
        """Each tells its own records, keys, edges, slots, documents, journal, work; no other's."""
        fill(store, ALICE, "ours")
        alone = dump(store, ALICE)
        fill(store, twin, "theirs")
        assert dump(store, ALICE) == alone
        theirs = dump(store, twin)
        assert theirs is not None
        assert theirs["scope"].path == twin
        assert "ours" not in words_of(theirs)
        assert "theirs" not in words_of(alone)
        with store.writing(NOW) as writer:
            row = writer.scope_of(twin)
            assert row is not None
            writer.erase(row)
        assert dump(store, twin) is None
        assert dump(store, ALICE) == alone

    def test_refs_of_another_scope_lead_nowhere(self, store: Store) -> None:
        """Whoever holds a ref, id or number of another scope learns nothing by it."""
        ours, theirs = fill(store, ALICE, "ours"), fill(store, ("acme", "bob"), "theirs")
        scope, refs = ours.scope, [*theirs.turns, *theirs.facts]
        with store.reading() as reader:
            ids = [record.id for _, record in reader.load(theirs.scope, refs)]
            content = {row[0] for row in reader.entries(theirs.scope)}
            assert reader.load(scope, refs) == []
            assert reader.find(scope, ids) == {}
            assert reader.entries(scope, refs) == []
            assert reader.select(scope, Filter(id=ids), 0, MANY, active=False) == []
            for space in (WORDS, VECTORS):
                assert reader.keys(scope, *space, refs=refs) == []
            for ref in refs:
                assert reader.edges(scope, ref) == []
                assert reader.origins(scope, ref) == []
                assert reader.targets(scope, ref, EdgeKind.RELATED) == []
                assert reader.journal(scope, ref) == []
                assert reader.usage(scope, ref) == type(reader.usage(scope, ref))()
            assert reader.derived(scope, refs) == {}
            for mine in ours.turns:
                for row in sorted(content):
                    found = reader.version(scope, mine, row)
                    assert found is None or "theirs" not in repr(found)

    def test_writes_of_one_scope_reach_no_other(self, store: Store) -> None:
        """Forgetting, blanking, crediting, finishing with another's numbers changes nothing."""
        ours, theirs = fill(store, ALICE, "ours"), fill(store, ("acme", "bob"), "theirs")
        before = dump(store, ("acme", "bob"))
        refs = [*theirs.turns, *theirs.facts]
        with store.writing(later(1)) as writer:
            for ref in refs:
                assert writer.blank_keys(ours.scope, ref) == 0
                writer.credit(
                    ours.scope, ref, shown=1, used=1, success=1.0, failure=0.0, strength=2.0
                )
            writer.unlink(ours.scope, refs[0], EdgeKind.RELATED, refs[3])
            for number in range(200):
                writer.done(ours.scope, number)
            writer.park(ours.scope, 1, "parked by another")
            counts = writer.purge(ours.scope, refs, ())
            assert not any(counts.values())
            writer.forget_unknown(ours.scope, "t1000")
            store.delete_document(writer, ours.scope, ("notes",), "k1")
            writer.set_slot(ours.scope, Slot(name="profile", text="ours"), "user", "")
        assert dump(store, ("acme", "bob")) == before
        with store.reading() as reader:
            assert reader.find(theirs.scope, ["t1000"]) == {}

    def test_forgetting_in_one_scope_is_unseen_in_another(self, store: Store) -> None:
        """The same turn ids, slots and sources elsewhere stay as they are."""
        ours = fill(store, ALICE, "ours")
        fill(store, ("acme", "bob"), "theirs")
        before = dump(store, ("acme", "bob"))
        with store.writing(later(1)) as writer:
            writer.purge(ours.scope, [*ours.turns, *ours.facts], ())
        assert dump(store, ("acme", "bob")) == before
        with store.writing(later(1)) as writer:
            writer.erase(ours.scope)
        assert dump(store, ("acme", "bob")) == before

    def test_the_heads_of_scopes_are_their_own(self, store: Store) -> None:
        """What is written to one scope moves no other's journal, also within one transaction."""
        ours, theirs = scope_in(store, *ALICE), scope_in(store, "acme", "bob")
        append(store, ours, turn(ours, "t1"))
        with store.reading() as reader:
            assert reader.again(theirs) == theirs
        with store.writing(later(1)) as writer:
            a, b = turn(ours, "t2"), turn(theirs, "t2")
            writer.append(ours, [a])
            writer.append(theirs, [b])
            change(writer, ours, a.ref, trust=0.5)
            writer.link(theirs, EdgeRow(b.ref, EdgeKind.RELATED, b.ref, 1.0))
        with store.reading() as reader:
            assert [c.op for _, c, _ in reader.journal(ours)] == ["add", "add", "set_state"]
            assert [c.op for _, c, _ in reader.journal(theirs)] == ["add"]
            for scope in (ours, theirs):
                row = reader.again(scope)
                assert row is not None
                assert row.head == reader.journal(scope)[-1][0]

    def test_the_same_words_leave_different_traces_in_two_scopes(self, store: Store) -> None:
        """Ids and handles are keyed by the scope's secret: none of one is one of the other."""
        ours, theirs = scope_in(store, *ALICE), scope_in(store, "acme", "bob")
        assert secret_of(ours.path) != secret_of(theirs.path)
        append(store, ours, turn(ours, "t1", "same", keys=(words_key(1),)))
        append(store, theirs, turn(theirs, "t1", "same", keys=(words_key(1),)))
        with store.writing(NOW) as writer:
            store.put_document(writer, ours, a_document("k", {"v": 1}))
        with store.reading() as reader:
            assert {row[1] for row in reader.entries(ours)}.isdisjoint(
                {row[1] for row in reader.entries(theirs)}
            )
            assert list(store.documents(reader, theirs)) == []
            assert store.document(reader, theirs, ("notes",), "k") is None
