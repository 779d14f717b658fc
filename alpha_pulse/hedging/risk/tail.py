"""Value at risk and expected shortfall (CVaR) by three methods, each as a multiplier of σ: VaR = z·σ_day·√horizon·|value|.

The nonparametric methods read the shape of the tail from standardised daily returns (``standardised_return``), so that the tail is fat
where the market's was and its size still follows today's volatility. A long loses in the left tail of returns, a short in the right.
A horizon beyond a day is scaled by √horizon, which is exact for independent normal returns only. Floats, pure, deterministic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk.var import normal_quantile, parametric_var

Floats = NDArray[np.float64]
Side = Literal[1, -1]

MIN_RESIDUALS: Final = 100
"""With fewer standardised returns a 99 % quantile is not known: the nonparametric methods fall back to the normal."""
RESIDUAL_WINDOW: Final = 500
"""How many of the latest standardised returns a caller should keep: the window of Hull and White (1998)."""


class VarMethod(StrEnum):
    """How the tail is read."""

    PARAMETRIC = "parametric"
    CORNISH_FISHER = "cornish_fisher"
    FILTERED_HISTORICAL = "filtered_historical"


DEFAULT_METHOD: Final = VarMethod.PARAMETRIC
"""What the bot uses: the VaR floor's formula, fixed before any backtest was looked at, and not changed because of one."""


class TailEstimate(NamedTuple):
    """Multipliers of σ·√horizon·|value|, both ≥ 0, the shortfall never below the quantile."""

    z: float  # of VaR
    shortfall: float  # of CVaR: the mean loss beyond VaR
    method_used: VarMethod
    reason: str = ""  # why it is not the method that was asked for; empty if it is


class TailRisk(NamedTuple):
    """Losses in the units of the value, ≥ 0, at 95 % and 99 %."""

    var_95: float
    var_99: float
    cvar_95: float
    cvar_99: float


def standardised_return(price_before: float, price_after: float, sigma_day_before: float) -> float:
    """A day's return over the volatility known before it: (P₁/P₀ − 1)/σ₀. Simple, because a position gains in proportion to it.

    Raises:
        ConfigError: a price or σ that is not above zero and finite.
    """
    for field, number in (("price_before", price_before), ("price_after", price_after), ("sigma_day_before", sigma_day_before)):
        if not 0.0 < number < math.inf:
            raise ConfigError("must be above zero and finite.", field=field, value=number, fix="leave this day out")
    return (price_after / price_before - 1.0) / sigma_day_before


def tail_estimate(method: VarMethod, confidence: float, residuals: Sequence[float] = (), side: Side = 1) -> TailEstimate:
    """Quantile and shortfall of the loss, in units of σ.

    - Parametric: the normal's z and φ(z)/(1 − confidence) (McNeil, Frey and Embrechts, Quantitative Risk Management, 2015, ch. 2).
    - Cornish-Fisher: ``cornish_fisher_quantile`` with the residuals' skewness and excess kurtosis; only the tail's shape comes from
      them, its scale stays σ. Outside the domain where that quantile rises with confidence (``is_cornish_fisher_monotone``) the
      expansion is no distribution: the larger of the parametric and the empirical figure stands in, for each of the two.
    - Filtered historical: the empirical quantile and tail mean of the residuals (Hull and White 1998; Barone-Adesi, Giannopoulos and
      Vosper, "VaR without correlations for portfolios of derivative securities", Journal of Futures Markets 19(5), 1999).

    With fewer than ``MIN_RESIDUALS``, or with not one loss among them, the nonparametric methods fall back to the parametric one.

    Args:
        method: which of the three.
        confidence: probability that the loss stays below VaR, above 0.5 and below 1.
        residuals: standardised daily returns, any order; not read by the parametric method.
        side: +1 if the net exposure is long, −1 if it is short.

    Raises:
        ConfigError: an unknown method or side, a confidence out of range, or a residual that is not finite.
    """
    if method not in tuple(VarMethod):
        raise ConfigError("is no method.", field="method", value=method, fix=f"use one of {', '.join(VarMethod)}")
    if not 0.5 < confidence < 1.0:  # noqa: PLR2004 - below the median there is no loss
        raise ConfigError("must lie between 0.5 and 1.", field="confidence", value=confidence, fix="write 0.99 for 99 %")
    if side not in {1, -1}:
        raise ConfigError("is no side.", field="side", value=side, fix="use +1 for long, -1 for short")
    normal = _parametric(confidence)
    if method == VarMethod.PARAMETRIC:
        return normal
    losses = _losses(residuals, side)
    if len(losses) < MIN_RESIDUALS:
        return normal._replace(reason=f"{len(losses)} standardised returns are known and {method} needs {MIN_RESIDUALS}")
    if losses[-1] <= 0.0:
        return normal._replace(reason="not one of the standardised returns is a loss")
    if method == VarMethod.FILTERED_HISTORICAL:
        return _empirical(confidence, losses)
    skewness, kurtosis = _shape(losses)
    if is_cornish_fisher_monotone(skewness, kurtosis):
        return _cornish_fisher(confidence, skewness, kurtosis)
    reason = f"skewness {skewness:.2f} and excess kurtosis {kurtosis:.2f} of the losses are outside Cornish-Fisher's domain"
    empirical = _empirical(confidence, losses)
    larger = empirical if empirical.z > normal.z else normal
    return TailEstimate(larger.z, max(normal.shortfall, empirical.shortfall), larger.method_used, reason)


def tail_quantile(method: VarMethod, confidence: float, residuals: Sequence[float] = (), side: Side = 1) -> float:
    """The z of VaR = z·σ·√horizon·|value|; arguments and errors as in ``tail_estimate``."""
    return tail_estimate(method, confidence, residuals, side).z


def tail_shortfall(method: VarMethod, confidence: float, residuals: Sequence[float] = (), side: Side = 1) -> float:
    """The same multiplier for CVaR; arguments and errors as in ``tail_estimate``."""
    return tail_estimate(method, confidence, residuals, side).shortfall


def value_at_risk(value: float, sigma_day: float, horizon_days: float, estimate: TailEstimate) -> float:
    """VaR in the units of ``value`` (signed net exposure; its size counts): z·σ_day·√horizon·|value|.

    Raises:
        ConfigError: an argument that is not finite, a negative σ or horizon.
    """
    return _scaled(estimate.z, value, sigma_day, horizon_days)


def conditional_value_at_risk(value: float, sigma_day: float, horizon_days: float, estimate: TailEstimate) -> float:
    """CVaR, the mean loss beyond VaR, in the units of ``value``; arguments and errors as in ``value_at_risk``."""
    return _scaled(estimate.shortfall, value, sigma_day, horizon_days)


def tail_risk(
    value: float, sigma_day: float, horizon_days: float = 1.0, method: VarMethod = DEFAULT_METHOD, residuals: Sequence[float] = ()
) -> TailRisk:
    """VaR and CVaR at 95 % and 99 % of a net exposure (spot and perpetual together, signed: its sign picks the tail).

    Raises:
        ConfigError: as in ``tail_estimate`` and ``value_at_risk``.
    """
    side: Side = -1 if value < 0.0 else 1
    at_95, at_99 = (tail_estimate(method, confidence, residuals, side) for confidence in (0.95, 0.99))
    return TailRisk(
        value_at_risk(value, sigma_day, horizon_days, at_95),
        value_at_risk(value, sigma_day, horizon_days, at_99),
        conditional_value_at_risk(value, sigma_day, horizon_days, at_95),
        conditional_value_at_risk(value, sigma_day, horizon_days, at_99),
    )


def cornish_fisher_quantile(z: float, skewness: float, kurtosis: float) -> float:
    """Z + (z² − 1)·S/6 + (z³ − 3z)·K/24 − (2z³ − 5z)·S²/36 for a standard normal quantile z; K is excess kurtosis.

    Cornish, E. A. and Fisher, R. A. (1938), "Moments and cumulants in the specification of distributions", Revue de l'Institut
    International de Statistique 5(4), 307-320; second order, as in Maillard, D. (2012), "A user's guide to the Cornish Fisher expansion".
    """
    return z + (z * z - 1.0) * skewness / 6.0 + (z**3 - 3.0 * z) * kurtosis / 24.0 - (2.0 * z**3 - 5.0 * z) * skewness * skewness / 36.0


def is_cornish_fisher_monotone(skewness: float, kurtosis: float) -> bool:
    """Whether that quantile rises for every z, as a quantile must (Maillard 2012, the domain of validity).

    Its derivative is the quadratic a·z² + b·z + c with a = K/8 − S²/6, b = S/3, c = 1 − K/8 + 5S²/36: never negative if a ≥ 0 and
    b² ≤ 4ac. It holds for K from 0 to 8 at S = 0; a sample with a thinner tail than the normal's (K < 0) is outside.
    """
    square = skewness * skewness
    a, b, c = kurtosis / 8.0 - square / 6.0, skewness / 3.0, 1.0 - kurtosis / 8.0 + 5.0 * square / 36.0
    return a >= 0.0 and b * b <= 4.0 * a * c


def _parametric(confidence: float) -> TailEstimate:
    z = normal_quantile(confidence)
    return TailEstimate(z, max(z, _inverse_mills(z, confidence)), VarMethod.PARAMETRIC)


def _inverse_mills(z: float, confidence: float) -> float:
    """φ(z)/(1 − confidence): the mean of a standard normal beyond z."""
    return math.exp(-0.5 * z * z) / (math.sqrt(2.0 * math.pi) * (1.0 - confidence))


def _cornish_fisher(confidence: float, skewness: float, kurtosis: float) -> TailEstimate:
    """Its mean beyond z from the truncated normal's moments, m = φ(z)/(1 − α): E[Z] = m, E[Z²] = 1 + z·m, E[Z³] = (z² + 2)·m.

    They sum to m·(1 + z·S/6 + (z² − 1)·K/24 − (2z² − 1)·S²/36).
    """
    z = normal_quantile(confidence)
    factor = 1.0 + z * skewness / 6.0 + (z * z - 1.0) * kurtosis / 24.0 - (2.0 * z * z - 1.0) * skewness * skewness / 36.0
    quantile = max(0.0, cornish_fisher_quantile(z, skewness, kurtosis))
    return TailEstimate(quantile, max(quantile, _inverse_mills(z, confidence) * factor), VarMethod.CORNISH_FISHER)


def _empirical(confidence: float, losses: Floats) -> TailEstimate:
    """The ⌈n·α⌉-th smallest loss, and the mean of that quantile function beyond α (Acerbi and Tasche, "On the coherence of expected
    shortfall", Journal of Banking & Finance 26(7), 2002): the losses above it in full, of itself what is missing to (1 − α)·n.
    """
    count = len(losses)
    place = max(1, math.ceil(count * confidence - 1e-9))  # 100·0.99 is the 99th, whatever the rounding
    tail = (1.0 - confidence) * count
    own = max(0.0, tail - (count - place)) / tail
    quantile = float(losses[place - 1])
    mean = own * quantile + (1.0 - own) * float(losses[place:].mean()) if place < count else quantile
    return TailEstimate(max(0.0, quantile), max(0.0, quantile, mean), VarMethod.FILTERED_HISTORICAL)


def _losses(residuals: Sequence[float], side: Side) -> Floats:
    """The residuals as losses of that side, smallest first."""
    losses = -side * np.asarray(residuals, dtype=np.float64)
    if losses.ndim != 1 or not np.isfinite(losses).all():
        raise ConfigError("must be finite numbers, one for each day.", field="residuals", fix="leave days without a return out")
    return np.sort(losses)


def _shape(losses: Floats) -> tuple[float, float]:
    """Skewness and excess kurtosis (moments of the sample); NaN, which is in no domain, where nothing varies."""
    scaled = losses / max(abs(float(losses[0])), abs(float(losses[-1])))  # huge losses must not overflow
    centred = scaled - scaled.mean()
    variance = float((centred**2).mean())
    if variance <= 1e-24:  # noqa: PLR2004 - only rounding varies
        return math.nan, math.nan
    return float((centred**3).mean()) / variance**1.5, float((centred**4).mean()) / variance**2 - 3.0


def _scaled(multiplier: float, value: float, sigma_day: float, horizon_days: float) -> float:
    for field, number in (("value", abs(value)), ("sigma_day", sigma_day), ("horizon_days", horizon_days)):
        if not 0.0 <= number < math.inf:
            raise ConfigError("must be finite and not negative.", field=field, value=number, fix="check the market data behind it")
    return parametric_var(value, sigma_day, horizon_days, multiplier)
