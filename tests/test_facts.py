"""Facts that change: both are kept, the later one stands first, and any time is told its truth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell import Filter, Hide, Memory, Status, hookimpl
from stepwell.mechanisms.claiming import claims
from stepwell.mechanisms.claiming.claim import repeats, successors
from stepwell.mechanisms.claiming.told import told
from stepwell.models import Fact
from stepwell.testing import ScriptedModel

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
HOMES = ("I live in Lisbon.", "I moved to Porto last month.", "I have moved to Oslo.")


def opened(path=":memory:", **options):
    return Memory.open(path, embedder=None, seed=1, **options)


def tell(scope, order=(0, 1, 2)):
    for n in order:
        scope.remember(HOMES[n], id=f"t{n}", actor="Ana", role="user", session=f"s{n}",
                       at=START + timedelta(days=30 * n))  # fmt: skip


def facts(scope, status):
    found = scope.records(Filter(kind="fact", status=status))
    return sorted(fact.payload["value"] for fact in found)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
@pytest.mark.parametrize("between", [True, False], ids=["each", "at-once"])
def test_the_last_one_said_holds_in_whatever_order_they_came(order, between):
    with opened() as memory:
        scope = memory.scope("ana")
        for n in order:
            tell(scope, [n])
            if between:
                scope.consolidate()
        scope.consolidate()
        assert facts(scope, Status.ACTIVE) == ["Oslo"]
        assert facts(scope, Status.SUPERSEDED) == ["Lisbon", "Porto"]
        ends = {f.payload["value"]: f.valid_to for f in scope.records(
            Filter(kind="fact", status=Status.SUPERSEDED))}  # fmt: skip
        assert ends == {"Lisbon": START + timedelta(days=30), "Porto": START + timedelta(days=60)}
        assert scope.consolidate().counts == {}
        assert memory.check().ok


def test_all_that_was_said_stays_and_the_current_stands_first():
    with opened() as memory:
        scope = memory.scope("ana")
        tell(scope)
        scope.consolidate()
        hits = scope.recall("Where does Ana live now?")
        assert hits[0].record.turn == "t2"
        assert {hit.record.turn for hit in hits} == {"t0", "t1", "t2"}
        assert "current" in hits[0].why


def test_the_past_is_told_its_own_truth():
    with opened() as memory:
        scope = memory.scope("ana")
        tell(scope)
        scope.consolidate()
        then = scope.at(START + timedelta(days=40))
        assert next(iter(then.recall("Where does Ana live now?"))).record.turn == "t1"
        before = scope.recall("Where did Ana live before?")
        assert all("current" not in hit.why for hit in before)


def test_when_the_newer_is_forgotten_the_older_holds_again():
    with opened() as memory:
        scope = memory.scope("ana")
        tell(scope)
        scope.consolidate()
        scope.forget("t2")
        scope.consolidate()
        assert facts(scope, Status.ACTIVE) == ["Porto"]
        assert facts(scope, Status.SUPERSEDED) == ["Lisbon"]
        scope.forget("t1")
        scope.consolidate()
        assert facts(scope, Status.ACTIVE) == ["Lisbon"]
        assert scope.consolidate().counts == {}


def test_nobody_elses_words_change_what_somebody_is():
    with opened() as memory:
        scope = memory.scope("ana")
        tell(scope, [0])
        scope.remember("I moved to Rome.", id="b", actor="Ben", at=START + timedelta(days=9))
        scope.remember("You should move to Rome!", id="bot", role="assistant",
                       at=START + timedelta(days=10))  # fmt: skip
        scope.consolidate()
        assert facts(scope, Status.SUPERSEDED) == []


@pytest.mark.parametrize(
    "text",
    [
        "Do I live in Oslo?", "If I moved to Oslo, I would ski.", "I might move to Oslo.",
        'He said "I live in Oslo".', "I dreamt that I moved to Oslo.", "I want to move to Oslo.",
        "我想搬到奥斯陆", "def home(): return 'Oslo'", "2026-01-01 ERROR home=Oslo moved", "", "?",
        "```\nI live in Oslo.\n```",
    ],
)  # fmt: skip
def test_what_is_asked_wished_quoted_or_code_claims_nothing(text):
    assert [c for c in claims(text, "ana") if c.attribute == "home"] == []


@given(st.text(max_size=400))
def test_any_text_is_read(text):
    for claim in claims(text, "ana"):
        first, last = claim.span
        assert 0 <= first <= last <= len(text)
        assert 0 <= claim.confidence <= 1


@settings(max_examples=60)
@given(st.lists(st.sampled_from([*HOMES, "I'm 30.", "I turned 31.", "I'm vegan."]), max_size=12))
def test_each_claim_is_replaced_by_one_that_comes_later(said):
    made = [claim for text in said for claim in claims(text, "ana")]
    for old, (new, sure) in successors(made).items():
        assert new > old
        assert made[new].slot == made[old].slot
        assert made[new].value != made[old].value
        assert 0.5 <= sure <= 1


MOVES = (*HOMES, "I live in Lisbon.", "I moved to Oslo.")


def said(scope, places, texts=MOVES):
    for n in places:
        scope.remember(texts[n], id=f"t{n}", actor="Ana", session=f"s{n % 2}",
                       at=START + timedelta(days=30 * n))  # fmt: skip


def truth(scope):
    """Which turns' facts hold, and which held until when."""
    where = Filter(kind="fact", status=[Status.ACTIVE, Status.SUPERSEDED])
    return sorted(
        (f.said_at, f.payload["value"], f.status, f.valid_to) for f in scope.records(where)
    )


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(len(MOVES))), st.integers(0, len(MOVES)))
def test_the_order_of_arrival_changes_nothing(order, cut):
    with opened() as memory:
        straight, crooked = memory.scope("straight"), memory.scope("crooked")
        said(straight, range(len(MOVES)))
        said(crooked, order[:cut])
        crooked.consolidate()
        said(crooked, order[cut:])
        for scope in (straight, crooked):
            scope.consolidate()
            assert scope.consolidate().counts == {}
        assert truth(crooked) == truth(straight)


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, len(MOVES) - 1)))
def test_what_was_forgotten_might_never_have_been_said(gone):
    with opened() as memory:
        one, other = memory.scope("one"), memory.scope("other")
        said(one, range(len(MOVES)))
        one.consolidate()
        for n in gone:
            one.forget(f"t{n}")
        said(other, [n for n in range(len(MOVES)) if n not in gone])
        for scope in (one, other):
            scope.consolidate()
        assert [f[:3] for f in truth(one) if f[2] is Status.ACTIVE] == [
            f[:3] for f in truth(other) if f[2] is Status.ACTIVE
        ]
        assert memory.check().ok


@pytest.mark.parametrize("day", range(5, 150, 12))
def test_every_moment_has_one_truth_and_it_comes_first(day):
    with opened() as memory:
        scope = memory.scope("ana")
        said(scope, range(len(MOVES)))
        scope.consolidate()
        then = scope.at(START + timedelta(days=day))
        (fact,) = then.records(Filter(kind="fact"))
        assert fact.payload["value"] == ("Lisbon", "Porto", "Oslo", "Lisbon", "Oslo")[day // 30]
        assert then.recall("Where does Ana live?")[0].record.turn == f"t{day // 30}"


@pytest.mark.parametrize(
    "question",
    ["Where did Ana live before?", "Where does Ana live in January 2026?", "Did it rain?",
     "Which was Ana's first city?", "Where has Ana been living since February?"],
)  # fmt: skip
def test_questions_about_the_past_or_of_a_time_or_other_things_are_left_as_they_are(question):
    with opened() as memory:
        scope = memory.scope("ana")
        tell(scope)
        scope.consolidate()
        assert all("current" not in hit.why for hit in scope.recall(question))


@pytest.mark.parametrize(
    "where",
    [Filter(session="s0"), ~Filter(id="t2"), Filter(said_before=START + timedelta(days=50))],
)
def test_what_a_filter_leaves_out_stays_out_though_it_holds(where):
    with opened() as memory:
        scope = memory.scope("ana")
        tell(scope)
        scope.consolidate()
        hits = scope.recall("Where does Ana live now?", where=where)
        assert {hit.record.turn for hit in hits} <= {"t0", "t1"}
        assert hits[0].record.turn is not None
        assert not hits.degraded


def test_of_a_long_turn_the_passage_is_quoted_that_says_how_it_is():
    long = "The weather was nice. " * 200 + "I moved to Oslo. " + "So much for today. " * 200
    with opened() as memory:
        scope = memory.scope("ana")
        for n, text in enumerate([HOMES[0], long]):
            scope.remember(text, id=f"t{n}", actor="Ana", at=START + timedelta(days=n))
        scope.consolidate()
        first = scope.recall("Where does Ana live?", k=1)[0]
        assert first.record.turn == "t1"
        assert first.excerpt
        assert "I moved to Oslo." in first.text
        assert len(first.text) < len(long) / 2


def test_what_is_said_again_comes_forth_when_the_first_is_forgotten():
    with opened() as memory:
        scope = memory.scope("ana")
        said(scope, range(3), ["I live in Lisbon."] * 3)
        scope.consolidate()
        (first,) = scope.records(Filter(kind="fact"))
        assert first.said_at == START
        scope.forget("t0")
        scope.consolidate()
        (second,) = scope.records(Filter(kind="fact"))
        assert second.said_at == START + timedelta(days=30)
        said(scope, [3], [*MOVES[:3], "I moved to Rome."])
        scope.consolidate()
        assert facts(scope, Status.ACTIVE) == ["Rome"]


def test_what_somebody_else_hid_stays_hidden():
    class Hiding:
        name = "hiding"

        @hookimpl
        def maintain(self, view):
            return [Hide(id=fact.id) for fact in view.records(Filter(kind="fact"))]

    with opened(plugins=[Hiding()]) as memory:
        scope = memory.scope("ana")
        tell(scope)
        assert scope.consolidate().ok
        assert facts(scope, Status.ACTIVE) == []
        assert scope.consolidate().counts == {}


def test_a_language_model_tells_more_facts_in_the_same_slots():
    rome = {"text": "Ana lives in Rome.", "source": 1, "subject": "Ana", "attribute": "city"}
    rome["value"] = "Rome"
    vague = {"text": "Ana is happy.", "source": 1}

    def answer(prompt, schema):
        if "facts" not in schema["properties"]:
            raise TimeoutError
        return {"facts": [rome, vague] if "boxes" in prompt else []}

    model = ScriptedModel(then=answer)
    with opened(language_model=model) as memory:
        scope = memory.scope("ana")
        scope.remember("Rome is where my heart and my boxes are.", id="a", actor="Ana", at=START)
        scope.consolidate()
        scope.remember("I moved to Oslo.", id="b", actor="Ana", at=START + timedelta(days=3))
        scope.consolidate()
        assert facts(scope, Status.SUPERSEDED) == ["Rome"]
        assert facts(scope, Status.ACTIVE) == ["Oslo"]


@pytest.mark.parametrize(
    ("subject", "attribute", "value", "slot"),
    [
        ("the user", "city", "Rome", ("ana", "home")),
        ("my dog", "age", "7", ("ana/dog", "age")),
        ("Ben", "job title", "nurse", ("ben", "role")),
        ("user", "budget", "$500", ("ana", "budget#number")),
    ],
)
def test_what_a_model_tells_stands_where_a_wording_would(subject, attribute, value, slot):
    fact = Fact(text="?", source=0, subject=subject, attribute=attribute, value=value)
    assert told(fact, "Ana").slot == slot


@pytest.mark.parametrize("nothing", ["subject", "attribute"])
def test_a_model_that_says_nothing_of_anything_claims_nothing(nothing):
    assert told(Fact(text="?", source=0, **{nothing: "x"}), "Ana") is None


def test_ten_thousand_times_the_same_is_one_thing_that_holds():
    claim = claims(HOMES[0], "ana")[0]
    assert successors([claim] * 10_000) == {}
    assert len(repeats([claim] * 10_000, {})) == 9_999
    with opened() as memory:
        scope = memory.scope("ana")
        scope.remember_many(
            {"text": HOMES[0], "id": f"t{n}", "actor": "Ana", "session": "s"} for n in range(1_500)
        )
        assert scope.consolidate().ok
        assert facts(scope, Status.SUPERSEDED) == []
        assert facts(scope, Status.ACTIVE) == ["Lisbon"]


def test_chinese_code_and_logs_break_nothing():
    texts = ["我昨天去了公园。", "def move(to='Oslo'): return to", "🙂" * 40,
             "2026-01-01 10:00 WARN moved=3 home=1", "```\nI live in Oslo\n```",
             '{"city": "Oslo"}', "Я живу в Осло"]  # fmt: skip
    with opened() as memory:
        scope = memory.scope("ana")
        for n, text in enumerate(texts):
            scope.remember(text, id=f"t{n}", actor="Ana", session="s")
        assert scope.consolidate().ok
        assert scope.count(Filter(kind="fact")) == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("How can I use my new budget of $90 best?", "$90"),
        ("I'm planning around the new deadline of May 16, is that wise?", "May 16"),
        ("Please plan with my new budget of $90.", "$90"),
        ("If I had the new budget of $90, what could I buy?", None),
        ("How do I get a new deadline of May 16?", None),
    ],
)
def test_what_a_question_takes_for_granted_is_claimed(text, value):
    found = claims(text, "ana")
    assert len(found) == (value is not None)
    assert all(claim.value.startswith(value) and claim.changed for claim in found)


def test_what_has_no_time_is_settled_once():
    """Of turns without a time it counts when they were stored; nothing is marked over and over."""
    with Memory.open(":memory:") as memory:
        scope = memory.scope("ann")
        for town in ("Porto", "Bergen", "Bristol", "Oslo"):
            scope.remember(f"I live in {town}.", actor="Ann")
            report = scope.consolidate()
            assert report.finished
            assert report.counts.get("supersede", 0) <= 1
        assert "supersede" not in scope.consolidate().counts
        assert scope.recall("Where does Ann live now?")[0].text == "I live in Oslo."
