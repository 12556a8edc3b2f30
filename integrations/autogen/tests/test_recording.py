"""What a team says is recorded once, with who had heard what, for each kind of team."""

from __future__ import annotations

import json

import pytest
from autogen_agentchat.agents import AssistantAgent, SocietyOfMindAgent, UserProxyAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.conditions import (
    HandoffTermination,
    MaxMessageTermination,
)
from autogen_agentchat.messages import HandoffMessage, MultiModalMessage, TextMessage
from autogen_agentchat.teams import (
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from autogen_core import Image
from PIL import Image as Picture
from scripted_autogen import agent, answers, call, turns

from autogen_stepwell import StepwellRuntime, attach, observe
from stepwell import Filter, Memory

TURNS = Filter(level=0)


@pytest.fixture
def memory():
    with Memory.open(":memory:", embedder=None) as memory:
        yield memory


@pytest.fixture
def scope(memory):
    return memory.scope("team")


def records(scope):
    return scope.records(TURNS, limit=100_000)


def edges(scope):
    """Who said what, and what that answers."""
    found = records(scope)
    texts = {record.turn: record.text.strip().split("\n")[0] for record in found}
    return [
        (r.actor, texts[r.turn], [texts[name] for name in r.upstream])
        for r in found
    ]  # fmt: skip


def ledger(done, speaker, *, stuck=False):
    told = {
        "is_request_satisfied": done,
        "is_in_loop": stuck,
        "is_progress_being_made": not stuck,
        "next_speaker": speaker,
        "instruction_or_question": f"Go on, {speaker}.",
    }
    return json.dumps({name: {"reason": "so", "answer": each} for name, each in told.items()})


def round_robin(**options):
    stop = MaxMessageTermination(4)
    return RoundRobinGroupChat([agent("a"), agent("b")], termination_condition=stop, **options)


def selector(**options):
    stop = MaxMessageTermination(4)
    return SelectorGroupChat(
        [agent("a"), agent("b")], answers("b", "a", "b"), termination_condition=stop, **options
    )


def swarm(**options):
    a = AssistantAgent("a", answers(call("transfer_to_b"), "a 1"), handoffs=["b"])
    b = AssistantAgent("b", answers("b 0", call("transfer_to_a")), handoffs=["a"])
    return Swarm([a, b], termination_condition=MaxMessageTermination(5), **options)


def graph(**options):
    a, b, c, d = (agent(name) for name in "abcd")
    made = DiGraphBuilder()
    for node in (a, b, c, d):
        made.add_node(node)
    made.add_edge(a, b).add_edge(a, c).add_edge(b, d).add_edge(c, d)
    return GraphFlow([a, b, c, d], made.build(), **options)


def magentic(**options):
    steps = (ledger(False, "a"), ledger(False, "b"), ledger(True, "b"))
    model = answers("facts", "plan", *steps, "So.")
    return MagenticOneGroupChat([agent("a"), agent("b")], model, **options)


ONE = "Transferred to b, adopting the role of b immediately."
TWO = "Transferred to a, adopting the role of a immediately."
PLAN = "We are working to address the following user request:"
BOSS = "MagenticOneOrchestrator"
EXPECTED = {
    round_robin: [
        ("user", "Go.", []),
        ("a", "a 0", ["Go."]),
        ("b", "b 0", ["Go.", "a 0"]),
        ("a", "a 1", ["b 0"]),
    ],
    selector: [
        ("user", "Go.", []),
        ("b", "b 0", ["Go."]),
        ("a", "a 0", ["Go.", "b 0"]),
        ("b", "b 1", ["a 0"]),
    ],
    swarm: [
        ("user", "Go.", []),
        ("a", ONE, ["Go."]),
        ("b", "b 0", ["Go.", ONE]),
        ("b", TWO, []),
        ("a", "a 1", ["b 0", TWO]),
    ],
    graph: [
        ("user", "Go.", []),
        ("a", "a 0", ["Go."]),
        ("b", "b 0", ["Go.", "a 0"]),
        ("c", "c 0", ["Go.", "a 0"]),
        ("d", "d 0", ["Go.", "a 0", "b 0", "c 0"]),
    ],
    magentic: [
        ("user", "Go.", []),
        (BOSS, PLAN, ["Go."]),
        (BOSS, "Go on, a.", []),
        ("a", "a 0", [PLAN, "Go on, a."]),
        (BOSS, "Go on, b.", ["a 0"]),
        ("b", "b 0", [PLAN, "Go on, a.", "a 0", "Go on, b."]),
        (BOSS, "So.", ["b 0"]),
    ],
}
KINDS = pytest.mark.parametrize("kind", EXPECTED, ids=lambda kind: kind.__name__)


@KINDS
async def test_attached_each_kind_is_recorded(scope, kind):
    team = kind()
    with attach(team, scope) as attached:
        await team.run(task="Go.")
        assert edges(scope) == EXPECTED[kind]  # all is there when the run returns
    told = attached.recording
    assert (told.recorded, told.unrecorded, told.waiting) == (len(EXPECTED[kind]), 0, 0)
    assert [r.step for r in records(scope)][1:] == list(range(1, len(EXPECTED[kind])))
    (task,) = told.tasks
    goal, *said = records(scope)
    assert goal.turn == task
    assert {record.task for record in said} == {task}
    assert len({r.session for r in records(scope)}) == 1


@KINDS
async def test_by_its_runtime_each_kind_is_recorded(scope, kind):
    runtime = StepwellRuntime(scope)
    await kind(runtime=runtime).run(task="Go.")
    assert edges(scope) == EXPECTED[kind]
    await runtime.stop()
    assert runtime.recorder.recording().unrecorded == 0


@KINDS
async def test_on_its_stream_each_kind_is_recorded_as_attached(scope, kind):
    seen = [message async for message in observe(kind().run_stream(task="Go."), scope)]
    bare = [message async for message in kind().run_stream(task="Go.")]
    assert isinstance(seen[-1], TaskResult)
    assert [type(message) for message in seen] == [type(message) for message in bare]
    assert edges(scope) == EXPECTED[kind]


@pytest.mark.parametrize("kind", [round_robin, selector, swarm], ids=lambda kind: kind.__name__)
async def test_of_a_wrapped_stream_the_order_tells(scope, kind):
    async def wrapped():
        async for message in kind().run_stream(task="Go."):
            yield message

    async for _ in observe(wrapped(), scope):
        pass
    assert edges(scope) == EXPECTED[kind]


def nested(inner_runtime=None, runtime=None):
    options = {} if inner_runtime is None else {"runtime": inner_runtime}
    inner = RoundRobinGroupChat([agent("a"), agent("b")], max_turns=2, name="inner", **options)
    options = {} if runtime is None else {"runtime": runtime}
    return RoundRobinGroupChat([agent("a"), inner, agent("c")], max_turns=5, **options)


NESTED = [
    ("user", "Go.", []),
    ("a", "a 0", ["Go."]),
    ("a", "a 0", ["Go.", "a 0"]),  # … of the team within, of the same name
    ("b", "b 0", ["Go.", "a 0", "a 0"]),
    ("c", "c 0", ["Go.", "a 0", "a 0", "b 0"]),
    ("a", "a 1", ["a 0", "b 0", "c 0"]),
    ("a", "a 1", ["b 0", "c 0", "a 1"]),
    ("b", "b 1", ["c 0", "a 1", "a 1"]),
]


@pytest.mark.parametrize("way", ["attach", "one runtime", "outer runtime"])
async def test_teams_within_teams_are_one_run_and_everything_is_there_once(scope, way):
    if way == "attach":
        team = nested()
        attach(team, scope)
    else:
        runtime = StepwellRuntime(scope)
        team = nested(runtime if way == "one runtime" else None, runtime)
    await team.run(task="Go.")
    assert edges(scope) == NESTED
    assert {record.task for record in records(scope)[1:]} == {records(scope)[0].turn}
    assert len({record.session for record in records(scope)}) == 1
    within = [r.payload.get("team") for r in records(scope)][1:]
    if way == "attach":
        assert within == [None, "inner", "inner", None, None, "inner", "inner"]


async def test_a_team_inside_of_an_agent_is_heard(scope):
    inner = RoundRobinGroupChat([agent("x")], max_turns=1)
    mind = SocietyOfMindAgent("mind", team=inner, model_client=answers("In short: x."))
    team = RoundRobinGroupChat([mind], max_turns=1)
    with attach(team, scope):
        await team.run(task="Go.")
    assert [(actor, text) for actor, text, _ in edges(scope)] == [
        ("user", "Go."),
        ("x", "x 0"),
        ("mind", "In short: x."),
    ]


async def test_each_run_is_a_task_and_what_was_not_read_yet_is_read_in_the_next(scope):
    team = RoundRobinGroupChat([agent("a"), agent("b")], max_turns=1)
    with attach(team, scope) as attached:
        await team.run(task="One.")
        await team.run(task="Two.")
        await team.reset()
        await team.run(task="Three.")
    assert edges(scope) == [
        ("user", "One.", []),
        ("a", "a 0", ["One."]),
        ("user", "Two.", []),
        ("b", "b 0", ["One.", "a 0", "Two."]),
        ("user", "Three.", []),
        ("a", "a 1", ["Three."]),
    ]
    assert len(attached.recording.tasks) == 3
    assert len({record.session for record in records(scope)}) == 3


async def test_a_run_without_a_task_goes_on_with_the_one_before(scope):
    team = RoundRobinGroupChat([agent("a"), agent("b")], max_turns=1)
    with attach(team, scope, session="monday") as attached:
        await team.run(task="One.")
        await team.run()
    assert edges(scope)[2] == ("b", "b 0", ["One.", "a 0"])
    assert len(attached.recording.tasks) == 1
    assert [record.step for record in records(scope)] == [0, 1, 2]
    assert {record.session for record in records(scope)} == {"monday"}


@pytest.mark.parametrize("task", [None, "", "  "])
async def test_a_team_without_a_task_is_recorded_all_the_same(scope, task):
    team = RoundRobinGroupChat([agent("a")], max_turns=2)
    with attach(team, scope) as attached:
        await team.run(task=task)
    assert turns(scope)[-2:] == ["a 0", "a 1"]
    assert attached.recording.unrecorded == 0
    assert attached.recording.tasks == ()
    assert attached.task is None


async def test_the_goal_is_a_turn_as_it_was_sent(scope):
    picture = Image.from_pil(Picture.new("RGB", (4, 4), "red"))
    asked = MultiModalMessage(
        content=["What is this?", picture], source="user", metadata={"n": "7"}
    )
    before = TextMessage(content="Look at it well.", source="helper")
    team = RoundRobinGroupChat([agent("a")], max_turns=1)
    with attach(team, scope) as attached:
        await team.run(task=[before, asked])
    first, goal, said = records(scope)
    if first.turn == attached.task.id:
        first, goal = goal, first
    assert (goal.turn, goal.actor, goal.role, goal.step) == (attached.task.id, "user", "user", 1)
    assert len(goal.attachments) == 1
    assert goal.said_at == asked.created_at
    assert (first.actor, first.step, said.step) == ("helper", 0, 2)


async def test_the_outcome_is_the_users_to_tell(scope):
    team = round_robin()
    with attach(team, scope) as attached:
        await team.run(task="Go.")
    attached.task.outcome(0.5)
    (task,) = [r for r in scope.records(limit=100) if r.kind.value == "task"]
    assert task.payload["outcome"] == 0.5


async def test_several_messages_are_one_task(scope):
    team = RoundRobinGroupChat([agent("a")], max_turns=1)
    asked = [TextMessage(content="The ferry is late.", source="sensor")]
    asked += [TextMessage(content="Rebook the trip.", source="user")]
    with attach(team, scope):
        await team.run(task=asked)
    found = {record.text: record for record in records(scope)}
    assert len(found) == 3
    names = {found["The ferry is late."].turn, found["Rebook the trip."].turn}
    assert set(found["a 0"].upstream) == names
    assert found["a 0"].task == found["Rebook the trip."].turn
    assert found["The ferry is late."].actor == "sensor"


async def test_a_handoff_tells_to_whom_and_goes_on_when_the_user_answers(scope):
    a = AssistantAgent("a", answers(call("transfer_to_user"), "Done."), handoffs=["user"])
    team = Swarm([a], termination_condition=HandoffTermination("user") | MaxMessageTermination(2))
    with attach(team, scope):
        await team.run(task="Book it.")
        await team.run(task=HandoffMessage(content="The red one.", source="user", target="a"))
    found = records(scope)
    assert found[1].payload["handoff"] == "user"
    assert [record.text for record in found][2:] == ["The red one.", "Done."]
    assert [edge[2] for edge in edges(scope)][3] == ["The red one."]


async def test_what_tools_did_stands_beside_what_was_said(scope):
    def weather(city: str) -> str:
        """The weather."""
        return f"It rains in {city}."

    helper = AssistantAgent(
        "helper", answers(call("weather", '{"city": "Oslo"}'), "Take a coat."), tools=[weather],
        reflect_on_tool_use=True,
    )  # fmt: skip
    team = RoundRobinGroupChat([helper], max_turns=1)
    with attach(team, scope):
        await team.run(task="Coat?")
    last = records(scope)[-1]
    assert last.text == "Take a coat."
    assert last.action == 'weather({"city": "Oslo"})'
    assert last.observation == "It rains in Oslo."


async def test_a_person_in_the_team_is_a_user(scope):
    person = UserProxyAgent("boss", input_func=lambda _: "Make it blue.")
    team = RoundRobinGroupChat([agent("a"), person], max_turns=2)
    with attach(team, scope):
        await team.run(task="Paint it.")
    said = records(scope)[-1]
    assert (said.actor, said.role, said.origin.value) == ("boss", "user", "user")


async def test_images_are_kept_by_reference_and_large_messages_whole(scope):
    image = Image.from_pil(Picture.new("RGB", (64, 64), "red"))
    large = "word " * 200_000
    team = RoundRobinGroupChat([AssistantAgent("a", answers(large))], max_turns=1)
    task = MultiModalMessage(content=["Which door?", image], source="user")
    with attach(team, scope):
        await team.run(task=[task, TextMessage(content="Look.", source="user")])
    found = {record.text[:11]: record for record in records(scope)}
    shown = found["Which door?"]
    assert shown.text == "Which door?\n[image]"
    assert [each.ref for each in shown.attachments] == [f"autogen:message/{task.id}/1"]
    assert records(scope)[-1].text == large


async def test_a_hundred_agents_are_recorded(scope):
    team = RoundRobinGroupChat([agent(f"agent{n}") for n in range(100)], max_turns=120)
    with attach(team, scope) as attached:
        await team.run(task="Go.")
    assert attached.recording.recorded == 121
    found = records(scope)
    assert [len(record.upstream) for record in found] == [*range(101), *[99] * 20]
