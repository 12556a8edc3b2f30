"""Personal data with stepwell-redact: nothing of it is stored, exported, logged, told or shown.

    python -m tests.campaigns.redacted --records 1000

Made-up addresses, numbers and keys stand in every part of a turn that is stored as text; then the
file and its log are searched, and exports, logs, errors and representations, and the texts that
vectors are made of.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import random
import string
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stepwell import Filter, Memory, Scope, Turn
from stepwell.errors import StepwellError
from stepwell.testing import HashingEmbedder

_NAMES = ("ada", "björn", "chidi", "дмитрий", "eve", "farid", "gül", "hana")
_SAYS = (
    "Write to {} about the boat.", "You reach me at {}, in the evening.", "It is {}", "({})",
    "Old: {}; new: none.", "{} is what I was given.\nDo not lose it.", "“{}”, she said.",
)  # fmt: skip


def _digits(draw: random.Random, count: int) -> str:
    return "".join(draw.choices("123456789", k=count))


def _word(draw: random.Random, count: int, signs: str = string.ascii_letters) -> str:
    return "".join(draw.choices(signs, k=count))


def _email(draw: random.Random) -> str:
    return f"{draw.choice(_NAMES)}.{_digits(draw, 4)}@{_word(draw, 9).lower()}.example"


def _phone(draw: random.Random) -> str:
    gap = draw.choice((" ", "-", "."))
    return draw.choice((
        f"+1{gap}2{_digits(draw, 2)}{gap}5{_digits(draw, 2)}{gap}{_digits(draw, 4)}",
        f"+44 20 {_digits(draw, 4)} {_digits(draw, 4)}",
        f"+49{_digits(draw, 10)}",
    ))  # fmt: skip


def _card(draw: random.Random) -> str:
    body = f"4{_digits(draw, 14)}"
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in body[::-1][::2]]
    check = -(sum(doubled) + sum(int(digit) for digit in body[::-1][1::2])) % 10
    number = f"{body}{check}"
    gap = draw.choice(("", " ", "-"))
    return gap.join(number[at : at + 4] for at in range(0, 16, 4))


def _iban(draw: random.Random) -> str:
    account = _digits(draw, 18)
    value = int("".join(str(int(char, 36)) for char in f"{account}DE00"))
    return f"DE{98 - value % 97:02d}{account}"


def _key(draw: random.Random) -> str:
    signs = string.ascii_letters + string.digits
    return draw.choice((
        f"ghp_{_word(draw, 36, signs)}", f"sk-proj-1{_word(draw, 48, signs)}",
        f"AKIA{_word(draw, 16, string.ascii_uppercase + string.digits)}",
    ))  # fmt: skip


KINDS: dict[str, Callable[[random.Random], str]] = {
    "email": _email, "phone": _phone, "card": _card, "iban": _iban, "key": _key,
}  # fmt: skip


class Remembering(HashingEmbedder):
    """Keeps the texts that it is given."""

    def __init__(self) -> None:
        super().__init__(16)
        self.given: list[str] = []

    def embed(self, texts: Any, kind: Any) -> Any:
        """As the base does."""
        self.given += texts
        return super().embed(texts, kind)


def turn(number: int, draw: random.Random, secrets: dict[str, str]) -> Turn:
    """A turn with something personal in each of its parts; `secrets` learns what."""

    def planted() -> str:
        kind = draw.choice(list(KINDS))
        value = KINDS[kind](draw)
        secrets[value] = kind
        return draw.choice(_SAYS).format(value)

    def whole() -> int:
        number = _card(draw).replace(" ", "").replace("-", "")
        secrets[number] = "card"
        return int(number)

    return Turn(
        id=f"t{number}", session=f"s{number // 20}", actor=draw.choice(("Ann", "Ben")),
        text=f"{planted()} Boat {number}.", action=planted(), observation=planted(),
        attachments=[{"ref": f"file:{number}", "caption": planted()}],
        payload={"to": [planted(), {"cc": planted()}], "card": whole()},
    )  # fmt: skip


def told(scope: Scope, numbers: range) -> list[str]:
    """What a program may print of a scope, or log: answers, records, receipts, errors."""
    said: list[str] = []
    for question in ("Whom to write to about the boat?", "the evening", "what she said"):
        said.append(repr(scope.recall(question, k=50)))
        said.append(scope.context(question, budget=2000).text)
        said.append(repr(scope.explain(f"t{numbers[0]}", question)))
    said += [repr(record) for record in scope.records(Filter(), limit=10**6)]
    said += [repr(scope.history(f"t{number}")) for number in numbers[:50]]
    said.append(repr(scope.tree()))
    return said


def refused(scope: Scope, secrets: dict[str, str]) -> list[str]:
    """What errors say of calls with something personal in a wrong place."""
    said = []
    for value in list(secrets)[:50]:
        calls: tuple[Callable[[], Any], ...] = (
            lambda v=value: scope.remember({"text": v, "upstream": v}),
            lambda v=value: scope.remember(f"{v}\0"),
            lambda v=value: scope.remember({"text": v, "at": v}),
            lambda v=value: scope.recall(v, k=-1),
            lambda v=value: scope.revise("nothing", f"{v}"),
        )
        for call in calls:
            try:
                call()
            except StepwellError as error:
                said += [str(error), repr(error)]
                said += [str(error.__cause__ or ""), str(error.__context__ or "")]
    return said


def campaign(folder: Path, records: int, seed: int) -> dict[str, Any]:
    """How many values were planted, and where one was found, by the kind of value."""
    draw = random.Random(seed)
    secrets: dict[str, str] = {}
    embedder = Remembering()
    log = io.StringIO()
    listens = logging.StreamHandler(log)
    logger = logging.getLogger("stepwell")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(listens)
    path = folder / "a.db"
    exported = io.StringIO()
    try:
        with Memory.open(path, embedder=embedder, plugins=["redact"], seed=1) as memory:
            scope = memory.scope("ann")
            for first in range(0, records, 100):
                numbers = range(first, min(first + 100, records))
                scope.remember_many(turn(number, draw, secrets) for number in numbers)
            for number in range(0, records, 10):
                scope.revise(f"t{number}", turn(number, draw, secrets).text)
            scope.consolidate()
            said = {"answers": told(scope, range(records)), "errors": refused(scope, secrets)}
            scope.export(exported)
            written = [each.read_bytes() for each in sorted(folder.iterdir())]
            sound = memory.check().ok
    finally:
        logger.removeHandler(listens)
        logger.setLevel(before)
    places = {
        **{name: "\n".join(texts) for name, texts in said.items()},
        "export": exported.getvalue(), "logs": log.getvalue(),
        "texts of vectors": "\n".join(embedder.given),
        "files": b"\n".join(written).decode("utf-8", "replace"),
    }  # fmt: skip
    wrong = sorted({
        (place, kind) for place, text in places.items()
        for value, kind in secrets.items() if value in text
    })  # fmt: skip
    seen = places["files"].count("Boat") and "[email]" in places["export"]
    return {
        "records": records, "values": len(secrets), "places": list(places), "wrong": wrong,
        "ok": bool(sound and seen and not wrong),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = campaign(Path(folder), given.records, given.seed)
    print(json.dumps(result))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
