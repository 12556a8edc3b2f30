"""What a run promises."""

import json

import numpy as np
import pytest

from stepwell.testing import HashingEmbedder
from stepwell_bench import summing
from stepwell_bench.baselines import Bm25, Bm25Windows, Dense, Fused, baselines
from stepwell_bench.data import load
from stepwell_bench.documents import Document
from stepwell_bench.errors import BadResult, NothingToAsk
from stepwell_bench.running import Bench
from stepwell_bench.systems import Ask, Log, Stepwell, stepwells


class Told:
    """A system that answers with what it is told to, and notes what it gets."""

    def __init__(self, answer, name="told"):
        self.answer, self.name, self.logs, self.asks = answer, name, [], []

    def read(self, log):
        self.logs.append(log)
        return self

    def search(self, ask, k):
        self.asks.append(ask)
        return self.answer(ask)[:k]

    def context(self, ask, budget):
        return None

    def close(self):
        pass


def loaded(data, tmp_path):
    path = tmp_path / "set.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return load(path)


def test_all_systems_are_measured_over_the_same_questions(tiny, tmp_path):
    embedder = HashingEmbedder()
    systems = [Stepwell(embedder=embedder), *baselines([embedder])]
    bench = Bench(systems)
    measured = bench.measure(loaded(tiny, tmp_path))
    assert list(measured.rows) == ["default", "bm25", "bm25 turn±1", "dense", "rrf(bm25, dense)"]
    assert len(measured.keys) == len(set(measured.keys)) == 8
    for name in measured.rows:
        table = measured.table(name)
        assert table.shape == (8, len(measured.metrics))
        assert ((table >= 0) & (table <= 1 + 1e-9)).all()
        assert table[:, measured.metrics.index("recall@10")].mean() > 0.5
        assert measured.timings[name].turns == 20


def test_a_system_sees_no_label(tiny, tmp_path):
    told = Told(lambda _: [])
    Bench([told]).measure(loaded(tiny, tmp_path))
    assert not hasattr(told.logs[0], "questions")
    assert {type(ask) for ask in told.asks} == {Ask}
    assert not {"evidence", "category"} & set(Ask.__slots__)


def test_what_is_no_turn_or_comes_twice_takes_no_rank(tiny, tmp_path):
    told = Told(lambda _: ["nobody", "t0", "t0", "t3", "t5", "t7", "t8"])
    measured = Bench([told]).measure(loaded(tiny, tmp_path))
    first = dict(zip(measured.metrics, measured.rows["told"][0], strict=True))
    assert first["mrr"] == 1
    assert measured.timings["told"].unknown == 8


def test_a_ranker_that_gives_the_future_away_gains_nothing(stream, tmp_path):
    stream["conversations"][0]["questions"][0]["evidence"] = ["t0"]
    told = Told(lambda _: ["t9", "t8", "t0"])
    measured = Bench([told]).measure(loaded(stream, tmp_path))
    scores = dict(zip(measured.metrics, measured.rows["told"][0], strict=True))
    assert scores["recall@1"] == 1  # t8 and t9 had not been said
    assert measured.timings["told"].unsaid == 2 + 3


@pytest.mark.parametrize(
    "system",
    [
        Stepwell(embedder=None),
        Stepwell(embedder=HashingEmbedder()),
        Bm25(),
        Bm25Windows(),
        Dense(HashingEmbedder()),
        Fused(HashingEmbedder()),
    ],
    ids=lambda system: system.name,
)
def test_a_stream_cannot_see_its_future(stream, tmp_path, system):
    data = loaded(stream, tmp_path)
    reader = system.read(Log.of(data.conversations[0]))
    for as_of in (0, 1, 5, 8):
        seen = reader.search(Ask("milk mildew leaf dentist", as_of=as_of), 100)
        assert set(seen) <= {f"t{i}" for i in range(as_of)}
        context = reader.context(Ask("milk mildew leaf dentist", as_of=as_of), 500) or ""
        assert "no mildew on any leaf" not in context
    reader.close()


def test_a_window_over_a_stream_does_not_hold_the_next_message(stream, tmp_path):
    log = Log.of(loaded(stream, tmp_path).conversations[0])
    reader = Bm25Windows().read(log)
    # Only t6 and t5's and t7's windows know "sourdough"; before t6 was said, t5's must not.
    assert reader.search(Ask("sourdough", as_of=6), 10) == []
    assert set(reader.search(Ask("sourdough", as_of=8), 10)) == {"t5", "t6", "t7"}


def test_windows_stay_within_a_session(tiny, tmp_path):
    log = Log.of(loaded(tiny, tmp_path).conversations[0])
    assert set(Bm25Windows().read(log).search(Ask("sourdough"), 10)) == {"t6", "t7"}


def test_bm25_returns_nothing_for_words_that_nobody_said(tiny, tmp_path):
    reader = Bm25().read(Log.of(loaded(tiny, tmp_path).conversations[0]))
    assert reader.search(Ask("xylophone"), 10) == []
    assert reader.search(Ask("the of and"), 10) == []
    assert reader.search(Ask(""), 10) == []


def test_bm25_reads_chinese(tiny, tmp_path):
    turns = tiny["conversations"][0]["turns"]
    for turn, text in zip(
        turns, ["我五月搬到了奥斯陆", "今天下雨了", "他买了一条船"], strict=False
    ):
        turn |= {"text": text, "speaker": "", "raw_text": text}
    tiny["conversations"][0]["turns"] = turns[:3]
    reader = Bm25().read(Log.of(loaded(tiny, tmp_path).conversations[0]))
    assert reader.search(Ask("谁买了船?"), 1) == ["t2"]


def test_an_interrupted_run_keeps_the_conversations_that_all_systems_finished(tiny, tmp_path):
    def interrupted(ask):
        if len(second.asks) > 6:
            raise KeyboardInterrupt
        return ["t0"]

    second = Told(interrupted, "second")
    bench = Bench([Told(lambda _: ["t0"]), second])
    with pytest.raises(KeyboardInterrupt):
        bench.measure(loaded(tiny, tmp_path))
    (measured,) = bench.measured
    assert not measured.complete
    assert measured.conversations == 1
    assert {len(rows) for rows in measured.rows.values()} == {len(measured.keys)} == {4}


def test_a_set_without_a_question_is_refused(tiny, tmp_path):
    tiny["conversations"] = []
    with pytest.raises(NothingToAsk, match="'tiny'"):
        Bench([Bm25()]).measure(loaded(tiny, tmp_path))


def test_systems_have_names_of_their_own():
    names = [one.name for one in stepwells(["default", "flat"], [None, HashingEmbedder()])]
    assert names == ["default + words", "default + hashing", "flat + words", "flat + hashing"]
    with pytest.raises(ValueError, match="one name"):
        Bench([Bm25(), Bm25()])


def measured_document(tiny, tmp_path, *systems):
    measured = Bench(systems, contexts=False).measure(loaded(tiny, tmp_path))
    return Document(kind="run", sets=[summing.figures(measured, systems[0].name)])


def test_figures_are_the_means_of_the_scores(tiny, tmp_path):
    document = measured_document(tiny, tmp_path, Told(lambda _: ["t0", "t3"]), Bm25())
    (one,) = document.sets
    overall = one.systems["told"].overall
    assert overall["recall@1"].mean == pytest.approx(1 / 4)
    assert overall["recall@10"].mean == pytest.approx((1 + 1 / 2) / 4)
    assert one.categories == {"boats": 2, "bread": 2, "plants": 4}
    assert one.systems["told"].by_category["boats"]["recall@10"].mean == 1 / 2
    rows = {name: np.array(rows) for name, rows in one.scores.rows.items()}
    column = one.scores.metrics.index("mrr")
    gain = (rows["told"] - rows["bm25"])[:, column].mean()
    assert one.gains["bm25"]["mrr"].mean == pytest.approx(gain)


def test_equal_runs_have_no_gain_and_a_better_one_has(tiny, tmp_path):
    worse = measured_document(tiny, tmp_path, Told(lambda _: ["t1"]))
    better = measured_document(tiny, tmp_path, Told(lambda _: ["t0", "t3", "t5", "t7", "t8"]))
    same = summing.compare(worse, worse).sets[0]
    assert same.same_data
    assert same.asked == 8
    assert all(gain == (0, 0, 0) for gain in same.systems["told"].gain.values())
    gain = summing.compare(worse, better).sets[0].systems["told"].gain["recall@10"]
    assert gain.mean == 1
    assert gain.decided


def test_runs_are_compared_over_the_questions_they_share(tiny, tmp_path):
    whole = measured_document(tiny, tmp_path, Bm25())
    del tiny["conversations"][0]["questions"][0]
    part = measured_document(tiny, tmp_path, Bm25())
    (made,) = summing.compare(whole, part).sets
    assert (made.asked, made.only_old, made.only_new) == (7, 1, 0)
    assert not made.same_data
    assert made.systems["bm25"].gain["mrr"] == (0, 0, 0)


def test_figures_without_scores_cannot_be_compared(tiny, tmp_path):
    document = measured_document(tiny, tmp_path, Bm25())
    with pytest.raises(BadResult, match="without scores"):
        summing.compare(document, document.without_scores())
    with pytest.raises(BadResult, match="no set in common"):
        summing.compare(document, Document(kind="run"))
