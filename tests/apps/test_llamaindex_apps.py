"""Apps as in LlamaIndex's tutorials gain a memory by one line, and are otherwise the same.

The apps are those of examples/llamaindex; examples/run.py swaps the line.
"""

from __future__ import annotations

import gc
import sys
import types
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from example_apps import changed, elsewhere, killed, run
from llama_index.core.chat_engine import SimpleChatEngine
from scripted_llamaindex import Scripted

from llama_index.memory.stepwell import StepwellMemory
from stepwell import Filter, Memory

APPS = ("agent", "chat", "workflow", "rag")
TURNS = Filter(level=0)

pytestmark = [
    # LlamaIndex's own: pydantic's and SQLAlchemy's ways of it, and databases that it leaves open.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def swept():
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.fixture
def app(monkeypatch):
    """Loads an app on a scripted model: what it defines, and the model."""

    def load(name, scope=None):
        model = Scripted()
        stand_in = types.ModuleType("model")
        stand_in.llm = lambda: model.llm
        monkeypatch.setitem(sys.modules, "model", stand_in)
        return run.load("llamaindex", name, scope), model

    return load


@pytest.fixture
def memory():
    with Memory.open(":memory:") as memory:
        yield memory


@pytest.mark.parametrize("name", APPS)
def test_one_line_is_swapped(name):
    lines = changed("llamaindex", name)
    assert [line[0] for line in lines] == ["-", "+"]
    assert "Stepwell" in lines[1]


@pytest.mark.parametrize("name", APPS)
def test_with_nothing_else_remembered_the_model_gets_what_it_got(app, memory, name):
    sent = []
    for scope in (None, memory.scope("ann")):
        loaded, model = app(name, scope)
        for text in ("Hi.", "How are you?", "Bye."):
            run.say(loaded, text, "monday")
        sent.append(model.sent)
    assert sent[0] == sent[1]


@pytest.mark.parametrize("name", APPS)
def test_what_was_learned_is_known_after_a_restart(tmp_path, name):
    store = tmp_path / "a.db"
    elsewhere(store, "llamaindex", name, ("monday", run.TOLD[0]))
    (answer,) = elsewhere(store, "llamaindex", name, ("tuesday", run.ASKED))
    assert "I moved to Oslo in May" in answer


@pytest.mark.parametrize("name", APPS)
def test_a_long_conversation_has_one_quotation_and_it_is_nowhere_else(app, memory, name):
    scope = memory.scope("ann")
    scope.remember("The harbour is closed in winter.", session="before")
    loaded, model = app(name, scope)
    bare, other = app(name)
    for n in range(12):
        for each in (loaded, bare):
            run.say(each, f"When is the harbour closed, and why? {n}", "monday")
    assert {text.count("quoted as data") for text in model.texts} == {1}
    grown = [len(mine) - len(theirs) for mine, theirs in zip(model.sent, other.sent, strict=True)]
    assert set(grown) <= {0, 1}
    assert not [turn for turn in scope.records(limit=1000) if "quoted as data" in turn.text]
    assert scope.count(TURNS) == 1 + 2 * 12


def test_a_hundred_users_never_mix_and_their_sessions_share_what_they_said():
    users, sessions = 100, 20
    with Memory.open(":memory:", embedder=None) as store:
        app, model = store.scope("app"), Scripted()

        def say(user, session, text):
            memory = StepwellMemory.from_scope(
                app.within(f"u{user}"), session_id=f"{session}", budget=300, deadline=30,
                patience=60,
            )  # fmt: skip
            SimpleChatEngine.from_defaults(llm=model.llm, memory=memory).chat(text)
            assert memory.tally.unrecorded == memory.tally.unanswered == 0

        def talk(user):
            for session in range(sessions):
                say(user, session, f"The secret of owner{user} is code{user}x{session}.")
            say(user, 0, f"What is the secret of owner{user}?")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(talk, range(users)))
        told = [text for text in model.texts if "What is the secret" in text]
        assert len(told) == users
        for text in model.texts:
            codes = [word for word in text.split() if word.startswith("code")]
            assert len({code.split("x")[0] for code in codes}) == 1
        for user in range(users):
            mine = app.within(f"u{user}")
            assert mine.count(TURNS) == 2 * (sessions + 1)
            assert mine.count(TURNS & Filter(session="7")) == 2
        assert all(text.count("code") > 1 for text in told)


@pytest.mark.parametrize("name", ["agent", "chat"])
def test_nothing_that_was_answered_is_lost_by_a_kill(tmp_path, name):
    answered = killed(tmp_path / "a.db", "llamaindex", name, least=15)
    with Memory.open(tmp_path / "a.db", embedder=None) as memory:
        said = {turn.text for turn in memory.scope("ann").records(TURNS, limit=10_000)}
        assert {f"This is number {n} of them" for n in range(answered + 1)} <= said
        assert memory.check().ok


@pytest.mark.parametrize("name", APPS)
def test_a_closed_store_breaks_no_app_and_what_was_lost_is_logged(app, name, caplog):
    memory = Memory.open(":memory:")
    loaded, model = app(name, memory.scope("ann"))
    run.say(loaded, "Hi.", "monday")
    memory.close()
    for text in ("Are you there?", "Still?"):
        assert run.say(loaded, text, "monday") == "I see."
    assert len(model.sent) == 3
    assert "StoreClosed" in caplog.text
    assert "were not recorded" in caplog.text
    assert "Are you there" not in caplog.text
