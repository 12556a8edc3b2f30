"""What a question's wording tells, and what the ranker makes of it."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell import Memory, Plan, Ranker, Turn, hookimpl
from stepwell.mechanisms.questions import MOST_NAMES, MOST_PARTS, read

START = datetime(2030, 5, 1, 12, tzinfo=UTC)
WORDS = dict.fromkeys(Ranker().weights, 0.0) | {"words": 1.0}


@given(st.text() | st.text(st.sampled_from("Ann: or than?,;.\"'’ AB x1_\n"), max_size=80))
def test_any_text_can_be_read(text):
    found = read(text)
    assert text.endswith(found.text)
    assert len(found.parts) <= MOST_PARTS
    assert len(found.names) <= MOST_NAMES
    assert not (found.remark and found.many)


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("Ann: the second one, please", "Ann"),
        ("Test Agent: 3 failed", "Test Agent"),
        ("@bob: sudo works here", "bob"),
        ("The one who called: which day was it?", None),
        ("Is it 12:30 or 13:00?", None),
        ("What is this: a boat?", None),
        (": nothing", None),
    ],
)
def test_a_line_of_the_conversation_is_told_by_who_says_it(text, who):
    assert read(text).line_of == who


@pytest.mark.parametrize(
    "text",
    [
        "I still hold my breath whenever they run down the hall.",
        "My doctor told me yesterday that I can take it easier now.",
        "Ann: I found a recipe for your birthday cake in the drawer.",
    ],
)
def test_who_says_something_asks_nothing(text):
    assert read(text).remark


@pytest.mark.parametrize(
    "text",
    [
        "Where did I leave my keys on Monday?",
        "Summarize what I said about the harbour and the boats",
        "The agent assumed a file that does not exist in the task.",
        "I agree.",
    ],
)
def test_a_question_a_request_and_a_finding_are_no_remarks(text):
    assert not read(text).remark


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Who runs farther, Tom or Ana?", ("Who runs farther, Tom?", "Who runs farther, Ana?")),
        ("Is Tom taller than Ana?", ("Is Tom taller?", "Is Ana taller?")),
        (
            "Does Tom, Pete or Ana live in Oslo?",
            ("Does Tom live in Oslo?", "Does Pete live in Oslo?", "Does Ana live in Oslo?"),
        ),
        (
            "How many days passed between when I sold the boat and when I bought the car?",
            ("when I sold the boat", "when I bought the car"),
        ),
        ("Which came first, the flood or the move?", ("the flood", "the move")),
        ("Where is Ana? What did she eat?", ("Where is Ana?", "What did she eat?")),
        ("What did Ana and Tom paint?", ()),
        ("What does Ana, Tom's sister, do?", ()),
        ("What is in config.yaml and when was it changed?", ()),
    ],
)
def test_a_question_is_parted_where_it_compares_or_asks_twice(text, parts):
    assert read(text).parts == parts


@pytest.mark.parametrize(
    "text",
    [
        "Which books has Ana read?",
        "How many boats are there?",
        "List the towns we saw.",
        "What kinds of tea does he drink?",
    ],
)
def test_a_list_is_known_by_its_plural(text):
    assert read(text).many


@pytest.mark.parametrize("text", ["What was his name?", "Which bus is it?", "Where does Ana live?"])
def test_one_thing_is_no_list(text):
    assert not read(text).many


def test_names_quotations_and_identifiers_are_found_and_beginnings_are_not():
    found = read('Did Frank Ocean sing "blue moon" before run_tests.py failed in Oslo? Where else?')
    assert set(found.names) >= {"Frank Ocean", "blue moon", "run_tests", "Oslo"}
    assert not {"Did", "Where"} & set(found.names)


def test_reading_takes_no_longer_for_a_pasted_page():
    begun = time.perf_counter()
    for text in ("A or B, " * 200_000, '"' * 500_000, "between a " * 100_000, "x: " * 300_000):
        read(text)
    assert time.perf_counter() - begun < 5


# what the ranker makes of it --------------------------------------------------------------------


def turns(*said: str) -> list[Turn]:
    return [
        Turn(id=f"t{i}", actor=line.split(": ")[0], text=line.split(": ", 1)[1], session="s",
             at=START + timedelta(minutes=i))
        for i, line in enumerate(said)
    ]  # fmt: skip


GROUP = turns(
    "Ann: Does anyone know how the heating is set?", "Bob: The minutes are in the drawer.",
    "Cleo: Is the boat free on Sunday?", "Ann: I have the key of the shed.",
)  # fmt: skip


def test_a_line_answers_what_was_said_just_before_while_it_goes_on():
    with Memory.open(":memory:") as memory:
        scope = memory.scope("a")
        scope.remember_many(GROUP)
        soon = scope.recall("Dan: hm", now=START + timedelta(minutes=5))
        known = scope.recall("Bob: yes, all day", now=START + timedelta(minutes=5))
        late = scope.recall("Bob: yes, all day", now=START + timedelta(days=5))
    assert "recent" not in {c for hit in soon for c in hit.why}  # nobody knows Dan
    recent = {hit.record.turn: hit.why["recent"] for hit in known}
    assert sorted(recent, key=recent.get) == ["t0", "t1", "t2", "t3"]
    assert "recent" not in {c for hit in late for c in hit.why}


def test_a_line_of_the_past_knows_no_later_turn():
    with Memory.open(":memory:") as memory:
        scope = memory.scope("a")
        scope.remember_many(GROUP)
        recall = scope.at(START + timedelta(minutes=2)).recall("Bob: yes, all day")
    recent = {hit.record.turn: hit.why["recent"] for hit in recall}
    assert sorted(recent, key=recent.get) == ["t0", "t1", "t2"]


class Counting:
    """Counts the rounds of plans."""

    def __init__(self):
        self.rounds = []

    @hookimpl
    def plan(self, query, view):
        self.rounds.append(query.round)


def test_a_name_that_the_first_hits_leave_out_is_asked_for_again():
    said = [f"Ann: We spoke of the garden fence and its paint, part {i}." for i in range(30)]
    said[11] = "Bob: Zorbing."
    counting = Counting()
    with Memory.open(":memory:", embedder=None, plugins=[counting]) as memory:
        scope = memory.scope("a")
        scope.remember_many(turns(*said))
        question = "What did we say of the garden fence and its paint and of Zorbing?"
        found = [hit.record.turn for hit in scope.recall(question, k=3)]
        assert "t11" in found
        counting.rounds.clear()
        scope.recall("what about the garden fence?")
    assert counting.rounds == [0]


def test_parts_count_less_than_the_whole_and_are_searched_all_the_same():
    class Parted:
        @hookimpl
        def plan(self, query, view):
            return Plan(query=query, parts=("canoe", "jam"), weights=WORDS)

    with Memory.open(":memory:", embedder=None, plugins=[Parted()]) as memory:
        scope = memory.scope("a")
        scope.remember_many(
            ["A canoe for two.", "Jam of plums.", "Rain again.", "A lamp of brass."]
        )
        scores = {hit.text: hit.score for hit in scope.recall("lamp")}
    assert scores.keys() == {"A canoe for two.", "Jam of plums.", "A lamp of brass."}
    assert scores["A lamp of brass."] > scores["A canoe for two."] > 0


def test_a_list_is_not_crowded_out_by_what_surrounds_one_of_its_items():
    class Spread:
        def __init__(self, spread):
            self.spread = spread

        @hookimpl
        def plan(self, query, view):
            return Plan(query=query, weights=Ranker().weights, spread=self.spread)

    said = [f"Ann: The red boat, the red boat, number {i}." for i in range(6)]
    said += [f"Ann: Of other things, {word}." for word in ("rain", "tea", "wool", "salt")]
    said.append("Ann: And a red boat.")
    found = {}
    for spread in (0.0, 0.5):
        with Memory.open(":memory:", embedder=None, plugins=[Spread(spread)]) as memory:
            scope = memory.scope("a")
            scope.remember_many(turns(*said))
            hits = scope.recall("red boat", k=3)
            found[spread] = {hit.record.turn for hit in hits}
            assert [hit.score for hit in hits] == sorted((h.score for h in hits), reverse=True)
            whole = [hit.record.turn for hit in scope.recall("red boat", k=11)]
            assert len(whole) == len(set(whole)) == 11
    assert found[0.0] <= {f"t{i}" for i in range(6)}
    assert "t10" in found[0.5]


def test_one_channel_may_stand_in_for_another_where_it_has_something_to_say():
    class Instead:
        @hookimpl
        def plan(self, query, view):
            return Plan(query, weights={**WORDS, "mine": 1.0}, instead={"words": "mine"})

    class Mine:
        @hookimpl
        def search(self, plan, view):
            if plan.weights.get("mine"):
                return [(record.id, 0.0) for record in view.records() if record.turn == "t0"]
            return None

    class Named(Mine):
        name = "mine"

    with Memory.open(":memory:", embedder=None, plugins=[Instead(), Named()]) as memory:
        scope = memory.scope("a")
        scope.remember_many(turns("Ann: A lamp of brass.", "Bob: A lamp of tin."))
        recall = scope.recall("lamp")
    assert [hit.record.turn for hit in recall] == ["t1"]
    assert recall[0].why.keys() >= {"mine"}
