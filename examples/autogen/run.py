"""Runs an example twice: as it is, and with the one line.

    python examples/autogen/run.py pair              # or critic, graph
    python examples/autogen/run.py pair --store memory.db

Each example says beneath one of its lines what stands there instead. Two names are given to it, as
the import and the opening of a store would: `scope`, and the class that it mentions.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import logging
import re
import sys
import tempfile
from pathlib import Path

import autogen_stepwell
from stepwell import Filter, Memory

HERE = Path(__file__).parent
CHANGE = re.compile(r"^(?P<indent> *)(?P<old>\S.*)\n *# stepwell: (?P<new>.*)$", re.MULTILINE)


def source(name, *, with_stepwell):
    """An example as it is, or with its one line; without the remark that says so."""
    text = (HERE / f"{name}.py").read_text(encoding="utf-8")
    (change,) = CHANGE.finditer(text)
    line = change["indent"] + change["new" if with_stepwell else "old"]
    return text[: change.start()] + line + text[change.end() :]


def load(name, scope=None):
    """What an example defines; with the one line if there is a scope."""
    sys.path.insert(0, str(HERE))
    try:
        given = {"__name__": name}
        if scope is not None:
            used = re.findall(r"Stepwell\w+", source(name, with_stepwell=True))
            given |= {"scope": scope, **{each: getattr(autogen_stepwell, each) for each in used}}
        code = compile(source(name, with_stepwell=scope is not None), f"{name}.py", "exec")
        exec(code, given)
    finally:
        sys.path.remove(str(HERE))
    return given


def talk(app, texts):
    """Say something to an app, each time in a conversation of its own, and print what it says."""
    for text in texts:
        print(f"  user: {text}")
        print(f"  app:  {asyncio.run(app['say'](text))}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("example", choices=["pair", "critic", "graph"])
    parser.add_argument("--store", type=Path, help="a file to keep; else one that goes away")
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    said = [
        "I moved to Oslo in May, to a flat near the harbour.",
        "My flat has a red door.",
        "Where did I move in May?",
    ]
    with tempfile.TemporaryDirectory() as folder:
        memory = Memory.open(asked.store or Path(folder) / "memory.db")
        for title, scope in (("As it is", None), ("With the one line", memory.scope("ann"))):
            print(f"\n{title}")
            talk(load(asked.example, scope), said)
        if asked.example == "graph":
            print("\nWhat was recorded of the last run")
            last = memory.scope("ann").records(Filter(level=0), limit=1000)[-5:]
            names = {turn.turn: turn.actor or "user" for turn in last}
            for turn in last:
                heard = ", ".join(names[name] for name in turn.upstream) or "nobody"
                print(f"  {names[turn.turn]:8} having heard {heard}: {turn.text}")
        memory.close()
    print("\nThe one line")
    texts = [source(asked.example, with_stepwell=each).splitlines() for each in (False, True)]
    for line in difflib.unified_diff(*texts, n=0, lineterm=""):
        if line[0] in "+-" and line[:3] not in {"+++", "---"}:
            print(f"  {line}")


if __name__ == "__main__":
    main()
