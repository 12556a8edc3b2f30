"""Apps in the style of LangChain's tutorials gain a memory by one line, and are otherwise the same.

The apps are those of examples/langchain; examples/run.py swaps the line.
"""

from __future__ import annotations

import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor

import pytest
from example_apps import EXAMPLES, changed, elsewhere, killed, module_at, run
from langchain.agents import create_agent
from langgraph.checkpoint.memory import InMemorySaver
from scripted_langchain import Scripted

from langchain_stepwell import StepwellMiddleware
from stepwell import Filter, Memory

APPS = ("agent", "graph", "rag", "history", "classic")
#: Those that put into a prompt what another conversation has told.
TELLING = ("agent", "graph", "classic")
TURNS = Filter(level=0)

# Two of the apps are made with what LangChain has deprecated: that is why they are here.
pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainDeprecationWarning")


real = module_at(EXAMPLES / "langchain" / "model.py")


@pytest.fixture
def app(monkeypatch):
    """Loads an app on a scripted model: what it defines, and the model."""

    def load(name, scope=None, answers=()):
        model = Scripted(answers=list(answers))
        stand_in = types.ModuleType("model")
        stand_in.chat_model = lambda: model
        stand_in.embeddings = real.embeddings
        monkeypatch.setitem(sys.modules, "model", stand_in)
        return run.load("langchain", name, scope), model

    return load


@pytest.fixture
def memory():
    with Memory.open(":memory:") as memory:
        yield memory


@pytest.mark.parametrize("name", APPS)
def test_one_line_is_swapped(name):
    lines = changed("langchain", name)
    assert [line[0] for line in lines] == ["-", "+"]
    assert "Stepwell" in lines[1]


# (a) the same app ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", APPS)
def test_with_nothing_else_remembered_the_model_gets_what_it_got(app, memory, name):
    texts = ["How is the weather?"] if name in {"graph", "rag"} else ["Hi.", "How are you?", "Bye."]
    inputs = []
    for scope in (None, memory.scope("ann")):
        loaded, model = app(name, scope)
        for text in texts:
            loaded["say"](text, "monday")
        inputs.append(model.inputs)
    if name == "rag":  # notes of equal worth may come in another order
        inputs = [
            [sorted(str(sent[0]["data"]["content"]).split("\n")) for sent in each]
            for each in inputs
        ]
    assert inputs[0] == inputs[1]


@pytest.mark.parametrize("name", ["agent", "classic"])
def test_when_the_memory_is_late_the_model_gets_what_it_got(app, memory, name, monkeypatch):
    scope = memory.scope("ann")
    scope.remember("I moved to Oslo in May.")
    gate = threading.Event()
    monkeypatch.setattr(type(scope), "context", lambda *_, **__: gate.wait(30))
    loaded, model = app(name, scope)
    bare, other = app(name)
    begun = time.monotonic()
    for each in (loaded, bare):
        each["say"]("Where do I live?", "monday")
    assert time.monotonic() - begun < 10
    gate.set()
    assert model.inputs == other.inputs


# (b) it remembers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["agent", "graph", "history", "classic"])
def test_what_was_learned_is_known_after_a_restart(tmp_path, name):
    store = tmp_path / "a.db"
    elsewhere(store, "langchain", name, ("monday", run.TOLD[0]))
    later = "tuesday" if name in TELLING else "monday"
    (answer,) = elsewhere(store, "langchain", name, (later, run.ASKED))
    assert "I moved to Oslo in May" in answer


def test_notes_are_taken_in_once(app, memory):
    for _ in range(3):
        app("rag", memory.scope("ann"))
    assert memory.scope("ann").count(TURNS) == 3


# (c) nothing grows, nothing leaks back ------------------------------------------------------------


@pytest.mark.parametrize("name", ["agent", "classic"])
def test_a_long_conversation_has_one_quotation_and_it_is_nowhere_else(app, memory, name):
    scope = memory.scope("ann")
    scope.remember("The harbour is closed in winter.", session="before")
    loaded, model = app(name, scope)
    bare, other = app(name)
    for n in range(15):
        for each in (loaded, bare):
            each["say"](f"When is the harbour closed, and why? {n}", "monday")
    assert {text.count("quoted as data") for text in model.texts} == {1}
    assert [len(sent) for sent in model.sent] == [len(sent) for sent in other.sent]
    assert not [turn for turn in scope.records(limit=1000) if "quoted as data" in turn.text]
    assert scope.count(TURNS) == 1 + 2 * 15
    if name == "agent":
        config = {"configurable": {"thread_id": "monday"}}
        state = loaded["agent"].get_state(config).values["messages"]
        assert "quoted as data" not in str(state)


# (d) many users -----------------------------------------------------------------------------------


def test_a_hundred_users_never_mix_and_their_threads_share_what_they_said():
    users, threads = 100, 20
    with Memory.open(":memory:", embedder=None) as memory:
        scope, model = memory.scope("app"), Scripted()
        middleware = StepwellMiddleware(scope, per_user=True, budget=300, deadline=30, patience=60)
        agent = create_agent(model, middleware=[middleware], checkpointer=InMemorySaver())

        def say(user, thread, text):
            config = {"configurable": {"thread_id": f"{user}/{thread}", "user_id": f"u{user}"}}
            agent.invoke({"messages": [("user", text)]}, config)

        def talk(user):
            for thread in range(threads):
                say(user, thread, f"The secret of owner{user} is code{user}x{thread}.")
            say(user, 0, f"What is the secret of owner{user}?")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(talk, range(users)))
        assert middleware.tally.unrecorded == middleware.tally.unanswered == 0
        told = [text for text in model.texts if "What is the secret" in text]
        assert len(told) == users
        for text in model.texts:
            assert (
                len(
                    {
                        word.split("x")[0]
                        for word in text.replace(".", " ").split()
                        if word.startswith("code")
                    }
                )
                == 1
            )
        for user in range(users):
            mine = scope.within(f"u{user}")
            assert mine.count(TURNS) == 2 * (threads + 1)
            assert mine.count(TURNS & Filter(session=f"{user}/7")) == 2
        # Threads share: at the end everybody is told of other threads.
        assert sum(text.count(".") > 5 for text in told) == users


# (e) kill -9 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["agent", "graph", "history", "classic"])
def test_nothing_that_was_answered_is_lost_by_a_kill(tmp_path, name):
    answered = killed(tmp_path / "a.db", "langchain", name, least=20)
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        scope = memory.scope("ann")
        said = {turn.text for turn in scope.records(TURNS, limit=10_000)}
        said |= {document.value["text"] for document in scope.documents.search(limit=10_000)}
        assert {f"This is number {n} of them" for n in range(answered + 1)} <= said
        assert memory.check().ok


# (f) trouble --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["agent", "rag", "history", "classic"])
def test_a_closed_store_breaks_no_app_and_what_was_lost_is_logged(app, name, caplog):
    memory = Memory.open(":memory:")
    loaded, model = app(name, memory.scope("ann"))
    loaded["say"]("Hi.", "monday")
    memory.close()
    for text in ("Are you there?", "Still?"):
        assert loaded["say"](text, "monday") == "I see."
    assert len(model.sent) == 3
    assert "StoreClosed" in caplog.text
    if name != "rag":
        assert "were not recorded" in caplog.text
    assert "Are you there" not in caplog.text
