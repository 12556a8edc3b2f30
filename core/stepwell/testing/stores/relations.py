"""Edges, what rests on what, slots, the ledger, the queue, documents."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from stepwell.contracts import EdgeRow, ScopeRow, Store
from stepwell.models import EdgeKind, Slot, Usage
from stepwell.testing.samples import (
    JSON,
    MANY,
    NAMES,
    NOW,
    TEXTS,
    a_document,
    append,
    for_all,
    later,
    turn,
)  # fmt: skip
from stepwell.testing.stores.base import Base

#: Each record of a small world comes from some of those before it.
_DAGS = st.integers(2, 9).flatmap(
    lambda size: st.tuples(
        *(st.sets(st.integers(0, n - 1), max_size=3) if n else st.just(set()) for n in range(size))
    )
)


class Relations(Base):
    """See StoreContract."""

    def test_edges_are_kept_as_they_were(self, store: Store, alice: ScopeRow) -> None:
        """Weight, label and sources of an edge come back, from either end."""
        a, b, c = append(store, alice, *(turn(alice, name) for name in "abc"))
        ab = EdgeRow(a, EdgeKind.RELATED, b, -0.1, "wöhnt in", ("a", "b"))
        ca = EdgeRow(c, EdgeKind.NEXT, a, 1.0)
        with store.writing(later(1)) as writer:
            writer.link(alice, ab)
            writer.link(alice, ca)
        with store.reading() as reader:
            assert reader.edges(alice, a) == [ab, ca]
            assert reader.edges(alice, b) == [ab]
            assert reader.edges(alice, a, EdgeKind.NEXT) == [ca]
            assert reader.edges(alice, a, EdgeKind.CONTAINS) == []
            assert reader.targets(alice, a, EdgeKind.RELATED) == [b]
            assert reader.targets(alice, a, EdgeKind.NEXT) == []

    def test_edges_of_many_are_told_by_kind_and_direction(
        self, store: Store, alice: ScopeRow
    ) -> None:
        """Out of each record, or into each, in the order of asking; other kinds are left out."""
        a, b, c = append(store, alice, *(turn(alice, name) for name in "abc"))
        ab = EdgeRow(a, EdgeKind.RELATED, b, 0.5, "near", ("a",))
        ac, cb = EdgeRow(a, EdgeKind.RELATED, c, 1.0), EdgeRow(c, EdgeKind.RELATED, b, 1.0)
        with store.writing(later(1)) as writer:
            for edge in (cb, ac, ab, EdgeRow(a, EdgeKind.NEXT, b, 1.0)):
                writer.link(alice, edge)
        with store.reading() as reader:
            assert reader.links(alice, [c, a, b], EdgeKind.RELATED) == [cb, ab, ac]
            assert reader.links(alice, [b, a], EdgeKind.RELATED, into=True) == [ab, cb]
            assert reader.links(alice, [a], EdgeKind.MENTIONS) == []
            assert reader.links(alice, [], EdgeKind.NEXT) == []

    def test_there_is_one_edge_of_a_kind_between_two_records(
        self, store: Store, alice: ScopeRow
    ) -> None:
        """A second one takes the place of the first; the other direction is another edge."""
        a, b = append(store, alice, turn(alice, "a"), turn(alice, "b"))
        with store.writing(later(1)) as writer:
            writer.link(alice, EdgeRow(a, EdgeKind.RELATED, b, 0.5, "old", ("a",)))
            writer.link(alice, EdgeRow(a, EdgeKind.RELATED, b, 0.25))
            writer.link(alice, EdgeRow(b, EdgeKind.RELATED, a, 2.0))
            writer.link_all(alice, a, EdgeKind.RELATED, [b])
        with store.reading() as reader:
            assert reader.edges(alice, a) == [
                EdgeRow(a, EdgeKind.RELATED, b, 0.25),
                EdgeRow(b, EdgeKind.RELATED, a, 2.0),
            ]

    def test_an_edge_that_is_taken_away_is_gone(self, store: Store, alice: ScopeRow) -> None:
        """Of its kind and direction only; one that is not there is no error."""
        a, b = append(store, alice, turn(alice, "a"), turn(alice, "b"))
        with store.writing(later(1)) as writer:
            for kind in (EdgeKind.NEXT, EdgeKind.RELATED):
                writer.link(alice, EdgeRow(a, kind, b, 1.0))
            writer.unlink(alice, a, EdgeKind.NEXT, b)
            writer.unlink(alice, b, EdgeKind.RELATED, a)
        with store.reading() as reader:
            assert reader.edges(alice, a) == [EdgeRow(a, EdgeKind.RELATED, b, 1.0)]

    def test_a_record_with_itself_is_one_edge(self, store: Store, alice: ScopeRow) -> None:
        """An edge that begins where it ends is told once."""
        (a,) = append(store, alice, turn(alice, "a"))
        loop = EdgeRow(a, EdgeKind.RELATED, a, 1.0)
        with store.writing(later(1)) as writer:
            writer.link(alice, loop)
        with store.reading() as reader:
            assert reader.edges(alice, a) == [loop]

    def test_what_rests_on_what_is_told_transitively(self, store: Store, alice: ScopeRow) -> None:
        """`origins`, `roots` and `derived` equal what a walk along all edges finds."""
        count = 0

        def check(dag: tuple[set[int], ...], groups: list[bool], asked: set[int]) -> None:
            nonlocal count
            count += 1
            items = [turn(alice, f"{count}/{n}", keys=()) for n in range(len(dag))]
            with store.writing(later(1)) as writer:
                writer.append(alice, items)
                refs = [item.ref for item in items]
                for item, below, group in zip(items, dag, groups, strict=False):
                    kind = EdgeKind.CONTAINS if group else EdgeKind.DERIVED_FROM
                    writer.link_all(alice, item.ref, kind, [refs[b] for b in below])
                # Other relations make nothing rest on anything.
                writer.link(alice, EdgeRow(refs[0], EdgeKind.RELATED, refs[-1], 1.0))
            named = {n for n in asked if n < len(dag)}
            reach: list[set[int]] = []
            for below in dag:
                reach.append(below.union(*(reach[b] for b in below)))
            with store.reading() as reader:
                for n, below in enumerate(dag):
                    assert reader.origins(alice, refs[n]) == [refs[b] for b in sorted(below)]
                    roots = [r for r in sorted({n, *reach[n]}) if not dag[r]]
                    assert reader.roots(alice, refs[n]) == [refs[r] for r in roots]
                found = reader.derived(alice, [refs[n] for n in named])
            wanted = {
                refs[n]: [refs[b] for b in sorted(dag[n])]
                for n in range(len(dag))
                if reach[n] & named
            }
            assert {ref: sorted(below) for ref, below in found.items()} == wanted

        for_all(
            check, _DAGS, st.lists(st.booleans(), min_size=9, max_size=9),
            st.sets(st.integers(0, 8), min_size=1, max_size=3), examples=40,
        )  # fmt: skip

    def test_slots_hold_what_they_were_last_set_to(self, store: Store, alice: ScopeRow) -> None:
        """A slot never set has version 0; each setting counts one up; slots are listed by name."""
        with store.reading() as reader:
            assert reader.slot(alice, "profile") == Slot(name="profile")
            assert reader.slots(alice) == []
        with store.writing(later(1)) as writer:
            writer.set_slot(alice, Slot(name="profile", text="old", sources=("t1",)), "user", "")
            made = writer.set_slot(alice, Slot(name="profile", text="né", budget=9), "p", "why")
            other = writer.set_slot(alice, Slot(name="Profile", text="another"), "p", "")
        assert made == Slot(name="profile", text="né", budget=9, version=2, updated_at=later(1))
        with store.reading() as reader:
            assert reader.slot(alice, "profile") == made
            assert reader.slots(alice) == [other, made]

    def test_what_was_elsewhere_before_is_kept_as_it_was(
        self, store: Store, alice: ScopeRow
    ) -> None:
        """A record keeps the time it was stored at, a slot its version, the ledger its sums."""
        item = turn(alice, "t1")
        item.record = item.record.model_copy(update={"stored_at": later(-9)})
        item.kept = True
        usage = Usage(shown=3, used=2, success=1.5, strength=0.25, last_used=later(-5))
        slot = Slot(name="profile", text="né", version=7, sources=("t1",), updated_at=later(-3))
        (ref,) = append(store, alice, item)
        with store.writing(later(1)) as writer:
            writer.keep_usage(alice, ref, usage)
            assert writer.set_slot(alice, slot, "import", "") == slot
        with store.reading() as reader:
            assert reader.load(alice, [ref])[0][1].stored_at == later(-9)
            assert reader.usage(alice, ref) == usage
            assert reader.slot(alice, "profile") == slot
            assert reader.journal(alice, ref)[0][1].at == NOW

    def test_any_text_fits_a_slot(self, store: Store, alice: ScopeRow) -> None:
        """Names, texts and sources of slots come back as they were."""

        def check(name: str, text: str, sources: list[str]) -> None:
            with store.writing(later(1)) as writer:
                writer.set_slot(alice, Slot(name=name, text=text, sources=tuple(sources)), "p", "")
            with store.reading() as reader:
                slot = reader.slot(alice, name)
            assert (slot.name, slot.text, slot.sources) == (name, text, tuple(sources))

        for_all(check, NAMES, TEXTS, st.lists(NAMES, max_size=3), examples=25)

    def test_the_ledger_adds_up(self, store: Store, alice: ScopeRow) -> None:
        """Counts are added, a strength replaces the one before, `last_used` is the last use."""
        a, b = append(store, alice, turn(alice, "a"), turn(alice, "b"))
        with store.reading() as reader:
            assert reader.usage(alice, a) == Usage()
        for when, used, strength in ((1, 1, 0.5), (2, 2, None), (3, 0, None)):
            with store.writing(later(when)) as writer:
                writer.credit(
                    alice, a, shown=1, used=used, success=0.5, failure=0.25, strength=strength
                )
        with store.reading() as reader:
            assert reader.usage(alice, a) == Usage(
                shown=3, used=3, success=1.5, failure=0.75, strength=0.5, last_used=later(2)
            )
            assert reader.usage(alice, b) == Usage()

    def test_work_is_queued_until_it_is_done(self, store: Store, alice: ScopeRow) -> None:
        """Tasks are given oldest first, as many as asked for; a parked one waits with its error."""
        (a,) = append(store, alice, turn(alice, "a"))
        with store.writing(later(1)) as writer:
            writer.enqueue(alice, "segment", a, a)
            writer.enqueue(alice, "keys", a, a)
            writer.enqueue(alice, "derive", a)
        with store.reading() as reader:
            tasks = reader.work(alice)
            assert reader.work(alice, 2) == tasks[:2]
        assert [(t.kind, t.ref, t.until, t.tries, t.error) for t in tasks] == [
            ("segment", a, a, 0, None), ("keys", a, a, 0, None), ("derive", a, None, 0, None)
        ]  # fmt: skip
        with store.writing(later(2)) as writer:
            writer.done(alice, tasks[0].number)
            writer.park(alice, tasks[1].number, "it failed")
        with store.reading() as reader:
            assert reader.work(alice) == tasks[2:]
            assert [row.path for row in reader.scopes(waiting=True)] == [alice.path]
            (parked,) = reader.work(alice, parked=True)
        assert (parked.number, parked.tries, parked.error) == (tasks[1].number, 1, "it failed")
        with store.writing(later(3)) as writer:
            writer.park(alice, parked.number, None)
        with store.reading() as reader:
            assert [t.kind for t in reader.work(alice)] == ["keys", "derive"]
            assert reader.work(alice, parked=True) == []
        with store.writing(later(4)) as writer:
            for task in writer.work(alice):
                writer.park(alice, task.number, "it failed")
        with store.reading() as reader:  # what is parked waits for somebody to ask again
            assert reader.scopes(waiting=True) == []
            assert [row.path for row in reader.scopes()] == [alice.path]

    def test_a_task_is_taken_off_once(self, store: Store, alice: ScopeRow) -> None:
        """No number is used twice: who is late to say "done" takes off no newer task."""
        (a,) = append(store, alice, turn(alice, "a"))
        numbers: list[int] = []
        for _ in range(3):
            with store.writing(later(1)) as writer:
                writer.enqueue(alice, "segment", a, a)
                writer.enqueue(alice, "keys", a, a)
            with store.reading() as reader:
                tasks = [task.number for task in reader.work(alice)]
            numbers += tasks
            with store.writing(later(2)) as writer:
                for number in tasks:
                    assert writer.done(alice, number)
                    assert not writer.done(alice, number)
        assert numbers == sorted(set(numbers))

    def test_documents_are_found_by_namespace_and_key(self, store: Store, alice: ScopeRow) -> None:
        """Exactly: no prefix, no case, no joint between namespace and key is mistaken."""
        twins = [
            ("a", "b", "c"),
            ("a", "bc"),
            ("ab", "c"),
            ("A", "b", "c"),
            ("a/b", "c"),
            ("a", "b"),
        ]
        made = [a_document(t[-1], {"n": n}, *t[:-1]) for n, t in enumerate(twins)]
        with store.writing(later(1)) as writer:
            for document in made:
                store.put_document(writer, alice, document)
        with store.reading() as reader:
            for document in made:
                assert store.document(reader, alice, document.namespace, document.key) == document
                there = list(store.documents(reader, alice, document.namespace))
                assert sorted(d.key for d in there) == sorted(
                    d.key for d in made if d.namespace == document.namespace
                )
            assert store.document(reader, alice, ("a",), "c") is None
            assert len(list(store.documents(reader, alice))) == len(made)

    def test_a_document_is_replaced_and_taken_away(self, store: Store, alice: ScopeRow) -> None:
        """The newer value stands, with the time of the first making; what is deleted is gone."""
        old = a_document("k", {"v": 1}, expires_at=later(60))
        new = a_document("k", {"v": 2}, created_at=later(5), updated_at=later(5))
        with store.writing(later(1)) as writer:
            store.put_document(writer, alice, old)
            assert store.document(writer, alice, ("notes",), "k") == old
            store.put_document(writer, alice, new)
        with store.reading() as reader:
            held = store.document(reader, alice, ("notes",), "k")
            assert held is not None
            assert held.value == {"v": 2}
            assert (held.created_at, held.updated_at, held.expires_at) == (
                old.created_at,
                later(5),
                None,
            )
            assert [d.value for d in store.documents(reader, alice)] == [{"v": 2}]
        with store.writing(later(2)) as writer:
            assert store.delete_document(writer, alice, ("notes",), "k") is True
            assert store.delete_document(writer, alice, ("notes",), "k") is False
        with store.reading() as reader:
            assert store.document(reader, alice, ("notes",), "k") is None
            assert list(store.documents(reader, alice)) == []

    def test_documents_come_in_the_order_in_which_they_came(
        self, store: Store, alice: ScopeRow
    ) -> None:
        """Namespaces by when each came to hold one; what is replaced keeps its place."""

        def put(*names: str, **times: Any) -> None:
            with store.writing(later(1)) as writer:
                store.put_document(writer, alice, a_document(names[-1], {}, *names[:-1], **times))

        def told(*under: str) -> list[str]:
            with store.reading() as reader:
                found = list(store.documents(reader, alice, under=under, at=later(10)))
            return ["/".join((*d.namespace, d.key)) for d in found]

        for name in ("z/2", "a/b/1", "z/1", "a/3", "z/2", "a/b/0"):
            put(*name.split("/"))
        assert told() == ["z/2", "z/1", "a/b/1", "a/b/0", "a/3"]
        assert told("a") == ["a/b/1", "a/b/0", "a/3"]
        assert told("a", "b") == ["a/b/1", "a/b/0"]
        assert told("b") == []
        with store.writing(later(2)) as writer:
            assert store.delete_document(writer, alice, ("z",), "2")
            assert store.delete_document(writer, alice, ("a",), "3")
        put("a", "3")
        put("z", "2")
        assert told() == ["z/1", "z/2", "a/b/1", "a/b/0", "a/3"]
        put("z", "1", expires_at=later(9))
        assert told("z") == ["z/2"]
        with store.reading() as reader:
            assert sorted(store.namespaces(reader, alice)) == [("a",), ("a", "b"), ("z",)]

    def test_a_document_that_expired_is_gone_and_another_may_come(
        self, store: Store, alice: ScopeRow
    ) -> None:
        """A time to live begins anew while it lasts, and not after; what is over is swept."""
        lives = {"ttl": 5.0, "expires_at": later(5)}
        with store.writing(later(1)) as writer:
            for key in ("a", "b"):
                store.put_document(writer, alice, a_document(key, {"k": key}, **lives))
            store.put_document(writer, alice, a_document("c", {}, "other"))
            assert store.touch_document(writer, alice, ("notes",), "a", later(4))
            assert not store.touch_document(writer, alice, ("notes",), "b", later(5))
            assert not store.touch_document(writer, alice, ("other",), "c", later(4))
            assert not store.touch_document(writer, alice, ("notes",), "none", later(4))
        with store.reading() as reader:
            assert [d.key for d in store.documents(reader, alice, at=later(8))] == ["a", "c"]
            assert [d.key for d in store.documents(reader, alice)] == ["a", "b", "c"]
            assert store.namespaces(reader, alice, at=later(9)) == [("other",)]
        new = a_document("a", {}, created_at=later(9), updated_at=later(9))
        with store.writing(later(9)) as writer:
            assert store.put_document(writer, alice, new) == new
            assert store.sweep_documents(writer, alice, later(9)) == 1
            assert store.sweep_documents(writer, alice, later(9)) == 0
        with store.reading() as reader:
            assert [d.key for d in store.documents(reader, alice)] == ["c", "a"]

    def test_any_json_fits_a_document(self, store: Store, alice: ScopeRow) -> None:
        """Namespaces, keys and values come back as they were."""

        def check(
            namespace: list[str], key: str, value: dict[str, object], index: list[str] | None
        ) -> None:
            chosen: Any = {"index": index if index is None else tuple(index) or False, "ttl": 2.5}
            document = a_document(key, value, *namespace, **chosen)
            with store.writing(later(1)) as writer:
                store.put_document(writer, alice, document)
            with store.reading() as reader:
                held = store.document(reader, alice, document.namespace, key)
            assert held is not None
            assert (held.namespace, held.key, held.value) == (document.namespace, key, value)
            assert (held.index, held.ttl) == (document.index, 2.5)

        for_all(
            check,
            st.lists(NAMES, min_size=1, max_size=3),
            NAMES,
            st.dictionaries(TEXTS, JSON, max_size=3),
            st.none() | st.lists(NAMES, max_size=2),
            examples=40,
        )

    def test_documents_are_no_records(self, store: Store, alice: ScopeRow) -> None:
        """A document is neither selected nor counted nor found."""
        with store.writing(later(1)) as writer:
            store.put_document(writer, alice, a_document("k", {"v": 1}))
        with store.reading() as reader:
            assert reader.select(alice, None, 0, MANY, active=False) == []
            assert reader.count(alice, None, active=False) == 0
            assert reader.find(alice, ["k"]) == {}
