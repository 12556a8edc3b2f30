"""What measuring a memory of tasks promises."""

import json

import pytest

from stepwell_bench import runs, teams
from stepwell_bench.cli import main
from stepwell_bench.errors import BadData


def house(n: int, verb: str, good: bool) -> dict[str, object]:
    text = (
        f"Task: You are in a room.\n\nYour task is to: {verb} the cup {n} in the sink.\n"
        "> think: where is it?\nOK.\n> go to sink 1\nYou see a cup.\n> "
        f"{verb} cup 1\nNothing happens.\nOutcome: {'success' if good else 'failure'}"
    )
    return {"id": f"T{n}", "text": text, "session": f"T{n}", "seq": n, "done": good}


def call(n: int) -> dict[str, object]:
    said = (
        "user: I want to fly to Oslo.\nOn Monday.\nassistant: "
        'Sure. [search {"to": "OSL"}]\ntool: []\nassistant: There is none.'
    )
    return {"id": f"t{n}", "text": said, "session": f"t{n // 2}", "seq": n, "reward": n % 2}


@pytest.fixture
def folder(tmp_path):
    turns = [house(n, ("wash", "heat")[n % 2], n % 3 > 0) for n in range(8)]
    asked = [{"qid": f"q{n}", "question": "?", "category": ("w", "h")[n % 2]} for n in range(8)]
    team = {
        "conv_id": "team", "task": "Find the tallest fjord.", "mistake_agent": "B",
        "turns": [
            {"id": f"h{n}", "speaker": who, "text": f"{who}: I say {n}."}
            for n, who in enumerate("ABA")
        ],
    }  # fmt: skip
    for name, parts in {
        "acts": [{"conv_id": "house", "turns": turns, "questions": asked}],
        "calls": [{"conv_id": "desk", "turns": [call(n) for n in range(6)]}],
        "teams": [team],
        "none": [],
    }.items():
        held = {"name": name, "conversations": parts}
        (tmp_path / f"{name}.json").write_text(json.dumps(held), "utf-8")
    return tmp_path


def test_actions_are_read_with_what_was_observed(folder):
    run = runs.load(folder / "acts.json")[0]
    assert (run.goal, run.good, run.sort) == ("wash the cup 0 in the sink.", 0.0, "w")
    assert [turn.action for turn in run.turns] == [None, "go to sink 1", "wash cup 1"]
    assert [turn.observation for turn in run.turns] == [None, "You see a cup.", "Nothing happens."]
    assert run.turns[1].upstream == (run.turns[0].id,)


def test_calls_are_actions_and_lines_without_a_speaker_go_on(folder):
    run = runs.load(folder / "calls.json")[1]
    assert (run.goal, run.good, run.sort) == ("I want to fly to Oslo.\nOn Monday.", 1.0, "t0")
    assert [turn.actor for turn in run.turns] == ["user", "assistant", "tool", "assistant"]
    assert [turn.action for turn in run.turns] == [None, "search", None, None]


def test_a_turn_answers_all_that_was_said_since_its_speaker_spoke_last(folder):
    (run,) = runs.load(folder / "teams.json")
    assert run.good == 0.0
    names = [turn.id for turn in run.turns]
    assert [turn.upstream for turn in run.turns] == [(run.id,), (names[0],), (names[0], names[1])]


def test_a_file_without_runs_is_named_and_not_quoted(folder):
    with pytest.raises(BadData, match=r"none\.json"):
        runs.load(folder / "none.json")
    (folder / "bad.json").write_text('{"conversations": [{"secret": 1}]}', "utf-8")
    with pytest.raises(BadData) as error:
        runs.load(folder / "bad.json")
    assert "secret" not in str(error.value)


def test_credit_changes_what_a_stream_is_shown(folder):
    log = runs.load(folder / "acts.json")
    told = teams.replayed(log, "g-memory")
    assert list(told)[:2] == ["g-memory with credit", "g-memory without credit"]
    assert (
        told["g-memory with credit"]["solved"].mean
        >= told["g-memory without credit"]["solved"].mean
    )


def test_the_command_prints_figures_and_no_text(folder, capsys):
    sets = ["--sets", "acts,calls,teams", "--tasks", "12", "--quiet"]
    assert main(["teams", "--data", str(folder), *sets]) == 0
    shown = capsys.readouterr().out
    for word in ("acts: 8 tasks", "calls: a stream", "teams: 1 tasks", "with credit", "flat"):
        assert word in shown
    assert "fjord" not in shown
    assert "Oslo" not in shown


def test_within_a_task_contexts_keep_to_their_budget_and_tell_what_they_hold() -> None:
    log = teams.made_up(3, steps=4)
    held = teams.working(log, "tme", 24, every=2)
    assert held.contexts
    assert held.tokens <= 24 < held.whole
    assert 0 <= held.last <= 1
    assert teams.working(log, "tme", 100_000).contexts == 0
