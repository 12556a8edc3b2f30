"""tme: working memory as a tree of what was worked on, with changes and going back."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from stepwell import EdgeKind, Filter, Kind, Memory, Scope, Status, Turn, hookimpl
from stepwell.fencing import count_tokens
from stepwell.testing import FakeClock, HashingEmbedder, ScriptedModel
from stepwell.testing.policies import everything
from stepwell.testing.samples import NOW
from stepwell_papers import tme

TRIP = (
    ("user", "Find a flight to Rome", None, None),
    ("assistant", "", "search_flights Rome", "HAT045 at nine"),
    ("assistant", "", "book HAT045", "booked"),
    ("user", "Now reserve a hotel near the Colosseum", None, None),
    ("assistant", "", "search_hotels near arrival of HAT045", "Hotel Forum, 120 euros"),
    ("assistant", "", "reserve Forum", "reserved"),
    ("user", "Find a restaurant with good pasta", None, None),
    ("assistant", "", "search_food pasta", "Trattoria Luzzi"),
)
LATER = (
    ("user", "Actually, change the flight to a later one", None, None),
    ("assistant", "", "search_flights later", "HAT099 at six"),
)


def turns(lines: Sequence[tuple[Any, ...]], prefix: str = "t") -> list[Turn]:
    return [
        Turn(id=f"{prefix}{n}", role=role, text=text, action=action, observation=seen, step=n)
        for n, (role, text, action, seen) in enumerate(lines)
    ]


def opened(path: Any = ":memory:", **options: Any) -> Memory:
    made = {"embedder": None, "clock": FakeClock(step=timedelta(0)), "seed": 7, **options}
    return Memory.open(path, preset="tme", **made)


def told(scope: Scope, lines: Sequence[tuple[Any, ...]] = TRIP, prefix: str = "t") -> None:
    with scope.task("Plan a trip to Italy", id="g") as task:
        if lines:
            task.remember_many(turns(lines, prefix))
    report = scope.consolidate()
    assert (report.parked, report.finished) == ((), True)


def parts(scope: Scope, status: Sequence[Status] = (Status.ACTIVE,)) -> list[str]:
    found = scope.records(Filter(kind=Kind.PROCEDURE, status=list(status)), limit=100_000)
    return [record.text.partition(" → ")[0] for record in found]


def shown(scope: Scope, question: str = "What is next?", budget: int = 120) -> str:
    with scope.task(id="g") as task:
        context = task.context(question, budget=budget)
    assert context.degraded == ()
    assert context.tokens <= budget
    return context.text


@pytest.fixture
def trip() -> Any:
    with opened() as memory:
        scope = memory.scope("a")
        told(scope)
        yield scope
        assert memory.check().ok


def test_what_is_done_becomes_parts_that_contain_their_turns(trip: Scope) -> None:
    assert parts(trip) == [
        "Find a flight to Rome",
        "Now reserve a hotel near the Colosseum",
        "Find a restaurant with good pasta",
    ]
    sources = [set(node.sources) for node in trip.tree() if node.record.kind is Kind.PROCEDURE]
    assert {"t0", "t1", "t2"} in sources
    assert {"t6", "t7"} in sources


def test_a_context_shows_the_goal_the_part_in_hand_and_the_others_in_short(trip: Scope) -> None:
    said = shown(trip)
    for piece in ("Plan a trip to Italy", "search_food pasta", "Trattoria Luzzi", "hotel"):
        assert piece in said
    assert said.index("Plan a trip") < said.index("Trattoria Luzzi")


def test_a_change_puts_out_of_force_what_it_replaces_and_all_that_depends_on_it(
    trip: Scope,
) -> None:
    told(trip, LATER, "u")
    assert parts(trip) == [
        "Find a restaurant with good pasta", "Actually, change the flight to a later one",
    ]  # fmt: skip
    assert len(parts(trip, [Status.SUPERSEDED])) == 2
    said = shown(trip)
    assert "HAT099" in said
    assert "HAT045" not in said
    assert "Colosseum" not in said


def test_what_was_replaced_stays_in_the_history(trip: Scope) -> None:
    told(trip, LATER, "u")
    (old,) = (
        record
        for record in trip.records(Filter(kind=Kind.PROCEDURE, status=Status.SUPERSEDED))
        if "Rome" in record.text
    )
    assert any(change.op == "supersede" for change in trip.history(old.id))
    assert trip.get("t1") is not None


def test_going_back_is_exact_and_can_be_taken_back(trip: Scope) -> None:
    told(trip, LATER, "u")
    changed = parts(trip)
    told(trip, [("user", "Undo that, please.", None, None)], "v")
    assert sorted(parts(trip)) == sorted(
        ["Find a flight to Rome", "Now reserve a hotel near the Colosseum",
         "Find a restaurant with good pasta"]
    )  # fmt: skip
    assert "booked" in shown(trip)
    assert "HAT099" not in shown(trip)
    told(trip, [("user", "redo", None, None)], "w")
    assert parts(trip) == changed
    assert "HAT099" in shown(trip)


def test_one_goes_back_to_what_one_names(trip: Scope) -> None:
    told(trip, LATER, "u")
    told(trip, [("user", "Instead of pasta, a restaurant with sushi", None, None)], "v")
    told(trip, [("user", "Go back to the flight to Rome", None, None)], "w")
    assert "Find a flight to Rome" in parts(trip)
    assert "Find a restaurant with good pasta" not in parts(trip)
    assert "Find a flight to Rome" in shown(trip)


def test_what_was_said_since_consolidating_counts_at_once(trip: Scope) -> None:
    with trip.task(id="g") as task:
        task.remember_many(turns(LATER, "u"))
    said = shown(trip)
    assert "HAT099" in said
    assert "HAT045" not in said


def test_a_part_within_another_is_on_a_path_and_names_are_of_their_parent_alone() -> None:
    with opened() as memory:
        scope = memory.scope("a")
        steps = [
            Turn(id="a", text="x", payload={"subtask": ["Kitchen", "Wash up"]}),
            Turn(id="b", text="y", payload={"subtask": ["Bathroom", "Wash up"]}),
            Turn(id="c", text="z", payload={"subtask": ["Bathroom", "Wash up"]}),
            Turn(id="d", text="Subtask: Garden\ndig"),
        ]
        with scope.task("Clean the house", id="g") as task:
            task.remember_many(steps[:3])
            assert scope.consolidate().ok
            hits = task.recall("now?", k=20)
            assert {"b", "c"} <= {hit.record.turn for hit in hits}
            task.remember(steps[3])
        scope.consolidate()
        made = parts(scope)
        assert [name.partition(" (")[0] for name in made].count("Bathroom") == 1
        assert sum(name.startswith("Wash up") for name in made) == 2
        inside = {
            node.record.text.partition(" ")[0]: [child.record.text for child in node.children]
            for node in scope.tree()
            if node.record.kind is Kind.PROCEDURE
        }
        assert any(text.startswith("Wash up") for text in inside["Kitchen"])
        assert memory.check().ok


def test_dependencies_are_edges_and_a_merge_has_several() -> None:
    class Looking:
        name = "looking"
        found: dict[str, int]

        @hookimpl
        def plan(self, view: Any) -> None:
            known = view.records(Filter(kind=Kind.PROCEDURE), limit=100)
            links = view.links([record.id for record in known], EdgeKind.RELATED)
            self.found = {r.text.partition(" ")[0]: len(links.get(r.id, ())) for r in known}

    look = Looking()
    with opened(plugins=[look]) as memory:
        scope = memory.scope("a")
        with scope.task("Write a report", id="g") as task:
            task.remember(Turn(id="a", text="numbers", payload={"subtask": "Numbers"}))
            task.remember(Turn(id="b", text="figures", payload={"subtask": "Figures"}))
            task.remember(
                Turn(id="c", text="text", upstream=("a", "b"),
                     payload={"subtask": "Text", "depends_on": ["Figures", "nobody", 3]})
            )  # fmt: skip
            scope.consolidate()
            task.recall("?")
        assert look.found == {"Numbers": 0, "Figures": 0, "Text": 2}


@pytest.mark.parametrize("name", ["g2", "t0", "g"])
def test_outside_of_a_task_all_is_as_by_default(name: str) -> None:
    found = []
    for preset in ("tme", "default"):
        with Memory.open(
            preset=preset, embedder=HashingEmbedder(), clock=FakeClock(NOW), seed=7
        ) as memory:
            scope = memory.scope("a")
            scope.remember_many(turns([*TRIP, *LATER]))
            scope.consolidate()
            hits = scope.recall("Which flight?", k=5, task=None)
            found.append([(hit.record.turn, round(hit.score, 6)) for hit in hits])
            found[-1].append((scope.context("Which flight?", budget=60).text.count("HAT"), 0))
            assert scope.slots() == []
    assert found[0] == found[1]


def test_a_question_with_a_filter_is_answered_by_it_alone(trip: Scope) -> None:
    with trip.task(id="g") as task:
        hits = task.recall("flight", where=Filter(role="user"), k=20)
    assert {hit.record.role for hit in hits} == {"user"}


def test_an_empty_task_shows_its_goal_and_one_step_is_enough() -> None:
    with opened() as memory:
        scope = memory.scope("a")
        told(scope, [])
        for _ in range(2):
            with scope.task(id="g") as task:
                assert task.recall("?")[0].record.turn == "g"
        told(scope, TRIP[:1])
        assert parts(scope) == ["Find a flight to Rome"]
        with scope.task(id="g") as task:
            assert [hit.record.turn for hit in task.recall("?", k=2)] == ["t0", "g"]
        assert memory.check().ok


def test_a_forgotten_step_leaves_no_word_behind(tmp_path: Any) -> None:
    with opened(tmp_path / "m.db") as memory:
        scope = memory.scope("a")
        secret = ("assistant", "", "book xyzzy", "plugh is booked")
        told(scope, [*TRIP[:2], secret, *TRIP[3:]])
        assert any("xyzzy" in record.text for record in everything(scope))
        scope.forget("t2")
        scope.consolidate()
        assert memory.check().ok
        for record in everything(scope):
            assert "xyzzy" not in repr(record)
            assert "plugh" not in repr(record)
        assert len(parts(scope)) == 3
        assert "xyzzy" not in shown(scope, budget=400)
    left = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert b"xyzzy" not in left
    assert b"plugh" not in left


def test_with_a_forgotten_change_what_it_replaced_holds_again(trip: Scope) -> None:
    before = parts(trip)
    told(trip, LATER, "u")
    trip.forget(["u0", "u1"])
    trip.consolidate()
    assert parts(trip) == before
    with trip.task(id="g") as task:
        task.remember("And a museum of trains to visit there", role="user")
    trip.consolidate()
    assert parts(trip)[:3] == before


def test_a_forgotten_goal_ends_the_task_and_nothing_breaks(trip: Scope) -> None:
    trip.forget("g")
    assert trip.consolidate().ok
    assert trip.recall("flight").degraded == ()


def test_the_latest_step_is_shown_in_short_where_it_does_not_fit() -> None:
    with opened() as memory:
        scope = memory.scope("a")
        huge = ("assistant", "", "open the archive", "ledger " * 3000)
        told(scope, [*TRIP, huge])
        said = shown(scope, budget=150)
        assert "open the archive" in said
        assert "Plan a trip to Italy" in said


@pytest.mark.parametrize("budget", [0, 1, 20, 45, 70, 200, 5000])
def test_a_context_keeps_its_budget(trip: Scope, budget: int) -> None:
    told(trip, LATER, "u")
    said = shown(trip, budget=budget)
    assert count_tokens(said) <= budget


def test_in_parts_and_at_once_make_the_same_tree() -> None:
    lines = [*TRIP, *LATER, ("user", "undo", None, None), *TRIP[6:]]
    made = []
    for step in (1, 3, 50):
        with opened() as memory:
            scope = memory.scope("a")
            every = turns(lines)
            for start in range(0, len(lines), step):
                with scope.task("Plan a trip", id="g") as task:
                    task.remember_many(every[start : start + step])
                scope.consolidate()
            assert sum(scope.consolidate().counts.values()) == 0
            wanted = Filter(kind=Kind.PROCEDURE, status=list(Status))
            made.append([(r.text, r.status, r.payload) for r in scope.records(wanted)])
    assert sorted(made[0], key=str) == sorted(made[1], key=str) == sorted(made[2], key=str)


def test_a_rebuild_makes_the_same_tree_again(trip: Scope) -> None:
    told(trip, LATER, "u")
    before = parts(trip), sorted(parts(trip, [Status.SUPERSEDED]))
    trip.rebuild()
    trip.consolidate()
    assert (parts(trip), sorted(parts(trip, [Status.SUPERSEDED]))) == before


def test_two_tasks_do_not_meet(trip: Scope) -> None:
    with trip.task("Plan another trip to Italy", id="h") as other:
        other.remember_many(turns(LATER, "o"))
        trip.consolidate()
        path = [hit for hit in other.recall("flight?", k=20) if tme.WHY in hit.why]
        assert {hit.record.task for hit in path} == {"h"}
    assert len(parts(trip)) == 4  # nothing of the first was replaced


@pytest.mark.parametrize(
    "odd", [3, None, {"a": 1}, [], [1], ["", " "], "  ", ["a"] * 40, "x" * 900]
)
def test_an_odd_payload_is_no_trouble(odd: Any) -> None:
    with opened() as memory:
        scope = memory.scope("a")
        with scope.task("Anything", id="g") as task:
            for n in range(3):
                payload = {"subtask": odd, "depends_on": odd, "subgoal": odd}
                task.remember(Turn(id=f"t{n}", text=f"step {n}", payload=payload))
            assert scope.consolidate().ok
            assert task.context("?", budget=200).degraded == ()
        assert memory.check().ok


@pytest.mark.parametrize(
    "then",
    ["no JSON", {"relations": [{"number": 3, "relation": "contradicts"}]}, TimeoutError()],
    ids=["rubbish", "picks", "raises"],
)
def test_a_language_model_may_say_what_is_meant_and_is_asked_once(then: Any) -> None:
    model = ScriptedModel(then=then)
    with opened(language_model=model) as memory:
        scope = memory.scope("a")
        told(scope)
        told(scope, [("user", "No, that restaurant with pasta is too far", None, None)], "u")
        assert len(parts(scope, [Status.SUPERSEDED])) == 1
        assert memory.check().ok


# long tasks ------------------------------------------------------------------------------------


def long(count: int) -> list[Turn]:
    return [
        Turn(
            id=f"t{n}", role="assistant",
            text="" if n % 7 else f"Look for thing {n} in room {n % 9}",
            action=f"open drawer {n}" if n % 7 else None,
            observation=f"It holds part{n}." if n % 7 else None, step=n,
        )
        for n in range(count)
    ]  # fmt: skip


def test_two_thousand_steps_are_quick() -> None:
    took = {}
    for count in (500, 2000):
        with opened() as memory:
            scope = memory.scope("a")
            with scope.task("Find it", id="g") as task:
                task.remember_many(long(count))
                begun = time.thread_time()
                report = scope.consolidate()
                took[count] = time.thread_time() - begun
                assert (report.parked, report.finished) == ((), True)
                task.recall("warm")
                times = []
                for n in range(9):
                    begun = time.thread_time()
                    task.context(f"drawer {n}", budget=300)
                    times.append(time.thread_time() - begun)
    assert sorted(times)[4] < 0.1  # some 5 ms on a machine that has nothing else to do
    assert took[2000] < 12 * took[500]
