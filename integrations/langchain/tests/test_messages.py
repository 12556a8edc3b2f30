"""A message is a turn that says what it said, and can be made again from it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_stepwell.messages import to_message, to_turn
from stepwell import Memory

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
blocks = st.lists(
    words
    | st.builds(lambda text: {"type": "text", "text": text}, words)
    | st.just({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}),
    max_size=3,
)
content = words | blocks
calls = st.lists(
    st.builds(
        lambda name, args, n: {"name": name, "args": args, "id": f"c{n}", "type": "tool_call"},
        st.text("abc_", min_size=1, max_size=8), st.dictionaries(words, plain, max_size=2),
        st.integers(0, 99),
    ),
    max_size=2,
)  # fmt: skip
named = st.none() | st.text("abc", min_size=1, max_size=8)
extra = st.dictionaries(words, plain, max_size=2)
messages = st.one_of(
    st.builds(HumanMessage, content, name=named, id=named, additional_kwargs=extra),
    st.builds(SystemMessage, content, id=named),
    st.builds(
        AIMessage, content, name=named, id=named, tool_calls=calls, response_metadata=extra,
        additional_kwargs=extra,
    ),
    st.builds(
        ToolMessage, content, tool_call_id=st.just("c1"), name=named, artifact=plain,
        status=st.sampled_from(["success", "error"]),
    ),
    st.builds(ChatMessage, content, role=st.text("abc", min_size=1, max_size=8)),
    st.builds(FunctionMessage, words, name=st.text("abc", min_size=1, max_size=8)),
)  # fmt: skip


@pytest.fixture(scope="module")
def memory():
    with Memory.open(":memory:", embedder=None, preset="flat") as memory:
        yield memory


@given(st.lists(messages, min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_messages_come_back_as_they_were(memory, given):
    scope = memory.scope("ann")
    scope.erase()
    scope.remember_many([to_turn(message, session="s1", whole=True) for message in given])
    records = [record for record in scope.records(limit=100) if record.level == 0]
    assert [to_message(record) for record in records] == given
    assert [json.dumps(record.payload) for record in records]


@given(messages)
def test_no_text_that_was_said_is_stored_twice(message):
    turn = to_turn(message, whole=True)
    if isinstance(message.content, str) and turn.text == message.content:
        assert "content" not in turn.payload["langchain"]["data"]


def test_a_turn_says_what_was_said_and_done():
    message = AIMessage(
        [
            {"type": "reasoning", "reasoning": "hm"},
            {"type": "text", "text": "I will look."},
            {"type": "tool_use", "name": "weather", "input": {}},
        ],
        tool_calls=[
            {"name": "weather", "args": {"place": "東京"}, "id": "1"},
            {"name": "recall_memory", "args": {"query": "x"}, "id": "2"},
        ],
        name="planner",
    )
    turn = to_turn(message, session="s1", name="m1", without={"recall_memory"})
    assert turn.text == 'I will look.\nweather({"place": "東京"})'
    assert (turn.role, turn.actor, turn.session, turn.id) == ("assistant", "planner", "s1", "m1")


@pytest.mark.parametrize(
    ("message", "role", "text"),
    [
        (HumanMessage("a"), "user", "a"),
        (SystemMessage("a"), "system", "a"),
        (ToolMessage("a", tool_call_id="1"), "tool", "a"),
        (ChatMessage("a", role="critic"), "critic", "a"),
        (HumanMessage([{"type": "image", "base64": "aGk="}]), "user", "[image]"),
        (
            AIMessage("", invalid_tool_calls=[{"name": "f", "args": "{", "id": "1"}]),
            "assistant",
            "f({)",
        ),
    ],
)
def test_roles_and_captions(message, role, text):
    turn = to_turn(message)
    assert (turn.role, turn.text, turn.payload) == (role, text, {})


def test_what_says_nothing_is_no_turn_unless_it_is_wanted_whole():
    assert to_turn(AIMessage("")) is None
    assert to_turn(RemoveMessage("1"), whole=True) is None
    assert to_turn(ToolMessage("a", tool_call_id="1", name="mine"), without={"mine"}) is None
    assert to_turn(AIMessage(""), whole=True).text == "[empty]"


def test_chunks_become_messages(memory):
    scope = memory.scope("chunks")
    scope.remember(to_turn(AIMessageChunk("Hello", id="1"), whole=True))
    back = to_message(scope.records()[0])
    assert back == AIMessage("Hello", id="1")
    assert type(back) is AIMessage


def test_a_revised_turn_is_a_message_that_says_what_it_says_now(memory):
    scope = memory.scope("revised")
    scope.remember(to_turn(HumanMessage("I live in Oslo.", name="ann"), name="t1", whole=True))
    scope.revise("t1", "I live in Bergen.")
    assert to_message(scope.get("t1")) == HumanMessage("I live in Bergen.", name="ann")


def test_a_turn_of_another_maker_is_no_message(memory):
    scope = memory.scope("other")
    scope.remember("hello", id="t1", payload={"langchain": 1})
    assert to_message(scope.get("t1")) is None


def test_a_revised_message_keeps_the_calls_it_made(memory):
    scope = memory.scope("revised")
    calls = [{"name": "f", "args": {"x": 1}, "id": "c1", "type": "tool_call"}]
    scope.remember(to_turn(AIMessage("I ask Bob.", tool_calls=calls), name="t2", whole=True))
    scope.revise("t2", 'I ask Eve.\nf({"x": 1})')
    assert to_message(scope.get("t2")) == AIMessage("I ask Eve.", tool_calls=calls)


@pytest.mark.parametrize(("size", "whole"), [(700_000, True), (3_000_000, False)])
def test_a_picture_comes_back_as_it_was_or_as_a_caption(memory, size, whole):
    scope = memory.scope("picture", str(size))
    picture = {"type": "image", "base64": "A" * size, "mime_type": "image/png"}
    message = HumanMessage([{"type": "text", "text": "See this."}, picture], id="1")
    scope.remember(to_turn(message, name="t1", whole=True))
    # Half a picture would be refused by every model.
    caption = {"type": "text", "text": "[image]"}
    kept = HumanMessage([message.content[0], caption], id="1")
    assert to_message(scope.get("t1")) == (message if whole else kept)


NEXT = {"type": "tool_call", "id": "c1", "name": "write"}
SUCH = {
    "text": HumanMessage("x" * 9_000_000),
    "name": HumanMessage("hello", name="n" * 600),
    "role": ChatMessage(content="hello", role="r" * 600),
    "artifact": ToolMessage("hello", tool_call_id="c1", artifact=[{"p": "y" * 500}] * 5_000),
    "wide": ToolMessage("hello", tool_call_id="c1", artifact=[[["y" * 900] * 20] * 20] * 20),
    "call": AIMessage("hello", tool_calls=[{**NEXT, "args": {"file": "z" * 2_000_000}}]),
    "key": ToolMessage("hello", tool_call_id="c1", artifact={(1, 2): 3, "n": float("nan")}),
    "object": ToolMessage("hello", tool_call_id="c1", artifact=b"\xff\0"),
    "deep": HumanMessage("hello", additional_kwargs={"x": json.loads("[" * 300 + "]" * 300)}),
}


@pytest.mark.parametrize("which", SUCH)
def test_what_no_turn_can_hold_costs_a_message_no_more_than_that(memory, which):
    scope, message = memory.scope("such", which), SUCH[which]
    scope.remember(to_turn(message, name="t1", whole=True))
    back = to_message(scope.get("t1"))
    assert type(back) is type(message)
    assert back.text[:1_000_000] == message.text[:1_000_000]
    # A call and its result still belong together.
    for field in ("id", "tool_call_id"):
        assert getattr(back, field, None) == getattr(message, field, None)
    made = [(call["name"], call["id"]) for call in getattr(back, "tool_calls", [])]
    assert made == [(call["name"], call["id"]) for call in getattr(message, "tool_calls", [])]


anything = st.text(st.characters(exclude_categories=[]), max_size=20)


@given(anything, anything, st.dictionaries(anything, anything | st.floats(), max_size=2))
@settings(max_examples=100, deadline=None)
def test_any_text_is_stored_without_what_no_file_can_hold(memory, text, name, extra):
    scope = memory.scope("any")
    scope.erase()
    message = HumanMessage(text, name=name, additional_kwargs=extra)
    scope.remember(to_turn(message, whole=True))
    back = to_message(scope.records()[0])
    assert back.content == text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


@pytest.mark.parametrize(
    ("role", "kind"), [("user", "human"), ("assistant", "ai"), ("system", "system"), (None, "chat")]
)
def test_a_message_of_an_unknown_class_is_a_plain_one(memory, role, kind):
    scope = memory.scope("unknown", kind)
    kept = {"langchain": {"type": "alien", "data": {}}}
    scope.remember("hello", id="t1", role=role, actor="ann", payload=kept)
    back = to_message(scope.get("t1"))
    assert (back.type, back.text, back.name) == (kind, "hello", "ann")
