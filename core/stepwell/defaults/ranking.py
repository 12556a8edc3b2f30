"""The ranker of the default preset: how a question is searched, by what its wording tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from stepwell.contracts import Plan, Query, View
from stepwell.hookspecs import hookimpl
from stepwell.mechanisms import questions, scoring
from stepwell.mechanisms.words import terms
from stepwell.models import Hit

#: What each channel counts for, the same for every kind of data: see scoring.WEIGHTS for those of
#: words. A vector tells less than a word, but of more records; "sentences" are the vectors of a
#: second, slower embedder, where there is one. "recent" counts for lines alone, see LINE.
WEIGHTS: Mapping[str, float] = {
    **scoring.WEIGHTS,
    "vectors": 0.4,
    "vector_window": 0.4,
    "vector_stretch": 0.4,
    "sentences": 0.8,
    "recent": 0.0,
}
#: The better vector counts in place of the faster one.
INSTEAD: Mapping[str, str] = {"vectors": "sentences"}
#: Who says a line of the conversation itself ("Ann: the second one, please") most likely answers
#: what was said just before.
LINE: Mapping[str, float] = {"recent": 1.0}
#: Who says something instead of asking uses other words than those it brings to mind.
REMARK: Mapping[str, float] = {
    "vectors": 3.0,
    "sentences": 3.0,
    "window": 0.3,
    "stretch": 0.0,
    "session": 0.0,
    "length": 0.0,
    "vector_window": 0.0,
    "vector_stretch": 0.0,
}
#: How much less counts, in a list, what was said beside one of its items.
SPREAD = 0.1
#: How much less counts, where a question is about somebody, a turn of theirs that only asks others.
ASKS = 0.06
#: How many hits beyond those that are wanted are looked at: what is lifted comes from below.
LOOK = 20


@dataclass(frozen=True)
class Ranker:
    """All channels, with fixed weights; a line, a remark and a question of parts each in its way.

    A second round is searched where the first has found nothing about somebody or something that
    the question names, though there is something.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: dict(WEIGHTS))
    line: Mapping[str, float] = field(default_factory=lambda: dict(LINE))
    remark: Mapping[str, float] = field(default_factory=lambda: dict(REMARK))
    name: str = "ranker"

    @property
    def params(self) -> dict[str, object]:
        """What the file remembers of it."""
        return {name: dict(getattr(self, name)) for name in ("weights", "line", "remark")}

    @hookimpl
    def plan(self, query: Query, view: View) -> Plan:
        """The first round by the question's wording, the second for what it left unanswered."""
        asked = questions.read(query.text)
        if query.round:
            return self._again(query, asked, view)
        weights = dict(self.weights)
        if self._answers(asked, view):
            weights |= self.line
        elif asked.remark:
            weights |= self.remark
        return Plan(
            query=query,
            weights=weights,
            parts=asked.parts,
            role=query.role,
            task=query.task,
            stop=not asked.names,
            spread=SPREAD if asked.many else 0.0,
            look=_look(query),
            instead=INSTEAD,
        )

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan) -> Sequence[Hit]:
        """A turn of somebody who is asked about, that only asks others, answers less."""
        if not questions.read(plan.query.text).plain:
            return hits
        asking = [
            hit
            for hit in hits
            if hit.why.get("speaker", 0.0) > 0.0
            and "asks" not in hit.why
            and questions.only_asks(hit.record.text)
        ]
        if not asking:
            return hits
        lower = {
            hit.record.id: replace(
                hit, score=max(0.0, hit.score - ASKS), why={**hit.why, "asks": -ASKS}
            )
            for hit in asking
        }
        # Sorting is stable: what scores the same stays in its order.
        return sorted((lower.get(hit.record.id, hit) for hit in hits), key=lambda hit: -hit.score)

    def _answers(self, asked: questions.Question, view: View) -> bool:
        """Whether it is a line of somebody who is known, in a conversation that is going on."""
        who = asked.line_of
        return (
            who is not None
            and len(view.candidates("speaker", who, 1).places) > 0
            and len(view.candidates("recent", "", 1).places) > 0
        )

    def _again(self, query: Query, asked: questions.Question, view: View) -> Plan:
        """The question once more, with its unanswered names made heavier; or enough."""
        shown = {
            term
            for hit in query.found[: query.k]
            for term in terms(f"{hit.record.actor or ''} {hit.text}").tolist()
        }
        missed = [
            name
            for name in asked.names
            if shown.isdisjoint(terms(name).tolist())
            and len(view.candidates("words", name, 1).places)
        ]
        if not missed:
            return Plan(query=query, enough=True)
        heavier = " ".join((query.text, *missed, *missed))
        return Plan(
            query=query,
            weights=self.weights,
            queries=(heavier,),
            look=_look(query),
            instead=INSTEAD,
            role=query.role,
            task=query.task,
        )


def _look(query: Query) -> int:
    """A context is offered far more hits than it shows, and needs no others."""
    return query.k if query.budget is not None else query.k + LOOK
