"""What an app of one framework records, those of the others recall, through one file."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from itertools import permutations

import pytest
from example_apps import elsewhere, run

from stepwell import Filter, Memory

APPS = [("autogen", "pair"), ("langchain", "agent"), ("llamaindex", "agent")]
TURNS = Filter(level=0)


@pytest.mark.parametrize(("teller", "asker"), list(permutations(APPS, 2)))
def test_what_one_framework_was_told_another_knows(tmp_path, teller, asker):
    store = tmp_path / "a.db"
    elsewhere(store, *teller, ("monday", run.TOLD[0]))
    (answer,) = elsewhere(store, *asker, ("tuesday", run.ASKED))
    assert "I moved to Oslo in May" in answer


TALK = """
    import sys, time
    framework, name, store, mine, theirs = sys.argv[1:]
    scope = Memory.open(store, embedder=None).scope("ann")
    app = run.load(framework, name, scope)
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(12):
        run.say(app, f"The {mine} has number {n}.", f"{mine} {n}")
    # The other is still at it, or has done: in time its last word is known here.
    for _ in range(600):
        if any(hit.text == f"The {theirs} has number 11." for hit in scope.recall(theirs, k=50)):
            print(run.say(app, f"Is {theirs} number 11?", f"{mine} asks") and "known", flush=True)
            break
        time.sleep(0.05)
"""


def test_apps_of_several_frameworks_run_on_one_file_at_the_same_time(tmp_path):
    store = tmp_path / "a.db"
    prepare = textwrap.dedent(f"""
        import importlib.util, warnings
        from stepwell import Memory
        spec = importlib.util.spec_from_file_location("run", {run.__file__!r})
        run = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(run)
    """)
    things = ["otter", "heron", "ferry"]
    processes = [
        subprocess.Popen(
            [
                sys.executable, "-W", "ignore", "-c", prepare + textwrap.dedent(TALK),
                *app, str(store), thing, things[(number + 1) % len(things)],
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        for number, (app, thing) in enumerate(zip(APPS, things, strict=True))
    ]  # fmt: skip
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    told = [process.communicate(timeout=120)[0] for process in processes]
    assert told == ["known\n"] * len(APPS)
    with Memory.open(store, embedder=None) as memory:
        said = {turn.text for turn in memory.scope("ann").records(TURNS, limit=10_000)}
        assert {f"The {thing} has number {n}." for thing in things for n in range(12)} <= said
        assert memory.check().ok
