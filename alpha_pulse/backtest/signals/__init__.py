"""Backtest of signals on a series of prices: weighted opinions become a position, and every figure includes what trading costs.

::

    backtest = Backtest(prices, timestamps, BacktestConfig())
    backtest.add_signal("momentum", momentum_signal, weight=0.6)
    backtest.add_signal("trend", trend_following_signal, weight=0.4)
    print(backtest.run().summary())

A signal is a function ``fn(prices, i)`` from −1 (bearish) to +1 (bullish) that may read bars 0 … i only. A decision on bar i trades at
bar i + 1.
"""

from alpha_pulse.backtest.signals.book import RoundTrip, Trade
from alpha_pulse.backtest.signals.config import BacktestConfig, Execution
from alpha_pulse.backtest.signals.engine import Backtest
from alpha_pulse.backtest.signals.functions import (
    SignalFunction,
    mean_reversion_signal,
    momentum_signal,
    signal_path,
    trend_following_signal,
    volatility_regime_signal,
)
from alpha_pulse.backtest.signals.result import BacktestResult

__all__ = [
    "Backtest",
    "BacktestConfig",
    "BacktestResult",
    "Execution",
    "RoundTrip",
    "SignalFunction",
    "Trade",
    "mean_reversion_signal",
    "momentum_signal",
    "signal_path",
    "trend_following_signal",
    "volatility_regime_signal",
]
