"""Commands that look at what is there, without asking."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from stepwell.cli.choosing import choosing
from stepwell.cli.opening import Place, named, placed
from stepwell.cli.screen import LEVELS, moment, one_line, safe
from stepwell.errors import UnknownRecord
from stepwell.filters import Filter
from stepwell.memory import Memory
from stepwell.models import Change, Node, Slot, Stats

_COLUMNS = 12


@click.command(short_help="The levels above the turns, as a tree.")
@click.option("--turns", is_flag=True, help="Down to the turns themselves.")
@click.option("-n", "--limit", default=20, show_default=True, help="So many beneath each.")
@placed
def tree(place: Place, *, turns: bool, limit: int) -> int:
    """What the turns were made into: domains, categories, traces, and whatever a preset derives.

    \b
    stepwell tree --store team.db --scope acme/alice
    """
    with place.scope() as scope:
        nodes = scope.tree()
        screen = place.screen
        if screen.as_json:
            screen.json(nodes)
            return 0
        top = Tree(Text(named(scope.path), style="bold"), guide_style="dim")
        groups = [node for node in nodes if node.record.level]
        _grow(place, top, nodes if turns else groups, limit, turns=turns)
        screen.console.print(top)
        loose = len(nodes) - len(groups)
        if not turns and loose:
            screen.remark(f"{loose} turns are in no group yet: stepwell consolidate")
    return 0


def _grow(
    place: Place, above: Tree, nodes: Sequence[Node], limit: int, *, turns: bool
) -> None:  # fmt: skip
    shown = [node for node in nodes if turns or node.record.level]
    for node in shown[:limit]:
        record = node.record
        line = Text(f"{record.kind.value} ", style=LEVELS[min(record.level, 3)])
        if record.actor:
            line.append(f"{safe(record.actor)} ", style="bold")
        line.append(one_line(record.text, max(24, place.screen.console.width - 50)))
        if record.level:
            line.append(f"  {len(node.sources)} turn{'s' * (len(node.sources) != 1)}", style="dim")
        else:
            line.append(f"  {moment(record.said_at)}", style="dim")
        _grow(place, above.add(line), node.children, limit, turns=turns)
    if len(shown) > limit:
        above.add(Text(f"… {len(shown) - limit} more", style="dim"))


@click.command(short_help="What has become of a record.")
@click.argument("record")
@placed
def history(place: Place, record: str) -> int:
    """Every change of a record: when, by whom, and why.

    \b
    stepwell history t1 --store team.db --scope acme/alice
    """
    with place.scope() as scope:
        changes = scope.history(record)
    place.screen.answer(changes, lambda: _show_changes(place, changes))
    return 0


def _show_changes(place: Place, changes: list[Change]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("when", "what", "by", "why"):
        table.add_column(title)
    for change in changes:
        before = change.before.get("text")
        why = change.why or (f"before: {one_line(before, 50)}" if isinstance(before, str) else "")
        table.add_row(
            Text(moment(change.at), style="dim"), Text(change.op, style="bold"),
            Text(safe(change.who)), Text(one_line(why, 60)),
        )  # fmt: skip
    place.screen.console.print(table)


@click.command(short_help="One record, whole.")
@click.argument("record")
@placed
def get(place: Place, record: str) -> int:
    """One record, whole, by its id or its turn's.

    \b
    stepwell get t1 --store team.db --scope acme/alice
    """
    with place.scope() as scope:
        held = scope.get(record)
    if held is None:
        raise UnknownRecord("this scope holds no record of that id")
    if place.screen.as_json:
        place.screen.json(held)
        return 0
    place.screen.console.print(place.screen.head(held))
    click.echo(safe(held.spoken))
    return 0


@click.command(short_help="Records in order of arrival.")
@click.option("--level", "levels", multiple=True, type=int, help="Of this level.")
@click.option("-n", "--limit", default=20, show_default=True, help="So many at most.")
@click.option("--from", "beyond", metavar="ID", help="Those that came after this one.")
@choosing
@placed
def records(
    place: Place, *, levels: tuple[int, ...], limit: int, beyond: str | None, where: Filter | None
) -> int:
    """Records in order of arrival, with filters.

    \b
    stepwell records --level 1 --store team.db --scope acme/alice
    """
    if levels:
        of = Filter(level=list(levels))
        where = of if where is None else where & of
    with place.scope() as scope:
        found = scope.records(where, beyond, limit)
        whole = scope.count(where)
    if place.screen.as_json:
        place.screen.json(found)
        return 0
    for record in found:
        place.screen.console.print(place.screen.head(record))
        place.screen.text(record.text, indent=2, most=240)
    place.screen.remark(f"{len(found)} of {whole}")
    return 0


@click.command(short_help="Small texts that are kept current.")
@click.argument("name", required=False)
@placed
def slots(place: Place, name: str | None) -> int:
    """The slots of a scope, or one of them.

    \b
    stepwell slots profile --store team.db --scope acme/alice
    """
    with place.scope() as scope:
        held = scope.slots() if name is None else [scope.slot(name)]
    place.screen.answer(held, lambda: _show_slots(place, held))
    return 0


def _show_slots(place: Place, held: list[Slot]) -> None:
    for slot in held:
        line = Text(safe(slot.name), style="bold")
        line.append(f"  version {slot.version}  {moment(slot.updated_at)}", style="dim")
        place.screen.console.print(line)
        place.screen.text(slot.text, indent=2)
    if not held:
        place.screen.remark("no slots")


@click.command(short_help="Who has a memory in this file.")
@placed
def scopes(place: Place) -> int:
    """The scopes of a store, the oldest first.

    \b
    stepwell scopes --store team.db
    """
    with place.memory() as memory:
        held = [(path, memory.scope(*path)) for path in memory.scopes()]
        told = [
            {"scope": named(path), "turns": scope.count(Filter(level=0)), "records": scope.count()}
            for path, scope in held
        ]
    if place.screen.as_json:
        place.screen.json(told)
        return 0
    for each in told:
        place.screen.say(f"{each['scope']}  ", Text(f"{each['turns']} turns", style="dim"))
    return 0


@click.command(short_help="How much is in a store, or a scope.")
@click.option("--all", "whole", is_flag=True, help="Of the whole store, not of one scope.")
@placed
def stats(place: Place, *, whole: bool) -> int:
    """How much there is: records by their kinds, what waits, what was forgotten, bytes.

    \b
    stepwell stats --all --store team.db
    """
    with place.memory() as memory:
        told = memory.stats() if whole else place.chosen(memory).stats()
    place.screen.answer(told, lambda: _show_stats(place, told))
    return 0


def _show_stats(place: Place, told: Stats) -> None:
    rows: dict[str, object] = {f"{kind}s": count for kind, count in told.records.items()}
    rows |= {f"{status} records": count for status, count in told.aside.items()}
    rows |= {
        "edges": told.edges, "slots": told.slots, "documents": told.documents,
        "tasks that wait": told.waiting, "tasks that failed": told.parked,
        "ids that were forgotten": told.forgotten, "first stored": moment(told.first),
        "last stored": moment(told.last),
    }  # fmt: skip
    levels = ", ".join(f"{level}: {count}" for level, count in told.levels.items())
    rows |= {"by level": levels if len(told.levels) > 1 else ""}
    if told.bytes is not None:
        rows |= {
            "preset": told.preset,
            "embedder": told.embedder or "none",
            "format of the file": told.format,
            "scopes": told.scopes,
            "bytes": f"{told.bytes:,}",
            "in the log": f"{told.log_bytes:,}",
        }
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    for name, value in rows.items():
        if value:
            table.add_row(Text(name.replace("ys", "ies")), Text(str(value)))
    place.screen.console.print(table)


@click.command(short_help="What a store's preset is made of.")
@placed
def plugins(place: Place) -> int:
    """The plugins that are active in a store, in their order.

    \b
    stepwell plugins --store team.db
    """
    with place.memory() as memory:
        told = {
            "preset": memory.preset,
            "plugins": memory.plugins,
            "embedder": None if memory.embedder is None else memory.embedder.name,
        }
    if place.screen.as_json:
        place.screen.json(told)
        return 0
    place.screen.say("preset    ", Text(str(told["preset"]), style="bold"))
    place.screen.say("embedder  ", Text(str(told["embedder"] or "none: words alone")))
    for number, name in enumerate(memory.plugins, 1):
        place.screen.say(f"{number:>3}  {name}")
    return 0


@click.command(short_help="The presets that can be named.")
@placed
def presets(place: Place) -> int:
    """Every preset that can be named here: those that come along, and those that are installed.

    \b
    stepwell presets
    """
    with Memory.open(":memory:", embedder=None) as memory:
        held = memory.presets()
    if place.screen.as_json:
        place.screen.json({name: list(map(_called, p.policies)) for name, p in held.items()})
        return 0
    wide = max(map(len, held))
    for name, preset in held.items():
        line = Text(f"{name:<{wide}}  ", style="bold")
        told = " ".join(map(_called, preset.policies))
        line.append(one_line(told, place.screen.console.width - wide - 3), style="dim")
        place.screen.console.print(line)
    return 0


def _called(policy: object) -> str:
    return (
        policy if isinstance(policy, str) else str(getattr(policy, "name", type(policy).__name__))
    )


COMMANDS = (tree, history, get, records, slots, stats, scopes, plugins, presets)
