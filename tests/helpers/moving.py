"""Scopes with a life behind them, and what goes into a file of them."""

import io
import json
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from stepwell import (
    Edge,
    EdgeKind,
    Kind,
    Record,
    Supersede,
    Turn,
)
from stepwell.ops import Add, Hide, Link, SetState
from stepwell.searching import averaged

NOON = datetime(2026, 5, 17, 12, tzinfo=UTC)
WORDS = [
    "ferry",
    "Oslo",
    "rain",
    "bread",
    "雨が降る",
    "渡船去奥斯陆",
    "naïve",
    "🚢",
    "def f(x):",
    "\u2028",
    "\x01",
]


def exported(scope, **options):
    file = io.StringIO()
    scope.export(file, **options)
    return file.getvalue()


def imported(scope, text, **options):
    return scope.import_(io.StringIO(text), **options)


def lines(text, kind):
    return [said[kind] for said in map(json.loads, text.split("\n")[:-1]) if kind in said]


def apply(scope, *ops):
    engine = scope._engine
    with engine.store.reading() as reader:
        row = reader.scope_of(scope.path)
    return engine.committer.apply(row, ops, strict=True).ids


def derived(scope, text, *sources, kind=Kind.FACT, level=1, contains=False):
    record = Record(id="", scope=scope.path, level=level, kind=kind, text=text, stored_at=NOON)
    with scope._engine.searcher.view(scope.path) as view:
        keys, _ = scope._engine.searcher.keys_of(record, view)
        if contains:
            keys = averaged(view, keys, [view.get(name).id for name in sources])
    (made,) = apply(scope, Add(record=record, keys=keys, sources=sources, contains=contains))
    return made


texts = st.one_of(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join).filter(str.strip),
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20
    ).filter(str.strip),
)
names = st.sampled_from(["Alice", "Bob", "王", 'O"Neil\\', "\u202e"])
times = st.integers(-(10**15), 10**15).map(lambda n: NOON + timedelta(microseconds=n))
payloads = st.dictionaries(
    st.sampled_from(["a", "b ", "雨"]),
    st.one_of(
        st.integers(-(2**60), 2**60),
        st.floats(allow_nan=False, allow_infinity=False),
        st.none(),
        texts,
        st.lists(st.booleans()),
    ),
    max_size=2,
)
turns = st.builds(
    Turn,
    text=texts,
    actor=st.none() | names,
    role=st.none() | st.sampled_from(["user", "tool", "ai"]),
    session=st.none() | st.sampled_from(["s1", "s2", "会"]),
    at=st.none() | times,
    payload=payloads,
    trust=st.none() | st.floats(0, 1),
    step=st.none() | st.integers(-5, 5),
    reward=st.none() | st.floats(-1, 1),
    action=st.none() | texts,
    attachments=st.lists(st.builds(dict, ref=texts, caption=texts), max_size=1).map(tuple),
)


def a_document(scope, one, other, number, text):
    ttl = 9e9 if number % 2 else None
    value = {"v": text, "n": number / 3}
    scope.documents.put((text, "x")[: 1 + number % 2], str(number % 3), value, ttl=ttl)


def a_task(scope, one, other, number, text):
    with scope.task(text + " goal") as task:
        task.recall(text)
        if number % 2:
            task.outcome(0.25)


def an_edge(scope, one, other, number, text):
    edge = Edge(
        source=one.id, kind=EdgeKind.RELATED, target=other.id, weight=number / 7, label=text,
        sources=(other.id,),
    )  # fmt: skip
    apply(scope, Link(edge=edge))


def forgotten(scope, one, other, number, text):
    if scope.count() > 3 and one.level == 0:
        scope.forget(one.id)


def superseded(scope, one, other, number, text):
    if one.id != other.id:
        apply(scope, Supersede(id=one.id, replaces=other.id))


def revised(scope, one, other, number, text):
    scope.revise(one.id, text)


STORY = {
    "revise": revised,
    "supersede": superseded,
    "forget": forgotten,
    "consolidate": lambda scope, *_: scope.consolidate(),
    "feedback": lambda scope, one, other, number, text: scope.feedback(one.id, number % 5 / 4),
    "slot": lambda scope, one, other, number, text: scope.set_slot(
        f"slot {number % 2}", text, sources=(one.turn,) if one.turn else ()
    ),
    "document": a_document,
    "task": a_task,
    "fact": lambda scope, one, other, number, text: derived(scope, text, one.id, level=number % 3),
    "group": lambda scope, one, other, number, text: derived(
        scope, text, one.id, other.id, kind=Kind.CATEGORY, level=2, contains=True
    ),
    "hide": lambda scope, one, *_: apply(scope, Hide(id=one.id)),
    "quarantine": lambda scope, one, *_: apply(scope, SetState(id=one.id, status="quarantined")),
    "link": an_edge,
    "more": lambda scope, one, other, number, text: scope.remember(
        text, upstream=(one.turn,) if one.turn else ()
    ),
}


def live(scope, said, story):
    """A scope with a life behind it."""
    scope.remember_many(said)
    for what, number, text in story:
        held = scope.records(limit=10_000)
        STORY[what](scope, held[number % len(held)], held[number // 7 % len(held)], number, text)
        if not scope.count():
            scope.remember("something is left")


steps = st.lists(
    st.tuples(st.sampled_from(sorted(STORY)), st.integers(0, 10**6), texts), max_size=8
)
