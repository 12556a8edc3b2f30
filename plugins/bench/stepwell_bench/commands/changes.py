"""`changes`: how well changing facts are told."""

from __future__ import annotations

import click

from stepwell_bench import changing


@click.command()
@click.option("--wrong", is_flag=True, help="Name the cases that are told wrong, too.")
def changes(wrong: bool) -> int:
    """Tell of pairs of turns whether the later one replaces what the earlier one says.

    Precision and recall of the policy "facts", without a model, on cases of our own; and how often
    the turn that says how it is now is the first hit, with the policy and without.
    """
    some = changing.cases()
    answers = changing.replaced(some)
    with_it, without = (changing.found_first(some, facts=facts) for facts in (True, False))
    click.echo(
        f"{'split':9} {'cases':>6} {'precision':>10} {'recall':>7}   {'right/wrongly/missed':21}"
        f"{'questions':>9} {'recall@1':>9} {'without':>8}"
    )
    for split in sorted({case.split for case in some}):
        one = changing.told(some, split, answers)
        count = one.right + one.wrongly + one.missed + one.left_alone
        asked = [case.id for case in some if case.split == split and case.id in with_it]
        line = (
            f"{split:9} {count:6} {one.precision:10.3f} {one.recall:7.3f}   "
            f"{f'{one.right}/{one.wrongly}/{one.missed}':21}{len(asked):9}"
        )
        for answered in (with_it, without) if asked else ():
            line += f" {sum(answered[name] for name in asked) / len(asked):8.3f}"
        click.echo(line)
    if wrong:
        for case in some:
            if answers[case.id] is not case.replaces:
                click.echo(f"{case.id}: {'missed' if case.replaces else 'wrongly told'}")
            elif not with_it.get(case.id, True):
                click.echo(f"{case.id}: something else comes first")
    return 0
