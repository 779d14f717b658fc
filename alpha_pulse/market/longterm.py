"""Weeks and months of a market: momentum, stretch, rank of volatility, smoothed funding, standardised daily returns.

Read once an hour from hourly closes; the sizers, the inventory assessor and the tail estimates of risk live on it.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alpha_pulse.hedging.risk.normalizers import annualize_funding
from alpha_pulse.hedging.risk.tail import standardised_return
from alpha_pulse.market.indicators import HOURS_PER_DAY, decay, ema

MOMENTUM_DAYS: Final = 20
RANK_DAYS: Final = 90
KEPT_RESIDUALS: Final = 500  # days of standardised returns: what a 99 % quantile needs, and no older regime than that
FUNDING_HALF_LIFE_H: Final = 72.0
_WINDOW_HOURS: Final = MOMENTUM_DAYS * 24
_RANK_HOURS: Final = RANK_DAYS * 24
_LEAST_HOURS: Final = 48  # fewer closes say nothing about weeks
_HOURS: Final = 24
_ROUNDING: Final = 1e-12  # of the price: a smaller spread is none


class LongReading(NamedTuple):
    """What weeks of hourly closes say."""

    momentum: float = 0.0  # mean log return per day over up to 20 days, fraction
    zscore: float = 0.0  # last close against its mean over the same time, in standard deviations of the close
    volatility_rank: float = 0.5  # share of the last 90 days' hourly σ_day that are not above now's; 0.5 until known
    funding_annual: float = 0.0  # expected funding per year, exponential average, fraction
    residuals: tuple[float, ...] = ()  # daily returns over the σ_day known when the day began, oldest first


class LongTerm:
    """Sliding windows over hourly closes. ``add`` costs some 30 µs, once an hour."""

    def __init__(self) -> None:
        self._closes: NDArray[np.float64] = np.empty((2, 4 * _WINDOW_HOURS))  # (hour, close)
        self._end = 0
        self._ranks: NDArray[np.float64] = np.empty(4 * _RANK_HOURS)
        self._ranks_end = 0
        self._residuals: deque[float] = deque(maxlen=KEPT_RESIDUALS)
        self._frozen: tuple[float, ...] = ()
        self._day_hour = -_HOURS
        self._day_close = self._day_volatility = 0.0
        self._funding = 0.0
        self._hour = -1  # of the last close; −1 = there was none

    def add(self, hour: int, close: float, volatility_day: float, funding_rate: float, interval_h: float) -> LongReading:
        """Take the close of an hour.

        Args:
            hour: hours since the epoch, UTC, of the hour that ended.
            close: last price of it, quote units.
            volatility_day: σ_day after it.
            funding_rate: expected rate of the next settlement.
            interval_h: hours between settlements.
        """
        annual = annualize_funding(funding_rate, interval_h)
        self._funding = annual if self._hour < 0 else ema(self._funding, annual, decay(hour - self._hour, FUNDING_HALF_LIFE_H))
        self._hour = hour
        hours, closes = self._append_close(hour, close)
        ranks = self._append_volatility(volatility_day)
        self._end_day(hour, close, volatility_day)
        elapsed = hour - float(hours[0])
        if elapsed < _LEAST_HOURS - 1:
            return LongReading(funding_annual=self._funding, residuals=self._frozen)
        mean, spread = float(closes.mean()), float(closes.std())
        return LongReading(
            momentum=math.log(close / closes[0]) * HOURS_PER_DAY / elapsed,
            zscore=(close - mean) / spread if spread > _ROUNDING * mean else 0.0,
            volatility_rank=float(np.count_nonzero(ranks <= volatility_day)) / len(ranks),
            funding_annual=self._funding,
            residuals=self._frozen,
        )

    def _append_close(self, hour: int, close: float) -> NDArray[np.float64]:
        """The window's hours and closes, (2, n), after this one: at most 20 days long, however many hours are missing in it."""
        if self._end == self._closes.shape[1]:
            self._closes[:, : _WINDOW_HOURS - 1] = self._closes[:, 1 - _WINDOW_HOURS :]
            self._end = _WINDOW_HOURS - 1
        self._closes[:, self._end] = hour, close
        self._end += 1
        window = self._closes[:, max(0, self._end - _WINDOW_HOURS) : self._end]
        return window[:, int(np.searchsorted(window[0], hour - _WINDOW_HOURS, side="right")) :]

    def _append_volatility(self, volatility_day: float) -> NDArray[np.float64]:
        if self._ranks_end == len(self._ranks):
            self._ranks[: _RANK_HOURS - 1] = self._ranks[1 - _RANK_HOURS :]
            self._ranks_end = _RANK_HOURS - 1
        self._ranks[self._ranks_end] = volatility_day
        self._ranks_end += 1
        return self._ranks[max(0, self._ranks_end - _RANK_HOURS) : self._ranks_end]

    def _end_day(self, hour: int, close: float, volatility_day: float) -> None:
        """At the first hour that ends in another UTC day: the day's return over the σ that was known before it. Only whole days count."""
        if hour // _HOURS == self._day_hour // _HOURS:
            return
        if hour - self._day_hour == _HOURS and self._day_volatility > 0.0:
            self._residuals.append(standardised_return(self._day_close, close, self._day_volatility))
            self._frozen = tuple(self._residuals)
        self._day_hour, self._day_close, self._day_volatility = hour, close, volatility_day
