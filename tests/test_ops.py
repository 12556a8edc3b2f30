"""The rules of applying ops: who comes first, which version counts, what a forgetting reaches."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stepwell import Memory
from stepwell.errors import InvalidOp, UnknownRecord, VersionConflict
from stepwell.models import Edge, EdgeKind, Key, Kind, Record
from stepwell.ops import (
    RESTING,
    Add,
    DeleteDocument,
    Hide,
    Link,
    Merge,
    Purge,
    PutDocument,
    Rekey,
    Revise,
    SetSlot,
    SetState,
    Supersede,
    Unlink,
    allowed,
    cascade,
    closes_cycle,
    expect,
    precedence,
    touches,
)  # fmt: skip

NOW = datetime(2024, 5, 4, tzinfo=UTC)
IDS = st.sampled_from(["a", "b", "c", "d"])


def record(name="", **fields):
    made = {"id": name, "scope": ("acme",), "text": "x", "level": 1, "kind": Kind.FACT}
    return Record(stored_at=NOW, **{**made, **fields})


def edge(source, target, kind=EdgeKind.CONTAINS):
    return Edge(source=source, kind=kind, target=target)


COMPETING = st.one_of(
    st.builds(lambda i: Add(record=record(i), sources=("t",)), IDS | st.just("")),
    st.builds(lambda i, j: Supersede(id=i, replaces=j), IDS, IDS),
    st.builds(lambda i: Revise(id=i, text="y"), IDS),
    st.builds(
        lambda i: Merge(ids=tuple(i), record=record()), st.lists(IDS, min_size=2, max_size=3)
    ),
)
OTHERS = st.one_of(
    st.builds(lambda i: Hide(id=i), IDS),
    st.builds(lambda i: SetState(id=i, trust=0.5), IDS),
    st.builds(lambda i: Rekey(id=i, channel="words", space="s", keys=()), IDS),
    st.builds(lambda i, j: Link(edge=edge(i, j)), IDS, IDS),
    st.builds(lambda i, j: Unlink(source=i, kind=EdgeKind.NEXT, target=j), IDS, IDS),
    st.builds(lambda i: SetSlot(slot=i, text="z"), IDS),
)
OPS = st.lists(COMPETING | OTHERS, max_size=8)
RANK = [Supersede, Revise, Merge, Add]

#: Small worlds: record n comes from some of those before it.
DAGS = st.integers(1, 10).flatmap(
    lambda size: st.tuples(
        *(st.sets(st.integers(0, n - 1), max_size=3) if n else st.just(set()) for n in range(size))
    )
)


# precedence ---------------------------------------------------------------------------------------


@given(OPS)
def test_every_op_is_kept_or_dropped_and_the_order_stays(ops):
    kept, dropped = precedence(ops)
    places = {id(op): place for place, op in enumerate(ops)}
    for some in (kept, dropped):
        order = [places[id(op)] for op in some]
        assert order == sorted(order)
    assert sorted(places[id(op)] for op in (*kept, *dropped)) == list(range(len(ops)))


@given(OPS)
def test_one_competing_op_is_kept_for_each_record(ops):
    kept, _ = precedence(ops)
    named = [i for op in kept if type(op) in RANK for i in set(touches(op))]
    assert len(named) == len(set(named))


@given(OPS)
def test_what_is_dropped_met_something_better_or_earlier(ops):
    kept, dropped = precedence(ops)
    for op in dropped:
        place, rank = [o is op for o in ops].index(True), RANK.index(type(op))
        rivals = [
            (RANK.index(type(other)), [o is other for o in ops].index(True))
            for other in kept
            if type(other) in RANK and set(touches(other)) & set(touches(op))
        ]
        assert any(rival < (rank, place) for rival in rivals)


@given(OPS)
def test_ops_of_other_kinds_do_not_compete(ops):
    kept, _ = precedence(ops)
    assert [op for op in kept if type(op) not in RANK] == [op for op in ops if type(op) not in RANK]


@given(OPS)
def test_precedence_of_what_was_kept_keeps_all(ops):
    kept, _ = precedence(ops)
    assert precedence(kept) == (kept, [])


@given(st.permutations(RANK))
def test_supersede_comes_before_revise_before_merge_before_add(order):
    made = {
        Supersede: Supersede(id="b", replaces="a"), Revise: Revise(id="a", text="y"),
        Merge: Merge(ids=("a", "c"), record=record()), Add: Add(record=record("a"), sources=("t",)),
    }  # fmt: skip
    ops = [made[kind] for kind in order]
    while ops:
        kept, ops = precedence(ops)
        assert type(kept[0]) is min(order, key=RANK.index)
        order = [kind for kind in order if kind is not type(kept[0])]


def test_records_without_an_id_do_not_compete():
    ops = [Add(record=record(), sources=("t",)), Add(record=record(), sources=("u",))]
    assert precedence(ops) == (ops, [])


def test_the_first_of_equals_stands():
    first, second = Revise(id="a", text="1", who="p"), Revise(id="a", text="2", who="q")
    assert precedence([first, second]) == ([first], [second])


# versions -----------------------------------------------------------------------------------------


@given(st.integers(1, 5), st.none() | st.integers(1, 5))
def test_an_op_meets_the_version_it_expects_or_is_refused(stored, expected):
    for op in (
        Revise(id="a", text="y", expects=expected),
        Supersede(id="b", replaces="a", expects=expected),
        Hide(id="a", expects=expected),
        SetState(id="a", expects=expected),
    ):
        if expected in (None, stored):
            expect(op, stored)
        else:
            with pytest.raises(VersionConflict, match=f"{op.name}: version {stored} is stored"):
                expect(op, stored)


def test_an_op_that_expects_nothing_meets_any_version():
    expect(Link(edge=edge("a", "b")), 99)


# what a policy may return -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "op",
    [
        None, "purge", {"op": "add"}, record("a"),
        Purge(ids=("a",)), PutDocument(namespace=("n",), key="k", value={}),
        DeleteDocument(namespace=("n",), key="k"),
        Add(record=record("a")),
        Add(record=record("a", level=0, turn="t1"), sources=("t",)),
        Merge(ids=("a", "b"), record=record("c", level=0, turn="t1")),
    ],
    ids=lambda op: type(op).__name__,
)  # fmt: skip
def test_a_policy_may_not_return_this(op):
    with pytest.raises(InvalidOp):
        allowed(op)


@given(COMPETING | OTHERS)
def test_what_a_policy_returns_stays_as_it_is(op):
    assert allowed(op) == op


@pytest.mark.parametrize(
    "op",
    [
        Hide.model_construct(id=5),
        SetState(id="a").model_copy(update={"trust": float("nan")}),
        Add.model_construct(record=record("a").model_copy(update={"text": 5}), sources=("t",)),
        Link.model_construct(edge=Edge.model_construct(source="a", kind="x", target="b")),
        Rekey.model_construct(
            id="a", channel="c", space="s", keys=(Key.model_construct(channel=5),)
        ),
    ],
    ids=lambda op: type(op).__name__,
)
def test_what_was_made_past_the_checks_is_refused(op):
    with pytest.raises(InvalidOp, match="a field that cannot be"):
        allowed(op)


def test_an_op_of_a_kind_of_its_own_is_refused():
    class Mine(Hide):
        pass

    with pytest.raises(InvalidOp, match="may not return Mine"):
        allowed(Mine(id="a"))


@pytest.mark.parametrize("field", ["text", "actor", "role", "session", "task"])
def test_a_record_that_no_store_can_hold_is_not_added(field):
    broken = record("a", **{field: "\x00x"})
    with pytest.raises(ValidationError):
        Add(record=broken, sources=("t",))
    with pytest.raises(ValidationError):
        Merge(ids=("a", "b"), record=broken)


# the forget cascade -------------------------------------------------------------------------------


@given(DAGS, st.sets(st.integers(0, 9), min_size=1, max_size=4), st.booleans())
def test_the_cascade_equals_its_definition(dag, named, whole):
    size = len(dag)
    forgotten = {n for n in named if n < size}
    reach = []  # everything that a record rests on
    for below in dag:
        reach.append(below.union(*(reach[b] for b in below)))
    reached = {n for n in range(size) if reach[n] & forgotten} - forgotten

    def lives(n):
        """Whether some chain of sources ends at what is neither forgotten nor made of it alone."""
        return n not in forgotten and (n not in reached or any(map(lives, dag[n])))

    derived = {n: dag[n] for n in range(size) if dag[n] and (whole or n in reached | forgotten)}
    found = cascade(forgotten, derived)
    assert found.stale == {n for n in reached if lives(n)}
    assert found.erased == {n for n in reached if not lives(n)}


@given(DAGS, st.sets(st.integers(0, 9), min_size=2, max_size=5))
def test_forgetting_more_leaves_no_more(dag, named):
    derived = {n: below for n, below in enumerate(dag) if below}
    every = sorted(n for n in named if n < len(dag))
    few, all_ = cascade(every[:1], derived), cascade(every, derived)
    assert few.erased <= all_.erased | set(every)
    assert few.stale <= all_.stale | all_.erased | set(every)


def test_records_that_rest_on_each_other_alone_go_too():
    assert cascade({"t"}, {"a": ["t", "b"], "b": ["a"]}).erased == {"a", "b"}
    assert cascade({"t"}, {"a": ["t", "b"], "b": ["a", "u"]}).stale == {"a", "b"}


def test_nothing_forgotten_reaches_nothing():
    found = cascade((), {"a": ["t"]})
    assert (found.erased, found.stale) == (frozenset(), frozenset())


def test_a_long_chain_costs_no_stack():
    size = 50_000
    assert len(cascade({0}, {n: [n - 1] for n in range(1, size)}).erased) == size - 1


# circles ------------------------------------------------------------------------------------------


@given(DAGS, st.integers(0, 9), st.integers(0, 9), st.sampled_from(RESTING))
def test_a_circle_is_told_before_it_is_closed(dag, source, target, kind):
    size = len(dag)
    source, target = source % size, target % size
    above: dict[str, list[str]] = {}  # what rests on what, upwards
    for n, below in enumerate(dag):
        for b in below:
            above.setdefault(str(b), []).append(str(n))
    inside = []  # everything that lies in a record
    for below in dag:
        inside.append(below.union(*(inside[b] for b in below)))
    circle = source == target or source in inside[target]
    assert closes_cycle(edge(str(source), str(target), kind), above) is circle


def test_other_edges_close_no_circle():
    for kind in set(EdgeKind) - set(RESTING):
        assert not closes_cycle(edge("a", "a", kind), {})


def test_a_circle_that_is_there_already_is_no_trap():
    assert not closes_cycle(edge("a", "z"), {"a": ["b"], "b": ["a"]})


# applied to a store -------------------------------------------------------------------------------


@pytest.fixture
def scope():
    with Memory.open(embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember("I live in Oslo", id="t1")
        scope.remember("I live in Bergen", id="t2")
        yield scope


def commit(scope, *ops, strict=True):
    """Ops by the door that a policy's ops take."""
    with scope._engine.store.reading() as reader:
        row = reader.scope_of(scope.path)
    return scope._engine.committer.apply(row, ops, strict=strict)


def fact(scope, text, *sources, **fields):
    """The id of a new derived record."""
    return commit(scope, Add(record=record(text=text), sources=sources, **fields)).ids[0]


@pytest.mark.parametrize("kind", RESTING)
@pytest.mark.parametrize("contains", [False, True])
def test_a_record_cannot_rest_on_itself_through_derivation(scope, contains, kind):
    low = fact(scope, "lives in Oslo", "t1")
    middle = fact(scope, "lives in Norway", low, contains=contains)
    high = fact(scope, "lives in Europe", middle)
    for target in (low, middle, high):
        with pytest.raises(InvalidOp, match="rest on what rests on it"):
            commit(scope, Link(edge=edge(low, target, kind)))
    commit(scope, Link(edge=edge(high, low, kind)), Link(edge=edge(low, "t2", kind)))
    commit(scope, Link(edge=edge(low, high, EdgeKind.RELATED)))
    assert scope.forget(["t1", "t2"]).derived == 3


@pytest.mark.parametrize("kind", RESTING)
def test_a_turn_rests_on_nothing(scope, kind):
    oslo = fact(scope, "lives in Oslo", "t1")
    for target in ("t1", "t2", oslo):
        with pytest.raises(InvalidOp, match="a turn rests on nothing"):
            commit(scope, Link(edge=edge("t2", target, kind)))
    scope.forget("t1")
    assert scope.get("t2").text == "I live in Bergen"


def test_a_derived_record_of_level_0_may_rest_on_more(scope):
    low = commit(scope, Add(record=record(level=0), sources=("t1",))).ids[0]
    commit(scope, Link(edge=edge(low, "t2", EdgeKind.DERIVED_FROM)))
    assert scope.forget("t1").stale == 1


@pytest.mark.parametrize("by", ["turn", "id"])
def test_an_op_whose_evidence_was_forgotten_meanwhile_is_dropped(scope, by):
    evidence = getattr(scope.get("t1"), by)
    scope.forget("t1")
    op = SetState(id=scope.get("t2").id, trust=0.5, why="was in Oslo", evidence=(evidence,))
    with pytest.raises(UnknownRecord):
        commit(scope, op)
    assert commit(scope, op, strict=False).kept == ()
    assert scope.get("t2").version == 1
    assert all(change.why == "" for change in scope.history("t2"))


def test_a_dropped_op_is_logged_without_what_it_says(scope, caplog):
    t1, t2 = (scope.get(name).id for name in ("t1", "t2"))
    said = {"why": "xyzzy", "who": "mine"}
    made = Add(record=record(text="made"), sources=(t1,))
    (gist,) = commit(scope, made).ids
    ops = [
        Revise(id=gist, text="xyzzy one", **said),
        Revise(id=gist, text="xyzzy two", **said),  # beaten
        Revise(id=t2, text="xyzzy", **said),  # a turn
        Add(record=record(text="xyzzy"), sources=("xyzzy",), **said),
        Link(edge=Edge(source=t1, kind=EdgeKind.CONTAINS, target=t2, label="xyzzy"), **said),
        SetSlot(slot="xyzzy", text="xyzzy", evidence=("xyzzy",), **said),
    ]
    with caplog.at_level("INFO", "stepwell"):
        assert len(commit(scope, *ops, strict=False).dropped) == 5
    lines = [entry.getMessage() for entry in caplog.records]
    assert [line.split()[0] for line in lines] == ["revise", "revise", "add", "link", "set_slot"]
    assert all("'mine'" in line for line in lines)
    assert "xyzzy" not in caplog.text
