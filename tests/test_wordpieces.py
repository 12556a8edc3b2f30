"""The pieces of a text are those that BERT's own tokenizer makes of it."""

import string
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from stepwell.mechanisms import wordpieces
from stepwell.mechanisms.wordpieces import LONGEST, WordPieces, forget_pieces

LETTERS = string.ascii_lowercase + string.digits + "éßøþαβγжщї한国日本語の"
PIECES = [
    "[UNK]", *LETTERS, *(f"##{c}" for c in LETTERS), *string.punctuation, "。", "，", "—", "’", "…",
    "the", "##ing", "remember", "##ed", "straße", "привет", "un", "##happi", "##ness", "🎉",
]  # fmt: skip
VOCABULARY = {piece: number for number, piece in enumerate(dict.fromkeys(PIECES))}
OURS = WordPieces(VOCABULARY)

texts = st.text(
    st.sampled_from(LETTERS + LETTERS.upper() + string.punctuation + " \t\n\r\u00a0\u3000。，—’…🎉")
    | st.sampled_from("áàâäçñüöÅḈ̈İıﬁσςΣΟ\x00\x07\u200b\u200d\ufffdنמהதிखि"),
    max_size=60,
)


def theirs() -> Tokenizer:
    made = Tokenizer(WordPiece(VOCABULARY, unk_token="[UNK]", max_input_chars_per_word=LONGEST))
    made.normalizer = BertNormalizer(lowercase=True)
    made.pre_tokenizer = BertPreTokenizer()
    return made


THEIRS = theirs()


@given(texts)
@settings(max_examples=400)
def test_the_pieces_are_those_of_the_usual_library(text):
    assert OURS.numbers(text) == expected(text)


def expected(text: str) -> list[int]:
    return [n for n in THEIRS.encode(text, add_special_tokens=False).ids if n]


@pytest.mark.parametrize("c", [chr(n) for n in range(128)])
def test_a_plain_text_is_read_as_any_other(c):
    text = f"a{c}b"
    assert OURS.numbers(text) == expected(text)
    assert OURS.numbers(f"{text} é") == expected(f"{text} é")


def test_a_sigma_is_the_same_at_the_end_of_a_word():
    made = WordPieces(["σ", "##σ", "##ς"])
    assert made.numbers("ΣΣ σσ σς") == [0, 1, 0, 1, 0, 2]


def test_blobs_are_not_kept():
    made = WordPieces(VOCABULARY)
    assert made.numbers("z" * (LONGEST + 1) + " the") == OURS.numbers("the")
    assert list(made._known) == ["the"]


@given(texts, texts)
def test_a_blank_between_two_texts_parts_their_pieces(one, other):
    assert OURS.numbers(f"{one} {other}") == OURS.numbers(one) + OURS.numbers(other)


def test_a_word_is_cut_into_the_longest_pieces_from_the_left():
    pieces = list(VOCABULARY)
    assert [pieces[n] for n in OURS.numbers("Unhappiness!")] == ["un", "##happi", "##ness", "!"]


@pytest.mark.parametrize("blob", ["a" * (LONGEST + 1), "漢" * 5, "\U0001f9ff"])
def test_what_cannot_be_made_of_pieces_has_none(blob):
    assert OURS.numbers(blob) == []


def test_forgetting_drops_the_words_that_were_kept():
    made = WordPieces(VOCABULARY)
    before = made.numbers("remembered")
    assert made._known
    forget_pieces()
    assert not made._known
    assert made.numbers("remembered") == before


def test_no_more_words_are_kept_than_promised(monkeypatch):
    monkeypatch.setattr(wordpieces, "CACHED", 10)
    made = WordPieces(VOCABULARY)
    for i in range(100):
        made.numbers(f"{i} and the {i}")
    assert len(made._known) <= 10


def test_threads_may_share_a_vocabulary():
    made = WordPieces(VOCABULARY)
    said = [f"remembering the {i}" for i in range(500)]
    expected = [OURS.numbers(text) for text in said]
    found: list[list[list[int]]] = []
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        workers = [
            threading.Thread(target=lambda: found.append([made.numbers(t) for t in said]))
            for _ in range(4)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(switch)
    assert found == [expected] * 4


def test_a_blob_of_a_megabyte_takes_no_longer_than_its_length():
    begun = time.perf_counter()
    OURS.numbers("x" * 1_000_000 + " é" + "y" * 1_000_000)
    assert time.perf_counter() - begun < 10
