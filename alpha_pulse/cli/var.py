"""The command ``var-backtest``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alpha_pulse.cli.options import console
from alpha_pulse.errors import ConfigError


def var_backtest(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Recorded candles (CSV, or Parquet with the backtest extra).")],
    confidence: Annotated[float, typer.Option("--confidence", metavar="SHARE", help="Of VaR, e.g. 0.99.")] = 0.99,
    daily: Annotated[
        bool, typer.Option("--daily", help="Read volatility from daily closes; else from every bar, as the bot does.")
    ] = False,
) -> None:
    """Test each method of value at risk, one day ahead, on recorded candles of at least 250 days."""
    if not 0.5 < confidence < 1.0:  # noqa: PLR2004 - below the median there is no loss
        raise ConfigError("must lie between 0.5 and 1.", field="--confidence", value=confidence, fix="write 0.99 for 99 %")

    from alpha_pulse.backtest.var_backtest import backtest_var, daily_closes, read_closes  # noqa: PLC0415 - slow to import
    from alpha_pulse.backtest.var_table import render  # noqa: PLC0415 - as above

    series = [read_closes(file) for file in files]
    tests = [test for closes in series for test in backtest_var(daily_closes(closes) if daily else closes, confidence)]
    render(tests, console(), confidence)
