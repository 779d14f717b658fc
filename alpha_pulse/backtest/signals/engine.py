"""Signals, weights and prices become a result."""

from __future__ import annotations

from alpha_pulse.backtest.signals.book import keep_book
from alpha_pulse.backtest.signals.config import BacktestConfig
from alpha_pulse.backtest.signals.evaluate import check_weight, combine, evaluate
from alpha_pulse.backtest.signals.functions import SignalFunction
from alpha_pulse.backtest.signals.result import BacktestResult, measure
from alpha_pulse.backtest.signals.series import Moments, Numbers, PriceSeries
from alpha_pulse.errors import ConfigError


class Backtest:
    """A backtest of weighted signals on one series of prices.

    Args:
        prices: closes, quote units, above 0, in the order of time.
        timestamps: their times: datetimes, ``datetime64``, or numbers since the epoch (s, ms, µs or ns, by their size).
        config: sizes, costs and rules; the defaults of :class:`BacktestConfig`.

    Raises:
        ConfigError: fewer than 2 bars, a price that is not a positive number, or times that do not rise.
    """

    def __init__(self, prices: Numbers, timestamps: Moments, config: BacktestConfig | None = None) -> None:
        self.series = PriceSeries.of(prices, timestamps)
        self.config = config or BacktestConfig()
        self._signals: dict[str, tuple[SignalFunction, float]] = {}

    def add_signal(self, name: str, fn: SignalFunction, weight: float = 1.0) -> None:
        """Add a signal, or replace the one of this name.

        Args:
            name: any, not empty.
            fn: called as ``fn(prices, i)``; gives −1 (bearish) to +1 (bullish) from bars 0 … i.
            weight: 0 or more; weights count in proportion to their sum.

        Raises:
            ConfigError: the name is empty, or the weight is negative or not finite.
        """
        check_weight(name, weight)
        self._signals[name] = (fn, float(weight))

    def run(self) -> BacktestResult:
        """Evaluate the signals, trade their weighted mean, and measure.

        Raises:
            ConfigError: there is no signal, or one looks ahead, or gives what is no number; it is named.
        """
        if not self._signals:
            raise ConfigError("There is no signal", field="signals", fix="add one: backtest.add_signal(name, fn, weight)")
        paths = {name: evaluate(name, function, self.series.prices) for name, (function, _) in self._signals.items()}
        combined = combine(paths, {name: weight for name, (_, weight) in self._signals.items()})
        return measure(self.series, keep_book(self.series.prices, combined, self.config), paths, combined, self.config)
