"""Plots as SVG inside of a page: no script, no network, colours from the page's style."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from stepwell_bench.bootstrap import Estimate

#: As many systems have a colour and a mark of their own; then they begin again.
STYLES: Final = 8

_WIDTH: Final = 440
_ROW: Final = 26
_LABELS: Final = 150
_RIGHT: Final = 56
_MARK: Final = 4.5


def whiskers(title: str, rows: Mapping[str, Estimate], *, signed: bool = False) -> str:
    """A dot with its interval for each row. `signed` is for gains: zero is drawn, and signs."""
    high = max([0.0, *(e.high for e in rows.values())])
    low = min([0.0, *(e.low for e in rows.values())])
    step = _step(high - low)
    low, high = math.floor(low / step) * step, max(math.ceil(high / step) * step, low + step)
    left, right = _LABELS, _WIDTH - _RIGHT
    bottom = _ROW * len(rows) + 6

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    parts = []
    for tick in range(round((high - low) / step) + 1):
        value = low + tick * step
        kind = "zero" if signed and abs(value) < step / 2 else "grid"
        parts.append(_line(x(value), 0, x(value), bottom, kind))
        parts.append(_text(x(value), bottom + 15, _number(value, signed), "tick", "middle"))
    for place, (name, estimate) in enumerate(rows.items()):
        y = _ROW * place + _ROW / 2 + 3
        style = f"s{place % STYLES}"
        parts.append(_text(left - 10, y + 4, _short(name), "label", "end", name))
        parts.append(_line(x(estimate.low), y, x(estimate.high), y, f"whisker {style}"))
        parts.append(_mark(x(estimate.mean), y, place))
        shown = f"{estimate.mean:+.3f}" if signed else f"{estimate.mean:.3f}"
        parts.append(_text(right + 10, y + 4, shown, "value", "start"))
    told = ", ".join(f"{name} {_told(estimate)}" for name, estimate in rows.items())
    return _svg(f"{title}: {told}", bottom + 22, parts)


def lines(title: str, ks: Sequence[int], rows: Mapping[str, Sequence[float]]) -> str:
    """A line over k for each row, k on a logarithmic axis, values from 0 to 1."""
    left, right, top, bottom = 36, _WIDTH - 14, 8, 210
    most = math.log(ks[-1] / ks[0]) or 1.0

    def x(k: int) -> float:
        return left + math.log(k / ks[0]) / most * (right - left)

    def y(value: float) -> float:
        return bottom - value * (bottom - top)

    parts = []
    for tenth in range(0, 11, 2):
        parts.append(_line(left, y(tenth / 10), right, y(tenth / 10), "grid"))
        parts.append(_text(left - 8, y(tenth / 10) + 4, f"{tenth / 10:.1f}", "tick", "end"))
    parts += [_text(x(k), bottom + 17, str(k), "tick", "middle") for k in ks]
    # The first row is the one in question: drawn last, above the others.
    for place, values in reversed(list(enumerate(rows.values()))):
        points = " ".join(f"{x(k):.1f},{y(v):.1f}" for k, v in zip(ks, values, strict=True))
        parts.append(f'<polyline class="line s{place % STYLES}" points="{points}"/>')
        parts += [_mark(x(k), y(v), place) for k, v in zip(ks, values, strict=True)]
    told = "; ".join(
        f"{name}: " + ", ".join(f"{v:.3f} at {k}" for k, v in zip(ks, values, strict=True))
        for name, values in rows.items()
    )
    return _svg(f"{title}. {told}", bottom + 26, parts)


def legend(names: Sequence[str]) -> str:
    """Which mark and colour belongs to which name."""
    items = "".join(
        f'<li><svg class="key" viewBox="0 0 14 14" aria-hidden="true">{_mark(7, 7, place)}</svg>'
        f"{escape(name)}</li>"
        for place, name in enumerate(names)
    )
    return f'<ul class="legend">{items}</ul>'


def _mark(x: float, y: float, place: int) -> str:
    """A shape of its own for each row, as colours alone are not for everybody."""
    style, r = f"mark s{place % STYLES}", _MARK
    shape = place % 4
    if shape == 0:
        return f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="{r}"/>'
    corners = {
        1: ((-r, -r), (r, -r), (r, r), (-r, r)),
        2: ((0, -1.3 * r), (1.2 * r, r), (-1.2 * r, r)),
        3: ((0, -1.35 * r), (1.35 * r, 0), (0, 1.35 * r), (-1.35 * r, 0)),
    }[shape]
    points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
    return f'<polygon class="{style}" points="{points}"/>'


def _svg(told: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(told)}">{"".join(parts)}</svg>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str, whole: str = "") -> str:
    title = f"<title>{escape(whole)}</title>" if whole not in ("", text) else ""
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{title}{escape(text)}</text>"
    )


def _told(of: Estimate) -> str:
    """An estimate in words; one whose interval is a point has none."""
    return f"{of.mean:.3f}" + (f" ({of.low:.3f} to {of.high:.3f})" if of.low < of.high else "")


def _short(name: str, most: int = 19) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _number(value: float, signed: bool) -> str:
    digits = 1 if math.isclose(value * 10, round(value * 10), abs_tol=1e-6) else 2
    return f"{value:+.{digits}f}" if signed and abs(value) > 1e-9 else f"{value:.{digits}f}"


def _step(span: float) -> float:
    """A round distance between ticks, of which there are three to six."""
    for step in (0.01, 0.02, 0.05, 0.1, 0.2):
        if span <= 5 * step:
            return step
    return 0.2
