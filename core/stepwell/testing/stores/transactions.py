"""Transactions: all or nothing, one moment, one writer at a time, typed errors."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from stepwell.contracts import ScopeRow, Store, StoreReader
from stepwell.errors import StepwellError, StoreClosed, StoreReadOnly
from stepwell.testing.samples import (
    MANY,
    NOW,
    append,
    dump,
    fill,
    later,
    scope_in,
    turn,
)  # fmt: skip
from stepwell.testing.stores.base import ALICE, Base


def aside(work: Callable[[], None]) -> tuple[threading.Thread, list[BaseException]]:
    """Work in another thread, and what it died of."""
    deaths: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told to the thread that waits
            deaths.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, deaths


def ended(thread: threading.Thread, deaths: list[BaseException]) -> None:
    """Wait for a thread, and raise what it died of."""
    thread.join(60)
    assert not thread.is_alive(), "a thread waits for ever"
    if deaths:
        raise deaths[0]


def heads(reader: StoreReader) -> tuple[int, int, list[int]]:
    """The head as the scope tells it, the highest position, and all refs: one moment's."""
    row = reader.scope_of(ALICE)
    assert row is not None
    journal = reader.journal(row, limit=MANY)
    refs = reader.select(row, None, 0, MANY, active=False)
    return row.head, max((position for position, _, _ in journal), default=0), refs


class Transactions(Base):
    """See StoreContract."""

    def test_a_new_store_is_empty_and_sound(self, store: Store) -> None:
        """A new store holds no scope, and check finds nothing wrong with it."""
        with store.reading() as reader:
            assert reader.scopes() == []
            assert reader.scope_of(ALICE) is None
        assert store.check() == []
        assert not store.read_only

    def test_a_transaction_is_committed_as_a_whole(self, store: Store) -> None:
        """What was written is there when the block has ended."""
        filled = fill(store, ALICE, "mark")
        held = dump(store, ALICE)
        assert held is not None
        assert [ref for ref, _ in held["records"]] == [*filled.turns, *filled.facts]
        assert all(held[part] for part in held if part != "parked")

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_an_error_undoes_the_whole_transaction(
        self, store: Store, error: type[BaseException]
    ) -> None:
        """Nothing of a block that ends with an error is kept, whatever the error."""
        fill(store, ALICE, "mark")
        before = dump(store, ALICE)
        with pytest.raises(error), store.writing(NOW) as writer:  # noqa: PT012 - what goes before the error is what it undoes
            row = writer.scope_of(ALICE)
            assert row is not None
            refs = writer.select(row, None, 0, MANY)
            writer.open_scope(("other",), b"x" * 32)
            writer.set_meta("lost", "1")
            writer.append(row, [turn(row, "lost")])
            writer.purge(row, refs[:1], ())
            writer.erase(row)
            raise error
        assert dump(store, ALICE) == before
        with store.reading() as reader:
            assert reader.scope_of(("other",)) is None
            assert reader.meta("lost") is None

    def test_a_store_works_on_after_a_failed_transaction(
        self, store: Store, alice: ScopeRow
    ) -> None:
        """A failure costs the transaction that failed and no other."""
        with pytest.raises(ValueError), store.writing(NOW) as writer:  # noqa: PT011, PT012 - what goes before the error is what it undoes
            writer.append(alice, [turn(alice, "lost")])
            raise ValueError
        (ref,) = append(store, alice, turn(alice, "kept"))
        with store.reading() as reader:
            assert reader.find(alice, ["lost", "kept"]) == {"kept": ref}

    def test_a_writer_reads_what_it_wrote(self, store: Store, alice: ScopeRow) -> None:
        """Within a transaction its own writes are seen."""
        with store.writing(NOW) as writer:
            item = turn(alice, "t1")
            writer.append(alice, [item])
            assert writer.find(alice, ["t1"]) == {"t1": item.ref}
            assert writer.load(alice, [item.ref])[0][1].text == item.record.text
            assert writer.count(alice, None) == 1

    def test_nobody_sees_what_is_not_committed(self, store: Store, alice: ScopeRow) -> None:
        """A reader beside an open write transaction sees nothing of it."""
        seen: list[int] = []

        def look() -> None:
            with store.reading() as reader:
                seen.append(reader.count(alice, None))

        with pytest.raises(ValueError), store.writing(NOW) as writer:  # noqa: PT011, PT012 - what goes before the error is what it undoes
            writer.append(alice, [turn(alice, "t1")])
            thread, deaths = aside(look)
            thread.join(0.2)  # a store may let the reader wait instead
            raise ValueError
        ended(thread, deaths)
        assert seen == [0]

    def test_a_reader_sees_one_moment(self, store: Store, alice: ScopeRow) -> None:
        """What is committed after a read transaction began, it does not see; the next one does."""
        append(store, alice, turn(alice, "t1"))

        def write() -> None:
            append(store, alice, turn(alice, "t2"))

        with store.reading() as reader:
            before = heads(reader)
            thread, deaths = aside(write)
            thread.join(0.2)  # a store may let the writer wait instead
            assert heads(reader) == before
        ended(thread, deaths)
        with store.reading() as reader:
            assert len(heads(reader)[2]) == 2

    def test_a_read_within_a_read_leaves_the_outer_one_alone(
        self, store: Store, alice: ScopeRow
    ) -> None:
        """The end of an inner read transaction does not end the outer one."""
        append(store, alice, turn(alice, "t1"))
        with store.reading() as reader:
            with store.reading() as inner:
                assert inner.count(alice, None) == 1
            assert reader.count(alice, None) == 1

    def test_writers_take_turns(self, store: Store, alice: ScopeRow) -> None:
        """Two threads that write lose nothing, share no ref, and no journal position."""

        def write(name: str) -> None:
            for n in range(25):
                append(store, alice, turn(alice, f"{name}{n}"))

        threads = [aside(lambda name=name: write(name)) for name in "ab"]  # type: ignore[misc]  # a lambda with a default
        for thread, deaths in threads:
            ended(thread, deaths)
        with store.reading() as reader:
            head, highest, refs = heads(reader)
            positions = [position for position, _, _ in reader.journal(alice, limit=MANY)]
        assert len(set(refs)) == 50
        assert len(set(positions)) == 50
        assert head == highest

    def test_readers_beside_a_writer_see_whole_transactions(
        self, store: Store, alice: ScopeRow
    ) -> None:
        """However reads and writes meet, a transaction is seen as a whole, or not at all."""
        done = threading.Event()

        def write() -> None:
            try:
                for n in range(30):
                    append(store, alice, turn(alice, f"a{n}"), turn(alice, f"b{n}"))
            finally:
                done.set()

        thread, deaths = aside(write)
        last = False
        while not last:
            last = done.is_set()
            with store.reading() as reader:
                head, highest, refs = heads(reader)
                assert head == highest
                assert len(refs) % 2 == 0
        ended(thread, deaths)

    def test_facts_about_the_file_are_kept_and_taken_away(self, store: Store) -> None:
        """A meta value is what it was last set to, None when it is taken away."""
        with store.writing(NOW) as writer:
            writer.set_meta("preset", "a")
            writer.set_meta("preset", "é😀")
            writer.set_meta("other", "b")
            writer.set_meta("other", None)
            writer.set_meta("never", None)
        with store.reading() as reader:
            assert [reader.meta(n) for n in ("preset", "other", "never")] == ["é😀", None, None]

    def test_what_is_stored_bears_the_time_of_its_transaction(
        self, store: Store, alice: ScopeRow
    ) -> None:
        """`stored_at` is the transaction's time, to the microsecond, not the record's."""
        when = later(0.123456)
        (ref,) = append(store, alice, turn(alice, "t1"), now=when)
        with store.reading() as reader:
            assert reader.load(alice, [ref])[0][1].stored_at == when
            assert reader.journal(alice)[0][1].at == when

    def test_a_closed_store_says_so(self, store: Store) -> None:
        """Every use after close() is StoreClosed; closing twice is closing once."""
        store.close()
        store.close()
        with pytest.raises(StoreClosed), store.reading():
            pass
        with pytest.raises(StoreClosed), store.writing(NOW):
            pass
        with pytest.raises(StoreClosed):
            store.check()

    def test_a_store_that_is_opened_again_holds_what_it_held(
        self, store: Store, tmp_path: Path
    ) -> None:
        """Everything is the same after closing and opening."""
        if not self.reopens:
            pytest.skip("this store keeps nothing")
        fill(store, ALICE, "mark")
        with store.writing(NOW) as writer:
            writer.set_meta("preset", "a")
        before = dump(store, ALICE)
        store.close()
        again = self.open(tmp_path)
        try:
            assert dump(again, ALICE) == before
            with again.reading() as reader:
                assert reader.meta("preset") == "a"
            assert again.check() == []
            row = scope_in(again, *ALICE)
            (ref,) = append(again, row, turn(row, "new"))
            assert before is not None
            assert ref > max(ref for ref, _ in before["records"])
        finally:
            again.close()

    def test_a_store_that_is_read_only_is_not_written_to(
        self, store: Store, tmp_path: Path
    ) -> None:
        """Opened for reading alone it tells everything, and a write is StoreReadOnly."""
        fill(store, ALICE, "mark")
        before = dump(store, ALICE)
        store.close()
        readable = self.open_read_only(tmp_path)
        try:
            assert readable.read_only
            assert dump(readable, ALICE) == before
            assert readable.check() == []
            with pytest.raises(StoreReadOnly), readable.writing(NOW):
                pass
            assert dump(readable, ALICE) == before
        finally:
            readable.close()

    def test_an_append_that_fails_is_a_typed_error(self, store: Store, alice: ScopeRow) -> None:
        """A handle leads to one record: a second under it is refused, and nothing is stored."""
        append(store, alice, turn(alice, "t1"))
        before = dump(store, ALICE)
        with pytest.raises(StepwellError) as caught:
            append(store, alice, turn(alice, "t2"), turn(alice, "t1", "some other text"))
        assert "some other text" not in str(caught.value)
        assert dump(store, ALICE) == before
