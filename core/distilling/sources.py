"""Texts to distil on, all under licences that let anyone use them. Nothing of them is shipped.

Labels are read of one set alone: which turns of a meeting answer a question about it.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

#: Sets of conversations in the format of stepwell-bench, by licence; and how many texts of each.
CONVERSATIONS = {
    "qmsum": 45_000,  # MIT
    "irc": 45_000,  # CC BY 4.0
    "longmemeval_sample": 15_000,  # MIT
    "who_when": 8_000,  # MIT
    "tau_airline": 4_000,  # MIT
    "hermes_session": 4_000,  # MIT
}
GLOSSES = 60_000
#: How many pairs of neighbouring turns of each.
NEIGHBOURS = {
    "qmsum": 15_000,
    "longmemeval_sample": 4_000,
    "tau_airline": 3_000,
    "irc": 3_000,
    "hermes_session": 400,
}
ANSWERS = 4  # turns that answer a question, of each
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_PARTS = re.compile(r';\s*(?=")|(?<=");\s*')


def texts(data: Path, wordnet: Path, seed: int = 7) -> list[str]:
    """Texts of a few words up to sixty, each once, in an order that the seed decides."""
    draw = random.Random(seed)
    found = [*_glosses(wordnet, draw)]
    for name, most in CONVERSATIONS.items():
        some = list(dict.fromkeys(_said(data / f"{name}.json.gz", draw)))
        draw.shuffle(some)
        found += some[:most]
    found = list(dict.fromkeys(found))
    draw.shuffle(found)
    return found


def pairs(data: Path, seed: int = 3) -> list[tuple[str, str]]:
    """What belongs together: a question and a turn that answers it; a turn and the next one."""
    draw = random.Random(seed)
    found: list[tuple[str, str]] = []
    for conversation in _conversations(data / "qmsum.json.gz"):
        said = {turn["id"]: _bare(turn).split() for turn in conversation["turns"]}
        for question in conversation["questions"]:
            telling = [said[i] for i in question["evidence"] if len(said.get(i, ())) >= 8]
            some = draw.sample(telling, min(ANSWERS, len(telling)))
            found += [(question["question"], " ".join(words[:80])) for words in some]
    for name, most in NEIGHBOURS.items():
        beside = []
        for conversation in _conversations(data / f"{name}.json.gz"):
            for one, next_one in pairwise(conversation["turns"]):
                before, after = _bare(one).split(), _bare(next_one).split()
                if one["session"] == next_one["session"] and min(len(before), len(after)) >= 6:
                    beside.append((" ".join(before[-50:]), " ".join(after[:50])))
        draw.shuffle(beside)
        found += beside[:most]
    return found


def _conversations(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        conversations: list[dict[str, Any]] = json.load(file)["conversations"]
    return conversations


def _glosses(folder: Path, draw: random.Random) -> Iterator[str]:
    """WordNet's definitions, some with the words they define, and all of its examples."""
    entries = []
    for path in sorted(folder.glob("data.*")):
        for line in path.read_text("latin-1").splitlines():
            if line.startswith("  ") or " | " not in line:
                continue
            head, gloss = line.split(" | ", 1)
            fields = head.split()
            words = [fields[4 + 2 * i].partition("(")[0] for i in range(int(fields[3], 16))]
            definition, *examples = (part.strip() for part in _PARTS.split(gloss.strip()))
            entries.append(([word.replace("_", " ") for word in words], definition, examples))
    draw.shuffle(entries)
    for words, definition, _ in entries[:GLOSSES]:
        named = draw.random() < 0.6
        yield f"{', '.join(words[:3])}: {definition}" if named else definition
    for _, _, examples in entries:
        yield from (e.strip('" ') for e in examples if len(e.split()) > 3)


def _said(path: Path, draw: random.Random) -> Iterator[str]:
    for conversation in _conversations(path):
        for turn in conversation["turns"]:
            yield from _pieces(_bare(turn), draw)
        if path.name.startswith(("qmsum", "longmemeval")):
            yield from (question["question"] for question in conversation["questions"])


def _bare(turn: dict[str, Any]) -> str:
    text = turn.get("raw_text") or turn["text"]
    return str(text).removeprefix(f"{turn['speaker']}: ")


def _pieces(text: str, draw: random.Random, least: int = 4, most: int = 60) -> Iterator[str]:
    """Runs of whole sentences, of many lengths."""
    held: list[str] = []
    for sentence in _SENTENCE.split(text):
        words = sentence.split()
        if held and len(held) + len(words) > most:
            yield " ".join(held)
            held = []
        held += words[:most]
        if len(held) >= draw.choice((least, 15, 30, most)):
            yield " ".join(held)
            held = []
    if len(held) >= least:
        yield " ".join(held)
