"""The contract of an Embedder."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest

from stepwell.contracts import Embedder, FloatArray

#: Texts as people and programs write them.
TEXTS: Final = (
    "I moved to Oslo in May.",
    "Where does Alice live?",
    "a",
    " ",
    "\n\t",
    "1234567890",
    "?!…",
    "我五月搬到了奥斯陆。",
    "どこに住んでいますか",
    "Я переехал в Осло",
    "انتقلت إلى أوسلو",
    "나는 오슬로로 이사했다",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "e\u0301 vs é",
    "\u202eright to left\u202c",
    "zero\u200bwidth",
    "\ufeffmark",
    "\x01\x7f\x9f",
    "\U0001f600" * 50,
    "def f(x):\n    return {k: v for k, v in x.items() if v}",
    "<|endoftext|> [SEP] </s>",
    "{{template}} %s {0} ${x}",
    "A" * 5000,
    "x" + "\u0301" * 500,
)


class EmbedderContract:
    """What every Embedder promises.

        class TestMine(EmbedderContract):
            def open(self):
                return MyEmbedder()

    It is opened more than once: two of a name must embed alike.
    """

    #: How far two embeddings of one text may lie apart when it is embedded in other company.
    tolerance: float = 1e-4

    def open(self) -> Embedder:
        """The embedder."""
        raise NotImplementedError("a contract is inherited by a class that says how to open")

    @pytest.fixture
    def embedder(self) -> Embedder:
        """The embedder."""
        return self.open()

    def test_it_says_what_it_is(self, embedder: Embedder) -> None:
        """A name that tells its vectors from others', and how many numbers they have."""
        assert isinstance(embedder, Embedder)
        assert isinstance(embedder.name, str)
        assert embedder.name
        assert isinstance(embedder.dim, int)
        assert embedder.dim > 0
        again = self.open()
        assert (again.name, again.dim) == (embedder.name, embedder.dim)

    @pytest.mark.parametrize("query", [False, True])
    def test_each_text_gives_one_finite_row(self, embedder: Embedder, query: bool) -> None:
        """Shape (texts, dim), numbers only, for whatever people write, asked or answered."""
        _sound(embedder.embed(TEXTS, query=query), len(TEXTS), embedder)
        _sound(embedder.embed(list(TEXTS[:1]), query=query), 1, embedder)

    @pytest.mark.parametrize("query", [False, True])
    def test_no_text_gives_no_row(self, embedder: Embedder, query: bool) -> None:
        """An empty list is answered, by shape (0, dim)."""
        _sound(embedder.embed([], query=query), 0, embedder)

    def test_an_empty_text_is_no_error(self, embedder: Embedder) -> None:
        """Nor are several of them among others."""
        _sound(embedder.embed(["", "a word", "", ""]), 4, embedder)

    def test_a_long_text_is_no_error(self, embedder: Embedder) -> None:
        """It may be cut, but gives a row, and one that has to do with its beginning."""
        words = "the harbour of Bergen lies in the rain "
        rows = embedder.embed([words * 5000, words, "quarterly tax declaration"])
        _sound(rows, 3, embedder)
        assert _cosine(rows[0], rows[1]) > _cosine(rows[0], rows[2])

    def test_the_same_text_gives_the_same_vector(self, embedder: Embedder) -> None:
        """Bit for bit in another call, and from another instance."""
        first = np.asarray(embedder.embed(TEXTS))
        assert np.array_equal(first, np.asarray(embedder.embed(TEXTS)))
        assert np.array_equal(first, np.asarray(self.open().embed(TEXTS)))

    def test_company_changes_nothing(self, embedder: Embedder) -> None:
        """Alone, in another order or twice in a batch, a text's vector is about the same."""
        together = np.asarray(embedder.embed(TEXTS))
        alone = np.concatenate([np.asarray(embedder.embed([text])) for text in TEXTS])
        backwards = np.asarray(embedder.embed(TEXTS[::-1]))[::-1]
        doubled = np.asarray(embedder.embed([t for text in TEXTS for t in (text, text)]))
        scale = float(np.abs(together).max()) or 1.0
        for other in (alone, backwards, doubled[::2], doubled[1::2]):
            np.testing.assert_allclose(together, other, atol=self.tolerance * scale)

    def test_what_is_alike_is_near(self, embedder: Embedder) -> None:
        """A text is nearest to itself, and nearer to one that shares its words than to others."""
        rows = embedder.embed([
            "My sister plays the violin in Vienna.", "My sister plays the violin in Vienna.",
            "The sister who plays violin lives in Vienna.", "Compile the kernel without modules.",
        ])  # fmt: skip
        same, near, far = (_cosine(rows[0], rows[i]) for i in (1, 2, 3))
        assert same > 0.999
        assert same >= near > far

    def test_texts_are_not_modified(self, embedder: Embedder) -> None:
        """The list that was handed in is as it was."""
        texts = list(TEXTS)
        embedder.embed(texts)
        assert texts == list(TEXTS)

    def test_rows_of_one_call_outlive_the_next(self, embedder: Embedder) -> None:
        """What was returned is the caller's: no buffer is used again."""
        first = np.asarray(embedder.embed(["one", "two"]))
        kept = first.copy()
        embedder.embed(["three", "four"])
        assert np.array_equal(first, kept)


def _sound(rows: FloatArray, count: int, embedder: Embedder) -> None:
    made = np.asarray(rows)
    assert made.shape == (count, embedder.dim)
    assert made.dtype.kind == "f"
    assert np.isfinite(made).all()


def _cosine(one: FloatArray, other: FloatArray) -> float:
    product = float(np.dot(one, other))
    return product / (float(np.linalg.norm(one)) * float(np.linalg.norm(other)) or 1.0)
