"""The documentation is complete and exact: hooks, errors and verbs stand in it as they are."""

import inspect
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tests.pages import commands, levels, reference

from stepwell import errors, hookspecs
from stepwell.contracts import Models

ROOT = Path(__file__).resolve().parent.parent
HOOKS = {
    name: function
    for name, function in vars(hookspecs).items()
    if hasattr(function, "stepwell_spec")
}


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


# hooks --------------------------------------------------------------------------------------------


def sections() -> dict[str, str]:
    """The page of hooks by its third-level headings, in their order."""
    parts = re.split(r"^### `(.+)`$", text_of("core/docs/hooks.md"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def heading(name: str) -> str:
    return f"{name}({', '.join(inspect.signature(HOOKS[name]).parameters)})"


def test_the_page_of_hooks_has_each_hook_once_in_the_order_of_hookspecs() -> None:
    headings = re.findall(r"^### `(.+)`$", text_of("core/docs/hooks.md"), flags=re.MULTILINE)
    assert headings == [heading(name) for name in HOOKS]


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_stands_there_with_its_exact_types(name: str) -> None:
    exact = name + str(inspect.signature(HOOKS[name])).replace("'", "")
    assert f"\n    {exact}\n" in sections()[heading(name)]


@pytest.mark.parametrize("name", HOOKS)
def test_of_a_hook_is_said_when_it_is_called_by_which_rule_and_what_becomes_of_a_failure(
    name: str,
) -> None:
    section = sections()[heading(name)]
    for promise in ("- **Called** ", "- **Rule:** ", "- **Returns** ", "- **If it fails**, "):
        assert section.count(promise) == 1, promise
    rule = re.search(r"- \*\*Rule:\*\* (first answer|collect|fold|around|tell)\b", section)
    assert rule is not None
    assert (rule[1] == "first answer") is HOOKS[name].stepwell_spec["firstresult"]


# errors -------------------------------------------------------------------------------------------


def tree_of_errors() -> dict[str, str | None]:
    """Each error that the docstring of `errors` shows, and the one under which it stands."""
    above: dict[str, str | None] = {}
    last: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"( *)[*x-] ([A-Z]\w+)", line):
            depth = len(found[1])
            above[found[2]] = last.get(depth - 2)
            last[depth] = found[2]
    return above


def test_the_tree_in_the_docstring_is_the_tree_of_errors() -> None:
    there = {
        name: thing.__base__.__name__ if thing.__base__ not in (Exception, None) else None
        for name, thing in vars(errors).items()
        if isinstance(thing, type) and issubclass(thing, Exception)
    }
    assert tree_of_errors() == there


# models -------------------------------------------------------------------------------------------


def test_the_page_of_models_has_each_typed_call_with_its_parameters() -> None:
    rows = re.findall(r"^\| `(\w+\(.*?\))` \|", text_of("core/docs/models.md"), flags=re.MULTILINE)
    typed = [
        f"{name}({', '.join(list(inspect.signature(call).parameters)[1:])})"
        for name, call in vars(Models).items()
        if inspect.isfunction(call) and name != "embed" and not name.startswith("_")
    ]
    assert rows == typed


# verbs --------------------------------------------------------------------------------------------


def public(kind: type) -> list[str]:
    return [name for name in dir(kind) if not name.startswith("_")]


def test_every_verb_of_a_memory_and_a_scope_is_mentioned() -> None:
    from stepwell import Memory, Scope

    pages = [ROOT / "README.md", *(ROOT / "core" / "docs").glob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    missing = [
        f"{kind.__name__}.{name}"
        for kind in (Memory, Scope)
        for name in public(kind)
        if not re.search(rf"`{name}`|[.`]{name}\(|\.{name}\b", text)
    ]
    assert not missing


# pages that are made ------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "made"), [*reference.pages().items(), *commands.pages().items()])
def test_a_page_made_from_the_code_says_what_the_code_says_now(name: str, made: str) -> None:
    assert text_of(name) == made, "python -m tests.pages"


def test_the_picture_of_the_levels_shows_all_of_them() -> None:
    (made,) = levels.pages().values()
    for picture in (made, text_of("core/docs/levels.svg")):
        classes = [part.get("class") or "" for part in ET.fromstring(picture).iter()]
        assert classes.count("box l0") == 80
        assert all(classes.count(f"box l{level}") > 1 for level in (1, 2, 3))


def test_everything_for_integrations_is_mentioned_on_their_page() -> None:
    from stepwell import adapting

    page = text_of("core/docs/integrations.md")
    assert [name for name in adapting.__all__ if not re.search(rf"\b{name}\b", page)] == []
