"""`changes`: how well changing facts are told."""

from __future__ import annotations

import click

from stepwell_bench import changing


@click.command()
@click.option("--wrong", is_flag=True, help="Name the cases that are told wrong, too.")
def changes(wrong: bool) -> int:
    """Tell of pairs of turns whether the later one replaces what the earlier one says.

    Precision and recall of the policy "facts", without a model, on cases of our own.
    """
    some = changing.cases()
    click.echo(f"{'split':8} {'cases':>6} {'precision':>10} {'recall':>8}   right/wrongly/missed")
    for split in sorted({case.split for case in some}):
        one = changing.told(some, split)
        count = one.right + one.wrongly + one.missed + one.left_alone
        click.echo(
            f"{split:8} {count:6} {one.precision:10.3f} {one.recall:8.3f}   "
            f"{one.right}/{one.wrongly}/{one.missed}"
        )
    if wrong:
        for case in some:
            if changing.replaced(case) is not case.replaces:
                click.echo(f"{case.id}: {'missed' if case.replaces else 'wrongly told'}")
    return 0
