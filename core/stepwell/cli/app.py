"""The command `stepwell`: what its commands are, and how each of them ends."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from enum import IntEnum
from importlib import metadata

import click

from stepwell.cli import asking, changing, demo, keeping, looking, moving, taking
from stepwell.cli.screen import said_wrong
from stepwell.errors import InvalidInput, StepwellError


class Exit(IntEnum):
    """What a command tells the shell."""

    DONE = 0
    TROUBLE = 1
    USAGE = 2
    STORE = 3
    INTERRUPTED = 130
    PIPE = 141


class Unread(Exception):
    """The pipe was closed. By another name, because click makes an exit code of 0 of it."""


class Stepwell(click.Group):
    """The commands, in the order in which they were added."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command. Raises Unread where the pipe is closed."""
        try:
            answer: object = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            raise Unread from None
        return answer

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As they are in the help: what one needs first stands first."""
        _ = ctx
        return list(self.commands)


@click.group(
    cls=Stepwell,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 96},
    epilog="Exit codes: 0 done, 1 done but something is wrong or left, 2 wrong usage, 3 the store"
    " or a plugin failed, 130 interrupted, 141 nobody reads on.",
)
@click.version_option(metadata.version("stepwell"), prog_name="stepwell")
def app() -> None:
    """Hierarchical memory for LLM agents, in one file.

    \b
    stepwell demo
    stepwell remember "I moved to Oslo in May." --actor Alice --store team.db --scope acme/alice
    stepwell recall "Where does Alice live?" --store team.db --scope acme/alice
    """


for command in (
    demo.demo,
    *taking.COMMANDS,
    *asking.COMMANDS,
    *looking.COMMANDS,
    *changing.COMMANDS,
    *moving.COMMANDS,
    *keeping.COMMANDS,
):
    app.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code. No traceback, and no word of what is remembered, on stderr."""
    if logging.lastResort is not None and not logging.getLogger().handlers:
        logging.getLogger("stepwell").addHandler(logging.lastResort)  # warnings, to stderr
    try:
        answer = app.main(arguments, "stepwell", standalone_mode=False)
    except (
        click.ClickException, click.Abort, KeyboardInterrupt, OSError, StepwellError, Unread,
    ) as error:  # fmt: skip
        return _ended(error)
    return answer if isinstance(answer, int) else Exit.DONE


def _ended(error: BaseException) -> Exit:
    """How a command ends that did not come to its end; what is to be said of it is said."""
    code = Exit.STORE
    if isinstance(error, Unread):
        _let_go()
        code = Exit.PIPE
    elif isinstance(error, click.ClickException):
        error.show()
        code = Exit.USAGE if isinstance(error, click.UsageError) else Exit.STORE
    elif isinstance(error, InvalidInput):
        said_wrong(str(error))
        code = Exit.USAGE
    elif isinstance(error, StepwellError):
        said_wrong(f"{type(error).__name__}: {error}")
    elif isinstance(error, OSError):
        said_wrong(f"{error.strerror or type(error).__name__}: {error.filename or 'a file'}")
    else:
        said_wrong("interrupted: what was done is done, the rest is as it was")
        code = Exit.INTERRUPTED
    return code


def _let_go() -> None:
    """Nobody reads any more: what is left in the buffer must not raise at the end of Python."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
