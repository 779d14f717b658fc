"""The four signals, on one bar and on all bars at once. Both ways run the same arithmetic in the same order: they agree to the last bit.

A signal lies in [−1, +1], +1 bullish, and is 0 before its window is full. The value of bar i reads the prices up to and including bar i.
Deviations are those of a population (divided by their number), as in Bollinger's bands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

import numpy as np

from alpha_pulse.backtest.bars import FloatArray
from alpha_pulse.backtest.signals.series import Numbers
from alpha_pulse.errors import ConfigError

LOOKBACK: Final = 20
FULL_MOMENTUM: Final = 0.20
CALM, ROUGH = 0.02, 0.05
FULL_DEVIATIONS: Final = 2.0
FULL_TREND: Final = 0.05
_BLOCK: Final = 8192  # bars that the processor's cache holds with all that is computed of them


class SignalFunction(Protocol):
    """The value on bar ``i``, from ``prices[: i + 1]`` alone. ``prices`` is a read-only array, shape (bars,)."""

    def __call__(self, prices: FloatArray, i: int, /) -> float:
        """−1 (bearish) to +1 (bullish)."""
        ...


def momentum_signal(prices: Numbers, i: int, lookback: int = LOOKBACK) -> float:
    """Return over ``lookback`` bars, full at 20 %.

    Raises:
        ConfigError: ``i`` is no bar of ``prices``, or ``lookback`` is below 1.
    """
    return _on_bar(_MOMENTUM, prices, i, lookback)


def volatility_regime_signal(prices: Numbers, i: int, lookback: int = LOOKBACK) -> float:
    """Deviation of the last ``lookback`` simple returns: +1 at 2 % a bar or less, −1 at 5 % or more, linear between.

    Raises:
        ConfigError: ``i`` is no bar of ``prices``, or ``lookback`` is below 2.
    """
    return _on_bar(_VOLATILITY, prices, i, lookback)


def mean_reversion_signal(prices: Numbers, i: int, lookback: int = LOOKBACK) -> float:
    """−(price − mean)/(2 deviations) of the last ``lookback`` prices; 0 where they are all alike.

    Raises:
        ConfigError: ``i`` is no bar of ``prices``, or ``lookback`` is below 2.
    """
    return _on_bar(_REVERSION, prices, i, lookback)


def trend_following_signal(prices: Numbers, i: int, lookback: int = LOOKBACK) -> float:
    """(fast − slow)/slow mean of prices, full at 5 %; over ``lookback``/2 and 3·``lookback``/2 bars: 10 and 30 by default.

    Raises:
        ConfigError: ``i`` is no bar of ``prices``, or ``lookback`` is below 2.
    """
    return _on_bar(_TREND, prices, i, lookback)


def signal_path(signal: Callable[..., float], prices: Numbers, lookback: int = LOOKBACK) -> FloatArray:
    """One of the four signals above on every bar, shape (bars,): equal to calling it bar by bar, and fast.

    Raises:
        ConfigError: the signal is none of the four, or ``lookback`` is too small for it.
    """
    kernel = _KERNELS.get(signal)
    if kernel is None:
        known = ", ".join(function.__name__ for function in _KERNELS)
        raise ConfigError("It has no vectorised form", field="signal", value=signal, fix=f"give one of: {known}")
    return _on_all(kernel, np.asarray(prices, dtype=np.float64), lookback)


def known_path(function: SignalFunction, prices: FloatArray) -> FloatArray | None:
    """The path of one of the four, also as ``functools.partial`` with a ``lookback``; None for any other function."""
    if isinstance(function, partial) and not function.args and set(function.keywords) <= {"lookback"}:
        kernel = _KERNELS.get(function.func)
        return None if kernel is None else _on_all(kernel, prices, function.keywords.get("lookback", LOOKBACK))
    kernel = _KERNELS.get(function)
    return None if kernel is None else _on_all(kernel, prices, LOOKBACK)


class _Kernel(NamedTuple):
    """``compute`` gives one value for each full window in the prices that it gets."""

    compute: Callable[[FloatArray, int], FloatArray]
    window: Callable[[int], int]  # bars that one value reads
    least: int  # the smallest lookback


def _momentum(prices: FloatArray, lookback: int) -> FloatArray:
    return (prices[lookback:] / prices[:-lookback] - 1.0) / FULL_MOMENTUM


def _volatility(prices: FloatArray, lookback: int) -> FloatArray:
    _, deviation = _moments(prices[1:] / prices[:-1] - 1.0, lookback)
    return 1.0 - 2.0 * (deviation - CALM) / (ROUGH - CALM)


def _reversion(prices: FloatArray, lookback: int) -> FloatArray:
    mean, deviation = _moments(prices, lookback)
    band = FULL_DEVIATIONS * deviation
    return np.divide(mean - prices[lookback - 1 :], band, out=np.zeros_like(mean), where=band > 0.0)


def _trend(prices: FloatArray, lookback: int) -> FloatArray:
    fast, slow = lookback // 2, 3 * lookback // 2
    slow_mean = _sums(prices, slow) / slow
    fast_mean = _sums(prices[slow - fast :], fast) / fast
    return (fast_mean - slow_mean) / slow_mean / FULL_TREND


def _sums(values: FloatArray, width: int) -> FloatArray:
    """Sums of every ``width`` neighbours, added oldest first. A running sum would be faster, and drift."""
    count = len(values) - width + 1
    total = values[:count].copy()
    for k in range(1, width):
        total += values[k : k + count]
    return total


def _moments(values: FloatArray, width: int) -> tuple[FloatArray, FloatArray]:
    """Mean and deviation of every ``width`` neighbours, in two passes: squares of large numbers cancel badly in one."""
    mean = _sums(values, width) / width
    count = len(mean)
    squares = np.zeros(count)
    for k in range(width):
        away = values[k : k + count] - mean
        away *= away
        squares += away
    # Equal values may miss their mean by an ulp; that is no deviation.
    tiny = np.abs(mean) * 1e-14
    deviation = np.sqrt(squares / width)
    return mean, np.where(deviation > tiny, deviation, 0.0)


def _on_bar(kernel: _Kernel, prices: Numbers, i: int, lookback: int) -> float:
    if not 0 <= i < len(prices):
        raise ConfigError(f"There are {len(prices)} bars", field="i", value=i, fix="count bars from 0")
    _check(kernel, lookback)
    first = i + 1 - kernel.window(lookback)
    if first < 0:
        return 0.0
    value = kernel.compute(np.asarray(prices[first : i + 1], dtype=np.float64), lookback)
    return max(-1.0, min(1.0, float(value[0])))


def _on_all(kernel: _Kernel, prices: FloatArray, lookback: int) -> FloatArray:
    _check(kernel, lookback)
    before = kernel.window(lookback) - 1
    path = np.zeros(len(prices))
    for start in range(before, len(prices), _BLOCK):
        stop = min(start + _BLOCK, len(prices))
        np.clip(kernel.compute(prices[start - before : stop], lookback), -1.0, 1.0, out=path[start:stop])
    return path


def _check(kernel: _Kernel, lookback: int) -> None:
    if lookback < kernel.least:
        raise ConfigError("It is too short", field="lookback", value=lookback, fix=f"give at least {kernel.least} bars")


_MOMENTUM: Final = _Kernel(_momentum, lambda lookback: lookback + 1, 1)
_VOLATILITY: Final = _Kernel(_volatility, lambda lookback: lookback + 1, 2)
_REVERSION: Final = _Kernel(_reversion, lambda lookback: lookback, 2)
_TREND: Final = _Kernel(_trend, lambda lookback: 3 * lookback // 2, 2)
_KERNELS: Final[Mapping[Callable[..., float], _Kernel]] = MappingProxyType(
    {
        momentum_signal: _MOMENTUM,
        volatility_regime_signal: _VOLATILITY,
        mean_reversion_signal: _REVERSION,
        trend_following_signal: _TREND,
    }
)
