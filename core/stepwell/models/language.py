"""What the typed calls to a language model answer with; and what answers without one, too."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field

from stepwell.models.records import Frozen

#: At most so many words, tags or names in one answer.
MANY = 32


def _short(limit: int) -> BeforeValidator:
    """Cut a text that is too long: a model that rambles is no reason to lose its answer."""
    return BeforeValidator(lambda value: value[:limit] if isinstance(value, str) else value)


Word = Annotated[str, _short(128)]
Line = Annotated[str, _short(1_000)]
Prose = Annotated[str, _short(8_000)]
Words = Annotated[
    tuple[Word, ...],
    BeforeValidator(lambda value: value[:MANY] if isinstance(value, list) else value),
]


class Sort(StrEnum):
    """What sort of knowledge a fact is: what happened, what is so, or how something is done."""

    EPISODIC = "episodic"
    SEMANTIC = "semantic"
    PROCEDURAL = "procedural"


class Fact(Frozen):
    """One statement that stands by itself. `source` is the place of its text among those given.

    `subject`, `attribute` and `value` are empty where nothing tells them.
    """

    text: Line
    source: int = Field(ge=0)
    subject: Word = ""
    attribute: Word = ""
    value: Line = ""
    sort: Sort = Sort.SEMANTIC


class Annotation(Frozen):
    """What a text is about: key words, broader tags, one sentence of context, category, domain."""

    keywords: Words = ()
    tags: Words = ()
    context: Line = ""
    category: Word = ""
    domain: Word = ""


class Summary(Frozen):
    """A shorter text, and the places of the texts that it rests on."""

    text: Prose
    sources: tuple[int, ...] = ()


class Relation(StrEnum):
    """How a newer statement stands to an older one."""

    SAME = "same"
    REFINES = "refines"
    CONTRADICTS = "contradicts"
    RESOLVES = "resolves"
    UNRELATED = "unrelated"


class Parsed(Frozen):
    """What a question asks for."""

    keywords: Words = ()
    names: Words = ()
    parts: tuple[Line, ...] = ()
