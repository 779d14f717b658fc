"""A backtest on the console: the demo's tables, then everything beyond them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from alpha_pulse.backtest import console as tables
from alpha_pulse.backtest.grids import Grid, backtest_grids
from alpha_pulse.backtest.monte_carlo_view import monte_carlo_grid
from alpha_pulse.backtest.result import RunResult, iso_utc
from alpha_pulse.backtest.run import BacktestResult
from alpha_pulse.backtest.tables import MINUS

_MOST_NOTES: Final = 12
_EVERYDAY: Final = ("Grid anchored at ", "Node spacing ")  # a grid that follows the price: the report has them


def render(found: BacktestResult, console: Console) -> None:
    """Print the assumptions, every table and where the report is. Text from data is never read as markup."""
    result = found.result
    tables.render(result, console)
    resampled = monte_carlo_grid(result)
    happened = notes_grid(result)
    print_grids([*backtest_grids(result), *(grid for grid in (resampled, happened) if grid.rows)], console)
    console.print(Text("\nReport: ", style="bold").append(str(found.files["report.html"]), style="not bold"), soft_wrap=True)


def notes_grid(result: RunResult) -> Grid:
    """What happened on the way, what the data lack among it, oldest first; no row where that was nothing."""
    notes = [(iso_utc(ts)[:16].replace("T", " "), text) for ts, text in result.notes if not text.startswith(_EVERYDAY)]
    more = len(notes) - _MOST_NOTES
    note = f"And {more:,} more, in the report and result.json." if more > 0 else ""
    return Grid("What happened on the way", ("time, UTC", ""), tuple(notes[:_MOST_NOTES]), note, prose=frozenset({1}))


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
