"""The report as one HTML page that needs nothing else: no server, no network, no other file."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Mapping, Sequence

from mmbench.evaluation.report.comparison import Statistic
from mmbench.evaluation.report.plots import Picture
from mmbench.evaluation.report.tables import Cell, Table, shown

_STYLE = """
:root { color-scheme: light; --line: #d9dee3; --ink: #1c2733; --soft: #5c6b7a; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1100px; padding: 1.2rem; color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .6rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .3rem; }
p { margin: .3rem 0 .7rem; color: var(--soft); max-width: 75ch; }
ul { color: var(--soft); padding-left: 1.2rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .6rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
th { border-bottom: 2px solid var(--line); }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 2px solid #0072b2; }
th[aria-sort=ascending] button::after { content: " \\25B2"; }
th[aria-sort=descending] button::after { content: " \\25BC"; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0;
  background: #fff; }
small { color: var(--soft); }
.pictures { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); }
figure { margin: 0; }
img { width: 100%; height: auto; }
figcaption { color: var(--soft); font-size: .9rem; }
"""

_SCRIPT = """
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  table.querySelectorAll("th").forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => row.cells[column].dataset.value;
      const unknown = (row) => value(row) === "";
      const order = (a, b) => {
        if (unknown(a) || unknown(b)) return unknown(a) - unknown(b);
        const [x, y] = [Number(value(a)), Number(value(b))];
        const less = isNaN(x) || isNaN(y) ? value(a).localeCompare(value(b)) : x - y;
        return down ? -less : less;
      };
      body.append(...[...body.rows].sort(order));
    });
  });
}
"""


def page(
    title: str, notes: Sequence[str], tables: Sequence[Table], pictures: Mapping[str, Picture]
) -> str:
    """Builds the page.

    Args:
        title: Its heading.
        notes: What a reader has to know first.
        tables: In their order.
        pictures: By name; they are put into the page.
    """
    first, *others = map(_section, tables)
    listed = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>\n"
        f"<h1>{html.escape(title)}</h1>\n"
        f"{f'<ul>{listed}</ul>' if notes else ''}\n{first}\n"
        f'<div class="pictures">{"".join(map(_picture, pictures.values()))}</div>\n'
        f"{''.join(others)}<script>{_SCRIPT}</script></body></html>\n"
    )


def _section(table: Table) -> str:
    head = "".join(
        f'<th scope="col"><button type="button">{html.escape(name)}</button></th>'
        for name in table.header
    )
    rows = "".join(
        f"<tr>{''.join(_cell(cell, table.heat) for cell in row)}</tr>\n" for row in table.rows
    )
    return (
        f"<h2>{html.escape(table.title)}</h2><p>{html.escape(table.text)}</p>"
        f'<div class="scroll"><table id="{table.name}"><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{rows}</tbody></table></div>\n"
    )


def _cell(cell: Cell, heat: bool) -> str:
    number = cell.value if isinstance(cell, Statistic) else cell
    known = number is not None and not (isinstance(number, float) and math.isnan(number))
    value = html.escape(str(number)) if known else ""
    text = html.escape(shown(cell))
    if isinstance(cell, Statistic) and " [" in text:
        middle, interval = text.split(" [")
        text = f"{middle} <small>[{interval}</small>"
    colour = ""
    if heat and known and isinstance(number, float):
        colour = f' style="background:{_heat(number)}"'
    return f'<td data-value="{value}"{colour}>{text}</td>'


def _heat(score: float) -> str:
    """From white at 0 to a green on which black text can be read at 1."""
    share = min(1.0, max(0.0, score))
    return "#" + "".join(
        f"{round(255 + share * (at_one - 255)):02x}" for at_one in (0x5D, 0xBB, 0x8A)
    )


def _picture(picture: Picture) -> str:
    caption = html.escape(picture.caption)
    data = base64.b64encode(picture.png).decode()
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )
