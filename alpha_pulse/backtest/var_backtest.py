"""Backtest of value at risk: every day's VaR from what was known the evening before, against what the day did.

Volatility is the bot's own: the EWMA of ``market.provider``, fed with the bars of the series, read at 00:00 UTC. A position worth 1 is
held for a day; it exceeds VaR when it loses more than VaR, in simple returns, as money is lost. Kupiec's test asks whether the number of
exceedances fits the confidence, Christoffersen's whether they cluster, the joint one both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk.tail import (
    MIN_RESIDUALS,
    RESIDUAL_WINDOW,
    Side,
    VarMethod,
    standardised_return,
    tail_estimate,
    value_at_risk,
)
from alpha_pulse.market.files import Floats, Stamps, read_candles
from alpha_pulse.market.indicators import decay, ewma_variance
from alpha_pulse.market.provider import DAY_MS, PRIOR_VOLATILITY_DAY, READY_AFTER_MS, VOLATILITY_HALF_LIFE_MS

MIN_DAYS: Final = 250
"""Daily closes that a series must have: a trading year, the least that the Basel Committee (1996) backtests on."""
SIGNIFICANCE: Final = 0.05
_SIDES: Final[tuple[Side, ...]] = (1, -1)


class CloseSeries(NamedTuple):
    """Closing prices, oldest first: ``close_ms`` strictly increasing, ``step_ms`` the usual distance [ms], ``closes`` > 0."""

    name: str
    step_ms: int
    close_ms: Stamps
    closes: Floats


class Forecast(NamedTuple):
    """One method's VaR for one day and side, per unit of value, known at ``known_ms``, and the loss that the day brought."""

    known_ms: int
    side: Side
    method: VarMethod
    fell_back: bool  # the method's own figure could not be had
    value_at_risk: float
    loss: float  # negative is a gain

    @property
    def exceeded(self) -> bool:
        """Whether the loss was larger than VaR."""
        return self.loss > self.value_at_risk


class LikelihoodRatio(NamedTuple):
    """A likelihood-ratio statistic and its p-value."""

    statistic: float
    p: float


class VarTest(NamedTuple):
    """One method on one side of one series."""

    series: str
    side: Side
    method: VarMethod
    days: int
    exceedances: int
    expected: float
    fell_back: int  # days on which the method's own figure could not be had
    kupiec: LikelihoodRatio
    christoffersen: LikelihoodRatio
    joint: LikelihoodRatio

    @property
    def rejected_by(self) -> tuple[str, ...]:
        """The tests with a p-value below 5 %; none = passed."""
        named = (("Kupiec", self.kupiec), ("Christoffersen", self.christoffersen), ("joint", self.joint))
        return tuple(name for name, test in named if test.p < SIGNIFICANCE)


def read_closes(path: Path) -> CloseSeries:
    """The closes in a file of candles (CSV or Parquet).

    Raises:
        ConfigError: the file is not there, or needs an extra that is not installed.
        DataError: anything in it cannot be trusted.
    """
    candles = read_candles(path, volume=False)
    return CloseSeries(path.stem, candles.step_ms, candles.open_ms + candles.step_ms, candles.columns[3])


def daily_closes(series: CloseSeries) -> CloseSeries:
    """The last close of every day, stamped 00:00 UTC after it; a day without any is left out, so is one that is not over."""
    midnights = -(-series.close_ms // DAY_MS) * DAY_MS
    last = [i for i in range(len(midnights)) if i + 1 == len(midnights) or midnights[i + 1] != midnights[i]]
    if last and midnights[-1] != series.close_ms[-1]:
        last.pop()
    return CloseSeries(series.name, DAY_MS, midnights[last], series.closes[last])


def bot_volatility(series: CloseSeries) -> list[float]:
    """σ_day after every close, as ``Indicators.volatility_day`` has it on these bars: the same prior, half-life and arithmetic."""
    stamps, closes = series.close_ms.tolist(), series.closes.tolist()
    variance = PRIOR_VOLATILITY_DAY**2
    path = [math.sqrt(variance)] if stamps else []
    for (before_ms, before), (now_ms, now) in pairwise(zip(stamps, closes, strict=True)):
        elapsed = now_ms - before_ms
        variance = ewma_variance(variance, math.log(now / before), elapsed / DAY_MS, decay(elapsed, VOLATILITY_HALF_LIFE_MS))
        path.append(math.sqrt(variance))
    return path


def forecasts(series: CloseSeries, confidence: float = 0.99) -> Iterator[Forecast]:
    """Every method's forecast for every day and both sides, in time order.

    The first days only fill the sample of standardised returns: from the day that there are ``MIN_RESIDUALS``, all methods are tested
    on the same days. Over a missing day there is no one-day return, so it is neither tested nor remembered.

    Raises:
        ConfigError: fewer than ``MIN_DAYS`` daily closes, closes that are no prices in time order, or a confidence out of range.
    """
    _check(series)
    daily = daily_closes(series)
    if len(daily.closes) < MIN_DAYS:
        raise ConfigError(
            f"{len(daily.closes)} daily closes are too few.", field=series.name, fix=f"give a recording of at least {MIN_DAYS} days"
        )
    sigma_at = dict(zip((-(-series.close_ms // DAY_MS) * DAY_MS).tolist(), bot_volatility(series), strict=True))  # a day's last one stays
    ready_ms = int(series.close_ms[0]) - series.step_ms + READY_AFTER_MS
    residuals: list[float] = []
    for (known_ms, before), (now_ms, now) in pairwise(zip(daily.close_ms.tolist(), daily.closes.tolist(), strict=True)):
        sigma = sigma_at[known_ms]
        if now_ms - known_ms != DAY_MS or known_ms < ready_ms:
            continue
        if len(residuals) >= MIN_RESIDUALS:
            yield from _day(known_ms, sigma, now / before - 1.0, residuals[-RESIDUAL_WINDOW:], confidence)
        if sigma > 0.0:
            residuals.append(standardised_return(before, now, sigma))


def _check(series: CloseSeries) -> None:
    sound = len(series.close_ms) == len(series.closes) and bool(np.all(np.diff(series.close_ms) > 0))
    if not sound or not bool(np.all((series.closes > 0.0) & (series.closes < math.inf))):
        raise ConfigError("holds no prices in time order.", field=series.name, fix="give as many rising times as prices above zero")


def _day(known_ms: int, sigma: float, simple_return: float, residuals: Sequence[float], confidence: float) -> Iterator[Forecast]:
    for side in _SIDES:
        for method in VarMethod:
            estimate = tail_estimate(method, confidence, residuals, side)
            risk = value_at_risk(1.0, sigma, 1.0, estimate)
            yield Forecast(known_ms, side, method, bool(estimate.reason), risk, -side * simple_return)


def backtest_var(series: CloseSeries, confidence: float = 0.99) -> tuple[VarTest, ...]:
    """Every method on both sides of a series, one-day-ahead and out of sample. Errors as in ``forecasts``."""
    found = list(forecasts(series, confidence))
    tests = []
    for side in _SIDES:
        for method in VarMethod:
            own = [forecast for forecast in found if forecast.side == side and forecast.method == method]
            hits = [forecast.exceeded for forecast in own]
            kupiec, christoffersen = kupiec_test(sum(hits), len(hits), confidence), christoffersen_test(hits)
            joint = kupiec.statistic + christoffersen.statistic
            expected = (1.0 - confidence) * len(hits)
            fell_back = sum(forecast.fell_back for forecast in own)
            both = LikelihoodRatio(joint, math.exp(-joint / 2.0))
            tests.append(VarTest(series.name, side, method, len(hits), sum(hits), expected, fell_back, kupiec, christoffersen, both))
    return tuple(tests)


def kupiec_test(exceedances: int, days: int, confidence: float) -> LikelihoodRatio:
    """Whether the share of exceedances is 1 − confidence; χ² with one degree of freedom.

    Kupiec, P. H. (1995), "Techniques for verifying the accuracy of risk measurement models", Journal of Derivatives 3(2), 73-84
    (proportion of failures): LR = −2·ln[ (1 − p)^(n−x)·p^x / ((1 − x/n)^(n−x)·(x/n)^x) ].
    """
    if days == 0:
        return LikelihoodRatio(0.0, 1.0)
    return _chi_square(_log_likelihood(exceedances, days, exceedances / days) - _log_likelihood(exceedances, days, 1.0 - confidence))


def christoffersen_test(hits: Sequence[bool]) -> LikelihoodRatio:
    """Whether an exceedance is as likely after an exceedance as after a quiet day; χ² with one degree of freedom.

    Christoffersen, P. F. (1998), "Evaluating interval forecasts", International Economic Review 39(4), 841-862: a first-order Markov
    chain against independence. Without an exceedance nothing can be said: the statistic is 0. The joint test, conditional coverage,
    is the sum of this and Kupiec's, χ² with two degrees of freedom.
    """
    after_quiet = [now for before, now in pairwise(hits) if not before]
    after_hit = [now for before, now in pairwise(hits) if before]
    together = [*after_quiet, *after_hit]
    if not together:
        return LikelihoodRatio(0.0, 1.0)
    pooled = sum(together) / len(together)
    ratio = sum(
        _log_likelihood(sum(group), len(group), sum(group) / len(group)) - _log_likelihood(sum(group), len(group), pooled)
        for group in (after_quiet, after_hit)
        if group
    )
    return _chi_square(ratio)


def _log_likelihood(hits: int, days: int, share: float) -> float:
    """ln( (1 − share)^(days−hits)·share^hits ), with 0·ln 0 = 0."""
    return (hits * math.log(share) if hits else 0.0) + ((days - hits) * math.log1p(-share) if hits < days else 0.0)


def _chi_square(log_ratio: float) -> LikelihoodRatio:
    statistic = max(0.0, 2.0 * log_ratio)  # rounding
    return LikelihoodRatio(statistic, math.erfc(math.sqrt(statistic / 2.0)))
