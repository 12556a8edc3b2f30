"""Tasks: they outlive the process, and what was shown in them is credited once."""

import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell import EdgeKind, Event, Filter, Kind, Memory, SetState, Turn, errors, hookimpl
from stepwell.testing import FakeClock, HashingEmbedder


def opened(path=":memory:", **options):
    made = {"embedder": HashingEmbedder(), "clock": FakeClock(step=timedelta(0)), "seed": 7}
    return Memory.open(path, **{**made, **options})


@pytest.fixture
def alice():
    with opened() as memory:
        scope = memory.scope("alice")
        scope.remember_many(
            [
                Turn(id="t1", text="The ferry to Nesodden leaves at noon.", actor="Ann"),
                Turn(id="t2", text="Tickets for the ferry are sold on board.", actor="Ben"),
                Turn(id="t3", text="Roses want sun and much water.", actor="Ann"),
            ]
        )
        yield scope
        assert memory.check().ok


class Listener:
    """Keeps the events that it is told."""

    name = "listener"

    def __init__(self):
        self.events = []

    @hookimpl
    def observe(self, event: Event):
        self.events.append(event)
        return [SetState(id=i, payload={"heard": True}) for i in event.record_ids]


def sums(scope, name="t1"):
    line = scope.usage(name)
    return line.shown, line.used, line.success, line.failure


def test_a_goal_may_be_a_turn(alice):
    goal = Turn(text="take the ferry", actor="Ann", id="trip", step=0, payload={"by": "mail"})
    with alice.task(goal, team="crew") as task:
        assert (task.id, task.goal) == ("trip", "take the ferry")
    said = alice.get("trip")
    assert (said.actor, said.role, said.step) == ("Ann", None, 0)
    assert said.payload == {"by": "mail", "team": "crew"}
    with alice.task({"text": "go home", "session": "s2"}) as other:
        assert alice.get(other.id).session == other.session == "s2"
    with pytest.raises(errors.InvalidTurn):
        alice.task(Turn(text=" ", attachments=[{"ref": "a.png"}]))


def test_what_is_shown_in_another_way_is_credited_too(alice):
    with alice.task("take the ferry") as task:
        task.showed(alice.recall("When does the ferry leave?", k=1))
        task.showed(alice.context("When does the ferry leave?", budget=200))
        task.outcome(1.0)
    assert sums(alice) == (1, 1, 1.0, 0.0)
    with pytest.raises(errors.InvalidQuery):
        alice.task("a task that is not begun").showed(alice.recall("ferry"))


def test_what_was_shown_is_credited_once_with_the_outcome(alice):
    with alice.task("take the ferry") as task:
        assert task.recall("When does the ferry leave?", k=1).shown == (alice.get("t1").id,)
        task.recall("When does the ferry leave?", k=1)
        assert sums(alice) == (0, 0, 0.0, 0.0)
        task.outcome(1.0)
        assert sums(alice) == (1, 1, 1.0, 0.0)
        assert sums(alice, "t3") == (0, 0, 0.0, 0.0)


def test_what_a_context_has_shown_is_credited_too(alice):
    with alice.task("take the ferry") as task:
        shown = task.context("When does the ferry leave?", budget=800, role="planner").hits
        task.outcome(0.25)
    assert {hit.record.turn for hit in shown} >= {"t1"}
    assert sums(alice) == (1, 1, 0.25, 0.75)


def test_the_same_outcome_again_changes_nothing(alice):
    with alice.task("take the ferry") as task:
        task.recall("When does the ferry leave at noon?", k=1)
        task.outcome(1.0)
        before = alice.records(), [sums(alice, t) for t in ("t1", "t2", "t3")]
        task.outcome(1.0)
        assert before == (alice.records(), [sums(alice, t) for t in ("t1", "t2", "t3")])


def test_another_outcome_takes_the_place_of_the_former_one(alice):
    with alice.task("take the ferry") as task:
        task.recall("When does the ferry leave?", k=1)
        task.outcome(1.0)
        task.outcome(0.0)
        assert task.value == 0.0
    assert sums(alice) == (1, 1, 0.0, 1.0)


def test_what_was_shown_after_an_outcome_is_credited_when_it_is_said_again(alice):
    with alice.task("take the ferry") as task:
        task.recall("When does the ferry leave?", k=1)
        task.outcome(1.0)
        task.recall("Roses want sun", k=1)
        task.outcome(1.0)
    assert sums(alice) == sums(alice, "t3") == (1, 1, 1.0, 0.0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=6))
def test_the_ledger_tells_the_last_outcome_whatever_was_said_before(values):
    with opened(embedder=None) as memory:
        scope = memory.scope("alice")
        scope.remember("The ferry leaves at noon.", id="t1")
        with scope.task("take the ferry") as task:
            task.recall("ferry", k=5, where=Filter(id="t1"))
            for value in values:
                task.outcome(value)
        line = scope.usage("t1")
        assert (line.shown, line.used) == (1, 1)
        assert line.success == pytest.approx(values[-1])
        assert line.failure == pytest.approx(1 - values[-1])


def test_an_outcome_is_told_to_policies_with_what_was_shown():
    listener = Listener()
    with opened(plugins=[listener]) as memory:
        scope = memory.scope("alice")
        scope.remember("The ferry leaves at noon.", id="t1")
        name = scope.get("t1").id
        with scope.task("take the ferry", id="job") as task:
            task.recall("When does the ferry leave?", k=1)
            task.outcome(1.0)
            task.outcome(1.0)
            task.outcome(0.5)
        told = [(e.name, e.record_ids, e.outcome, e.was) for e in listener.events]
        first, *rest = told
        assert first == ("outcome", (name,), 1.0, None)
        assert ("outcome", (name,), 0.5, 1.0) in rest
        assert sum(e.record_ids == (name,) for e in listener.events) == 2
        assert {e.task for e in listener.events} == {scope.records(Filter(kind=Kind.TASK))[0].id}
        assert scope.get("t1").payload == {"heard": True}


def test_a_policy_that_fails_costs_no_credit(caplog):
    class Broken(Listener):
        @hookimpl
        def observe(self, event: Event):
            raise ValueError("secret")

    with opened(plugins=[Broken()]) as memory:
        scope = memory.scope("alice")
        scope.remember("The ferry leaves at noon.", id="t1")
        with scope.task("take the ferry") as task:
            task.recall("When does the ferry leave at noon?", k=1)
            task.outcome(1.0)
        assert scope.usage("t1").success == 1.0
    assert "secret" not in caplog.text


def test_what_was_shown_before_the_process_ended_is_credited_afterwards(tmp_path):
    with opened(tmp_path / "m.db") as memory:
        scope = memory.scope("alice")
        scope.remember("The ferry leaves at noon.", id="t1")
        with scope.task("take the ferry", id="job", team="crew", session="s1") as task:
            task.recall("When does the ferry leave at noon?", k=1)
    with opened(tmp_path / "m.db") as memory:
        scope = memory.scope("alice")
        with scope.task(id="job") as task:
            assert (task.goal, task.team, task.session) == ("take the ferry", "crew", "s1")
            assert task.value is None
            task.outcome(1.0)
        assert scope.usage("t1").success == 1.0
        assert scope.count(Filter(kind=Kind.TASK)) == 1
        assert memory.check().ok


def test_a_recall_in_a_task_writes_nothing_by_itself(alice):
    with alice.task("take the ferry", id="job") as task:
        before = alice.records(), [alice.history(r.id) for r in alice.records()]
        task.recall("ferry")
        assert before == (alice.records(), [alice.history(r.id) for r in alice.records()])


def test_a_task_is_begun_under_an_id_and_joined_by_it(alice):
    with alice.task("take the ferry", id="job") as task:
        task.remember("bought tickets", id="t9")
    with alice.task("take the ferry", id="job") as again:
        assert again.id == "job"
        again.outcome(1.0)
    assert [(t.id, t.goal, t.value) for t in alice.tasks()] == [("job", "take the ferry", 1.0)]
    with pytest.raises(errors.InvalidTurn), alice.task("something else", id="job"):
        pass
    with pytest.raises(errors.UnknownRecord), alice.task(id="nobody"):
        pass
    with pytest.raises(errors.InvalidTurn), alice.task("a goal", id="t1"):
        pass  # another turn has that id
    with pytest.raises(errors.InvalidTurn):
        alice.task("  ")


def test_tasks_are_listed_page_by_page_and_by_filter(alice):
    for n in range(5):
        with alice.task(f"job {n}", id=f"j{n}", session=f"s{n % 2}"):
            pass
    names = [task.id for task in alice.tasks()]
    assert names == [f"j{n}" for n in range(5)]
    assert [task.id for task in alice.tasks(limit=2)] == names[:2]
    assert [task.id for task in alice.tasks(after="j1", limit=2)] == names[2:4]
    assert [task.id for task in alice.tasks(Filter(session="s1"))] == ["j1", "j3"]
    with pytest.raises(errors.UnknownRecord):
        alice.tasks(after="nobody")


def test_a_forgotten_task_is_gone_with_its_goal(alice):
    with alice.task("take the ferry", id="job") as task:
        task.recall("When does the ferry leave at noon?", k=1)
        task.outcome(1.0)
        alice.forget("job")
        with pytest.raises(errors.InvalidQuery):
            task.outcome(0.0)
    assert alice.tasks() == []
    with alice.task("go by bike") as other:
        other.remember("I look for my bike.")
    alice.forget(where=Filter(task=other.id))
    assert not any("bike" in record.text for record in alice.records())
    with pytest.raises(errors.InvalidTurn), alice.task("take the ferry", id="job"):
        pass


def test_what_was_shown_and_forgotten_since_is_credited_to_nobody(alice):
    with alice.task("take the ferry", id="job") as task:
        task.recall("ferry", k=2)
        alice.forget("t1")
        task.outcome(1.0)
    assert sums(alice, "t2") == (1, 1, 1.0, 0.0)


def test_a_rebuild_keeps_tasks_with_their_outcomes_and_what_they_were_shown(alice):
    with alice.task("take the ferry", id="job", team="crew") as task:
        task.recall("When does the ferry leave?", k=1)
        task.outcome(0.0)
    alice.rebuild()
    with alice.task(id="job") as task:
        assert (task.goal, task.team, task.value) == ("take the ferry", "crew", 0.0)
        task.outcome(1.0)
    assert sums(alice) == (1, 1, 1.0, 0.0)
    found = [hit.record for hit in alice.recall("take the ferry", levels=(1,), k=9)]
    assert [record.task for record in found if record.kind is Kind.TASK] == ["job"]


# the interaction graph ------------------------------------------------------------------------


def test_turns_with_upstream_make_a_graph(alice):
    with alice.task("take the ferry", id="job") as task:
        task.remember("I look for the times.", id="a", actor="planner", upstream=["job"], step=1)
        task.remember("I buy.", id="b", actor="buyer", upstream=["a"], step=1, action="buy")
        task.remember("I check.", id="c", actor="critic", upstream=["a", "nobody"], step=2)
        task.remember("Done.", id="d", actor="planner", upstream=["b", "c", "d"], step=3, reward=1)
        task.outcome(1.0)
    graph = alice.tasks()[0].graph()
    assert [(t.id, t.actor, t.step) for t in graph.turns] == [
        ("job", None, None), ("a", "planner", 1), ("b", "buyer", 1), ("c", "critic", 2),
        ("d", "planner", 3),
    ]  # fmt: skip
    assert graph.edges == (("job", "a"), ("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"))
    assert graph.upstream("d") == ("b", "c")
    assert graph.before("b") == {"job", "a", "b"}


def test_a_cycle_is_cut_where_it_leads_back(alice):
    with alice.task("go round", id="job") as task:
        task.remember_many(
            [
                Turn(id="a", text="one", upstream=("c",)),
                Turn(id="b", text="two", upstream=("a",)),
                Turn(id="c", text="three", upstream=("b",)),
            ]
        )
        assert task.graph().edges == (("a", "b"), ("b", "c"))


def test_an_answer_that_came_in_before_what_it_answers_keeps_its_edge(alice):
    with alice.task("go", id="job") as task:
        task.remember("answer", id="late", upstream=["early"])
        task.remember("question", id="early")
        assert task.graph().edges == (("early", "late"),)


def test_a_forgotten_turn_leaves_no_id_in_the_graph(alice):
    with alice.task("go", id="job") as task:
        task.remember("one", id="secret-id", upstream=["job"])
        task.remember("two", id="b", upstream=["secret-id", "job"])
        alice.forget("secret-id")
        assert "secret-id" not in repr(task.graph())
        assert task.graph().edges == (("job", "b"),)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(-1, 8), max_size=4), max_size=8))
def test_whatever_is_said_of_upstream_the_graph_has_no_cycle(said):
    from stepwell.mechanisms.interacting import interaction
    from stepwell.models import Record
    from stepwell.testing.samples import NOW

    turns = [
        Record(id=f"r_{n}", scope=("a",), text="x", turn=f"t{n}", stored_at=NOW,
               upstream=tuple(f"t{u}" for u in upstream))
        for n, upstream in enumerate(said)
    ]  # fmt: skip
    graph = interaction("t", turns)
    assert len(set(graph.edges)) == len(graph.edges)
    known = {turn.id for turn in graph.turns}
    for upstream, turn in graph.edges:
        assert {upstream, turn} <= known
        assert turn not in graph.before(upstream)
    forward = {(f"t{u}", f"t{n}") for n, us in enumerate(said) for u in us if 0 <= u < n}
    assert forward <= set(graph.edges)


def test_a_hundred_agents_and_ten_thousand_steps_make_a_graph():
    with opened(embedder=None) as memory:
        scope = memory.scope("team")
        draw = random.Random(3)
        with scope.task("a long way", id="job") as task:
            task.remember_many(
                Turn(
                    id=f"u{n}", text=f"step {n}", actor=f"agent {n % 100}", step=n,
                    upstream=tuple({f"u{draw.randrange(n)}" for _ in range(3)}) if n else ("job",),
                )
                for n in range(10_000)
            )  # fmt: skip
            graph = task.graph()
        assert len(graph.turns) == 10_001
        assert "job" in graph.before("u9999")


# what reaches policies ------------------------------------------------------------------------


def test_role_and_task_reach_the_policies_of_recall():
    class Asked:
        name = "asked"

        def __init__(self):
            self.seen = set()

        @hookimpl
        def plan(self, query):
            self.seen.add(("plan", query.role, query.task))

        @hookimpl
        def search(self, plan):
            self.seen.add(("search", plan.role, plan.task, plan.query.role, plan.query.task))

        @hookimpl
        def refine(self, hits, plan):
            self.seen.add(("refine", plan.role, plan.task, plan.query.role, plan.query.task))
            return hits

    for preset in ("default", "flat"):
        asked = Asked()
        with opened(preset=preset, plugins=[asked]) as memory:
            scope = memory.scope("alice")
            scope.remember("The ferry leaves at noon.", id="t1")
            for verb in (scope.recall, scope.context):
                asked.seen.clear()
                verb("ferry " * 200, role="critic", task="job", **(
                    {"budget": 5} if verb == scope.context else {}
                ))  # fmt: skip
                both = ("critic", "job")
                assert asked.seen >= {("plan", *both), ("search", *both, *both)}
                assert ("refine", *both, *both) in asked.seen


def test_shown_edges_lead_from_the_task_to_what_was_shown(alice):
    with alice.task("take the ferry", id="job") as task:
        task.recall("When does the ferry leave?", k=1)
        task.remember("I take it.")

    # Seen through a view, as any policy would.
    engine = alice._engine
    with engine.searcher.view(alice.path) as view:
        (record,) = view.records(Filter(kind=Kind.TASK))
        (edge,) = view.links([record.id], EdgeKind.MENTIONS)[record.id]
        assert (view.get(edge.target).turn, edge.weight) == ("t1", 1.0)


def test_what_a_task_has_shown_that_is_forgotten_meanwhile_hinders_no_write():
    with Memory.open(":memory:", embedder=None) as memory:
        scope = memory.scope("a")
        scope.remember("the ferry leaves at noon", id="t1")
        with scope.task("cross the fjord") as task:
            task.recall("ferry")
        scope.forget(task.id)
        assert scope.remember("something new").stored
