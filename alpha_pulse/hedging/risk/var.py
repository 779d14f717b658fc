"""Value at risk, parametric: the loss that a normal return of zero mean exceeds with probability 1 − confidence."""

from __future__ import annotations

import math
from statistics import NormalDist

VAR_ALERT = "var"
VAR_CLEARED = 0.9
"""Of the limit: an alert on the unhedged VaR lasts until it is under this."""


def normal_quantile(confidence: float) -> float:
    """Z such that a standard normal stays below it with this probability; 0.99 → 2.326."""
    return NormalDist().inv_cdf(confidence)


def parametric_var(value: float, volatility_day: float, horizon_days: float, z: float) -> float:
    """VaR in the units of ``value``: z·σ_day·√horizon·|value| (J.P. Morgan, RiskMetrics Technical Document, 1996, §1.2)."""
    return z * volatility_day * math.sqrt(horizon_days) * abs(value)


def var_floor(value_at_risk: float, limit: float) -> float:
    """The hedge ratio at which the unhedged rest just meets the limit: clip(1 − limit/VaR, 0, 1)."""
    if value_at_risk <= limit:
        return 0.0
    return min(1.0, max(0.0, 1.0 - limit / value_at_risk))
