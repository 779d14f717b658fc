"""A backtest on the console: what it assumes on top, then the demo's tables, then everything beyond them."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from alpha_pulse.backtest import console as tables
from alpha_pulse.backtest.grids import Grid, backtest_grids
from alpha_pulse.backtest.monte_carlo_view import monte_carlo_grid
from alpha_pulse.backtest.run import BacktestResult
from alpha_pulse.backtest.tables import MINUS


def render(found: BacktestResult, console: Console) -> None:
    """Print the assumptions, every table and where the report is. Text from data is never read as markup."""
    result = found.result
    assumed = Table.grid(padding=(0, 2))
    assumed.add_column(no_wrap=True)
    assumed.add_column(overflow="fold")
    for topic, words in result.assumptions.items():
        assumed.add_row(Text(topic, style="bold"), Text(words))
    console.print(Text("Assumptions", style="bold underline"))
    console.print(assumed)
    console.print()
    tables.render(result, console)
    resampled = monte_carlo_grid(result)
    print_grids([*backtest_grids(result), *([resampled] if resampled.rows else [])], console)
    console.print(Text("\nReport: ", style="bold").append(str(found.files["report.html"]), style="not bold"), soft_wrap=True)


def print_grids(grids: Iterable[Grid], console: Console) -> None:
    """Tables below each other, each with its note."""
    for grid in grids:
        console.print()
        console.print(Text(grid.title, style="bold"))
        console.print(table_of(grid))
        if grid.note:
            console.print(Text(grid.note, style="dim"))


def table_of(grid: Grid) -> Table:
    """A grid as a console table, without its title: that may be wider."""
    table = Table(header_style="dim", box=None, pad_edge=False)
    for number, name in enumerate(grid.heads):
        left = number == 0 or number in grid.prose
        table.add_column(Text(name), justify="left" if left else "right", no_wrap=number not in grid.prose, overflow="fold")
    for row in grid.rows:
        table.add_row(*(_cell(text, signed=number in grid.signed) for number, text in enumerate(row)))
    return table


def _cell(text: str, *, signed: bool) -> Text:
    colour = "" if not signed else "red" if text.startswith(MINUS) else "green" if text.startswith("+") else ""
    return Text(text, style=colour)
