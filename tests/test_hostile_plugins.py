"""Whatever a policy answers: an answer of stepwell's or a typed error, and nothing else changes.

Each answer below is given by a plugin in a memory with two scopes. The plugin knows the ids of the
other scope, which a real one could only have kept from an earlier call.
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO

import numpy as np
import pytest

from stepwell import (
    Add,
    Context,
    Edge,
    EdgeKind,
    Filter,
    Hide,
    Hit,
    Key,
    Link,
    Memory,
    Merge,
    Record,
    Rekey,
    Revise,
    SetSlot,
    SetState,
    Status,
    Supersede,
    Turn,
    Unlink,
    hookimpl,
)  # fmt: skip
from stepwell.contracts import Block, Candidates, Packing, Plan, Rejected, Skip
from stepwell.errors import StepwellError, UnknownRecord
from stepwell.ops import Purge, PutDocument
from stepwell.plugins.implementing import HOOKS
from stepwell.testing import FakeClock

CANARY = "Zanzibar"
THEIRS: list[str] = []  # ids of the other scope's records, a turn's first
AT = datetime(2026, 3, 1, tzinfo=UTC)
NAN = float("nan")


class Falling:
    """Nothing of it can be looked at."""

    def __getattribute__(self, name):
        raise RuntimeError(name)


def record(**changes):
    given = {"id": "", "scope": ("ann",), "level": 2, "kind": "summary", "text": "made", **changes}
    return Record.model_construct(**{"stored_at": AT, **given})


def own(view):
    """Ids of the scope that the policy is asked about."""
    return [held.id for held in view.records(limit=3)]


# What each hook answers, by a word for it. An answer is a function of the hook's arguments. -----

ANYTHING = {
    "a text": lambda **_: "words",
    "an object": lambda **_: object(),
    "what falls apart": lambda **_: Falling(),
    "a list of none": lambda **_: [None],
    "a list of what falls apart": lambda **_: [Falling()],
}
SCREEN = {
    "none": lambda turns, **_: None,
    "fewer": lambda turns, **_: turns[1:],
    "more": lambda turns, **_: [*turns, *turns],
    "other ids": lambda turns, **_: [t.model_copy(update={"id": "other"}) for t in turns],
    "no ids": lambda turns, **_: [t.model_copy(update={"id": 7}) for t in turns],
    "another order": lambda turns, **_: [*reversed(turns)],
    "texts that are none": lambda turns, **_: [Turn.model_construct(text=5) for _ in turns],
    "lone surrogates": lambda turns, **_: [t.model_copy(update={"text": "\ud800"}) for t in turns],
    "trust beyond": lambda turns, **_: [t.model_copy(update={"trust": NAN}) for t in turns],
    "rejected for no reason": lambda turns, **_: [Rejected(t, 5) for t in turns],
    "others rejected": lambda turns, **_: [Rejected(Turn(text="x"), "no") for _ in turns],
    "payload without an end": lambda turns, **_: [
        t.model_copy(update={"payload": circle()}) for t in turns
    ],
}
KEYS = {
    "no keys": lambda **_: [5],
    "a vector of half a number": lambda **_: [Key(channel="vectors", space="x/2", body=b"abc")],
    "no numbers": lambda **_: [
        Key(channel="vectors", space="x/2", body=np.array([NAN, math.inf], "<f4").tobytes())
    ],
    "a space of no dimension": lambda **_: [Key(channel="vectors", space="x", body=bytes(8))],
    "half a term": lambda **_: [Key(channel="words", space="w", body=b"abc")],
    "a span beyond": lambda **_: [Key(channel="words", space="w", body=bytes(8), span=(5, 10**9))],
    "a span backwards": lambda **_: [Key(channel="words", space="w", body=bytes(8), span=(5, 1))],
    "a channel of nobody's": lambda **_: [Key(channel="c" * 500, space="s" * 500, body=b"1")],
    "many": lambda **_: [Key(channel="words", space=f"w{n}", body=bytes(8)) for n in range(300)],
    "others' turns": lambda **_: [
        Key(channel="words", space="w", body=bytes(8), sources=(THEIRS[0],))
    ],
    "unchecked": lambda **_: [Key.model_construct(channel=5, space=None, body="x", span="y")],
}
LATER = {
    "one for all": lambda records, **_: [[Key(channel="words", space="w", body=bytes(8))]] * 99,
    "none for all": lambda records, **_: [],
    **{f"each: {name}": (lambda records, does=does, **_: [does() for _ in records])
       for name, does in KEYS.items()},
}  # fmt: skip
SEGMENT = {
    "beyond the end": lambda **_: [10**9],
    "before the beginning": lambda **_: [-1],
    "backwards": lambda **_: [3, 1],
    "twice": lambda **_: [1, 1],
    "texts": lambda **_: ["1"],
    "fractions": lambda **_: [0.5],
    "truths": lambda **_: [True],
    "no numbers": lambda **_: [NAN],
    "numbers without an end": lambda **_: [10**400],
}
OPS = {
    "from others": lambda view, **_: [Add(record=record(), sources=(THEIRS[0],))],
    "from others too": lambda view, **_: [Add(record=record(), sources=(*own(view), THEIRS[0]))],
    "from nobody": lambda view, **_: [Add(record=record(), sources=("nobody",))],
    "from nothing": lambda view, **_: [Add(record=record())],
    "from itself": lambda view, **_: [Add(record=record(id="@a"), sources=("@a",))],
    "into another scope": lambda view, **_: [
        Add(record=record(scope=("ben",)), sources=tuple(own(view)))
    ],
    "under others' id": lambda view, **_: [
        Add(record=record(id=THEIRS[0]), sources=tuple(own(view)))
    ],
    "under a known id": lambda view, **_: [
        Add(record=record(id=own(view)[0]), sources=tuple(own(view)))
    ],
    "a turn": lambda view, **_: [
        Add(record=record(level=0, turn="mine"), sources=tuple(own(view)))
    ],
    "keys of others": lambda view, **_: [
        Add(record=record(), sources=tuple(own(view)), keys=tuple(KEYS["others' turns"]()))
    ],
    "keys that are none": lambda view, **_: [
        Add(record=record(), sources=tuple(own(view)), keys=tuple(KEYS["no numbers"]()))
    ],
    "a group of others": lambda view, **_: [
        Add(record=record(), sources=(THEIRS[0],), contains=True)
    ],
    "others revised": lambda view, **_: [Revise(id=THEIRS[0], text="mine now")],
    "a turn revised": lambda view, **_: [Revise(id=own(view)[0], text="never said")],
    "others hidden": lambda view, **_: [Hide(id=THEIRS[0])],
    "others' state": lambda view, **_: [SetState(id=THEIRS[0], trust=0.0, status=Status.HIDDEN)],
    "others superseded": lambda view, **_: [Supersede(id=own(view)[0], replaces=THEIRS[0])],
    "by others superseded": lambda view, **_: [Supersede(id=THEIRS[0], replaces=own(view)[0])],
    "others merged": lambda view, **_: [
        Merge(ids=(THEIRS[0], THEIRS[-1]), record=record(text="both"))
    ],
    "turns merged": lambda view, **_: [Merge(ids=tuple(own(view)), record=record(text="all"))],
    "linked to others": lambda view, **_: [
        Link(edge=Edge(source=own(view)[0], kind=EdgeKind.RELATED, target=THEIRS[0]))
    ],
    "others linked": lambda view, **_: [
        Link(edge=Edge(source=THEIRS[0], kind=EdgeKind.DERIVED_FROM, target=own(view)[0]))
    ],
    "a circle": lambda view, **_: [
        Link(edge=Edge(source=one, kind=EdgeKind.DERIVED_FROM, target=other))
        for one, other in ((own(view)[0], own(view)[1]), (own(view)[1], own(view)[0]))
    ],
    "others unlinked": lambda view, **_: [
        Unlink(source=THEIRS[-1], kind=EdgeKind.DERIVED_FROM, target=THEIRS[0])
    ],
    "others rekeyed": lambda view, **_: [Rekey(id=THEIRS[0], channel="words", space="w", keys=())],
    "a slot of others": lambda view, **_: [SetSlot(slot="s", text="mine", sources=(THEIRS[0],))],
    "evidence of others": lambda view, **_: [
        SetState(id=own(view)[0], payload={"a": 1}, evidence=(THEIRS[0],))
    ],
    "a purge": lambda view, **_: [Purge(ids=tuple(own(view)))],
    "a document": lambda view, **_: [PutDocument(namespace=("n",), key="k", value={})],
    "unchecked": lambda view, **_: [Hide.model_construct(id=5)],
    "unchecked states": lambda view, **_: [
        SetState.model_construct(id=own(view)[0], trust="much", strength=NAN)
    ],
    "unchecked additions": lambda view, **_: [
        Add.model_construct(record=record(text=5), sources=tuple(own(view)))
    ],
}
RECONCILE = {
    "skipped for no reason": lambda **_: Skip(5),
    **OPS,
}
PLANS = {
    "weights that are none": lambda query, **_: Plan(query, weights={"words": "much"}),
    "weights without a number": lambda query, **_: Plan(query, weights={"words": NAN}),
    "weights without an end": lambda query, **_: Plan(query, weights={"words": math.inf}),
    "weights as a list": lambda query, **_: Plan(query, weights=[1]),
    "no query": lambda query, **_: Plan(None),
    "a query of no levels": lambda query, **_: Plan(replace(query, levels=None)),
    "a query of another trust": lambda query, **_: Plan(replace(query, min_trust=-5)),
    "another filter": lambda query, **_: Plan(replace(query, where="all")),
    "times that are none": lambda query, **_: Plan(query, spans=((1, 2),)),
    "naive times": lambda query, **_: Plan(query, spans=((datetime(2026, 1, 1), AT),)),  # noqa: DTZ001
    "one time": lambda query, **_: Plan(query, spans=(AT,)),
    "queries that are none": lambda query, **_: Plan(query, queries=(5,)),
    "parts that are none": lambda query, **_: Plan(query, parts=(None,)),
    "a text of queries": lambda query, **_: Plan(query, queries=5),
    "look": lambda query, **_: Plan(query, look="far"),
    "look nowhere": lambda query, **_: Plan(query, look=-5),
    "spread": lambda query, **_: Plan(query, spread="wide"),
    "spread of no number": lambda query, **_: Plan(query, spread=NAN),
    "instead": lambda query, **_: Plan(query, instead=["words"]),
    "instead of itself": lambda query, **_: Plan(query, instead={"words": "words"}),
    "never stops": lambda query, **_: Plan(query, stop=False),
    "k": lambda query, **_: Plan(replace(query, k="many")),
}
SEARCH = {
    "others' ids": lambda plan, view: [(THEIRS[0], 1.0)],
    "nobody's ids": lambda plan, view: [("nobody", 1.0)],
    "scores without a number": lambda plan, view: [(own(view)[0], NAN)],
    "scores as texts": lambda plan, view: [(own(view)[0], "1")],
    "scores beyond": lambda plan, view: [(own(view)[0], 10**400)],
    "pairs of three": lambda plan, view: [(own(view)[0], 1.0, 1.0)],
    "places beyond": lambda plan, view: candidates([10**9], [1.0]),
    "places before": lambda plan, view: candidates([-1], [1.0]),
    "fewer scores": lambda plan, view: candidates([0, 1], [1.0]),
    "scores above": lambda plan, view: candidates([0], [7.0]),
    "scores of no number": lambda plan, view: candidates([0], [NAN]),
    "places as texts": lambda plan, view: Candidates("c", np.array(["a"]), np.array([1.0])),
    "scores in words": lambda plan, view: Candidates("c", np.array([0]), np.array(["a"])),
    "no arrays": lambda plan, view: Candidates("c", 5, None),
    "spans beyond": lambda plan, view: Candidates(
        "c", np.array([0]), np.array([1.0], np.float32), np.array([[10**6, 10**7]])
    ),
    "spans of texts": lambda plan, view: Candidates(
        "c", np.array([0]), np.array([1.0], np.float32), np.array([["a", "b"]])
    ),
    "no channel": lambda plan, view: Candidates(None, np.array([0]), np.array([1.0])),
}
REFINE = {
    "others' records": lambda hits, **_: [hit_of(record(id=THEIRS[0], scope=("ben",)))],
    "others' records as one's own": lambda hits, **_: [hit_of(record(id=THEIRS[0]))],
    "nobody's records": lambda hits, **_: [*hits, hit_of(record(id="nobody"))],
    "never said": lambda hits, **_: [
        replace(hit, record=hit.record.model_copy(update={"text": "never said"})) for hit in hits
    ],
    "twice": lambda hits, **_: [*hits, *hits],
    "none": lambda hits, **_: None,
    "scores of no number": lambda hits, **_: [replace(hit, score=NAN) for hit in hits],
    "scores in words": lambda hits, **_: [replace(hit, score="much") for hit in hits],
    "no records": lambda hits, **_: [replace(hit, record=None) for hit in hits],
    "spans in words": lambda hits, **_: [replace(hit, span=("a", "b")) for hit in hits],
    "spans beyond": lambda hits, **_: [replace(hit, span=(10**6, 10**7)) for hit in hits],
    "no reasons": lambda hits, **_: [replace(hit, why=None) for hit in hits],
    "others' sources": lambda hits, **_: [replace(hit, sources=(THEIRS[0],)) for hit in hits],
    "sources of no kind": lambda hits, **_: [replace(hit, sources=5) for hit in hits],
}
PACK = {
    "others' records": lambda hits, **_: Packing((Block(hit_of(record(id=THEIRS[0]))),)),
    "never said": lambda hits, **_: Packing(
        tuple(Block(replace(h, record=h.record.model_copy(update={"text": "x"}))) for h in hits)
    ),
    "texts that are none": lambda hits, **_: Packing(tuple(Block(hit, text=5) for hit in hits)),
    "lone surrogates": lambda hits, **_: Packing(tuple(Block(h, text="\ud800") for h in hits)),
    "no blocks": lambda hits, **_: Packing(5),
    "left out for nothing": lambda hits, **_: Packing((), (5,)),
    "too much": lambda hits, **_: Packing(tuple(Block(h, text="word " * 9999) for h in hits)),
    "twice": lambda hits, **_: Packing(tuple(Block(h) for h in (*hits, *hits))),
    "a hit of no score": lambda hits, **_: Packing(
        tuple(Block(replace(h, score=None)) for h in hits)
    ),
    "a hit of another span": lambda hits, **_: Packing(
        tuple(Block(replace(h, span="x")) for h in hits)
    ),
}
ANSWERS = {
    "screen_turns": SCREEN, "keys": KEYS, "later_keys": LATER, "segment": SEGMENT, "extract": OPS,
    "reconcile": RECONCILE, "organize": OPS, "observe": OPS, "maintain": OPS, "plan": PLANS,
    "search": SEARCH, "refine": REFINE, "pack": PACK,
}  # fmt: skip
CASES = [
    pytest.param(hook, does, id=f"{hook}: {word}")
    for hook, answers in ANSWERS.items()
    for word, does in {**ANYTHING, **answers}.items()
]


def circle():
    made: dict = {}
    made["a"] = made
    return made


def candidates(places, scores):
    return Candidates("c", np.array(places, np.int64), np.array(scores, np.float32))


def hit_of(held):
    return Hit(held, 1.0, (THEIRS[0],), {"search": 1.0})


def answering(hook, does):
    """A plugin named "hostile" that gives one answer in one hook."""
    takes = ", ".join(HOOKS[hook])
    passes = ", ".join(f"{name}={name}" for name in HOOKS[hook])
    scope = {"does": does, "__name__": __name__}
    exec(f"def {hook}(self, {takes}): return does({passes})", scope)
    return type("Hostile", (), {"name": "hostile", hook: hookimpl(scope[hook])})()


class Honest:
    """One that takes the place of a screening plugin, which a file must have."""

    name = "hostile"

    @hookimpl
    def screen_turns(self, turns):
        return turns


def tell(scope, word):
    scope.remember_many(
        {"text": f"We walked to {word} number {n}, and it rained. The mill is old.",
         "id": f"t{n}", "session": f"s{n // 4}", "at": AT.replace(day=n + 1), "actor": "Kim"}
        for n in range(8)
    )  # fmt: skip


def state(memory, scope):
    """All that a scope holds, as one text."""
    told = StringIO()
    memory.scope(scope).export(told)
    return told.getvalue()


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A file in which Ben has told of Zanzibar."""
    path = tmp_path_factory.mktemp("hostile") / "m.db"
    with Memory.open(path, seed=1, clock=FakeClock(AT), embedder=None) as memory:
        ben = memory.scope("ben")
        tell(ben, CANARY)
        ben.consolidate()
        THEIRS[:] = [each.id for each in ben.records(limit=1000)]
        assert len(THEIRS) > 8
    return path.read_bytes()


def words_of(answer):
    """All that an answer tells, but for what was asked."""
    return repr([*answer.hits, answer.degraded]) if hasattr(answer, "hits") else repr(answer)


def attempt(verb, *arguments, **options):
    """A verb's answer, or its typed error; anything else is a defect."""
    try:
        return verb(*arguments, **options)
    except StepwellError as error:
        return error


@pytest.mark.parametrize(("hook", "does"), CASES)
def test_a_hostile_answer_is_refused_by_name_or_harmless(hook, does, stored, tmp_path, caplog):
    caplog.set_level(logging.CRITICAL, "stepwell")  # what falls apart cannot be formatted either
    path = tmp_path / "m.db"
    path.write_bytes(stored)
    told = []
    options = {"seed": 1, "clock": FakeClock(AT), "embedder": None, "discover": False}
    with Memory.open(path, plugins=[answering(hook, does)], **options) as memory:
        theirs = state(memory, "ben")
        ann = memory.scope("ann")
        told.append(attempt(tell, ann, "the harbour"))
        said = {each.turn: each.text for each in ann.records(Filter(level=0), limit=100)}
        told.append(attempt(ann.consolidate))
        told.append(attempt(ann.recall, "harbour number 3", k=5))
        told.append(attempt(ann.recall, CANARY, levels=(0, 1, 2), k=5))
        told.append(attempt(ann.context, f"{CANARY}, or the mill", budget=150))
        told.append(attempt(ann.explain, "t1", "the mill"))
        told.append(attempt(ann.feedback, ["t1"]))
        told.append(attempt(ann.revise, "t2", "We stayed at home."))
        told.append(attempt(ann.consolidate))
        told += [state(memory, "ann"), attempt(memory.stats)]
        assert state(memory, "ben") == theirs
    for answer in told:
        assert CANARY not in words_of(answer)
        if said or not isinstance(answer, UnknownRecord):  # where nothing came in, nothing is known
            assert not isinstance(answer, StepwellError) or "hostile" in str(answer)
        if isinstance(answer, Context):
            assert answer.tokens <= 150
    with Memory.open(path, plugins=[Honest()], **options) as memory:
        assert memory.check().ok
        assert state(memory, "ben") == theirs
        ann = memory.scope("ann")
        now = {each.turn: each.text for each in ann.records(Filter(level=0), limit=100)}
        assert {**now, "t2": ""} == {**said, "t2": ""} if said else now == {}
        ann.consolidate()
        tell(ann, "the harbour")  # and all works again
        assert ann.recall("harbour number 3")[0].record.turn == "t3"
