"""A path of net worth as an investor reads it: return, risk, the ratio of the two, and its drawdowns.

Returns are daily, simple, on net worth, and a year has 365 of them: crypto does not close. The risk-free rate is 0. Definitions and
sources: docs/reference/metrics.md; where empyrical has a figure, a test holds this one equal to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from alpha_pulse.backtest.bars import Bars, FloatArray
from alpha_pulse.backtest.metrics import DAY_MS, MIN_RETURNS, YEAR_DAYS, Figure, drawdown_fraction, window_rows
from alpha_pulse.backtest.ratios import sharpe_ratio, sortino_ratio

MIN_CAGR_DAYS: Final = 30
"""A year's rate from less than this says nothing."""
TAIL: Final = 0.05
MIN_TAIL_RETURNS: Final = 20
"""The worst twentieth of fewer returns is not one return."""
MOST_DRAWDOWNS: Final = 5
_NOT_POSITIVE: Final = "net worth is not positive all along"


@dataclass(frozen=True, slots=True)
class Drawdown:
    """One fall below a peak. Times in ms UTC; ``depth`` > 0, fraction of the peak; ``recovered_ms`` is None while it lasts."""

    peak_ms: int
    trough_ms: int
    recovered_ms: int | None
    depth: float
    days: float  # from the peak to the recovery, or to the end of the run


@dataclass(frozen=True, slots=True)
class PathFigures:
    """One path. Rates are fractions; VaR and CVaR are losses over a day, > 0, fractions of net worth."""

    total_return: Figure
    cagr: Figure
    volatility: Figure  # per year
    sharpe: Figure
    sortino: Figure
    calmar: Figure
    var_95: Figure
    cvar_95: Figure
    longest_drawdown_days: Figure
    daily_returns: int  # how many the figures rest on
    drawdowns: tuple[Drawdown, ...]  # the deepest first


def daily_returns(path: FloatArray, start: float, bars: Bars) -> FloatArray:
    """Simple returns over the whole days counted from the first close, shape (days,); a day with an end in a gap is left out.

    The first day begins at ``start``, so that what opening the hedge cost is in it. Empty where the path is not positive all along.
    """
    first, last = window_rows(bars, DAY_MS)
    if not len(first) or min(float(path.min()), start) <= 0:
        return np.zeros(0)
    begun = np.where(first == 0, start, path[first])
    result: FloatArray = path[last] / begun - 1
    return result


def path_figures(path: FloatArray, start: float, bars: Bars) -> PathFigures:
    """Every figure of a path that left ``start`` [quote units] before the first bar's costs."""
    positive = min(float(path.min()), start) > 0
    total = Figure(float(path[-1]) / start - 1) if positive else Figure(None, _NOT_POSITIVE)
    cagr = compound_annual(total, bars.days)
    falls = drawdowns(path, start, bars)
    deepest = max((fall.depth for fall in falls), default=0.0)
    returns = daily_returns(path, start, bars)
    why = few_returns(len(returns), positive=positive)
    return PathFigures(
        total_return=total,
        cagr=cagr,
        volatility=_or(why, annual_volatility(returns)),
        sharpe=_or(why, sharpe(returns), "the path did not vary"),
        sortino=_or(why, sortino(returns), "no day lost"),
        calmar=_or(cagr.reason, None if cagr.value is None or deepest <= 0 else cagr.value / deepest, "there was no drawdown"),
        var_95=_tail(returns, why, value_at_risk),
        cvar_95=_tail(returns, why, shortfall),
        longest_drawdown_days=Figure(max((fall.days for fall in falls), default=0.0)) if positive else Figure(None, _NOT_POSITIVE),
        daily_returns=len(returns),
        drawdowns=tuple(sorted(falls, key=lambda fall: -fall.depth)[:MOST_DRAWDOWNS]),
    )


def compound_annual(total: Figure, days: float) -> Figure:
    """(1 + return)^(365/days) − 1."""
    if total.value is None:
        return total
    if days < MIN_CAGR_DAYS:
        return Figure(None, f"the run is shorter than {MIN_CAGR_DAYS} days")
    return Figure((1 + total.value) ** (YEAR_DAYS / days) - 1)


def annual_volatility(returns: FloatArray) -> float | None:
    """Sample standard deviation of daily returns, times √365."""
    return float(returns.std(ddof=1)) * math.sqrt(YEAR_DAYS) if len(returns) > 1 else None


def sharpe(returns: FloatArray) -> float | None:
    """Mean over sample standard deviation of daily returns, times √365 (Sharpe 1994, risk-free rate 0). None: they do not vary."""
    return _known(sharpe_ratio(returns, YEAR_DAYS))


def sortino(returns: FloatArray) -> float | None:
    """Mean over downside deviation √mean(min(r, 0)²), times √365 (Sortino and Price 1994, required return 0). None: no loss."""
    return _known(sortino_ratio(returns, YEAR_DAYS))


def _known(ratio: float) -> float | None:
    return None if math.isnan(ratio) else ratio


def value_at_risk(returns: FloatArray, tail: float = TAIL) -> float:
    """Historical: minus the ``tail`` quantile (linear between returns)."""
    return -float(np.percentile(returns, 100 * tail)) + 0.0


def shortfall(returns: FloatArray, tail: float = TAIL) -> float:
    """Minus the mean of the worst returns: the smallest ⌊(n − 1)·tail⌋ + 1 of them (expected shortfall, historical)."""
    worst = int((len(returns) - 1) * tail) + 1
    return -float(np.sort(returns)[:worst].mean()) + 0.0


def drawdowns(path: FloatArray, start: float, bars: Bars) -> list[Drawdown]:
    """Every fall below a peak, oldest first; none where the path is not positive all along."""
    fraction = drawdown_fraction(path, start)
    if fraction is None:
        return []
    edges = np.diff(np.concatenate(([0], (fraction > 0).astype(np.int8), [0])))
    found = []
    for begin, end in zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True):
        peak, trough = int(bars.ts_ms[max(begin - 1, 0)]), begin + int(np.argmax(fraction[begin:end]))
        recovered = int(bars.ts_ms[end]) if end < len(path) else None
        until = int(bars.ts_ms[-1]) if recovered is None else recovered
        found.append(Drawdown(peak, int(bars.ts_ms[trough]), recovered, float(fraction[trough]), (until - peak) / DAY_MS))
    return found


def few_returns(count: int, *, positive: bool) -> str:
    """Why daily returns carry no figure; empty if they do."""
    if not positive:
        return _NOT_POSITIVE
    return f"too few whole days: {count}, where {MIN_RETURNS} are needed" if count < MIN_RETURNS else ""


def _or(why: str, value: float | None, otherwise: str = "") -> Figure:
    return Figure(None, why or otherwise) if why or value is None else Figure(value)


def _tail(returns: FloatArray, why: str, measure: Callable[[FloatArray], float]) -> Figure:
    if why:
        return Figure(None, why)
    if len(returns) < MIN_TAIL_RETURNS:
        return Figure(None, f"too few whole days for a tail: {len(returns)}, where {MIN_TAIL_RETURNS} are needed")
    return Figure(measure(returns))
