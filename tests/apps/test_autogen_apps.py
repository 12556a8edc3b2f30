"""Teams in the style of AutoGen's tutorials gain a memory by one line, and are otherwise the same.

The apps are those of examples/autogen; `run.py` there swaps the line.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
import types

import pytest
from example_apps import EXAMPLES, changed, elsewhere, killed, run
from scripted_autogen import answers, sent, stalled, texts, turns

from stepwell import Filter, Memory

APPS = ("pair", "critic", "graph")
#: Those that put into a prompt what another conversation has told; the graph is recorded.
TELLING = ("pair", "critic")
TURNS = Filter(level=0)


@pytest.fixture
def app(monkeypatch):
    """Loads an app on scripted clients: how to speak to it, and the clients it has made."""

    def load(name, scope=None):
        clients = []

        def client():
            clients.append(answers(*["I see."] * 5))
            return clients[-1]

        stand_in = types.ModuleType("model")
        stand_in.chat_client = client
        monkeypatch.setitem(sys.modules, "model", stand_in)
        loaded = run.load("autogen", name, scope)
        return (lambda text: run.say(loaded, text, "monday")), clients

    return load


@pytest.fixture
def memory():
    with Memory.open(":memory:", embedder=None) as memory:
        yield memory


def prompts(clients):
    return [sent(client) for client in clients]


@pytest.mark.parametrize("name", APPS)
def test_one_line_is_swapped(name):
    changes = changed("autogen", name)
    assert [line[0] for line in changes] == ["-", "+"]
    assert "Stepwell" in changes[1]


# (a) the same app ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", APPS)
def test_with_nothing_else_remembered_the_models_get_what_they_got(app, memory, name):
    got = []
    for scope in (None, memory.scope("ann")):
        say, clients = app(name, scope)
        assert say("How is the weather?") == "I see."
        got.append(prompts(clients))
    assert got[0] == got[1]


@pytest.mark.parametrize("name", TELLING)
def test_when_the_memory_is_late_the_models_get_what_they_got(app, memory, name, monkeypatch):
    scope = memory.scope("ann")
    scope.remember("I moved to Oslo in May.")
    gate = stalled(monkeypatch, scope, "context")
    (say, ours), (bare, others) = app(name, scope), app(name)
    begun = time.monotonic()
    say("Where do I live?")
    assert time.monotonic() - begun < 10
    bare("Where do I live?")
    gate.set()
    assert prompts(ours) == prompts(others)


# (b) it remembers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TELLING)
def test_what_was_learned_is_known_after_a_restart(tmp_path, name):
    store = tmp_path / "a.db"
    elsewhere(store, "autogen", name, ("monday", run.TOLD[0]))
    (answer,) = elsewhere(store, "autogen", name, ("tuesday", run.ASKED))
    assert "I moved to Oslo in May" in answer


def test_who_had_heard_whom_is_known_of_every_run(app, memory):
    scope = memory.scope("ann")
    say, _ = app("graph", scope)
    for text in ("Plan the trip.", "Plan the way back."):
        say(text)
    found = scope.records(TURNS, limit=100)
    names = {turn.turn: turn.actor or "user" for turn in found}
    heard = [(names[turn.turn], [names[name] for name in turn.upstream]) for turn in found]
    once = [
        ("user", []),
        ("planner", ["user"]),
        ("hopeful", ["user", "planner"]),
        ("doubtful", ["user", "planner"]),
        ("editor", ["user", "planner", "hopeful", "doubtful"]),
    ]
    assert heard == once + once
    assert {turn.session for turn in found} == {"monday"}


# (c) nothing grows, (d) nothing leaks back --------------------------------------------------------


@pytest.mark.parametrize("name", TELLING)
def test_in_many_conversations_there_is_one_quotation_and_it_is_nowhere_else(app, memory, name):
    scope = memory.scope("ann")
    scope.remember("The harbour is closed in winter.", session="before")
    say, clients = app(name, scope)
    bare, others = app(name)
    for n in range(10):
        say(f"When is the harbour closed, and why? {n}")
        bare(f"When is the harbour closed, and why? {n}")
    told = [text.count("quoted as data") for client in clients for text in texts(client)]
    assert set(told) == {0, 1}
    ours, theirs = ([len(p) for each in prompts(x) for p in each] for x in (clients, others))
    assert {a - b for a, b in zip(ours, theirs, strict=True)} == {0, 1}
    assert not [text for text in turns(scope) if "quoted as data" in text]


# (e) many users -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TELLING)
def test_users_who_talk_at_the_same_time_never_mix(app, name, monkeypatch, memory):
    users, clients = 20, {}

    def of(user):
        stand_in = types.ModuleType("model")
        clients[user] = []

        def client():
            clients[user].append(answers(*["I see."] * 5))
            return clients[user][-1]

        stand_in.chat_client = client
        monkeypatch.setitem(sys.modules, "model", stand_in)
        return run.load("autogen", name, memory.scope("app", f"u{user}"))

    apps = {user: of(user) for user in range(users)}

    async def talk(user):
        for n in range(3):
            await apps[user]["say"](f"The secret of owner{user} is code{user}x{n}.", "monday")
        await apps[user]["say"](f"What is the secret of owner{user}?", "tuesday")

    async def all_of_them():
        await asyncio.gather(*(talk(user) for user in range(users)))

    asyncio.run(all_of_them())
    for user in range(users):
        said = "\n".join(text for client in clients[user] for text in texts(client))
        assert set(re.findall(r"code(\d+)x", said)) == {str(user)}
        asked = [t for c in clients[user] for t in texts(c) if "What is the secret" in t]
        assert any("code" in text for text in asked)


# (f) kill -9, and other trouble -------------------------------------------------------------------


@pytest.mark.parametrize("name", APPS)
def test_nothing_that_was_answered_is_lost_by_a_kill(tmp_path, name):
    answered = killed(tmp_path / "a.db", "autogen", name, 15)
    assert answered >= 15
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        said = set(turns(memory.scope("ann")))
        assert {f"This is number {n} of them" for n in range(answered + 1)} <= said
        assert memory.check().ok


@pytest.mark.parametrize("name", APPS)
def test_a_closed_store_breaks_no_app_and_what_was_lost_is_logged(app, name, caplog):
    memory = Memory.open(":memory:", embedder=None)
    say, _ = app(name, memory.scope("ann"))
    say("Hi.")
    memory.close()
    for text in ("Are you there?", "Still?"):
        assert say(text) == "I see."
    assert "StoreClosed" in caplog.text
    assert "were not recorded" in caplog.text
    ours = [r.getMessage() for r in caplog.records if r.name == "autogen_stepwell"]
    assert not [line for line in ours if "Are you there" in line]


def test_the_second_run_is_given_what_the_first_one_learned():
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / "autogen" / "twice.py"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.split("Task: ")[1:]
    assert "is given" not in first
    for role in ("planner", "checker"):
        assert re.search(rf"{role} is given, by .*: checker: The early ferry does not run", second)
    assert "planner: user\n  checker: user, planner" in second
