"""Planted damage: `check` finds each kind of it, finds nothing wrong with good files, and `repair`
makes a sound file of what is left.

    python -m tests.campaigns.planted --good 50 --pages 100 --seed 1

Good files come from random days of many verbs; of a copy of one, each kind of damage is done to
another copy, by SQLite itself, while nobody has it open. Then single pages of another are lost, one
at a time, but for the first, which tells of all others.
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

_PAGE = 4096

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
    "a record rests on itself": (
        "INSERT INTO edges SELECT scope, target, 2, source, 1.0, NULL FROM edges WHERE kind = 3"
        " LIMIT 1"
    ),
    "a level is a word": (
        "UPDATE records SET level = 'x' WHERE ref = (SELECT max(ref) FROM records)"
    ),
    "a time is out of the calendar": (
        "UPDATE records SET stored_at = 9223372036854775807"
        " WHERE ref = (SELECT max(ref) FROM records)"
    ),
    "a body is nested without end": (
        "UPDATE bodies SET content = CAST(replace(hex(zeroblob(50000)), '0', '[') AS BLOB)"
        " WHERE body = (SELECT body FROM slots LIMIT 1)"
    ),
    "a body says something else": (
        "UPDATE bodies SET content = CAST('{\"namespace\": 7}' AS BLOB)"
        " WHERE body = (SELECT body FROM documents LIMIT 1)"
    ),
    "a text is of another scope": (
        "UPDATE contents SET scope = 99 WHERE ref = (SELECT max(content) FROM records)"
    ),
    "numbers begin anew": "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'contents'",
    "a key is of no kind": "UPDATE keys SET live = 7 WHERE kid = (SELECT max(kid) FROM keys)",
    "a scope is not found by its path": (
        "UPDATE scopes SET mac = x'00112233445566778899aabbccddeeff'"
        " WHERE scope = (SELECT max(scope) FROM scopes)"
    ),
    "a slot is not found by its name": (
        "UPDATE slots SET mac = x'00112233445566778899aabbccddeeff'"
        " WHERE scope = (SELECT max(scope) FROM slots)"
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


def mended(path: Path) -> int | None:
    """How many turns a repaired file holds; None where it is not sound."""
    sound = path.with_name("sound.db")
    try:
        Memory.repair(path, sound)
        with Memory.open(sound) as memory:
            held = [memory.scope(*names).count(Filter(level=0)) for names in memory.scopes()]
            return sum(held) if memory.check().ok else None
    except StepwellError:
        return None
    finally:
        for file in path.parent.glob("sound.db*"):
            file.unlink()


def lost_pages(folder: Path, pages: int, draw: random.Random) -> dict[str, object]:
    """What is left of a file of 2,000 turns, a page of which is lost, so many times."""
    path, copy, turns = folder / "whole.db", folder / "torn.db", 2000
    with Memory.open(path) as memory:
        for session in range(turns // 50):
            memory.scope("a").remember_many(
                Turn(id=f"{session}-{n}", session=f"s{session}", text=f"{draw.choice(_SAID)} {n}")
                for n in range(50)
            )
        memory.scope("a").consolidate()
    whole, kept = path.read_bytes(), []
    for _ in range(pages):
        at = draw.randrange(1, len(whole) // _PAGE) * _PAGE
        copy.write_bytes(whole[:at] + draw.randbytes(_PAGE) + whole[at + _PAGE :])
        kept.append(mended(copy))
        for side in folder.glob("torn.db*"):
            side.unlink()
    sound = sorted(turns for turns in kept if turns is not None)
    return {
        "lost pages": pages, "not sound after it": kept.count(None),
        "turns kept": {"least": sound[0], "mean": round(sum(sound) / len(sound), 1), "of": turns}
        if sound else {},
    }  # fmt: skip


def campaign(folder: Path, good: int, pages: int, seed: int) -> dict[str, object]:
    """What was found and what was not."""
    draw = random.Random(seed)
    alarms, missed, unsound = 0, [], []
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
        if mended(copy) is None:
            unsound.append(name)
        for path in folder.glob("damaged.db*"):
            path.unlink()
    torn = lost_pages(folder, pages, draw) if pages else {}
    return {
        "damages": len(DAMAGES), "missed": missed, "not mended": unsound, "good files": good,
        "false alarms": alarms, **torn,
        "ok": not (missed or unsound or alarms or torn.get("not sound after it")),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--good", type=int, default=50)
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = campaign(Path(folder), given.good, given.pages, given.seed)
    print(json.dumps(result, indent=2))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
