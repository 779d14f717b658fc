"""A search on the console."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.text import Text

from alpha_pulse.backtest.backtest_console import print_grids
from alpha_pulse.backtest.console import print_assumptions
from alpha_pulse.backtest.search.result import SearchResult
from alpha_pulse.backtest.search.search_grids import market_text, search_assumptions, search_grids


def render(result: SearchResult, files: Mapping[str, Path], console: Console) -> None:
    """Print the assumptions, the verdict, every table and where the files are. Text from data is never read as markup."""
    print_assumptions(search_assumptions(result), console)
    console.print(Text(market_text(result), style="bold"))
    if result.interrupted:
        console.print(Text("Interrupted: this is what was found until then. The same command goes on.", style="bold yellow"))
    console.print(Text(result.verdict.headline, style="bold"))
    for test, says in result.verdict.words:
        console.print(Text(f"{test}: ", style="bold").append(says, style="not bold"), soft_wrap=True)
    print_grids(search_grids(result), console)
    console.print()
    names = ("best.yaml", "static.yaml", "report.html", "trials.csv")
    for name in (name for name in names if name in files):
        console.print(
            Text(f"{name.partition('.')[0].capitalize()}: ", style="bold").append(str(files[name]), style="not bold"), soft_wrap=True
        )
