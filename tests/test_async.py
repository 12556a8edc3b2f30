"""AsyncMemory: the same verbs, a loop that is never blocked, and cancelling that tears nothing."""

import asyncio
import inspect
import random

import pytest

from stepwell import AsyncMemory, Memory, Turn
from stepwell.aio import AsyncDocuments, AsyncPast, AsyncScope, AsyncTask
from stepwell.memory import Documents, Past, Scope, Task

PAIRS = [
    (Memory, AsyncMemory),
    (Scope, AsyncScope),
    (Past, AsyncPast),
    (Documents, AsyncDocuments),
    (Task, AsyncTask),
]


def verbs(face):
    """Public names of a class."""
    return {name for name in vars(face) if not name.startswith("_")}


@pytest.mark.parametrize(("face", "other"), PAIRS)
def test_every_verb_is_there_twice_with_the_same_parameters(face, other):
    assert verbs(face) <= verbs(other)
    assert verbs(other) - verbs(face) <= {"sync", "goal", "id"}
    for name in verbs(face):
        one, two = getattr(face, name), getattr(other, name)
        if callable(one):
            ours = [p for p in inspect.signature(one).parameters if p not in ("self", "cls")]
            theirs = [p for p in inspect.signature(two).parameters if p not in ("self", "cls")]
            assert theirs in (ours, ["args", "kwargs"]), name


def test_the_verbs_answer_as_the_sync_ones_do(tmp_path):
    async def story():
        async with AsyncMemory.open(tmp_path / "a.db", embedder=None) as memory:
            alice = memory.scope("acme", "alice")
            await alice.remember("The ferry leaves at noon.", id="t1", actor="Alice")
            await alice.remember_many([Turn(id="t2", text="Bring bread.", actor="Bob")])
            assert (await alice.recall("When does the ferry leave?"))[0].record.turn == "t1"
            assert "noon" in (await alice.context("ferry", budget=200)).text
            assert (await alice.get("t2")).text == "Bring bread."
            await alice.documents.put(("a",), "k", {"v": 1})
            assert (await alice.documents.get(("a",), "k")).value == {"v": 1}
            async with alice.task("cross the fjord") as task:
                await task.remember("bought tickets")
                await task.outcome(1.0)
            assert (await alice.consolidate()).ok
            assert (await alice.forget("t1")).complete
            assert (await memory.check()).ok
        opened = await AsyncMemory.open(tmp_path / "a.db", embedder=None)
        assert await opened.scope("acme", "alice").get("t1") is None
        await opened.close()

    asyncio.run(story())


def test_the_loop_goes_on_while_thousands_of_turns_are_stored(tmp_path):
    async def story():
        async with AsyncMemory.open(tmp_path / "a.db", embedder=None) as memory:
            turns = [Turn(text=f"turn number {i} of many others") for i in range(20_000)]
            storing = asyncio.create_task(memory.scope("a").remember_many(turns))
            beats, longest = 0, 0.0
            loop = asyncio.get_running_loop()
            while not storing.done():
                begun = loop.time()
                await asyncio.sleep(0.005)
                longest = max(longest, loop.time() - begun)
                beats += 1
            assert len((await storing).stored) == 20_000
            # Threads take turns, so a beat may be late; a blocked loop would have none at all.
            assert beats > 20
            assert longest < 1.0

    asyncio.run(story())


def test_a_cancelled_verb_is_wholly_there_or_not(tmp_path):
    draw = random.Random(5)

    async def story():
        async with AsyncMemory.open(tmp_path / "a.db", embedder=None) as memory:
            scope = memory.scope("a")
            for number in range(200):
                ids = [f"{number}-{i}" for i in range(draw.choice((1, 1, 30)))]
                turns = [Turn(id=i, text=f"said in {i}") for i in ids]
                storing = asyncio.create_task(scope.remember_many(turns))
                await asyncio.sleep(draw.choice((0, 0, 0.0005, 0.002)))
                storing.cancel()
                try:
                    await storing
                    acknowledged = True
                except asyncio.CancelledError:
                    acknowledged = False
                there = [await scope.get(i) is not None for i in ids]
                assert all(there) or not any(there) or not acknowledged
                if acknowledged:
                    assert all(there)
        with Memory.open(tmp_path / "a.db", embedder=None) as memory:
            scope = memory.scope("a")
            batches: dict[str, set[str]] = {}
            for record in scope.records(limit=10_000):
                batches.setdefault(record.turn.split("-")[0], set()).add(record.turn)
            assert {len(batch) for batch in batches.values()} <= {1, 30}
            assert memory.check().ok

    asyncio.run(story())
