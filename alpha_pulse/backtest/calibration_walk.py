"""Calibrates the weights of signals again and again, each time on the bars before the next test: what a user would have had.

The tests together are one track record of weights that were all chosen before. It is one book: at the end of a test it keeps its
position, and the next weights trade it on. Beside it stand equal weights and holding on the same bars.

Two tests ask whether that record is luck. The deflated Sharpe ratio holds it against the best that luck would have brought among all sets
of weights that any training tried, as if the walk had been picked from them: stricter than needed, for no choice saw its test. The spread
of that luck is the one of a Sharpe ratio without skill over as many periods, 1/(periods − 1), and not the one found among the sets: where
some have skill, the others' lack of it would be held against the walk. The probability of backtest overfitting asks of the same sets
whether choosing among them is worth anything. Sets whose returns hardly differ count once: a search gathers where it found something, and
among near copies ranks are drawn by lot.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np

from alpha_pulse.backtest.bars import FloatArray
from alpha_pulse.backtest.calibration_parts import DEFAULT_SIGNALS, MIN_BARS, SignalPart, check_search, signal_paths
from alpha_pulse.backtest.calibration_search import Weights, search_weights, trial_progress
from alpha_pulse.backtest.calibration_walk_result import WeightFold, WeightWalk
from alpha_pulse.backtest.overfitting import Overfitting, probability_of_overfitting
from alpha_pulse.backtest.sharpe import DeflatedSharpe, SharpeEstimate, deflated_sharpe, effective_trials
from alpha_pulse.backtest.signals.config import BacktestConfig, check_train_pct
from alpha_pulse.backtest.signals.evaluate import combine
from alpha_pulse.backtest.signals.figures import Metric, returns_of
from alpha_pulse.backtest.signals.functions import SignalFunction
from alpha_pulse.backtest.signals.series import Moments, Numbers, PriceSeries
from alpha_pulse.backtest.walk_forward import Split, walk_forward_splits
from alpha_pulse.errors import ConfigError

__all__ = ["WeightFold", "WeightWalk", "walk_forward_weights"]

_MOST_PERIODS: Final = 5_000
"""Bars of a longer record are taken together for the statistics: a minute's return says nothing that ten of them do not."""
_ALIKE: Final = 0.98
"""Sets of weights whose returns are correlated by this or more are one."""
_NO_SPREAD: Final = 1e-14
_BLOCKS: Final = 16
_LEAST_TEST: Final = 10


def walk_forward_weights(
    prices: Numbers,
    timestamps: Moments,
    signals: Mapping[str, SignalFunction] = DEFAULT_SIGNALS,
    splits: int | Sequence[Split] = 5,
    *,
    anchored: bool = True,
    train_pct: float = 0.4,
    horizon: int = 2,
    embargo: int = 0,
    n_trials: int = 50,
    metric: Metric = "sharpe",
    min_weight: float = 0.0,
    max_weight: float = 1.0,
    seed: int = 42,
    verbose: bool = True,
    config: BacktestConfig | None = None,
) -> WeightWalk:
    """Calibrate on each training, trade the test after it, and judge all tests as one record. Equal arguments give equal results.

    Args:
        prices: closes, quote units, above 0, in the order of time.
        timestamps: as :class:`~alpha_pulse.backtest.signals.Backtest` takes them.
        signals: functions ``fn(prices, i)`` by name.
        splits: how many tests of equal length the bars after the first training make; or splits of your own, as
            ``walk_forward_splits`` makes them: whole trainings, tests that follow one another.
        anchored: every training begins at the first bar and grows; otherwise it rolls along with the length of the first.
        train_pct: fraction of the bars before the first test, purged ones included.
        horizon: bars purged from the end of each training: a decision on a bar trades at the next, and its first return is known one later.
        embargo: further bars left out there.
        n_trials: sets of weights tried in each training, equal ones first.
        metric: as in :func:`~alpha_pulse.backtest.calibrate.calibrate_weights`, for each training.
        min_weight: lowest weight of a signal, 0 or more.
        max_weight: highest weight, above 0.
        seed: of the samplers.
        verbose: show a progress bar, where standard error is a terminal.
        config: sizes, costs and rules of the backtests; its ``train_pct`` is not read.

    Raises:
        ConfigError: as ``calibrate_weights``; a training under 50 bars, a test under 10, or splits that are no walk.
    """
    check_search(n_trials, metric, min_weight, max_weight, seed)
    settings = config or BacktestConfig()
    series = PriceSeries.of(prices, timestamps, least=2 * MIN_BARS)
    rows = _splits(len(series), splits, anchored=anchored, train_pct=train_pct, horizon=horizon, embargo=embargo)
    whole = SignalPart(series, signal_paths(series, signals))
    equal = dict.fromkeys(signals, float(max_weight))
    folds: list[WeightFold] = []
    tried: list[Weights] = [equal]
    with trial_progress(n_trials * len(rows), verbose) as advance:
        for split in rows:
            train, test = (whole.part(int(part[0]), int(part[-1]) + 1) for part in (split.train, split.test))
            trials = search_weights(
                _objective(train, settings, metric),
                equal,
                bounds=(float(min_weight), float(max_weight)),
                n_trials=n_trials,
                seed=seed,
                advance=advance,
            )
            weights = MappingProxyType(dict(max(trials, key=lambda trial: trial[1])[0]))
            folds.append(WeightFold(split, weights, train.judge(weights, settings), test.judge(weights, settings)))
            tried.extend(one for one, _ in trials)
    return _judged(whole, folds, tried, settings, metric=metric, n_trials=n_trials, seed=seed)


def _objective(train: SignalPart, settings: BacktestConfig, metric: Metric) -> Callable[[Weights], float]:
    return lambda weights: train.score(weights, settings, metric)


def _judged(
    whole: SignalPart,
    folds: Sequence[WeightFold],
    tried: Sequence[Weights],
    settings: BacktestConfig,
    *,
    metric: Metric,
    n_trials: int,
    seed: int,
) -> WeightWalk:
    """All tests as one book, with what stands beside it."""
    first, last = int(folds[0].split.test[0]), int(folds[-1].split.test[-1]) + 1
    tests = whole.part(first, last)
    signal = np.concatenate([combine(whole.paths, fold.weights)[fold.split.test] for fold in folds])
    test = tests.judge_path(signal, settings)
    matrix = _matrix(tests, tried, settings)
    deflated, overfitting, reasons = _tested(_periods(test.returns), matrix)
    return WeightWalk(
        folds=tuple(folds),
        metric=metric,
        test=test,
        equal=tests.judge(tried[0], settings),
        hold=tests.holding(settings),
        deflated=deflated,
        overfitting=overfitting,
        reasons=reasons,
        n_trials=n_trials,
        seed=seed,
    )


def _tested(returns: FloatArray, matrix: FloatArray) -> tuple[DeflatedSharpe | None, Overfitting | None, tuple[str, ...]]:
    """Both tests; one that cannot be made is None, with the reason."""
    deflated: DeflatedSharpe | None = None
    overfitting: Overfitting | None = None
    reasons = []
    try:
        estimate = SharpeEstimate.of(returns)
        deflated = deflated_sharpe(estimate, effective_trials(matrix), 1.0 / (estimate.periods - 1))
    except ConfigError as error:
        reasons.append(f"Deflated Sharpe ratio: not defined. {error}")
    try:
        overfitting = probability_of_overfitting(matrix, blocks=_BLOCKS)
    except ConfigError as error:
        reasons.append(f"Overfitting: not defined. {error}")
    return deflated, overfitting, tuple(reasons)


def _matrix(tests: SignalPart, tried: Sequence[Weights], settings: BacktestConfig) -> FloatArray:
    """Returns per period of every set of weights that traded and is no near copy of another, shape (periods, sets)."""
    kept: list[FloatArray] = []
    standard: list[FloatArray] = []
    for weights in tried:
        returns = _periods(returns_of(tests.equity(weights, settings)[1:], settings.initial_capital))
        if np.ptp(returns) <= _NO_SPREAD:
            continue
        away = returns - returns.mean()
        away /= math.sqrt(float(away @ away))
        if all(float(away @ other) < _ALIKE for other in standard):
            kept.append(returns)
            standard.append(away)
    return np.stack(kept, axis=1) if kept else np.zeros((0, 0))


def _periods(returns: FloatArray) -> FloatArray:
    """At most 5,000 compounded returns of equally many bars each; the first bars that do not fill one are left out."""
    together = -(-len(returns) // _MOST_PERIODS)
    whole = len(returns) // together * together
    compounded: FloatArray = np.prod(1.0 + returns[len(returns) - whole :].reshape(-1, together), axis=1) - 1.0
    return compounded


def _splits(bars: int, splits: int | Sequence[Split], *, anchored: bool, train_pct: float, horizon: int, embargo: int) -> tuple[Split, ...]:
    if not isinstance(splits, int):
        given = tuple(splits)
        _check_walk(given, bars)
        return given
    if splits < 1:
        raise ConfigError("There must be one test at least", field="splits", value=splits, fix="5 are a fair start")
    check_train_pct(train_pct)
    train = int(train_pct * bars)
    test = (bars - train) // splits
    if test < _LEAST_TEST:
        raise ConfigError(f"It leaves {test} bars to a test; {_LEAST_TEST} are needed", field="splits", value=splits, fix="give fewer")
    given = walk_forward_splits(bars, train, test, anchored=anchored, horizon=horizon, embargo=embargo)[:splits]
    _check_walk(given, bars)
    return given


def _check_walk(splits: Sequence[Split], bars: int) -> None:
    """A walk: whole trainings of enough bars, each before its test, and tests that follow one another."""
    if not splits:
        raise ConfigError("There is no split", field="splits", fix="make some with walk_forward_splits")
    for number, problem in _problems(splits, bars):
        raise ConfigError(problem, field=f"splits[{number}]", fix="make them with walk_forward_splits")


def _problems(splits: Sequence[Split], bars: int) -> Iterator[tuple[int, str]]:
    follows: int | None = None
    for number, split in enumerate(splits):
        for name, rows, least in (("training", split.train, MIN_BARS), ("test", split.test, _LEAST_TEST)):
            if len(rows) < least:
                yield number, f"Its {name} has {len(rows)} bars; {least} are needed"
            elif not bool(np.all(np.diff(rows) == 1)) or rows[0] < 0 or rows[-1] >= bars:
                yield number, f"Its {name} is no unbroken stretch of the {bars} bars"
        if len(split.train) and len(split.test) and split.train[-1] >= split.test[0]:
            yield number, "Its training does not end before its test"
        if follows is not None and len(split.test) and int(split.test[0]) != follows:
            yield number, "Its test does not follow the test before"
        follows = int(split.test[-1]) + 1 if len(split.test) else None
