"""The report's shock table and its chart, as HTML and SVG that need no script. Every text is escaped here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from alpha_pulse.backtest.shock_text import SHOCK_CASES, SHOCK_COLUMNS, ShockLine, shock_lines, shock_title
from alpha_pulse.backtest.tables import MINUS
from alpha_pulse.hedging.risk.shocks import SHOCK_NOTES, ShockTable, percent, reading

_TITLE: Final = "Price shocks from where the run ended"
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 1180.0, 260.0, 64.0, 24.0, 10.0, 32.0  # px
_MOST_INTERVALS: Final = 6  # between the lines of the grid
_UNITS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0)  # NAV change from line to line
_LINES: Final = (("unhedged", "Unhedged", "6 4"), ("static", "Bot dead", "2 3"), ("hedged", "Bot alive", ""))  # the page's colours


def shocks_html(table: ShockTable) -> str:
    """Title, reading, table with both cases, chart and notes."""
    cases = "".join(f'<th scope="colgroup" colspan="{len(SHOCK_COLUMNS)}">{escape(case)}</th>' for case in SHOCK_CASES)
    names = ("move", "price", "unhedged", *SHOCK_COLUMNS, *SHOCK_COLUMNS)
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join(_row(line) for line in shock_lines(table))
    head = f'<thead><tr><td colspan="3"></td>{cases}</tr><tr>{heads}</tr></thead>'
    return _section(
        f"<p><b>{escape(reading(table))}</b></p><p>{escape(shock_title(table))}.</p>"
        f"<table>{head}<tbody>{body}</tbody></table>{_chart(table)}<p>{escape(SHOCK_NOTES)}</p>"
    )


def no_shocks_html(reason: str) -> str:
    """The section where there is no table."""
    return _section(f"<p>Not computed: {escape(reason)}</p>")


def _section(inner: str) -> str:
    return f'<div class="table" id="shocks"><h2>{_TITLE}</h2>{inner}</div>'


def _row(line: ShockLine) -> str:
    cells = (line.price, line.unhedged, *line.dead, *line.alive)
    body = "".join(f'<td class="{_sign(cell)}">{escape(cell)}</td>' for cell in cells)
    return f'<tr><th scope="row">{escape(line.move)}</th>{body}</tr>'


def _sign(cell: str) -> str:
    """Changes alone have a colour: they are the signed per cents."""
    signed = cell.endswith(" %") and cell[:1] in {"+", MINUS}
    return "" if not signed else "plus" if cell.startswith("+") else "minus"


def _chart(table: ShockTable) -> str:
    """NAV change over the moves, three lines."""
    moves = [row.move for row in table.rows]
    series = (
        [row.unhedged_change for row in table.rows],
        [row.dead.nav_change for row in table.rows],
        [row.alive.nav_change for row in table.rows],
    )
    values = [v for line in series for v in line if v is not None]
    if not values or len(moves) < 2:  # noqa: PLR2004 - a line has two ends
        return ""
    unit = next((u for u in _UNITS if max(0.0, *values) - min(0.0, *values) <= (_MOST_INTERVALS - 2) * u), max(abs(v) for v in values))
    first, last = math.floor(min(0.0, *values) / unit), max(1, math.ceil(max(0.0, *values) / unit))

    def x(move: float) -> float:
        return _LEFT + (move - moves[0]) / (moves[-1] - moves[0]) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _TOP + (last - value / unit) / (last - first) * (_HEIGHT - _TOP - _BOTTOM)

    grid = "".join(_rule(y(i * unit), percent(i * unit), zero=i == 0) for i in range(first, last + 1))
    steps = [m for m in moves if abs(m) not in {0.05, 0.1}]
    grid += "".join(f'<text x="{x(m):.1f}" y="{_HEIGHT - 6:.0f}" text-anchor="middle">{escape(percent(m))}</text>' for m in steps)
    lines = "".join(
        _line([(x(m), y(v)) for m, v in zip(moves, line, strict=True) if v is not None], css, dash)
        for line, (css, _, dash) in zip(series, _LINES, strict=True)
    )
    keys = " ".join(f'<span style="color:var(--{css})">━ {escape(name)}</span>' for css, name, _ in _LINES)
    words = f"Change of NAV over the moves. {reading(table)}"
    return (
        f"<p>Change of NAV: {keys}</p>"
        f'<div class="chart"><svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" width="100%" role="img" aria-label="{escape(words)}" '
        f'fill="currentColor" font-size="12">{grid}{lines}</svg></div>'
    )


def _rule(height: float, label: str, *, zero: bool) -> str:
    colour = "var(--soft)" if zero else "var(--grid)"
    line = f'<line x1="{_LEFT:.0f}" x2="{_WIDTH - _RIGHT:.0f}" y1="{height:.1f}" y2="{height:.1f}" style="stroke:{colour}"/>'
    return f'{line}<text x="{_LEFT - 8:.0f}" y="{height + 4:.1f}" text-anchor="end">{escape(label)}</text>'


def _line(points: Sequence[tuple[float, float]], css: str, dash: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{path}" fill="none" stroke-width="2" style="stroke:var(--{css})"{dashes}/>'
