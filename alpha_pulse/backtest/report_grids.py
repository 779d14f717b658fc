"""The report's tables beyond the demo's, as HTML. Every text is escaped here."""

from __future__ import annotations

from html import escape

from alpha_pulse.backtest.grids import (
    Grid,
    account_grid,
    benchmark_grid,
    decisions_grid,
    drawdowns_grid,
    ledger_grid,
    limits_grid,
    markouts_grid,
    orders_grid,
    protection_grid,
    rules_grid,
)
from alpha_pulse.backtest.result import RunResult
from alpha_pulse.backtest.tables import MINUS


def rules_html(result: RunResult) -> str:
    """The run under each fill rule, or nothing where only one was run."""
    grid = rules_grid(result)
    return f'<section aria-label="Fill rules">{grid_html(grid, css="wide")}</section>' if grid.rows else ""


def grids_html(result: RunResult) -> str:
    """Two stacks of tables: what it came to, and what it did."""
    stacks = (
        ((protection_grid(result), ""), (benchmark_grid(result), ""), (account_grid(result), ""), (drawdowns_grid(result), "times")),
        ((ledger_grid(result), ""), (markouts_grid(result), ""), (orders_grid(result), ""), (limits_grid(result), "")),
    )
    return "".join(f'<div class="stack">{"".join(grid_html(grid, css=css) for grid, css in stack if grid.rows)}</div>' for stack in stacks)


def decisions_html(result: RunResult) -> str:
    """The decision table."""
    grid = decisions_grid(result)
    return grid_html(grid, css="times", name="decisions") if grid.rows else ""


def grid_html(grid: Grid, *, css: str = "", name: str = "") -> str:
    """One table with its title and note."""
    heads = "".join(f'<th scope="col"{_words(grid, i)}>{escape(head)}</th>' for i, head in enumerate(grid.heads))
    body = "".join(f'<tr><th scope="row">{escape(row[0])}</th>{_cells(grid, row)}</tr>' for row in grid.rows)
    note = f"<p>{escape(grid.note)}</p>" if grid.note else ""
    identity = f' id="{name}"' if name else ""
    return (
        f'<div class="{f"table {css}".strip()}"{identity}><table><caption>{escape(grid.title)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{note}</div>"
    )


def _cells(grid: Grid, row: tuple[str, ...]) -> str:
    return "".join(f"<td{_class(grid, number, text)}>{escape(text)}</td>" for number, text in enumerate(row[1:], 1))


def _class(grid: Grid, number: int, text: str) -> str:
    if number in grid.signed and text[:1] in {"+", MINUS}:
        return ' class="plus"' if text.startswith("+") else ' class="minus"'
    return _words(grid, number)


def _words(grid: Grid, number: int) -> str:
    return ' class="words"' if number in grid.prose else ""
