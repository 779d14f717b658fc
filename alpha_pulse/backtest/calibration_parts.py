"""What calibrations share: a stretch of bars with every signal on it, and how weights do there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, get_args

import numpy as np

from alpha_pulse.backtest.bars import FloatArray
from alpha_pulse.backtest.calibration_result import PartFigures
from alpha_pulse.backtest.calibration_search import Weights
from alpha_pulse.backtest.signals.book import keep_book
from alpha_pulse.backtest.signals.config import BacktestConfig
from alpha_pulse.backtest.signals.evaluate import combine, evaluate
from alpha_pulse.backtest.signals.figures import Metric, max_drawdown, returns_of, score, total_return
from alpha_pulse.backtest.signals.functions import (
    SignalFunction,
    mean_reversion_signal,
    momentum_signal,
    trend_following_signal,
    volatility_regime_signal,
)
from alpha_pulse.backtest.signals.series import PriceSeries
from alpha_pulse.errors import ConfigError

DEFAULT_SIGNALS: Final[Mapping[str, SignalFunction]] = MappingProxyType(
    {
        "momentum": momentum_signal,
        "volatility_regime": volatility_regime_signal,
        "mean_reversion": mean_reversion_signal,
        "trend_following": trend_following_signal,
    }
)
MIN_BARS: Final = 50
"""Bars that the training and the test need each."""


@dataclass(frozen=True, slots=True)
class SignalPart:
    """One part of the data, with each signal's path on it."""

    series: PriceSeries
    paths: Mapping[str, FloatArray]

    def part(self, first: int, last: int) -> SignalPart:
        """The bars first … last − 1."""
        return SignalPart(self.series.part(first, last), {name: path[first:last] for name, path in self.paths.items()})

    def equity(self, weights: Weights, config: BacktestConfig) -> FloatArray:
        """After each bar, from a flat start, shape (bars,)."""
        return keep_book(self.series.prices, combine(self.paths, weights), config).equity

    def score(self, weights: Weights, config: BacktestConfig, metric: Metric) -> float:
        """The figure to make large; 0 where it has no meaning, as where nothing was traded."""
        found = score(metric, self.equity(weights, config), config.initial_capital, self.series.periods_per_year)
        return found if math.isfinite(found) else 0.0

    def judge(self, weights: Weights, config: BacktestConfig) -> PartFigures:
        """How a set of weights does here."""
        return self.judge_path(combine(self.paths, weights), config)

    def holding(self, config: BacktestConfig) -> PartFigures:
        """A signal of 1 throughout: bought once and held."""
        return self.judge_path(np.ones(len(self.series)), config)

    def judge_path(self, combined: FloatArray, config: BacktestConfig) -> PartFigures:
        """How a combined signal does here, shape (bars,)."""
        book = keep_book(self.series.prices, combined, config)
        start, periods = config.initial_capital, self.series.periods_per_year
        metrics: tuple[Metric, ...] = get_args(Metric)
        return PartFigures(
            first_ms=int(self.series.ts_ms[0]),
            last_ms=int(self.series.ts_ms[-1]),
            bars=len(self.series),
            scores=MappingProxyType({metric: score(metric, book.equity, start, periods) for metric in metrics}),
            total_return=total_return(book.equity, start),
            max_drawdown=max_drawdown(book.equity, start),
            num_trades=len(book.trades),
            total_costs=math.fsum(trade.cost for trade in book.trades),
            returns=returns_of(book.equity[1:], start),
        )


def signal_paths(series: PriceSeries, signals: Mapping[str, SignalFunction]) -> dict[str, FloatArray]:
    """Each signal on every bar.

    Raises:
        ConfigError: there is no signal, or one looks ahead.
    """
    if not signals:
        raise ConfigError("There is no signal", field="signals", fix="leave it out to have the default ones")
    return {name: evaluate(name, function, series.prices) for name, function in signals.items()}


def check_search(n_trials: int, metric: str, min_weight: float, max_weight: float, seed: int) -> None:
    """Refuse a search that cannot be made.

    Raises:
        ConfigError: a setting out of its range.
    """
    if n_trials < 1:
        raise ConfigError("There must be one trial at least", field="n_trials", value=n_trials, fix="100 are a fair start")
    if metric not in get_args(Metric):
        raise ConfigError("There is no such metric", field="metric", value=metric, fix=f"give one of: {', '.join(get_args(Metric))}")
    if not (math.isfinite(max_weight) and max_weight > 0.0):
        raise ConfigError("It must be above 0", field="max_weight", value=max_weight, fix="1 is the default")
    if not 0.0 <= min_weight <= max_weight:
        raise ConfigError(f"It must lie within 0 … {max_weight:g}", field="min_weight", value=min_weight, fix="0 is the default")
    if not 0 <= seed < 2**32:
        raise ConfigError("It must lie within 0 … 2³² − 1", field="seed", value=seed, fix="42 is the default")
