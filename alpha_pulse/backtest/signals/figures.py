"""Figures of merit of a series of returns. A year is 365 days; without a spread or a loss to divide by, a ratio is NaN."""

from __future__ import annotations

import math
from typing import Final, Literal

import numpy as np

from alpha_pulse.backtest.bars import FloatArray
from alpha_pulse.backtest.ratios import NO_SPREAD, sharpe_ratio, sortino_ratio

Metric = Literal["sharpe", "sortino", "calmar", "return"]

_MOST_EXPONENT: Final = 700.0  # e to the power of more overflows


def returns_of(equity: FloatArray, start: float) -> FloatArray:
    """Simple returns, the shape of ``equity``; the first leads from ``start`` to its first value. 0 where nothing was left before a bar."""
    before = np.concatenate(([start], equity[:-1]))
    return np.divide(equity - before, before, out=np.zeros_like(equity), where=before > 0.0)


def total_return(equity: FloatArray, start: float) -> float:
    """The last value over ``start``, less 1."""
    return float(equity[-1]) / start - 1.0


def annual_return(growth: float, years: float) -> float:
    """(1 + ``growth``)^(1/years) − 1; −1 where all was lost."""
    if growth <= -1.0:
        return -1.0
    exponent = math.log1p(growth) / years
    return math.inf if exponent > _MOST_EXPONENT else math.expm1(exponent)


def max_drawdown(equity: FloatArray, start: float) -> float:
    """The deepest fall below the highest value so far (``start`` included), a fraction of it, never negative."""
    peak = np.maximum(np.maximum.accumulate(equity), start)
    return float(np.max(1.0 - equity / peak))


def calmar_ratio(equity: FloatArray, start: float, years: float) -> float:
    """Annual return over the deepest drawdown (Young 1991, here over the whole series)."""
    fall = max_drawdown(equity, start)
    return math.nan if fall <= NO_SPREAD else annual_return(total_return(equity, start), years) / fall


def score(metric: Metric, equity: FloatArray, start: float, periods_per_year: float) -> float:
    """One figure of an equity curve, shape (bars,), that left ``start`` on its first bar."""
    if metric == "return":
        return total_return(equity, start)
    if metric == "calmar":
        return calmar_ratio(equity, start, (len(equity) - 1) / periods_per_year)
    returns = returns_of(equity[1:], start)
    return sharpe_ratio(returns, periods_per_year) if metric == "sharpe" else sortino_ratio(returns, periods_per_year)
