"""The interaction graph of a task, from its turns: who answered whom."""

from __future__ import annotations

from collections.abc import Sequence

from stepwell.models import Interaction, Record, Utterance


def interaction(task: str, turns: Sequence[Record]) -> Interaction:
    """The graph of some turns, in order of arrival.

    What a turn answers is named by turn id or record id. Ids that are none of these turns, unknown
    or forgotten, are left out; so is what a turn says of itself, and what would close a cycle: of
    the edges around it one that leads back in order of arrival, the last one said.
    """
    place = {name: n for n, turn in enumerate(turns) for name in (turn.id, turn.turn) if name}
    said = [
        (place[name], n)
        for n, turn in enumerate(turns)
        for name in dict.fromkeys(turn.upstream)
        if place.get(name, n) != n
    ]
    edges = dict.fromkeys(edge for edge in said if edge[0] < edge[1])
    below: dict[int, list[int]] = {}
    for upstream, turn in edges:
        below.setdefault(upstream, []).append(turn)
    for upstream, turn in said:
        if upstream > turn and (upstream, turn) not in edges and not _leads(turn, upstream, below):
            edges[upstream, turn] = None
            below.setdefault(upstream, []).append(turn)
    names = [turn.turn or turn.id for turn in turns]
    return Interaction(
        task,
        tuple(
            Utterance(name, turn.actor, turn.role, turn.step)
            for name, turn in zip(names, turns, strict=True)
        ),
        tuple((names[a], names[b]) for a, b in sorted(edges, key=lambda edge: edge[::-1])),
    )


def _leads(first: int, last: int, below: dict[int, list[int]]) -> bool:
    """Whether there is a way from one turn to another."""
    left, seen = [first], set()
    while left:
        turn = left.pop()
        if turn == last:
            return True
        if turn not in seen:
            seen.add(turn)
            left += below.get(turn, ())
    return False
