"""Labelled conversations: what a data file holds, and how it is read.

A file is JSON, plain or gzipped: an object with `name`, `conversations` and, if it is to be judged
by another number of answers than ten, `k`. Each conversation has a `conv_id`, `turns` (`id`,
`text`, and where known `session`, `speaker`, `time`, `raw_text`, `caption`) and `questions` (`qid`,
`question`, `evidence` as ids of turns, and where known `category`, `time`, `scored`, `as_of`).
Other fields are left alone.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError, field_validator

from stepwell import Turn
from stepwell_bench.errors import BadData, NothingToAsk
from stepwell_bench.metrics import KS

#: Categories that a set's own scoring protocol leaves out: LoCoMo's fifth asks what was never said.
LEFT_OUT: Final[Mapping[str, tuple[str, ...]]] = {"locomo": ("5-adversarial",)}

#: By how many of the first answers a set is judged, where that is not by ten: QMSum has dozens of
#: turns of evidence for a question, IRC one.
USUAL_K: Final[Mapping[str, int]] = {"irc": 1, "qmsum": 50}

#: Eight made-up conversations with 176 questions of nine kinds, for whoever has no data at hand.
OWN: Final = Path(__file__).with_name("own.json")

_SUFFIXES = (".json", ".json.gz")
_CHINESE = re.compile(r"(\d{4})年(\d{1,2})月(\d{1,2})日\D*(\d{1,2}):(\d{2})")


@dataclass(frozen=True, slots=True)
class Spoken:
    """One turn. `text` is how it is read ("Ann: hello"), `words` are the speaker's own.

    `seq` is its place in the conversation. `said_at` is None when unknown.
    """

    id: str
    text: str
    words: str
    seq: int
    session: str | None = None
    speaker: str | None = None
    said_at: datetime | None = None
    caption: str | None = None
    #: The whole turn, when it comes from a store.
    whole: Turn | None = None

    def turn(self, at: datetime | None) -> Turn:
        """What a Memory is given: the words with the caption, the speaker as the actor."""
        if self.whole is not None:
            return self.whole
        said = f"{self.words} [shares a photo: {self.caption}]" if self.caption else self.words
        # A turn without any word may be evidence all the same; stepwell stores no empty text.
        return Turn(
            id=self.id, text=said if said.strip() else ".", actor=self.speaker or None,
            session=self.session or None, at=at,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the ids of the turns that answer it.

    Only turns whose `seq` is below `as_of` had been said when it was asked.
    """

    id: str
    text: str
    evidence: tuple[str, ...]
    category: str = ""
    asked_at: datetime | None = None
    as_of: int | None = None
    scored: bool = True
    #: What it is drawn with in a bootstrap; empty for its conversation.
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns in order, and the questions about them."""

    id: str
    turns: tuple[Spoken, ...]
    questions: tuple[Question, ...]

    @property
    def stream(self) -> bool:
        """Whether questions are asked while it goes on, each before its own turn is said."""
        return any(question.as_of is not None for question in self.questions)


@dataclass(frozen=True, slots=True)
class DataSet:
    """Conversations of one kind. `sha256` is the file's, so that figures can name their data."""

    name: str
    conversations: tuple[Conversation, ...]
    split: str = ""
    sha256: str = ""
    #: By how many of the first answers it is judged.
    k: int = 10


@dataclass(slots=True)
class Counted:
    """How many questions are asked, and why others are not."""

    asked: int = 0
    left_out: int = 0  # of a category that the protocol leaves out
    no_evidence: int = 0  # none of the evidence is a turn of the conversation
    unscored: int = 0  # the file says so


class _Turn(BaseModel):
    id: str
    text: str
    session: str | None = None
    seq: int | None = None
    speaker: str | None = None
    time: str | None = None
    raw_text: str | None = None
    caption: str | None = None


class _Question(BaseModel):
    qid: str
    question: str
    evidence: list[str] = Field(default_factory=list)
    category: str | int | None = None
    time: str | None = None
    as_of: int | None = None
    scored: bool | None = None


class _Conversation(BaseModel):
    conv_id: str
    turns: list[_Turn]
    questions: list[_Question] = Field(default_factory=list)


class _File(BaseModel):
    name: str
    split: str | None = None
    k: int | None = None
    conversations: list[_Conversation]

    @field_validator("k")
    @classmethod
    def _measured(cls, k: int | None) -> int | None:
        if k is not None and k not in KS:
            raise ValueError(f"recall is measured at {', '.join(map(str, KS))} alone")
        return k


def load(path: Path) -> DataSet:
    """Read a data file. Raises BadData, which names the file, the conversation and the field."""
    raw, text = _read(path)
    try:
        file = _File.model_validate_json(text)
    except ValidationError as error:
        raise BadData(f"{path.name}: {_flaw(error)}") from None
    made = []
    for index, conversation in enumerate(file.conversations):
        where = f"{path.name}: conversation {index} ({conversation.conv_id!r})"
        _unique(where, "turns", "id", [turn.id for turn in conversation.turns])
        _unique(where, "questions", "qid", [q.qid for q in conversation.questions])
        made.append(_conversation(conversation))
    digest = hashlib.sha256(raw).hexdigest()
    return DataSet(file.name, tuple(made), file.split or "", digest, own_k(file.name, file.k))


def read_json(path: Path) -> dict[str, Any]:
    """What a file holds, whatever it is. Raises BadData."""
    try:
        held = json.loads(_read(path)[1])
    except ValueError:
        raise BadData(f"{path.name}: is not JSON") from None
    if not isinstance(held, dict):
        raise BadData(f"{path.name}: is no object")
    return held


def _read(path: Path) -> tuple[bytes, bytes]:
    """The bytes of a file, and those of its text. Raises BadData."""
    try:
        raw = path.read_bytes()
        return raw, gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(f"{path.name}: cannot be read ({type(error).__name__})") from None


def find(places: Iterable[Path], sets: Sequence[str] = ()) -> list[Path]:
    """The data files at these places: files, or folders of them; only `sets`, when some are named.

    A set is named as its file, without `.json` or `.json.gz`. Raises BadData when a place or a
    named set is not there.
    """
    found: dict[str, Path] = {}
    for place in places:
        if place.is_dir():
            files = sorted(p for p in place.iterdir() if p.name.endswith(_SUFFIXES))
        elif place.is_file():
            files = [place]
        else:
            raise BadData(f"{place}: there is no such file or folder")
        found |= {_stem(file): file for file in files}
    if missing := [name for name in sets if name not in found]:
        raise BadData(f"no file of the set {missing[0]!r} among {', '.join(found) or 'no files'}")
    if not found:
        raise NothingToAsk("no .json or .json.gz file in the data folder")
    return [found[name] for name in sets] if sets else list(found.values())


def chosen(
    data: DataSet, left_out: Iterable[str] | None = None, limit: int | None = None,
    conversations: int | None = None,
) -> tuple[list[tuple[Conversation, list[Question]]], Counted]:  # fmt: skip
    """The questions to ask, by conversation, with counts of all others.

    `left_out` are categories; None means those of the set's own protocol (`LEFT_OUT`). At most
    `limit` questions are taken from the beginning, of at most so many `conversations`.
    """
    without = set(LEFT_OUT.get(data.name, ()) if left_out is None else left_out)
    counts = Counted()
    made: list[tuple[Conversation, list[Question]]] = []
    for conversation in data.conversations:
        if conversations is not None and len(made) == conversations:
            break
        ids = {turn.id for turn in conversation.turns}
        asked = []
        for question in conversation.questions:
            if question.category in without:
                counts.left_out += 1
            elif not question.scored:
                counts.unscored += 1
            elif ids.isdisjoint(question.evidence):
                counts.no_evidence += 1
            elif limit is None or counts.asked < limit:
                counts.asked += 1
                asked.append(question)
        if asked:
            made.append((conversation, asked))
    return made, counts


def own_k(name: str, said: int | None = None) -> int:
    """The k of a set by which it is judged: what is said, or what is usual for a set so named."""
    return said or USUAL_K.get(name, 10)


def moment(text: str | None) -> datetime | None:
    """The time that a set writes in its own way, in UTC where it names no zone.

    None for none, and for what names no day, such as "12:18".
    """
    if not text:
        return None
    if match := _CHINESE.match(text):
        return datetime(*map(int, match.groups()), tzinfo=UTC)  # type: ignore[misc,arg-type]  # five numbers
    for read in (datetime.fromisoformat, _weekday):
        try:
            when = read(text)
        except ValueError:
            continue
        return when if when.tzinfo else when.replace(tzinfo=UTC)
    return None


def _weekday(text: str) -> datetime:
    return datetime.strptime(text, "%Y/%m/%d (%a) %H:%M").replace(tzinfo=UTC)


def _conversation(raw: _Conversation) -> Conversation:
    turns = tuple(_spoken(turn, place) for place, turn in enumerate(raw.turns))
    questions = tuple(
        Question(
            q.qid, q.question, tuple(dict.fromkeys(q.evidence)), str(q.category or ""),
            moment(q.time), q.as_of, q.scored is not False,
        )
        for q in raw.questions
    )  # fmt: skip
    return Conversation(raw.conv_id, turns, questions)


def _spoken(raw: _Turn, place: int) -> Spoken:
    words = raw.raw_text or raw.text.removeprefix(f"{raw.speaker}: ")
    seq = place if raw.seq is None else raw.seq
    return Spoken(
        raw.id, raw.text, words, seq, raw.session, raw.speaker, moment(raw.time), raw.caption
    )


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".json")


def _unique(where: str, field: str, name: str, ids: list[str]) -> None:
    seen: set[str] = set()
    for place, known in enumerate(ids):
        if known in seen:
            raise BadData(f"{where}: {field}[{place}].{name} occurs twice")
        seen.add(known)


def _flaw(error: ValidationError) -> str:
    """What is wrong and where, without the value that is wrong."""
    flaw = error.errors(include_input=False, include_url=False, include_context=False)[0]
    if flaw["type"] == "json_invalid":
        return "is not JSON"
    place = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in flaw["loc"]).lstrip(".")
    conversation = re.match(r"conversations\[(\d+)\]\.?(.*)", place)
    if conversation:
        place = f"conversation {conversation[1]}: {conversation[2] or 'the whole'}"
    return f"{place or 'the whole'}: {flaw['msg']}"
