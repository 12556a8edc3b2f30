"""The typed calls: a language model is asked where there is one, and rules answer where it fails.

What a model says is held against the texts: a number of a text that was not offered, and what has
no word in common with what it is said to rest on, is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, cast

import numpy as np

from stepwell.asking import prompts
from stepwell.asking.calling import Caller, NoAnswer
from stepwell.asking.defaults import (
    STRANGERS,
    annotation_of,
    content,
    credited,
    facts_of,
    parsed_of,
    rests_on,
)
from stepwell.asking.prompts import Shape, batches, numbered, prompt, schema_of
from stepwell.asking.reading import Unreadable, read
from stepwell.contracts import FloatArray
from stepwell.errors import WrongThread
from stepwell.fencing import count_tokens
from stepwell.mechanisms.gisting import Gist, gist, leading
from stepwell.mechanisms.questions import unanswered
from stepwell.mechanisms.relating import (
    TOPIC_AT,
    merged_profile,
    relation,
    same_topic,
)  # fmt: skip
from stepwell.models import Annotation, Fact, Parsed, Relation, Summary

__all__ = ["Asker", "Caller"]

#: Prompts that one call makes of many texts; what is left over, rules answer.
MOST_PROMPTS: Final = 8
#: Notes that are kept until somebody takes them.
MOST_NOTES: Final = 100
#: So many texts are embedded for one answer, and so many characters of each.
_EMBEDDED, _READ = 64, 2_000

_RELATIONS: Final = {each.value: each for each in Relation}

Embed = Callable[[list[str]], FloatArray]


class Asker:
    """The typed calls of one piece of work. See contracts.Models for what each answers."""

    def __init__(
        self,
        caller: Caller | None = None,
        embed: Embed | None = None,
        let_go: Callable[[], None] | None = None,
        secret: Callable[[], bytes | None] | None = None,
    ) -> None:
        self._caller = caller
        self._embed = embed
        self.held_by(let_go, secret)
        self._notes: list[str] = []
        self._usual: float | None = None

    def held_by(
        self, let_go: Callable[[], None] | None, secret: Callable[[], bytes | None] | None
    ) -> None:
        """Call `let_go` before a model thinks, so that nothing is held meanwhile.

        `secret` tells what the words are made from that quoted texts are fenced by.
        """
        self._let_go = let_go
        self._secret = secret

    def take_notes(self) -> tuple[str, ...]:
        """Which calls rules have answered in a model's place, and why; they are told once."""
        told, self._notes = tuple(self._notes), []
        return told

    # calls ------------------------------------------------------------------------------------

    def facts(self, texts: Sequence[str], *, known: Sequence[str] = ()) -> tuple[Fact, ...]:
        """Statements that stand by themselves, in order of their texts."""
        if self._caller is None:
            return facts_of(texts)
        made: list[Fact] = []
        context = [("known", text[: prompts.ONE]) for text in known[:8]]
        every = batches(numbered(texts))
        for number, batch in enumerate(every):
            told = None if number >= MOST_PROMPTS else self._facts(batch, context)
            if told is None:
                if number >= MOST_PROMPTS:
                    self._note("facts", "more than can be asked about at once")
                rest = [piece for later in every[number:] for piece in later]
                if not number:
                    return facts_of(texts)
                plain = facts_of([text for _, text in rest])
                made += [f.model_copy(update={"source": rest[f.source][0]}) for f in plain]
                break
            made += told
        return tuple(sorted(made, key=lambda fact: fact.source))

    def _facts(
        self, batch: Sequence[tuple[int, str]], context: Sequence[tuple[str, str]]
    ) -> list[Fact] | None:
        quoted = [(str(number), text) for number, (_, text) in enumerate(batch, 1)]
        said = cast("prompts.Facts | None", self._ask("facts", [*context, *quoted]))
        if said is None:
            return None
        words_of = [content(text) for _, text in batch]
        made: list[Fact] = []
        for each in said.facts:
            at = None
            if 1 <= each.source <= len(batch):
                at = credited(each.text, words_of, each.source - 1)
            if at is not None:
                fields = each.model_dump() | {"source": batch[at][0]}
                made.append(Fact.model_validate(fields))
        if said.facts and not made:
            self._note("facts", "nothing of it stands in the texts")
            return None
        return made

    def annotate(self, text: str) -> Annotation:
        """What a text is about."""
        said = cast("prompts.About | None", self._ask("annotate", [("1", text[: prompts.ROOM])]))
        if said is None:
            return annotation_of(text)
        held = content(text)
        context = said.context if not held.isdisjoint(content(said.context)) else ""
        kept = tuple(word for word in said.keywords if not held.isdisjoint(content(word)))
        if not kept and not context:
            self._note("annotate", "nothing of it stands in the text")
            return annotation_of(text)
        return Annotation(
            keywords=kept, tags=said.tags, context=context, category=said.category,
            domain=said.domain,
        )  # fmt: skip

    def summarize(self, texts: Sequence[str], *, tokens: int = 64, before: str = "") -> Summary:
        """The texts in at most `tokens` tokens, going on from an earlier summary where given."""
        offered = texts
        if self._caller is not None and sum(map(len, texts)) > prompts.ROOM:
            shorter = gist(texts, prompts.ROOM // 16)
            offered = [_of(shorter, texts, place) for place in range(len(texts))]
        pieces = numbered(offered)
        quoted = [(str(number), text) for number, (_, text) in enumerate(pieces, 1)]
        if before:
            quoted.insert(0, ("earlier summary", before[: prompts.ONE]))
        said = None
        if pieces:
            said = cast("prompts.Short | None", self._ask("summarize", quoted, tokens))
        text = leading(said.summary, tokens) if said is not None else ""
        if text and rests_on(text, before, *offered):
            # It may hold words of any text that was shown, whatever a model would say of it.
            return Summary(text=text, sources=tuple(dict.fromkeys(place for place, _ in pieces)))
        if said is not None:
            self._note("summarize", "nothing of it stands in the texts")
        made = gist(texts, tokens, self._vectors(texts), before)
        return Summary(text=made.text, sources=made.sources)

    def relate(self, newer: str, older: Sequence[str]) -> tuple[Relation, ...]:
        """How a statement stands to each of several older ones, in their order."""
        cosines = self._towards(newer, older)
        made = [relation(newer, text, cosine) for text, cosine in zip(older, cosines, strict=True)]
        quoted = [("new", newer[:_READ])]
        quoted += [(str(i), text[:1_000]) for i, text in enumerate(older[:24], 1)]
        if not older or self._caller is None:
            return tuple(made)
        said = cast("prompts.Relations | None", self._ask("relate", quoted))
        for each in () if said is None else said.relations:
            at = each.number - 1
            told = _RELATIONS.get(each.relation.casefold())
            if told is not None and 0 <= at < min(24, len(older)):
                cosine = cosines[at]
                near = cosine is not None and cosine - self._usual_cosine() >= TOPIC_AT
                # What has no word in common, and is not near, is not related, whoever says so.
                grounded = near or rests_on(newer, older[at])
                made[at] = told if grounded else Relation.UNRELATED
        return tuple(made)

    def same_topic(self, one: str, other: str) -> bool:
        """Whether two texts go on about the same thing."""
        quoted = [("1", one[:_READ]), ("2", other[:_READ])]
        said = cast("prompts.Same | None", self._ask("same_topic", quoted))
        if said is not None:
            return said.same
        cosine = self._towards(one, [other])[0]
        usual = 0.0 if cosine is None else self._usual_cosine()
        return same_topic(one, other, cosine, usual)

    def parse_query(self, text: str) -> Parsed:
        """What a question asks for."""
        said = cast("prompts.Asks | None", self._ask("parse_query", [("question", text[:_READ])]))
        if said is None:
            return parsed_of(text)
        held = content(text)

        def kept(found: Sequence[str]) -> tuple[str, ...]:
            return tuple(each for each in found if not held.isdisjoint(content(each)))

        return Parsed(keywords=kept(said.keywords), names=kept(said.names), parts=kept(said.parts))

    def next_query(self, question: str, found: Sequence[str]) -> str | None:
        """What to search for next, given what was found; None when that is enough."""
        quoted = [("question", question[:_READ])]
        quoted += [(str(i), text[:1_000]) for i, text in enumerate(found[:24], 1)]
        said = cast("prompts.Next | None", self._ask("next_query", quoted))
        if said is None:
            return unanswered(question, found)
        if said.query and rests_on(said.query, question, *found):
            return said.query
        return None

    def merge_profile(self, profile: str, facts: Sequence[str], *, tokens: int = 256) -> str:
        """A profile brought up to date with newer facts, in at most `tokens` tokens."""
        newest = [fact[:500] for fact in facts[-32:]]
        quoted = [("profile", profile[: prompts.ONE])] if profile else []
        quoted += [(str(i), text) for i, text in enumerate(newest, 1)]
        fits = len(newest) == len(facts) and len(profile) <= prompts.ONE
        said = None
        if quoted and fits:
            said = cast("prompts.Profile | None", self._ask("merge_profile", quoted, tokens))
        lines = [] if said is None else said.profile.splitlines()
        kept = [line for line in lines if rests_on(line, profile, *facts)]
        if kept:
            return _fitting(kept, tokens)
        if said is not None:
            self._note("merge_profile", "nothing of it stands in the facts")
        return merged_profile(profile, facts, tokens)

    # asking -----------------------------------------------------------------------------------

    def _ask(self, call: str, quoted: Sequence[tuple[str, str]], tokens: int = 0) -> Shape | None:
        """A model's answer of the call's shape; None if rules are to answer, which is noted."""
        caller = self._caller
        if caller is None:
            return None
        if caller.away:
            self._note(call, "an earlier call has not come back")
            return None
        secret = self._secret() if self._secret is not None else None
        asked, shape = prompt(call, quoted, secret or caller.secret, tokens)
        if self._let_go is not None:
            self._let_go()
        why, text = "", asked.text
        try:
            for _ in range(2):
                try:
                    return read(caller(text, schema_of(shape)), shape, asked.nonce)
                except Unreadable as error:
                    why = f"twice no such answer: {error}"
                    text = asked.again(str(error))
        except WrongThread:
            raise  # it is the caller's to mend, and names the way out
        except NoAnswer as error:
            why = str(error)
        except Exception as error:  # noqa: BLE001 - whatever a model raises; its message may quote
            why = type(error).__name__
        self._note(call, why)
        return None

    def _note(self, call: str, why: str) -> None:
        if len(self._notes) < MOST_NOTES:
            self._notes.append(f"{call}: {why}")

    # vectors ----------------------------------------------------------------------------------

    def _vectors(self, texts: Sequence[str]) -> FloatArray | None:
        """A row for each text; None where there are none to be had."""
        if self._embed is None or not texts or len(texts) > _EMBEDDED:
            return None
        try:
            return self._embed([text[:_READ] or " " for text in texts])
        except Exception as error:  # noqa: BLE001 - an embedder's; words alone answer
            self._note("embed", type(error).__name__)
            return None

    def _towards(self, one: str, others: Sequence[str]) -> list[float | None]:
        """The cosine of a text with each of several others; None where there is no vector."""
        vectors = self._vectors([one, *others])
        if vectors is None:
            return [None] * len(others)
        return [float(cosine) for cosine in vectors[1:] @ vectors[0]]

    def _usual_cosine(self) -> float:
        """The mean cosine of texts that have nothing in common, in the embedder's space."""
        if self._usual is None:
            vectors = self._vectors(STRANGERS)
            rows, columns = np.triu_indices(len(STRANGERS), 1)
            pairs = 0.0 if vectors is None else float((vectors @ vectors.T)[rows, columns].mean())
            self._usual = max(0.0, pairs)
        return self._usual


def _of(shorter: Gist, texts: Sequence[str], place: int) -> str:
    """What a gist has of one text."""
    pieces = [piece for piece in shorter.pieces if piece.source == place]
    return " ".join(texts[place][piece.first : piece.last] for piece in pieces)


def _fitting(lines: Sequence[str], tokens: int) -> str:
    """The first lines that fit a budget."""
    kept: list[str] = []
    for line in lines:
        tokens -= count_tokens(line)
        if tokens < 0:
            break
        kept.append(line)
    return "\n".join(kept)
