"""How long the blocks of a bootstrap should be, from the data themselves.

Politis, D. N. and White, H. (2004), "Automatic block-length selection for the dependent bootstrap", Econometric Reviews 23(1), 53-70, with
the correction of Patton, A., Politis, D. N. and White, H. (2009), Econometric Reviews 28(4), 372-375: the length that makes the variance of
a bootstrapped mean most accurate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from alpha_pulse.backtest.bars import FloatArray
from alpha_pulse.backtest.sharpe import check_returns

_LEAST: Final = 10
_QUIET: Final = 5  # correlations in a row that must be nothing; the paper's max(5, √log₁₀ n), which is 5 below 10²⁵ values
_BAND: Final = 2.0


@dataclass(frozen=True, slots=True)
class BlockLength:
    """Best length [rows]: the mean of the stationary bootstrap's random blocks, and the circular bootstrap's fixed one; at least 1."""

    stationary: float
    circular: float

    def of(self, scheme: Literal["stationary", "circular"]) -> float:
        """The one for a scheme."""
        return self.stationary if scheme == "stationary" else self.circular


def optimal_block_length(values: npt.ArrayLike) -> BlockLength:
    """(2·G²/D)^⅓·n^⅓, G = Σ λ(k/M)·abs(k)·R(k), D = 2·g² (stationary) or 4/3·g² (circular), g = Σ λ(k/M)·R(k), at most min(3√n, n/3).

    R are autocovariances, λ the flat-top window (1 up to ½, then linear to 0 at 1), M twice the first of five lags in a row
    whose autocorrelations lie within ±2·√(log₁₀ n / n).

    Args:
        values: a stationary series, shape (n,), n ≥ 10. Values that are all alike have nothing to keep: length 1.

    Raises:
        ConfigError: fewer than 10 values, or one that is not finite.
    """
    sample = check_returns(values, "values", _LEAST)
    count = len(sample)
    away = sample - sample.mean()
    most = math.ceil(min(3.0 * math.sqrt(count), count / 3.0))
    if float(np.abs(away).max()) <= 1e-14 * float(np.abs(sample).max()):
        return BlockLength(1.0, 1.0)
    furthest = min(math.ceil(math.sqrt(count)) + _QUIET, count - 2)
    covariances = np.array([float(away[lag:] @ away[: count - lag]) / count for lag in range(furthest + 1)])
    lags = np.arange(1, _window(away, furthest) + 1)
    weights = np.minimum(1.0, 2.0 * (1.0 - lags / lags[-1]))
    moment = 2.0 * float(np.sum(weights * lags * covariances[lags]))
    long_run = float(covariances[0] + 2.0 * np.sum(weights * covariances[lags]))
    if long_run == 0.0:
        return BlockLength(float(most), float(most))
    scale = (moment / long_run) ** 2 * count
    return BlockLength(_within(scale ** (1 / 3), most), _within((1.5 * scale) ** (1 / 3), most))


def _window(away: FloatArray, furthest: int) -> int:
    """M: twice the lag from which on nothing is left, at most ``furthest``."""
    count = len(away)
    band = _BAND * math.sqrt(math.log10(count) / count)
    quiet = 0
    for lag in range(1, furthest + 1):
        late, early = away[lag:], away[: count - lag]
        scale = math.sqrt(float(late @ late) * float(early @ early))
        quiet = quiet + 1 if abs(float(late @ early)) < band * scale or scale == 0.0 else 0
        if quiet == _QUIET:
            return min(2 * (lag - _QUIET + 1), furthest)
    return furthest


def _within(length: float, most: int) -> float:
    return max(1.0, min(length, float(most)))
