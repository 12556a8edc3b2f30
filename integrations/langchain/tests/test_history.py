"""A chat history in a scope is a faithful log, and outlives its store."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
import uuid
import warnings

import pytest
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from scripted_langchain import Scripted

from langchain_stepwell import StepwellChatMessageHistory
from stepwell import Bounds, Filter, Memory
from stepwell.errors import StoreBusy, StoreClosed, StoreError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from langchain_core.runnables.history import RunnableWithMessageHistory

# The class is deprecated, and many apps are made with it.
pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainDeprecationWarning")

SOME = [
    SystemMessage("Be kind."),
    HumanMessage("Hello", name="ann", id="m1"),
    AIMessage("", tool_calls=[{"name": "f", "args": {"x": 1}, "id": "c1"}]),
    ToolMessage("7", tool_call_id="c1", artifact={"raw": 7}),
    AIMessage("Seven.", response_metadata={"tokens": 3}),
    HumanMessage("Hello", name="ann", id="m1"),
]


@pytest.fixture
def scope(memory):
    return memory.scope("ann")


def test_what_was_added_comes_back_as_it_was_also_twice_the_same(scope):
    history = StepwellChatMessageHistory(scope, session_id="s1")
    history.add_messages(SOME[:3])
    history.add_messages(SOME[3:])
    assert history.messages == SOME
    assert StepwellChatMessageHistory(scope, "s1").messages == SOME
    assert StepwellChatMessageHistory(scope, "s2").messages == []


def test_without_blocking_the_loop_it_is_the_same(scope):
    async def main():
        history = StepwellChatMessageHistory(scope, session_id="s1")
        await history.aadd_messages(SOME)
        assert await history.aget_messages() == SOME
        await history.aclear()
        assert await history.aget_messages() == []

    asyncio.run(main())


def test_what_was_said_is_remembered_and_nothing_that_was_remembered_is_in_the_log(scope):
    scope.remember("I moved to Oslo in May.", session="s1")
    history = StepwellChatMessageHistory(scope, session_id="s1")
    history.add_user_message("The heron nests in March.")
    history.add_ai_message("So it does.")
    assert [m.text for m in history.messages] == ["The heron nests in March.", "So it does."]
    assert scope.recall("When does the heron nest?")[0].text == "The heron nests in March."
    assert scope.recall("heron")[0].record.said_at is not None


def test_clearing_forgets_for_good(scope):
    history = StepwellChatMessageHistory(scope, session_id="s1")
    history.clear()
    history.add_messages(SOME)
    other = StepwellChatMessageHistory(scope, session_id="s2")
    other.add_user_message("I stay.")
    history.clear()
    assert history.messages == []
    assert scope.count(Filter(session="s1")) == 0
    assert [m.text for m in other.messages] == ["I stay."]
    history.add_user_message("Again.")
    assert [m.text for m in history.messages] == ["Again."]


def test_a_turn_that_was_forgotten_elsewhere_is_gone_from_the_log(scope):
    history = StepwellChatMessageHistory(scope, session_id="s1")
    history.add_messages(SOME[:2])
    scope.forget(history.turns[0] if history.messages else "")
    assert history.messages == SOME[1:2]


def test_a_long_session_is_read_whole(memory):
    scope = memory.scope("long")
    history = StepwellChatMessageHistory(scope, session_id="s1", patience=60, deadline=60)
    history.add_messages([HumanMessage(f"turn {n}") for n in range(2_500)])
    assert [m.content for m in history.messages] == [f"turn {n}" for n in range(2_500)]


# in a chain ---------------------------------------------------------------------------------------


def chain_of(make, answers, key):
    prompt = ChatPromptTemplate.from_messages(
        [MessagesPlaceholder("history"), ("human", "{input}")]
        if key
        else [MessagesPlaceholder("input")]
    )
    model = Scripted(answers=list(answers))
    options = {"history_messages_key": "history"} if key else {}
    return model, RunnableWithMessageHistory(
        prompt | model, make, input_messages_key="input", **options
    )


def say(chain, how, given):
    config = {"configurable": {"session_id": "s1"}}

    async def drain():
        return [part async for part in chain.astream(given, config)]

    if how == "invoke":
        chain.invoke(given, config)
    elif how == "batch":
        chain.batch([given], config)
    elif how == "stream":
        list(chain.stream(given, config))
    elif how == "ainvoke":
        asyncio.run(chain.ainvoke(given, config))
    else:
        asyncio.run(drain())


@pytest.mark.parametrize("key", [True, False])
@pytest.mark.parametrize("how", ["invoke", "stream", "ainvoke", "astream", "batch"])
def test_a_chain_is_sent_what_the_frameworks_own_history_would_send(scope, how, key):
    def conversation(log):
        model, chain = chain_of(lambda _: log, ["one", "two"], key)
        for text in ("first", "second", "third"):
            say(chain, how, {"input": text if key else [HumanMessage(text)]})
        kinds = [m.type.removesuffix("MessageChunk").lower() for m in log.messages]
        return model.inputs, kinds, [m.text for m in log.messages]

    mine = conversation(StepwellChatMessageHistory(scope, session_id="s1"))
    assert mine == conversation(InMemoryChatMessageHistory())
    assert len(mine[2]) == 6


def test_a_session_may_be_named_by_anything(scope):
    name = uuid.uuid4()
    StepwellChatMessageHistory(scope, name).add_user_message("one")
    assert [m.text for m in StepwellChatMessageHistory(scope, str(name)).messages] == ["one"]


def test_what_no_longer_takes_part_in_recall_was_said_all_the_same():
    with Memory.open(":memory:", plugins=[Bounds(records=2)]) as memory:
        scope = memory.scope("ann")
        history = StepwellChatMessageHistory(scope, "s1")
        history.add_messages(SOME)
        scope.consolidate()
        assert scope.count(Filter(level=0)) == 2
        assert history.messages == SOME
        history.clear()
        assert scope.count(Filter(status="hidden")) == 0
        assert history.messages == []


def test_nothing_warns_but_what_the_app_itself_uses():
    script = (
        "from langchain_stepwell import StepwellChatMessageHistory, StepwellClassicMemory\n"
        "from stepwell import Memory\n"
        "scope = Memory.open(':memory:').scope('ann')\n"
        "history = StepwellChatMessageHistory(scope, 's1')\n"
        "history.add_user_message('one')\n"
        "assert len(history.messages) == 1\n"
        "StepwellClassicMemory(scope, session_id='s1').load_memory_variables({})\n"
    )
    kind = "error::DeprecationWarning"
    subprocess.run([sys.executable, "-W", kind, "-c", script], check=True)


# trouble ------------------------------------------------------------------------------------------


def test_a_closed_store_does_not_break_a_chain_and_keeps_its_place(memory, caplog):
    held = StepwellChatMessageHistory(memory.scope("ann"), session_id="s1")
    model, chain = chain_of(lambda name: held, [], key=False)
    config = {"configurable": {"session_id": "s1"}}
    chain.invoke({"input": [HumanMessage("first")]}, config)
    memory.close()
    for text in ("second", "third"):
        chain.invoke({"input": [HumanMessage(text)]}, config)
    # The history of this process goes on.
    assert [m.text for m in held.messages] == [
        "first", "I see.", "second", "I see.", "third", "I see.",
    ]  # fmt: skip
    assert [len(sent) for sent in model.sent] == [1, 3, 5]
    assert (held.tally.recorded, held.tally.waiting, held.tally.unrecorded) == (2, 4, 0)
    assert "StoreClosed" in caplog.text
    with pytest.raises(StoreClosed):
        held.clear()


def test_what_could_not_be_stored_is_stored_with_the_next_messages(scope, monkeypatch):
    history = StepwellChatMessageHistory(scope, session_id="s1")
    real = type(scope).remember_many

    def fail(self, turns):
        raise StoreError("disk full")

    history.add_user_message("one")
    monkeypatch.setattr(type(scope), "remember_many", fail)
    history.add_user_message("two")
    assert [m.text for m in history.messages] == ["one", "two"]
    monkeypatch.setattr(type(scope), "remember_many", real)
    history.add_user_message("three")
    assert [m.text for m in StepwellChatMessageHistory(scope, "s1").messages] == [
        "one", "two", "three",
    ]  # fmt: skip


def test_what_is_stored_late_is_in_the_log_once(scope, monkeypatch):
    gate, real = threading.Event(), type(scope).remember_many

    def slow(self, turns):
        gate.wait(20)
        return real(self, turns)

    monkeypatch.setattr(type(scope), "remember_many", slow)
    history = StepwellChatMessageHistory(scope, session_id="s1", patience=0.05)
    history.add_user_message("one")
    history.add_user_message("two")
    assert [m.text for m in history.messages] == ["one", "two"]
    gate.set()
    assert history._keeper.flush(20)
    assert [m.text for m in history.messages] == ["one", "two"]
    assert scope.count(Filter(level=0)) == 2


def test_a_message_that_cannot_be_stored_keeps_no_other_from_it(scope):
    class Sly:
        def __str__(self):
            raise RuntimeError("no")

    history = StepwellChatMessageHistory(scope, "s1")
    history.add_messages(
        [HumanMessage("a\0b"), HumanMessage("two", additional_kwargs={"x": Sly()})]
    )
    history.add_user_message("three")
    assert [m.text for m in history.messages] == ["a\ufffdb", "three"]
    assert (history.tally.recorded, history.tally.unrecorded) == (2, 1)


def test_a_turn_that_nobody_can_read_hides_no_other(scope):
    history = StepwellChatMessageHistory(scope, "s1")
    history.add_user_message("one")
    scope.remember("two", session="s1", payload={"langchain": {"type": "alien", "data": 7}})
    assert [m.text for m in history.messages] == ["one", "two"]


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_a_store_that_comes_back_in_the_middle_of_a_call_loses_no_word(scope, monkeypatch, how):
    StepwellChatMessageHistory(scope, "s1").add_messages(SOME)
    real, asked = type(scope).records, []

    def once(self, *args, **options):
        asked.append(1)
        if len(asked) == 1:
            raise StoreBusy("busy")
        return real(self, *args, **options)

    monkeypatch.setattr(type(scope), "records", once)
    # As apps do: a new one for each call.
    _, chain = chain_of(lambda name: StepwellChatMessageHistory(scope, name), ["new"], key=False)
    say(chain, how, {"input": [HumanMessage("said")]})
    assert len(asked) > 1
    log = StepwellChatMessageHistory(scope, "s1").messages
    assert [m.text for m in log[len(SOME) :]] == ["said", "new"]


def test_clearing_does_not_wait_for_ever(scope, monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(type(scope), "remember_many", lambda *_: gate.wait(20))
    history = StepwellChatMessageHistory(scope, "s1", patience=0.05)
    history.add_user_message("one")
    with pytest.raises(StoreBusy):
        history.clear()
    gate.set()


def test_a_slow_store_does_not_stop_the_loop(scope, monkeypatch):
    real_records, real_many = type(scope).records, type(scope).remember_many

    def slowly(real):
        def call(self, *args, **options):
            time.sleep(0.3)
            return real(self, *args, **options)

        return call

    monkeypatch.setattr(type(scope), "records", slowly(real_records))
    monkeypatch.setattr(type(scope), "remember_many", slowly(real_many))

    async def main():
        longest, done = 0.0, asyncio.Event()

        async def tick():
            nonlocal longest
            while not done.is_set():
                before = time.perf_counter()
                await asyncio.sleep(0.01)
                longest = max(longest, time.perf_counter() - before)

        ticking = asyncio.create_task(tick())
        history = StepwellChatMessageHistory(scope, "s1")
        await history.aadd_messages(SOME)
        assert await history.aget_messages() == SOME
        await history.aclear()
        done.set()
        await ticking
        return longest

    assert asyncio.run(main()) < 0.25
