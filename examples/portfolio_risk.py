"""The risk of two coins together: less than the sum of the parts, and fatter in the tails than a normal distribution.

Run it from the root of the repository: ``python -m examples.portfolio_risk``.

BTC and ETH move together, but not in step. ``ewma_covariance`` reads from daily returns how much; ``portfolio_var`` is then the value at
risk of both, which never exceeds the sum of the two alone. ``correlated_exposure`` says what a short in one coin would do for the other.
How far the tail lies beyond the volatility is a question of its own: ``tail_estimate`` answers it by three methods.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from alpha_pulse.hedging.risk.covariance import (
    correlated_exposure,
    correlation,
    ewma_covariance,
    marginal_contributions,
    portfolio_var,
    portfolio_volatility,
)
from alpha_pulse.hedging.risk.tail import RESIDUAL_WINDOW, VarMethod, tail_estimate, tail_quantile

COINS = ("BTC", "ETH")
SIGMA = np.array([0.03, 0.04])  # of a day
CORRELATION = 0.8
FREEDOM = 4.0  # degrees of freedom of Student's t: the smaller, the fatter the tails
UNIT = math.sqrt((FREEDOM - 2.0) / FREEDOM)  # makes the variance 1: that of a t of 4 degrees is 2
DAYS = RESIDUAL_WINDOW
WINDOWS = 200
SEED = 12
CONFIDENCE = 0.99
VALUES = (300_000.0, 200_000.0)  # net exposure in each coin, quote units, signed


def simulated_returns() -> NDArray[np.float64]:
    """Daily log returns, (days, coins): Student's t with those volatilities and that correlation, a common shock widening both."""
    random = np.random.default_rng(SEED)
    normal = random.multivariate_normal([0.0, 0.0], [[1.0, CORRELATION], [CORRELATION, 1.0]], DAYS)
    shock = np.sqrt(FREEDOM / random.chisquare(FREEDOM, DAYS))[:, None]
    returns: NDArray[np.float64] = normal * shock * UNIT * SIGMA
    return returns


def together(covariance: NDArray[np.float64]) -> None:
    """One portfolio against two separate accounts, for three sets of exposures."""
    z = tail_quantile(VarMethod.PARAMETRIC, CONFIDENCE)
    sigma = np.sqrt(np.diag(covariance))
    print(f"\nOne-day VaR at {CONFIDENCE:.0%}, parametric (z = {z:.3f}), USDT:")
    print("  BTC exposure   ETH exposure    BTC alone    ETH alone    their sum     together   saved by")
    cases = (VALUES, (VALUES[0], -VALUES[1]), (VALUES[0], 0.0))
    for values, why in zip(cases, ("not moving in step", "ETH hedging BTC", "nothing"), strict=True):
        alone = [abs(value) * one * z for value, one in zip(values, sigma, strict=True)]
        both = portfolio_var(values, covariance, horizon_days=1.0, z=z)
        print(f"  {values[0]:>12,.0f}   {values[1]:>12,.0f}", end="")
        print(f"   {alone[0]:>10,.0f}   {alone[1]:>10,.0f}   {sum(alone):>10,.0f}   {both:>10,.0f}   {why}")


def who_carries_it(covariance: NDArray[np.float64]) -> None:
    """What each coin adds to the risk, and what one coin alone would have to be to carry it."""
    whole = portfolio_volatility(VALUES, covariance)
    print(f"\nThe volatility of both is {whole:,.0f} USDT a day. Coin by coin:")
    print("  coin   exposure     adds    share   with what the other coin carries of its risk")
    exposures = correlated_exposure(VALUES, covariance)
    for coin, value, part, exposure in zip(COINS, VALUES, marginal_contributions(VALUES, covariance), exposures, strict=True):
        print(f"  {coin}   {value:>10,.0f}   {part:>6,.0f}   {part / whole:>6.1%}   {exposure:>10,.0f}")
    short = (VALUES[0] - exposures[0], VALUES[1])
    left = portfolio_volatility(short, covariance)
    print(f"  A BTC perpetual alone hedges both best with a short of {exposures[0]:,.0f} USDT: {left:,.0f} USDT a day are left.")


def how_fat_is_the_tail() -> None:
    """VaR and CVaR in multiples of the volatility, by the three methods, over many windows of fat-tailed days, against the truth."""
    random = np.random.default_rng(SEED)
    windows = (random.standard_t(FREEDOM, (WINDOWS, DAYS)) * UNIT).tolist()  # in units of σ, as the bot standardises them
    print("\nHow far the tail of Student's t lies out, in daily volatilities. Read from a window of days, and the truth:")
    print(f"  {'method':<19}" + "".join(f"{name:>15}" for name in ("VaR 95 %", "CVaR 95 %", "VaR 99 %", "CVaR 99 %")))
    for method in VarMethod:
        cells = []
        for confidence in (0.95, CONFIDENCE):
            estimates = [tail_estimate(method, confidence, window) for window in windows]
            cells += [mean_and_scatter([estimate.z for estimate in estimates])]
            cells += [mean_and_scatter([estimate.shortfall for estimate in estimates])]
        print(f"  {method:<19}" + "".join(f"{cell:>15}" for cell in cells))
    truth = [figure for confidence in (0.95, CONFIDENCE) for figure in student_tail(confidence)]
    print(f"  {'the truth':<19}" + "".join(f"{figure:>8.2f}{'':7}" for figure in truth).rstrip())
    print(f"  (mean ± scatter over {WINDOWS} windows of {DAYS} days)")
    print("  At 99 % the normal is too kind every time. The empirical tail is right on average and scatters: 1 % of 500 days are five.")
    few = tail_estimate(VarMethod.FILTERED_HISTORICAL, CONFIDENCE, windows[0][:60])
    print(f"  With 60 days only: {few.method_used}, because {few.reason}.")


def mean_and_scatter(figures: Sequence[float]) -> str:
    """Of the same figure over all windows."""
    return f"{np.mean(figures):.2f} ± {np.std(figures):.2f}"


def student_tail(confidence: float) -> tuple[float, float]:
    """Quantile and shortfall of Student's t with unit variance (McNeil, Frey and Embrechts, 2015, ex. 2.15)."""
    quantile = float(stats.t.ppf(confidence, FREEDOM))
    shortfall = float(stats.t.pdf(quantile, FREEDOM)) / (1.0 - confidence) * (FREEDOM + quantile**2) / (FREEDOM - 1.0)
    return quantile * UNIT, shortfall * UNIT


def main() -> None:
    """Covariance, portfolio, tail."""
    returns = simulated_returns()
    covariance = ewma_covariance(returns)
    sigma, rho = np.sqrt(np.diag(covariance)), correlation(covariance)[0, 1]
    print(f"{DAYS} simulated days of {' and '.join(COINS)}. Exponentially weighted, the last weeks count most:")
    print(f"  volatility {sigma[0]:.2%} and {sigma[1]:.2%} a day (simulated {SIGMA[0]:.0%} and {SIGMA[1]:.0%}), ", end="")
    print(f"correlation {rho:.3f} (simulated {CORRELATION})")
    together(covariance)
    who_carries_it(covariance)
    how_fat_is_the_tail()


if __name__ == "__main__":
    main()
