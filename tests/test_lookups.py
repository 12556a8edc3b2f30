"""What is asked for by id is looked up: no statement reads a whole scope for it."""

import sqlite3

import pytest

from stepwell import Filter, Memory
from stepwell.defaults.sqlite import reading, schema
from stepwell.testing import FakeClock
from stepwell.testing.policies import conversation


@pytest.mark.parametrize("statement", [reading._INTO, reading._OUT_OF])
def test_edges_are_found_by_either_end(statement: str) -> None:
    made = [each for steps in schema.MIGRATIONS for each in steps if "edges" in each]
    with sqlite3.connect(":memory:") as db:
        for each in made:
            db.execute(each)
        plan = [row[3] for row in db.execute("EXPLAIN QUERY PLAN " + statement, (1, 2, 3))]
    assert len(plan) == 1
    assert "scope=? AND" in plan[0]


@pytest.mark.parametrize("level", [None, 0, 1])
def test_a_filter_of_ids_finds_what_it_names_and_nothing_else(level: int | None) -> None:
    with Memory.open(embedder=None, clock=FakeClock(), seed=3) as memory:
        alice, bob = memory.scope("alice"), memory.scope("bob")
        for scope in (alice, bob):
            scope.remember_many(conversation(30))
            scope.consolidate()
        every = alice.records(limit=1_000)
        named = [every[0].id, "t7", every[-1].id, "t5", "t5", "nobody", bob.records()[0].id]
        where = Filter(id=named) if level is None else Filter(level=level) & Filter(id=named)
        expected = [
            record
            for record in every
            if {record.id, record.turn} & set(named) and level in (None, record.level)
        ]
        assert alice.records(where, limit=1_000) == expected
        assert alice.count(where) == len(expected)
        assert alice.records(~where, limit=1_000) == [r for r in every if r not in expected]
        assert alice.records(where, after=every[0].id) == [r for r in expected if r is not every[0]]
