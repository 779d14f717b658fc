"""The shock table in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from alpha_pulse.backtest.shock_text import SHOCK_CASES, SHOCK_COLUMNS, ShockLine, shock_lines, shock_title
from alpha_pulse.hedging.risk.shocks import ShockTable

_ALL = tuple(range(len(SHOCK_COLUMNS)))
_ESSENTIAL = tuple(i for i, name in enumerate(SHOCK_COLUMNS) if name != "leverage")


def shock_tables(shocks: ShockTable, console: Console) -> list[Table]:
    """The shock table, as wide as the console holds it: both cases side by side, one after the other, or those in fewer columns."""
    title, lines = shock_title(shocks), shock_lines(shocks)
    both = [_table(title, lines, (0, 1), _ALL, prices=True)]
    each = [_table(f"{title}: {name}", lines, (case,), _ALL, prices=True) for case, name in enumerate(SHOCK_CASES)]
    for tables in (both, each):
        options = console.options.update(width=10_000)
        if all(Measurement.get(console, options, table).maximum <= console.width for table in tables):
            return tables
    return [_table(f"{title}: {name}", lines, (case,), _ESSENTIAL, prices=False) for case, name in enumerate(SHOCK_CASES)]


def _table(title: str, lines: Sequence[ShockLine], cases: tuple[int, ...], columns: tuple[int, ...], *, prices: bool) -> Table:
    table = Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    headings = ["move", *(["price"] if prices else []), "unhedged"]
    for case in cases:
        names = [SHOCK_COLUMNS[i] for i in columns]
        headings += [f"{SHOCK_CASES[case]}\n{names[0]}" if len(cases) > 1 else names[0], *names[1:]]
    for heading in headings:
        table.add_column(heading.replace("to liq", "to\nliq"), justify="right", overflow="fold")
    for line in lines:
        cells = [(line.dead, line.alive)[case][i].replace("liquidated at", "liquidated\nat") for case in cases for i in columns]
        table.add_row(line.move, *([line.price] if prices else []), line.unhedged, *cells)
    return table
