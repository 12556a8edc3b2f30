"""A history that is sent again and again is stored once, and what was forgotten stays away."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell import Filter, Memory, Turn, hookimpl
from stepwell.errors import InvalidTurn

ROLES = ("user", "assistant")
EVERY = Filter(level=0)


def turns(texts, session="s1"):
    return [Turn(text=text, role=ROLES[n % 2], session=session) for n, text in enumerate(texts)]


@pytest.fixture
def scope():
    with Memory.open(":memory:", embedder=None, preset="flat") as memory:
        yield memory.scope("ann")


def texts(scope, session="s1"):
    return [r.text for r in scope.records(Filter(session=session, level=0), limit=1000)]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), min_size=1, max_size=12),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_a_whole_history_is_stored_once_however_often_its_words_recur(said, data):
    spoken = [text for pair in said for text in pair]
    with Memory.open(":memory:", embedder=None, preset="flat") as memory:
        scope = memory.scope("ann")
        length = 0
        while length < len(spoken):
            length += data.draw(st.integers(1, 3)) * 2
            scope.remember_history(turns(spoken[:length]))
            assert texts(scope) == spoken[:length]


@given(st.integers(2, 9), st.integers(1, 6), st.integers(2, 10))
@settings(max_examples=60, deadline=None)
def test_a_window_that_slides_is_laid_upon_what_is_stored(window, step, rounds):
    spoken = [f"turn {n}" for n in range(step * rounds + 1)]
    with Memory.open(":memory:", embedder=None, preset="flat") as memory:
        scope = memory.scope("ann")
        for end in range(1, len(spoken) + 1, step):
            # At least one turn of the window is stored already.
            start = max(0, min(end - window, end - step - 1))
            # Roles go by the place in the whole conversation.
            scope.remember_history(turns(spoken[:end])[start:])
        assert texts(scope) == spoken[:end]


@given(st.sets(st.integers(0, 9), max_size=10), st.integers(0, 4))
@settings(max_examples=60, deadline=None)
def test_what_was_forgotten_does_not_come_back_with_its_history(forgotten, start):
    spoken = [f"turn {n}" for n in range(10)]
    with Memory.open(":memory:", embedder=None, preset="flat") as memory:
        scope = memory.scope("ann")
        ids = scope.remember_history(turns(spoken)).stored
        gone = sorted(forgotten)
        if gone:
            scope.forget([ids[n] for n in gone])
        left = [text for n, text in enumerate(spoken) if n not in forgotten]
        more = [*spoken, "new", "newer"]
        scope.remember_history(turns(more))
        assert texts(scope) == [*left, "new", "newer"]
        if start not in forgotten:
            # The last of it, from a turn on that is still there.
            scope.remember_history(turns([*more, "newest"])[start:])
            assert texts(scope) == [*left, "new", "newer", "newest"]


def test_single_messages_follow_one_another(scope):
    for n in range(4):
        scope.remember_history([Turn(text=f"turn {n}", role="user", session="s1")])
        scope.remember_history([Turn(text="ok", role="assistant", session="s1")])
    assert (
        texts(scope)
        == [text for n in range(4) for text in (f"turn {n}", "ok")][: len(texts(scope))]
    )
    assert {f"turn {n}" for n in range(4)} <= set(texts(scope))


def test_a_conversation_that_went_another_way_keeps_both_ends(scope):
    scope.remember_history(turns(["a", "b", "c", "d"]))
    scope.remember_history(turns(["a", "b", "e", "f"]))
    assert texts(scope) == ["a", "b", "c", "d", "e", "f"]


def test_ids_of_the_host_are_kept(scope):
    first = Turn(id="m1", text="hello", role="user", session="s1")
    scope.remember_history([first])
    scope.remember_history([first, Turn(text="hi", role="assistant", session="s1")])
    assert texts(scope) == ["hello", "hi"]
    assert scope.get("m1").text == "hello"


def test_a_screened_history_is_known_again():
    class Screen:
        name = "screen"

        @hookimpl
        def screen_turns(self, turns):
            return [turn.model_copy(update={"text": "***"}) for turn in turns]

    with Memory.open(":memory:", embedder=None, plugins=[Screen()]) as memory:
        scope = memory.scope("ann")
        scope.remember_history(turns(["a", "b", "c"]))
        scope.remember_history(turns(["a", "b", "c", "d"])[1:])
        assert texts(scope) == ["***"] * 4


def test_sessions_and_scopes_do_not_know_each_others_histories(scope):
    scope.remember_history(turns(["a", "b"]))
    other = scope.within("ben")
    assert other.path == ("ann", "ben")
    assert other.identify(turns(["a", "b"])) == [None, None]
    mine = scope.identify(turns(["a", "b"]))
    other.remember_history(turns(["a", "b"]))
    assert set(other.identify(turns(["a", "b"]))).isdisjoint(mine)
    assert set(scope.identify(turns(["a", "b"], "s2"))).isdisjoint(mine)


def test_identifying_stores_nothing_and_says_what_remembering_would(scope):
    scope.remember("hello", session="s0")
    named = scope.identify(turns(["a", "b", "c"]))
    assert scope.count(EVERY) == 1
    assert list(scope.remember_history(turns(["a", "b", "c"])).stored) == named


@pytest.mark.parametrize(
    "given", [[Turn(text="a")], [Turn(text="a", session="1"), Turn(text="b", session="2")]]
)
def test_a_history_of_no_or_of_two_sessions_is_refused(scope, given):
    with pytest.raises(InvalidTurn, match="one session"):
        scope.remember_history(given)
    assert scope.count() == 0


def test_an_empty_history_is_nothing(scope):
    assert scope.remember_history([]).stored == ()
    assert scope.identify([]) == []
