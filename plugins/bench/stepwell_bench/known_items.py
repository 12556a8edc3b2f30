"""Questions built from a store of your own, without a model: which settings suit it.

From some of the turns questions are made that each of them answers, by rule:

* `rare words`: the three words of the turn that fewest other turns have
* `fewer words`: only the third and fourth of them, which more turns have
* `who said`: two of its words, and who said it
* `around it`: a word of the turn, and two of what was said just before it

Words never stand in the order they have in the turn. Each question has the turn it was made from
as its answer, and every turn of exactly the same text.

What this cannot tell: such questions share words with their answer, or with what was said before
it. They say nothing of questions that mean the same in other words, where an embedder would help,
nor of answers that are spread over several turns.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from stepwell import Attachment, Filter, Memory, Record, Turn
from stepwell_bench.data import Conversation, DataSet, Question, Spoken
from stepwell_bench.documents import SetFigures
from stepwell_bench.errors import NothingToAsk

KINDS: Final = ("rare words", "fewer words", "who said", "around it")
#: By which settings are compared. Such questions are easy: that the turn is among the first ten
#: tells little, how early it stands tells more.
MEASURE: Final = "mrr"

_PAGE: Final = 1000
_LEAST_TELLING: Final = 4
_EAST_ASIAN: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_EAST_ASIAN}]{{2}}|[^\W\d_{_EAST_ASIAN}]{{3,}}")

CANNOT: Final = (
    "These questions share words with their answers, or with what was said just before. They "
    "cannot tell how well a question in other words is answered, nor one whose answer is spread "
    "over several turns."
)


def questions(
    store: Path, scope: Sequence[str] | None = None, *, count: int = 200, seed: int = 0,
    plugins: Sequence[str] = (),
) -> DataSet:  # fmt: skip
    """A set made from one scope of a store; the one with most turns, unless one is named.

    Questions of all kinds are built from `count` turns, or as many as there are with enough words.
    The store is opened read-only and is never written. Raises NothingToAsk, and what Memory.open
    raises.
    """
    with Memory.open(store, read_only=True, embedder=None, plugins=plugins) as memory:
        path = tuple(scope) if scope else _largest(memory)
        records = _turns(memory, path)
    spoken = [_spoken(record, place) for place, record in enumerate(records)]
    made = _Builder(spoken, seed).build(count)
    if not made:
        raise NothingToAsk(
            f"the scope has {len(spoken)} turns, and none with {_LEAST_TELLING} telling words"
        )
    return DataSet("own store", (Conversation("own", tuple(spoken), tuple(made)),))


def advise(figures: SetFigures, settings: Sequence[str]) -> list[str]:
    """What the figures say about these settings, in plain sentences; the first one recommends."""
    best, others = figures.main, [name for name in settings if name != figures.main]
    found = figures.systems[best].overall
    first, ten = found["any@1"].mean, found["any@10"].mean
    said = [f"`{best}` has the turn first for {first:.0%} of the questions, and among the first "]
    said[0] += f"ten for {ten:.0%}; its MRR is {found[MEASURE].mean:.3f}."
    for name in others:
        gain, more = figures.gains[name][MEASURE], figures.gains[name]["any@10"]
        interval = f"MRR {gain.mean:+.3f}, 95 % interval {gain.low:+.3f} to {gain.high:+.3f}"
        if gain.decided:
            said.append(
                f"That is better than `{name}` ({interval}), which finds {abs(more.mean):.1%} "
                f"{'fewer' if more.mean > 0 else 'more'} of the turns among the first ten."
            )
        else:
            said.append(f"The difference to `{name}` is within noise ({interval}).")
    if others:
        close = not all(figures.gains[name][MEASURE].decided for name in others)
        alike = "; the cheaper of those within noise of it will do as well" if close else ""
        said.insert(0, f"Use `{best}` for this store{alike}.")
    return [*said, CANNOT]


def best_of(figures: SetFigures, settings: Sequence[str]) -> str:
    """The setting that finds most."""
    return max(settings, key=lambda name: figures.systems[name].overall[MEASURE].mean)


class _Builder:
    """Makes questions of a scope's turns."""

    def __init__(self, spoken: Sequence[Spoken], seed: int) -> None:
        self._spoken = spoken
        self._draw = random.Random(seed)  # noqa: S311 - a sample to be drawn again, no secret
        self._words = [_words(turn.words) for turn in spoken]
        self._holders = Counter(word for words in self._words for word in set(words))
        self._same: dict[str, list[str]] = defaultdict(list)
        self._before: dict[int, int] = {}
        last: dict[str | None, int] = {}
        for place, turn in enumerate(spoken):
            self._same[turn.words].append(turn.id)
            if turn.session in last:
                self._before[place] = last[turn.session]
            last[turn.session] = place

    def build(self, count: int) -> list[Question]:
        places = [p for p in range(len(self._spoken)) if len(self._telling(p)) >= _LEAST_TELLING]
        drawn = sorted(self._draw.sample(places, min(count, len(places))))
        return [question for place in drawn for question in self._about(place)]

    def _about(self, place: int) -> list[Question]:
        turn, telling = self._spoken[place], self._telling(place)
        texts = {
            "rare words": self._mixed(place, telling[:3]),
            "fewer words": self._mixed(place, telling[2:4]),
        }
        if turn.speaker:
            said = self._mixed(place, [telling[0], telling[2]])
            texts["who said"] = f"What did {turn.speaker} say about {said}?"
        around = self._telling(self._before[place])[:2] if place in self._before else []
        if len(around) == 2:
            texts["around it"] = " ".join([telling[2], *reversed(around)])
        answers = tuple(self._same[turn.words])
        return [
            Question(f"{turn.id}/{kind}", texts[kind], answers, kind, cluster=turn.id)
            for kind in KINDS
            if kind in texts
        ]

    def _telling(self, place: int) -> list[str]:
        """A turn's words, those first that fewest turns have; none that one turn in ten has."""
        common = max(3, len(self._spoken) // 10)
        words = [word for word in dict.fromkeys(self._words[place]) if self._holders[word] < common]
        return sorted(words, key=lambda word: (self._holders[word], -len(word), word))

    def _mixed(self, place: int, words: Sequence[str]) -> str:
        """Words from last to first as they stand in the turn, so that no run of it is kept."""
        return " ".join(sorted(words, key=self._words[place].index, reverse=True))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _largest(memory: Memory) -> tuple[str, ...]:
    paths = memory.scopes()
    if not paths:
        raise NothingToAsk("the store has no scope")
    return max(paths, key=lambda path: memory.scope(*path).count(Filter(level=0)))


def _turns(memory: Memory, path: tuple[str, ...]) -> list[Record]:
    scope, found, after = memory.scope(*path), list[Record](), None
    while page := scope.records(Filter(level=0), after=after, limit=_PAGE):
        found += page
        after = page[-1].id
    return found


def _spoken(record: Record, place: int) -> Spoken:
    """A record as it was sent, so that a copy is found by all that the original is found by."""
    turn = Turn(
        text=record.text, id=record.turn or record.id, actor=record.actor, role=record.role,
        session=record.session, at=record.said_at, origin=record.origin, trust=record.trust,
        upstream=record.upstream, task=record.task, step=record.step, action=record.action,
        observation=record.observation, reward=record.reward, payload=record.payload,
        attachments=tuple(Attachment(ref=a.ref, caption=a.caption) for a in record.attachments),
    )  # fmt: skip
    rendered = f"{record.actor}: {record.text}" if record.actor else record.text
    return Spoken(
        str(turn.id), rendered, record.text, place, record.session, record.actor, record.said_at,
        whole=turn,
    )  # fmt: skip
