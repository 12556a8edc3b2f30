"""What stepwell remembers: turns, records, keys, edges, slots.

Times are timezone-aware; a naive one is taken as UTC and the receipt says so.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

MAX_TEXT_BYTES = 8 * 1024 * 1024
MAX_NAME_CHARS = 512  # actor, role, session, task, turn id
MAX_PAYLOAD_BYTES = 1024 * 1024
_FIRST, _LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")


class Frozen(BaseModel):
    """Base of all models: immutable, nothing unknown is let in, no error tells what was sent."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )


class Level(IntEnum):
    """How abstract a record is."""

    EPISODE = 0
    TRACE = 1
    CATEGORY = 2
    DOMAIN = 3


class Kind(StrEnum):
    """What a record is."""

    EPISODE = "episode"
    TRACE = "trace"
    CATEGORY = "category"
    DOMAIN = "domain"
    FACT = "fact"
    SUMMARY = "summary"
    PREFERENCE = "preference"
    PROCEDURE = "procedure"
    INSIGHT = "insight"
    TASK = "task"
    ENTITY = "entity"


class Origin(StrEnum):
    """Who a text comes from, as far as trust goes. Unknown is not the user."""

    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    WEB = "web"
    SYSTEM = "system"
    UNKNOWN = "unknown"


class Status(StrEnum):
    """Whether a record takes part. Only active records are recalled."""

    ACTIVE = "active"
    SUPERSEDED = "superseded"
    HIDDEN = "hidden"
    STALE = "stale"
    QUARANTINED = "quarantined"


#: How far a text is trusted when nobody says otherwise, by where it comes from.
TRUST: dict[Origin, float] = {
    Origin.USER: 1.0,
    Origin.SYSTEM: 1.0,
    Origin.ASSISTANT: 0.8,
    Origin.UNKNOWN: 0.6,
    Origin.TOOL: 0.5,
    Origin.WEB: 0.3,
}

_ROLES = {
    "user": Origin.USER,
    "human": Origin.USER,
    "assistant": Origin.ASSISTANT,
    "ai": Origin.ASSISTANT,
    "tool": Origin.TOOL,
    "function": Origin.TOOL,
    "system": Origin.SYSTEM,
    "developer": Origin.SYSTEM,
}


def origin_of(role: str | None) -> Origin:
    """The origin that a role stands for; unknown when the role says nothing."""
    return _ROLES.get(role.casefold(), Origin.UNKNOWN) if role else Origin.UNKNOWN


def aware(when: datetime) -> datetime:
    """The same moment in UTC; a naive time is taken as UTC. ValueError when out of range."""
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    try:
        when = when.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time outside of years 1 to 9999") from None
    if not _FIRST <= when <= _LAST:
        raise ValueError("a time outside of years 1 to 9999")
    return when


def storable(text: str) -> str:
    """The text itself, if UTF-8 can hold it and it has no NUL; ValueError if not."""
    if _UNUSABLE.search(text):
        raise ValueError("holds a NUL or a lone surrogate, which no UTF-8 text can")
    return text


def storable_json(value: Any) -> Any:
    """The value itself, if it is JSON that UTF-8 can hold, without NUL; ValueError if not."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, RecursionError):
        raise ValueError("holds what no JSON text can") from None
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, str):
            storable(part)
        elif isinstance(part, dict):
            left += [*part, *part.values()]
        elif isinstance(part, (list, tuple)):
            left += part
    return value


def _name(text: str) -> str:
    if not text:
        raise ValueError("is empty; leave it out instead")
    return storable(text)


Text = Annotated[str, AfterValidator(storable)]
Name = Annotated[str, Field(max_length=MAX_NAME_CHARS), AfterValidator(_name)]
When = Annotated[datetime, AfterValidator(aware)]
Unit = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Payload = Annotated[dict[str, JsonValue], AfterValidator(storable_json)]


class Attachment(Frozen):
    """Something outside of the store that a turn refers to. Only the reference is kept."""

    model_config = ConfigDict(revalidate_instances="always")

    ref: Text
    caption: Text = ""


class Turn(Frozen):
    """What somebody said or did, as it comes in. `text` is kept verbatim."""

    # `model_copy(update=...)` asks nothing of what it is given: the door does.
    model_config = ConfigDict(revalidate_instances="always")

    text: Text
    id: Name | None = None
    actor: Name | None = None
    role: Name | None = None
    session: Name | None = None
    at: datetime | None = None
    origin: Origin | None = None
    trust: Unit | None = None
    upstream: tuple[Name, ...] = ()
    task: Name | None = None
    step: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    action: Text | None = None
    observation: Text | None = None
    reward: Finite | None = None
    attachments: tuple[Attachment, ...] = ()
    payload: dict[str, JsonValue] = Field(default_factory=dict)


class Record(Frozen):
    """One remembered thing: a turn (level 0), or something derived from turns.

    `said_at` is None when unknown, never the clock of storing. `valid_from` and `valid_to` say when
    it holds in the world. `turn` is the turn's id, for level 0 only.
    """

    id: str
    scope: tuple[str, ...]
    level: int = 0
    kind: Kind = Kind.EPISODE
    text: str
    payload: dict[str, JsonValue] = Field(default_factory=dict)
    turn: str | None = None
    actor: str | None = None
    role: str | None = None
    origin: Origin = Origin.UNKNOWN
    trust: float = 1.0
    session: str | None = None
    task: str | None = None
    said_at: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    stored_at: datetime
    status: Status = Status.ACTIVE
    version: int = 1
    upstream: tuple[str, ...] = ()
    step: int | None = None
    action: str | None = None
    observation: str | None = None
    reward: float | None = None
    attachments: tuple[Attachment, ...] = ()

    @property
    def spoken(self) -> str:
        """All words of the record: its text, captions, action and observation."""
        if not (self.attachments or self.action or self.observation):
            return self.text
        captions = (a.caption for a in self.attachments)
        return "\n".join(filter(None, (self.text, *captions, self.action, self.observation)))


class Key(Frozen):
    """One way to find a record: a vector, or a sparse document of hashed terms.

    `body` is raw little-endian: float32 for a vector, uint64 for terms. `space` names what made it
    (an embedder's name and dimension, or the word index's version), so that keys of two spaces
    never meet. `span` are the characters of the record's text it stands for. `sources` are turn
    ids; empty means the record's own.
    """

    channel: Name
    space: Name
    body: bytes
    span: tuple[int, int] | None = None
    sources: tuple[Text, ...] = ()


class EdgeKind(StrEnum):
    """How two records are related."""

    DERIVED_FROM = "derived_from"
    CONTAINS = "contains"
    NEXT = "next"
    MENTIONS = "mentions"
    RELATED = "related"
    SUPERSEDES = "supersedes"


class Edge(Frozen):
    """A typed, weighted relation between two records of one scope, by record id."""

    source: Text
    kind: EdgeKind
    target: Text
    weight: Finite = 1.0
    label: Text | None = None
    sources: tuple[Text, ...] = ()


class Slot(Frozen):
    """A small named text, kept current and bounded. Version 0 means never set."""

    name: str
    text: str = ""
    budget: int = 256
    version: int = 0
    sources: tuple[str, ...] = ()
    updated_at: datetime | None = None


class Usage(Frozen):
    """What the ledger knows of a record: how often shown, used, and with what outcome."""

    shown: int = 0
    used: int = 0
    success: float = 0.0
    failure: float = 0.0
    strength: float = 1.0
    last_used: datetime | None = None
