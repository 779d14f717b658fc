"""Return over risk, annualised. Without a spread or a loss to divide by, a ratio is NaN."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from alpha_pulse.backtest.bars import FloatArray

NO_SPREAD: Final = 1e-14
"""What rounding makes of equal returns."""
_LEAST: Final = 2


def sharpe_ratio(returns: FloatArray, periods_per_year: float) -> float:
    """mean/deviation·√periods, annualised, against a return of 0; the deviation is a sample's (Sharpe 1994)."""
    if len(returns) < _LEAST or np.ptp(returns) <= NO_SPREAD:
        return math.nan
    return float(returns.mean() / returns.std(ddof=1)) * math.sqrt(periods_per_year)


def sortino_ratio(returns: FloatArray, periods_per_year: float) -> float:
    """mean/√mean(min(return, 0)²)·√periods, annualised, against a return of 0 (Sortino and van der Meer 1991)."""
    if len(returns) < _LEAST:
        return math.nan
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    return math.nan if downside <= NO_SPREAD else float(returns.mean()) / downside * math.sqrt(periods_per_year)
