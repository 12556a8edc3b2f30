"""Overviews: what was talked about is told from above, whole, and within the budget."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell import Filter, Memory, hookimpl
from stepwell.mechanisms.questions import read
from stepwell.mechanisms.zooming import zoom
from stepwell.models import Hit
from stepwell.ops import Hide

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
TOPICS = (
    "The red boat needs new paint before the regatta on the lake.",
    "My sourdough bread did not rise, the oven was far too cold.",
    "The parser fails on an empty line, I will fix the tokenizer.",
    "Our daughter plays the violin in the school orchestra now.",
    "The garden is full of tomatoes and the beans climb the fence.",
    "We booked the night train to Vienna and a small hotel there.",
)


@pytest.fixture(scope="module")
def spoken():
    """Thirty sessions over five months, six subjects."""
    with Memory.open(":memory:", seed=1) as memory:
        scope = memory.scope("ann")
        for session in range(30):
            day = START + timedelta(days=5 * session)
            scope.remember_many(
                {
                    "id": f"t{session}-{n}",
                    "text": f"{TOPICS[session % 6]} Part {n} of {session}.",
                    "session": f"s{session}", "actor": ("Ann", "Ben")[n % 2],
                    "at": day + timedelta(minutes=n),
                }
                for n in range(8)
            )  # fmt: skip
        scope.consolidate()
        yield scope


def told(context):
    return {turn for hit in context.hits for turn in hit.sources}


@pytest.mark.parametrize("budget", [200, 400, 800, 1600])
def test_an_overview_is_of_the_whole_and_keeps_its_budget(spoken, budget):
    context = spoken.context("What did we talk about?", budget=budget)
    assert context.tokens <= budget
    assert any(hit.record.level > 0 for hit in context.hits)
    assert len(told(context)) >= (240 if budget >= 800 else 40)
    assert all("overview" in hit.why for hit in context.hits)


def test_more_room_is_a_closer_look(spoken):
    levels = []
    for budget in (300, 1500, 6000):
        hits = spoken.context("Summarize our conversations.", budget=budget).hits
        levels.append(sum(hit.record.level for hit in hits) / len(hits))
    assert levels[0] > levels[1] > levels[2]


def test_the_overview_of_a_month_is_of_that_month_alone(spoken):
    context = spoken.context("What did we talk about in May?", budget=800)
    months = {spoken.get(turn).said_at.month for turn in told(context)}
    assert months == {5}
    in_may = {r.turn for r in spoken.records(limit=500) if r.level == 0 and r.said_at.month == 5}
    assert told(context) == in_may


def test_named_levels_answer_with_what_rests_on_most_turns_and_lead_down(spoken):
    hits = spoken.recall("What are the main topics?", levels=(2, 3), k=4)
    sizes = [len(hit.sources) for hit in hits]
    assert sizes == sorted(sizes, reverse=True)
    assert all(hit.record.level in (2, 3) for hit in hits)
    below = spoken.recall("the boat", where=Filter(id=list(hits[0].sources)))
    assert {hit.record.turn for hit in below} <= set(hits[0].sources)


def test_what_nobody_asks_an_overview_of_is_answered_as_ever(spoken):
    for question in ("Who paints the red boat?", "What did we say about the violin?"):
        assert all(hit.record.level == 0 for hit in spoken.context(question, budget=400).hits)
        assert all(hit.record.level == 0 for hit in spoken.recall(question))
    # A recall that names no level is of what was said.
    assert all(hit.record.level == 0 for hit in spoken.recall("What did we talk about?"))
    named = spoken.context("What did we talk about?", budget=400, levels=(0,))
    assert all(hit.record.level == 0 for hit in named.hits)


def test_what_is_newer_than_the_last_trace_is_part_of_it():
    with Memory.open(":memory:", embedder=None) as memory:
        scope = memory.scope("ann")
        scope.remember_many({"text": f"{TOPICS[n % 6]} {n}", "session": str(n)} for n in range(60))
        scope.consolidate()
        scope.remember("The cat had five kittens under the stairs.", id="new", session="new")
        assert "new" in told(scope.context("What did we talk about?", budget=900))


def test_an_overview_shows_nothing_of_later_and_nothing_that_is_not_trusted():
    with Memory.open(":memory:", embedder=None) as memory:
        scope = memory.scope("ann")
        for n in range(60):
            at = START + timedelta(days=n)
            trust = 0.1 if n % 10 == 3 else 1.0
            scope.remember(f"{TOPICS[n % 6]} {n}", id=f"t{n}", session=str(n), at=at, trust=trust)
        scope.consolidate()
        before = scope.at(START + timedelta(days=30)).context("What did we talk about?", budget=500)
        assert before.hits
        assert told(before) <= {f"t{n}" for n in range(31)}
        trusted = scope.context("What did we talk about?", budget=500, min_trust=0.5)
        assert trusted.hits
        assert all(hit.record.trust >= 0.5 for hit in trusted.hits)


def test_a_filter_is_obeyed(spoken):
    context = spoken.context("What did we talk about?", budget=500, where=Filter(session="s3"))
    assert {hit.record.session for hit in context.hits} == {"s3"}


@pytest.mark.parametrize(
    ("question", "overall"),
    [
        ("What did we talk about in May?", True),
        ("What have we discussed so far?", True),
        ("Summarize our conversation", True),
        ("Give me an overview of last week.", True),
        ("What do you know about me?", True),
        ("What were we talking about on 7 May 2023?", True),
        ("Catch me up", True),
        ("What did we say about the boat?", False),
        ("Summarize the discussion about the budget.", False),
        ("What kind of talk did Melanie give?", False),
        ("What does Ann remember about Oslo?", False),
        ("", False),
        ("我们谈了什么", False),
    ],
)
def test_an_overview_is_asked_for_in_words_that_ask_for_nothing_else(question, overall):
    assert read(question).overall is overall


class Hiding:
    """Hides the turns that say so."""

    name = "hiding"

    @hookimpl
    def maintain(self, view):
        turns = view.records(Filter(level=0))
        return [Hide(id=turn.id) for turn in turns if turn.payload["hide"]]


class Careless:
    """Shows every turn that it finds at the end of an edge."""

    name = "careless"

    @hookimpl
    def refine(self, hits, view):
        groups = view.records(Filter(level=1))
        ends = [
            e.target
            for edges in view.links([g.id for g in groups], "contains").values()
            for e in edges
        ]
        return [*hits, *(Hit(view.get(end), 0.1, (view.get(end).turn,), {}) for end in ends)]


@pytest.mark.parametrize("plugins", [(Hiding(),), (Hiding(), Careless())])
def test_a_hidden_turn_stands_in_no_overview(plugins):
    with Memory.open(":memory:", seed=1, plugins=plugins) as memory:
        scope = memory.scope("ann")
        scope.remember_many(
            {
                "id": f"t{n}", "text": f"{TOPICS[n // 8]} Part {n}.", "session": f"s{n // 8}",
                "at": START + timedelta(days=n // 8, minutes=n % 8),
                "payload": {"hide": n % 4 == 0},
            }
            for n in range(48)
        )  # fmt: skip
        scope.consolidate()
        assert scope.count(Filter(level=0, status="hidden")) == 12
        recall = scope.recall("What did we talk about?", k=100)
        shown = list(recall)
        for budget in (200, 400, 600, 800):
            shown += scope.context("What did we talk about?", budget=budget).hits
        names = {hit.record.turn for hit in shown if hit.record.level == 0}
        assert names
        assert not names & {f"t{n}" for n in range(0, 48, 4)}
        assert not recall.degraded


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 30)), min_size=1, max_size=40),
    st.integers(0, 300),
)
def test_zooming_keeps_the_budget_and_shows_nothing_twice(nodes, budget):
    """Node n lies in node (n - 1) // 3: `nodes` are (size, cost)."""
    names = [str(n) for n in range(len(nodes))]
    below = {name: [] for name in names}
    for n in range(1, len(nodes)):
        below[str((n - 1) // 3)].append(str(n))
    shown = zoom(
        ["0"], below.__getitem__, lambda n: nodes[int(n)][0], lambda n: nodes[int(n)][1], budget
    )
    assert sum(nodes[int(name)][1] for name in shown) <= budget
    assert len(set(shown)) == len(shown)
    if sum(cost for _, cost in nodes) <= budget:
        assert set(shown) == {name for name in names if not below[name]}


def test_zooming_shows_what_lies_in_two_once():
    below = {"a": ["x", "y"], "b": ["y", "z"], "x": [], "y": [], "z": []}
    assert sorted(zoom("ab", below.__getitem__, lambda _: 1, lambda _: 1, 9)) == ["x", "y", "z"]
