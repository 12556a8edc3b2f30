"""Runs an example of a framework twice: as it is, and with the one line.

    python examples/run.py langchain agent          # or graph, rag, history, classic
    python examples/run.py llamaindex agent         # or chat, workflow, rag
    python examples/run.py autogen pair             # or critic, graph
    python examples/run.py langchain agent --store memory.db

Each example says beneath one of its lines what stands there instead. Its names are given to it, as
the import and the opening of a store would: `scope`, and the classes that it mentions.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import importlib
import inspect
import re
import sys
import tempfile
import warnings
from pathlib import Path

from stepwell import Memory

HERE = Path(__file__).parent
PACKAGES = {
    "autogen": "autogen_stepwell",
    "langchain": "langchain_stepwell",
    "llamaindex": "llama_index.memory.stepwell",
}
CHANGE = re.compile(r"^(?P<indent> *)(?P<old>\S.*)\n *# stepwell: (?P<new>.*)$", re.MULTILINE)
TOLD = ("I moved to Oslo in May, to a flat near the harbour.", "My flat has a red door.")
ASKED = "Where did I move in May?"


def source(framework, name, *, with_stepwell):
    """An example as it is, or with its one line; without the remark that says so."""
    text = (HERE / framework / f"{name}.py").read_text(encoding="utf-8")
    (change,) = CHANGE.finditer(text)
    line = change["indent"] + change["new" if with_stepwell else "old"]
    return text[: change.start()] + line + text[change.end() :]


def load(framework, name, scope=None):
    """What an example defines; with the one line if there is a scope."""
    sys.path.insert(0, str(HERE / framework))
    try:
        given = {"__name__": name}
        if scope is not None:
            used = re.findall(r"Stepwell\w+", source(framework, name, with_stepwell=True))
            package = importlib.import_module(PACKAGES[framework])
            given |= {"scope": scope, **{each: getattr(package, each) for each in used}}
        # Some examples are made with what is deprecated: that is why they are here.
        warnings.filterwarnings("ignore", ".*deprecated")
        text = source(framework, name, with_stepwell=scope is not None)
        exec(compile(text, f"{name}.py", "exec"), given)
    finally:
        sys.path.remove(str(HERE / framework))
    return given


def say(app, text, conversation):
    """Say something to an app; what it says."""
    warnings.simplefilter("ignore")  # … as above, when they are used
    answer = app["say"](text, conversation)
    return asyncio.run(answer) if inspect.iscoroutine(answer) else answer


def talk(app, conversation, texts):
    """Say something to an app, and print what it says."""
    for text in texts:
        print(f"  {conversation:8} user: {text}")
        print(f"  {'':8} app:  {say(app, text, conversation)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("framework", choices=list(PACKAGES))
    parser.add_argument("example", help="the name of one of its files")
    parser.add_argument("--store", type=Path, help="a file to keep; else one that goes away")
    asked = parser.parse_args()
    told, question = (TOLD, ASKED)
    if (asked.framework, asked.example) == ("langchain", "rag"):
        told, question = (), "When does the heron nest in the willow?"
    # A history is of one conversation; the others tell what was said in another one.
    later = "monday" if asked.example == "history" else "tuesday"
    with tempfile.TemporaryDirectory() as folder:
        memory = Memory.open(asked.store or Path(folder) / "memory.db")
        for title, scope in (("As it is", None), ("With the one line", memory.scope("ann"))):
            print(f"\n{title}")
            talk(load(asked.framework, asked.example, scope), "monday", told)
            # As after a restart.
            talk(load(asked.framework, asked.example, scope), later, [question])
        memory.close()
    print("\nThe one line")
    texts = [
        source(asked.framework, asked.example, with_stepwell=each).splitlines()
        for each in (False, True)
    ]
    for line in difflib.unified_diff(*texts, n=0, lineterm=""):
        if line[0] in "+-" and line[:3] not in {"+++", "---"}:
            print(f"  {line}")


if __name__ == "__main__":
    main()
