"""core/docs/levels.svg: the levels of a small conversation, drawn from a store that made them.

The conversation is the one of the demo. Each mark is a record: what is drawn is what
`scope.tree()` answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Final

import stepwell
from stepwell import Memory, Node, Scope, Turn

_TALK = Path(stepwell.__file__).parent / "cli" / "conversation.jsonl"
_LEFT, _WIDE, _TOP, _DEEP = 150, 1080, 20, 104
_LEVELS: Final = {
    3: ("domain", "what it is about"),
    2: ("category", "what is alike"),
    1: ("trace", "a stretch of talk"),
    0: ("episode", "each turn, word for word"),
}
_STYLE: Final = """\
  text { font: 12px system-ui, sans-serif; fill: #1f2933; }
  .name { font-weight: 600; font-size: 14px; }
  .note { fill: #66727f; font-size: 11px; }
  .box { stroke-width: 1.2; }
  .l3 { fill: #d9c8f5; stroke: #7a4fc0; } .l2 { fill: #c9dcf7; stroke: #3f73b8; }
  .l1 { fill: #cdeadb; stroke: #2f8a5f; } .l0 { fill: #f6dfb4; stroke: #b98016; }
  path { fill: none; stroke: #9aa7b4; stroke-width: 1.1; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e4e9ee; } .note { fill: #9aa7b4; } path { stroke: #66727f; }
    .l3 { fill: #4a3470; } .l2 { fill: #27456d; } .l1 { fill: #1f5039; } .l0 { fill: #6b4c12; }
  }"""


def pages() -> dict[str, str]:
    """The picture, by where it belongs."""
    with Memory.open(":memory:", seed=1) as memory:
        scope = memory.scope("demo")
        scope.remember_many(
            Turn(**json.loads(line)) for line in _TALK.read_text(encoding="utf-8").splitlines()
        )
        scope.consolidate()
        return {"core/docs/levels.svg": drawn(scope)}


def drawn(scope: Scope) -> str:
    """The tree of a scope as an SVG."""
    groups = [node for node in scope.tree() if node.record.level > 1]
    rows = {level: list(_at(groups, level)) for level in _LEVELS}
    turns = {
        node.record.id: [turn.record.id for turn in node.children if turn.record.level == 0]
        for node in rows[1]
    }
    places = _places(rows[1], turns)
    for level in (2, 3):
        _over(rows[level], places)
    marks = [*_lines(rows), *(mark for level in (3, 2, 1) for mark in _boxes(level, rows, places))]
    lines = [_line(places, one.record.id, below, one.record.level)
             for level in (3, 2) for one in rows[level] for below in _below(one)]  # fmt: skip
    for node in rows[1]:
        for name in turns[node.record.id]:
            lines.append(_line(places, node.record.id, name, 1))
            x, y = places[name], _y(0)
            marks.append(
                f'<rect class="box l0" rx="2" x="{x - 3.5:.1f}" y="{y}" width="7" height="14"/>'
            )
    height = _y(0) + 44
    size = f'viewBox="0 0 {_LEFT + _WIDE + 20} {height}" width="100%"'
    total = sum(map(len, turns.values()))
    title = f"{total} turns on the lowest level, and the traces, categories and domains above them"
    body = "\n".join([*lines, *marks])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{title}">\n'
        f"<style>\n{_STYLE}\n</style>\n{body}\n</svg>\n"
    )


def _at(nodes: Sequence[Node], level: int) -> Iterator[Node]:
    """The nodes of a level, in the order of the tree, each once."""
    known: set[str] = set()
    todo = list(nodes)
    while todo:
        node = todo.pop(0)
        if node.record.level == level and node.record.id not in known:
            known.add(node.record.id)
            yield node
        todo += node.children


def _below(node: Node) -> list[str]:
    return [c.record.id for c in node.children if c.record.level == node.record.level - 1]


def _places(traces: list[Node], turns: dict[str, list[str]]) -> dict[str, float]:
    """Where each trace and turn stands, from left to right in the order of time."""
    traces.sort(key=lambda node: (node.record.said_at is None, str(node.record.said_at)))
    step = _WIDE / max(1, sum(len(turns[t.record.id]) + 1 for t in traces))
    places: dict[str, float] = {}
    x = _LEFT + step
    for node in traces:
        names = turns[node.record.id]
        for at, name in enumerate(names):
            places[name] = x + at * step
        places[node.record.id] = x + (len(names) - 1) * step / 2
        x += (len(names) + 1) * step
    return places


def _over(nodes: list[Node], places: dict[str, float]) -> None:
    """Each node above the middle of what it holds, and as far from the next as its box needs."""
    middle = {}
    for node in nodes:
        held = [places[name] for name in _below(node) if name in places]
        middle[node.record.id] = sum(held) / max(1, len(held))
    nodes.sort(key=lambda node: middle[node.record.id])
    room = min(_WIDE / max(1, len(nodes)), 170)
    last = _LEFT - room / 2
    for node in nodes:
        last = max(middle[node.record.id], last + room)
        places[node.record.id] = last
    most = _LEFT + _WIDE - room / 2
    for node in reversed(nodes):
        places[node.record.id] = min(places[node.record.id], most)
        most = places[node.record.id] - room


def _y(level: int) -> int:
    return _TOP + (3 - level) * _DEEP


def _lines(rows: dict[int, list[Node]]) -> Iterator[str]:
    """What each level is called, and how much it holds."""
    for level, (name, note) in _LEVELS.items():
        count = f"{len(rows[level])} · " if level else ""
        yield f'<text class="name" x="8" y="{_y(level) + 14}">{level} {name}</text>'
        yield f'<text class="note" x="8" y="{_y(level) + 30}">{count}{note}</text>'


def _boxes(level: int, rows: dict[int, list[Node]], places: dict[str, float]) -> Iterator[str]:
    """The records of a level, with the first words of their texts."""
    wide = min(_WIDE / max(1, len(rows[level])), 170) - 12
    for node in rows[level]:
        x, y = places[node.record.id] - wide / 2, _y(level) - 6
        yield (
            f'<rect class="box l{level}" rx="6" x="{x:.1f}" y="{y}" width="{wide:.1f}" height="34">'
            f"<title>{escape(node.record.text)}</title></rect>"
        )
        label = _label(node, int(wide / 7))
        middle = f'x="{x + wide / 2:.1f}" y="{y + 21}" text-anchor="middle"'
        yield f"<text {middle}>{escape(label)}</text>"


def _label(node: Node, most: int) -> str:
    first = node.record.text.split("\n", 1)[0]
    if node.record.level == 1 and node.record.said_at is not None:
        first = f"{node.record.said_at:%d %B}".lstrip("0")
    return first if len(first) <= most else first[: most - 1].rstrip(" ,") + "…"


def _line(places: dict[str, float], above: str, below: str, level: int) -> str:
    if above not in places or below not in places:
        return ""
    top, low = _y(level) + 28, _y(level - 1) - (6 if level > 1 else 0)
    x, to, half = places[above], places[below], (top + low) / 2
    return f'<path d="M{x:.1f} {top}C{x:.1f} {half} {to:.1f} {half} {to:.1f} {low}"/>'
