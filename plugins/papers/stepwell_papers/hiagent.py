"""HiAgent (arXiv 2408.09559, ACL 2025): working memory by subgoal.

Faithful: what is done is chunked by subgoals, and a new one ends the one before; of a finished
subgoal its summary is shown, of the one in hand everything, word for word; a finished one is shown
word for word again when it is asked for by its name.

Mended: subgoals are never renumbered, for they are known by record; a summary is made once, not at
every step; nothing is dropped when the context is full: the packer says what it left out. A summary
leads to its turns, the one that answers the question first. Where a filter or a trust is asked for,
turns are shown as they are: a summary may rest on others.

A subgoal is what a turn names in its payload ("subgoal") or in a first line "Subgoal: ..."; where
none is named, it ends where the topic changes. Without a language model the summary is extractive.
Left out: that the model itself decides when to ask for a subgoal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stepwell import EdgeKind, Filter, Hit, Kind, Plan, Preset, Query, Record, View, hookimpl
from stepwell.mechanisms import grounding
from stepwell.mechanisms.insights import found
from stepwell.mechanisms.segmenting import segments
from stepwell.mechanisms.subgoals import names, subgoal_ends, subgoal_of

NAME = "hiagent"
_TRACES = Filter(kind=Kind.TRACE, level=1)


@dataclass(frozen=True)
class Params:
    """How long a subgoal is that nobody named, and how many turns are looked at."""

    least: int = 2
    most: int = 12
    look: int = 64


@dataclass(frozen=True)
class Chunking:
    """A trace a subgoal."""

    params: Params = Params()
    name: str = "hiagent-chunking"

    @hookimpl
    def segment(self, buffer: Sequence[Record], view: View) -> Sequence[int]:
        """Where the next subgoal is named; else where the topic changes."""
        ends = subgoal_ends(buffer)
        if ends is not None:
            return ends
        p, times = self.params, [turn.said_at for turn in buffer]
        return segments(grounding.vectors_of(buffer, view), times, least=p.least, most=p.most)


@dataclass(frozen=True)
class Working:
    """Finished subgoals in short, the one in hand word for word."""

    params: Params = Params()
    name: str = "hiagent-working"

    @hookimpl
    def plan(self, query: Query) -> Plan:
        """The nearest turns; what they are shown as is decided later."""
        return grounding.plainly(query, look=self.params.look)

    @hookimpl
    def refine(self, hits: Sequence[Hit], plan: Plan, view: View) -> Sequence[Hit]:
        """Each finished subgoal once, where its best turn stood."""
        query = plan.query
        if query.levels != (0,) or query.where is not None or query.min_trust > 0:
            return hits
        within, inside = self._finished([hit.record for hit in hits], view)
        asked = {
            name
            for name, turns in inside.items()
            if turns and names(query.text, subgoal_of(turns[0]))
        }
        near: dict[str, list[str]] = {}
        for hit in hits:
            if hit.record.id in within:
                near.setdefault(within[hit.record.id].id, []).extend(hit.sources)
        made: dict[str, Hit] = {}
        for hit in hits:
            trace = within.get(hit.record.id)
            if trace is None:
                made.setdefault(hit.record.id, hit)
            elif trace.id in asked:
                for turn in inside[trace.id]:
                    own = (turn.turn or turn.id,)
                    made.setdefault(turn.id, replace(hit, record=turn, sources=own, span=None))
            elif trace.id not in made:
                rest = (turn.turn or turn.id for turn in inside[trace.id])
                sources = tuple(dict.fromkeys([*near[trace.id], *rest]))
                made[trace.id] = replace(hit, record=trace, sources=sources, span=None)
        return list(made.values())

    def _finished(
        self, turns: Sequence[Record], view: View
    ) -> tuple[dict[str, Record], dict[str, list[Record]]]:
        """The finished subgoal of each turn that is of one, and the turns of each subgoal.

        Finished is what has been followed by something, and of which there is a summary. Only
        what these turns lie in is read.
        """
        into = view.links([turn.id for turn in turns], EdgeKind.CONTAINS, into=True)
        above = list(dict.fromkeys(edge.source for edges in into.values() for edge in edges))
        traces = [trace for trace in found(above, _TRACES, view) if trace.text.strip()]
        inside = grounding.members(traces, view)
        finished = {
            trace.id: trace
            for trace in traces
            if inside[trace.id] and view.neighbours(inside[trace.id][-1].id, before=0, after=1)
        }
        within = {
            turn.id: finished[edge.source]
            for turn in turns
            for edge in into.get(turn.id, ())
            if edge.source in finished
        }
        return within, {name: inside[name] for name in finished}


PRESET = Preset(
    NAME,
    1,
    (
        "words",
        "vectors",
        Chunking(),
        Working(),
        "channel-vectors",
        "channel-words",
        "channel-order",
        "flat-packer",
    ),
)
