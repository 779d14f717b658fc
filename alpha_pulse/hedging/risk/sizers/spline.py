"""The spline sizer: a monotone curve from a score in [0, 1] to a hedge ratio, weighted by how liquid the market is. Pure.

What multiplies where: ``hedge = curve(score) × liquidity weight``, held within [0, ``max_hedge_pct``]. The confidence is the liquidity
weight. Several signals: ``hedge = Σ weightᵢ × curveᵢ(scoreᵢ) × liquidity weight``, the weights of the signals adding up to 1.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import fsum, inf, log1p
from typing import Final, TypedDict, overload

import numpy as np

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk.normalizers import normalize_funding, normalize_sentiment, normalize_volatility
from alpha_pulse.hedging.risk.sizers.curves import SIGNAL_CONFIGS, SignalConfig, signal_configs_from
from alpha_pulse.hedging.risk.sizers.knots import DEFAULT_KNOTS, Knot, checked_knots
from alpha_pulse.hedging.risk.sizers.monotone import Floats, MonotoneSpline, refused_score

__all__ = [
    "DEFAULT_KNOTS",
    "MAX_DEPTH_USD",
    "SIGNAL_CONFIGS",
    "MonotoneSpline",
    "MultiSignalHedge",
    "SignalConfig",
    "SignalHedge",
    "build_spline",
    "compute_hedge",
    "compute_hedge_many",
    "compute_multi_signal_hedge",
    "liquidity_weight",
    "normalize_funding",
    "normalize_sentiment",
    "normalize_volatility",
    "signal_configs_from",
]

MAX_DEPTH_USD: Final = 10_000_000.0
"""Depth of the order book at which a market counts as fully liquid."""

_LOG_MAX_DEPTH: Final = log1p(MAX_DEPTH_USD)
_AS_GIVEN: Final = 1e-12  # weights this near to a sum of 1 are left as they are


class SignalHedge(TypedDict):
    """What one signal adds."""

    raw_value: float  # the score that was given
    hedge_pct: float  # the curve's hedge at that score, before any weight
    weight: float  # this signal's share; the shares add up to 1
    contribution: float  # weight × hedge_pct


class MultiSignalHedge(TypedDict):
    """The hedge of several signals together."""

    signals: dict[str, SignalHedge]
    weighted_hedge: float  # sum of the contributions × confidence
    confidence: float  # the liquidity weight
    depth_usd: float
    weights_normalised: bool  # whether the weights as given did not add up to 1


def build_spline(knots: Iterable[Sequence[float]] = DEFAULT_KNOTS) -> MonotoneSpline:
    """The monotone PCHIP curve through (score, hedge) knots, fractions in [0, 1]; built once for the same knots.

    Raises:
        ConfigError: naming the knot: unsorted, repeated, decreasing, outside [0, 1], NaN, or fewer than two.
    """
    return _spline_through(checked_knots(knots))


@lru_cache(maxsize=256)
def _spline_through(knots: tuple[Knot, ...]) -> MonotoneSpline:
    return MonotoneSpline.through(knots)


@overload
def liquidity_weight(depth_usd: float, max_depth: float = ...) -> float: ...
@overload
def liquidity_weight(depth_usd: Floats, max_depth: float = ...) -> Floats: ...
def liquidity_weight(depth_usd: float | Floats, max_depth: float = MAX_DEPTH_USD) -> float | Floats:
    """How liquid a market is: min(1, ln(1 + depth)/ln(1 + max_depth)), in [0, 1]; depths in USD, one or an array of them.

    Raises:
        ConfigError: a depth is negative, NaN or infinite; ``max_depth`` is not above 0 and finite.
    """
    if not 0.0 < max_depth < inf:
        raise ConfigError("must be above 0", field="max_depth", value=max_depth, fix="give a depth in USD, e.g. 10_000_000")
    if isinstance(depth_usd, np.ndarray):
        depths = np.asarray(depth_usd, dtype=np.float64)
        good = (depths >= 0.0) & (depths < inf)
        if not good.all():
            place = int(np.argmin(good))
            raise _refused_depth(float(depths.flat[place]), f"depths[{place}]")
        return np.minimum(1.0, np.log1p(depths) / log1p(max_depth))
    if not 0.0 <= depth_usd < inf:
        raise _refused_depth(depth_usd)
    return min(1.0, log1p(depth_usd) / log1p(max_depth))


def compute_hedge(score: float, depth_usd: float, spline: MonotoneSpline, max_hedge_pct: float = 1.0) -> tuple[float, float]:
    """The hedge and how far to trust it, both fractions: ``spline(score) × weight`` within [0, ``max_hedge_pct``], and the weight.

    The weight is ``liquidity_weight(depth_usd)``. For the same depth the hedge never decreases as the score rises.

    Args:
        score: the signal, in [0, 1].
        depth_usd: depth of the order book, USD.
        spline: the curve, from ``build_spline``.
        max_hedge_pct: the most that may be hedged, a fraction in [0, 1].

    Raises:
        ConfigError: NaN anywhere, score or ``max_hedge_pct`` outside [0, 1], a depth that is negative or infinite.
    """
    if not (0.0 <= score <= 1.0 and 0.0 <= depth_usd < inf and 0.0 <= max_hedge_pct <= 1.0):
        raise _refused(score, depth_usd, max_hedge_pct)
    # half a microsecond is little: spline.at() is written out, and min() is not called
    anchor, second, value, slope, bend, cubic = spline.pieces[bisect_right(spline.breaks, score)]
    v = score - anchor
    w = score - second
    weight = log1p(depth_usd) / _LOG_MAX_DEPTH
    if weight > 1.0:  # noqa: PLR1730 - min() is slower
        weight = 1.0
    hedge = ((slope + cubic * (w * w) + bend * v) * v + value) * weight
    return hedge if hedge < max_hedge_pct else max_hedge_pct, weight  # noqa: FURB136 - as above


def compute_hedge_many(
    scores: Floats | Sequence[float], depths: Floats | Sequence[float] | float, spline: MonotoneSpline, max_hedge_pct: float = 1.0
) -> tuple[Floats, Floats]:
    """``compute_hedge`` for arrays of scores and depths (USD) that numpy can broadcast: hedges and confidences, of their common shape.

    Raises:
        ConfigError: as ``compute_hedge``, naming the first bad value; shapes that do not fit.
    """
    if not 0.0 <= max_hedge_pct <= 1.0:
        raise _refused(0.0, 0.0, max_hedge_pct)
    weight = liquidity_weight(np.asarray(depths, dtype=np.float64))
    hedge = spline(np.asarray(scores, dtype=np.float64))
    try:
        hedge, weight = np.broadcast_arrays(hedge, weight)
    except ValueError:
        fix = "give as many depths as scores, or one depth"
        raise ConfigError("have shapes that do not fit", field="scores and depths", value=(hedge.shape, weight.shape), fix=fix) from None
    return np.minimum(hedge * weight, max_hedge_pct), weight.copy()


def compute_multi_signal_hedge(
    signals: Mapping[str, float],
    weights: Mapping[str, float],
    depth_usd: float,
    signal_configs: Mapping[str, SignalConfig] = SIGNAL_CONFIGS,
) -> MultiSignalHedge:
    """The hedge of several signals, each through its own curve: ``Σ weightᵢ × curveᵢ(scoreᵢ) × liquidity_weight(depth_usd)``.

    A signal's ``hedge_pct`` is what its curve says, its ``contribution`` that times its weight; the liquidity weight multiplies their sum
    only. One signal of weight 1 gives exactly what ``compute_hedge`` does. Weights that do not add up to 1 are divided by their sum.

    Args:
        signals: score in [0, 1] by name.
        weights: weight ≥ 0 by name, one for each signal.
        depth_usd: depth of the order book, USD.
        signal_configs: curve by name.

    Raises:
        ConfigError: no signals; one that has no curve or no weight; a weight without a signal, negative, NaN or infinite;
            only weights of 0; a score outside [0, 1]; a depth that is negative, NaN or infinite.
    """
    shares, normalised = _shares(signals, weights)
    entries: dict[str, SignalHedge] = {}
    for name, score in signals.items():
        if name not in signal_configs:
            known = ", ".join(signal_configs)
            raise ConfigError(
                "there is no curve of this name", field=f"signals.{name}", value=score, fix=f"known are {known}; or add a curve for it"
            )
        if not 0.0 <= score <= 1.0:
            raise refused_score(score, f"signals.{name}")
        hedge, share = build_spline(signal_configs[name].knots)(score), shares[name]
        entries[name] = {"raw_value": score, "hedge_pct": hedge, "weight": share, "contribution": share * hedge}
    confidence = liquidity_weight(depth_usd)
    total = fsum(entry["contribution"] for entry in entries.values())
    return {
        "signals": entries,
        "weighted_hedge": min(1.0, total * confidence),
        "confidence": confidence,
        "depth_usd": depth_usd,
        "weights_normalised": normalised,
    }


def _shares(signals: Mapping[str, float], weights: Mapping[str, float]) -> tuple[dict[str, float], bool]:
    """The weights so that they add up to 1, and whether they had to be made to."""
    if not signals:
        raise ConfigError("there are none", field="signals", value=dict(signals), fix="give a score for one signal at least")
    for name in [*signals, *weights]:
        if name not in weights:
            raise ConfigError(
                "has no weight", field=f"signals.{name}", value=signals[name], fix="give a weight for each signal; 0 leaves it out"
            )
        if name not in signals:
            raise ConfigError("has no signal", field=f"weights.{name}", value=weights[name], fix="give its score, or remove the weight")
        if not 0.0 <= weights[name] < inf:
            raise ConfigError("is no weight", field=f"weights.{name}", value=weights[name], fix="give a finite number, 0 or above")
    largest = max(weights.values())
    if largest == 0.0:
        raise ConfigError("add up to 0", field="weights", value=dict(weights), fix="give one signal at least a weight above 0")
    if abs(sum(weights.values()) - 1.0) <= _AS_GIVEN:
        return {name: float(weights[name]) for name in signals}, False
    scaled = {name: weights[name] / largest for name in signals}  # no sum of these overflows
    total = fsum(scaled.values())
    return {name: weight / total for name, weight in scaled.items()}, True


def _refused(score: float, depth_usd: float, max_hedge_pct: float) -> ConfigError:
    """Which of the three it was."""
    if not 0.0 <= score <= 1.0:
        return refused_score(score)
    if not 0.0 <= depth_usd < inf:
        return _refused_depth(depth_usd)
    return ConfigError("is not within [0, 1]", field="max_hedge_pct", value=max_hedge_pct, fix="give a fraction: 0.8 is 80 %")


def _refused_depth(depth_usd: float, place: str = "depth_usd") -> ConfigError:
    return ConfigError("is no depth", field=place, value=depth_usd, fix="give a finite number of USD, 0 or above")
