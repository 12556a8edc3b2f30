"""What stepwell-pinned promises, and what every policy has to."""

import stepwell_pinned
from stepwell import Memory
from stepwell.testing import PolicyContract


class TestPolicy(PolicyContract):
    def open(self):
        return stepwell_pinned


def test_a_pinned_turn_is_found_by_a_question_that_shares_no_word_with_it():
    with Memory.open(":memory:", embedder=None, plugins=["pinned"]) as memory:
        dan = memory.scope("acme", "dan")
        dan.remember_many(f"Lift number {n} is slow." for n in range(50))
        dan.remember("The code of the door has changed.", id="t1", payload={"pinned": True})
        hits = dan.recall("Which lift should I take?", k=5)
        (pinned,) = [hit for hit in hits if hit.record.turn == "t1"]
        assert pinned.why["pinned"] > 0


def test_what_is_pinned_in_one_scope_is_not_in_another():
    with Memory.open(":memory:", embedder=None, plugins=["pinned"]) as memory:
        memory.scope("dan").remember("The door.", payload={"pinned": True})
        memory.scope("eve").remember("A lift.", id="t1")
        assert [hit.record.turn for hit in memory.scope("eve").recall("lift")] == ["t1"]
