"""How the report looks."""

from __future__ import annotations

from typing import Final

#: Colours that colour-blind readers can tell apart too, after Okabe and Ito; a set for each ground.
CSS: Final = """
:root {
  --ground: #fff; --panel: #f6f7f9; --ink: #1b1f24; --soft: #57606a; --rule: #d8dee4;
  --c0: #0a63a8; --c1: #b35c00; --c2: #00755a; --c3: #a03a78; --c4: #6b6b6b; --c5: #8a7000;
  --c6: #5b4bb5; --c7: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171b; --panel: #1d2127; --ink: #e8eaed; --soft: #a3abb5; --rule: #363c44;
    --c0: #62b0f0; --c1: #f0a040; --c2: #3fc79f; --c3: #e58bc0; --c4: #b0b0b0; --c5: #dccb4a;
    --c6: #a99df5; --c7: #ff8a80;
  }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif }
main { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1rem 4rem }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem }
h2 { font-size: 1.3rem; margin: 0 0 .3rem }
h2 small { color: var(--soft); font-weight: 400 }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem }
p { margin: .3rem 0; max-width: 52rem }
header p, .small, figcaption { color: var(--soft) }
section { margin-top: 2.5rem; padding-top: 1.2rem; border-top: 1px solid var(--rule) }
.advice { background: var(--panel); border: 0; border-radius: 8px; padding: 1rem 1.2rem }
.advice ul { margin: .3rem 0; padding-left: 1.2rem }
.note { border-left: 3px solid var(--c1); padding-left: .6rem }
.small { font-size: .85rem }
code { font: .92em ui-monospace, Menlo, Consolas, monospace }
details { margin-top: 1.2rem }
summary { cursor: pointer; color: var(--c0) }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem; max-width: 46rem }
dt { font-weight: 600 }
dd { margin: 0 }
.plots { display: grid; gap: 1.2rem 2rem; margin-top: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)) }
figure { margin: 0 0 1rem; min-width: 0; max-width: 32rem }
figcaption { font-size: .9rem; margin-bottom: .3rem }
.plot { width: 100%; height: auto; display: block; font-size: 12.5px }
.plot text { fill: var(--ink) }
.plot .tick { fill: var(--soft); font-size: 12px }
.plot .value { font-variant-numeric: tabular-nums }
.grid { stroke: var(--rule) }
.zero { stroke: var(--soft); stroke-width: 1.5 }
.line { fill: none; stroke-width: 1.8 }
.line.s0 { stroke-width: 2.8 }
.whisker { stroke-width: 2.2; stroke-linecap: round; opacity: .65 }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1rem; padding: 0;
  margin: .4rem 0 0; font-size: .85rem }
.key { width: 14px; height: 14px; vertical-align: -2px; margin-right: .35rem }
.scroll { overflow-x: auto; border: 1px solid var(--rule); border-radius: 6px }
table { border-collapse: collapse; width: 100%; font-size: .88rem;
  font-variant-numeric: tabular-nums }
th, td { padding: .4rem .6rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--rule) }
tbody tr:last-child > * { border-bottom: 0 }
thead th { background: var(--panel); font-weight: 600; color: var(--soft) }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--ground) }
thead th:first-child { background: var(--panel) }
tbody th { font-weight: 600 }
td small { display: block; color: var(--soft); font-size: .78rem }
@media (max-width: 34rem) {
  dl { grid-template-columns: 1fr; gap: 0 }
  dd { margin-bottom: .5rem }
  tbody th { white-space: normal; min-width: 6rem }
}
@media print { .scroll { overflow: visible } }
""" + "".join(
    f".line.s{i}, .whisker.s{i} {{ stroke: var(--c{i}) }} .mark.s{i} {{ fill: var(--c{i}) }}\n"
    for i in range(8)
)
