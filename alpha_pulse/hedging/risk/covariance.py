"""How the pairs of a portfolio move together: EWMA covariance with shrinkage, and the portfolio's risk from it.

Values are signed net exposures in quote units, one for each pair in one order; covariances are of daily log returns. Nothing is
inverted or factorised, so two identical series, a constant one or a single day cannot break it. Floats, pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alpha_pulse.errors import ConfigError

Floats = NDArray[np.float64]

HALF_LIFE_DAYS: Final = 11.2
"""RiskMetrics' decay of 0.94 a day (J. P. Morgan, RiskMetrics Technical Document, 1996, §5.3): ln 0.5/ln 0.94."""
SHRINKAGE: Final = 0.1
"""How far every correlation moves to their mean. Not estimated: the optimal intensity needs more days than the EWMA remembers."""
_FLAT: Final = 1e-12  # a σ below this is rounding: the series is constant
_ROUNDING: Final = 1e-15  # of the variance before anything cancels
_LARGEST: Final = 100.0  # a log return above this is a price


class EwmaCovariance(NamedTuple):
    """What is remembered of the returns so far; ``update`` with each day's vector. Equal to ``ewma_covariance`` over all of them."""

    half_life_days: float
    weight: float  # sum of the decayed weights; 0 before the first day
    rows: tuple[tuple[float, ...], ...]  # the covariance before shrinkage, (N, N)

    @classmethod
    def start(cls, pairs: int, half_life_days: float = HALF_LIFE_DAYS) -> Self:
        """Nothing known yet about so many pairs.

        Raises:
            ConfigError: fewer than one pair, or a half-life that is not above zero and finite.
        """
        if pairs < 1:
            raise ConfigError("must be at least 1.", field="pairs", value=pairs, fix="give the number of pairs")
        _check_half_life(half_life_days)
        return cls(half_life_days, 0.0, ((0.0,) * pairs,) * pairs)

    def update(self, returns: Sequence[float]) -> Self:
        """The state after a day with these log returns, one for each pair: Σ' = Σ + (r·rᵀ − Σ)/w', w' = 2^(−1/half-life)·w + 1.

        Raises:
            ConfigError: another number of returns, or one that is missing or no log return.
        """
        day = _returns([returns])[0]
        if len(day) != len(self.rows):
            raise ConfigError(f"{len(day)} returns for {len(self.rows)} pairs.", field="returns", fix="give one for each pair")
        weight = math.exp(-math.log(2.0) / self.half_life_days) * self.weight + 1.0
        old = np.array(self.rows)
        new = old + (np.outer(day, day) - old) / weight
        return self._replace(weight=weight, rows=tuple(tuple(row) for row in new.tolist()))

    def matrix(self, shrinkage: float = SHRINKAGE) -> Floats:
        """The covariance per day, (N, N), shrunk.

        Raises:
            ConfigError: there was no day yet, or the intensity is outside [0, 1].
        """
        if self.weight == 0.0:
            raise ConfigError("no returns are known yet.", field="covariance", fix="update it with at least one day first")
        return shrunk(np.array(self.rows), shrinkage)


def ewma_covariance(returns: ArrayLike, half_life_days: float = HALF_LIFE_DAYS, shrinkage: float = SHRINKAGE) -> Floats:
    """Covariance per day of T daily log returns of N pairs, given as (T, N), oldest first; returns (N, N), symmetric, PSD.

    Exponential weights of zero-mean returns, normalised to 1 (RiskMetrics Technical Document, 1996, §5.2), then ``shrunk``.

    Raises:
        ConfigError: another shape, no day or no pair, a missing value, a number that is no log return, a half-life that is not
            above zero, or an intensity outside [0, 1].
    """
    days = _returns(returns)
    _check_half_life(half_life_days)
    weights = np.exp(-math.log(2.0) / half_life_days * np.arange(len(days) - 1, -1, -1))
    weighted = days * np.sqrt(weights / weights.sum())[:, None]
    return shrunk(weighted.T @ weighted, shrinkage)


def shrunk(covariance: ArrayLike, shrinkage: float = SHRINKAGE) -> Floats:
    """(1 − δ)·Σ + δ·target, where the target has Σ's variances and one correlation for all pairs, their mean.

    Ledoit, O. and Wolf, M. (2004), "Honey, I shrunk the sample covariance matrix", Journal of Portfolio Management 30(4), 110-119;
    the intensity δ is given, not estimated. Not towards a diagonal: coins move together, and pulling correlations to zero would
    hide risk. A constant series correlates with nothing and is left out of the mean.

    Raises:
        ConfigError: no square matrix of finite numbers, or δ outside [0, 1].
    """
    matrix = _square(covariance)
    if not 0.0 <= shrinkage <= 1.0:
        raise ConfigError("must lie in [0, 1].", field="shrinkage", value=shrinkage, fix="use 0.1")
    matrix = 0.5 * (matrix + matrix.T)
    together = correlation(matrix)
    live = np.diag(together) > 0.0
    count = int(live.sum())
    mean = (float(together[np.ix_(live, live)].sum()) - count) / (count * (count - 1)) if count > 1 else 0.0
    target = np.clip(mean, -1.0 / max(1, count - 1), 1.0) * np.outer(live, live)  # any lower mean is rounding, and not PSD
    np.fill_diagonal(target, live)
    result: Floats = matrix + shrinkage * (target * np.sqrt(np.outer(np.diag(matrix), np.diag(matrix))) - matrix)
    np.fill_diagonal(result, np.diag(matrix))
    return result


def correlation(covariance: ArrayLike) -> Floats:
    """Correlations, (N, N), within [−1, 1]; the row of a constant series is 0, also on the diagonal.

    Raises:
        ConfigError: no square matrix of finite numbers, or a negative variance.
    """
    matrix = _square(covariance)
    sigma = np.sqrt(np.diag(matrix))
    live = sigma > _FLAT
    scale = np.where(live, sigma, 1.0)
    result: Floats = np.clip(matrix / scale[:, None] / scale[None, :], -1.0, 1.0) * np.outer(live, live)
    np.fill_diagonal(result, live)
    return result


def with_volatilities(covariance: ArrayLike, sigma_day: Sequence[float]) -> Floats:
    """The correlations of ``covariance`` under other daily volatilities, D·R·D: correlations move slowly and are read from days,
    volatility fast and is read from minutes (Engle 2002, "Dynamic conditional correlation", splits them like this). One pair's
    portfolio risk is then that pair's own.

    Raises:
        ConfigError: as in ``correlation``, or not one finite σ ≥ 0 for each pair.
    """
    together = correlation(covariance)
    np.fill_diagonal(together, 1.0)  # also what was constant so far has the volatility that it is given
    sigma = _per_pair(sigma_day, together, "sigma_day")
    if (sigma < 0.0).any():
        raise ConfigError("holds a negative volatility.", field="sigma_day", fix="give standard deviations")
    result: Floats = together * np.outer(sigma, sigma)
    return result


def portfolio_volatility(values: Sequence[float], covariance: ArrayLike) -> float:
    """Standard deviation of the portfolio's PnL over a day, quote units: √(vᵀ·Σ·v) (Markowitz 1952).

    Raises:
        ConfigError: no square matrix of finite numbers, or not one finite value for each pair.
    """
    matrix = _square(covariance)
    unit, scale = _unit(_per_pair(values, matrix, "values"))
    return scale * math.sqrt(_variance(unit, matrix))


def portfolio_var(values: Sequence[float], covariance: ArrayLike, horizon_days: float, z: float) -> float:
    """VaR of the portfolio, quote units: z·√horizon·√(vᵀ·Σ·v). ``z`` as from ``tail.tail_quantile``; with its shortfall it is CVaR.

    Raises:
        ConfigError: as in ``portfolio_volatility``, or a horizon or z that is negative or not finite.
    """
    for field, number in (("horizon_days", horizon_days), ("z", z)):
        if not 0.0 <= number < math.inf:
            raise ConfigError("must be finite and not negative.", field=field, value=number)
    return z * math.sqrt(horizon_days) * portfolio_volatility(values, covariance)


def marginal_contributions(values: Sequence[float], covariance: ArrayLike) -> Floats:
    """What each pair adds to ``portfolio_volatility``, quote units; they sum to it, and a pair that hedges adds a negative amount.

    v_i·∂σ_p/∂v_i = v_i·(Σ·v)_i/σ_p (Euler's allocation: Tasche 1999, "Risk contributions and performance measurement"). 0 without risk.

    Raises:
        ConfigError: as in ``portfolio_volatility``.
    """
    matrix = _square(covariance)
    unit, scale = _unit(_per_pair(values, matrix, "values"))
    total = math.sqrt(_variance(unit, matrix))
    result: Floats = scale * (unit * (matrix @ unit) / total if total > 0.0 else np.zeros(len(unit)))
    return result


def correlated_exposure(values: Sequence[float], covariance: ArrayLike) -> Floats:
    """Each pair's exposure with what the other pairs carry of its risk, quote units of that pair, signed.

    e_i = Σ_j v_j·β_ij with β_ij = Σ_ij/Σ_ii: the position in pair i alone that has the portfolio's covariance with it; −e_i is the
    trade in pair i that leaves the portfolio with the least variance (Ederington, L. (1979), "The hedging performance of the new
    futures markets", Journal of Finance 34(1), 157-170). ``marginal_contributions`` is v_i·e_i·Σ_ii/σ_p. Alone, a pair has its own
    value; of two identical series each has the sum; a constant series carries nothing for others and has its own value.

    Raises:
        ConfigError: as in ``portfolio_volatility``.
    """
    matrix = _square(covariance)
    value = _per_pair(values, matrix, "values")
    variance = np.diag(matrix)
    live = variance > _FLAT**2
    result: Floats = np.where(live, (matrix @ value) / np.where(live, variance, 1.0), value)
    return result


def _unit(value: Floats) -> tuple[Floats, float]:
    """The values over the largest of them, and that: squares of huge or tiny values neither overflow nor vanish."""
    scale = float(np.abs(value).max()) or 1.0
    return value / scale, scale


def _variance(unit: Floats, matrix: Floats) -> float:
    """vᵀ·Σ·v; exactly 0 where only rounding is left of what a perfect hedge cancels."""
    gross = float(np.abs(unit) @ np.sqrt(np.diag(matrix)))
    variance = float(unit @ matrix @ unit)
    return variance if variance > _ROUNDING * len(unit) * gross * gross else 0.0


def _array(numbers: ArrayLike, field: str) -> Floats:
    try:
        return np.asarray(numbers, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError("is no regular array of numbers.", field=field, fix="give rows of equal length") from error


def _returns(returns: ArrayLike) -> Floats:
    days = _array(returns, "returns")
    if days.ndim != 2 or days.size == 0:  # noqa: PLR2004 - days by pairs
        raise ConfigError(f"have the shape {days.shape}.", field="returns", fix="give (days, pairs), at least one of each")
    bad = np.argwhere(~(np.abs(days) <= _LARGEST))
    if bad.size:
        day, pair = bad[0].tolist()
        problem = "is missing, or no log return."
        raise ConfigError(problem, field=f"returns[{day}, {pair}]", value=float(days[day, pair]), fix="leave out days that lack a pair")
    return days


def _check_half_life(half_life_days: float) -> None:
    if not 0.0 < half_life_days < math.inf:
        raise ConfigError("must be above zero and finite.", field="half_life_days", value=half_life_days, fix=f"use {HALF_LIFE_DAYS}")


def _square(covariance: ArrayLike) -> Floats:
    matrix = _array(covariance, "covariance")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:  # noqa: PLR2004 - a matrix
        raise ConfigError(f"has the shape {matrix.shape}.", field="covariance", fix="give (pairs, pairs)")
    if not np.isfinite(matrix).all() or (np.diag(matrix) < 0.0).any():
        raise ConfigError("holds a number that is not finite, or a negative variance.", field="covariance", fix="use ewma_covariance")
    return matrix


def _per_pair(numbers: Sequence[float], matrix: Floats, field: str) -> Floats:
    vector = _array(numbers, field)
    if vector.shape != (len(matrix),) or not np.isfinite(vector).all():
        raise ConfigError(f"must be {len(matrix)} finite numbers.", field=field, value=vector.tolist(), fix="give one for each pair")
    return vector
