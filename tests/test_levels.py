"""Levels grow by themselves, keep their shape whatever happens, and invent nothing."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stepwell import Filter, Memory, Preset
from stepwell.defaults.levels import Levels
from stepwell.defaults.policies import VectorKeys, WordKeys
from stepwell.mechanisms import placing
from stepwell.mechanisms.segmenting import bags, depths, segments

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
TOPICS = {
    "boat": "The red boat sails along the rocky coast before the evening wind turns cold.",
    "bread": "Knead the dough for the rye bread and leave it to rise beside the warm oven.",
    "code": "def parse(line): return json.loads(line)  # the parser fails on an empty line",
    "chinese": "我们明天去北京的长城看日出然后吃烤鸭",
}


def turn(number, topic, session, day):
    return {
        "id": f"t{number}", "text": f"{TOPICS[topic]} ({number})", "session": session,
        "actor": ("Ann", "Ben")[number % 2], "at": START + timedelta(days=day, minutes=number),
    }  # fmt: skip


SMALL = Preset("small", 1, (WordKeys(), VectorKeys(), Levels(full=6, few=2), "ranker", "packer"))


def opened(embedder=None, **options):
    return Memory.open(":memory:", embedder=embedder, preset=SMALL, seed=1, **options)


def shape(scope):
    """Who contains whom, by what is said at the bottom."""

    def told(node):
        return (node.record.level, node.record.text, tuple(map(told, node.children)))

    return sorted(map(told, scope.tree()))


def members(scope):
    """The records of each level, and who is contained by whom."""
    known = {r.id: r for r in scope.records(limit=100_000)}
    into: dict[str, list[str]] = {}

    def walk(node):
        for child in node.children:
            into.setdefault(child.record.id, []).append(node.record.id)
            walk(child)

    for node in scope.tree():
        walk(node)
    return known, into


def sound(scope):
    known, into = members(scope)
    for record in known.values():
        above = [known[name] for name in set(into.get(record.id, ())) if name in known]
        if record.level == 0:
            assert len(above) == 1, "a turn lies in one trace"
        assert all(parent.level == record.level + 1 for parent in above)
    inside = {name for above in into.values() for name in above}
    for record in known.values():
        assert record.level == 0 or record.id in inside, "a group holds something"
        for node in [record] if record.level > 0 else []:
            turns = [scope.get(t) for t in _sources(scope, node)]
            assert turns
            assert all(said is not None for said in turns)


def _sources(scope, record):
    def find(nodes):
        for node in nodes:
            if node.record.id == record.id:
                return node.sources
            found = find(node.children)
            if found:
                return found
        return ()

    return find(scope.tree())


class Growing(RuleBasedStateMachine):
    """Turns come, are forgotten, and levels are made at any moment."""

    def __init__(self):
        super().__init__()
        self.memory = opened()
        self.scope = self.memory.scope("alice")
        self.count, self.day, self.live, self.done = 0, 0, set(), True

    @rule(topic=st.sampled_from(sorted(TOPICS)), session=st.sampled_from(["a", "b", None]),
          many=st.integers(1, 9), later=st.booleans())  # fmt: skip
    def say(self, topic, session, many, later):
        self.day += later
        for _ in range(many):
            self.scope.remember(turn(self.count, topic, session, self.day))
            self.live.add(f"t{self.count}")
            self.count += 1
        self.done = False

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def forget(self, data):
        gone = data.draw(st.sampled_from(sorted(self.live)))
        self.scope.forget(gone)
        self.live.discard(gone)
        self.done = False

    @rule(budget=st.sampled_from([None, 0.0, 0.002]))
    def consolidate(self, budget):
        report = self.scope.consolidate(budget=budget)
        assert report.ok
        self.done = report.finished and budget is None

    @invariant()
    def all_turns_are_there(self):
        assert self.scope.count(Filter(level=0)) == len(self.live)
        if self.done:
            sound(self.scope)
            assert self.scope.consolidate().counts == {}

    def teardown(self):
        self.scope.consolidate()
        self.scope.consolidate()
        sound(self.scope)
        assert self.memory.check().ok
        self.memory.close()


Growing.TestCase.settings = settings(max_examples=15, stateful_step_count=14, deadline=None)
TestGrowing = Growing.TestCase


def test_what_is_alike_comes_together_and_what_is_not_stays_apart():
    with opened("default") as memory:
        scope = memory.scope("alice")
        number = 0
        for day in range(8):
            for topic in ("boat", "bread"):
                for _ in range(5):
                    scope.remember(turn(number, topic, f"{topic}{day}", day))
                    number += 1
        scope.consolidate()
        groups = [
            {scope.get(name).text.split()[1] for name in _sources(scope, record)}
            for record in scope.records(Filter(kind="category"))
        ]
        assert groups
        assert all(len(words) == 1 for words in groups)
        assert len(groups) < 8


def test_levels_made_step_by_step_are_those_made_at_once():
    told = []
    for steps in (False, True):
        with opened("default") as memory:
            scope = memory.scope("alice")
            for number in range(60):
                topic = sorted(TOPICS)[number // 7 % 4]
                scope.remember(turn(number, topic, "one", number // 20))
            if steps:
                while not scope.consolidate(budget=0.005).finished:
                    pass
            scope.consolidate()
            told.append(shape(scope))
    assert told[0] == told[1]


def test_a_group_keeps_its_id_while_it_grows():
    with opened("default") as memory:
        scope = memory.scope("alice")
        seen = None
        for number in range(40):
            scope.remember(turn(number, "boat", f"s{number // 8}", number // 8))
            if number % 8 == 7:
                scope.consolidate()
                ids = {r.id for r in scope.records(Filter(level=2))}
                assert seen is None or seen <= ids
                seen = ids


@pytest.mark.parametrize("embedder", [None, "default"])
def test_a_scope_of_one_turn_and_one_of_ten_thousand_alike_have_levels(embedder):
    with opened(embedder) as memory:
        lone = memory.scope("lone")
        lone.remember("The red boat.", id="one")
        lone.consolidate()
        assert Counter(r.level for r in lone.records()) == {0: 1, 1: 1}
        same = memory.scope("same")
        same.remember_many({"text": "the same again", "id": f"t{n}"} for n in range(2_000))
        assert same.consolidate().ok
        assert same.count(Filter(level=1)) >= 2_000 // 15
        assert same.consolidate().counts == {}


def test_nothing_of_a_later_time_is_shown_of_an_earlier_one():
    with opened() as memory:
        scope = memory.scope("alice")
        for number in range(12):
            scope.remember(turn(number, "boat", "one", number * 0 + (number >= 6) * 30))
        scope.consolidate()
        before = scope.at(START + timedelta(days=1))
        assert all("(11)" not in r.text and "(8)" not in r.text for r in before.records(limit=100))


# mechanisms -------------------------------------------------------------------------------------

rows = st.lists(st.sampled_from(sorted(TOPICS)), min_size=1, max_size=60)


@given(rows, st.integers(1, 59))
def test_segments_that_are_closed_stay_as_they_are_when_more_is_said(topics, cut):
    vectors = bags([TOPICS[topic] for topic in topics])
    times = [START + timedelta(minutes=n, hours=4 * (n // 25)) for n in range(len(topics))]
    whole, part = segments(vectors, times), segments(vectors[:cut], times[:cut])
    assert part == [end for end in whole if end < cut][: len(part)]


@given(rows)
def test_segments_are_as_long_as_they_may_be(topics):
    vectors = bags([TOPICS[topic] for topic in topics])
    ends = segments(vectors, [None] * len(topics), least=2, most=15, width=4)
    sizes = np.diff([-1, *ends]).tolist()
    assert all(2 <= size <= 15 for size in sizes)
    assert len(topics) - sum(sizes) < 19


def test_a_segment_ends_where_the_talk_turns_to_something_else():
    texts = [TOPICS["boat"]] * 6 + [TOPICS["bread"]] * 20
    assert segments(bags(texts), [None] * 26)[0] == 5
    assert int(np.argmax(depths(bags(texts), 4))) == 5


def test_a_silence_ends_a_segment_whatever_is_said():
    times = [START, START, START + timedelta(hours=4), START + timedelta(hours=4)]
    assert segments(bags([TOPICS["boat"]] * 4), times) == [1]
    assert segments(bags([TOPICS["boat"]] * 4), [START, START, None, None]) == []


@given(st.integers(2, 40), st.integers(0, 5))
def test_halves_are_all_rows_and_none_is_empty(size, seed):
    vectors = np.random.default_rng(seed).standard_normal((size, 8)).astype(np.float32)
    vectors[: size // 3] = vectors[0]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    larger, smaller = placing.halves(vectors)
    assert sorted(larger + smaller) == list(range(size))
    assert len(larger) >= len(smaller) >= 1


@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 3))
def test_parts_are_all_rows_and_none_is_too_large(size, most, seed):
    vectors = np.random.default_rng(seed).standard_normal((size, 8)).astype(np.float32)
    vectors[: size // 2] = vectors[0]
    found = placing.parts(vectors, most)
    assert sorted(row for part in found for row in part) == list(range(size))
    assert all(0 < len(part) <= most for part in found)
    assert [len(part) for part in found] == sorted(map(len, found), reverse=True)


def test_nobody_belongs_to_what_is_far_and_to_two_only_if_they_are_as_near():
    means = np.eye(3, dtype=np.float32)
    assert placing.groups_of(means[0], means, 0.5) == [0]
    between = np.array([1, 1, 0], np.float32) / np.float32(np.sqrt(2))
    assert placing.groups_of(between, means, 0.5) == [0, 1]
    assert placing.groups_of(between, means, 0.9) == []
    assert placing.groups_of(np.zeros(3, np.float32), means, 0.0) == []


def test_without_vectors_texts_are_as_near_as_their_words():
    texts = ["red bicycle", "the red bicycle!", "tax form", ""]
    near = bags(texts)
    assert near[0] @ near[1] == pytest.approx(1)
    assert abs(near[0] @ near[2]) < 0.5
    assert not near[3].any()
    assert bags([]).shape == (0, 256)
