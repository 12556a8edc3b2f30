"""Runs an example twice: as it is, and with the one line.

    python examples/langchain/run.py agent           # or graph, rag, history, classic
    python examples/langchain/run.py agent --store memory.db

Each example says beneath one of its lines what stands there instead. Two names are given to it, as
the import and the opening of a store would: `scope`, and the class that it mentions.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
import tempfile
import warnings
from pathlib import Path

import langchain_stepwell
from stepwell import Memory

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
            given |= {"scope": scope, **{each: getattr(langchain_stepwell, each) for each in used}}
        warnings.filterwarnings("ignore", "RunnableWithMessageHistory")
        code = compile(source(name, with_stepwell=scope is not None), f"{name}.py", "exec")
        exec(code, given)
    finally:
        sys.path.remove(str(HERE))
    return given


def talk(app, conversation, texts):
    """Say something to an app, and print what it says."""
    warnings.simplefilter("ignore")  # the older classes are deprecated, which is why they are here
    for text in texts:
        print(f"  {conversation:8} user: {text}")
        print(f"  {'':8} app:  {app['say'](text, conversation)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("example", choices=["agent", "graph", "rag", "history", "classic"])
    parser.add_argument("--store", type=Path, help="a file to keep; else one that goes away")
    asked = parser.parse_args()
    told = ["I moved to Oslo in May, to a flat near the harbour.", "My flat has a red door."]
    question = "Where did I move in May?"
    if asked.example == "rag":
        told, question = [], "When does the heron nest in the willow?"
    # A history is of one conversation; the others tell what was said in another one.
    later = "monday" if asked.example == "history" else "tuesday"
    with tempfile.TemporaryDirectory() as folder:
        memory = Memory.open(asked.store or Path(folder) / "memory.db")
        for title, scope in (("As it is", None), ("With the one line", memory.scope("ann"))):
            print(f"\n{title}")
            talk(load(asked.example, scope), "monday", told)
            talk(load(asked.example, scope), later, [question])  # as after a restart
        memory.close()
    print("\nThe one line")
    texts = [source(asked.example, with_stepwell=each).splitlines() for each in (False, True)]
    for line in difflib.unified_diff(*texts, n=0, lineterm=""):
        if line[0] in "+-" and line[:3] not in {"+++", "---"}:
            print(f"  {line}")


if __name__ == "__main__":
    main()
