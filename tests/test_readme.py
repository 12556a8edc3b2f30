"""What the documents show is what happens: their Python runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACES = (
    "README.md",
    "core/README.md",
    "core/docs/*.md",
    "examples/*/README.md",
    "integrations/*/README.md",
    "plugins/*/README.md",
)
DOCUMENTS = sorted(path for place in PLACES for path in ROOT.glob(place))


def python_in(document: Path) -> list[str]:
    """The Python blocks of a document, each on the lines where it stands in it."""
    text = document.read_text(encoding="utf-8")
    return ["\n" * text.count("\n", 0, m.start(1)) + m[1] for m in BLOCK.finditer(text)]


RUNNABLE = [document for document in DOCUMENTS if python_in(document)]


@pytest.mark.parametrize("document", RUNNABLE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_python_of_a_document_runs_from_top_to_bottom(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "document"}
    for block in python_in(document):
        exec(compile(block, str(document), "exec", dont_inherit=True), names)


def test_the_readme_and_the_page_of_hooks_are_among_the_documents_that_run() -> None:
    assert {ROOT / "README.md", ROOT / "core" / "docs" / "hooks.md"} <= set(RUNNABLE)


def test_every_python_block_is_closed_and_found() -> None:
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        assert text.count("```python") == len(python_in(document)), document
