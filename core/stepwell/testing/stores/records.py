"""Records, keys, entries, and which of them a filter lets through."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell.contracts import STATUS_CODES, Entry, NewRecord, ScopeRow, Store
from stepwell.filters import Filter
from stepwell.identity import id_bytes, id_text, keyed, record_id
from stepwell.models import EdgeKind, Kind, Record, Status
from stepwell.testing.evaluating import matches
from stepwell.testing.samples import (
    FILTERABLE_FIELDS,
    MANY,
    NOW,
    RECORD_FIELDS,
    TELLING_PAYLOADS,
    VECTORS,
    WORDS,
    add_derived,
    append,
    change,
    derived,
    filters,
    for_all,
    later,
    micros,
    scope_in,
    turn,
    vector_key,
    words_key,
)  # fmt: skip
from stepwell.testing.stores.base import Base

_CORPUS = 60


class Records(Base):
    """See StoreContract."""

    def test_every_field_of_a_record_is_kept(self, store: Store, alice: ScopeRow) -> None:
        """What is loaded equals what was appended, field by field, for any record."""
        (first,) = append(store, alice, turn(alice, "t"))
        count = 0

        def check(fields: dict[str, Any]) -> None:
            nonlocal count
            count += 1
            if fields["status"] is Status.STALE:
                fields = {**fields, "text": fields["text"] or "x"}  # without one it is blank
            name = record_id(alice.secret, NOW, "kept", str(count))
            record = Record(id=name, scope=alice.path, stored_at=NOW, **fields)
            item = NewRecord(record, keyed(alice.secret, "turn", f"#{count}"), None, ())
            with store.writing(NOW) as writer:
                writer.append(alice, [item])
                writer.link_all(alice, item.ref, EdgeKind.DERIVED_FROM, [first])
            with store.reading() as reader:
                assert reader.load(alice, [item.ref]) == [(item.ref, record)]

        for_all(check, RECORD_FIELDS, examples=80)

    def test_records_come_in_the_order_asked_for(self, store: Store, alice: ScopeRow) -> None:
        """`load` keeps the order of refs and leaves out what is not there."""
        a, b, c = append(store, alice, *(turn(alice, name) for name in "abc"))
        with store.reading() as reader:
            loaded = reader.load(alice, [c, 10**9, a, b])
        assert [(ref, record.turn) for ref, record in loaded] == [(c, "c"), (a, "a"), (b, "b")]

    def test_refs_ascend_and_are_never_used_twice(self, store: Store, alice: ScopeRow) -> None:
        """A ref is higher than all before it, also after what had it was forgotten."""
        refs = append(store, alice, turn(alice, "a"), turn(alice, "b"))
        with store.writing(NOW) as writer:
            writer.purge(alice, refs, ())
        refs += append(store, alice, turn(alice, "c"))
        with store.writing(NOW) as writer:
            writer.erase(alice)
        again = scope_in(store, *alice.path)
        refs += append(store, again, turn(again, "d"))
        assert refs == sorted(set(refs))

    def test_a_record_is_found_by_its_id_and_its_turn(self, store: Store, alice: ScopeRow) -> None:
        """Both ids lead to the ref; what is unknown is left out, not None."""
        items = [turn(alice, "t1"), turn(alice, "日本"), derived(alice, "fact")]
        with store.writing(NOW) as writer:
            writer.append(alice, items)
            writer.link_all(alice, items[2].ref, EdgeKind.DERIVED_FROM, [items[0].ref])
        ids = {item.record.id: item.ref for item in items}
        with store.reading() as reader:
            assert reader.find(alice, list(ids)) == ids
            assert reader.find(alice, ["t1", "日本"]) == {"t1": items[0].ref, "日本": items[1].ref}
            unknown = ["", "T1", "t1 ", "r_", "r_" + "0" * 26, id_text(b"\xff" * 16)]
            assert reader.find(alice, unknown) == {}

    def test_a_handle_tells_what_was_stored_under_it(self, store: Store, alice: ScopeRow) -> None:
        """`identity` gives ref and content hash: by it duplicates and conflicts are told apart."""
        item = turn(alice, "t1")
        append(store, alice, item)
        assert item.handle is not None
        with store.reading() as reader:
            assert reader.identity(alice, item.handle) == (item.ref, item.content)
            assert reader.identity(alice, keyed(alice.secret, "turn", "t2")) is None

    def test_pages_put_together_are_the_whole(self, store: Store, alice: ScopeRow) -> None:
        """`select` ascends above a ref, at most as many as asked for, active ones unless told."""
        refs = append(store, alice, *(turn(alice, str(n)) for n in range(10)))
        with store.writing(NOW) as writer:
            change(writer, alice, refs[4], status=Status.HIDDEN)
        with store.reading() as reader:
            pages: list[int] = []
            while page := reader.select(alice, None, pages[-1] if pages else 0, 4, active=False):
                assert len(page) <= 4
                pages += page
            assert pages == refs
            assert reader.select(alice, None, 0, MANY) == [*refs[:4], *refs[5:]]
            assert reader.select(alice, None, 0, 0) == []
            assert reader.count(alice, None) == 9
            assert reader.count(alice, None, active=False) == 10

    def test_filters_mean_what_they_say(self, store: Store, alice: ScopeRow) -> None:
        """For any records and any filter: selected is what `testing.matches` lets through."""
        items = [turn(alice, f"p{n}", keys=(), payload=p) for n, p in enumerate(TELLING_PAYLOADS)]

        def gather(fields: dict[str, Any]) -> None:
            if len(items) < _CORPUS + len(TELLING_PAYLOADS):
                name = str(len(items))
                items.append(turn(alice, name, keys=(), **fields))

        for_all(gather, FILTERABLE_FIELDS, examples=_CORPUS)
        with store.writing(NOW) as writer:
            base = turn(alice, "base")
            writer.append(alice, [base, *items])
            for item in items:
                if item.record.level:
                    writer.link_all(alice, item.ref, EdgeKind.DERIVED_FROM, [base.ref])
        with store.reading() as reader:
            everything = reader.load(alice, reader.select(alice, None, 0, MANY, active=False))

            def check(where: Filter) -> None:
                wanted = [ref for ref, record in everything if matches(where, record)]
                assert reader.select(alice, where, 0, MANY, active=False) == wanted, where.tree
                assert reader.count(alice, where, active=False) == len(wanted)
                active = [
                    r for r, record in everything if r in wanted and record.status == "active"
                ]
                assert reader.select(alice, where, 0, MANY) == active

            # What chance may pass over: that "not" means the opposite also where nothing is known.
            for field in ("session", "actor", "role", "task"):
                for value in (None, "x", ["x", None]):
                    check(Filter(**{field: value}))
                    check(~Filter(**{field: value}))
            for field in ("said_after", "said_before"):
                check(Filter(**{field: NOW}))
                check(~Filter(**{field: NOW}))
            ids = [name for _, r in everything[:6] for name in (r.id, r.turn) if name is not None]
            for_all(check, filters(ids), examples=150)

    @pytest.mark.parametrize("field", ["session", "actor", "role", "task", "payload"])
    def test_filters_mean_the_same_for_what_waits_to_be_derived_again(
        self, store: Store, alice: ScopeRow, field: str
    ) -> None:
        """A stale record says nothing any more, and is filtered by what it says: nothing."""
        a, b = append(store, alice, turn(alice, "a"), turn(alice, "b"))
        said: dict[str, Any] = {field: {"a": "x"} if field == "payload" else "x"}
        asked = [
            Filter(**said),
            ~Filter(**said),
            Filter(**{field: {"a": None}} if field == "payload" else {field: None}),
        ]
        with store.writing(NOW) as writer:
            fact = add_derived(writer, alice, "fact", [a, b], **said)
            writer.purge(alice, [a, fact], {fact})
            writer.done(alice, writer.work(alice)[0].number)
        with store.reading() as reader:
            ((_, stale),) = reader.load(alice, [fact])
            for where in asked:
                found = reader.select(alice, where, 0, MANY, active=False)
                assert (fact in found) is matches(where, stale)

    def test_entries_tell_of_records_what_caches_need(self, store: Store, alice: ScopeRow) -> None:
        """Entries ascend by ref, of every status, or those asked for; times are microseconds."""
        items = [
            turn(alice, "a", said_at=later(-5), valid_from=later(-9), valid_to=later(9), trust=0.25,
                 session="s1", actor="Bob"),
            turn(alice, "b", status=Status.HIDDEN),
            derived(alice, "fact"),
        ]  # fmt: skip
        with store.writing(later(1)) as writer:
            writer.append(alice, items)
            writer.link_all(alice, items[2].ref, EdgeKind.DERIVED_FROM, [items[0].ref])
        with store.reading() as reader:
            entries = [Entry(*row) for row in reader.entries(alice)]
            some = [
                Entry(*row) for row in reader.entries(alice, [items[2].ref, items[0].ref, 10**9])
            ]
        assert [e.ref for e in entries] == [item.ref for item in items]
        assert some == [entries[0], entries[2]]
        assert [e.id for e in entries] == [id_bytes(item.record.id) for item in items]
        assert [e.level for e in entries] == [0, 0, 1]
        assert [e.status for e in entries] == [
            STATUS_CODES[s] for s in (Status.ACTIVE, Status.HIDDEN, Status.ACTIVE)
        ]
        first, second, _ = entries
        assert (first.trust, first.session, first.actor) == (0.25, "s1", "Bob")
        assert (first.said_at, first.stored_at) == (micros(later(-5)), micros(later(1)))
        assert (first.valid_from, first.valid_to) == (micros(later(-9)), micros(later(9)))
        assert (second.said_at, second.session, second.actor) == (None, None, None)
        assert first.kind != entries[2].kind

    def test_keys_are_kept_to_the_byte(self, store: Store, alice: ScopeRow) -> None:
        """Keys come back by channel and space, ascending, with body and span as they were."""
        a, b = append(
            store,
            alice,
            turn(
                alice,
                "a",
                keys=(words_key(1, 2**64 - 1), words_key(3, span=(5, 9)), vector_key(0, -0.5, 1)),
            ),
            turn(alice, "b", keys=()),
        )
        with store.writing(NOW) as writer:
            writer.add_keys(alice, b, [words_key(7)])
            writer.add_keys(alice, a, [words_key(8, span=(0, 5))])
        with store.reading() as reader:
            words = reader.keys(alice, *WORDS)
            some = reader.keys(alice, *WORDS, refs=[b, 10**9])
            vectors = reader.keys(alice, *VECTORS)
            none = [reader.keys(alice, "words", "words/2"), reader.keys(alice, "vectors", WORDS[1])]
            spaces = sorted(reader.spaces(alice))
        kids = [row[0] for row in words]
        assert kids == sorted(set(kids))
        assert [row[1:4] for row in words] == [
            (a, None, None),
            (a, 5, 9),
            (b, None, None),
            (a, 0, 5),
        ]
        assert [row[4] for row in words] == [
            words_key(*terms).body for terms in ((1, 2**64 - 1), (3,), (7,), (8,))
        ]
        assert some == [words[2]]
        assert [row[4] for row in vectors] == [vector_key(0, -0.5, 1).body]
        assert none == [[], []]
        assert spaces == [(*VECTORS, 1), (*WORDS, 4)]

    def test_keys_that_are_blanked_are_gone(self, store: Store, alice: ScopeRow) -> None:
        """Of one channel and space, or all of a record; how many is told. Others stay."""
        a, b = append(
            store, alice, *(turn(alice, name, keys=(words_key(), vector_key())) for name in "ab")
        )  # fmt: skip
        with store.writing(NOW) as writer:
            assert writer.blank_keys(alice, a, *WORDS) == 1
            assert writer.blank_keys(alice, a, "words", "words/2") == 0
            assert writer.blank_keys(alice, b) == 2
            assert writer.blank_keys(alice, b) == 0
        with store.reading() as reader:
            assert reader.keys(alice, *WORDS) == []
            assert [row[1] for row in reader.keys(alice, *VECTORS)] == [a]
            assert reader.spaces(alice) == [(*VECTORS, 1)]

    def test_records_that_lack_keys_are_told(self, store: Store, alice: ScopeRow) -> None:
        """Ascending, whatever their status; of one channel and space, and of one scope alone."""
        a, b, c = append(
            store, alice, turn(alice, "a", keys=(words_key(), vector_key())),
            turn(alice, "b", keys=(words_key(),)), turn(alice, "c", keys=()),
        )  # fmt: skip
        bob = scope_in(store, "acme", "bob")
        append(store, bob, turn(bob, "d", keys=()))
        with store.writing(NOW) as writer:
            writer.set_state(alice, b, status=Status.HIDDEN)
            assert writer.keyless(alice, *VECTORS) == [b, c]
            assert writer.keyless(alice, *WORDS) == [c]
            assert writer.keyless(alice, "vectors", "another/3") == [a, b, c]
            writer.blank_keys(alice, a, *VECTORS)
            writer.add_keys(alice, b, [vector_key()])
        with store.reading() as reader:
            assert reader.keyless(alice, *VECTORS) == [a, c]

    def test_new_keys_never_take_the_number_of_old_ones(
        self, store: Store, alice: ScopeRow
    ) -> None:
        """A key's number is used once, so that a cache cannot take one key for another."""
        (ref,) = append(store, alice, turn(alice, "a"))
        seen: list[int] = []
        for n in range(3):
            with store.writing(NOW) as writer:
                writer.blank_keys(alice, ref)
                writer.add_keys(alice, ref, [words_key(n)])
            with store.reading() as reader:
                seen += [row[0] for row in reader.keys(alice, *WORDS)]
        store.compact()
        (other,) = append(store, alice, turn(alice, "b"))
        with store.reading() as reader:
            seen += [row[0] for row in reader.keys(alice, *WORDS, refs=[other])]
        assert seen == sorted(set(seen))

    def test_every_kind_can_be_asked_for(self, store: Store, alice: ScopeRow) -> None:
        """Every kind is stored as itself and no other."""
        (base,) = append(store, alice, turn(alice, "a"))
        with store.writing(NOW) as writer:
            refs: dict[Kind, int] = {}
            for kind in Kind:
                item = derived(alice, f"a {kind}", kind=kind)
                writer.append(alice, [item])
                writer.link_all(alice, item.ref, EdgeKind.DERIVED_FROM, [base])
                refs[kind] = item.ref
        with store.reading() as reader:
            for kind, ref in refs.items():
                assert reader.select(alice, Filter(kind=kind, level=1), 0, MANY) == [ref]
