"""Passages cover a text without gap or overlap, and are cut where a reader would."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.mechanisms.passages import passages


def texts(text: str, target: int) -> list[str]:
    return [text[begin:end] for begin, end in passages(text, target)]


pieces = st.sampled_from(
    ["word ", "a", "\n", "\n\n", ". ", "東京。", " ", "x" * 40, "é", "\U0001f389"]
)
prose = st.lists(pieces, max_size=300).map("".join)


@given(st.one_of(prose, st.text(max_size=500)), st.integers(1, 30))
def test_passages_cover_the_text_in_order(text, target):
    spans = passages(text, target)
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)
    assert all(one[1] == other[0] for one, other in pairwise(spans))
    assert len(spans) == 1 or all(begin < end for begin, end in spans)


@given(st.lists(st.text("abcdef", min_size=1, max_size=9), max_size=400), st.integers(2, 30))
def test_passages_have_about_the_words_they_should_and_no_word_is_cut(words, target):
    text = " ".join(words)
    found = texts(text, target)
    assert [word for passage in found for word in passage.split()] == words
    if len(found) > 1:
        assert all(target // 2 <= len(p.split()) <= target + target // 2 for p in found)


def test_a_short_text_is_one_passage():
    assert passages("") == [(0, 0)]
    assert passages("Hello there.") == [(0, 12)]
    text = "word " * 300
    assert passages(text) == [(0, len(text))]


def test_a_paragraph_is_a_better_end_than_a_line_and_a_line_than_a_sentence():
    sentence = "One two three four five. "
    assert texts(sentence * 4, 10)[0].endswith("five. ")
    lined = sentence * 2 + "Six\n" + sentence * 4
    assert texts(lined, 10)[0].endswith("Six\n")
    spaced = sentence * 2 + "Six\nseven.\n\n" + sentence * 4
    assert texts(spaced, 12)[0].endswith("seven.\n\n")


def test_a_text_without_spaces_is_cut_too():
    assert max(map(len, texts("x" * 10_000, 20))) <= 30 * 16
    assert max(map(len, texts("東京" * 1_000, 20))) <= 30 * 2
    assert texts("今日は。" * 100, 20)[0].endswith("。")


def test_a_target_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1, not 0"):
        passages("text", 0)


@pytest.mark.parametrize("piece", ["a", "a ", "\n", ". ", " ", "\n ", "。", '."'])
def test_any_text_is_cut_in_linear_time(piece):
    text = piece * (1 << 20)
    begin = time.perf_counter()
    assert passages(text)[-1][1] == len(text)
    # Measured: below 1 s; a quadratic way would take hours.
    assert time.perf_counter() - begin < 30
