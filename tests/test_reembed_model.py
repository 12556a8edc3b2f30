"""A change of embedder in any order of events, against a model."""

import json
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from reembedding import (
    arrived,
    fact,
    opened,
    spaces,
    true,
)

from stepwell import Turn
from stepwell.contracts import FORMER
from stepwell.testing import FakeClock


class Walks(RuleBasedStateMachine):
    """Two processes' memories of one file, changed, written to, cut and opened in any order."""

    @initialize(embedder=st.sampled_from([*"ab", None]))
    def begin(self, embedder):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "m.db"
        self.clock = FakeClock()
        self.memories = [opened(self.path, embedder, clock=self.clock)]
        self.memories.append(opened(self.path, embedder or "default", clock=self.clock))
        self.texts, self.gone, self.count = {}, set(), 0

    who = st.integers(0, 1)

    @rule(who=who, count=st.integers(1, 140))
    def remember(self, who, count):
        turns = []
        for _ in range(count):
            self.count += 1
            turns.append(Turn(id=f"t{self.count}", text=f"said {self.count}", session="s"))
            self.texts[f"t{self.count}"] = f"said {self.count}"
        self.memories[who].scope("x").remember_many(turns)

    @precondition(lambda self: self.texts)
    @rule(who=who, data=st.data())
    def forget(self, who, data):
        turn = data.draw(st.sampled_from(sorted(self.texts)))
        self.memories[who].scope("x").forget(turn)
        del self.texts[turn]
        self.gone.add(turn)

    @precondition(lambda self: self.texts)
    @rule(who=who, data=st.data())
    def revise(self, who, data):
        turn = data.draw(st.sampled_from(sorted(self.texts)))
        self.count += 1
        self.texts[turn] = f"revised {self.count}"
        self.memories[who].scope("x").revise(turn, self.texts[turn])

    @rule(who=who, embedder=st.sampled_from("abc"))
    def reembed(self, who, embedder):
        report = self.memories[who].reembed(embedder)
        assert report.ok
        assert report.finished
        if self.memories[who].scopes():
            arrived(self.memories[who], embedder)

    @rule(who=who, embedder=st.sampled_from("abc"), after=st.integers(0, 2))
    def cut(self, who, embedder, after):
        steps = []

        def progress(*step):
            steps.append(step)
            if len(steps) > after:
                raise KeyboardInterrupt

        with suppress(KeyboardInterrupt):
            self.memories[who].reembed(embedder, progress=progress)
        assert steps == sorted(steps)

    @rule(who=who)
    def consolidate(self, who):
        self.memories[who].scope("x").consolidate()

    @rule(who=who, alone=st.booleans())
    def reopen(self, who, alone):
        self.memories[who].close()
        embedder = None if alone else "default"
        self.memories[who] = opened(self.path, embedder, clock=self.clock)

    @rule(who=who)
    def ask(self, who):
        found = self.memories[who].scope("x").recall("said 1 revised 2", k=5)
        assert not found.degraded

    @invariant()
    def nothing_is_lost(self):
        true(self.memories[0])
        records = self.memories[1].scope("x").records(limit=10_000)
        assert {r.turn: r.text for r in records if r.turn} == self.texts
        held = spaces(self.memories[0])
        if held:
            known = {fact(self.memories[0], "embedder")}
            known |= set(json.loads(fact(self.memories[0], FORMER) or "{}"))
            assert set(held) <= known

    def teardown(self):
        if not hasattr(self, "folder"):
            return
        for memory in self.memories:
            memory.close()
        with opened(self.path) as memory:
            if memory.embedder is not None:
                memory.scope("x").consolidate()
                if memory.scopes():
                    arrived(memory, memory.embedder.name)
        self.folder.cleanup()


Walks.TestCase.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)
TestWalks = Walks.TestCase
