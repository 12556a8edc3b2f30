"""Planted damage: `check` finds each kind of it, and finds nothing wrong with good files.

    python -m tests.campaigns.planted --good 50 --seed 1

Good files come from random days of many verbs; of a copy of one, each kind of damage is done to
another copy, by SQLite itself, while nobody has it open.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

from stepwell import Filter, Memory, Turn
from stepwell.errors import StepwellError

#: What is done to the tables, by what a reader would call it.
DAMAGES: dict[str, str] = {
    "a text is gone": "DELETE FROM contents WHERE ref = (SELECT max(ref) FROM contents)",
    "a text is blank": (
        "UPDATE contents SET text = CAST(zeroblob(length(text)) AS TEXT)"
        " WHERE ref = (SELECT min(content) FROM records WHERE status = 2)"
    ),
    "a scope is gone": "DELETE FROM scopes WHERE scope = (SELECT max(scope) FROM scopes)",
    "an id is gone": "DELETE FROM handles WHERE ref = (SELECT min(ref) FROM records)",
    "an id leads nowhere": (
        "UPDATE handles SET ref = 999999 WHERE ref = (SELECT max(ref) FROM records)"
    ),
    "a record is gone": "DELETE FROM records WHERE ref = (SELECT min(ref) FROM records)",
    "an edge leads nowhere": (
        "INSERT INTO edges SELECT scope, source, kind, 999999, 1.0, NULL FROM edges LIMIT 1"
    ),
    "a derived record rests on nothing": (
        "DELETE FROM edges WHERE source = (SELECT max(ref) FROM records WHERE level > 0)"
    ),
    "a vector is too short": (
        "UPDATE keys SET body = substr(body, 1, length(body) - 4) WHERE kid ="
        " (SELECT min(kid) FROM keys WHERE channel = 'vectors' AND live = 2)"
    ),
    "a vector is not a number": (
        "UPDATE keys SET body = CAST(x'0000c07f' || substr(body, 5) AS BLOB) WHERE kid ="
        " (SELECT max(kid) FROM keys WHERE channel = 'vectors' AND live = 2)"
    ),
    "words are cut off": (
        "UPDATE keys SET body = substr(body, 1, length(body) - 3) WHERE kid ="
        " (SELECT max(kid) FROM keys WHERE channel = 'words' AND live = 2)"
    ),
    "a key is of no record": (
        "UPDATE keys SET ref = 999999 WHERE kid = (SELECT min(kid) FROM keys WHERE live = 2)"
    ),
    "a payload is no JSON": (
        "UPDATE contents SET payload = '{' WHERE ref = (SELECT min(ref) FROM contents)"
    ),
    "a body is no JSON": (
        "UPDATE bodies SET content = CAST('[' AS BLOB)"
        " WHERE body = (SELECT body FROM slots LIMIT 1)"
    ),
    "a body is gone": "DELETE FROM bodies WHERE body = (SELECT body FROM documents LIMIT 1)",
    "the journal runs ahead": (
        "UPDATE scopes SET head = 1 WHERE scope = (SELECT min(scope) FROM scopes)"
    ),
    "trust is out of bounds": (
        "UPDATE records SET trust = 7 WHERE ref = (SELECT max(ref) FROM records)"
    ),
    "a kind is unknown": (
        "UPDATE records SET kind = 99 WHERE ref = (SELECT max(ref) FROM records)"
    ),
    "a status is unknown": (
        "UPDATE records SET status = 99 WHERE ref = (SELECT max(ref) FROM records)"
    ),
    "an op is unknown": ("UPDATE journal SET op = 99 WHERE pos = (SELECT max(pos) FROM journal)"),
}


def lived_in(path: Path, draw: random.Random) -> None:
    """A file after a day of many verbs."""
    with Memory.open(path) as memory:
        for name in ("ann", "ben"):
            scope = memory.scope("acme", name)
            for session in range(draw.randint(2, 5)):
                scope.remember_many(
                    Turn(
                        id=f"{session}-{n}", session=f"s{session}", actor=draw.choice("AB"),
                        text=f"{draw.choice(_SAID)} number {draw.randint(1, 99)}",
                        payload={"n": n},
                    )
                    for n in range(draw.randint(2, 9))
                )  # fmt: skip
            scope.consolidate()
            scope.set_slot("profile", f"{name} lives in Oslo.")
            scope.documents.put(("notes",), "a", {"text": draw.choice(_SAID)})
            scope.revise("0-0", "I have moved to Bergen.")
            scope.feedback(scope.recall("Where?", k=3))
            if draw.random() < 0.5:
                scope.forget(where=Filter(session="s1"))
            if draw.random() < 0.5:
                scope.consolidate()


_SAID = (
    "I live in Oslo.", "The ferry leaves at noon.", "Roses want sun.", "The meeting is on Monday.",
    "I have moved to Bergen.", "She works at the library.", "The code is in the drawer.",
)  # fmt: skip


def found(path: Path) -> bool:
    """Whether something is found to be wrong with a file, by opening or by checking it."""
    try:
        with Memory.open(path) as memory:
            return not memory.check().ok
    except StepwellError:
        return True


def campaign(folder: Path, good: int, seed: int) -> dict[str, object]:
    """What was found and what was not."""
    draw = random.Random(seed)
    alarms, missed = 0, []
    source = folder / "good.db"
    for number in range(good):
        path = folder / f"good-{number}.db"
        lived_in(path, draw)
        alarms += found(path)
        if number == 0:
            shutil.copy(path, source)
        path.unlink()
    for name, sql in DAMAGES.items():
        copy = folder / "damaged.db"
        shutil.copy(source, copy)
        db = sqlite3.connect(copy)
        changed = db.execute(sql).rowcount
        db.commit()
        db.close()
        if not changed or not found(copy):
            missed.append(name)
        for path in folder.glob("damaged.db*"):
            path.unlink()
    return {
        "damages": len(DAMAGES), "missed": missed, "good files": good, "false alarms": alarms,
        "ok": not missed and not alarms,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--good", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = campaign(Path(folder), given.good, given.seed)
    print(json.dumps(result, indent=2))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
