"""The table of a VaR backtest on the console: every row, and what became of the bot's default method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from alpha_pulse.backtest.var_backtest import SIGNIFICANCE, VarTest
from alpha_pulse.hedging.risk.tail import DEFAULT_METHOD

_LEFT: Final = ("series", "side", "method")
_RIGHT: Final = ("days", "expected", "exceeded", "fell back", "Kupiec LR", "p", "Christoff. LR", "p", "joint LR", "p")
_SMALL: Final = 0.0001  # a p-value below this is shown as a power of ten
_WIDEST: Final = 1000  # characters: wider than any row


def render(tests: Sequence[VarTest], console: Console, confidence: float) -> None:
    """Print every test, the default method marked, then the default's p-values in words. Text from data is never read as markup."""
    table = _table(tests, confidence)
    whole = Measurement.get(console, console.options.update(max_width=_WIDEST), table).maximum
    Console(file=console.file, width=max(whole, console.width)).print(table)  # a narrow terminal breaks lines, and cuts no figure off
    own = [test for test in tests if test.method == DEFAULT_METHOD]
    passed = sum(not test.rejected_by for test in own)
    verdict = f"\n* the bot's default, chosen before looking: {DEFAULT_METHOD}; passed {passed} of {len(own)} at {SIGNIFICANCE:.0%}"
    console.print(Text(verdict), soft_wrap=True)
    for test in own:
        values = f"p = {_p(test.kupiec.p)} Kupiec, {_p(test.christoffersen.p)} Christoffersen, {_p(test.joint.p)} joint"
        console.print(Text(f"  {test.series} {_side(test)}: {values}: {_verdict(test)}"), soft_wrap=True)


def _table(tests: Sequence[VarTest], confidence: float) -> Table:
    title = Text(f"One-day-ahead VaR at {confidence * 100:.6g} %, out of sample")
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in _LEFT:
        table.add_column(heading, no_wrap=True)
    for heading in _RIGHT:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(f"at {SIGNIFICANCE:.0%}", no_wrap=True)
    for test in tests:
        default = test.method == DEFAULT_METHOD
        ratios = (test.kupiec, test.christoffersen, test.joint)
        cells = (
            test.series,
            _side(test),
            f"{test.method} *" if default else str(test.method),
            *(str(test.days), f"{test.expected:.2f}", str(test.exceedances), str(test.fell_back)),
            *(cell for ratio in ratios for cell in (f"{ratio.statistic:.2f}", _p(ratio.p))),
            _verdict(test),
        )
        table.add_row(*map(Text, cells), style="bold" if default else "")
    return table


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= _SMALL else f"{value:.0e}"


def _side(test: VarTest) -> str:
    return "long" if test.side > 0 else "short"


def _verdict(test: VarTest) -> str:
    return f"rejected: {', '.join(test.rejected_by)}" if test.rejected_by else "passed"
