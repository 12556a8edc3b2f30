"""Whatever becomes of the memory, a team says what it would say, and waits within bounds."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest
from autogen_agentchat.messages import TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from scripted_autogen import agent, stalled, turns

from autogen_stepwell import StepwellRuntime, attach, observe
from autogen_stepwell.recorder import TeamRecorder
from stepwell import Filter, Memory


@pytest.fixture
def scope(tmp_path):
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        yield memory.scope("team")


def team(**options):
    return RoundRobinGroupChat([agent("secret_a"), agent("secret_b")], max_turns=4, **options)


def boom(*_, **__):
    raise RuntimeError("words of a secret")


async def ran(one, task="Go with a secret."):
    begun = time.monotonic()
    result = await one.run(task=task)
    assert [message.source for message in result.messages] == [
        "user", "secret_a", "secret_b", "secret_a", "secret_b",
    ]  # fmt: skip
    return time.monotonic() - begun


@pytest.mark.parametrize("way", ["attach", "runtime", "observe"])
@pytest.mark.parametrize("trouble", ["closed", "raises"])
async def test_with_a_memory_that_fails_nothing_is_lost_but_what_is_counted(
    scope, trouble, way, monkeypatch, caplog
):
    caplog.set_level(logging.WARNING)
    if trouble == "closed":
        scope.close()
    else:
        monkeypatch.setattr(type(scope), "task", boom)
    if way == "attach":
        one = team()
        with attach(one, scope) as attached:
            assert await ran(one) < 3
        recording = attached.recording
    elif way == "runtime":
        runtime = StepwellRuntime(scope)
        assert await ran(team(runtime=runtime)) < 3
        recording = runtime.recorder.recording()
    else:
        seen = [m async for m in observe(team().run_stream(task="Go with a secret."), scope)]
        assert len(seen) == 6
        recording = None
    assert recording is None or (recording.recorded, recording.unrecorded) == (0, 5)
    assert caplog.text.count("1 turns were not recorded") == 5
    ours = [r.getMessage() for r in caplog.records if r.name == "autogen_stepwell"]
    assert not [line for line in ours if "secret" in line]


async def test_with_a_memory_that_stalls_a_team_waits_once_and_no_longer(
    scope, monkeypatch, caplog
):
    gate = stalled(monkeypatch, scope, "task")
    one = team()
    attached = attach(one, scope, patience=0.5)
    first = await ran(one)
    second = await ran(one, "And again.")
    assert 0.4 < first < 3
    assert second < 0.4
    begun = time.monotonic()
    recording = attached.detach()
    assert time.monotonic() - begun < 0.4
    assert recording.recorded == 0
    assert recording.waiting == 10
    assert "turns are not recorded yet; they wait" in caplog.text
    gate.set()
    attached.flush(10)
    assert attached.recording.waiting == 0


async def test_the_teams_loop_goes_on_while_the_memory_stalls(scope, monkeypatch):
    gate = stalled(monkeypatch, scope, "task")
    one = team()
    attached = attach(one, scope, patience=0.5)
    gaps, last = [], time.monotonic()

    async def tick():
        nonlocal last
        while True:
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - last)
            last = time.monotonic()

    ticking = asyncio.create_task(tick())
    await ran(one)
    ticking.cancel()
    gate.set()
    attached.detach()
    assert len(gaps) > 20
    assert max(gaps) < 0.4


async def test_a_failure_in_between_costs_what_was_said_then(scope, monkeypatch):
    one = team()
    plain, calls = type(scope).task, []

    def once(self, *args, **options):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError
        return plain(self, *args, **options)

    monkeypatch.setattr(type(scope), "task", once)
    with attach(one, scope) as attached:
        await ran(one)
    assert turns(scope) == [
        "Go with a secret.",
        "secret_a 0",
        "secret_b 0",
        "secret_a 1",
        "secret_b 1",
    ]
    assert attached.recording.waiting == 0


@pytest.mark.parametrize("error", [ValueError, RecursionError, MemoryError])
async def test_a_message_that_cannot_be_read_is_counted_and_sent_on(
    scope, error, monkeypatch, caplog
):
    one = team()

    def unreadable(self):
        raise error("words of a secret")

    with attach(one, scope) as attached, monkeypatch.context() as patched:
        patched.setattr(TextMessage, "to_model_text", unreadable)
        await ran(one)
    assert attached.recording.recorded == 0
    assert attached.recording.unrecorded >= 5
    assert error.__name__ in caplog.text
    ours = [r.getMessage() for r in caplog.records if r.name == "autogen_stepwell"]
    assert not [line for line in ours if "secret" in line]


async def test_strangers_messages_are_left_alone(scope):
    recorder = TeamRecorder(scope)
    for message in (None, 7, object(), {"a": 1}, "GroupChatStart"):
        await recorder.published(message, "no topic", None)
        recorder.sent(message, "nobody")
    assert recorder.recording().unrecorded == 0


async def test_what_is_acknowledged_is_on_the_disk(tmp_path):
    path = tmp_path / "b.db"
    memory = Memory.open(path, embedder=None)
    one = team()
    attach(one, memory.scope("team"))
    await ran(one)
    with Memory.open(path, embedder=None, read_only=True) as other:
        assert len(turns(other.scope("team"))) == 5
    memory.close()


async def test_one_message_that_is_refused_takes_no_other_with_it(scope, monkeypatch):
    plain = type(scope.task("probe")).remember_many

    def picky(self, turns):
        if any("secret_b 0" in turn.text for turn in turns):
            raise ValueError
        return plain(self, turns)

    monkeypatch.setattr(type(scope.task("probe")), "remember_many", picky)
    with attach(one := team(), scope) as attached:
        await ran(one)
    assert turns(scope) == ["Go with a secret.", "secret_a 0", "secret_a 1", "secret_b 1"]
    assert (attached.recording.recorded, attached.recording.unrecorded) == (4, 1)
    last = scope.records(Filter(level=0))[-1]
    assert len(last.upstream) == 1  # what was not stored is not named
