"""What people see: safe texts, bars, times and tables; what scripts see: JSON."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from stepwell.fencing import sanitise
from stepwell.models import Hit, Noted, Record

#: What is written to a file or a pipe is as wide as this.
_WIDE: Final = 100
#: Characters of a text that people are shown, and lines.
LONG: Final = 600
_LINES: Final = 8
_BAR: Final = 14
#: Characters of JSON that are written at once.
_AT_ONCE: Final = 8_192
#: The colours of the levels, from the bottom up.
LEVELS: Final = ("yellow", "green", "blue", "magenta")

Step = Callable[[int, int], None]


class Screen:
    """Where a command answers: a terminal, a pipe, or whoever reads JSON."""

    def __init__(
        self, *, as_json: bool = False, quiet: bool = False, colour: bool | None = None
    ) -> None:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        self.as_json = as_json
        self.quiet = quiet
        wide = None if sys.stdout.isatty() else _WIDE
        self.console = Console(
            highlight=False, markup=False, emoji=False, width=wide, soft_wrap=False,
            no_color=True if colour is False else None, force_terminal=colour or None,
        )  # fmt: skip

    def say(self, *parts: str | Text, style: str = "") -> None:
        """A line of an answer."""
        line = Text(style=style)
        for part in parts:
            line.append_text(part if isinstance(part, Text) else Text(safe(part)))
        self.console.print(line)

    def remark(self, text: str) -> None:
        """A line beside the answer: how much there was, what to do next. Not with --quiet."""
        if not self.quiet and not self.as_json:
            self.say(text, style="dim")

    def json(self, value: object) -> None:
        """The answer as one JSON document."""
        told = json.dumps(plain(value), ensure_ascii=False, indent=2) + "\n"
        # Bit by bit: of one large write Python tells nobody that the pipe was closed meanwhile.
        for start in range(0, len(told), _AT_ONCE):
            sys.stdout.write(told[start : start + _AT_ONCE])

    def answer(self, value: object, show: Callable[[], None]) -> None:
        """The answer: as JSON if that was asked for, else as it is shown."""
        if self.as_json:
            self.json(value)
        else:
            show()

    def bars(self, why: Mapping[str, float], most: int = 4) -> Text:
        """The strongest shares of a score: a bar for how much of it, and the number."""
        line = Text()
        best = sorted(why.items(), key=lambda share: -share[1])[:most]
        whole = sum(share for share in why.values() if share > 0) or 1.0
        for name, share in best:
            if share >= 0.005:
                line.append(f"{name} ", style="dim")
                line.append(self.bar(share / whole), style="cyan")
                line.append(f" {share:.2f}   ".replace("0.", ".", 1))
        return line

    def bar(self, share: float, wide: int = _BAR) -> str:
        """A bar for a number from 0 to 1, one character at least."""
        mark = "▇" if (self.console.encoding or "").lower().startswith("utf") else "#"
        return mark * max(1, round(wide * min(1.0, max(0.0, share))))

    def hit(self, number: int, hit: Hit) -> None:
        """One hit: the text, who said it and when, and why it was found."""
        place = Text(f"{number:>3}  ", style="dim")
        place.append(f"{hit.score:.2f}", style="bold")
        place.append("  ").append_text(self.head(hit.record))
        self.console.print(place)
        self.text(hit.text, indent=11)
        line = Text(" " * 11).append_text(self.bars(hit.why))
        self.console.print(line)

    def head(self, record: Record) -> Text:
        """Who said it, when, in which session, and what it is called."""
        line = Text()
        if record.level:
            line.append(f"{record.kind.value} ", style=LEVELS[min(record.level, 3)])
        if record.actor:
            line.append(safe(record.actor), style="bold")
            line.append("  ")
        line.append(moment(record.said_at) or "time unknown", style="dim")
        for name in filter(None, (record.session, record.turn or record.id)):
            line.append(f"  {one_line(name, 40)}", style="dim")
        return line

    def text(self, words: str, indent: int = 0, most: int = LONG) -> None:
        """A text, without what could deceive about it; a long one is cut, and says so."""
        room = max(20, self.console.width - indent - 1)
        cut = safe(words)
        lines: list[Text] = []
        for paragraph in cut[:most].split("\n"):
            lines += list(Text(paragraph).wrap(self.console, room)) or [Text()]
        left = len(cut) - sum(len(line) + 1 for line in lines[:_LINES])
        for line in lines[:_LINES]:
            self.console.print(Text(" " * indent).append_text(line))
        if left > 0:
            self.console.print(Text(f"{' ' * indent}… {left} characters more", style="dim"))

    @contextmanager
    def progress(self, what: str) -> Iterator[Step | None]:
        """A bar on a terminal, and silence elsewhere: the function to tell (done, of)."""
        if self.quiet or self.as_json or not sys.stderr.isatty():
            yield None
            return
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
            task = shown.add_task(what, total=None)
            yield lambda done, of: shown.update(task, completed=done, total=of)


def said_wrong(message: str) -> None:
    """One line about what went wrong."""
    sys.stderr.write(f"stepwell: {safe(message)}\n")


def safe(text: str) -> str:
    """A text that can be written to a terminal: it holds no commands to it, and no tricks."""
    return sanitise(text).replace("\t", "    ")


def one_line(text: str, most: int) -> str:
    """The beginning of a text in one line."""
    line = " ".join(safe(text[: 4 * most]).split())
    return line if len(line) <= most and len(text) <= 4 * most else line[: most - 1].rstrip() + "…"


def moment(when: datetime | None) -> str:
    """A time as people read it, in UTC; the empty text for none."""
    if when is None:
        return ""
    told = when.astimezone(UTC)
    return f"{told.day} {told:%b %Y %H:%M}"


def plain(value: object) -> Any:
    """Whatever a verb answers, as JSON: dataclasses and models by their fields, times in ISO."""
    told: Any = value
    if isinstance(value, Noted):
        told = {"id": str(value), "reason": value.reason}
    elif isinstance(value, Enum):
        told = value.value
    elif isinstance(value, datetime):
        told = value.isoformat()
    elif isinstance(value, BaseModel):
        told = value.model_dump(mode="json")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        told = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if isinstance(value, Hit):
            told["text"] = value.text
    elif isinstance(value, Mapping):
        told = {str(key): plain(each) for key, each in value.items()}
    elif isinstance(value, Iterable) and not isinstance(value, str):
        told = [plain(each) for each in value]
    return told
