"""core/docs/verbs.md and core/docs/errors.md: every verb and every error, as the code says it."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, Final

from stepwell import AsyncMemory, AsyncScope, Documents, Memory, Scope, Task, errors
from stepwell.memory import Past

_WIDTH: Final = 96
_VERBS: Final = """\
# Verbs

Every verb with its exact signature. `AsyncMemory` and `AsyncScope` have the same ones, to be
awaited, but for what is known without asking the store:
{plain}.

Turn and record ids are interchangeable wherever an id is taken. Times are aware; a naive one is
taken as UTC. This page is written by `python -m tests.pages`, from the code.
"""
_ERRORS: Final = """\
# Errors

All of them are `StepwellError`, are raised before anything was changed, and never hold a word of
what is remembered, nor of what was asked. This page is written by `python -m tests.pages`, from the
code.

"""
_FACES: Final[dict[str, type]] = {
    "Memory": Memory,
    "Scope": Scope,
    "Task": Task,
    "Past": Past,
    "Documents": Documents,
}


def pages() -> dict[str, str]:
    """The texts of the pages, by where they belong."""
    return {"core/docs/verbs.md": _verbs(), "core/docs/errors.md": _errors()}


def exact(name: str, function: Callable[..., Any]) -> str:
    """A verb's signature as it is written in a program, without `self`."""
    signature = inspect.signature(function)
    given = [p for p in signature.parameters.values() if p.name not in {"self", "cls"}]
    text = name + str(signature.replace(parameters=given))
    # Types stand in quotes where they are not evaluated; of the rest, values are quoted as we do.
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", text).replace("'", '"')
    text = re.sub(r"\b(?:collections\.abc|datetime|typing|os)\.(?=[A-Z])", "", text)
    if len(text) <= _WIDTH:
        return text
    head, rest = text.split("(", 1)
    inside, answer = rest.rsplit(")", 1)
    lines = [""]
    for part in _parts(inside):
        if len(lines[-1]) + len(part) + 1 > _WIDTH - 4:
            lines.append("")
        lines[-1] += f" {part}," if lines[-1] else f"{part},"
    return "\n".join([f"{head}(", *(f"    {line}" for line in lines), f"){answer}"])


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """What is public of a class, in the order of its definition."""
    for base in reversed(kind.__mro__[:-1]):
        for name, thing in vars(base).items():
            if not name.startswith("_") and (callable(thing) or _is_method(thing)):
                yield name, thing


def _verbs() -> str:
    same = [n for n, thing in members(AsyncScope) if not _awaited(thing)]
    same += [n for n, thing in members(AsyncMemory) if not _awaited(thing)]
    plain = ", ".join(f"`{name}`" for name in sorted(set(same) - {"open", "sync"}))
    parts = [_VERBS.format(plain="\n".join(textwrap.wrap(plain, _WIDTH)))]
    for title, kind in _FACES.items():
        parts += [f"\n## {title}\n\n{_said(kind)}\n"]
        for name, thing in members(kind):
            parts.append(f"\n### `{title}.{name}`\n\n{_shown(name, thing)}\n\n{_said(thing)}\n")
    return "".join(parts)


def _shown(name: str, thing: Any) -> str:
    if isinstance(thing, property):
        kind = inspect.signature(thing.fget or _said).return_annotation
        text = f"{name} -> {str(kind).strip(chr(39))}"
    else:
        text = exact(name, getattr(thing, "__func__", thing))
    return textwrap.indent(text, "    ")


def _said(thing: Any) -> str:
    """A docstring, as it is indented in a page."""
    return inspect.getdoc(thing) or ""


def _awaited(thing: Any) -> bool:
    return inspect.iscoroutinefunction(getattr(thing, "__func__", thing))


def _is_method(thing: Any) -> bool:
    return isinstance(thing, property | classmethod | staticmethod)


def _parts(inside: str) -> list[str]:
    """The parameters of a signature: commas in brackets are none between them."""
    parts, depth = [""], 0
    for letter in inside:
        depth += (letter in "[(") - (letter in "])")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _errors() -> str:
    rows = [_ERRORS]
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, Exception):
            bases = ", ".join(f"`{base.__name__}`" for base in kind.__bases__)
            rows.append(f"## `{name}`\n\nIs a {bases}. {_said(kind)}\n\n")
    return "".join(rows).rstrip() + "\n"
