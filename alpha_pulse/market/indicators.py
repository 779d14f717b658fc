"""Indicators of volatility, volume and trend: pure arithmetic on scalars and arrays, so that a compiler can take it as it is.

Prices are in quote units, volumes in base units, times in days unless a name says otherwise. Nothing here keeps state:
the provider does. Levels (supports and resistances) are in ``levels``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HOURS_PER_DAY = 24.0


def decay(elapsed: float, half_life: float) -> float:
    """Weight that an exponential average keeps after ``elapsed``: 2^(−elapsed/half_life). Both in one unit of time."""
    return math.exp(-math.log(2.0) * elapsed / half_life)


def ewma_variance(variance: float, log_return: float, elapsed_days: float, kept: float) -> float:
    """One step of an exponentially weighted variance per day, for returns over irregular times.

    variance' = kept·variance + (1 − kept)·r²/Δt: the squared return scaled to one day. RiskMetrics Technical Document
    (J. P. Morgan, 1996), §5.2, with the weight ``kept`` = 2^(−Δt/half-life) of this step in place of a constant λ.
    """
    return kept * variance + (1.0 - kept) * log_return * log_return / elapsed_days


def ema(average: float, value: float, kept: float) -> float:
    """One step of an exponential average: kept·average + (1 − kept)·value."""
    return value + kept * (average - value)


def yang_zhang(opens: Floats, highs: Floats, lows: Floats, closes: Floats) -> float:
    """Variance of log returns per bar from n + 1 bars in sequence; the first bar gives only its close. 0 with fewer than three bars.

    σ² = σ²_overnight + k·σ²_open-to-close + (1 − k)·σ²_Rogers-Satchell, k = 0.34/(1.34 + (n + 1)/(n − 1)).
    Yang, D. and Zhang, Q. (2000), "Drift-independent volatility estimation based on high, low, open, and close prices",
    Journal of Business 73(3), 477-491, equations 6 to 10. It ignores drift and allows opening jumps.
    """
    bars = len(closes) - 1
    if bars < 2:  # noqa: PLR2004 - a variance needs two values
        return 0.0
    log_close = np.log(closes)
    log_open = np.log(opens[1:])
    overnight = log_open - log_close[:-1]
    up = np.log(highs[1:]) - log_open
    down = np.log(lows[1:]) - log_open
    move = log_close[1:] - log_open
    rogers_satchell = float((up * (up - move) + down * (down - move)).sum()) / bars
    k = 0.34 / (1.34 + (bars + 1.0) / (bars - 1.0))
    return _sample_variance(overnight) + k * _sample_variance(move) + (1.0 - k) * rogers_satchell


def _sample_variance(values: Floats) -> float:
    count = len(values)
    centred = values - values.sum() / count
    return float((centred * centred).sum()) / (count - 1)


def true_range(high: float, low: float, previous_close: float) -> float:
    """The bar's range, opening gap included, quote units. Wilder, J. W. (1978), "New Concepts in Technical Trading Systems"."""
    return max(high, previous_close) - min(low, previous_close)


def wilder(average: float, value: float, period: int) -> float:
    """One step of Wilder's smoothing, an EMA with α = 1/period (Wilder 1978): the average true range is this of true ranges."""
    return average + (value - average) / period


def average_true_range(highs: Floats, lows: Floats, closes: Floats, period: int) -> float:
    """ATR of n + 1 bars, quote units: the mean of the first ``period`` true ranges, then Wilder's smoothing. 0 with too few bars."""
    count = len(closes) - 1
    if count < period:
        return 0.0
    average = 0.0
    for i in range(1, count + 1):
        span = true_range(highs[i], lows[i], closes[i - 1])
        average = average + span / period if i <= period else wilder(average, span, period)
    return float(average)


def volume_ratio(recent_volume: float, recent_bars: int, total_volume: float, total_bars: int) -> float:
    """Mean volume of the recent bars over the mean of all bars; 1 = usual, also where nothing traded or is known."""
    if recent_bars <= 0 or total_bars <= 0 or total_volume <= 0.0:
        return 1.0
    return (recent_volume / recent_bars) / (total_volume / total_bars)


def trend_strength(fast: float, slow: float, volatility_day: float, lag_days: float) -> float:
    """Direction and strength of the trend, −1 … +1: the slope of an exponential average, in standard deviations.

    tanh( ln(fast/slow) / (σ_day·√lag) ), where fast and slow are exponential averages of price and ``lag_days`` is the
    difference of their mean ages. A price that moves one σ over the lag scores 0.76, a random walk stays near 0.
    It is the normalised moving-average crossover of Baz et al. (2015), "Dissecting investment strategies in the cross
    section and time series", bounded by tanh. 0 where volatility is unknown.
    """
    if volatility_day <= 0.0 or lag_days <= 0.0:
        return 0.0
    return math.tanh(math.log(fast / slow) / (volatility_day * math.sqrt(lag_days)))
