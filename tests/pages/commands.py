"""core/docs/command-line.md: every command with the help that it prints."""

from __future__ import annotations

import textwrap
from typing import Final

import click

from stepwell.cli import app

_PAGE: Final = """\
# Command line

`pip install stepwell` brings the command `stepwell`; `python -m stepwell` is the same. It has the
verbs of the library, for people and for scripts.

    stepwell demo
    stepwell remember "I moved to Oslo in May." --actor Alice --store team.db --scope acme/alice
    stepwell recall "Where does Alice live?" --store team.db --scope acme/alice

- **Which store, which scope** is said by `--store` and `--scope`, or once for all by
  `STEPWELL_STORE` and `STEPWELL_SCOPE`. Where a store has one scope only, it need not be named.
  Names in a scope's path are percent-encoded, as in its URI; `--store` takes such a URI, too.
- **Nothing is made by a slip of the pen:** only `remember` and `import` make a store that is not
  there.
- **`--json`** answers in one JSON document, whole and as it was said, with the fields of what the
  verb of the library answers; times are ISO 8601 in UTC. What people see instead is cut where it is
  long, and holds no characters that command a terminal or turn the direction of reading.
- **What cannot be taken back is asked about.** `forget` and `erase` show what would go; `--dry-run`
  does only that, and `--yes` does not ask.
- **Exit codes:** 0 done; 1 done, but something is wrong or left to do; 2 wrong usage; 3 the store
  or a plugin failed; 130 interrupted; 141 nobody reads on. A mistake is told in a line on standard
  error, without a word of what is remembered.
- **Completion:** `_STEPWELL_COMPLETE=bash_source stepwell`, or `zsh_source`, `fish_source`, prints
  what your shell has to read.

This page is written by `python -m tests.pages`, from the commands.
"""


def pages() -> dict[str, str]:
    """The page, by where it belongs."""
    parts = [_PAGE]
    above = click.Context(
        app, info_name="stepwell", terminal_width=96, max_content_width=96,
        help_option_names=["-h", "--help"],
    )  # fmt: skip
    for name, command in app.commands.items():
        context = click.Context(
            command, above, info_name=name, terminal_width=96, max_content_width=96
        )
        told = textwrap.indent(command.get_help(context), "    ", lambda line: bool(line.strip()))
        parts.append(f"\n## `{name}`\n\n{told}\n")
    return {"core/docs/command-line.md": "".join(parts)}
