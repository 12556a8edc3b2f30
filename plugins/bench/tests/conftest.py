"""Conversations that are made up: of gardens, boats and bread."""

import json
from pathlib import Path
from typing import Any

import pytest

SAID = {
    "s1": [
        ("Ann", "The tomatoes in my greenhouse have mildew again."),
        ("Ben", "Spray them with milk and water, my aunt swears by it."),
        ("Ann", "I shall try that on Saturday."),
        ("Ben", "Meanwhile I have sold the old sailing boat."),
        ("Ann", "To whom?"),
        ("Ben", "To a dentist from Tromsø, for nine thousand crowns."),
    ],
    "s2": [
        ("Ann", "My sourdough starter died while we were travelling."),
        ("Ben", "Come and fetch a jar of mine, it is twelve years old."),
        ("Ann", "The milk has worked, by the way: no mildew on any leaf."),
        ("Ben", "Then the dentist should have some for his lettuce."),
    ],
}


def conversation(name: str) -> dict[str, Any]:
    turns: list[dict[str, Any]] = []
    for day, (session, said) in enumerate(SAID.items()):
        for speaker, text in said:
            turns.append(
                {
                    "id": f"t{len(turns)}",
                    "session": session,
                    "seq": len(turns),
                    "speaker": speaker,
                    "text": f"{speaker}: {text}",
                    "time": f"2024-05-0{day + 1}T10:00",
                }
            )
    questions = [
        ("q0", "What was wrong with the tomatoes?", "plants", ["t0"]),
        ("q1", "Who bought the sailing boat?", "boats", ["t3", "t5"]),
        ("q2", "How old is the sourdough starter of Ben?", "bread", ["t7"]),
        ("q3", "Did milk help against mildew?", "plants", ["t8", "gone"]),
        ("q4", "What is the name of the dog?", "never said", []),
    ]
    return {
        "conv_id": name,
        "turns": turns,
        "questions": [
            {"qid": i, "question": q, "category": c, "evidence": e} for i, q, c, e in questions
        ],
    }


@pytest.fixture
def tiny() -> dict[str, Any]:
    """A set of two conversations with four questions each that can be scored."""
    return {"name": "tiny", "split": "dev", "conversations": [conversation("a"), conversation("b")]}


@pytest.fixture
def stream() -> dict[str, Any]:
    """A log whose questions are asked while it goes on."""
    one = conversation("log")
    for turn in one["turns"]:
        turn["session"], turn["time"] = "all", f"10:{turn['seq']:02}"
    one["questions"] = [
        {"qid": "q", "question": "milk mildew", "evidence": ["t0"], "as_of": 8, "time": "10:08"},
        {"qid": "first", "question": "tomatoes", "evidence": ["t0"], "as_of": 0, "time": "10:00"},
    ]
    return {"name": "log", "conversations": [one]}


@pytest.fixture
def folder(tiny: dict[str, Any], tmp_path: Path) -> Path:
    """A data folder with the tiny set."""
    made = tmp_path / "data"
    made.mkdir()
    (made / "tiny.json").write_text(json.dumps(tiny), encoding="utf-8")
    return made
