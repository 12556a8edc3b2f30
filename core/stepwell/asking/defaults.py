"""What answers the typed calls without a language model; and what a model's answer must rest on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stepwell.mechanisms.labelling import keywords
from stepwell.mechanisms.questions import read
from stepwell.mechanisms.relating import lead, parted
from stepwell.mechanisms.stating import statements
from stepwell.mechanisms.words import question_terms, words
from stepwell.models import Annotation, Fact, Parsed

#: Facts of one text, at most; those of more weight are kept.
MOST_FACTS: Final = 64

#: Sentences that have nothing in common: how near they are is what is usual in a space.
STRANGERS: Final = (
    "The train to the coast leaves at noon.",
    "She paints small portraits of her cats.",
    "The server ran out of memory again.",
    "Add the flour and stir until it is smooth.",
    "He has been afraid of heights since school.",
    "Our rent goes up by a tenth next year.",
)


def facts_of(texts: Sequence[str]) -> tuple[Fact, ...]:
    """The informative sentences of some texts, as they stand there."""
    made: list[Fact] = []
    for place, text in enumerate(texts):
        found = statements(text)
        if len(found) > MOST_FACTS:
            found = sorted(sorted(found, key=lambda each: -each[3])[:MOST_FACTS])
        for first, last, sort, _ in found:
            sentence = text[first:last]
            subject, attribute, value = parted(sentence)
            made.append(
                Fact(
                    text=sentence, source=place, subject=subject, attribute=attribute, value=value,
                    sort=sort,
                )
            )  # fmt: skip
    return tuple(made)


def annotation_of(text: str) -> Annotation:
    """Key phrases, the first of them as tags and category, and the first sentence."""
    found = keywords(text)
    tags = tuple(dict.fromkeys(phrase.casefold() for phrase in found[:3]))
    return Annotation(
        keywords=found, tags=tags, context=lead(text), category=tags[0] if tags else ""
    )


def parsed_of(text: str) -> Parsed:
    """What the wording of a question tells."""
    told = read(text)
    asked = set(question_terms(text).tolist())
    found = [word for word in keywords(text) if asked.intersection(question_terms(word).tolist())]
    return Parsed(keywords=tuple(found), names=told.names, parts=told.parts)


def content(text: str) -> frozenset[str]:
    """The words of a text that carry something; of ideographs pairs, where there are any."""
    found = frozenset(words(text))
    return frozenset(w for w in found if len(w) > 1 or w.isascii()) or found


def rests_on(statement: str, *texts: str) -> bool:
    """Whether a statement has a word of content in common with any of the texts."""
    told = content(statement)
    return any(not told.isdisjoint(content(text)) for text in texts)


def credited(statement: str, told: Sequence[frozenset[str]], claimed: int) -> int | None:
    """The place of the text that a statement rests on, by its words; None where there is none.

    What the model claims is believed if that text has at least half as many of its words as the one
    that has most: no text can have its words told as another one's.
    """
    said = content(statement)
    shares = [len(said & words_of) for words_of in told]
    most = max(shares, default=0)
    if not most:
        return None
    return claimed if 2 * shares[claimed] >= most else shares.index(most)
