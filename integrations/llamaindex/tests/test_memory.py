"""A memory for LlamaIndex is a memory as LlamaIndex's own are, and remembers."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, CodeActAgent, FunctionAgent, ReActAgent
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock, ToolCallBlock
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    CondenseQuestionChatEngine,
    ContextChatEngine,
    SimpleChatEngine,
)
from llama_index.core.memory import BaseMemory, ChatMemoryBuffer, Memory
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.workflow import Context, JsonSerializer
from scripted_llamaindex import Scripted

from llama_index.memory.stepwell import StepwellMemory
from stepwell import AsyncMemory, Filter
from stepwell import Memory as Store
from stepwell.errors import InvalidScope, StoreError

pytestmark = [
    # LlamaIndex's own: pydantic's and SQLAlchemy's ways of it, and databases that it leaves open.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*serializ.*:UserWarning"),
]
TURNS = Filter(level=0)


def user(text, **more):
    return ChatMessage(role="user", content=text, **more)


def assistant(text, **more):
    return ChatMessage(role="assistant", content=text, **more)


@pytest.fixture
def store():
    with Store.open(":memory:") as store:
        yield store


@pytest.fixture
def scope(store):
    return store.scope("ann")


def said(scope, **where):
    return [
        (turn.role, turn.text)
        for turn in scope.records(TURNS & Filter(**where) if where else TURNS, limit=10_000)
    ]


# the contract of a memory -------------------------------------------------------------------------


@pytest.fixture(params=["stepwell", "memory", "buffer"])
def memory(request, scope):
    made = {
        "stepwell": lambda: StepwellMemory.from_scope(scope, session_id="s1"),
        "memory": lambda: Memory.from_defaults(session_id="s1"),
        "buffer": lambda: ChatMemoryBuffer.from_defaults(token_limit=3000),
    }
    return made[request.param]()


TALK = [user("Hi."), assistant("Hello."), user("How are you?"), assistant("Fine.")]


def texts(messages):
    return [(message.role.value, message.content) for message in messages]


def test_it_is_a_memory(memory):
    assert isinstance(memory, BaseMemory)
    assert memory.get() == memory.get_all() == []


def test_what_is_put_comes_back_in_its_order(memory):
    for message in TALK[:2]:
        memory.put(message)
    memory.put_messages(TALK[2:])
    assert texts(memory.get()) == texts(memory.get_all()) == texts(TALK)
    assert texts(memory.get(input="How are you?")) == texts(TALK)


async def test_the_same_without_blocking(memory):
    await memory.aput(TALK[0])
    await memory.aput_messages(TALK[1:])
    assert texts(await memory.aget()) == texts(await memory.aget_all()) == texts(TALK)
    await memory.aset(TALK[:2])
    assert texts(await memory.aget_all()) == texts(TALK[:2])
    await memory.areset()
    assert await memory.aget_all() == []


def test_what_is_set_is_what_it_shows(memory):
    memory.put_messages(TALK[:2])
    memory.set(TALK)
    assert texts(memory.get_all()) == texts(TALK)
    memory.set(TALK[2:])
    assert texts(memory.get_all()) == texts(TALK[2:])
    memory.reset()
    assert memory.get_all() == []
    memory.put(TALK[0])
    assert texts(memory.get_all()) == texts(TALK[:1])


def test_messages_of_many_parts_come_back_whole(memory):
    parts = [
        user([TextBlock(text="See."), ImageBlock(url="https://example.org/a.png")]),
        assistant([TextBlock(text="I look."), ToolCallBlock(tool_name="f", tool_kwargs={"x": 1})]),
        ChatMessage(role="tool", content="7", additional_kwargs={"tool_call_id": "c1"}),
    ]
    memory.put_messages(parts)
    assert memory.get_all() == parts


# agents, workflows and chat engines ---------------------------------------------------------------


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def call():
    block = ToolCallBlock(tool_call_id="c1", tool_name="add", tool_kwargs={"a": 1, "b": 2})
    return ChatMessage(role="assistant", blocks=[block])


class Notes(BaseRetriever):
    """Finds the same note for every question."""

    def _retrieve(self, query_bundle):
        return [NodeWithScore(node=TextNode(text="The ferry leaves at nine."), score=1.0)]


def app_of(kind, model, memory):
    """Something that talks: a coroutine function of a text."""
    if kind in {"function", "react", "code", "workflow"}:
        make = {"react": ReActAgent, "code": CodeActAgent}.get(kind, FunctionAgent)
        more = {"code_execute_fn": lambda code: code} if kind == "code" else {}
        agent = make(name="a", description="a", tools=[add], llm=model.llm, streaming=False, **more)
        runner = AgentWorkflow(agents=[agent], root_agent="a") if kind == "workflow" else agent

        async def say(text):
            return await runner.run(text, memory=memory)

        return say
    retriever = Notes()
    engines = {
        "simple": lambda: SimpleChatEngine.from_defaults(memory=memory, llm=model.llm),
        "context": lambda: ContextChatEngine.from_defaults(
            retriever=retriever, memory=memory, llm=model.llm
        ),
        "condense": lambda: CondenseQuestionChatEngine.from_defaults(
            query_engine=RetrieverQueryEngine.from_args(retriever, llm=model.llm),
            memory=memory, llm=model.llm,
        ),
        "condense-plus": lambda: CondensePlusContextChatEngine.from_defaults(
            retriever=retriever, memory=memory, llm=model.llm
        ),
    }  # fmt: skip
    engine = engines[kind]()

    async def say(text):
        return await engine.achat(text)

    say.engine = engine
    return say


APPS = ("function", "react", "code", "workflow", "simple", "context", "condense", "condense-plus")


@pytest.mark.parametrize("kind", APPS)
async def test_with_nothing_else_remembered_the_model_gets_what_it_got(scope, kind):
    sent = []
    for memory in (
        StepwellMemory.from_scope(scope, session_id="s1"), ChatMemoryBuffer.from_defaults(),
    ):  # fmt: skip
        model = Scripted()
        say = app_of(kind, model, memory)
        for text in ("Hi.", "How are you?", "Bye."):
            await say(text)
        sent.append(model.sent)
    assert sent[0] == sent[1]


@pytest.mark.parametrize("kind", APPS)
async def test_what_was_learned_in_one_session_is_told_in_the_next(scope, kind):
    first = app_of(kind, Scripted(), StepwellMemory.from_scope(scope, session_id="s1"))
    await first("I moved to Oslo in May.")
    model = Scripted()
    memory = StepwellMemory.from_scope(scope, session_id="s2")
    say = app_of(kind, model, memory)
    await say("Hello.")
    await say("Where did I move in May?")
    told = [text for text in model.texts if "I moved to Oslo in May." in text]
    assert told
    assert all(text.count("quoted as data") <= 1 for text in model.texts)
    assert "quoted as data" not in str(memory.get_all())
    assert not [text for _, text in said(scope) if "quoted as data" in text]


async def test_a_run_with_tools_is_stored_whole_and_once(scope):
    memory = StepwellMemory.from_scope(scope, session_id="s1")
    say = app_of("function", Scripted(call(), "It is 3."), memory)
    await say("What is 1 + 2?")
    roles = [role for role, _ in said(scope)]
    assert roles[0] == "user"
    assert roles[-1] == "assistant"
    assert "tool" in roles
    assert any("add(" in text for _, text in said(scope))
    assert len(said(scope)) == len(memory.get_all()) == 4


@pytest.mark.parametrize("kind", ["simple", "context"])
def test_blocking_and_streaming_talk_is_stored_whole(scope, kind):
    memory = StepwellMemory.from_scope(scope, session_id="s1")
    engine = app_of(kind, Scripted("one", "two"), memory).engine
    engine.chat("first")
    answer = engine.stream_chat("second")
    "".join(answer.response_gen)
    for _ in range(200):
        if len(said(scope)) == 4:
            break
        time.sleep(0.02)
    assert [text for _, text in said(scope)] == ["first", "one", "second", "two"]


async def test_what_agents_of_a_workflow_say_is_stored_under_their_names(scope):
    memory = StepwellMemory.from_scope(scope, session_id="s1")
    hand = ToolCallBlock(
        tool_call_id="c1", tool_name="handoff", tool_kwargs={"to_agent": "b", "reason": "yours"}
    )
    model = Scripted(ChatMessage(role="assistant", blocks=[hand]), "It is done.")
    agents = [
        FunctionAgent(
            name=name, description=name, tools=[add], llm=model.llm, streaming=False,
            can_handoff_to=["b"] if name == "a" else [],
        )
        for name in "ab"
    ]  # fmt: skip
    running = AgentWorkflow(agents=agents, root_agent="a").run("Do it.", memory=memory)
    events = [event async for event in memory.follow(running)]
    await running
    assert events
    spoken = [turn for turn in scope.records(TURNS) if turn.role == "assistant"]
    assert spoken[-1].actor == "b"
    assert spoken[-1].text == "It is done."


async def test_a_history_that_is_sent_again_costs_nothing(scope):
    history = [user("I moved to Oslo in May."), assistant("Good.")]
    for n in range(3):
        memory = StepwellMemory.from_scope(scope, session_id="s1")
        agent = FunctionAgent(
            name="a", description="a", tools=[add], llm=Scripted().llm, streaming=False
        )
        await agent.run(f"Question {n}", chat_history=list(history), memory=memory)
        history += [user(f"Question {n}"), assistant("I see.")]
    assert [text for _, text in said(scope)] == [message.content for message in history]


async def test_a_memory_goes_on_with_a_restored_workflow(tmp_path):
    with Store.open(tmp_path / "a.db") as store:
        memory = StepwellMemory.from_scope(store.scope("ann"), session_id="s1")
        agent = FunctionAgent(
            name="a", description="a", tools=[add], llm=Scripted().llm, streaming=False
        )
        context = Context(agent)
        await agent.run("I moved to Oslo in May.", memory=memory, ctx=context)
        kept = memory.to_dict()
        saved = context.to_dict(serializer=JsonSerializer())
    assert kept["scope"].startswith("stepwell+sqlite:")
    model = Scripted()
    agent = FunctionAgent(name="a", description="a", tools=[add], llm=model.llm, streaming=False)
    joined = StepwellMemory.from_dict(kept)
    context = Context.from_dict(agent, saved, serializer=JsonSerializer())
    await agent.run("Thanks.", memory=joined, ctx=context)
    assert [content for _, content in model.sent[-1]] == [
        "I moved to Oslo in May.",
        "I see.",
        "Thanks.",
    ]
    joined.scope.close()


# sessions -----------------------------------------------------------------------------------------


def test_a_session_goes_on_after_a_restart_and_what_was_reset_stays_away(tmp_path):
    with Store.open(tmp_path / "a.db") as store:
        memory = StepwellMemory.from_scope(store.scope("ann"), session_id="s1")
        memory.put_messages(TALK)
    with Store.open(tmp_path / "a.db") as store:
        memory = StepwellMemory.from_scope(store.scope("ann"), session_id="s1")
        assert memory.get_all() == TALK
        memory.reset()
        memory.put(user("Again."))
    with Store.open(tmp_path / "a.db") as store:
        scope = store.scope("ann")
        assert texts(StepwellMemory.from_scope(scope, session_id="s1").get_all()) == [
            ("user", "Again.")
        ]
        # The scope remembers what the session shows no more.
        assert scope.count(TURNS) == 5


def test_sessions_keep_apart(scope):
    one, two = (StepwellMemory.from_scope(scope, session_id=name) for name in ("s1", "s2"))
    one.put(TALK[0])
    two.put(TALK[2])
    assert (texts(one.get_all()), texts(two.get_all())) == (texts(TALK[:1]), texts(TALK[2:3]))


def test_a_forgotten_turn_is_gone_from_its_session(scope):
    memory = StepwellMemory.from_scope(scope, session_id="s1")
    memory.put_messages(TALK)
    scope.forget(where=Filter(session="s1"))
    assert StepwellMemory.from_scope(scope, session_id="s1").get_all() == []


def test_only_the_latest_messages_that_fit_are_shown(scope):
    memory = StepwellMemory.from_scope(scope, session_id="s1", token_limit=60)
    for n in range(20):
        memory.put_messages([user(f"Question number {n}?"), assistant(f"Answer number {n}.")])
    shown = memory.get(input="zzz")
    window = [m for m in shown if "quoted as data" not in str(m.content)]
    assert len(memory.get_all()) == 40
    assert 2 <= len(window) < 20
    assert window[0].role.value == "user"
    assert window[-1].content == "Answer number 19."


# trouble ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["function", "simple"])
async def test_a_closed_store_breaks_no_app(kind, caplog):
    store = Store.open(":memory:")
    memory = StepwellMemory.from_scope(store.scope("ann"), session_id="s1")
    model, bare = Scripted(), Scripted()
    say = app_of(kind, model, memory)
    other = app_of(kind, bare, ChatMemoryBuffer.from_defaults())
    await say("Hi.")
    await other("Hi.")
    store.close()
    for text in ("Are you there?", "Still?"):
        await say(text)
        await other(text)
    assert model.sent == bare.sent
    assert memory.tally.unrecorded > 0
    assert "StoreClosed" in caplog.text
    assert "Are you there" not in caplog.text


def test_what_could_not_be_stored_is_stored_with_what_comes_next(scope, monkeypatch):
    memory = StepwellMemory.from_scope(scope, session_id="s1")
    real = type(scope).remember_many

    def fail(self, turns):
        raise StoreError("disk full")

    monkeypatch.setattr(type(scope), "remember_many", fail)
    memory.put(TALK[0])
    monkeypatch.setattr(type(scope), "remember_many", real)
    memory.put(TALK[1])
    assert [text for _, text in said(scope)] == ["Hi.", "Hello."]


def test_a_session_that_could_not_be_read_at_first_holds_everything_once(scope, monkeypatch):
    StepwellMemory.from_scope(scope, session_id="s1").put(TALK[0])
    memory = StepwellMemory.from_scope(scope, session_id="s1")
    real = type(scope).records

    def fail(self, *args, **kwargs):
        raise StoreError("disk gone")

    monkeypatch.setattr(type(scope), "records", fail)
    memory.put(TALK[1])
    assert memory.get_all() == TALK[1:2]
    monkeypatch.setattr(type(scope), "records", real)
    assert memory.get_all() == TALK[:2]


def test_what_is_late_is_left_out(scope, monkeypatch, caplog):
    scope.remember("I moved to Oslo in May.")
    gate = threading.Event()
    monkeypatch.setattr(type(scope), "context", lambda *_, **__: gate.wait(20))
    memory = StepwellMemory.from_scope(scope, session_id="s1", deadline=0.1)
    memory.put(user("Where did I move?"))
    assert texts(memory.get()) == [("user", "Where did I move?")]
    gate.set()
    assert "missed its deadline" in caplog.text


def test_an_async_scope_will_do_and_nothing_else_does(tmp_path):
    async def main():
        async with AsyncMemory.open(tmp_path / "a.db") as store:
            memory = StepwellMemory.from_scope(store.scope("ann"), session_id="s1")
            await memory.aput(TALK[0])
            return await memory.aget_all()

    assert asyncio.run(main()) == TALK[:1]
    with pytest.raises(ValueError, match="a scope"):
        StepwellMemory.from_scope(7)
    with Store.open(":memory:") as store, pytest.raises((InvalidScope, ValueError)):
        StepwellMemory.from_scope(store.scope("ann")).to_dict()


def test_a_history_given_at_the_start_is_set(scope):
    memory = StepwellMemory.from_defaults(scope=scope, session_id="s1", chat_history=TALK)
    assert memory.get_all() == TALK
    assert len(said(scope)) == 4
