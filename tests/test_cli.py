"""The command line has the same verbs: it says what the API answers, and is safe to look at."""

from __future__ import annotations

import io
import json
import re
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwell import Filter, Memory, Turn
from stepwell.cli import app, main
from stepwell.cli.app import Exit
from stepwell.cli.screen import one_line, plain, safe

WHEN = datetime(2026, 5, 3, 18, 0, tzinfo=UTC)
TALK = [
    Turn(id="t1", text="How is the rain in Oslo?", actor="Bob", session="s1", at=WHEN),
    Turn(id="t2", text="Sideways. I have bought a yellow coat.", actor="Alice", session="s1"),
    Turn(id="t3", text="The ferry to Nesodden leaves at noon.", actor="Bob", session="s2"),
]
COMMANDS = list(app.commands)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEPWELL_STORE", "team.db")
    monkeypatch.setenv("STEPWELL_SCOPE", "acme/alice")
    with Memory.open("team.db", embedder=None) as memory:
        memory.scope("acme", "alice").remember_many(TALK)
    return tmp_path / "team.db"


@pytest.fixture
def run(capsys):
    """Runs a command as it is typed; its exit code, what it says, and what it says is wrong."""

    def run(line: str, *more: str):
        code = main([*shlex.split(line), *more])
        told = capsys.readouterr()
        return int(code), told.out, told.err

    return run


def scope_of(store: Path):
    return Memory.open(store).scope("acme", "alice")


# the same answers ---------------------------------------------------------------------------------


def test_what_is_remembered_is_recalled(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = "--store new.db --scope acme/a%2Fb"
    assert run(f"remember 'I moved to Oslo in May.' --actor Alice --id t1 {place}")[0] == 0
    code, said, wrong = run(f"recall 'Where did Alice move?' {place}")
    assert (code, wrong) == (0, "")
    assert "I moved to Oslo in May." in said
    assert "Alice" in said
    assert run(f"remember 'I moved to Oslo in May.' --actor Alice --id t1 {place}")[1].startswith(
        "skipped t1  (duplicate)"
    )
    with Memory.open("new.db") as memory:
        assert memory.scopes() == [("acme", "a/b")]


def test_in_json_a_command_answers_what_the_verb_answers(store, run):
    question = "What has Alice bought?"

    def told(line):
        code, said, wrong = run(f"{line} --json --embedder none")
        assert (code, wrong) == (0, "")
        return json.loads(said)

    made = told("consolidate")
    assert made["counts"]
    with Memory.open(store, embedder=None) as memory:
        scope = memory.scope("acme", "alice")
        scope.set_slot("profile", "Alice has a coat.")
        recall = scope.recall(question, k=3)
        assert told(f"recall '{question}' -k 3")["hits"] == plain(recall.hits)
        assert told(f"context '{question}' -b 90") == plain(scope.context(question, budget=90))
        assert told(f"explain t3 '{question}' -k 1") == plain(scope.explain("t3", question, k=1))
        assert told("tree") == plain(scope.tree())
        assert told("history t1") == plain(scope.history("t1"))
        assert told("get t2") == plain(scope.get("t2"))
        assert told("records --session s1") == plain(scope.records(Filter(session="s1")))
        assert told("records --level 0 -n 2") == plain(scope.records(Filter(level=0), limit=2))
        assert told("slots") == plain(scope.slots())
        assert told("stats") == plain(scope.stats())
        assert told("stats --all")["scopes"] == 1
        assert told("slots profile") == plain([scope.slot("profile")])
        assert told("check") == {"ok": True, "problems": []}
        assert told("scopes")[0]["turns"] == 3
        assert told("plugins")["plugins"] == list(memory.plugins)
        assert list(told("presets")) == list(memory.presets())
        past = scope.at(datetime(2026, 5, 4, tzinfo=UTC)).recall(question, k=5)
        assert told(f"recall '{question}' --at 2026-05-04")["hits"] == plain(past.hits)


def test_turns_are_read_from_standard_input(store, run, monkeypatch):
    lines = "".join(json.dumps({"id": f"n{n}", "text": f"Number {n}."}) + "\n\n" for n in range(7))
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    assert run("remember --lines --session s9")[0] == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO("A long\nletter."))
    assert run("remember - --id letter")[0] == 0
    with Memory.open(store) as memory:
        scope = memory.scope("acme", "alice")
        assert scope.count(Filter(session="s9")) == 7
        assert scope.get("letter").text == "A long\nletter."
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"text": "ok"}\n{"secret words": 1}\n'))
    code, _, wrong = run("remember --lines")
    assert code == Exit.USAGE
    assert "line 2" in wrong
    assert "secret" not in wrong


def test_explaining_tells_why_not(store, run):
    code, said, _ = run("explain t3 'What has Alice bought?' -k 1")
    assert code == 0
    assert "were asked for" in said or "no channel found anything" in said
    assert "Above it:" in said
    assert "yellow coat" in said


def test_a_tree_shows_the_levels(store, run):
    run("consolidate")
    assert "trace" in run("tree")[1]
    assert "Sideways" in run("tree --turns")[1]


# forgetting ---------------------------------------------------------------------------------------


def test_forgetting_is_asked_about_first(store, run, monkeypatch):
    assert run("forget t1")[0] == Exit.USAGE  # nobody is there to be asked
    assert run("forget --session s1 --dry-run")[1].count("Sideways") == 1
    assert run("erase --dry-run")[0] == 0
    for answer, code in (("n\n", Exit.INTERRUPTED), ("y\n", Exit.DONE)):
        person = io.StringIO(answer)
        person.isatty = lambda: True
        monkeypatch.setattr(sys, "stdin", person)
        assert run("forget t1")[0] == code
        with Memory.open(store) as memory:
            assert (memory.scope("acme", "alice").get("t1") is None) == (code == Exit.DONE)


def test_what_is_forgotten_is_told_in_a_receipt(store, run):
    code, said, _ = run("forget --session s1 --yes")
    assert code == 0
    assert re.search(r"2\s+turns forgotten", said)
    assert "left the file" in said
    assert b"yellow coat" not in store.read_bytes()
    assert run("forget t1 --yes")[0] == Exit.USAGE  # it is there no more
    assert run("forget --session s1 --yes")[0] == 0
    assert run("erase --yes")[0] == 0
    with Memory.open(store) as memory:
        assert memory.scopes() == []


@pytest.mark.parametrize("line", ["forget --yes", "forget t1 --session s1 --yes"])
def test_what_is_to_be_forgotten_has_to_be_said(store, run, line):
    assert run(line)[0] == Exit.USAGE
    with Memory.open(store) as memory:
        assert memory.scope("acme", "alice").count() == 3


# looking after a store ----------------------------------------------------------------------------


def test_a_store_is_copied_rebuilt_and_compacted(store, run):
    assert run("backup copy.db")[0] == 0
    assert run("backup copy.db")[0] == Exit.USAGE  # never over something
    assert run("rebuild")[0] == 0
    assert run("rebuild --to-preset flat")[0] == 0
    assert "preset    flat" in run("plugins")[1]
    assert run("compact")[0] == 0
    assert run("reembed default")[0] == 0
    assert run("check")[1].strip() == "Everything is in order."
    with Memory.open("copy.db") as memory:
        assert memory.scope("acme", "alice").count() == 3


# mistakes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("recall x --store nowhere.db", Exit.STORE, "no store at nowhere.db"),
        ("recall x --store .", Exit.STORE, "NotAStore"),
        ("recall x --scope a/%ff", Exit.USAGE, "UTF-8"),
        ("recall x --scope ''", Exit.USAGE, ""),
        ("recall x --at yesterday", Exit.USAGE, "is no time"),
        ("recall x -k -3", Exit.USAGE, ""),
        ("recall x --preset h-nem", Exit.STORE, "h-nem"),
        ("recall x --plugin nobody", Exit.STORE, "nobody"),
        ("recall", Exit.USAGE, "Missing argument"),
        ("remember ''", Exit.USAGE, "no text"),
        ("remember a b --id t9", Exit.USAGE, "one id"),
        ("remember a --lines", Exit.USAGE, "--lines"),
        ("get t9", Exit.USAGE, "no record"),
        ("history t9", Exit.USAGE, ""),
        ("backup no/such/folder.db", Exit.STORE, ""),
        ("frobnicate", Exit.USAGE, "No such command"),
    ],
)
def test_a_mistake_is_told_in_a_line_and_changes_nothing(store, run, line, code, says):
    before = sorted(path.name for path in store.parent.iterdir())
    got, said, wrong = run(line)
    assert (got, said) == (code, "")
    assert says in wrong
    assert "Traceback" not in wrong
    assert sorted(path.name for path in store.parent.iterdir()) == before
    with Memory.open(store) as memory:
        assert memory.scope("acme", "alice").count() == 3


def test_where_a_store_or_scope_is_not_named_it_is_asked_for(store, run, monkeypatch):
    monkeypatch.delenv("STEPWELL_SCOPE")
    assert run("recall rain")[0] == 0  # there is only one
    with Memory.open(store) as memory:
        memory.scope("acme", "b/b").remember("x")
        uri = memory.scope("acme", "alice").uri
    code, _, wrong = run("recall rain")
    assert code == Exit.USAGE
    assert "--scope acme/b%2Fb" in wrong
    assert "rain in Oslo" in run("recall rain --store", uri)[1]
    monkeypatch.delenv("STEPWELL_STORE")
    assert "STEPWELL_STORE" in run("recall rain")[2]


# what is shown ------------------------------------------------------------------------------------

TRICKS = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202eevil\u2066\u200b\r\x08\x00"


@given(st.text(max_size=80) | st.just(TRICKS))
def test_no_text_commands_a_terminal_or_turns_it_around(text):
    for shown in (safe(text), one_line(text, 30)):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert len(one_line(text, 30)) <= 30


def test_what_people_see_is_tamed_and_cut_and_what_scripts_see_is_whole(store, run):
    trick = TRICKS.replace("\x00", "")
    long = "word " * 200_000
    with Memory.open(store, embedder=None) as memory:
        scope = memory.scope("acme", "alice")
        scope.remember(f"zebra {trick}", id="z1", actor=f"Eve{trick}", session=f"s{trick}")
        scope.remember(f"giraffe {long}", id="z2")
    for line in ("recall zebra", "explain z1 zebra", "records", "tree --turns", "get z1",
                 "history z1", "forget z1 --dry-run", "recall zebra --color"):  # fmt: skip
        said = run(line)[1]
        assert "\x9b" not in said
        assert "\u202e" not in said
        assert "\x1b]" not in said
        if "--color" not in line:
            assert "\x1b" not in said
    said = run("recall giraffe -k 1")[1]
    assert "characters more" in said
    assert len(said) < 5_000
    told = json.loads(run("get z2 --json")[1])
    assert told["text"] == f"giraffe {long}"
    assert json.loads(run("get z1 --json")[1])["text"] == f"zebra {trick}"


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(width=st.integers(1, 60))
def test_a_narrow_terminal_is_wide_enough(store, width):
    from stepwell.cli.looking import tree
    from stepwell.cli.opening import Place
    from stepwell.cli.screen import Screen

    screen = Screen(colour=False)
    screen.console.width, screen.console.file = width, io.StringIO()
    place = Place(str(store), "acme/alice", "none", None, (), screen)
    with place.scope() as scope:
        for number, hit in enumerate(scope.recall("rain"), 1):
            screen.hit(number, hit)
    run = tree.callback.__wrapped__
    assert run(place, turns=True, limit=9) == 0
    assert "Bob" in screen.console.file.getvalue() or width < 9


def test_a_stream_that_takes_only_ascii_gets_ascii(store, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    with Memory.open(store) as memory:
        memory.scope("acme", "alice").remember("Blåbærgrød på fjellet", id="n1")
    assert main(["recall", "Blåbærgrød"]) == 0
    assert b"Bl?b?rgr?d" in raw.getvalue()


# help ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_an_example(run, name):
    code, said, _ = run(f"{name} --help")
    assert code == 0
    command = app.commands[name]
    assert command.short_help
    assert re.search(rf"^  stepwell {name}\b", said, re.MULTILINE)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[0] in said


def test_the_help_names_every_command_and_the_exit_codes(run):
    said = run("--help")[1]
    assert all(re.search(rf"^  {name} ", said, re.MULTILINE) for name in COMMANDS)
    assert all(str(int(code)) in said for code in Exit)
    assert re.match(r"stepwell, version \d", run("--version")[1])


def test_every_verb_has_a_command():
    verbs = {
        "demo", "remember", "recall", "context", "explain", "tree", "history", "forget", "erase",
        "slots", "stats", "check", "backup", "export", "import", "plugins", "presets", "rebuild",
    }  # fmt: skip
    assert verbs <= set(COMMANDS)


# into a file and out of one -----------------------------------------------------------------------


def test_a_scope_goes_through_a_file(store, run, tmp_path):
    code, said, wrong = run("export alice.jsonl --embedder none")
    assert (code, wrong) == (0, "")
    assert "3 turns" in said
    assert run("export alice.jsonl --embedder none")[0] == Exit.STORE  # never over a file
    other = "--store other.db --scope b --embedder none"
    code, said, wrong = run(f"import alice.jsonl {other}")
    assert (code, wrong) == (0, "")
    assert "3 turns" in said
    assert json.loads(run(f"import alice.jsonl --json {other}")[1])["counts"]["known"] == 3
    with Memory.open("other.db") as memory:
        assert [r.text for r in memory.scope("b").records()] == [turn.text for turn in TALK]


def test_what_is_exported_may_be_chosen_and_read(store, run):
    code, said, _ = run("export - --format markdown --session s2 --embedder none")
    assert code == 0
    assert said.startswith("# acme / alice\n")
    assert "The ferry to Nesodden" in said
    assert "yellow coat" not in said


def test_what_is_imported_is_told_also_where_the_file_breaks_off(store, run, monkeypatch):
    whole = run("export - --embedder none")[1]
    lines = whole.splitlines(keepends=True)

    def take(text):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        return run("import - --store other.db --scope b --embedder none")

    code, said, wrong = take("".join(lines[:3]))
    assert code == Exit.STORE
    assert "2 turns before it failed; what came in stays" in said
    assert "call it again" not in said
    assert "the file is cut off" in wrong
    code, said, wrong = take("{")
    assert (code, said) == (Exit.STORE, "nothing came in\n")
    code, said, _ = take("".join([*lines[:3], '{"turn": {}}\n', *lines[3:]]))
    assert code == Exit.TROUBLE
    assert "line 4" in said
    assert run("import nothing.json --embedder none")[0] == Exit.STORE


def test_no_store_is_made_by_a_slip_of_the_pen(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("alice.jsonl").write_text("{}", encoding="utf-8")
    for line in ("remember 'I moved.'", "import alice.jsonl"):
        code, _, wrong = run(f"{line} --store new.db")
        assert code in (Exit.USAGE, Exit.STORE)
        assert wrong
        assert not Path("new.db").exists()
    code, _, wrong = run("import nothing.json --store new.db --scope acme/alice")
    assert code == Exit.STORE
    assert "nothing.json" in wrong
    assert not Path("new.db").exists()
    Path("new.db").touch()
    for line in ("recall rain", "check", "consolidate", "forget t1 --yes"):
        code, _, wrong = run(f"{line} --store new.db --scope acme/alice")
        assert code == Exit.STORE
        assert "the file is empty" in wrong
        assert not Path("new.db").stat().st_size
