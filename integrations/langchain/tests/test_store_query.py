"""`query=` on StepwellStore: best first with scores, and what `index=` makes of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.store.base import get_text_at_path, tokenize_path

from langchain_stepwell.store import StepwellStore
from stepwell import Memory, errors
from stepwell.mechanisms.paths import steps, texts_at
from stepwell.testing.fakes import HashingEmbedder


class Counting(HashingEmbedder):
    """Counts the texts that it embeds."""

    def __init__(self):
        super().__init__(64)
        self.texts = []

    def embed(self, texts, *, query=False):
        if not query:
            self.texts += texts
        return super().embed(texts, query=query)


@pytest.fixture(params=["words", "vectors"])
def store(request):
    embedder = HashingEmbedder(64) if request.param == "vectors" else None
    with Memory.open(embedder=embedder) as memory:
        yield StepwellStore(memory.scope("a"))


def keys(items):
    return [item.key for item in items]


def test_the_best_come_first_and_none_is_left_out(store):
    store.put(("n",), "rain", {"text": "The rain in Bergen never ends."})
    store.put(("n",), "tea", {"text": "Alice drinks green tea in the morning."})
    store.put(("n",), "ferry", {"text": "The ferry leaves at noon."})
    found = store.search((), query="What tea does Alice drink?")
    assert found[0].key == "tea"
    assert len(found) == 3
    scores = [item.score for item in found]
    assert all(isinstance(score, float) and 0 <= score <= 1 for score in scores)
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[1]
    page = store.search((), query="What tea does Alice drink?", limit=1, offset=1)
    assert page == found[1:2]
    assert [item.score for item in store.search(())] == [None] * 3
    assert keys(store.search((), query="")) == ["rain", "tea", "ferry"]


def test_a_filter_and_a_prefix_choose_what_is_ranked(store):
    store.put(("a",), "1", {"text": "green tea", "kind": "drink"})
    store.put(("a",), "2", {"text": "tea towel", "kind": "thing"})
    store.put(("b",), "3", {"text": "black tea", "kind": "drink"})
    assert keys(store.search(("a",), query="tea", filter={"kind": "drink"})) == ["1"]
    assert set(keys(store.search((), query="tea", filter={"kind": "drink"}))) == {"1", "3"}


def test_ties_come_in_the_order_of_items(store):
    names = [f"{i * 7 % 41}" for i in range(41)]
    for key in names:
        store.put(("n",), key, {"text": "the same words"})
    assert keys(store.search((), query="same", limit=50)) == names


def test_index_says_what_is_compared(store):
    value = {"title": "green tea", "body": {"text": "a ship"}, "parts": [{"x": "oslo"}, {"x": "x"}]}
    store.put(("n",), "none", value, index=False)
    store.put(("n",), "title", value, index=["title"])
    store.put(("n",), "deep", value, index=["body.text", "parts[*].x"])
    store.put(("n",), "nowhere", value, index=["missing"])
    for query, best in (("tea", "title"), ("ship", "deep"), ("Oslo", "deep")):
        found = store.search((), query=query)
        assert keys(found)[0] == best
        assert keys(found)[2:] == ["none", "nowhere"]
        assert [item.score for item in found[2:]] == [None, None]
        assert found[1].score < found[0].score
    assert keys(store.search((), query="tea", limit=2, offset=1))[1] == "none"
    store.put(("n",), "none", value)
    assert store.search((), query="tea", filter={"title": "green tea"})[0].key in {"none", "title"}


def test_a_text_is_embedded_once():
    embedder = Counting()
    with Memory.open(embedder=embedder) as memory:
        store = StepwellStore(memory.scope("a"))
        for i in range(5):
            store.put(("n",), str(i), {"text": f"number {i}"})
        for _ in range(3):
            store.search((), query="number 3")
        assert len(embedder.texts) == 5
        store.put(("n",), "3", {"text": "another"})
        store.search((), query="number 3")
        assert len(embedder.texts) == 6
        assert store.search((), query="another")[0].key == "3"


def test_near_counts_where_no_word_is_shared():
    class Meaning(HashingEmbedder):
        """Knows that a cat is a feline."""

        def embed(self, texts, *, query=False):
            return super().embed([text.replace("cat", "feline") for text in texts], query=query)

    with Memory.open(embedder=Meaning(64)) as memory:
        store = StepwellStore(memory.scope("a"))
        store.put(("n",), "ship", {"text": "ship"})
        store.put(("n",), "cat", {"text": "cat"})
        assert keys(store.search((), query="feline"))[0] == "cat"


def test_an_embedder_that_fails_is_told_of_without_the_text():
    class Failing(HashingEmbedder):
        def embed(self, texts, *, query=False):
            raise RuntimeError(f"no {texts}")

    class Wrong(HashingEmbedder):
        def embed(self, texts, *, query=False):
            return np.full((len(texts), self.dim), np.nan, np.float32)

    for embedder in (Failing(8), Wrong(8)):
        with Memory.open(embedder=embedder) as memory:
            store = StepwellStore(memory.scope("a"))
            store.put(("n",), "k", {"text": "canaryxyzzy"})
            with pytest.raises(errors.EmbedderError) as caught:
                store.search((), query="q")
            assert "canaryxyzzy" not in f"{caught.value}{caught.value.__context__!r}"
            assert store.get(("n",), "k") is not None


NAMES = st.sampled_from(["a", "b", "*", "[0]", "[-1]", "[*]", "[x]", "{a,b}", "{a.b, c}", "c", "é"])
PATHS = st.lists(st.one_of(NAMES, st.sampled_from([".", "..", "[", "]", "{", "}"])), max_size=6)
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-9, 9), st.floats(-1, 1), st.text("ab", max_size=2)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcé"), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=500)
@given(PATHS, st.dictionaries(st.sampled_from("abcé"), VALUES, max_size=4), st.booleans())
def test_a_path_means_what_it_means_to_langgraph(parts, value, dotted):
    path = (".".join if dotted else "".join)(parts)
    assert steps(path) == tokenize_path(path)
    if path:
        assert texts_at(value, path) == get_text_at_path(value, tokenize_path(path))
