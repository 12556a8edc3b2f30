"""Filters: what they mean, what they refuse, and that they tell nothing of what they look for."""

import functools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.errors import InvalidFilter
from stepwell.filters import Both, Condition, Either, Filter, Not, conditions, names_field
from stepwell.models import Kind, Origin, Record, Status
from stepwell.testing import matches
from stepwell.testing.samples import FILTERABLE_FIELDS, NOW, filters

LAST = datetime(9999, 12, 31, tzinfo=UTC)
FILTERS = filters(["t1"])
RECORDS = FILTERABLE_FIELDS.map(
    lambda fields: Record(
        id="r_" + "1" * 32, scope=("a",), text="x", turn="t1", stored_at=NOW, **fields
    )
)


def one(**fields):
    made = {"id": "r_" + "1" * 32, "scope": ("a",), "text": "x", "stored_at": NOW}
    return Record(**{**made, **fields})


# what they mean -----------------------------------------------------------------------------------


@given(FILTERS, FILTERS, RECORDS)
def test_and_or_not_are_those_of_logic(a, b, record):
    x, y = matches(a, record), matches(b, record)
    assert matches(a & b, record) is (x and y)
    assert matches(a | b, record) is (x or y)
    assert matches(~a, record) is (not x)
    assert matches(~(a & b), record) is matches(~a | ~b, record)


@given(RECORDS)
def test_an_empty_filter_matches_everything(record):
    assert matches(Filter(), record)
    assert matches(None, record)
    assert Filter().empty
    assert (Filter() & Filter()).empty
    assert not Filter(session="s").empty
    assert (~Filter(session=[])).empty


@given(RECORDS, RECORDS)
def test_several_fields_all_have_to_hold(record, like):
    where = Filter(session=like.session, actor=like.actor, level=like.level)
    same = (record.session, record.actor, record.level) == (like.session, like.actor, like.level)
    assert matches(where, record) is same


def test_two_touching_ranges_share_no_record():
    when = datetime(2024, 5, 4, tzinfo=UTC)
    for said in (when - timedelta(microseconds=1), when, when + timedelta(microseconds=1)):
        record = one(said_at=said, stored_at=said)
        for field in ("said", "stored"):
            before, after = Filter(**{f"{field}_before": when}), Filter(**{f"{field}_after": when})
            assert matches(before, record) is not matches(after, record)
            assert matches(after, record) is (said >= when)


def test_an_unknown_time_lies_nowhere():
    when = datetime(2024, 5, 4, tzinfo=UTC)
    before, after = Filter(said_before=when), Filter(said_after=when)
    assert not matches(before | after, one())
    assert matches(~before & ~after, one())


def test_a_naive_time_is_taken_as_utc():
    naive = datetime(2024, 5, 4)  # noqa: DTZ001 - on purpose
    assert Filter(said_after=naive) == Filter(said_after=datetime(2024, 5, 4, tzinfo=UTC))


@pytest.mark.parametrize(
    ("payload", "path", "wanted", "holds"),
    [
        ({"a": {"b": 3}}, "a.b", 3, True),
        ({"a": {"b": 3}}, "a.b", 3.0, True),
        ({"a.b": 3}, "a.b", 3, False),
        ({"a": 1}, "a", True, False),
        ({"a": True}, "a", 1, False),
        ({"a": False}, "a", 0, False),
        ({"a": "1"}, "a", 1, False),
        ({}, "a", None, True),
        ({"a": None}, "a", None, True),
        ({"a": 0}, "a", None, False),
        ({"a": [1]}, "a", "[1]", False),
        ({"a": [{"b": 1}]}, "a.b", 1, False),
        ({"a": "x"}, "a.b", None, True),
        ({"a": 2}, "a", [1, 2], True),
        ({"a": 2}, "a", [], False),
        ({"a": "É"}, "a", "é", False),
    ],
)
def test_a_payload_is_compared_as_json(payload, path, wanted, holds):
    assert matches(Filter(payload={path: wanted}), one(payload=payload)) is holds


# what they are ------------------------------------------------------------------------------------


def test_filters_that_mean_the_same_are_the_same():
    a, b = Filter(session="s") & Filter(level=[0, 1]), Filter(session="s") & Filter(level=(0, 1))
    assert a == b
    assert hash(a) == hash(b)
    assert Filter(session={"b", "a", "c"}) == Filter(session=frozenset("cab"))
    assert Filter(kind="fact", origin="web") == Filter(kind=Kind.FACT, origin=Origin.WEB)
    assert Filter(session="s") != "s"


def test_filters_that_mean_something_else_differ():
    assert Filter(payload={"a": True}) != Filter(payload={"a": 1})
    assert Filter(payload={"a": 0}) != Filter(payload={"a": False})
    assert Filter(session="s") != Filter(actor="s")
    assert Filter(session="s") != ~Filter(session="s")
    assert Filter(session="s") & Filter(actor="a") != Filter(session="s") | Filter(actor="a")


@given(FILTERS)
def test_a_filter_shows_its_fields_and_none_of_its_values(where):
    fields = sorted({c.field for c in conditions(where.tree)})
    assert repr(where) == f"Filter({', '.join(fields)})"
    for field in ("session", "status", "payload"):
        assert names_field(where, field) is (field in fields)
    assert not names_field(None, "session")


@given(FILTERS)
def test_a_tree_makes_the_same_filter_again(where):
    again = Filter.of(where.tree)
    assert again == where
    assert hash(again) == hash(where)


def test_a_filter_is_not_changed_by_those_made_of_it():
    where = Filter(session="s")
    before = where.tree
    _ = (where & where) | ~where
    assert where.tree is before
    with pytest.raises(AttributeError):
        where.other = 1


def test_filters_combine_with_filters_only():
    for combine in (lambda f: f & "x", lambda f: f | None, lambda f: f & {"session": "s"}):
        with pytest.raises(TypeError):
            combine(Filter(session="s"))


# what they refuse ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"colour": "red"},
        {"text": "x"},
        {"scope": ("a",)},
        {"payload": "a"},
        {"payload": {"": 1}},
        {"payload": {"a b": 1}},
        {"payload": {"a..b": 1}},
        {"payload": {"$.a": 1}},
        {"payload": {"a[0]": 1}},
        {"payload": {"a\n": 1}},
        {"payload": {'a"': 1}},
        {"payload": {"a": [1]}} | {"payload": {"a": [[1]]}},
        {"payload": {"a": {}}},
        {"payload": {"a": 2**63}},
        {"payload": {"a": float("nan")}},
        {"payload": {"a": float("inf")}},
        {"payload": {"a": [0.5, float("-inf")]}},
        {"payload": {"a": "\ud800"}},
        {"payload": {"a": "x" * 513}},
        {"payload": {3: 1}},
        {"payload": {".".join("abcdefghi"): 1}},
        {"session": 3},
        {"session": b"s"},
        {"session": "\x00"},
        {"session": "\ud800"},
        {"session": "x" * 513},
        {"id": None},
        {"id": ["a", None]},
        {"level": True},
        {"level": "0"},
        {"level": 0.0},
        {"level": -1},
        {"level": None},
        {"kind": "nothing"},
        {"kind": None},
        {"status": "ACTIVE"},
        {"origin": 1},
        {"said_after": "2024-05-04"},
        {"said_after": None},
        {"said_after": LAST},
        {"stored_before": [datetime(2024, 1, 1, tzinfo=UTC)]},
        {"session": list(map(str, range(4097)))},
    ],
    ids=str,
)
def test_this_is_refused(fields):
    with pytest.raises(InvalidFilter) as caught:
        Filter(**fields)
    assert "xxxxx" not in str(caught.value)


def test_sizes_are_bounded():
    where = Filter(session="s")
    with pytest.raises(InvalidFilter, match="nesting"):
        functools.reduce(lambda inner, _: ~inner, range(40), where)
    wide = Filter.of(Either(tuple(Condition("session", (str(n),)) for n in range(256))))
    assert len(list(conditions(wide.tree))) == 256
    with pytest.raises(InvalidFilter, match="256 conditions"):
        _ = wide | Filter(actor="a")


@given(st.integers(1, 10_000))
def test_a_tree_of_any_depth_costs_no_stack(depth):
    tree = Condition("session", ("s",))
    for _ in range(depth):
        tree = Both((Not(tree),))
    if depth * 2 + 1 > 32:
        with pytest.raises(InvalidFilter, match="nesting"):
            Filter.of(tree)
    else:
        assert Filter.of(tree).tree is tree


def test_every_member_can_be_asked_for():
    for field, members in (("kind", Kind), ("status", Status), ("origin", Origin)):
        for member in members:
            assert matches(Filter(**{field: member.value}), one(**{field: member}))
