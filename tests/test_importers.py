"""What other programs export becomes turns: the same ones every time, also when it has grown."""

import io
import json
import zipfile
from datetime import UTC, datetime

import pytest
from langchain_core.load import dumpd
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    messages_to_dict,
)

from stepwell import Filter, Memory

AT = datetime(2026, 5, 17, 12, tzinfo=UTC)


@pytest.fixture
def scope():
    with Memory.open(":memory:", embedder=None) as memory:
        yield memory.scope("a")


def taken(scope, value, **options):
    return scope.import_(io.BytesIO(json.dumps(value).encode()), **options)


def said(scope, where=None):
    return [(r.role, r.text) for r in scope.records(where, limit=1000)]


def grown_from(scope, value, more, **options):
    """Import, import again, and import what has grown; how many turns each time brought."""
    first = taken(scope, value, **options)
    again = taken(scope, value, **options)
    assert first.ok, first.problems
    assert again.ok
    assert again.counts["turns"] == 0
    assert again.counts["known"] == first.counts["turns"]
    later = taken(scope, more, **options)
    assert later.ok
    return first.counts["turns"], later.counts["turns"]


# ChatGPT ------------------------------------------------------------------------------------------


def node(name, parent, role=None, *parts, children=(), **message):
    told = None
    if role is not None:
        told = {
            "id": name, "author": {"role": role, "name": None, "metadata": {}},
            "create_time": AT.timestamp(), "recipient": "all", "metadata": {},
            "content": {"content_type": "text", "parts": list(parts)}, **message,
        }  # fmt: skip
    return {"id": name, "parent": parent, "children": list(children), "message": told}


def chatgpt():
    nodes = [
        node("root", None, children=["sys"]),
        node("sys", "root", "system", "", children=["q"]),
        node("q", "sys", "user", "Where does the ferry leave?", children=["a1", "a2"]),
        node("a1", "q", "assistant", "From pier one."),
        node("a2", "q", "assistant", "From pier two.", children=["h"],
             metadata={"model_slug": "m"}),
        node("h", "a2", "user", "hidden", children=["t"],
             metadata={"is_visually_hidden_from_conversation": True}),
        node("t", "h", "tool", children=["i"], author={"role": "tool", "name": "python"},
             content={"content_type": "execution_output", "text": "42"}),
        node("i", "t", "user", children=["th"], content={
            "content_type": "multimodal_text",
            "parts": [{"content_type": "image_asset_pointer", "asset_pointer": "file-service://f1"},
                      "What is this?"]}),
        node("th", "i", "assistant", content={"content_type": "thoughts", "thoughts": []}),
    ]  # fmt: skip
    return {
        "title": "Ferries", "conversation_id": "c1", "create_time": AT.timestamp(),
        "current_node": "th", "mapping": {n["id"]: n for n in nodes},
    }  # fmt: skip


def test_a_chatgpt_conversation_comes_in_by_its_current_branch(scope):
    report = taken(scope, [chatgpt()])
    assert report.ok
    assert report.counts["other_branches"] == 1
    assert said(scope) == [
        ("user", "Where does the ferry leave?"), ("assistant", "From pier two."), ("tool", "42"),
        ("user", "What is this?"),
    ]  # fmt: skip
    first, second, tool, image = scope.records()
    assert first.turn == "chatgpt:c1:q"
    assert first.session == "chatgpt:c1"
    assert first.said_at == AT
    assert second.payload["import"] == {
        "from": "chatgpt", "conversation": "c1", "message": "a2", "title": "Ferries", "model": "m",
    }  # fmt: skip
    assert second.upstream == ("chatgpt:c1:q",)
    assert tool.actor == "python"
    assert [a.ref for a in image.attachments] == ["file-service://f1"]
    assert scope.count(Filter(payload={"import.from": "chatgpt"})) == 4


def test_a_chatgpt_conversation_that_goes_on_brings_what_is_new(scope):
    more = chatgpt()
    more["mapping"]["n"] = node("n", "i", "assistant", "A ferry.")
    more["current_node"] = "n"
    assert grown_from(scope, [chatgpt()], [more]) == (4, 1)


def test_a_tree_that_is_broken_or_goes_round_is_followed_as_far_as_it_goes(scope):
    round_ = chatgpt()
    round_["mapping"]["root"]["parent"] = "th"
    del round_["current_node"]
    lost = chatgpt()
    lost |= {"conversation_id": "c2", "current_node": "nowhere"}
    odd = {"conversation_id": "c3", "mapping": {"x": 17, "y": {"message": {"content": []}}}}
    assert taken(scope, [round_, lost, odd]).counts["refused"] == 0
    assert scope.count(Filter(session="chatgpt:c2")) == 4


def test_a_message_with_an_impossible_time_is_refused_alone(scope):
    bad = chatgpt()
    bad["mapping"]["q"]["message"]["create_time"] = 1e300
    report = taken(scope, [bad])
    assert report.counts["refused"] == 1
    assert report.problems[0].where.endswith("message 3")
    assert scope.count() == 3


# Claude -------------------------------------------------------------------------------------------


def claude():
    def message(name, sender, text, **more):
        return {
            "uuid": name, "sender": sender, "text": text, "created_at": "2026-05-17T12:00:00.5Z",
            "content": [{"type": "text", "text": text}], "attachments": [], "files": [], **more,
        }  # fmt: skip

    messages = [
        message("m1", "human", "Read this.", attachments=[
            {"file_name": "a.txt", "file_type": "txt", "extracted_content": "The ferry is late."}]),
        message("m2", "assistant", "", content=[
            {"type": "thinking", "thinking": "hm"},
            {"type": "tool_use", "name": "search", "input": {"q": "ferry"}},
            {"type": "tool_result", "content": [{"type": "text", "text": "late"}]},
            {"type": "text", "text": "It is late."}]),
        message("m3", "human", "Thanks.", content=[]),
    ]  # fmt: skip
    return {"uuid": "c1", "name": "Ferries", "account": {"uuid": "u"}, "chat_messages": messages}


def test_a_claude_conversation_comes_in_with_its_tools_and_files(scope):
    assert taken(scope, [claude()]).ok
    assert said(scope) == [
        ("user", "Read this."), ("assistant", "It is late."), ("user", "Thanks."),
    ]  # fmt: skip
    one, two, _ = scope.records()
    assert one.turn == "claude:c1:m1"
    assert (one.attachments[0].ref, one.attachments[0].caption) == ("a.txt", "The ferry is late.")
    assert two.action == 'search {"q": "ferry"}'
    assert two.observation == "late"
    assert two.said_at.microsecond == 500_000
    assert scope.recall("late")[0].record.session == "claude:c1"


def test_a_claude_conversation_that_branches_comes_in_by_its_last_message(scope):
    value = claude()
    for message, parent in zip(value["chat_messages"], ("0", "m1", "m1"), strict=True):
        message["parent_message_uuid"] = parent
    report = taken(scope, [value])
    assert report.counts["other_branches"] == 1
    assert [r.turn for r in scope.records()] == ["claude:c1:m1", "claude:c1:m3"]


def test_a_claude_archive_that_has_grown_brings_what_is_new(scope, tmp_path):
    for count, new in ((2, 2), (3, 1)):
        value = claude()
        value["chat_messages"] = value["chat_messages"][:count]
        path = tmp_path / f"{count}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("users.json", "[]")
            archive.writestr("conversations.json", json.dumps([value]))
        assert scope.import_(path).counts["turns"] == new


# LangChain ----------------------------------------------------------------------------------------

MESSAGES = [
    SystemMessage("Be brief."),
    HumanMessage([{"type": "text", "text": "Hello"},
                  {"type": "image_url", "image_url": {"url": "https://x/y.png"}}], name="Alice"),
    AIMessage("", tool_calls=[{"name": "search", "args": {"q": "ferry"}, "id": "call"}], id="ai-1"),
    ToolMessage("late", tool_call_id="call"),
    AIMessage("It is late."),
    HumanMessage("ok"),
    HumanMessage("ok"),
]  # fmt: skip
SAID = [
    ("system", "Be brief."), ("user", "Hello"), ("assistant", ""), ("tool", "late"),
    ("assistant", "It is late."), ("user", "ok"), ("user", "ok"),
]  # fmt: skip


@pytest.mark.parametrize(
    "told",
    [messages_to_dict(MESSAGES), [dumpd(m) for m in MESSAGES], [m.model_dump() for m in MESSAGES]],
    ids=["messages_to_dict", "dumpd", "model_dump"],
)
def test_messages_of_langchain_come_in_however_they_were_written(scope, told):
    assert taken(scope, told).ok
    assert said(scope) == SAID
    _, hello, call, *_ = scope.records()
    assert hello.actor == "Alice"
    assert [a.ref for a in hello.attachments] == ["https://x/y.png"]
    assert json.loads(call.action) == [{"name": "search", "args": {"q": "ferry"}}]
    assert taken(scope, told).counts["known"] == 7


def test_a_history_that_has_grown_and_lost_its_beginning_is_known_again(scope):
    told = messages_to_dict([*MESSAGES, HumanMessage("bye")])
    assert grown_from(scope, told[:7], told[2:]) == (7, 1)


def test_histories_come_one_a_line_and_one_a_file(scope, tmp_path):
    lines = [
        json.dumps({"session_id": "s1", "messages": messages_to_dict(MESSAGES[:2])}),
        json.dumps({"session_id": "s2", "messages": [{"role": "user", "content": "plain"}]}),
    ]
    path = tmp_path / "all.jsonl"
    path.write_text("\n".join(lines))
    assert scope.import_(path).counts["turns"] == 3
    assert said(scope, Filter(session="s2")) == [("user", "plain")]
    folder = tmp_path / "each"
    folder.mkdir()
    for name in ("bob", "eve"):
        (folder / f"{name}.json").write_text(json.dumps(messages_to_dict(MESSAGES[:2])))
    assert scope.import_(folder).counts["turns"] == 4
    assert scope.count(Filter(session="eve")) == 2
    (tmp_path / "rows.jsonl").write_text(
        "\n".join(json.dumps(messages_to_dict(MESSAGES[1:3])) for _ in range(2))
    )
    assert scope.import_(tmp_path / "rows.jsonl").counts["turns"] == 4
    assert scope.count(Filter(session="rows-2")) == 2


# mem0 and MemPalace -------------------------------------------------------------------------------


def mem0(*texts):
    return [
        {"id": f"m{n}", "memory": text, "hash": "x", "metadata": {"topic": "travel"},
         "user_id": "alice", "run_id": "r1", "created_at": "2026-05-17T05:00:00-07:00",
         "updated_at": None, "score": 0.5}
        for n, text in enumerate(texts)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrap", [lambda told: told, lambda told: {"results": told, "relations": []}]
)
def test_memories_of_mem0_come_in_and_changed_ones_beside_the_former(scope, wrap):
    told, later = mem0("Lives in Oslo", "Likes rain"), mem0("Lives in Bergen", "Likes rain", "New")
    assert grown_from(scope, wrap(told), wrap(later)) == (2, 2)
    record = scope.records()[0]
    assert (record.text, record.origin, record.said_at) == ("Lives in Oslo", "unknown", AT)
    assert record.session == "mem0:r1"
    assert record.payload["import"]["metadata"] == {"topic": "travel"}
    assert record.payload["import"]["user_id"] == "alice"


def drawer(name, text, **more):
    told = {
        "wing": "work",
        "room": "ferries",
        "source_file": "a.md",
        "filed_at": "2026-05-17T12:00:00",
    }
    return {"id": name, "document": text, "metadata": {**told, **more}}


def test_a_palace_comes_in_room_by_room(scope, tmp_path):
    for room in ("ferries", "rain"):
        place = tmp_path / "work" / f"{room}.jsonl"
        place.parent.mkdir(exist_ok=True)
        told = [drawer(f"{room}{n}", f"About {room} {n}.", room=room) for n in range(3)]
        place.write_text("\n".join(map(json.dumps, told)))
    (tmp_path / "export-manifest.txt").write_text("{}")
    assert scope.import_(tmp_path).counts["turns"] == 6
    assert scope.import_(tmp_path).counts["known"] == 6
    record = scope.records()[0]
    assert record.session == "mempalace:work:ferries"
    assert record.payload["import"]["source"] == "a.md"
    assert record.said_at == AT


def test_a_list_of_drawers_comes_in(scope):
    flat = [{"id": "d1", "wing": "w", "room": "r", "content": "Said.", "filed_at": "2026-05-17"}]
    assert taken(scope, {"drawers": flat}).counts["turns"] == 1
    assert taken(scope, {"palace_version": "1", "drawers": flat}).counts["known"] == 1


# all of them --------------------------------------------------------------------------------------

EACH = {
    "chatgpt": [chatgpt()], "claude": [claude()], "langchain": messages_to_dict(MESSAGES),
    "mem0": mem0("a", "b"), "mempalace": [drawer("d", "text")],
}  # fmt: skip


@pytest.mark.parametrize("name", EACH)
def test_a_format_is_recognised_or_named(scope, name):
    count = taken(scope, EACH[name]).counts["turns"]
    assert count
    assert taken(scope, EACH[name], format=name).counts["known"] == count
    wrong = next(other for other in EACH if other != name)
    report = taken(scope, EACH[name], format=wrong)
    assert report.counts["refused"] >= 1
    assert {record.payload["import"]["from"] for record in scope.records()} == {name}


@pytest.mark.parametrize("name", EACH)
def test_what_was_forgotten_stays_forgotten_when_it_is_imported_again(scope, name):
    taken(scope, EACH[name])
    gone = scope.records()[0].turn
    count = scope.count()
    scope.forget(gone)
    report = taken(scope, EACH[name])
    assert report.counts["forgotten"] == 1
    assert scope.count() == count - 1


@pytest.mark.parametrize("name", EACH)
def test_whatever_stands_where_something_else_is_expected_no_importer_fails(scope, name):
    def spoiled(value, bad):
        if isinstance(value, dict):
            for key in value:
                yield {**value, key: bad}
                for inner in spoiled(value[key], bad):
                    yield {**value, key: inner}
        elif isinstance(value, list):
            for place, each in enumerate(value):
                for inner in (bad, *spoiled(each, bad)):
                    yield [*value[:place], inner, *value[place + 1 :]]

    for bad in (None, 17, "\ud800", "x" * 600, [[]], {"a": "\x00"}, True):
        variants = [v for v in spoiled(EACH[name][:2], bad) if isinstance(v, list)][:300]
        for value in variants:
            report = taken(scope, value, format=name)
            assert report.finished
