"""Files of figures: what is in them, and how they are read and written."""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import stepwell
from stepwell_bench.bootstrap import Estimate
from stepwell_bench.errors import BadResult

#: Files of version 1 lack what came later, and are read as they are.
SCHEMA: Final = 2
#: To so many digits numbers are written, and scores kept: what is read again is the same.
DIGITS: Final = 6
_NUMBERS: Final = re.compile(r'\[\n[^\[\]{}"]*\]')

#: Estimates by metric.
Figures = dict[str, Estimate]


class Model(BaseModel):
    """Base of all parts of a file of figures."""

    model_config = ConfigDict(extra="forbid")


class Timing(Model):
    """How long a system took, in seconds, and what it answered with that cannot count."""

    reading: float = 0.0
    turns: int = 0
    #: None for a system that does not consolidate, or was not asked to.
    consolidating: float | None = None
    #: What its stores hold; None for a system that has none.
    size: int | None = None
    searching: list[float] = Field(default_factory=list)
    unknown: int = 0  # ids that are no turn of the conversation
    unsaid: int = 0  # turns that had not been said yet when the question was asked
    #: Where a policy failed and something else stood in for it, and how often.
    troubles: dict[str, int] = Field(default_factory=dict)

    def add(self, other: Timing) -> None:
        """Take in what was timed over one more conversation."""
        self.reading += other.reading
        self.turns += other.turns
        if other.consolidating is not None:
            self.consolidating = (self.consolidating or 0.0) + other.consolidating
        if other.size is not None:
            self.size = (self.size or 0) + other.size
        self.searching += other.searching
        self.unknown += other.unknown
        self.unsaid += other.unsaid
        for trouble, count in other.troubles.items():
            self.troubles[trouble] = self.troubles.get(trouble, 0) + count


class Failed(Model):
    """A system that gave up on a set: the type of its error, and what it was doing."""

    error: str
    during: str


class Speed(Model):
    """How fast a system was over a set, each question asked once, with k = 100."""

    search_p50_ms: float
    search_p95_ms: float
    turns_per_s: float
    consolidate_s: float | None = None
    bytes_per_turn: float | None = None


class SystemFigures(Model):
    """What one system reached on one set. The ids that took no rank are counted."""

    overall: Figures
    by_category: dict[str, Figures] = Field(default_factory=dict)
    speed: Speed
    unknown_ids: int = 0
    unsaid_ids: int = 0
    troubles: dict[str, int] = Field(default_factory=dict)


class Scores(Model):
    """Each question's scores, under keys from which no question can be read."""

    keys: list[str]
    clusters: list[str]
    categories: list[str]
    metrics: list[str]
    rows: dict[str, list[list[float]]]


class SoFar(Model):
    """What it takes to go on with a set that was interrupted."""

    long: list[bool]
    timings: dict[str, Timing]


class SetFigures(Model):
    """One set. `gains` are those of the system `main` over each other one, paired."""

    name: str
    split: str = ""
    sha256: str = ""
    asked: int
    left_out: int = 0
    no_evidence: int = 0
    unscored: int = 0
    conversations: int
    turns: int
    complete: bool = True
    categories: dict[str, int] = Field(default_factory=dict)
    #: Of how many conversations the questions of a category are; under "", all questions.
    drawn_from: dict[str, int] = Field(default_factory=dict)
    #: By how many of the first answers it is judged.
    k: int | None = None
    main: str
    systems: dict[str, SystemFigures]
    failed: dict[str, Failed] = Field(default_factory=dict)
    gains: dict[str, Figures] = Field(default_factory=dict)
    scores: Scores | None = None
    so_far: SoFar | None = None


class Setting(Model):
    """What a system named in the figures was."""

    preset: str
    version: int | None = None
    embedder: str
    plugins: list[str] = Field(default_factory=list)


class Machine(Model):
    """Where it ran."""

    cpus: int
    python: str
    system: str

    @classmethod
    def here(cls) -> Self:
        return cls(
            cpus=os.cpu_count() or 0,
            python=platform.python_version(),
            system=f"{platform.system()} {platform.machine()}",
        )


class Document(Model):
    """All figures of one run. It holds no text of any conversation."""

    schema_version: int = SCHEMA
    kind: Literal["run", "own", "speed", "scale"]
    stepwell: str = stepwell.__version__
    #: A digest of all code that was measured, and measured with.
    code: str = ""
    at: datetime | None = None
    command: list[str] = Field(default_factory=list)
    machine: Machine = Field(default_factory=Machine.here)
    seed: int = 0
    settings: dict[str, Setting] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)
    advice: list[str] = Field(default_factory=list)
    sets: list[SetFigures] = Field(default_factory=list)
    speed: dict[str, float] = Field(default_factory=dict)
    peak_rss_mb: float = 0.0

    def without_scores(self) -> Document:
        """The same without each question's scores: what may be published of any data."""
        sets = [one.model_copy(update={"scores": None, "so_far": None}) for one in self.sets]
        return self.model_copy(update={"sets": sets})


def peak_rss_mb() -> float:
    """The most memory that this process has held so far, in MB of 2**20 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def write(document: BaseModel, path: Path) -> None:
    """Write a document as JSON: all of it or, interrupted, nothing."""
    if path.exists() and not path.is_file():  # a pipe, say
        path.write_text(dumps(document), encoding="utf-8")
        return
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.write_text(dumps(document), encoding="utf-8")
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def dumps(document: BaseModel) -> str:
    """A document as JSON, its numbers rounded to six digits."""
    data = _rounded(document.model_dump(mode="json", exclude_none=True))
    text = json.dumps(data, ensure_ascii=False, indent=1)
    # Numbers of one list belong on one line. No text inside of JSON holds a newline of its own.
    return _NUMBERS.sub(lambda found: " ".join(found[0].split()), text) + "\n"


def read(path: Path) -> Document:
    """Read a document. Raises BadResult, which names the file and what is wrong."""
    try:
        return Document.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadResult(f"{path.name}: cannot be read ({type(error).__name__})") from None
    except ValidationError as error:
        flaw = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(map(str, flaw["loc"])) or "the whole"
        raise BadResult(f"{path.name}: no file of figures: {place}: {flaw['msg']}") from None


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return value
