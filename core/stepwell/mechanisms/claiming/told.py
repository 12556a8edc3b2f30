"""Claims out of what a language model has told of a text, in the same slots as those of rules."""

from __future__ import annotations

import re
from typing import Final

from stepwell.mechanisms.claiming.claim import Claim, kind_of, topic
from stepwell.models import Fact

#: A model is believed less than a plain wording.
_SURE: Final = 0.6
_SPEAKER: Final = frozenset({"", "i", "me", "user", "the user", "speaker", "the speaker"})
_OWNED: Final = re.compile(r"(?:my|(?:the )?(?:user|speaker)['’]s) ", re.IGNORECASE)
#: Other names of the slots of people, which hold one value each.
_NAMES: Final = {
    other: name
    for name, others in {
        "home": "home residence location city hometown lives address",
        "employer": "employer company workplace works",
        "role": "role job occupation profession position title",
        "relationship": "relationship partner spouse married",
        "age": "age",
        "diet": "diet",
        "car": "car vehicle",
    }.items()
    for other in others.split()
}


def told(fact: Fact, speaker: str) -> Claim | None:
    """A claim of a fact, if it says what of what is how. `speaker` is who said the text."""
    value, attribute = fact.value.strip(), topic(fact.attribute)
    if not value or not attribute:
        return None
    who = speaker.casefold().strip()
    said = fact.subject.casefold().strip()
    owned = _OWNED.match(said)
    subject = who if said in {*_SPEAKER, who} else topic(said[owned.end() :] if owned else said)
    if owned and subject:
        subject = f"{who}/{subject}"
    names = [_NAMES[word] for word in attribute.split() if word in _NAMES]
    kind = kind_of(value)
    slot = names[0] if names else f"{attribute}#{kind}"
    # Of what else there may be several, nobody knows.
    one = bool(names) or kind != "text"
    return Claim(subject, slot, value, confidence=_SURE, exclusive=one, by=who) if subject else None
