"""What a backtest of signals came to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from alpha_pulse.backtest.bars import FloatArray, IntArray
from alpha_pulse.backtest.ratios import sharpe_ratio, sortino_ratio
from alpha_pulse.backtest.signals.book import Book, RoundTrip, Trade, round_trips
from alpha_pulse.backtest.signals.config import BacktestConfig
from alpha_pulse.backtest.signals.figures import annual_return, calmar_ratio, max_drawdown, returns_of, total_return
from alpha_pulse.backtest.signals.series import PriceSeries

_WIDTH = 24


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """Figures, curves and trades. Money in quote units, ratios annualised with 365 days; a ratio without a meaning is NaN.

    Curves have shape (bars,) and are read-only; each value is after the trades of its bar.
    """

    total_return: float
    annual_return: float
    sharpe_ratio: float
    sortino_ratio: float
    calmar_ratio: float
    max_drawdown: float
    """A fraction of the highest equity so far, never negative."""
    win_rate: float
    """Share of round trips that made money after costs; an open one counts at the last price. NaN without any."""
    num_trades: int
    total_costs: float
    """Fees and slippage of all trades."""
    train_sharpe: float
    """Of the bars before ``split``."""
    test_sharpe: float
    """Of the bars from ``split`` on."""
    hold_return: float
    """What holding a position of ``position_size_pct`` of the capital from the first bar to the last would have made, without costs."""
    equity_curve: FloatArray
    positions: FloatArray
    """Base units, signed."""
    signals: Mapping[str, FloatArray]
    combined_signal: FloatArray
    trades: tuple[Trade, ...]
    round_trips: tuple[RoundTrip, ...]
    timestamps: IntArray
    """ms since the epoch, UTC."""
    split: int
    """The first bar of the test."""
    periods_per_year: float
    """Bars per year of 365 days, from the timestamps."""
    ruined: bool
    config: BacktestConfig

    @property
    def returns(self) -> FloatArray:
        """Simple returns of equity to each bar from the second on, shape (bars − 1,); the first is from the initial capital."""
        return returns_of(self.equity_curve[1:], self.config.initial_capital)

    def summary(self) -> str:
        """The figures for a person, one a line."""
        first, last = (_day(int(stamp)) for stamp in (self.timestamps[0], self.timestamps[-1]))
        count, costs = len(self.timestamps), self.config
        when = "at the next bar" if costs.execution == "next" else "at the very close that decided (optimistic)"
        rows = (
            ("total return", _percent(self.total_return)),
            (f"holding {costs.position_size_pct:.0%} instead", _percent(self.hold_return)),
            ("annual return", _percent(self.annual_return)),
            ("Sharpe ratio", f"{_ratio(self.sharpe_ratio)}  (train {_ratio(self.train_sharpe)}, test {_ratio(self.test_sharpe)})"),
            ("Sortino, Calmar", f"{_ratio(self.sortino_ratio)}, {_ratio(self.calmar_ratio)}"),
            ("max drawdown", _percent(-self.max_drawdown)),
            ("win rate", f"{_share(self.win_rate)} of {len(self.round_trips)} round trips"),
            ("trades", f"{self.num_trades}"),
            ("costs", f"{self.total_costs:,.2f}  ({self.total_costs / costs.initial_capital:.2%} of the initial capital)"),
            ("equity at the end", f"{self.equity_curve[-1]:,.2f}"),
        )
        lines = [f"Backtest of {', '.join(self.signals)}: {count:,} bars, {first} to {last}", *(f"  {a:<{_WIDTH}}{b}" for a, b in rows)]
        lines.append(
            f"  Trades {when}, {costs.transaction_cost_bps:g} bp fee, {costs.slippage_bps:g} bp slippage; "
            f"{self.periods_per_year:,.1f} bars a year of 365 days."
        )
        if self.ruined:
            lines.append("  RUINED: equity was used up, and trading ended.")
        return "\n".join(lines)


def measure(
    series: PriceSeries, book: Book, paths: Mapping[str, FloatArray], combined: FloatArray, config: BacktestConfig
) -> BacktestResult:
    """Every figure of a book."""
    start, periods = config.initial_capital, series.periods_per_year
    split = int(config.train_pct * len(series))
    returns = returns_of(book.equity[1:], start)  # entry i leads to bar i + 1; the first holds what was paid on bar 0 too
    years = (len(series) - 1) / periods
    trips = round_trips(book.trades, float(series.prices[-1]))
    for curve in (book.equity, book.positions, combined, *paths.values()):
        curve.flags.writeable = False
    return BacktestResult(
        total_return=total_return(book.equity, start),
        annual_return=annual_return(total_return(book.equity, start), years),
        sharpe_ratio=sharpe_ratio(returns, periods),
        sortino_ratio=sortino_ratio(returns, periods),
        calmar_ratio=calmar_ratio(book.equity, start, years),
        max_drawdown=max_drawdown(book.equity, start),
        win_rate=sum(trip.pnl > 0.0 for trip in trips) / len(trips) if trips else math.nan,
        num_trades=len(book.trades),
        total_costs=math.fsum(trade.cost for trade in book.trades),
        train_sharpe=sharpe_ratio(returns[: max(0, split - 1)], periods),
        test_sharpe=sharpe_ratio(returns[max(0, split - 1) :], periods),
        hold_return=config.position_size_pct * (float(series.prices[-1]) / float(series.prices[0]) - 1.0),
        equity_curve=book.equity,
        positions=book.positions,
        signals=MappingProxyType(dict(paths)),
        combined_signal=combined,
        trades=book.trades,
        round_trips=trips,
        timestamps=series.ts_ms,
        split=split,
        periods_per_year=periods,
        ruined=book.ruined,
        config=config,
    )


def _day(ts_ms: int) -> str:
    return datetime.fromtimestamp(ts_ms / 1000.0, UTC).strftime("%Y-%m-%d")


def _percent(value: float) -> str:
    return f"{value:+.2%}" if math.isfinite(value) else "n/a"


def _share(value: float) -> str:
    return f"{value:.1%}" if math.isfinite(value) else "n/a"


def _ratio(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "n/a"
