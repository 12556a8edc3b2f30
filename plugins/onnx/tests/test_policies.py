"""What Sentences and LateInteraction promise."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell import Attachment, Candidates, Hit, Memory, Plan, Query, Record, Turn
from stepwell.errors import BadVectors, InvalidInput
from stepwell.mechanisms.passages import passages
from stepwell.ops import Hide, Purge
from stepwell.testing import HashingEmbedder, PolicyContract
from stepwell_onnx import LateInteraction, OnnxEmbedder, Sentences
from stepwell_onnx.pooling import maxsim


def records(*turns: Turn | str) -> list[Record]:
    with Memory.open(":memory:") as memory:
        desk = memory.scope("acme", "desk")
        desk.remember_many(list(turns))
        return desk.records()


LINES = [f"Line {i} of {thing}." for i, thing in enumerate(["a song", "the law", "code"] * 20)]
RECORDS = records(*LINES)


def hits(scores: Sequence[float]) -> list[Hit]:
    """Hits in order of their scores."""
    return [
        Hit(record, score, (record.id,), {"words": score})
        for record, score in zip(RECORDS, sorted(scores, reverse=True), strict=False)
    ]


def plan(text: str = "Which line is of the law?", queries: tuple[str, ...] = ()) -> Plan:
    return Plan(Query(text), queries=queries)


# the second key -----------------------------------------------------------------------------------


class Counting(HashingEmbedder):
    """Knows what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[tuple[str, ...], bool]] = []

    def embed(self, texts, *, query=False):
        self.asked.append((tuple(texts), query))
        return super().embed(texts, query=query)


class Seen:
    """A view that holds vectors of some spaces, or of none."""

    def __init__(self, *spaces: str, own: str | None = None) -> None:
        self.spaces = spaces
        self.models = SimpleNamespace(space=own)
        self.searched: list[np.ndarray] = []

    def holds(self, space: str) -> bool:
        return space in self.spaces

    def nearest(self, space: str, vector: np.ndarray, limit: int | None = None) -> Candidates:
        assert self.holds(space)
        self.searched.append(vector)
        places = np.array([len(self.searched), 7], np.int64)
        return Candidates("vectors", places, np.array([0.9, 0.5], np.float32), np.full((2, 2), -1))


def test_each_record_gets_a_key_for_each_passage(embedder: OnnxEmbedder):
    shown = Attachment(ref="file:a.png", caption="a red boat")
    long = "A sentence of the report about the harbour. " * 100
    several = records("short", long, Turn(text="seen", attachments=(shown,)))
    made = Sentences(embedder).later_keys(several, Seen())
    spans = passages(long.strip() if several[1].text != long else long)
    assert [len(keys) for keys in made] == [1, len(spans), 1]
    assert {key.channel for keys in made for key in keys} == {"vectors"}
    assert {key.space for keys in made for key in keys} == {f"{embedder.name}/{embedder.dim}"}
    assert made[0][0].span is None
    assert [key.span for key in made[1]] == spans
    wanted = embedder.embed([several[0].text, several[1].text[slice(*spans[0])], several[2].spoken])
    for key, row in zip((made[0][0], made[1][0], made[2][0]), wanted, strict=True):
        np.testing.assert_allclose(np.frombuffer(key.body, "<f4"), row, atol=1e-5)


def test_no_records_get_no_keys(embedder: OnnxEmbedder):
    assert Sentences(embedder).later_keys([], Seen()) == []


def test_all_passages_of_a_call_are_embedded_together():
    counting = Counting()
    Sentences(counting).later_keys(RECORDS[:64], Seen())
    assert [(len(texts), query) for texts, query in counting.asked] == [(len(RECORDS[:64]), False)]


def test_nothing_is_embedded_while_nothing_is_keyed():
    counting = Counting()
    assert Sentences(counting).search(plan(), Seen()) is None
    assert Sentences(counting).search(plan(), Seen("another/8")) is None
    assert counting.asked == []


def test_a_question_is_embedded_as_one_and_the_nearest_are_found():
    counting = Counting()
    sentences = Sentences(counting)
    view = Seen(sentences.space)
    found = sentences.search(plan("Where?"), view)
    assert found is not None
    assert (found.channel, found.places.tolist()) == ("sentences", [1, 7])
    assert counting.asked == [(("Where?",), True)]
    assert np.linalg.norm(view.searched[0]) == pytest.approx(1.0)


def test_of_several_questions_all_candidates_are_found():
    sentences = Sentences(HashingEmbedder())
    view = Seen(sentences.space)
    found = sentences.search(plan("both", ("Where?", "When?")), view)
    assert found is not None
    assert found.places.tolist() == [1, 7, 2, 7]
    assert found.spans is not None
    assert found.spans.shape == (4, 2)


def test_beside_the_same_embedder_it_has_nothing_to_add():
    counting = Counting()
    sentences = Sentences(counting)
    view = Seen(sentences.space, own=sentences.space)
    assert sentences.later_keys(RECORDS, view) is None
    assert sentences.search(plan(), view) is None
    assert counting.asked == []


def test_bad_vectors_make_no_key():
    class Broken(HashingEmbedder):
        def embed(self, texts, *, query=False):
            return super().embed(texts, query=query) * np.nan

    with pytest.raises(BadVectors):
        Sentences(Broken()).later_keys(RECORDS[:1], Seen())


def test_a_model_that_cannot_be_used_is_said_at_once(tmp_path: Path):
    for policy in (Sentences, LateInteraction):
        with pytest.raises(InvalidInput, match="holds no model"):
            policy(tmp_path)
    with pytest.raises(InvalidInput, match="a model is"):
        Sentences(object())


def test_recall_finds_by_the_second_key_once_consolidate_made_it(tmp_path: Path):
    counting = Counting()
    with Memory.open(tmp_path / "memory.db", plugins=[Sentences(counting)]) as memory:
        desk = memory.scope("acme", "desk")
        desk.remember_many(LINES)
        assert "sentences" not in desk.recall(LINES[7])[0].why
        assert counting.asked == []
        desk.consolidate()
        assert desk.recall(LINES[7])[0].why["sentences"] > 0


# late interaction ---------------------------------------------------------------------------------


def vectors(rows: int) -> st.SearchStrategy[np.ndarray]:
    seeds = st.integers(0, 1000)
    return seeds.map(lambda seed: np.random.default_rng(seed).normal(size=(rows, 5)))


@given(st.integers(1, 6).flatmap(vectors), st.integers(1, 9).flatmap(vectors))
def test_maxsim_is_what_a_plain_loop_says(question: np.ndarray, states: np.ndarray):
    question /= np.linalg.norm(question, axis=1, keepdims=True)
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    total = 0.0
    for asked in question:
        total += max(float(np.dot(asked, state)) for state in states)
    assert maxsim(question, states) == pytest.approx(total / len(question), abs=1e-5)


def test_maxsim_of_no_tokens_is_nothing():
    one = np.ones((1, 4)) / 2
    assert maxsim(one, np.empty((0, 4))) is None
    assert maxsim(np.empty((0, 4)), one) is None
    assert maxsim(one, one) == pytest.approx(1.0)


unit_scores = st.lists(st.floats(0, 1), max_size=12)


@given(unit_scores, st.integers(1, 15), st.floats(0, 1), st.text(max_size=30))
def test_reranking_never_invents_or_loses_a_hit_and_keeps_the_bounds(
    embedder, scores: list[float], head: int, share: float, text: str
):
    given_hits = hits(scores)
    made = LateInteraction(embedder, head=head, share=share).refine(given_hits, plan(text))
    assert sorted(hit.record.id for hit in made) == sorted(hit.record.id for hit in given_hits)
    assert made[head:] == given_hits[head:]
    assert all(0.0 <= hit.score <= 1.0 for hit in made)
    assert [hit.score for hit in made] == sorted((hit.score for hit in made), reverse=True)
    for hit in made[:head]:
        assert sum(hit.why.values()) == pytest.approx(hit.score, abs=1e-6)


def test_with_the_whole_share_the_head_is_ordered_by_maxsim(embedder: OnnxEmbedder):
    given_hits = hits(np.linspace(0.2, 0.8, 20).tolist())
    made = LateInteraction(embedder, head=20, share=1.0).refine(given_hits, plan())
    question = embedder.tokens([plan().query.text], query=True)[0]
    found = [maxsim(question, embedder.tokens([hit.text])[0]) or 0.0 for hit in made]
    np.testing.assert_allclose(found, sorted(found, reverse=True), atol=1e-3)
    assert (made[0].score, made[-1].score) == (pytest.approx(0.8), pytest.approx(0.2))


def test_without_a_share_or_without_anything_to_order_nothing_is_run():
    class Unasked:
        def tokens(self, texts, *, query=False):
            assert not texts
            return []

    three = hits([0.1, 0.2, 0.3])
    assert LateInteraction(Unasked(), share=0.0).refine(three, plan()) == three
    assert LateInteraction(Unasked(), head=1).refine(three, plan()) == three
    assert LateInteraction(Unasked()).refine(three[:1], plan()) == three[:1]


def test_a_text_without_tokens_counts_as_the_worst():
    class Told:
        """Line 0 has no token, line 1 fits the question by half, line 2 wholly."""

        def tokens(self, texts, *, query=False):
            rows = np.array([[1, 0], [0, 1]], np.float32)
            found = {"Line 0": rows[:0], "Line 1": rows[:1], "Line 2": rows}
            return [found.get(text[:6], rows) for text in texts]

    made = LateInteraction(Told(), share=1.0).refine(hits([0.9, 0.7, 0.5]), plan("ab"))
    assert [hit.text[:6] for hit in made] == ["Line 2", "Line 0", "Line 1"]
    assert [hit.score for hit in made] == pytest.approx([0.9, 0.5, 0.5])
    # Where one alone has tokens, they tell nothing.
    assert [hit.score for hit in LateInteraction(Told()).refine(made[1:], plan("ab"))] == [0.5] * 2


def test_of_several_questions_the_one_that_fits_best_counts(embedder: OnnxEmbedder):
    two = hits([0.4, 0.6])
    late = LateInteraction(embedder, share=1.0)
    for hit in two:
        asked = plan("?", (hit.text, "zzz"))
        assert late.refine(two, asked)[0].record.id == hit.record.id


def test_an_excerpt_is_judged_by_what_it_quotes(embedder: OnnxEmbedder):
    one, other = hits([0.6, 0.4])
    quoted = replace(other, span=(0, 4))
    made = LateInteraction(embedder, share=1.0).refine([one, quoted], plan(quoted.text))
    assert made[0].record.id == quoted.record.id


@pytest.mark.parametrize("bad", [{"head": 0}, {"share": 1.5}, {"share": -0.1}, {"cache_bytes": -1}])
def test_parameters_out_of_range_are_refused(embedder: OnnxEmbedder, bad: dict):
    with pytest.raises(InvalidInput):
        LateInteraction(embedder, **bad)


class Watched:
    """Counts the texts whose states it made."""

    def __init__(self, embedder: OnnxEmbedder) -> None:
        self.embedder = embedder
        self.made: list[str] = []
        self.meanwhile = lambda: None

    def tokens(self, texts, *, query=False):
        if not query:
            self.made += texts
            self.meanwhile()
        return self.embedder.tokens(texts, query=query)


def test_a_hit_that_was_judged_before_is_not_run_again(embedder: OnnxEmbedder):
    watched = Watched(embedder)
    late = LateInteraction(watched)
    first = late.refine(hits([0.1] * 10), plan())
    assert late.refine(hits([0.1] * 10), plan()) == first
    assert len(watched.made) == 10


def test_no_scope_can_tell_what_another_one_has_in_the_cache(embedder: OnnxEmbedder):
    watched = Watched(embedder)
    late = LateInteraction(watched)
    ours = hits([0.1] * 3)
    theirs = [
        replace(hit, record=hit.record.model_copy(update={"scope": ("acme", "another")}))
        for hit in ours
    ]
    late.refine(ours, plan())
    late.refine(theirs, plan())
    assert len(watched.made) == 6


def test_the_cache_keeps_to_its_size(embedder: OnnxEmbedder):
    watched = Watched(embedder)
    one = embedder.tokens([LINES[0]])[0].astype(np.float16).nbytes
    late = LateInteraction(watched, cache_bytes=5 * one)
    for _ in range(3):
        late.refine(hits([0.1] * 20), plan())
        assert late._cache._bytes == sum(held.nbytes for held in late._cache._held.values())
        assert late._cache._bytes <= 5 * one
    none = LateInteraction(embedder, cache_bytes=0)
    assert none.refine(hits([0.1] * 20), plan()) == late.refine(hits([0.1] * 20), plan())
    assert not none._cache._held


def test_what_was_forgotten_is_kept_nowhere(embedder: OnnxEmbedder):
    watched = Watched(embedder)
    late = LateInteraction(watched)
    late.refine(hits([0.1] * 5), plan())
    late.on_committed([Hide(id="r1")])
    assert late._cache._held
    late.on_committed([Hide(id="r1"), Purge(ids=("r1",))])
    assert not late._cache._held
    # What was on its way while it was forgotten is not taken in either.
    watched.meanwhile = late.forget
    late.refine(hits([0.1] * 5), plan())
    assert not late._cache._held


def test_threads_share_one_cache(embedder: OnnxEmbedder):
    late = LateInteraction(embedder, cache_bytes=20_000)
    expected = late.refine(hits([0.1] * 20), plan())
    made = []
    threads = [
        threading.Thread(target=lambda: made.append(late.refine(hits([0.1] * 20), plan())))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [expected] * 4


def test_a_memory_reranks_with_it(embedder: OnnxEmbedder):
    with Memory.open(":memory:", plugins=[LateInteraction(embedder)]) as memory:
        desk = memory.scope("acme", "desk")
        desk.remember_many(LINES)
        recall = desk.recall("Which line is of the law?", k=5)
        assert not recall.degraded
        assert all("late-interaction" in hit.why for hit in recall)


class TestLateInteraction(PolicyContract):
    @pytest.fixture(autouse=True)
    def model(self, embedder: OnnxEmbedder) -> None:
        self.model = embedder

    def open(self):
        return LateInteraction(self.model, head=5)


class TestSentences(PolicyContract):
    @pytest.fixture(autouse=True)
    def model(self, embedder: OnnxEmbedder) -> None:
        self.model = embedder

    def open(self):
        return Sentences(self.model)
