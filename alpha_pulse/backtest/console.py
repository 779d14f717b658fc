"""A run's figures on the console: the same tables as the report, on one screen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from alpha_pulse.backtest import tables
from alpha_pulse.backtest.result import RunResult

_LABEL, _VALUE = 19, 16  # column widths that make the tables line up


def render(result: RunResult, console: Console, report: Path | None = None) -> None:
    """Print the assumptions, then the figures; ``report`` is the path of the HTML report, if one was written.

    Text from data is never read as markup.
    """
    print_assumptions(result.assumptions, console)
    kind = "bold yellow" if result.simulated else "bold cyan"
    console.print(Text(f"{tables.headline(result)} · ", style="bold").append(tables.market_label(result), style=kind))
    console.print(Text(tables.verdict(result)))
    for table in (
        _rows("Where it ended", tables.state_rows(result)),
        _rows("What it took", tables.cost_rows(result), signed=True),
        _paths(result),
        _effectiveness(result),
        _attribution(result),
    ):
        console.print()
        console.print(table)
    if report is not None:
        console.print(Text("\nReport: ", style="bold").append(str(report), style="not bold"), soft_wrap=True)


def print_assumptions(assumptions: Mapping[str, str], console: Console) -> None:
    """Print what the figures below rest on, by topic."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for topic, words in assumptions.items():
        table.add_row(Text(topic, style="bold"), Text(words))
    console.print(Text("Assumptions", style="bold underline"))
    console.print(table)
    console.print()


def _rows(title: str, rows: list[tables.Row], *, signed: bool = False) -> Table:
    table = _table(title, show_header=False)
    table.add_column("", no_wrap=True, min_width=_LABEL)
    table.add_column("", justify="right", no_wrap=True, min_width=_VALUE)
    table.add_column("", style="dim", no_wrap=True)
    for row in rows:
        table.add_row(Text(row.label), _signed(row.value) if signed else Text(row.value), Text(row.note))
    return table


def _attribution(result: RunResult) -> Table:
    *terms, total = tables.attribution_rows(result)
    table = _rows(f"Where the hedge's PnL came from, {result.quote}", terms, signed=True)
    table.add_row(Text(f"= {total.label}", style="bold"), _signed(total.value, "bold"), Text(total.note))
    return table


def _paths(result: RunResult) -> Table:
    table = _table(f"Net worth, {result.quote}: wallet + coins + perpetual", show_header=True)
    for name in ("", "at the end", "change", "worst drawdown", f"in {result.quote}"):
        table.add_column(Text(name), justify="right" if name else "left", no_wrap=True, min_width=0 if name else _LABEL)
    for row in tables.path_rows(result):
        table.add_row(Text(row.label), Text(row.end), _signed(row.change), Text(row.drawdown), Text(row.drawdown_quote))
    return table


def _effectiveness(result: RunResult) -> Table:
    table = _table("Share of the price variance removed", show_header=True)
    for name in ("over", "grid hedge", "static hedge", "ceiling"):
        table.add_column(name, justify="left" if name == "over" else "right", no_wrap=True, min_width=_LABEL if name == "over" else 0)
    for row in tables.effectiveness_rows(result):
        table.add_row(row.label, Text(row.grid, style="bold"), Text(row.static), Text(row.ceiling))
    table.caption = Text(tables.effectiveness_note(result))
    table.caption_justify = "left"
    return table


def _table(title: str, *, show_header: bool) -> Table:
    return Table(
        title=Text(title), title_justify="left", title_style="bold", header_style="dim", show_header=show_header, box=None, pad_edge=False
    )


def _signed(text: str, style: str = "") -> Text:
    colour = "red" if text.startswith(tables.MINUS) else "green" if text.startswith("+") else ""
    return Text(text, style=f"{style} {colour}".strip())
