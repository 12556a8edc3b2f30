"""Commands that ask: what is known, what a model would be shown, and why."""

from __future__ import annotations

import time

import click
from rich.table import Table
from rich.text import Text

from stepwell.cli.choosing import choosing
from stepwell.cli.opening import Place, placed
from stepwell.cli.screen import one_line, safe
from stepwell.cli.taking import time_of
from stepwell.filters import Filter
from stepwell.models import Context, Explanation, Hit, Record


@click.command(short_help="What answers a question, and why.")
@click.argument("question")
@click.option("-k", default=5, show_default=True, metavar="N", help="So many hits at most.")
@click.option("--level", "levels", multiple=True, type=int, help="Records of this level.")
@click.option("--min-trust", default=0.0, metavar="X", help="Nothing that is trusted less.")
@click.option("--at", metavar="TIME", help="What had been said by then, and held then.")
@click.option("--now", metavar="TIME", help='When it is asked: what "last week" means.')
@choosing
@placed
def recall(
    place: Place, question: str, *, k: int, levels: tuple[int, ...], min_trust: float,
    at: str | None, now: str | None, where: Filter | None,
) -> int:  # fmt: skip
    """What answers a question, best first: the words, who said them, when, and why they came up.

    \b
    stepwell recall "Where does Alice live?" --store team.db --scope acme/alice
    """
    with place.scope() as scope:
        begun = time.perf_counter()
        if at is None:
            found = scope.recall(
                question, k=k, where=where, levels=levels or None, min_trust=min_trust,
                now=None if now is None else time_of(now),
            )  # fmt: skip
        else:
            found = scope.at(time_of(at)).recall(
                question, k=k, where=where, levels=levels or None, min_trust=min_trust
            )
        took = time.perf_counter() - begun
        if place.screen.as_json:
            place.screen.json(
                {"query": found.query, "hits": found.hits, "degraded": found.degraded}
            )
            return 0
        for number, hit in enumerate(found, 1):
            place.screen.hit(number, hit)
        told = f"{len(found)} hit{'s' * (len(found) != 1)}" if found else "nothing was found"
        place.screen.remark(f"{told}, {1000 * took:.0f} ms")
        for name in found.degraded:
            place.screen.say(f"without {name}, which failed", style="yellow")
        return 0


@click.command(short_help="The text a model would be shown, within a budget.")
@click.argument("question")
@click.option("-b", "--budget", default=800, show_default=True, metavar="N", help="Tokens at most.")
@click.option("--min-trust", default=0.0, metavar="X", help="Nothing that is trusted less.")
@click.option("--role", metavar="NAME", help="The role of the agent that asks.")
@placed
def context(place: Place, question: str, *, budget: int, min_trust: float, role: str | None) -> int:
    """The text that a model would be shown: fenced, in order of time, never above the budget.

    \b
    stepwell context "Where does Alice live?" --budget 300 --store team.db --scope acme/alice
    """
    with place.scope() as scope:
        found = scope.context(question, budget=budget, min_trust=min_trust, role=role)
    place.screen.answer(found, lambda: _show_context(place, found))
    return 0


def _show_context(place: Place, found: Context) -> None:
    # As it is, so that it can be handed on: what a model must not see is fenced already.
    if found.text:
        click.echo(found.text)
    left = f", {len(found.left_out)} left out" if found.left_out else ""
    place.screen.remark(f"{found.tokens} of {found.budget} tokens: {len(found.hits)} shown{left}")
    for out in found.left_out[:3]:
        place.screen.remark(f"left out: {out.record_id} ({out.tokens} tokens, {out.reason})")


@click.command(short_help="Why a record was, or was not, recalled.")
@click.argument("record")
@click.argument("question")
@click.option("-k", default=10, show_default=True, metavar="N", help="Of so many hits.")
@choosing
@placed
def explain(place: Place, record: str, question: str, *, k: int, where: Filter | None) -> int:
    """Why a record was, or was not, recalled: its rank, its channels, and what stood above it.

    RECORD is the id of a turn or of a record.

    \b
    stepwell explain t1 "Where does Alice live?" --store team.db --scope acme/alice
    """
    with place.scope() as scope:
        told = scope.explain(record, question, k=k, where=where)
        held = scope.get(record)
    place.screen.answer(told, lambda: _show_explanation(place, told, held))
    return 0


def _show_explanation(place: Place, told: Explanation, held: Record | None) -> None:
    screen = place.screen
    if held is not None:
        screen.console.print(screen.head(held))
        screen.text(held.text, indent=2)
    rank = "no rank" if told.rank is None else f"rank {told.rank} of {told.of}"
    screen.say(f"{rank}, score {told.score:.2f}: {told.reason}", style="bold")
    rivals = list(told.above[:3])
    if told.why or rivals:
        screen.console.print(_shares(place, told, rivals))
    if told.above:
        screen.say("Above it:", style="dim")
        for number, hit in enumerate(told.above[:5], 1):
            line = Text(f"{number:>3}  {hit.score:.2f}  ", style="dim")
            line.append(_who(hit), style="bold").append(one_line(hit.text, 70))
            screen.console.print(line)


def _shares(place: Place, told: Explanation, rivals: list[Hit]) -> Table:
    """What each channel gave to the record, and to those that stood above it."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("channel")
    table.add_column("this one")
    for number, _ in enumerate(rivals, 1):
        table.add_column(f"no. {number}")
    names = dict.fromkeys([*told.why, *(name for hit in rivals for name in hit.why)])
    rows = {
        name: [told.why.get(name, 0.0), *(hit.why.get(name, 0.0) for hit in rivals)]
        for name in names
    }
    most = max((share for cells in rows.values() for share in cells), default=0.0) or 1.0
    for name in sorted(rows, key=lambda name: -max(rows[name]))[:8]:
        table.add_row(Text(safe(name)), *(_cell(place, share, most) for share in rows[name]))
    return table


def _cell(place: Place, share: float, most: float) -> Text:
    if share < 0.005:
        return Text("·", style="dim")
    return Text.assemble((place.screen.bar(share / most, 10), "cyan"), f" {share:.2f}")


def _who(hit: Hit) -> str:
    return f"{safe(hit.record.actor)}: " if hit.record.actor else ""


COMMANDS = (recall, context, explain)
