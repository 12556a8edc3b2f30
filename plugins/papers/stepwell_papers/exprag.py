"""ExpRAG (Evo-Memory, arXiv 2511.20857, 2025): what was gone through before, the nearest four.

Faithful: when a task ends, its goal, its trajectory and its outcome become one experience, written
by a template; memory only grows; the `k` = 4 experiences nearest to what is to be done are shown,
from the most to the least similar; successes and failures are kept alike.

Mended: an outcome that is said again supersedes the experience that told of the former one, and
both stay. Where nobody opens tasks, a remark and its answer are an experience without an outcome.
Experiences come before turns and do not hide them: turns that no shown experience tells follow by
plain ranking. An experience of which a turn was forgotten is written again from the rest.

Without an embedder the words say what is near. Left out: ReMem, which lets the model think about,
and prune, what it was shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stepwell import Hit, Kind, Op, Plan, Preset, Query, Record, Supersede, View, hookimpl
from stepwell.mechanisms import drawing, experiencing, grounding
from stepwell.mechanisms.buffering import exchanges

NAME = "exprag"


@dataclass(frozen=True)
class Params:
    """`k` experiences are shown; the steps of one take `tokens`. `step` are written at once."""

    k: int = 4
    tokens: int = 192
    step: int = 128


@dataclass(frozen=True)
class Living:
    """Experiences of tasks that ended, and of remarks that were answered."""

    params: Params = Params()
    name: str = "exprag-living"

    @hookimpl
    def segment(self, buffer: Sequence[Record]) -> Sequence[int]:
        """A remark and its answer."""
        return exchanges([turn.actor or turn.role for turn in buffer])

    @hookimpl
    def extract(self, trace: Record) -> Sequence[Op]:
        """A remark that was answered since is read again."""
        return drawing.again(trace, NAME)

    @hookimpl
    def organize(self, record: Record, view: View) -> Sequence[Op]:
        """An experience that lost a turn."""
        return experiencing.retold(record, view, tokens=self.params.tokens)

    @hookimpl
    def maintain(self, view: View) -> Sequence[Op]:
        """The next experiences are appended."""
        p = self.params
        traces = drawing.waiting(view, NAME, p.step)
        lived = [
            *experiencing.ended(view, NAME, p.step),
            *experiencing.answered(traces, view),
        ]
        known = experiencing.of_base([each.base for each in lived], view)
        ops: list[Op] = []
        for number, each in enumerate(lived):
            name = f"@experience-{number}"
            ops.append(experiencing.added(each, view, name=name, tokens=p.tokens))
            ops += [Supersede(id=name, replaces=older.id) for older in known[each.base.id]]
        return [*ops, *experiencing.marked(lived, NAME), *drawing.read(traces, NAME)]


@dataclass(frozen=True)
class Nearest:
    """The experiences most like what is to be done."""

    params: Params = Params()
    name: str = "exprag-nearest"

    @hookimpl
    def plan(self, query: Query, view: View) -> Plan:
        """Turns, then experiences."""
        near = {"vectors": 1.0, "words": 0.0} if view.models.space else {"words": 1.0}
        return grounding.by_way_of(query, [Kind.PROCEDURE], near, self.params.k)

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """The nearest few, then the turns that they do not tell."""
        if not grounding.led(plan):
            return hits
        told = experiencing.nearest(hits, plan, view, self.params.k)
        return experiencing.leading_on(hits, told)


PRESET = Preset(
    NAME,
    1,
    (
        "words",
        "vectors",
        Living(),
        Nearest(),
        "channel-vectors",
        "channel-words",
        "channel-order",
        "flat-packer",
    ),
)
