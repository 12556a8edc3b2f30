"""Writes the pages that are made by scripts to where they belong."""

from __future__ import annotations

from pathlib import Path

from tests.pages import commands, levels, reference

ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> None:
    """Write all of them, and say which."""
    for name, text in {**reference.pages(), **commands.pages(), **levels.pages()}.items():
        (ROOT / name).write_text(text, encoding="utf-8")
        print(name)


if __name__ == "__main__":
    main()
