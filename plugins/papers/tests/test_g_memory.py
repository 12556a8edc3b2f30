"""g-memory: tasks, what was learnt from them, and none of the published code's defects."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from stepwell import EdgeKind, Filter, Kind, Memory, Preset, Record, Scope, Turn, Usage, hookimpl
from stepwell.mechanisms import insights, trajectories
from stepwell.mechanisms.insights import Insight
from stepwell.mechanisms.trajectories import Trail
from stepwell.testing import FakeClock, HashingEmbedder, ScriptedModel
from stepwell.testing.policies import everything
from stepwell_papers import g_memory
from stepwell_papers.g_memory import MARK, Learning, Params, Search

GOAL = "put a clean {} in the cupboard"
WASH = ("go to sink", "clean {}", "open cupboard", "put {} in cupboard")
SKIP = ("go to stove", "heat {}", "put {} in cupboard")


def opened(path: Any = ":memory:", params: Params | None = None, **options: Any) -> Memory:
    preset = g_memory.PRESET
    if params is not None:
        channels = ("channel-vectors", "channel-words", "channel-order", "flat-packer")
        preset = Preset(
            "test", 1, ("words", "vectors", Learning(params), Search(params), *channels)
        )
    made = {"embedder": HashingEmbedder(), "clock": FakeClock(step=timedelta(0)), "seed": 7}
    return Memory.open(path, preset=preset, **{**made, **options})


def play(
    scope: Scope, goal: str, actions: Sequence[str], good: float | None, *, id: str,  # noqa: A002 - as turns call it
    ask: bool = False, actor: str = "solver",
) -> list[Record]:  # fmt: skip
    """A task from its goal to its end; what it was shown."""
    shown: list[Record] = []
    with scope.task(goal, id=id) as task:
        if ask:
            shown = [hit.record for hit in task.recall(goal, k=20, role=actor)]
        for n, action in enumerate(actions):
            task.remember(
                Turn(
                    id=f"{id}.{n}", text=f"{actor} does {action}", actor=actor, step=n,
                    action=action, upstream=(f"{id}.{n - 1}" if n else id,), observation="Done.",
                )
            )  # fmt: skip
        if good is not None:
            task.outcome(good)
    return shown


def cleaned(scope: Scope, thing: str, good: bool, name: str, **options: Any) -> list[Record]:
    steps = [step.format(thing) for step in (WASH if good else SKIP)]
    return play(scope, GOAL.format(thing), steps, float(good), id=name, **options)


def learnt(scope: Scope) -> list[Record]:
    report = scope.consolidate()
    assert report.ok, report.parked
    return scope.records(Filter(kind=Kind.INSIGHT))


def patterns(records: Sequence[Record]) -> set[tuple[str, tuple[str, ...]]]:
    made = set()
    for record in records:
        said = record.payload[MARK]
        assert isinstance(said, dict)
        made.add((str(said["sort"]), tuple(map(str, said["pattern"]))))  # type: ignore[arg-type]
    return made


def some(scope: Scope) -> list[Record]:
    """Two tasks that ended well, and two that did not."""
    for n, (thing, good) in enumerate([("cup", 1), ("mug", 1), ("pan", 0), ("pot", 0)]):
        cleaned(scope, thing, bool(good), f"job{n}")
    return learnt(scope)


@pytest.fixture
def team() -> Any:
    with opened() as memory:
        yield memory.scope("team")
        assert memory.check().ok


def test_patterns_that_end_well_or_badly_become_insights_that_rest_on_their_tasks(
    team: Scope,
) -> None:
    made = some(team)
    sorts = {sort for sort, _ in patterns(made)}
    assert sorts == {"do", "avoid", "rather"}
    assert ("do", ("go to sink", "clean …", "open …")) in patterns(made)
    assert ("rather", ("", "go to sink", "go to stove")) in patterns(made)
    for node in team.tree():
        if node.record.kind is Kind.INSIGHT:
            assert node.record.level == 2
            assert {source.partition(".")[0] for source in node.sources} <= {
                "job0", "job1", "job2", "job3",
            }  # fmt: skip


def test_a_pattern_that_is_as_usual_is_no_insight(team: Scope) -> None:
    for n, thing in enumerate(("cup", "mug", "jug")):
        cleaned(team, thing, True, f"job{n}")
    assert learnt(team) == []  # all ended well: no step tells anything


def test_a_question_is_answered_by_insights_then_by_a_trajectory_of_what_ended_well(
    team: Scope,
) -> None:
    some(team)
    hits = team.recall("put a clean bowl in the cupboard", k=10, role="solver")
    kinds = [hit.record.kind for hit in hits]
    assert kinds[:3] == [Kind.INSIGHT] * 3
    first = [hit.record for hit in hits if hit.record.level == 0][:5]
    steps = [record.turn for record in first]
    assert steps[0] in ("job0", "job1")
    assert steps[1:] == [f"{steps[0]}.{n}" for n in range(4)]
    assert all(hits[n].score >= hits[n + 1].score for n in range(len(hits) - 1))


def test_a_task_is_not_told_of_itself(team: Scope) -> None:
    some(team)
    with team.task(GOAL.format("cup"), id="job0") as task:
        hits = task.recall(task.goal, k=4)
    trail = [hit.record.turn for hit in hits if "by trajectory" in hit.why]
    assert trail
    assert "job0" not in {str(name).partition(".")[0] for name in trail}


def test_another_role_is_told_other_insights_first(team: Scope) -> None:
    for n in range(4):
        good = float(n % 2 == 0)
        cook = ["chop onions", "stir soup"] if good else ["burn soup", "serve soup"]
        play(team, "make soup for the guests", cook, good, id=f"c{n}", actor="cook")
        bill = ["count guests", "write bill"] if good else ["guess guests", "send bill"]
        play(team, "make soup for the guests", bill, good, id=f"b{n}", actor="clerk")
    learnt(team)
    asked = {
        role: team.recall("make soup for the guests", k=10, role=role)[0].record
        for role in ("cook", "clerk")
    }
    for role, record in asked.items():
        said = record.payload[MARK]
        assert isinstance(said, dict)
        assert role in said["roles"]  # type: ignore[operator]


def test_with_a_language_model_it_words_the_insights() -> None:
    model = ScriptedModel(then={"summary": "Wash dishes before they are put away.", "sources": [0]})
    with opened(language_model=model) as memory:
        made = some(memory.scope("team"))
        assert made
        assert {record.text for record in made} == {"Wash dishes before they are put away."}


def test_a_model_that_talks_rubbish_leaves_the_patterns() -> None:
    with opened(language_model=ScriptedModel(then="no JSON at all")) as memory:
        made = some(memory.scope("team"))
        assert {sort for sort, _ in patterns(made)} == {"do", "avoid", "rather"}


@pytest.mark.parametrize("embedder", [None, HashingEmbedder()], ids=["words", "vectors"])
def test_learning_again_changes_nothing(embedder: Any) -> None:
    with opened(embedder=embedder) as memory:
        scope = memory.scope("team")
        some(scope)
        before = everything(scope)
        report = scope.consolidate()
        assert sum(report.counts.values()) == 0
        assert everything(scope) == before


def test_all_at_once_and_one_by_one_teach_the_same() -> None:
    made = []
    for step in (1, 3, 32):
        with opened(params=Params(step=step)) as memory:
            made.append(sorted((r.text, str(r.payload)) for r in some(memory.scope("team"))))
    assert made[0] == made[1] == made[2]


def test_another_outcome_is_learnt_anew(team: Scope) -> None:
    some(team)
    for n in (2, 3):
        with team.task(id=f"job{n}") as task:
            task.outcome(1.0)
    assert {sort for sort, _ in patterns(learnt(team))} == {"do"}  # now all have ended well
    for n in (2, 3):
        with team.task(id=f"job{n}") as task:
            task.outcome(0.0)
    assert {sort for sort, _ in patterns(learnt(team))} == {"do", "avoid", "rather"}


def test_a_forgotten_task_takes_its_share_out_of_the_insights(team: Scope) -> None:
    some(team)
    assert any(sort == "do" for sort, _ in patterns(team.records(Filter(kind=Kind.INSIGHT))))
    team.forget(where=Filter(task="job1"))
    left = learnt(team)
    assert not any(sort == "do" for sort, _ in patterns(left))  # one task is no pattern
    for record in everything(team):
        assert "mug" not in record.text
    assert all("job1" not in str(hit.sources) for hit in team.recall(GOAL.format("jar"), k=50))


def test_a_forgotten_step_is_quoted_by_no_insight(team: Scope, tmp_path: Any) -> None:
    path = tmp_path / "m.db"
    with opened(path) as memory:
        scope = memory.scope("team")
        for n in range(4):
            steps = ["say xyzzy", "open vault"] if n % 2 else ["knock", "wait"]
            play(scope, "get into the vault", steps, float(n % 2), id=f"v{n}")
        assert any("xyzzy" in record.text for record in learnt(scope))
        scope.forget(["v1.0", "v3.0"])
        assert not any("xyzzy" in repr(record) for record in everything(scope))
        learnt(scope)
        assert not any("xyzzy" in repr(record) for record in everything(scope))
        assert memory.check().ok
    left = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert b"xyzzy" not in left


def test_a_rebuild_learns_the_same_again(team: Scope) -> None:
    some(team)
    before = patterns(team.records(Filter(kind=Kind.INSIGHT)))
    team.rebuild()
    team.consolidate()
    assert patterns(team.records(Filter(kind=Kind.INSIGHT))) == before
    assert [task.value for task in team.tasks()] == [1.0, 1.0, 0.0, 0.0]


def test_merging_loses_no_insight_and_nothing_that_was_earned() -> None:
    """Upstream one: a limit of no rule at all, copies, and all scores set back."""
    merged = Params(merge=0.5)
    with opened(params=merged) as memory:
        scope = memory.scope("team")
        some(scope)
        for n in range(3):
            cleaned(scope, "jug", True, f"more{n}", ask=True)
        learnt(scope)
        all_of = {r.id: r for r in everything(scope) if r.kind is Kind.INSIGHT}
        left = [r for r in all_of.values() if r.status == "active"]
        gone = [r for r in all_of.values() if r.status == "superseded"]
        assert gone
        assert left
        assert max(scope.usage(r.id).success for r in left) == max(
            scope.usage(name).success for name in all_of
        )
        covered = {s for node in scope.tree() if node.record in left for s in node.sources}
        assert {"job0", "job1", "job2", "job3"} <= {s.partition(".")[0] for s in covered}


def test_one_hop_is_made_while_there_are_few_tasks() -> None:
    """Upstream two: what hops had found was replaced by plain similarity."""
    with opened(params=Params(seeds=1, near=0.3)) as memory:
        scope = memory.scope("team")
        play(scope, "wash the red cup now", ["rinse"], 1.0, id="a")
        play(scope, "wash the blue car now", ["hose", "wax"], 1.0, id="b")
        learnt(scope)
        hits = scope.recall("the red cup", k=20)
        assert {"a", "b"} <= {h.record.turn for h in hits if "by trajectory" in h.why}


def test_agreement_is_with_the_insight_that_was_meant(team: Scope) -> None:
    """Upstream three: an unknown rule rewarded the last one of the list."""
    some(team)
    before = {n.record.id: set(n.sources) for n in team.tree() if n.record.kind is Kind.INSIGHT}
    cleaned(team, "jug", True, "more")
    learnt(team)
    for node in team.tree():
        if node.record.id in before:
            grown = {s.partition(".")[0] for s in set(node.sources) - before[node.record.id]}
            sort, pattern = next(iter(patterns([node.record])))
            goal = GOAL.format("jug")
            steps = tuple(trajectories.short(step.format("jug"), goal) for step in WASH)
            mine = Trail("", steps, tuple("abcd"), good=True)
            agrees = trajectories.speaks(sort, pattern, mine) > 0
            assert grown == ({"more"} if agrees else set())


def test_an_insight_may_hold_the_words_of_another_one() -> None:
    """Upstream four: what contained a known text was dropped."""
    with opened() as memory:
        scope = memory.scope("team")
        for n, steps in enumerate((["a", "b"], ["a", "b", "c"], ["a", "b", "c"], ["x"], ["x"])):
            play(scope, "open the safe", steps, float(n < 3), id=f"s{n}")
        made = patterns(learnt(scope))
        assert ("do", ("a", "b")) in made  # of three tasks


def test_no_step_of_a_trajectory_is_lost_on_reload(tmp_path: Any) -> None:
    """Upstream five: the last step was gone after saving, another one after loading."""
    with opened(tmp_path / "m.db") as memory:
        some(memory.scope("team"))
    with opened(tmp_path / "m.db") as memory:
        scope = memory.scope("team")
        hits = scope.recall(GOAL.format("bowl"), k=30)
        told = [h.record.turn for h in hits if "by trajectory" in h.why]
        assert {f"job0.{n}" for n in range(4)} <= set(told)
        assert [u.id for u in scope.tasks()[0].graph().turns] == [
            "job0", *(f"job0.{n}" for n in range(4)),
        ]  # fmt: skip


def test_every_outcome_credits_the_insights_that_were_shown(team: Scope) -> None:
    """Upstream six: under one of the team kinds nothing was ever credited."""
    some(team)
    shown = cleaned(team, "jug", True, "next", ask=True)
    told = [record for record in shown if record.kind is Kind.INSIGHT]
    assert told
    for record in told:
        assert team.usage(record.id).success == 1.0
    for record in everything(team):
        if record.kind is Kind.INSIGHT and record not in told:
            assert team.usage(record.id).used == 0


def test_the_same_goal_twice_is_two_tasks_with_their_own_ends(team: Scope) -> None:
    """Upstream seven: the second was stored beside the first, and either came back."""
    cleaned(team, "cup", True, "one")
    cleaned(team, "cup", False, "two")
    learnt(team)
    assert [(task.id, task.value) for task in team.tasks()] == [("one", 1.0), ("two", 0.0)]
    hits = team.recall(GOAL.format("cup"), k=20)
    first = next(h.record.turn for h in hits if h.record.level == 0)
    assert first == "one"  # the one that ended well


def test_another_task_costs_no_more_the_more_there_are() -> None:
    """Upstream eight: the whole file of insights was written with every task."""

    class Counter:
        name = "counter"
        ops = 0

        @hookimpl
        def on_committed(self, ops: Sequence[Any]) -> None:
            self.ops += len(ops)

    counter = Counter()
    with opened(plugins=[counter]) as memory:
        scope = memory.scope("team")
        costs = []
        for n in range(40):
            cleaned(scope, f"cup {n}", n % 3 > 0, f"job{n}")
            counter.ops = 0
            scope.consolidate()
            costs.append(counter.ops)
        assert max(costs[30:]) <= 2 * max(costs[8:18])


def test_an_insight_is_judged_by_what_is_usual() -> None:
    """Upstream nine: it needed more than two good ends of three, however hard the tasks are."""
    one = Insight("i", "do", ("a", "b"), frozenset("xy"), first=2,
                  usage=Usage(shown=10, used=10, success=5, failure=5))  # fmt: skip
    hard = insights.score(one, "rate", rate=0.2, many=False)
    easy = insights.score(one, "rate", rate=0.9, many=False)
    assert easy < 0 < hard
    assert not insights.pruned(one, hard, "rate")
    assert insights.pruned(one, easy, "rate")
    paper = insights.score(one, "paper", rate=0.2, many=False)
    assert paper == 2 + 5 - 2 * 5
    assert insights.pruned(one, paper, "paper")


def test_two_processes_learn_together_and_scopes_apart(tmp_path: Any) -> None:
    """Upstream ten: no lock, a pickle, one tenant."""
    with opened(tmp_path / "m.db") as one, opened(tmp_path / "m.db") as two:
        for n, (thing, good) in enumerate([("cup", 1), ("mug", 1), ("pan", 0), ("pot", 0)]):
            memory, other = (one, two) if n % 2 else (two, one)
            cleaned(memory.scope("team"), thing, bool(good), f"job{n}")
            assert other.scope("team").consolidate().ok
        made = patterns(learnt(one.scope("team")))
        assert two.scope("team").records(Filter(kind=Kind.INSIGHT)) == one.scope("team").records(
            Filter(kind=Kind.INSIGHT)
        )
        assert len(made) == one.scope("team").count(Filter(kind=Kind.INSIGHT))
        assert one.scope("other").tasks() == []
        assert len(one.scope("other").recall(GOAL.format("cup"))) == 0


def test_tasks_are_linked_at_a_cosine(team: Scope) -> None:
    play(team, "one two three four", ["go"], 1.0, id="a")
    play(team, "one two three five", ["go"], 1.0, id="b")
    play(team, "six seven eight nine", ["go"], 1.0, id="c")
    learnt(team)
    tasks = {record.task: record.id for record in team.records(Filter(kind=Kind.TASK))}
    with team._engine.searcher.view(team.path) as view:
        links = view.links(list(tasks.values()), EdgeKind.RELATED)
        rows = view.vectors([tasks[name] for name in "abc"])
        cosine = float(rows[0] @ rows[1])
        edges = [edge for group in links.values() for edge in group]
        assert [(e.source, e.target) for e in edges] == [(tasks["b"], tasks["a"])] * (cosine >= 0.7)
        assert all(edge.weight == pytest.approx(cosine, abs=1e-5) for edge in edges)
        assert float(rows[0] @ rows[2]) < 0.7
