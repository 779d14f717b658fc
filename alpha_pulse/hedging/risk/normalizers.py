"""From a raw reading to a number that a sizer takes: to [0, 1] for the spline sizer, to [−1, +1] for the signal engine. Pure scalars.

Every function takes plain numbers, returns a plain ``float`` inside its range whatever the size of the reading, and raises
:class:`~alpha_pulse.errors.ConfigError` on NaN, infinity and scales that make no sense. Volatilities and returns are fractions
(0.05 is 5 %) over any one horizon, as long as all arguments share it; funding rates are fractions per interval or per year, as stated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from alpha_pulse.errors import ConfigError

HOURS_PER_YEAR = 24.0 * 365.0
_FULL_MOMENTUM = 0.05  # a mean return of this per period is a full signal

Readings = Sequence[float] | NDArray[np.float64]


def annualize_funding(rate: float, interval_hours: float) -> float:
    """A funding rate per interval as a rate per year of 365 days: rate·24/interval·365, without compounding.

    Args:
        rate: fraction per interval; positive is paid by longs to shorts.
        interval_hours: hours between settlements (1, 4 or 8 at most venues), above 0.

    Raises:
        ConfigError: an argument is not finite, or the interval is not positive.
    """
    return _finite("rate", rate) * HOURS_PER_YEAR / _positive("interval_hours", interval_hours)


def normalize_sentiment(raw: float, min_val: float = -1.0, max_val: float = 1.0) -> float:
    """Sentiment to [0, 1]: (raw − min)/(max − min), clipped. ``max_val`` is the most bearish reading, 1 asks for the largest hedge.

    Raises:
        ConfigError: an argument is not finite, or ``min_val`` is not below ``max_val``.
    """
    raw, low, high = _finite("raw", raw), _finite("min_val", min_val), _finite("max_val", max_val)
    if not low < high:
        _refuse("min_val", min_val, f"The range is empty: min_val must be below max_val = {high}", "give min_val < max_val")
    if raw <= low:
        return 0.0
    return 1.0 if raw >= high else (0.5 * raw - 0.5 * low) / (0.5 * high - 0.5 * low)


def normalize_volatility(realized: float, lookback: Readings) -> float:
    """Volatility to [0, 1]: the share of the lookback that is at or below ``realized`` (its empirical percentile).

    Args:
        realized: the volatility now, fraction, 0 or more.
        lookback: past volatilities in the same units, shape (n,), n ≥ 1, in any order.

    Raises:
        ConfigError: ``realized`` or a past value is negative or not finite, or the lookback is empty.
    """
    realized = _not_negative("realized", realized)
    values = _checked("lookback", lookback, lowest=0.0)
    return len([past for past in values if past <= realized]) / len(values)


def normalize_funding(rate: float, extreme_threshold: float = 0.001) -> float:
    """Funding to [0, 1]: clip((rate + t)/(2t)) with t = ``extreme_threshold``; 0.5 is neutral, 1 is longs paying t or more.

    Args:
        rate: fraction, per interval or per year, in the units of the threshold (the default suits a rate per 8 hours).
        extreme_threshold: the rate at which the reading is full, above 0.

    Raises:
        ConfigError: an argument is not finite, or the threshold is not positive.
    """
    return 0.5 + 0.5 * _clip(_finite("rate", rate) / _positive("extreme_threshold", extreme_threshold))


def normalize_funding_rate(rate: float, neutral: float = 0.0, extreme: float = 0.1) -> float:
    """Annual funding to [−1, +1]: clip((neutral − rate)/extreme). Crowded longs (a high rate) are bearish, −1.

    Args:
        rate: fraction per year (see :func:`annualize_funding`).
        neutral: the annual rate that says nothing.
        extreme: the distance from neutral at which the signal is full, above 0.

    Raises:
        ConfigError: an argument is not finite, or ``extreme`` is not positive.
    """
    return _clip((_finite("neutral", neutral) - _finite("rate", rate)) / _positive("extreme", extreme))


def normalize_orderbook_imbalance(bid: float, ask: float) -> float:
    """Depth on the two sides to [−1, +1]: (bid − ask)/(bid + ask), +1 being bids only; an empty book says nothing, 0.

    Args:
        bid: depth of the bids, quote or base units, 0 or more.
        ask: depth of the asks in the same units.

    Raises:
        ConfigError: a depth is negative or not finite.
    """
    bid, ask = _not_negative("bid", bid), _not_negative("ask", ask)
    total = bid + ask
    if total == 0.0:
        return 0.0
    return (bid - ask) / total if total < math.inf else (0.5 * bid - 0.5 * ask) / (0.5 * bid + 0.5 * ask)


def normalize_volatility_regime(vol: float, baseline_vol: float = 0.05, low_vol: float = 0.02, high_vol: float = 0.10) -> float:
    """Volatility to [−1, +1]: +1 at or below low, 0 at baseline, −1 at or above high, linear between. Calm is bullish.

    Args:
        vol: fraction over the horizon of the three levels (the defaults are daily), 0 or more.
        baseline_vol: the usual level.
        low_vol: the calm level, below the baseline.
        high_vol: the stressed level, above the baseline.

    Raises:
        ConfigError: an argument is negative or not finite, or not low < baseline < high.
    """
    vol, low = _not_negative("vol", vol), _not_negative("low_vol", low_vol)
    base, high = _not_negative("baseline_vol", baseline_vol), _not_negative("high_vol", high_vol)
    if not low < base < high:
        problem = f"The levels are out of order: low_vol = {low} < baseline_vol = {base} < high_vol = {high} does not hold"
        _refuse("baseline_vol", baseline_vol, problem, "give low_vol < baseline_vol < high_vol")
    return _clip((base - vol) / (base - low if vol < base else high - base))


def normalize_zscore(value: float, mean: float, std: float, cap: float = 3.0) -> float:
    """A reading to [−1, +1] by its distance from its mean: clip((value − mean)/std, ±cap)/cap; 0 when std = 0.

    Raises:
        ConfigError: an argument is not finite, ``std`` is negative, or ``cap`` is not positive.
    """
    value, mean, std, cap = _finite("value", value), _finite("mean", mean), _not_negative("std", std), _positive("cap", cap)
    return 0.0 if std == 0.0 else _clip((value - mean) / std / cap)


def normalize_price_momentum(returns: Readings, lookback: int = 20) -> float:
    """Recent returns to [−1, +1]: clip(mean of the last ``lookback`` returns / 5 %). Fewer returns than that: the mean of all.

    Args:
        returns: fractions per period, oldest first, shape (n,), n ≥ 1.
        lookback: how many of the last count, 1 or more.

    Raises:
        ConfigError: no returns, one that counts is not finite, or ``lookback`` is below 1.
    """
    if lookback < 1:
        _refuse("lookback", lookback, "At least one return must count", "give a lookback of 1 or more")
    recent = _checked("returns", returns[-lookback:], lowest=-math.inf)
    return _clip(float(sum(recent)) / len(recent) / _FULL_MOMENTUM)


def _clip(value: float) -> float:
    """Into [−1, +1]."""
    return -1.0 if value < -1.0 else min(value, 1.0)


def _finite(field: str, value: float) -> float:
    """The value as a plain float."""
    if not math.isfinite(value):
        _refuse(field, value, "It must be a finite number", "leave the reading out until there is one")
    return float(value)


def _not_negative(field: str, value: float) -> float:
    """The value as a plain float, 0 or more."""
    if not 0.0 <= value < math.inf:
        _refuse(field, value, "It must be a finite number, 0 or more", "give a fraction or an amount that is not negative")
    return float(value)


def _positive(field: str, value: float) -> float:
    """The value as a plain float, above 0."""
    if not 0.0 < value < math.inf:
        _refuse(field, value, "It must be a finite number above 0", "give a positive scale")
    return float(value)


def _checked(field: str, readings: Readings, *, lowest: float) -> Sequence[float]:
    """The series as plain floats; refused when empty, not flat, or with NaN, infinity or a value under ``lowest``."""
    if isinstance(readings, np.ndarray) and readings.ndim != 1:
        _refuse(field, None, f"It has {readings.ndim} dimensions", "give one series, shape (n,)")
    values: Sequence[float] = readings.tolist() if isinstance(readings, np.ndarray) else readings
    if not values:
        _refuse(field, None, "It is empty", "give at least one value")
    # One pass in C clears nearly every series; only a suspect one is searched for its culprit.
    if math.isfinite(sum(values)) and min(values) >= lowest:
        return values
    for index, value in enumerate(values):
        if not (math.isfinite(value) and value >= lowest):
            problem = "It must be a finite number" if lowest == -math.inf else f"It must be a finite number, {lowest:g} or more"
            _refuse(f"{field}[{index}]", value, problem, "drop the gap or fill it from the data")
    return values


def _refuse(field: str, value: object, problem: str, fix: str) -> NoReturn:
    raise ConfigError(problem, field=field, value=value, fix=fix)
