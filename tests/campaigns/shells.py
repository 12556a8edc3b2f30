"""The command line, as a place where texts are taken. Used by `tests.campaigns.places`."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

from stepwell import Filter
from stepwell.cli import main as command


def _same(found: object, wanted: object) -> None:
    assert found == wanted, f"{found!r:.60} instead of {wanted!r:.60}"


def _run(world: Any, *words: str) -> tuple[int, str]:
    """A command, its exit code and what it has said; a terminal takes UTF-8 and nothing else."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = command([words[0], "--embedder=none", f"--store={world.memory.path}", *words[1:]])
    assert code in (0, 1, 2, 3), f"exit code {code}"
    return int(code), out.buffer.getvalue().decode()  # type: ignore[attr-defined]  # a BytesIO


def command_line(world: Any, text: str) -> None:
    """Arguments and options."""
    mine = f"--scope=mine/{world.number}"
    name = f"cli{text}"
    code, _ = _run(
        world, "remember", mine, f"--id={name}", f"--actor={text}", f"--session={text}", "--",
        f"said {text}",
    )  # fmt: skip
    if code == 0:
        _same(world.scope.get(name).text, f"said {text}")  # type: ignore[union-attr]  # it is there
        _same(json.loads(_run(world, "get", mine, "--json", "--", name)[1])["actor"], text)
    _, told = _run(world, "recall", mine, "--json", f"--session={text}", "--", text)
    assert "kept" not in told, "what is of another session"
    _run(world, "context", mine, "--", text)
    _run(world, "records", mine, f"--actor={text}", f"--from={text}")
    _run(world, "slots", mine, "--", text)
    _run(world, "stats", f"--scope=mine/{world.number}/{text}")
    _run(world, "check", f"--preset={text}x")
    if code == 0:
        _same(_run(world, "forget", mine, "--yes", "--", name)[0], 0)
        _same(world.scope.get(name), None)
    _same(world.scope.count(Filter(session="kept", level=0)), 3)
