"""What answers where there is no language model: sentences, gists, labels, statements."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.fencing import count_tokens
from stepwell.mechanisms.gisting import BEFORE, gist
from stepwell.mechanisms.labelling import keywords, labels, phrases
from stepwell.mechanisms.questions import unanswered
from stepwell.mechanisms.relating import merged_profile, parted, relation, same_topic
from stepwell.mechanisms.sentences import sentences
from stepwell.mechanisms.stating import polite, statements, weight
from stepwell.models import Relation, Sort

BITS = st.sampled_from(
    ["I ", "moved ", "to Oslo", ". ", "! ", "?", "...", "我", "搬到", "。", "\n", "\n\n",
     "    x = 1;", "```\n", "Dr. ", '"', "’", ")", "3", " ", "\t", "2024-01-02 10:00:00 ERROR ",
     "hello", "\u200b", "- ", "Alice ", "no longer ", ", ", "é", "😀", "{", "snake_case",
     "\r\n", "to a, "]
)  # fmt: skip
MIXED = st.lists(BITS, max_size=40).map("".join)


# sentences ----------------------------------------------------------------------------------------


@given(MIXED | st.text(max_size=200))
def test_sentences_cover_all_but_white_space_in_order(text: str) -> None:
    end = 0
    for first, last in sentences(text):
        assert not text[end:first].strip()
        assert end <= first < last <= len(text)
        assert text[first:last] == text[first:last].strip()
        end = last
    assert not text[end:].strip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Dr. Smith came at 5 p.m. today. He left.",
            ["Dr. Smith came at 5 p.m. today.", "He left."],
        ),
        ('"Really?" he said. Yes... and so on.', ['"Really?" he said.', "Yes... and so on."]),
        ("i went home. then we ate", ["i went home.", "then we ate"]),
        ("我搬到了奥斯陆。你呢？好！", ["我搬到了奥斯陆。", "你呢？", "好！"]),
        ("1. Open it. 2. Close it.", ["1. Open it.", "2. Close it."]),
        ("if (x) { a(); }\nreturn x. y;", ["if (x) { a(); }", "return x. y;"]),
        ("2024-01-02 10:00 ERROR a. b\nso. it", ["2024-01-02 10:00 ERROR a. b", "so.", "it"]),
        ("one\ntwo", ["one", "two"]),
        (
            "A line that was broken since it was longer than that, it\ngoes on here. And on.",
            ["A line that was broken since it was longer than that, it\ngoes on here.", "And on."],
        ),
    ],
)
def test_a_sentence_ends_where_a_reader_ends_it(text: str, expected: list[str]) -> None:
    assert [text[first:last] for first, last in sentences(text)] == expected


# gists --------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(MIXED, max_size=8), st.integers(0, 40), MIXED)
def test_a_gist_is_made_of_its_pieces_and_keeps_its_budget(
    texts: list[str], tokens: int, before: str
) -> None:
    made = gist(texts, tokens, before=before)
    assert count_tokens(made.text) <= tokens
    said = [before if p.source == BEFORE else texts[p.source] for p in made.pieces]
    assert "".join(
        "".join(t[p.first : p.last].split()) for t, p in zip(said, made.pieces, strict=True)
    ) == "".join(made.text.split())
    order = [(p.source, p.first) for p in made.pieces]
    assert order == sorted(order)
    assert gist(texts, tokens, before=before) == made
    if tokens > 20 and any(text.strip() for text in texts):
        assert made.text


@given(st.lists(MIXED, min_size=1, max_size=6))
def test_a_gist_cuts_no_sentence_but_one_that_alone_is_too_long(texts: list[str]) -> None:
    made = gist(texts, 30)
    whole = {(i, first, last) for i, text in enumerate(texts) for first, last in sentences(text)}
    cut = [p for p in made.pieces if (p.source, p.first, p.last) not in whole]
    assert not cut or len(made.pieces) == 1


def test_a_gist_prefers_what_states_something_and_says_nothing_twice() -> None:
    texts = [
        "Hi Bob! How are you?",
        "I moved to Oslo on 3 May. It rains.",
        "Sounds great!",
        "I moved to Oslo on 3 May.",
    ]
    made = gist(texts, 9)
    assert made.text == "I moved to Oslo on 3 May."
    assert made.sources == (1,)
    assert gist(["Hello!"]).text == "Hello!"
    assert gist(["I live in Oslo."] * 10_000).text == "I live in Oslo."


def test_a_gist_goes_on_from_the_one_before() -> None:
    made = gist(["Alice bought 2 bicycles in Rome."], 20, before="Alice lives in Oslo since 2019.")
    assert made.text == "Alice lives in Oslo since 2019.\nAlice bought 2 bicycles in Rome."
    assert made.sources == (0,)


def test_texts_that_are_near_to_all_of_them_come_first_in_a_gist() -> None:
    texts = ["Ann likes red apples now.", "Bob likes old boats now.", "Eve likes big engines now."]
    vectors = np.array([[1, 0.0], [0.6, 0.8], [0, 1.0]], np.float32)
    assert gist(texts, 6, vectors).sources == (1,)


# labels -------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.lists(MIXED, max_size=4), max_size=4), st.integers(0, 4))
def test_labels_are_of_their_group_few_and_without_each_other(
    groups: list[list[str]], count: int
) -> None:
    made = labels(groups, count=count)
    assert len(made) == len(groups)
    assert made == labels(groups, count=count)
    for group, names in zip(groups, made, strict=True):
        assert len(names) <= count
        text = " ".join(" ".join(group).split())
        for name in names:
            assert name
            assert name.split()[0] in text
        assert not any(a != b and a in b.split() for a in names for b in names)


def test_labels_tell_siblings_apart() -> None:
    trips = ["We flew to Rome with Clara.", "Rome was hot, and Clara loved the flight."]
    work = ["The payment service failed again.", "Clara restarted the payment service."]
    first, second = labels([trips, work], count=2)
    assert first[0] == "Rome"
    assert second[0] == "payment service"
    assert "Clara" not in second


def test_a_background_takes_its_words_from_the_labels() -> None:
    texts = ["The harbour of Oslo is cold.", "Oslo has a harbour."]
    assert labels([texts], background=["The harbour is there."] * 9, count=1) == [("Oslo",)]


def test_key_words_are_found_in_chinese_and_in_code() -> None:
    assert keywords("我昨天搬到了奥斯陆。奥斯陆很冷，奥斯陆下雪。", 1) == ("奥斯陆",)
    assert "retry_count" in keywords("retry_count += 1; if (retry_count > 3) { fail(); }")
    assert "machine learning" in phrases(["machine learning is fun", "I do machine learning"])


# statements ---------------------------------------------------------------------------------------


@given(MIXED)
def test_statements_are_sentences_with_a_weight(text: str) -> None:
    spans = set(sentences(text))
    for first, last, sort, told in statements(text):
        assert (first, last) in spans
        assert isinstance(sort, Sort)
        assert 0 < told <= 1
        assert not polite(text[first:last])


@pytest.mark.parametrize(
    ("text", "sort"),
    [
        ("I moved to Oslo yesterday.", Sort.EPISODIC),
        ("My sister is called Clara.", Sort.SEMANTIC),
        ("I prefer tea to coffee.", Sort.SEMANTIC),
        ("First, open the file config.toml.", Sort.PROCEDURAL),
        ("我昨天搬到了奥斯陆。", Sort.EPISODIC),
        ("我喜欢喝茶。", Sort.SEMANTIC),
    ],
)
def test_statements_are_sorted_by_rule(text: str, sort: Sort) -> None:
    assert [found[2] for found in statements(text)] == [sort]


@pytest.mark.parametrize(
    "text",
    ["Hi Bob!", "Thanks a lot!", "How are you?", "Let me know if you need more.", "x = f(1, 2);",
     "2024-01-02 10:00:00 ERROR disk 3 is full", "Sounds great!", "你好！", "Wow, cool!", ""],
)  # fmt: skip
def test_politeness_questions_and_code_state_nothing(text: str) -> None:
    assert statements(text) == []


# relations ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("newer", "older", "cosine", "expected"),
    [
        ("I like tea.", "i like TEA", None, Relation.SAME),
        ("I really do enjoy tea", "Tea is a joy to me", 0.96, Relation.SAME),
        ("I do not like tea", "I like tea", 0.99, Relation.CONTRADICTS),
        ("I have 3 cats", "I have 2 cats", 0.99, Relation.UNRELATED),
        ("Alice lives in Bergen", "Alice lives in Oslo", 0.97, Relation.CONTRADICTS),
        ("Bob lives in Bergen", "Alice lives in Oslo", 0.9, Relation.UNRELATED),
        ("I like tea", "I like coffee", 0.94, Relation.UNRELATED),
        ("My name is Ann", "My name is Bob", None, Relation.CONTRADICTS),
        ("I no longer work at Acme", "I work at Acme", None, Relation.RESOLVES),
        ("Alice moved to Rome in May", "Alice moved to Rome", None, Relation.REFINES),
    ],
)
def test_how_statements_stand_to_each_other(
    newer: str, older: str, cosine: float | None, expected: Relation
) -> None:
    assert relation(newer, older, cosine) is expected


@given(MIXED, MIXED, st.none() | st.floats(-1, 1))
def test_a_cosine_alone_never_contradicts(newer: str, older: str, cosine: float | None) -> None:
    hard = {Relation.CONTRADICTS, Relation.RESOLVES}
    assert (relation(newer, older, cosine) in hard) is (relation(newer, older) in hard)
    assert relation(newer, newer, cosine) is Relation.SAME


def test_one_topic_is_near_or_of_the_same_words() -> None:
    assert same_topic("the red boat", "my boat is red")
    assert not same_topic("the red boat", "green apples taste sour")
    assert same_topic("a", "b", cosine=0.8, usual=0.4)
    assert not same_topic("a", "b", cosine=0.7, usual=0.4)


@given(MIXED, st.lists(MIXED, max_size=5), st.integers(0, 30))
def test_a_profile_keeps_its_budget_and_has_each_line_once(
    profile: str, facts: list[str], tokens: int
) -> None:
    made = merged_profile(profile, facts, tokens)
    assert count_tokens(made) <= tokens
    lines = made.splitlines()
    assert len({line.casefold() for line in lines}) == len(lines)
    known = {line.strip() for text in (profile, *facts) for line in text.splitlines()}
    assert set(lines) <= known


def test_a_newer_fact_takes_the_place_of_the_older_one() -> None:
    made = merged_profile("Alice lives in Oslo\nAlice has a cat", ["Alice lives in Bergen"])
    assert made == "Alice lives in Bergen\nAlice has a cat"


def test_a_name_that_nothing_tells_of_is_searched_for_next() -> None:
    assert unanswered("Did Clara meet Robert in Rome?", ["Clara was there"]) == "Robert Rome"
    assert unanswered("Did Clara come?", ["Clara came"]) is None
    assert parted("My sister is called Clara.") == ("My sister", "is called", "Clara")


# size ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["a" * 300_000, "!" * 300_000 + "x", '."' * 150_000, "x\n" * 150_000, "to a, " * 50_000,
     "我昨天搬到奥斯陆他没有去。" * 23_000, "I am here in 3 days. " * 15_000, "(" * 300_000],
    ids=["blob", "marks", "quotes", "lines", "commas", "chinese", "prose", "brackets"],
)  # fmt: skip
def test_time_is_linear_in_the_text(text: str) -> None:
    def took(part: str) -> float:
        began = time.perf_counter()
        gist([part])
        keywords(part)
        statements(part)
        relation(part, part[1:])
        return time.perf_counter() - began

    took(text[:1_000])
    small = min(took(text[: len(text) // 10]) for _ in range(2))
    assert took(text) < 40 * small + 0.2


def test_a_weight_is_never_more_than_one() -> None:
    assert weight("Yesterday I, Ann Lee, did not open 3 doors in Rome, as I always do") == 1.0
