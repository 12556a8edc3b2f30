"""Records and scopes to test with: made by hand, and made by hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwell.contracts import EdgeRow, NewRecord, ScopeRow, Store, StoreWriter
from stepwell.filters import Filter
from stepwell.identity import keyed, record_id
from stepwell.models import (
    Attachment,
    Document,
    EdgeKind,
    Key,
    Kind,
    Origin,
    Record,
    Slot,
    Status,
)  # fmt: skip

NOW = datetime(2024, 5, 4, 12, tzinfo=UTC)
MANY = 2**62
WORDS = ("words", "words/1")
VECTORS = ("vectors", "hashing/3")


def for_all(
    check: Callable[..., None], *strategies: st.SearchStrategy[Any], examples: int = 50
) -> None:
    """Try a check on values that hypothesis chooses. Called within a test."""
    rules = settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    trial: Any = rules(given(*strategies)(check))
    trial()


def later(seconds: float) -> datetime:
    """A moment after NOW."""
    return NOW + timedelta(seconds=seconds)


def micros(when: datetime) -> int:
    """Microseconds since 1970, as entries tell times."""
    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def secret_of(path: Sequence[str]) -> bytes:
    """A secret for a scope: the same again for the same path."""
    return keyed(b"testing", "secret", *path) * 2


def scope_in(store: Store, *path: str) -> ScopeRow:
    """A scope of the store, made if need be."""
    with store.writing(NOW) as writer:
        return writer.open_scope(path, secret_of(path))


def words_key(*terms: int, **fields: Any) -> Key:
    """A key of words."""
    body = np.array(terms or (1, 2), "<u8").tobytes()
    return Key(channel=WORDS[0], space=WORDS[1], body=body, **fields)


def vector_key(*numbers: float, **fields: Any) -> Key:
    """A key of three numbers."""
    body = np.array(numbers or (1, 0, 0), "<f4").tobytes()
    return Key(channel=VECTORS[0], space=VECTORS[1], body=body, **fields)


def turn(scope: ScopeRow, name: str, text: str | None = None, **fields: Any) -> NewRecord:
    """A turn, ready to be appended; found by its id."""
    keys = fields.pop("keys", (words_key(),))
    text = f"text of {name}" if text is None else text
    record = Record(
        id=record_id(scope.secret, NOW, name), scope=scope.path, text=text, turn=name,
        stored_at=NOW, **fields,
    )  # fmt: skip
    content = keyed(scope.secret, "content", text)
    return NewRecord(record, keyed(scope.secret, "turn", name), content, keys)


def derived(scope: ScopeRow, text: str, **fields: Any) -> NewRecord:
    """A fact, ready to be appended; the caller links it to what it comes from."""
    keys = fields.pop("keys", (words_key(),))
    made = {"level": 1, "kind": Kind.FACT, **fields}
    identity = record_id(scope.secret, NOW, "derived", text)
    record = Record(id=identity, scope=scope.path, text=text, stored_at=NOW, **made)
    return NewRecord(record, None, None, keys)


def append(store: Store, scope: ScopeRow, *new: NewRecord, now: datetime = NOW) -> list[int]:
    """Append in one transaction; the refs."""
    with store.writing(now) as writer:
        writer.append(scope, new)
    return [item.ref for item in new]


def add_derived(
    writer: StoreWriter, scope: ScopeRow, text: str, sources: Sequence[int],
    kind: EdgeKind = EdgeKind.DERIVED_FROM, **fields: Any,
) -> int:  # fmt: skip
    """Append a fact with its sources; its ref."""
    item = derived(scope, text, **fields)
    writer.append(scope, [item])
    writer.link_all(scope, item.ref, kind, sources)
    return item.ref


def change(
    writer: StoreWriter, scope: ScopeRow, ref: int, op: str = "set_state", **state: Any
) -> dict[str, Any]:
    """Change a state and journal it, as committing does; how it was before."""
    before = writer.set_state(scope, ref, **state)
    writer.journal_op(scope, op, ref, before=before)
    return before


def supersede(
    writer: StoreWriter, scope: ScopeRow, newer: int, older: int, until: datetime, **said: Any
) -> None:
    """Let a record hold in place of another, as committing does."""
    before = writer.set_state(scope, older, status=Status.SUPERSEDED, valid_to=until)
    writer.link(scope, EdgeRow(newer, EdgeKind.SUPERSEDES, older, 1.0, **said))
    writer.journal_op(scope, "supersede", older, before=before)


@dataclass(frozen=True)
class Filled:
    """A scope that holds one of everything."""

    scope: ScopeRow
    turns: tuple[int, ...]
    facts: tuple[int, ...]


def fill(store: Store, path: tuple[str, ...], mark: str) -> Filled:
    """Put one of everything into a scope: the same ids in every one, `mark` in all words."""
    scope = scope_in(store, *path)
    with store.writing(NOW) as writer:
        turns = [
            turn(scope, f"t{n}", f"{mark} {n}", actor=mark, session="s1", payload={"mark": mark},
                 keys=(words_key(n), vector_key(n, 0, 1, sources=("t1",))))
            for n in range(4)
        ]  # fmt: skip
        writer.append(scope, turns)
        refs = [item.ref for item in turns]
        fact = add_derived(writer, scope, f"{mark} fact", refs[:2], payload={"mark": mark})
        above = add_derived(writer, scope, f"{mark} above", [fact, refs[2]], EdgeKind.CONTAINS)
        writer.link(scope, EdgeRow(refs[0], EdgeKind.RELATED, refs[3], 0.5, mark, ("t0", "t3")))
        text = writer.new_text(scope, refs[3], f"{mark} revised", None)
        change(writer, scope, refs[3], "revise", content=text)
        writer.credit(scope, refs[0], shown=2, used=1, success=1.0, failure=0.0, strength=0.5)
        writer.set_slot(scope, Slot(name="profile", text=mark, sources=("t1",)), "user", mark)
        writer.enqueue(scope, "segment", refs[0], refs[3])
        writer.enqueue(scope, "keys", refs[1], refs[1])
        store.put_document(writer, scope, a_document("k1", {"mark": mark}))
        writer.forget_unknown(scope, "never")
    return Filled(scope, tuple(refs), (fact, above))


def a_document(key: str, value: dict[str, Any], *namespace: str, **times: Any) -> Document:
    """A document of the namespace ("notes",), or of another one."""
    made = {"created_at": NOW, "updated_at": NOW, **times}
    return Document(namespace=namespace or ("notes",), key=key, value=value, **made)


def dump(store: Store, path: tuple[str, ...]) -> dict[str, Any] | None:
    """Everything that a store can tell of a scope; None when there is no such scope."""
    with store.reading() as reader:
        row = reader.scope_of(path)
        if row is None:
            return None
        refs = reader.select(row, None, 0, MANY, active=False)
        spaces = sorted(reader.spaces(row))
        documents = sorted(store.documents(reader, row), key=lambda d: (d.namespace, d.key))
        return {
            "scope": row,
            "records": reader.load(row, refs),
            "count": reader.count(row, None, active=False),
            "entries": reader.entries(row),
            "spaces": spaces,
            "keys": [reader.keys(row, channel, space) for channel, space, _ in spaces],
            "edges": [reader.edges(row, ref) for ref in refs],
            "roots": [reader.roots(row, ref) for ref in refs],
            "usage": [reader.usage(row, ref) for ref in refs],
            "slots": reader.slots(row),
            "work": reader.work(row, MANY),
            "parked": reader.work(row, MANY, parked=True),
            "journal": reader.journal(row, limit=MANY),
            "overlay": reader.overlay(row, 0),
            "documents": documents,
        }


# what hypothesis makes ----------------------------------------------------------------------------

#: Texts that a store can hold: whatever UTF-8 can, without NUL.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40)
NAMES = TEXTS.filter(bool)
TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | FLOATS
    | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


#: The fields of a Record, each with any value that it can have.
RECORD_FIELDS = st.fixed_dictionaries({
    "level": st.integers(0, 9),
    "kind": st.sampled_from(Kind),
    "text": TEXTS,
    "payload": st.dictionaries(TEXTS, JSON, max_size=3),
    "turn": _maybe(NAMES),
    "actor": _maybe(NAMES),
    "role": _maybe(NAMES),
    "origin": st.sampled_from(Origin),
    "trust": st.floats(0, 1),
    "session": _maybe(NAMES),
    "task": _maybe(NAMES),
    "said_at": _maybe(TIMES),
    "valid_from": _maybe(TIMES),
    "valid_to": _maybe(TIMES),
    "status": st.sampled_from(Status),
    "version": st.integers(1, 2**40),
    "upstream": st.lists(NAMES, max_size=3).map(tuple),
    "step": _maybe(st.integers(-(2**70), 2**70)),
    "action": _maybe(TEXTS),
    "observation": _maybe(TEXTS),
    "reward": _maybe(FLOATS),
    "attachments": st.lists(st.builds(Attachment, ref=TEXTS, caption=TEXTS), max_size=2).map(tuple),
})  # fmt: skip

# A few values each, so that filters find something, and what lies just beside it.
_MOMENTS = [later(s) for s in (-86400, -1e-6, 0, 1e-6, 60)]
_SESSIONS = [None, "s1", "S1", "s2", "ſ1", "é", "e\u0301", ""]
_SCALARS = [
    None,
    True,
    False,
    0,
    1,
    1.0,
    -0.0,
    1.5,
    2,
    2**62,
    -(2**63),
    2**53 + 1,
    float(2**53),
    1e-9,
    1e300,
    "",
    "1",
    "true",
    "null",
    "a",
    "A",
    "a%",
    "[1]",
    '{"b":1}',
    "é",
    "e\u0301",
    "'; --",
    "😀",
]
_PATHS = ["a", "b", "a.b", "a.b.c", "b.a", "_"]

#: One payload for each thing that is easily taken for another.
TELLING_PAYLOADS: list[dict[str, Any]] = [
    *({"a": value} for value in (*_SCALARS, [1], {"b": 1}, {"b": {"c": 1}}, [{"b": 1}])),
    {"a.b": 1}, {"b": {"a": True}}, {"b": {"a": 1}}, {"_": "1"},
]  # fmt: skip
#: Payloads with the paths and values that FILTERS ask for, among them what only looks like them.
PAYLOADS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.dictionaries(
        st.sampled_from(["a", "b", "_", "a.b"]),
        st.sampled_from([*_SCALARS, [1], {"b": 1}])
        | st.dictionaries(st.sampled_from("ab"), st.sampled_from(_SCALARS), max_size=2)
        | st.just({"b": {"c": 1}}),
        max_size=3,
    ),
)
#: Fields of records that FILTERS can tell apart.
FILTERABLE_FIELDS = st.fixed_dictionaries({
    "level": st.integers(0, 2),
    "kind": st.sampled_from([Kind.EPISODE, Kind.FACT]),
    "origin": st.sampled_from([Origin.USER, Origin.WEB]),
    "status": st.sampled_from(Status),
    "actor": st.sampled_from(_SESSIONS),
    "role": st.sampled_from([None, "user", "User"]),
    "session": st.sampled_from(_SESSIONS),
    "task": st.sampled_from([None, "t"]),
    "said_at": st.sampled_from([None, *_MOMENTS]),
    "payload": PAYLOADS,
})  # fmt: skip


def _one_or_some(values: Sequence[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from(values) | st.lists(st.sampled_from(values), max_size=3)


def filters(ids: Sequence[str] = ()) -> st.SearchStrategy[Filter]:
    """Filters of any shape over FILTERABLE_FIELDS; `ids` are record and turn ids to ask for."""
    single = st.one_of(
        st.builds(lambda v: Filter(id=v), _one_or_some([*ids, "unknown", "r_", "r_" + "0" * 26])),
        *(
            st.builds(lambda v, f=f: Filter(**{f: v}), _one_or_some(_SESSIONS))
            for f in ("session", "actor")
        ),
        st.builds(lambda v: Filter(role=v), _one_or_some([None, "user", "User", "USER"])),
        st.builds(lambda v: Filter(task=v), _one_or_some([None, "t", "T"])),
        st.builds(lambda v: Filter(origin=v), _one_or_some(list(Origin))),
        st.builds(lambda v: Filter(kind=v), _one_or_some(list(Kind))),
        st.builds(lambda v: Filter(status=v), _one_or_some(list(Status))),
        st.builds(lambda v: Filter(level=v), _one_or_some([0, 1, 2, 3])),
        *(
            st.builds(lambda v, f=f: Filter(**{f: v}), st.sampled_from(_MOMENTS))
            for f in ("said_after", "said_before", "stored_after", "stored_before")
        ),
        st.builds(
            lambda path, v: Filter(payload={path: v}),
            st.sampled_from(_PATHS),
            _one_or_some(_SCALARS),
        ),
        st.just(Filter()),
    )
    return st.recursive(
        single,
        lambda inner: st.one_of(
            st.builds(lambda a, b: a & b, inner, inner),
            st.builds(lambda a, b: a | b, inner, inner),
            st.builds(lambda a: ~a, inner),
        ),
        max_leaves=6,
    )
