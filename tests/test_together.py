"""A trace speaks for its turns: the best one lifts the others, and none of another trace."""

from __future__ import annotations

from stepwell import Memory

TALK = (
    ("boat", ["Shall we paint the red boat?", "Yes, on Sunday, if it is dry.", "I bring brushes."]),
    ("bread", ["The bread did not rise.", "Was the oven warm?", "It was cold as a cellar."]),
)


def told(memory, question="Who paints the red boat?"):
    scope = memory.scope("ann")
    for name, texts in TALK:
        scope.remember_many(
            {"text": text, "id": f"{name}{n}", "session": name} for n, text in enumerate(texts)
        )
    before = {hit.record.turn: hit for hit in scope.recall(question)}
    scope.consolidate()
    return before, {hit.record.turn: hit for hit in scope.recall(question)}


def test_a_turn_is_lifted_towards_the_best_of_its_trace_and_says_so():
    with Memory.open(embedder=None) as memory:
        before, after = told(memory)
        best = after["boat0"].score
        assert best == before["boat0"].score
        assert "trace" not in after["boat0"].why
        for turn in ("boat1", "boat2"):
            lift = (best - before[turn].score) / 6
            assert abs(after[turn].score - before[turn].score - lift) < 1e-6
            assert abs(after[turn].why["trace"] - lift) < 1e-6


def test_the_shares_of_a_hit_are_its_score():
    with Memory.open(embedder=None) as memory:
        _, after = told(memory)
        for hit in after.values():
            assert abs(sum(hit.why.values()) - hit.score) < 1e-5


def test_where_there_are_no_traces_nothing_is_lifted():
    with Memory.open(embedder=None) as memory:
        before, _ = told(memory)
        assert all("trace" not in hit.why for hit in before.values())
