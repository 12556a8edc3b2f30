"""States, versions, the journal, and how things were before."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from stepwell.contracts import STATUS_CODES, ScopeRow, Store
from stepwell.models import Status
from stepwell.testing.samples import (
    MANY,
    NAMES,
    TEXTS,
    WORDS,
    append,
    change,
    dump,
    fill,
    for_all,
    later,
    micros,
    turn,
)  # fmt: skip
from stepwell.testing.stores.base import ALICE, Base

#: Steps in time: a record, and what of it changes.
_STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.dictionaries(
            st.sampled_from(["status", "trust", "valid_to", "text"]), st.integers(0, 3), min_size=1
        ),
    ),
    max_size=8,
)
_VALUES: dict[str, list[Any]] = {
    "status": [Status.ACTIVE, Status.SUPERSEDED, Status.HIDDEN, Status.QUARANTINED],
    "trust": [0.0, 0.25, 0.5, 1.0],
    "valid_to": [None, later(1), later(2), later(3)],
}


class Histories(Base):
    """See StoreContract."""

    def test_a_state_is_changed_and_told_as_it_was(self, store: Store, alice: ScopeRow) -> None:
        """`set_state` changes what is named, counts the version up, and tells the values before."""
        a, b = append(
            store, alice, turn(alice, "a", trust=0.5, valid_to=later(9)), turn(alice, "b")
        )
        with store.writing(later(1)) as writer:
            before = writer.set_state(alice, a, status=Status.HIDDEN, valid_to=None)
            other = writer.load(alice, [b])
        assert before == {
            "status": STATUS_CODES[Status.ACTIVE], "valid_to": micros(later(9)), "version": 1
        }  # fmt: skip
        with store.reading() as reader:
            ((_, record),) = reader.load(alice, [a])
            assert reader.load(alice, [b]) == other
        assert (record.status, record.valid_to, record.version) == (Status.HIDDEN, None, 2)
        assert (record.trust, record.text) == (0.5, "text of a")

    def test_another_text_leaves_the_old_one_readable(self, store: Store, alice: ScopeRow) -> None:
        """A new text shows when the state points to it; `version` reads those before."""
        a, b = append(
            store, alice, turn(alice, "a", "first", payload={"n": 1}, actor="Bob"), turn(alice, "b")
        )  # fmt: skip
        with store.writing(later(1)) as writer:
            second = writer.new_text(alice, a, "second", None)
            assert writer.load(alice, [a])[0][1].text == "first"
            before = change(writer, alice, a, "revise", content=second)
        with store.writing(later(2)) as writer:
            third = writer.new_text(alice, a, None, '{"n":3}')
            change(writer, alice, a, "revise", content=third)
        with store.reading() as reader:
            ((_, now),) = reader.load(alice, [a])
            assert (now.text, now.payload, now.actor, now.version) == ("second", {"n": 3}, "Bob", 3)
            assert now.turn == "a"
            first = reader.version(alice, a, before["content"])
            assert first is not None
            assert (first.id, first.text, first.payload) == (now.id, "first", {"n": 1})
            middle = reader.version(alice, a, second)
            assert middle is not None
            assert (middle.text, middle.payload) == ("second", {"n": 1})
            assert reader.version(alice, a, 10**9) is None
            assert reader.version(alice, 10**9, second) is None
            assert reader.select(alice, None, 0, MANY) == [a, b]
            assert reader.count(alice, None) == 2

    def test_the_journal_tells_what_was_done(self, store: Store, alice: ScopeRow) -> None:
        """Entries ascend, of one record or of all; who, why, evidence and before are kept."""
        a, b = append(store, alice, turn(alice, "a"), turn(alice, "b"))
        with store.writing(later(1)) as writer:
            names = {ref: record.id for ref, record in writer.load(alice, [a, b])}
            writer.journal_op(
                alice, "hide", a, who="p", why="wéil", evidence=[names[b]], before={"version": 1}
            )
            writer.journal_op(alice, "set_slot", who="q")
        with store.reading() as reader:
            journal = reader.journal(alice)
            (_, added, _), (_, hidden, said) = reader.journal(alice, a)
            first = journal[0][0]
            assert reader.journal(alice, limit=1) == journal[:1]
            assert reader.journal(alice, after=first) == journal[1:]
            assert reader.journal(alice, 10**9) == []
            row = reader.again(alice)
        assert row is not None
        assert [position for position, _, _ in journal] == [*range(first, row.head + 1)]
        assert [change.op for _, change, _ in journal] == ["add", "add", "hide", "set_slot"]
        assert [change.who for _, change, _ in journal] == ["user", "user", "p", "q"]
        assert journal[3][1].record_id is None
        assert added.record_id == hidden.record_id == names[a]
        assert (hidden.at, hidden.why, hidden.evidence) == (later(1), "wéil", (names[b],))
        assert hidden.before == said["before"] == {"version": 1}

    def test_any_words_fit_the_journal(self, store: Store, alice: ScopeRow) -> None:
        """Reasons and evidence come back as they were."""

        def check(who: str, why: str, evidence: list[str]) -> None:
            with store.writing(later(1)) as writer:
                writer.journal_op(alice, "hide", who=who, why=why, evidence=evidence)
            with store.reading() as reader:
                _, change, _ = reader.journal(alice, limit=MANY)[-1]
            assert (change.who, change.why, change.evidence) == (who, why, tuple(evidence))

        for_all(check, NAMES, TEXTS, st.lists(NAMES, max_size=3), examples=25)

    def test_appending_is_journaled_with_its_reason(self, store: Store, alice: ScopeRow) -> None:
        """Each appended record has an entry "add" with who, why and evidence."""
        item = turn(alice, "a")
        item.who, item.why, item.evidence = "p", "because", ("r_x",)
        (ref,) = append(store, alice, item)
        with store.reading() as reader:
            ((_, change, _),) = reader.journal(alice, ref)
        assert (change.op, change.who, change.why, change.evidence) == (
            "add",
            "p",
            "because",
            ("r_x",),
        )

    def test_what_changed_after_a_position_is_told(self, store: Store, alice: ScopeRow) -> None:
        """`changed` names each ref once, ascending, that the journal names after a position."""
        a, b, c = append(store, alice, *(turn(alice, name) for name in "abc"))
        with store.reading() as reader:
            row = reader.again(alice)
            assert row is not None
            assert reader.changed(alice, 0) == [a, b, c]
            assert reader.changed(alice, row.head) == []
        with store.writing(later(1)) as writer:
            change(writer, alice, c, trust=0.5)
            change(writer, alice, a, trust=0.5)
            change(writer, alice, c, trust=0.25)
            writer.purge(alice, [b], ())
        with store.reading() as reader:
            assert reader.changed(alice, row.head) == [a, b, c]

    def test_how_it_was_at_a_moment_can_be_told(self, store: Store) -> None:
        """The overlay, put over what is there now, gives every state as it was at any moment."""
        count = 0

        def check(steps: list[tuple[int, dict[str, int]]]) -> None:
            nonlocal count
            count += 1
            with store.writing(later(0)) as writer:
                scope = writer.open_scope(("overlay", str(count)), b"s" * 32)
            refs = append(store, scope, *(turn(scope, name) for name in "abc"))
            was = [_states(store, scope, refs)]
            for second, (which, changes) in enumerate(steps, 1):
                with store.writing(later(second)) as writer:
                    state = {
                        name: _VALUES[name][v] for name, v in changes.items() if name != "text"
                    }
                    if "text" in changes:
                        text = f"text {changes['text']}"
                        state["content"] = writer.new_text(scope, refs[which], text, None)
                    change(writer, scope, refs[which], **state)
                was.append(_states(store, scope, refs))
            for second, states in enumerate(was):
                with store.reading() as reader:
                    overlay = reader.overlay(scope, micros(later(second)))
                told = _states(store, scope, refs)
                for ref, before in overlay.items():
                    told[ref].update(before)
                    if "content" in before:
                        with store.reading() as reader:
                            version = reader.version(scope, ref, before["content"])
                        assert version is not None
                        told[ref]["text"] = version.text
                for state in told.values():
                    state.pop("content", None)
                assert told == states

        for_all(check, _STEPS, examples=25)

    def test_compacting_changes_nothing_that_can_be_read(
        self, store: Store, alice: ScopeRow
    ) -> None:
        """After `compact` everything is told as before, what is stale and forgotten included."""
        filled = fill(store, ALICE, "mark")
        with store.writing(later(1)) as writer:
            writer.purge(alice, [filled.turns[0], filled.facts[0]], {filled.facts[0]})
            writer.blank_keys(alice, filled.turns[1])
        before = dump(store, ALICE)
        store.compact()
        assert dump(store, ALICE) == before
        with store.reading() as reader:
            assert reader.find(alice, ["t0", "never"]) == {"t0": None, "never": None}
            assert [row[1] for row in reader.keys(alice, *WORDS)] == [
                filled.turns[2], filled.turns[3], filled.facts[1]
            ]  # fmt: skip
        assert store.settle()

    def test_forgotten_bytes_are_waited_for(self, store: Store) -> None:
        """What `mark_pending` says stands until `settle` has seen to it."""
        told = [store.settle(), store.pending]
        store.mark_pending()
        told += [store.pending, store.settle(), store.pending]
        assert told == [True, False, True, True, False]


def _states(store: Store, scope: ScopeRow, refs: list[int]) -> dict[int, dict[str, Any]]:
    """The state of each record, in the form that `set_state` tells it."""
    with store.reading() as reader:
        return {
            ref: {
                "status": STATUS_CODES[record.status],
                "trust": record.trust,
                "valid_to": None if record.valid_to is None else micros(record.valid_to),
                "version": record.version,
                "text": record.text,
            }
            for ref, record in reader.load(scope, refs)
        }
