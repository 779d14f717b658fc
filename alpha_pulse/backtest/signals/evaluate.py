"""The path of each signal over all bars, and the check that no signal has seen the future."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from alpha_pulse.backtest.bars import FloatArray
from alpha_pulse.backtest.signals.functions import SignalFunction, known_path
from alpha_pulse.errors import ConfigError

CHECK_ALL: Final = 20_000
"""Up to so many bars, every one is checked; of more, a sample of ``CHECK_SOME``."""
CHECK_SOME: Final = 4_000
_SEED: Final = 2018  # a random sample cannot be missed by a signal that looks ahead every so many bars
_TROUBLE: Final = (
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    ConfigError,
)  # what a function raises where the bars that it wants are gone


def check_weight(name: str, weight: float) -> None:
    """Refuse a signal without a name, and a weight that is negative or not finite.

    Raises:
        ConfigError: as said.
    """
    if not name:
        raise ConfigError("A signal needs a name", field="name", value=name, fix='name it, for example "momentum"')
    if not (math.isfinite(weight) and weight >= 0.0):
        fix = "give a weight of 0 or more; to turn a signal round, negate what it returns"
        raise ConfigError("A weight must be finite and not negative", field=f"{name}.weight", value=weight, fix=fix)


def evaluate(name: str, function: SignalFunction, prices: FloatArray) -> FloatArray:
    """The signal on every bar, clipped to [−1, 1], shape (bars,); checked for looking ahead.

    The four signals of this package are computed on all bars at once. Any other function is called bar by bar with all prices, and once
    more with the prices after the bar removed: the two must agree. What a function has got hold of by other ways than its arguments
    (a global, a closure) cannot be removed, so that is not caught.

    Raises:
        ConfigError: the signal looks ahead, is no function of its arguments alone, or returns what is no number; named.
    """
    known = known_path(function, prices)
    if known is not None:
        return known
    path = np.array([_finite(name, i, function(prices, i)) for i in range(len(prices))])
    _check_ahead(name, function, prices, path)
    clipped: FloatArray = np.clip(path, -1.0, 1.0)
    return clipped


def combine(paths: Mapping[str, FloatArray], weights: Mapping[str, float]) -> FloatArray:
    """The weighted mean Σ weight·signal / Σ weight, shape (bars,); 0 throughout where all weights are 0."""
    largest = max(weights[name] for name in paths)
    shares = {name: weights[name] / largest if largest > 0.0 else 0.0 for name in paths}  # scaled first: none can overflow
    total = math.fsum(shares.values())
    combined = np.zeros(len(next(iter(paths.values()))))
    for name, path in paths.items():
        if shares[name] > 0.0:
            combined += shares[name] / total * path
    clipped: FloatArray = np.clip(combined, -1.0, 1.0)  # rounding
    return clipped


def _check_ahead(name: str, function: SignalFunction, prices: FloatArray, path: FloatArray) -> None:
    for i in _bars_to_check(len(prices)):
        try:
            alone = float(function(prices[: i + 1].copy(), i))  # a copy: a view would still know what lies behind it
        except _TROUBLE as error:
            raise _ahead(name, i, f"fails ({type(error).__name__}: {error}) once the bars after it are removed") from error
        if alone != path[i]:
            raise _ahead(name, i, f"is {path[i]:.6g}, and {alone:.6g} once the bars after it are removed")


def _bars_to_check(count: int) -> list[int]:
    if count <= CHECK_ALL:
        return list(range(count))
    chosen = np.random.default_rng(_SEED).choice(count, CHECK_SOME, replace=False)
    return [int(i) for i in np.sort(chosen)]


def _ahead(name: str, i: int, what: str) -> ConfigError:
    return ConfigError(
        f"The signal looks ahead: on bar {i} it {what}",
        field=f"signal {name}",
        fix="read prices[: i + 1] only, and keep nothing between two calls",
    )


def _finite(name: str, i: int, value: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"The signal on bar {i} is no number", field=f"signal {name}", value=value, fix="return 0 where there is none")
    return number
