"""Which store and which scope a command is about, and how it answers: options of all commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote

import click

from stepwell.cli.screen import Screen
from stepwell.errors import InvalidScope
from stepwell.memory import Memory, Scope
from stepwell.models import Report

Command = TypeVar("Command", bound=Callable[..., Any])
_URI = "stepwell+sqlite://"


@dataclass(frozen=True, slots=True)
class Place:
    """What the common options say, and the screen to answer on."""

    store: str | None
    scope_name: str | None
    embedder: str
    preset: str | None
    plugins: tuple[str, ...]
    screen: Screen

    @contextmanager
    def memory(self, *, make: bool = False, embedder: str = "") -> Iterator[Memory]:
        """The store, closed in the end. It is made only where something is to be put into it."""
        with Memory.open(self._path(make=make), **self._options(embedder)) as memory:
            yield memory

    def repair(self, target: str, progress: Callable[[int, int], None] | None) -> Report:
        """A sound store of what can be read of this one."""
        return Memory.repair(self._path(make=False), target, progress=progress, **self._options(""))

    def _path(self, *, make: bool) -> str:
        path = self.store
        if path is None:
            raise click.UsageError("Which store? Name its file by --store, or by STEPWELL_STORE.")
        if path.startswith(_URI):
            path = unquote(path.removeprefix(_URI).partition("?")[0])
        if "://" not in path and not make and not Path(path).exists():
            raise click.ClickException(f"there is no store at {path}")
        if "://" not in path and not make and _is_empty(Path(path)):
            raise click.ClickException(f"there is no store at {path}: the file is empty")
        return path

    def _options(self, embedder: str) -> dict[str, Any]:
        chosen = embedder or self.embedder
        return {
            "preset": self.preset, "plugins": self.plugins,
            "embedder": None if chosen == "none" else chosen,
        }  # fmt: skip

    @contextmanager
    def scope(self, *, make: bool = False) -> Iterator[Scope]:
        """The scope; where none is named, the only one that there is.

        No store is made for a scope that nobody has named.
        """
        named_so = self.scope_name is not None or "?scope=" in (self.store or "")
        with self.memory(make=make and named_so) as memory:
            yield self.chosen(memory)

    def chosen(self, memory: Memory) -> Scope:
        """The scope of an open memory that the options name, or the only one that there is."""
        if self.scope_name is not None:
            return memory.scope(*segments(self.scope_name))
        if self.store is not None and self.store.startswith(_URI) and "?scope=" in self.store:
            return memory.scope(*segments(self.store.partition("?scope=")[2]))
        held = memory.scopes()
        if len(held) != 1:
            some = "".join(f"\n  --scope {named(path)}" for path in held[:20])
            raise click.UsageError(f"Which scope? Name it by --scope.{some}")
        return memory.scope(*held[0])


def _is_empty(path: Path) -> bool:
    # With a log beside it the store may still lie in that.
    return path.is_file() and not path.stat().st_size and not Path(f"{path}-wal").exists()


def segments(name: str) -> tuple[str, ...]:
    """The path of a scope as it is written here: "acme/alice", each part percent-encoded."""
    try:
        return tuple(unquote(part, errors="strict") for part in name.split("/"))
    except UnicodeDecodeError:
        raise InvalidScope("the scope's escapes are no UTF-8") from None


def named(path: tuple[str, ...]) -> str:
    """A scope's path as it is written here."""
    return "/".join(quote(segment, safe="") for segment in path)


def placed(command: Command) -> Command:
    """Give a command the options that all have in common; it gets them as its first argument."""

    @wraps(command)
    def run(
        store: str | None, scope: str | None, embedder: str, preset: str | None,
        plugin: tuple[str, ...], **rest: Any,
    ) -> Any:  # fmt: skip
        screen = Screen(
            as_json=rest.pop("as_json"), quiet=rest.pop("quiet"), colour=rest.pop("color")
        )
        return command(Place(store, scope, embedder, preset, plugin, screen), **rest)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run  # type: ignore[return-value]  # click's decorators keep what they are given


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "-s", "--store", metavar="FILE", envvar="STEPWELL_STORE", show_envvar=True,
        help="The store's file, or the URI of a scope in it.",
    ),
    click.option(
        "-c", "--scope", metavar="NAME/NAME", envvar="STEPWELL_SCOPE", show_envvar=True,
        help="The scope; may be left out where the store has only one.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Answer in JSON."),
    click.option("-q", "--quiet", is_flag=True, help="Say only what was asked for."),
    click.option(
        "--color/--no-color", default=None,
        help="Colours, whatever the terminal is. NO_COLOR is respected.",
    ),
    click.option(
        "--embedder", default="default", metavar="NAME", show_default=True,
        help='"none" goes by words alone.',
    ),
    click.option("--preset", metavar="NAME", help="For a new store, or one of this preset."),
    click.option("--plugin", multiple=True, metavar="NAME", help="A plugin beside the preset's."),
)  # fmt: skip
