"""Searches for the weights of signals on the first part of the data, and judges them once on the rest.

The training part alone chooses; the test part is looked at when the choice is made. Both start flat with the initial capital, with
the signals already warm: a signal reads the past only, so nothing of the test can reach the training.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from alpha_pulse.backtest.calibration_parts import DEFAULT_SIGNALS, MIN_BARS, SignalPart, check_search, signal_paths
from alpha_pulse.backtest.calibration_result import Calibration, PartFigures, WeightComparison, WeightRow
from alpha_pulse.backtest.calibration_search import Weights, search_weights, trial_progress
from alpha_pulse.backtest.calibration_walk import WeightFold, WeightWalk, walk_forward_weights
from alpha_pulse.backtest.signals.config import BacktestConfig, check_train_pct
from alpha_pulse.backtest.signals.evaluate import check_weight
from alpha_pulse.backtest.signals.figures import Metric
from alpha_pulse.backtest.signals.functions import SignalFunction
from alpha_pulse.backtest.signals.series import Moments, Numbers, PriceSeries
from alpha_pulse.errors import ConfigError

__all__ = [
    "DEFAULT_SIGNALS",
    "MIN_BARS",
    "Calibration",
    "PartFigures",
    "WeightComparison",
    "WeightFold",
    "WeightRow",
    "WeightWalk",
    "calibrate_weights",
    "compare_weights",
    "walk_forward_weights",
]


def calibrate_weights(
    prices: Numbers,
    timestamps: Moments,
    signals: Mapping[str, SignalFunction] = DEFAULT_SIGNALS,
    n_trials: int = 100,
    train_pct: float = 0.6,
    metric: Metric = "sharpe",
    min_weight: float = 0.0,
    max_weight: float = 1.0,
    seed: int = 42,
    verbose: bool = True,
    config: BacktestConfig | None = None,
) -> Calibration:
    """Search for the weights with the highest ``metric`` on the training part, by Optuna's TPE sampler.

    The first trial is equal weights, so the choice is never worse than those in training; the test compares both, and holding.
    Equal arguments give equal results.

    Args:
        prices: closes, quote units, above 0, in the order of time.
        timestamps: as :class:`~alpha_pulse.backtest.signals.Backtest` takes them.
        signals: functions ``fn(prices, i)`` by name.
        n_trials: how many weights are tried, the equal ones included.
        train_pct: fraction of the bars that the search sees.
        metric: ``sharpe``, ``sortino``, ``calmar`` (annualised) or ``return`` (of the whole part).
        min_weight: lowest weight of a signal, 0 or more. Weights count in proportion to their sum.
        max_weight: highest weight, above 0.
        seed: of the sampler.
        verbose: show a progress bar, where standard error is a terminal.
        config: sizes, costs and rules of the backtests; its ``train_pct`` is not read.

    Raises:
        ConfigError: prices or times that are no series, fewer than 50 bars in a part, a setting out of its range, a signal that looks
            ahead, or Optuna is not installed.
    """
    check_search(n_trials, metric, min_weight, max_weight, seed)
    settings = config or BacktestConfig()
    train, test = _parts(prices, timestamps, signals, train_pct)
    equal = dict.fromkeys(signals, float(max_weight))
    with trial_progress(n_trials, verbose) as advance:
        trials = search_weights(
            lambda weights: train.score(weights, settings, metric),
            equal,
            bounds=(float(min_weight), float(max_weight)),
            n_trials=n_trials,
            seed=seed,
            advance=advance,
        )
    weights, _ = max(trials, key=lambda trial: trial[1])  # the first of equals
    return Calibration(
        weights=MappingProxyType(dict(weights)),
        metric=metric,
        train=train.judge(weights, settings),
        test=test.judge(weights, settings),
        equal_train=train.judge(equal, settings),
        equal_test=test.judge(equal, settings),
        hold_train=train.holding(settings),
        hold_test=test.holding(settings),
        trials=tuple((MappingProxyType(dict(tried)), found) for tried, found in trials),
        seed=seed,
    )


def compare_weights(
    prices: Numbers,
    timestamps: Moments,
    weights: Mapping[str, Weights],
    signals: Mapping[str, SignalFunction] = DEFAULT_SIGNALS,
    train_pct: float = 0.6,
    config: BacktestConfig | None = None,
) -> WeightComparison:
    """Backtest several sets of weights on both parts of the data.

    Args:
        prices: as in :func:`calibrate_weights`.
        timestamps: as there.
        weights: sets of weights by a name of yours; a signal that a set does not name has weight 0 in it.
        signals: functions ``fn(prices, i)`` by name.
        train_pct: fraction of the bars in the first part.
        config: sizes, costs and rules of the backtests; its ``train_pct`` is not read.

    Raises:
        ConfigError: as :func:`calibrate_weights`; there is no set, or one names a signal that is not there.
    """
    if not weights:
        raise ConfigError("There is nothing to compare", field="weights", fix='give sets by name, such as {"mine": {"momentum": 1.0}}')
    complete = {label: _complete(label, given, signals) for label, given in weights.items()}
    settings = config or BacktestConfig()
    train, test = _parts(prices, timestamps, signals, train_pct)
    rows = (
        WeightRow(label, MappingProxyType(given), train.judge(given, settings), test.judge(given, settings))
        for label, given in complete.items()
    )
    return WeightComparison(tuple(rows))


def _parts(prices: Numbers, timestamps: Moments, signals: Mapping[str, SignalFunction], train_pct: float) -> tuple[SignalPart, SignalPart]:
    """The training and the test, each with the signals on it."""
    check_train_pct(train_pct)
    series = PriceSeries.of(prices, timestamps, least=2 * MIN_BARS)
    split = int(train_pct * len(series))
    for name, count in (("training", split), ("test", len(series) - split)):
        if count < MIN_BARS:
            raise ConfigError(
                f"Of {len(series)} bars it leaves {count} to the {name}; {MIN_BARS} are needed",
                field="train_pct",
                value=train_pct,
                fix="give more bars, or divide them more evenly",
            )
    whole = SignalPart(series, signal_paths(series, signals))
    return whole.part(0, split), whole.part(split, len(series))


def _complete(label: str, given: Weights, signals: Mapping[str, SignalFunction]) -> dict[str, float]:
    unknown = [name for name in given if name not in signals]
    if unknown:
        known = ", ".join(signals)
        raise ConfigError("There is no such signal", field=f"weights[{label!r}]", value=unknown[0], fix=f"name some of: {known}")
    for name, weight in given.items():
        check_weight(f"{label}.{name}", weight)
    return {name: float(given.get(name, 0.0)) for name in signals}
