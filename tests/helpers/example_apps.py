"""The apps of examples/, as they are and with their one line, here and in other processes."""

from __future__ import annotations

import difflib
import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def module_at(path):
    spec = importlib.util.spec_from_file_location(f"example_{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


run = module_at(EXAMPLES / "run.py")


def changed(framework, name):
    """The lines that are another with stepwell, marked by - and +."""
    texts = [run.source(framework, name, with_stepwell=each).splitlines() for each in (False, True)]
    return [line for line in difflib.ndiff(*texts) if line[0] in "+-"]


def _script(store, framework, name, body):
    return textwrap.dedent(f"""
        import importlib.util, itertools, warnings
        from stepwell import Memory
        spec = importlib.util.spec_from_file_location("run", {str(EXAMPLES / "run.py")!r})
        run = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(run)
        memory = Memory.open({str(store)!r}, embedder=None)
        app = run.load({framework!r}, {name!r}, memory.scope("ann"))
    """) + textwrap.dedent(body)


def _environment():
    return {key: value for key, value in os.environ.items() if key != "STEPWELL_EXAMPLE_MODEL"}


def elsewhere(store, framework, name, *said):
    """Says something to an app in a process of its own, whose model reads; what it answers."""
    body = f"""
        for conversation, text in {said!r}:
            print(run.say(app, text, conversation))
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _script(store, framework, name, body)],
        capture_output=True, text=True, check=True, timeout=120, env=_environment(),
    )  # fmt: skip
    return done.stdout.splitlines()


def killed(store, framework, name, least):
    """Talks to an app in a process that is killed; the number of the last answer."""
    body = """
        for n in itertools.count():
            run.say(app, f"This is number {n} of them", f"c{n % 3}")
            print(n, flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _script(store, framework, name, body)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=_environment(),
    )  # fmt: skip
    answered = -1
    for line in process.stdout:
        answered = int(line)
        if answered >= least:
            process.send_signal(signal.SIGKILL)
            break
    answered = max([answered, *(int(line) for line in process.stdout.read().split())])
    process.stdout.close()
    process.wait()
    return answered
