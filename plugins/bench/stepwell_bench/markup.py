"""Parts of a page, as HTML that needs no network and no script."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from stepwell_bench.style import CSS


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column names the row; a cell's second line is written small."""
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = ""
    for first, *others in rows:
        cells = "".join(f"<td>{_cell(other)}</td>" for other in others)
        body += f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>'
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="table">'
        f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(text: str) -> str:
    first, _, second = text.partition("\n")
    return escape(first) + (f"<small>{escape(second)}</small>" if second else "")


def figure(caption: str, inside: str) -> str:
    """Something with its caption."""
    return f"<figure><figcaption>{escape(caption)}</figcaption>{inside}</figure>"


def code(text: str) -> str:
    """A sentence, what stands between backticks in it as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def whole(title: str, parts: Iterable[str]) -> str:
    """The page, with its style, for light and for dark."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head>\n<body><main>"
        + "\n".join(parts)
        + "</main></body></html>\n"
    )
